"""A plain HTTP/1.1 client over TLS for the storm and the soak, which says exactly what went wrong."""

import socket
import ssl


class Broken(Exception):
    """No whole answer came."""


def tls(directory, protocol="http/1.1", certificate="client"):
    """Trusts the throw-away CA only, and shows the client certificate where there is one to show."""
    context = ssl.create_default_context(cafile=directory / "ca.pem")
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([protocol])
    if certificate:
        context.load_cert_chain(directory / f"{certificate}.pem", directory / f"{certificate}.key")
    return context


def connect(port, context, source="127.0.0.1", timeout=30):
    plain = socket.create_connection(("127.0.0.1", port), timeout, source_address=(source, 0))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return context.wrap_socket(plain, server_hostname="localhost")
    except BaseException:
        plain.close()
        raise


class Connection:
    """Requests one after the other."""

    def __init__(self, port, context, source="127.0.0.1", timeout=30):
        self.socket = connect(port, context, source, timeout)
        self._reader = self.socket.makefile("rb")
        self.is_open = True
        self.answers = 0

    def ask(self, path, method="GET", body=b"", headers=""):
        """Status, headers and body of the answer."""
        length = f"content-type: application/octet-stream\r\ncontent-length: {len(body)}\r\n" if body or method == "POST" else ""
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n{length}{headers}\r\n".encode() + body)
        return self.answer()

    def answer(self):
        line = self._reader.readline()
        if not line.startswith(b"HTTP/1.1 "):
            raise Broken(f"no answer, but {line!r}")
        status, headers = int(line[9:12]), {}
        while (line := self._reader.readline()) != b"\r\n":
            if not line:
                raise Broken("the head of the answer broke off")
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = self._body(headers)
        self.is_open = headers.get("connection", "").lower() != "close"
        self.answers += 1
        return status, headers, body

    def _body(self, headers):
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]))
        if headers.get("transfer-encoding") != "chunked":
            raise Broken("an answer without a length")
        pieces = []
        while size := int(self._reader.readline() or b"z", 16):
            pieces.append(self._exactly(size))
            self._exactly(2)
        self._exactly(2)
        return b"".join(pieces)

    def _exactly(self, count):
        data = self._reader.read(count)
        if len(data) != count:
            raise Broken(f"{len(data)} of {count} bytes")
        return data

    def close(self):
        self.is_open = False
        self.socket.close()
