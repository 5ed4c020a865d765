// An OpenID Connect provider on loopback: node provider.mjs CONFIG.json
//
// Beside its own endpoints: POST /test/rotate makes a new signing key, POST /test/drop takes all but the newest away.
// Everybody logs in with any name; its pages are the library's pages for development.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const { port, gateway, secret } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const issuer = `http://127.0.0.1:${port}`;
const JWT = 'https://app.oidc.test';
const OPAQUE = 'https://opaque.oidc.test';

let made = 0;
function key() {
  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  made += 1;
  return { ...jwk, kid: `key-${made}`, alg: 'ES256', use: 'sig' };
}

const resource = {
  scope: 'read',
  accessTokenTTL: 300,
  jwt: { sign: { alg: 'ES256' } },
};

function provider(keys) {
  return new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: ['of this test'] },
    clients: [
      {
        client_id: 'shop',
        client_secret: secret,
        redirect_uris: [`${gateway}/.postern/callback`],
        post_logout_redirect_uris: [],
        response_types: ['code'],
        grant_types: ['authorization_code'],
        token_endpoint_auth_method: 'client_secret_basic',
        id_token_signed_response_alg: 'ES256',
        backchannel_logout_uri: `${gateway}/.postern/backchannel-logout`,
        backchannel_logout_session_required: true,
      },
      {
        client_id: 'robot',
        client_secret: secret,
        redirect_uris: [],
        response_types: [],
        grant_types: ['client_credentials'],
        token_endpoint_auth_method: 'client_secret_basic',
        id_token_signed_response_alg: 'ES256',
        scope: 'read',
      },
    ],
    scopes: ['openid', 'profile', 'read'],
    pkce: { required: () => true, methods: ['S256'] },
    claims: { openid: ['sub'], profile: ['tenant', 'groups'] },
    conformIdTokenClaims: false,
    extraTokenClaims: () => ({ tenant: 'acme', groups: ['robots'] }),
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, tenant: 'acme', groups: ['staff'] }) }),
    features: {
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      backchannelLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, indicator) => ({
          ...resource,
          audience: indicator,
          accessTokenFormat: indicator === OPAQUE ? 'opaque' : 'jwt',
        }),
      },
    },
    ttl: { Session: 3600, Interaction: 600, Grant: 3600, IdToken: 300, ClientCredentials: 300 },
  });
}

let keys = [key()];
let serve = provider(keys).callback();
const server = createServer((request, response) => {
  if (request.method === 'POST' && request.url.startsWith('/test/')) {
    keys = request.url === '/test/rotate' ? [key(), ...keys] : keys.slice(0, 1);
    serve = provider(keys).callback();
    response.end(JSON.stringify({ keys: keys.map((each) => each.kid) }));
    return;
  }
  serve(request, response);
});
server.listen(port, '127.0.0.1', () => console.log(`provider ${issuer} for ${JWT}`));
