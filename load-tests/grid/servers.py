"""The servers of the grid: started on a free port with their files in one folder, and asked afterwards what they got."""

import base64
import dataclasses
import hashlib
import http.client
import json
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.parse

import running

HERE = pathlib.Path(__file__).resolve().parent / "origins"
READY_WITHIN_S = 30
LAST = "/last-request-of-the-run"


@dataclasses.dataclass
class Got:
    """One request as a server understood it, or what it `declined` to understand."""

    method: str = ""
    target: str = ""  # as it came
    path: str = ""  # as the server reads it
    headers: list = dataclasses.field(default_factory=list)  # (name in lower case, value)
    length: int = 0
    digest: str = ""
    declined: str = ""


class Server:
    """One server; `command(port)` starts it, `read` makes a `Got` of a line it logged."""

    name = ""

    def __init__(self, directory):
        self.directory = directory
        self.log = directory / f"{self.name}.log"
        [self.port] = running.free_ports(1)

    def __enter__(self):
        self.log.touch()
        self.said = (self.directory / f"{self.name}.said").open("wb")
        self._process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=self.stdout(), stderr=self.said)
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.said.close()

    def stdout(self):
        return self.said

    def write(self, name):
        """A file of ours, with its values filled in."""
        values = {"DIR": self.directory, "HERE": self.directory, "PORT": self.port}
        path = self.directory / name
        path.write_text(running.filled((HERE / name).read_text(), values))
        path.chmod(0o644)
        return path

    def _wait(self):
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                return self._ask("/first-request-of-the-run")
            except OSError:
                time.sleep(0.05)
        said = (self.directory / f"{self.name}.said").read_text(errors="replace")
        errors = "".join(file.read_text(errors="replace") for file in self.directory.glob(f"{self.name}.errors"))
        raise SystemExit(f"{self.name} does not serve (status {self._process.poll()}):\n{said}{errors}")

    def _ask(self, target):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", target)
        status = connection.getresponse().status
        connection.close()
        if status != 200:
            raise SystemExit(f"{self.name} answers {status}")

    def got(self):
        """All requests it got between start and now."""
        self._ask(LAST)
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            all_got = [self.read(line) for line in self.log.read_bytes().splitlines() if line]
            if all_got and all_got[-1].target == LAST:
                return all_got[1:-1]
            time.sleep(0.05)
        raise SystemExit(f"{self.name} did not log its last request; its log ends with {self.log.read_bytes()[-300:]}")

    def command(self):
        raise NotImplementedError

    def read(self, line):
        """Of a line of JSON."""
        told = json.loads(line.decode("utf-8", "surrogateescape"))
        if "declined" in told:
            return Got(declined=str(told))
        headers = [(name.lower(), value) for name, value in told.pop("headers")]
        return Got(headers=headers, **told)


class Nginx(Server):
    name = "nginx"

    def command(self):
        self.write("echo.js")
        config = self.write("nginx.conf")
        return ["/usr/sbin/nginx", "-p", self.directory, "-e", self.directory / "nginx.errors", "-c", config]


class Haproxy(Server):
    name = "haproxy"

    def command(self):
        return ["/usr/sbin/haproxy", "-db", "-f", self.write("haproxy.cfg")]

    def stdout(self):
        return self.log.open("wb")

    def read(self, line):
        status, *fields = line.decode().split(" ")
        if status != "200" or len(fields) != 6:
            return Got(declined=line.decode())
        method, target, path, headers = (base64.b64decode(field).decode("latin-1") for field in fields[:4])
        pairs = [each.split(":", 1) for each in headers.split("\r\n") if each]
        length = int(fields[4])
        digest = fields[5].lower() if length else hashlib.sha256(b"").hexdigest()
        return Got(method, target, path, [(name.lower(), value.strip(" \t")) for name, value in pairs], length, digest)


class Apache(Server):
    name = "apache"
    _forensic = {}

    def command(self):
        self.write("echo.lua")
        return ["/usr/sbin/apache2", "-DFOREGROUND", "-f", self.write("apache.conf")]

    def read(self, line):
        forensic, status, *fields = line.decode().split(" ")
        if status not in ("200", "206") or len(fields) != 5:
            return Got(declined=line.decode())
        method, target, path, length, body = (base64.b64decode(field) for field in fields)
        return Got(
            method.decode("latin-1"), target.decode("latin-1"), path.decode("latin-1"), self._headers(forensic),
            int(length), hashlib.sha256(body).hexdigest() if body or length == b"0" else "",
        )

    def _headers(self, forensic):
        """From mod_log_forensic: `+ID|request line|Name:value|…`, odd bytes as `%xx`."""
        if forensic not in self._forensic:
            lines = (self.directory / "apache.forensic").read_text(encoding="latin-1").splitlines()
            self._forensic = {line[1:].split("|", 1)[0]: line for line in lines if line.startswith("+")}
        _, _, *lines = self._forensic[forensic].split("|")
        pairs = [urllib.parse.unquote(line, "latin-1").split(":", 1) for line in lines]
        return [(name.lower(), value.strip(" \t")) for name, value in pairs]


class Python(Server):
    name = "python"

    def command(self):
        return [sys.executable, "-u", HERE / "echo_server.py", str(self.port)]

    def stdout(self):
        return self.log.open("wb")


class Node(Server):
    name = "node"

    def command(self):
        return [shutil.which("node") or "nodejs", HERE / "echo.mjs", str(self.port)]

    def stdout(self):
        return self.log.open("wb")


ALL = (Nginx, Haproxy, Apache, Python, Node)
