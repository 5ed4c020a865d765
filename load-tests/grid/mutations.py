"""Requests that parsers could read in different ways: the same for every server, from a seed.

A case is made of a sound request and one or two changes of one family. Every request names its case twice, in its path and in
`x-case`, so that whatever a server got can be laid beside what policy saw.
"""

import dataclasses
import random

SMUGGLED = "GET {base}/private/smuggled HTTP/1.1\r\nhost: localhost\r\nx-case: {case}\r\n\r\n"

# Pieces that end up in targets.
PATH_PIECES = [
    "..", ".", "", ";", ";x=1", "..;", ".;", "%2e", "%2E%2e", "%2e%2e", "%252e%252e", "%2f", "%2F", "%5c", "\\", "%00", "%0a",
    "%0d%0a", "%25", "%252f", "%c0%af", "%e0%80%af", "%ff", "%C3%A9", "\u00e9", "%ef%bc%8f", "#f", "%23", "?x", "%3f", "*", "|", "<",
    '"', "{}", "^", "`", "+", "%2b", "%2B", "%20", "~", "%7e", "%41", "%61", "a%", "%g1", "%1", ":", "@", "%3a", "!$&'(),=",
    "%u0041", "private", "%70rivate", "PRIVATE", "private.", "private%20", "private;x", "c%2Fprivate", "[", "]", "%5B", "a b", "\t",
    "\x01", "\x7f", "a//b", "/", "con:", "~root", "%7F", "%0", "=", "&", ",", "''", "-_.~",
]
QUERY_PIECES = [
    "a=b", "a=b&a=c", "access_token=x", "a=1&access_token=x&b=2", "Access_Token=x", "api_key=x", "access%5Ftoken=x", "a;b", "&&", "?",
    "a=%00", "a=%0d%0aX-Api-Key:%20x", "a=%", "a=%zz", "a=%ff", "a=/../private", "a=+", "a=[]", "a=<>", "a#b", "a=b c", "=", "a=\u00e9",
    "%61ccess_token=x", "a=1;access_token=x", "access_token", "a=http://x/", "*",
]
HEADERS = [
    "x-api-key: mine", "X_Api_Key: mine", "X-API-KEY: mine", "x.api.key: mine", "X-Api-Key : mine", "x-api_key: mine",
    "x-forwarded-for: 10.0.0.1", "X_Forwarded_For: 10.0.0.1", "forwarded: for=10.0.0.1", "x-real-ip: 10.0.0.1",
    "x-original-url: /private", "x-rewrite-url: /private", "X-HTTP-Method-Override: DELETE", "x-user-id: root", "X_User_Id: root",
    "x-auth-user: root", "client-cert: :AAAA:", "x-forwarded-client-cert: By=x", "txn-token: x", "postern-decision: x",
    "connection: x-case", "connection: x-api-key", "connection: close, x-api-key, host", "connection: content-type, content-length",
    "connection: keep-alive, accept-encoding", "Connection: host", "keep-alive: timeout=1", "proxy-connection: close", "te: trailers",
    "te: gzip", "trailer: x-api-key", "upgrade: h2c", "connection: upgrade\r\nupgrade: websocket", "http2-settings: AAMAAABkAAQAoAAAAAIAAAAA",
    "expect: 100-continue", "expect: 200-ok", "Expect: 100-Continue", "authorization: Bearer x", "authorization: a\r\nauthorization: b",
    "cookie: a=b", "cookie: a=b\r\ncookie: c=d", "x-multi: a\r\nx-multi: b", "X-Multi: a\r\nx-multi:\r\nx-MULTI: c", "x-empty:",
    "x-space:   a b   ", "x-tab:\ta\t", "x-comma: a,b,,c", 'x-quote: "a\\"b"', "x-high: \u00e9", "x-nul: a\0b", "x-ctl: a\x01b", "x-del: a\x7f",
    "x-cr: a\rb", "x-lf: a\nb: c", "x-fold: a\r\n b", "x-fold: a\r\n\tx-api-key: b", " x-lead: a", "x name: a", "x\tname: a", ": a", "noname",
    "x-paren(: a", "x@y: a", "x\u00e9: a", "x-colon:: a", "max-forwards: 0", "range: bytes=0-1", "if-range: x", "content-encoding: gzip",
    "content-type: text/plain\r\ncontent-type: application/json", "content-type: multipart/form-data", "via: 1.1 x", "proxy-authorization: x",
    "x-long: " + "a" * 4000, "x-many: 1\r\n" * 60 + "x-many: 2", "content-length : 0", "transfer-encoding : chunked", "x:a", "X-Case2:17",
    "sec-fetch-site: same-origin", "origin: https://localhost", "accept-encoding: br", "host2: x", "dpop: x", "x-goog-api-key: x",
]
HOSTS = [
    "localhost", "LOCALHOST", "localhost:8443", "localhost.", "localhost:", "localhost:abc", "localhost:99999", "a@localhost", "localhost/x",
    "localhost#", "localhost?", "[::1]", "127.0.0.1", "localhost,evil", "local host", "localhost\0", "evil", "evil.localhost", "", " ",
    "localhost\t", "xn--localhost", "localhost%00", "localhost\u00e9", "localhost:443", "localhost:0", "http://localhost", "localhost;x",
    "_localhost", "localhost:+80", "localhost: 80", "localhost:080", "[localhost]", "0x7f000001",
]
METHODS = [
    "GET", "get", "Get", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "TRACE", "CONNECT", "M-SEARCH", "G=T", "GE T", "PRI",
    "G\u00cbT", "GET\0", "A" * 100, "PROPFIND", "\"GET\"", "GET:",
]
VERSIONS = [
    "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/01.1", "HTTP/1.10", "HTTP/1", "HTTP/1.1 ", "HTTP /1.1", "", "HTTP/0.9", "HTTPS/1.1",
    "HTTP/1.1\t", "HTTP/1,1", "HTTP/+1.1", "HTTP/1.\u0661",
]
LENGTHS = [
    "5", "+5", "-5", "05", "0x5", "5 ", " 5", "5,5", "5, 6", "5;x", "5.0", "", "5\t", "\t5", "1e1", "five", "18446744073709551621", "0005",
    "99999999999999999999", "5\v", "\u0665", "'5'", "5_0", "00",
]
ENCODINGS = [
    "chunked", "Chunked", "CHUNKED", "xchunked", "chunkedx", "chunked, identity", "identity", "identity, chunked", "gzip, chunked",
    "chunked, chunked", "chunked;q=1", "\tchunked", "chunked\t", "chunked\v", "\"chunked\"", "chunked,", ",chunked", "", "gzip", "deflate",
    "chunked\r\nTransfer-Encoding: identity", "identity\r\nTransfer-Encoding: chunked", "chunked\r\n ", "cow", "chunk ed", "x\r\n chunked",
]
ENCODING_NAMES = ["Transfer-Encoding", "transfer-encoding", "Transfer_Encoding", "Transfer-Encoding ", " Transfer-Encoding", "Transfer-Encoding\t",
                  "X: x\nTransfer-Encoding", "Transfer\rEncoding", "Transfer-Encoding\0"]
