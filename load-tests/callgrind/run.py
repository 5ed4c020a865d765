"""Instructions per request of a plain route with the whole chain: mTLS, a bound token seen before, three limits, roles and a
Cedar rule, a credential for the upstream, one signed record.

Starts `postern run` under callgrind, sends windows of requests on one keep-alive connection, and reads callgrind's counter
between them, so that start, handshake and first sight of the token are not counted. Counts are of the whole process, all
threads, and do not depend on what else the machine does.
"""

import argparse
import contextlib
import http.server
import pathlib
import re
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import credentials  # noqa: E402, the path above comes first
import running  # noqa: E402

READY_WITHIN_S = 300
STOPPED_WITHIN_S = 120
ANSWER = b'{"orders":[]}'


class Orders(http.server.BaseHTTPRequestHandler):
    """The upstream: answers every GET with the same small body and keeps the connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)
        )

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def upstream():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Orders)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def under_callgrind(postern, config, out, log):
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", postern, "run", "--config", str(config)]
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def connect(process, port, directory, log):
    """A TLS connection as the client, as soon as somebody accepts it."""
    context = ssl.create_default_context(cafile=directory / "ca.pem")
    context.load_cert_chain(directory / "client.pem", directory / "client.key")
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            plain = socket.create_connection(("127.0.0.1", port), 60)
        except ConnectionRefusedError:
            time.sleep(0.05)
            continue
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(plain, server_hostname="localhost")
    raise SystemExit(f"postern did not listen (status {process.poll()}):\n{log.read_text(errors='replace')}")


class Client:
    """Requests one after the other on one connection; anything but the upstream's answer ends the measurement."""

    def __init__(self, connection, token):
        self.connection = connection
        self.reader = connection.makefile("rb")
        self.request = f"GET /orders/17 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n".encode()

    def send(self, count):
        for _ in range(count):
            self.connection.sendall(self.request)
            self.answer()

    def answer(self):
        status = self.reader.readline()
        length = 0
        head = []
        while (line := self.reader.readline()) not in (b"\r\n", b""):
            head.append(line)
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = self.reader.read(length)
        if not status.startswith(b"HTTP/1.1 200") or body != ANSWER:
            raise SystemExit(f"not the upstream's answer: {(status + b''.join(head) + body).decode(errors='replace')}")


def dump(process):
    """Writes what was counted since the last dump to the next numbered file, and begins at zero."""
    subprocess.run(["callgrind_control", "-d", str(process.pid)], check=True, capture_output=True, timeout=60)


def instructions(path):
    return int(re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.MULTILINE)[1])


def measure(postern, windows, count, directory, out):
    token = credentials.make(directory)
    port, health = running.free_ports(2)
    log = directory / "postern.log"
    with upstream() as upstream_port:
        values = {"DIR": directory, "PORT": port, "HEALTH": health, "UPSTREAM": upstream_port}
        config = running.write_set(HERE / "set", directory, values)
        subprocess.run([postern, "validate", "--config", str(config)], check=True)
        with under_callgrind(postern, config, out, log) as process:
            client = Client(connect(process, port, directory, log), token)
            client.send(count)
            dump(process)
            for _ in range(windows):
                client.send(count)
                dump(process)
            client.connection.close()
    # The first file is the warm-up's, the last one the shutdown's.
    return [instructions(out.with_name(f"{out.name}.{window + 2}")) / count for window in range(windows)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postern", required=True, help="the optimised binary")
    parser.add_argument("--windows", type=int, default=5, help="windows measured after one that warms up")
    parser.add_argument("--requests", type=int, default=500, help="requests of a window")
    parser.add_argument("--keep", type=pathlib.Path, help="directory for callgrind's files, for callgrind_annotate")
    parser.add_argument("--at-most", type=int, help="fail above this many instructions per request")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="postern-callgrind-") as directory:
        directory = pathlib.Path(directory)
        counts = measure(options.postern, options.windows, options.requests, directory, directory / "callgrind.out")
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            for file in directory.glob("callgrind.out*"):
                shutil.copy(file, options.keep)
    print("instructions per request, by window:", ", ".join(f"{count:,.0f}" for count in counts))
    median = statistics.median(counts)
    print(f"instructions per request: {median:,.0f} (median of {options.windows} windows of {options.requests} requests)")
    if options.at_most and median > options.at_most:
        raise SystemExit(f"more than {options.at_most:,}")


if __name__ == "__main__":
    main()
