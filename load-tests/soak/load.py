"""The soak's clients. Each runs in a process of its own, knows for every request whether policy allows it, and keeps account."""

import collections
import contextlib
import hashlib
import itertools
import ssl
import time

import client
import raw_h2

FAILURES = (OSError, ssl.SSLError, client.Broken, ValueError)
EITHER = "either"


class Account:
    """What a client asked and what became of it."""

    def __init__(self):
        self.asked = collections.Counter()
        self.failures = []  # (kind, began, ended, what)
        self.forbidden = []  # answers that policy forbids
        self.certificates = set()

    def note(self, kind, began, want, status, body=b""):
        """`want` is the status that policy and upstream make, or `EITHER` where the policy of the moment decides."""
        self.asked[kind] += 1
        good = status in (200, 403) if want == EITHER else status == want
        if want not in (200, EITHER) and (status < 400 or any(name in body for name in (b"steady", b"flaky", b"pair"))):
            self.forbidden.append((kind, status, body[:80]))
        elif not good:
            self.failures.append((kind, began, time.monotonic(), f"answer {status}"))

    def fail(self, kind, began, error):
        self.asked[kind] += 1
        self.failures.append((kind, began, time.monotonic(), repr(error)))


class Http1:
    """Requests one after the other on a connection that is kept for thirty of them."""

    KEPT = 30

    def __init__(self, site, account, certificate="client"):
        self.site, self.account = site, account
        self._tls = client.tls(site.directory, certificate=certificate)
        self._connection = None

    def ask(self, kind, path, want, method="GET", body=b"", length=None):
        began = time.monotonic()
        try:
            connection = self._open()
            status, _, answer = connection.ask(path, method, body)
            if status == 200 and length is not None and len(answer) != length:
                raise client.Broken(f"{len(answer)} of {length} bytes")
            self.account.note(kind, began, want, status, answer)
        except FAILURES as error:
            self.account.fail(kind, began, error)
            self.close()

    def _open(self):
        if self._connection is None or not self._connection.is_open or self._connection.answers >= self.KEPT:
            self.close()
            self._connection = client.Connection(self.site.port, self._tls)
            shown = self._connection.socket.getpeercert(binary_form=True)
            self.account.certificates.add(hashlib.sha256(shown).hexdigest())
        return self._connection

    def close(self):
        if self._connection:
            self._connection.close()
        self._connection = None


def plain(site, account, is_over, pause):
    """Small requests, some of them for what policy forbids."""
    http1, folders = Http1(site, account), itertools.cycle(["odd", "even"])
    while not is_over():
        http1.ask("allowed", "/orders/17", 200)
        http1.ask("forbidden path", "/private/orders", 403)
        http1.ask("forbidden in turn", f"/{next(folders)}/x", EITHER)
        http1.ask("forbidden method", "/orders/17", 403, "DELETE")
        pause()
    http1.close()


def strangers(site, account, is_over, pause):
    """A principal of another tenant, and one without a certificate."""
    globex = Http1(site, account, "globex")
    bare = client.tls(site.directory, certificate=None)
    while not is_over():
        globex.ask("other tenant", "/orders/17", 403)
        with contextlib.suppress(*FAILURES):
            connection = client.Connection(site.port, bare)
            status, _, body = connection.ask("/orders/17")
            account.forbidden.append(("no certificate", status, body[:80]))
        pause()
        pause()
    globex.close()


def large(site, account, is_over, pause):
    """Bodies of a mebibyte up, two down, streams, and a body above the limit."""
    http1 = Http1(site, account)
    up, over = b"u" * 2**20, b"o" * (2**21 + 1)
    while not is_over():
        http1.ask("large up", "/up", 200, "POST", up)
        http1.ask("large down", f"/bytes/{2**21}", 200, length=2**21)
        http1.ask("streamed", "/events/20", 200)
        too_large(site, account, http1, over)
        pause()
    http1.close()


def too_large(site, account, http1, body):
    """A refusal may come while the body is still on its way, and end the connection."""
    began = time.monotonic()
    http1.close()
    try:
        connection = http1._open()
        with contextlib.suppress(OSError):
            head = f"POST /up HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\ncontent-length: {len(body)}\r\n\r\n"
            connection.socket.sendall(head.encode())
        status, _, answer = connection.answer()
        account.note("too large", began, 413, status, answer)
    except FAILURES as error:
        account.fail("too large", began, error)
    http1.close()


def flaky(site, account, is_over, pause):
    """Requests to the upstream that is killed every five seconds."""
    http1 = Http1(site, account)
    while not is_over():
        http1.ask("flaky", "/flaky/orders", 200)
        pause()
    http1.close()


def pair(site, account, is_over, pause):
    """Requests to two endpoints of which one after the other is killed: there is always one that could answer."""
    http1 = Http1(site, account)
    while not is_over():
        http1.ask("pair", "/pair/orders", 200)
        pause()
    http1.close()


def http2(site, account, is_over, pause):
    """Six streams at once on a connection that is kept for twenty rounds."""
    tls = client.tls(site.directory, "h2")
    wanted = [("/orders/17", 200), ("/private/x", 403), ("/bytes/100000", 200), ("/odd/x", EITHER), ("/events/5", 200), ("/even/x", EITHER)]
    while not is_over():
        with contextlib.ExitStack() as stack:
            connection, reader = None, raw_h2.Reader()
            for turn in range(20):
                began = time.monotonic()
                streams = {1 + 2 * (turn * len(wanted) + at): want for at, (_, want) in enumerate(wanted)}
                try:
                    if connection is None:
                        connection = stack.enter_context(client.connect(site.port, tls))
                        connection.sendall(raw_h2.start() + raw_h2.window_update(0, 2**30))
                    heads = [raw_h2.headers(stream, raw_h2.request("localhost", path)) for stream, (path, _) in zip(streams, wanted, strict=True)]
                    connection.sendall(b"".join(heads))
                    round_trip(connection, reader, account, streams, began)
                except FAILURES as error:
                    for _ in streams:
                        account.fail("http2", began, error)
                    break
                pause()
                if is_over():
                    break


def round_trip(connection, reader, account, streams, began):
    """Reads until every stream has ended."""
    statuses, bodies = {}, collections.Counter()
    while streams:
        received = connection.recv(65536)
        if not received:
            raise client.Broken("the connection ended")
        for frame in reader.feed(received):
            if frame.kind == raw_h2.SETTINGS and not frame.flags & raw_h2.ACK:
                connection.sendall(raw_h2.settings(ack=True))
            elif frame.kind == raw_h2.GOAWAY or frame.kind == raw_h2.RST_STREAM:
                raise client.Broken(f"{frame}")
            elif frame.kind == raw_h2.HEADERS:
                statuses[frame.stream] = reader.status(frame)
            elif frame.kind == raw_h2.DATA and frame.payload:
                bodies[frame.stream] += len(frame.payload)
                connection.sendall(raw_h2.window_update(frame.stream, len(frame.payload)))
            if frame.kind in (raw_h2.HEADERS, raw_h2.DATA) and frame.flags & raw_h2.END_STREAM and frame.stream in streams:
                account.note("http2", began, streams.pop(frame.stream), statuses.get(frame.stream, 0))


CLIENTS = {"plain": plain, "strangers": strangers, "large": large, "flaky": flaky, "pair": pair, "http2": http2}