CHUNK_SIZES = ["5", "05", "0000000000000000005", "0x5", "+5", "-5", " 5", "5 ", "5\t", "5;a", "5;a=b", '5;a="b"', "5 ; a", '5;a="\r\n"', "5;a\nb",
               "5;" + "x" * 300, "5\r", "10000000000000005", "ffffffffffffffff", "g", "", "5;\0", "5,", "5_", "4", "6", "5;a\rb", "5;\u00e9"]
CHUNK_ENDS = ["\r\n", "\n", "\r", "", "\r\r\n", "\n\r\n", "\r\n\r\n", "XX", " \r\n", "\t\n"]
LAST_CHUNKS = ["0", "00", "000000", "0;x", "0;x=y", "0 ", " 0", "-0", "+0", "0x0", "0\t", "0;\n"]
TRAILERS = ["", "x-trailer: a\r\n", "x-api-key: mine\r\n", "host: evil\r\n", "content-length: 5\r\n", "authorization: x\r\n", "transfer-encoding: x\r\n",
            "x-case: 0\r\n", "X_User: root\r\n", "x: a\r\n b\r\n", "bad trailer\r\n", "x: a\n", ": x\r\n"]
H1_FAMILIES = ("target", "query", "form", "separators", "headers", "framing", "chunks", "host", "method")
H2_FAMILIES = ("h2 target", "h2 pseudo", "h2 headers", "h2 body")
FAMILIES = H1_FAMILIES + H2_FAMILIES


