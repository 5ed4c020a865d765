"""Python's http.server: answers, and prints what it made of each request."""

import hashlib
import http.server
import json
import sys
import urllib.parse


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name):
        # A method of any name is served.
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path, errors="surrogateescape")
        tell({
            "method": self.command, "target": self.path, "path": path, "headers": self.headers.items(),
            "length": len(body), "digest": hashlib.sha256(body).hexdigest(),
        })
        answer = b"" if self.command == "HEAD" else b"ok"
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n" + answer)

    def send_error(self, code, message=None, explain=None):
        tell({"declined": f"{code} {message}"})
        super().send_error(code, message, explain)

    def log_message(self, *_):
        pass


def tell(what):
    print(json.dumps(what), flush=True)


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
