// nginx with njs: answers, and leaves for the log what nginx made of the request.
import crypto from 'crypto';

function answer(r) {
    const body = r.requestBuffer;
    const length = body ? body.length : 0;
    const hash = crypto.createHash('sha256');
    // This njs cannot hash nothing that is in a buffer.
    if (length) hash.update(body);
    r.variables.echo = JSON.stringify({
        method: r.method,
        target: r.variables.request_uri,
        path: r.uri,
        headers: r.rawHeadersIn,
        length: length,
        digest: hash.digest('hex'),
    });
    r.return(200, 'ok');
}

export default {answer};