@dataclasses.dataclass
class Case:
    number: int
    family: str
    server: str
    wire: bytes = b""  # HTTP/1.1: what is sent, a last sound request included
    frames: list = dataclasses.field(default_factory=list)  # HTTP/2: (kind, what)
    body: bytes | None = None  # of the request, where its framing was left alone

    @property
    def is_h2(self):
        return self.family.startswith("h2")

    def said(self):
        """Every byte of it that a header can come from."""
        pairs = [pair for kind, what in self.frames if kind == "HEADERS" for pair in what[0]]
        return self.wire + b"\0".join(_encoded(text) for pair in pairs for text in pair)

    def describe(self):
        return "\n".join(f"  {kind} {what!r}" for kind, what in self.frames) if self.is_h2 else f"  {self.wire!r}"


def cases(seed, count, server):
    """The first `count` cases for `server`. The same numbers are the same changes for every server."""
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        family = FAMILIES[number % len(FAMILIES)]
        make = _h2 if family.startswith("h2") else _h1
        yield make(Case(number, family, server), f"/{server}/c{number}", rng)


def _encoded(text):
    """As latin-1 where it fits, so that single bytes above 0x7f occur; UTF-8 for the rest."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


# HTTP/1.1


def _h1(case, base, rng):
    request = {
        "method": rng.choice(["GET", "GET", "POST", "PUT", "DELETE"]),
        "target": f"{base}/a",
        "version": "HTTP/1.1",
        "lines": ["host: localhost", f"x-case: {case.number}", "accept: */*"],
        "body": "",
        "sound": "",
        "space": (" ", " "),
        "end": "\r\n",
    }
    if request["method"] in ("POST", "PUT"):
        _sound_body(request, rng)
    for _ in range(rng.choice([1, 1, 2])):
        _CHANGES[case.family](request, base, case, rng)
    if case.family not in ("framing", "chunks", "separators"):
        case.body = request["sound"].encode()
    one, two = request["space"]
    end = request["end"]
    head = f"{request['method']}{one}{request['target']}{two}{request['version']}{end}"
    head += "".join(f"{line}{end}" for line in request["lines"]) + end
    last = f"GET {base}/last HTTP/1.1\r\nhost: localhost\r\nx-case: {case.number}\r\nconnection: close\r\n\r\n"
    case.wire = _encoded(head + request["body"]) + last.encode()
    return case


def _sound_body(request, rng):
    body = "".join(rng.choice("abc {}[]\":0\r\n") for _ in range(rng.choice([0, 1, 5, 40, 3000])))
    request["lines"].append("content-type: text/plain")
    request["sound"] = body
    if rng.random() < 0.5:
        request["lines"].append(f"content-length: {len(body)}")
        request["body"] = body
    else:
        request["lines"].append("transfer-encoding: chunked")
        half = len(body) // 2
        pieces = [piece for piece in (body[:half], body[half:]) if piece]
        request["body"] = "".join(f"{len(piece):x}\r\n{piece}\r\n" for piece in pieces) + "0\r\n\r\n"


def _path(base, rng):
    segments = [rng.choice(PATH_PIECES) if rng.random() < 0.6 else "a" for _ in range(rng.randint(1, 4))]
    path = rng.choice(["/", "/", "/", ""]).join([base] + ["/".join(segments)]) if rng.random() < 0.3 else f"{base}/{'/'.join(segments)}"
    if rng.random() < 0.2:
        at = rng.randrange(1, len(path) + 1)
        path = path[:at] + rng.choice(PATH_PIECES) + path[at:]
    return path


def _change_target(request, base, _, rng):
    request["target"] = _path(base, rng)


def _change_query(request, base, _, rng):
    request["target"] = f"{base}/a?" + "&".join(rng.choice(QUERY_PIECES) for _ in range(rng.randint(1, 3)))


def _change_form(request, base, _, rng):
    authority = rng.choice(["localhost", "LOCALHOST", "localhost:8443", "evil", "a@localhost", "localhost:", "", "[::1]", "localhost."])
    scheme = rng.choice(["http://", "https://", "HTTP://", "//", "ftp://", "http:/", "http:", "ws://", "http:///"])
    path = rng.choice([f"{base}/a", _path(base, rng), "", f"?{base}"])
    request["target"] = rng.choice([f"{scheme}{authority}{path}", "*", authority or "x:1", base[1:], f"?{base}", f"//{authority}{base}/a"])


def _change_separators(request, base, case, rng):
    what = rng.randrange(9)
    if what == 0:
        request["version"] = rng.choice(VERSIONS)
    elif what == 1:
        request["space"] = (rng.choice([" ", "  ", "\t", "\x0b", "", "\x85", "\xa0"]), rng.choice([" ", "  ", "\t", "\x0c", "\r"]))
    elif what == 2:
        request["end"] = rng.choice(["\n", "\r\r\n", "\r", "\n\r"])
    elif what == 3:
        request["method"] = rng.choice(["\r\n", "\n", "\r\n\r\n", " ", "\0"]) + request["method"]
    elif what == 4:
        request["lines"].insert(rng.randrange(len(request["lines"]) + 1), rng.choice(["", " ", "\t", "\0", "\r", "\n", "x", "x: a\n", " x: a"]))
    elif what == 5:
        at = rng.randrange(len(request["lines"]))
        request["lines"][at] = request["lines"][at].replace(": ", rng.choice([" : ", "\t: ", ":\t", ":", ":\r\n ", "", ":: ", ":\0", ": \n"]), 1)
    elif what == 6:
        at = rng.randrange(len(request["lines"]))
        request["lines"][at] += rng.choice(["\r", "\n", "\n\n", " ", "\t", "\0", "\x85", "\r\n\r\n"])
    elif what == 7:
        request["lines"].append("x: a\r\n\r\n" + SMUGGLED.format(base=base, case=case.number)[:-4])
    else:
        at = rng.randrange(len(request["target"]))
        request["target"] = request["target"][:at] + rng.choice(["\r\n", "\n", "\r", " ", "\t", "\0"]) + request["target"][at:]


def _change_headers(request, _base, _case, rng):
    for _ in range(rng.randint(1, 3)):
        request["lines"].insert(rng.randrange(len(request["lines"]) + 1), rng.choice(HEADERS))


def _unframed(request):
    framing = ("content-length", "transfer-encoding")
    request["lines"] = [line for line in request["lines"] if not line.lower().startswith(framing)]
    if not any(line.startswith("content-type") for line in request["lines"]):
        request["lines"].append("content-type: text/plain")


def _change_framing(request, base, case, rng):
    _unframed(request)
    smuggled = SMUGGLED.format(base=base, case=case.number)
    chunked = "5\r\nhello\r\n0\r\n\r\n"
    what = rng.randrange(6)
    request["body"] = rng.choice(["hello", chunked, f"0\r\n\r\n{smuggled}", f"hello{smuggled}"])
    if what == 0:
        request["lines"].append(f"Content-Length: {rng.choice(LENGTHS)}")
    elif what == 1:
        request["lines"] += [f"Content-Length: {rng.choice(LENGTHS)}", f"content-length: {rng.choice(LENGTHS)}"]
    elif what == 2:
        request["lines"].append(f"{rng.choice(ENCODING_NAMES)}: {rng.choice(ENCODINGS)}")
    elif what == 3:
        both = [f"Content-Length: {rng.choice(LENGTHS)}", f"{rng.choice(ENCODING_NAMES)}: {rng.choice(ENCODINGS)}"]
        rng.shuffle(both)
        request["lines"] += both
    elif what == 4:
        name = rng.choice(["Content_Length", "Content-Length ", " Content-Length", "Content.Length", "Content-Length\0", "X\nContent-Length"])
        request["lines"].append(f"{name}: {rng.choice(LENGTHS)}")
    else:
        request["version"] = rng.choice(["HTTP/1.0", "HTTP/1.1"])
        request["lines"].append(rng.choice([f"Transfer-Encoding: {rng.choice(ENCODINGS)}", "Content-Length: 5", "connection: close"]))


def _change_chunks(request, base, case, rng):
    _unframed(request)
    request["lines"].append("Transfer-Encoding: chunked")
    if rng.random() < 0.3:
        request["lines"].append("trailer: x-trailer")
    whole = rng.randrange(5)
    size, end, last, trailer = "5", "\r\n", "0", ""
    if whole == 0:
        size = rng.choice(CHUNK_SIZES)
    elif whole == 1:
        end = rng.choice(CHUNK_ENDS)
    elif whole == 2:
        last = rng.choice(LAST_CHUNKS)
    elif whole == 3:
        trailer = rng.choice(TRAILERS)
    else:
        size, end, last, trailer = rng.choice(CHUNK_SIZES), rng.choice(CHUNK_ENDS), rng.choice(LAST_CHUNKS), rng.choice(TRAILERS)
    body = f"{size}{rng.choice([chr(13) + chr(10), end])}hello{end}{last}{rng.choice([chr(13) + chr(10), end])}{trailer}\r\n"
    if rng.random() < 0.3:
        body += SMUGGLED.format(base=base, case=case.number)
    request["body"] = body


def _change_host(request, base, _, rng):
    lines = [line for line in request["lines"] if not line.startswith("host")]
    host = rng.choice(HOSTS)
    name = rng.choice(["host", "Host", "HOST", "host", "host ", " host", "Host\t"])
    lines.insert(rng.randrange(len(lines) + 1), f"{name}: {host}")
    if rng.random() < 0.3:
        lines.insert(rng.randrange(len(lines) + 1), f"Host: {rng.choice(['localhost', rng.choice(HOSTS)])}")
    if rng.random() < 0.2:
        request["target"] = f"http://{rng.choice(HOSTS)}{base}/a"
    request["lines"] = lines


def _change_method(request, _base, _case, rng):
    request["method"] = rng.choice(METHODS)
    if rng.random() < 0.4 and not request["body"]:
        _sound_body(request, rng)


_CHANGES = {
    "target": _change_target, "query": _change_query, "form": _change_form, "separators": _change_separators, "headers": _change_headers,
    "framing": _change_framing, "chunks": _change_chunks, "host": _change_host, "method": _change_method,
}


# HTTP/2: frames by kind, headers as pairs; the grid's client encodes them without looking.


def _h2(case, base, rng):
    method = rng.choice(["GET", "GET", "POST", "PUT", "DELETE"])
    pseudo = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", f"{base}/a")]
    headers = [("x-case", str(case.number)), ("accept", "*/*")]
    body, trailers = b"", None
    if method in ("POST", "PUT"):
        headers.append(("content-type", "text/plain"))
        body = bytes(rng.choice(b"abc {}[]\":0\r\n") for _ in range(rng.choice([0, 1, 5, 3000])))
    if case.family == "h2 target":
        pseudo[3] = (":path", rng.choice([_path(base, rng), f"{base}/a?{rng.choice(QUERY_PIECES)}", "*", "", base[1:], f"https://localhost{base}", f"//x{base}"]))
    elif case.family == "h2 pseudo":
        for _ in range(rng.choice([1, 1, 2])):
            pseudo, headers = _change_pseudo(pseudo, headers, base, rng)
    elif case.family == "h2 headers":
        for _ in range(rng.choice([1, 1, 2])):
            headers.insert(rng.randrange(len(headers) + 1), _h2_header(rng))
    else:
        headers, body, trailers = _change_h2_body(headers, body, rng)
    case.body = body
    split = rng.choice([0, 0, 1, 3])
    case.frames = [("HEADERS", (pseudo + headers, split, not body and trailers is None))]
    if body:
        cut = rng.randrange(len(body) + 1)
        pieces = [body[:cut], body[cut:]]
        if rng.random() < 0.3:
            pieces.insert(1, b"")
        case.frames += [("DATA", (piece, at == len(pieces) - 1 and trailers is None)) for at, piece in enumerate(pieces)]
    if trailers is not None:
        case.frames.append(("HEADERS", (trailers, 0, rng.random() < 0.9)))
    return case


def _change_pseudo(pseudo, headers, base, rng):
    pseudo = list(pseudo)
    at = rng.randrange(len(pseudo))
    what = rng.randrange(9)
    if what == 0:
        del pseudo[at]
    elif what == 1:
        pseudo.insert(rng.randrange(len(pseudo)), pseudo[at])
    elif what == 2:
        headers = headers + [pseudo.pop(at)]
    elif what == 3:
        pseudo.insert(at, (rng.choice([":protocol", ":status", ":x", ":Method", ": path", ":host"]), rng.choice(["websocket", "200", base])))
    elif what == 4:
        headers = headers + [("host", rng.choice(HOSTS))]
    elif what == 5:
        pseudo = [(name, rng.choice(HOSTS) if name == ":authority" else value) for name, value in pseudo]
    elif what == 6:
        pseudo = [(name, rng.choice(METHODS) if name == ":method" else value) for name, value in pseudo]
    elif what == 7:
        schemes = ["http", "HTTPS", "ftp", "", "https://x", "https\0", "h ttps"]
        pseudo = [(name, rng.choice(schemes) if name == ":scheme" else value) for name, value in pseudo]
    else:
        pseudo.append((":path", f"{base}/private"))
    return pseudo, headers


def _h2_header(rng):
    if rng.random() < 0.5:
        name, _, value = rng.choice(HEADERS).split("\r\n")[0].partition(":")
        return (name if rng.random() < 0.3 else name.lower(), value.strip(" ") if rng.random() < 0.8 else value)
    return rng.choice([
        ("transfer-encoding", "chunked"), ("connection", "x-case"), ("connection", "close"), ("keep-alive", "1"), ("upgrade", "h2c"),
        ("te", "gzip"), ("te", "trailers"), ("content-length", "5"), ("content-length", "0"), ("content-length", "5, 5"), ("content-length", "-1"),
        ("X-Upper", "a"), ("x-crlf", "a\r\nx-api-key: b"), ("x-lf", "a\nb"), ("x-nul", "a\0"), ("x-colon:", "a"), ("x y", "a"), ("", "a"),
        ("x-crlf\r\nx-api-key", "a"), ("x-sp", " a "), ("x-tab", "\ta"), ("host", "localhost"), ("host", "evil"), ("cookie", "a=b"),
        ("x_api_key", "mine"), ("x-api-key", "mine"), ("x-case2", "a" * 3000), ("proxy-connection", "x"), ("http2-settings", "x"),
        ("x-high", "\u00e9"), ("expect", "100-continue"), ("get / http/1.1\r\nx", "a"), ("content-type", "text/plain; x=\"\r\n\""),
    ])


def _change_h2_body(headers, body, rng):
    trailers = None
    what = rng.randrange(5)
    if what == 0:
        body = body or b"hello"
        headers = headers + [("content-type", "text/plain"), ("content-length", rng.choice(LENGTHS + [str(len(body)), str(len(body) + 1)]))]
    elif what == 1:
        trailers = [rng.choice([("x-trailer", "a"), ("x-api-key", "mine"), ("host", "evil"), ("content-length", "5"), ("x-case", "0")])]
    elif what == 2:
        trailers = [(":path", "/private")]
    elif what == 3:
        body = b"hello" if not body else body
    else:
        body = b"5\r\nhello\r\n0\r\n\r\n"
        headers = headers + [("transfer-encoding", "chunked")]
    return headers, body, trailers
