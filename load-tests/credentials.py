"""Throw-away credentials for the measurement: a CA, a server, a client with a SPIFFE ID, and a token bound to that client."""

import base64
import hashlib
import json
import secrets
import subprocess
import time


def make(directory):
    """Writes PEM files, a key set and the upstream's secret to `directory`; returns the client's token."""
    ca = _ca(directory)
    certificate(directory, ca, "server", "DNS:localhost,IP:127.0.0.1", "serverAuth")
    certificate(directory, ca, "client", "URI:spiffe://bench.test/ns/acme/sa/web", "clientAuth,serverAuth")
    _key(directory / "issuer.key")
    private(directory / "upstream.secret", secrets.token_hex(16))
    x, y = _point(directory / "issuer.key")
    key = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "bench", "x": _b64(x), "y": _b64(y)}
    private(directory / "jwks.json", json.dumps({"keys": [key]}))
    return token(directory)


def _openssl(*arguments, data=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True, check=True).stdout


def private(path, text):
    path.touch(mode=0o600)
    path.write_text(text)


def _key(path):
    private(path, "")
    _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)


def _ca(directory):
    key, certificate = directory / "ca.key", directory / "ca.pem"
    _key(key)
    _openssl("req", "-x509", "-new", "-key", key, "-subj", "/CN=bench", "-days", 2, "-out", certificate,
             "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    return certificate, key


def certificate(directory, ca, name, alternative, usage):
    key, request, extensions = directory / f"{name}.key", directory / f"{name}.csr", directory / f"{name}.ext"
    _key(key)
    _openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
    extensions.write_text(
        f"basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage={usage}\n"
        f"subjectAltName={alternative}\nauthorityKeyIdentifier=keyid\n"
    )
    _openssl("x509", "-req", "-in", request, "-CA", ca[0], "-CAkey", ca[1], "-CAcreateserial", "-days", 2,
             "-extfile", extensions, "-out", directory / f"{name}.pem")


def token(directory, bound=True):
    """Bound to the client's certificate, or good for whoever holds it."""
    certificate = _openssl("x509", "-in", directory / "client.pem", "-outform", "DER")
    now = int(time.time())
    claims = {
        "iss": "https://login.bench.test", "aud": "https://api.bench.test", "sub": "mia", "client_id": "web",
        "iat": now, "nbf": now, "exp": now + 3000, "jti": secrets.token_hex(8), "tenant": "acme", "groups": ["staff"],
        "cnf": {"x5t#S256": _b64(hashlib.sha256(certificate).digest())},
    }
    if not bound:
        del claims["cnf"]
    head = {"alg": "ES256", "typ": "at+jwt", "kid": "bench"}
    signed = ".".join(_b64(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims))
    signature = _openssl("dgst", "-sha256", "-sign", directory / "issuer.key", data=signed.encode())
    return f"{signed}.{_b64(_raw_signature(signature))}"


def _point(key):
    """The coordinates of the public key: the last 64 bytes of its DER form, after the 0x04 of an uncompressed point."""
    der = _openssl("pkey", "-in", key, "-pubout", "-outform", "DER")
    return der[-64:-32], der[-32:]


def _raw_signature(der):
    """ECDSA signatures are r and s of 32 bytes each in a JWT (RFC 7518 section 3.4), a sequence of integers in openssl."""
    r_length = der[3]
    r = der[4 : 4 + r_length]
    s = der[4 + r_length + 2 :]
    return b"".join(int.from_bytes(part, "big").to_bytes(32, "big") for part in (r, s))


def _b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
