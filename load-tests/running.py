"""A running `postern run` over manifests of ours, and what can be seen of it from outside: its log, its memory, its time."""

import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import socket
import subprocess
import tempfile
import threading
import time

READY_WITHIN_S = 120
STOPPED_WITHIN_S = 60
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def free_ports(count):
    """Ports nobody listens on now. The sockets are open together, so the ports differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def write_set(source, directory, values):
    """The bootstrap and manifests in `source` with the values filled in; returns the bootstrap's path."""
    for file in sorted(source.rglob("*.yaml")):
        copy = directory / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(filled(file.read_text(), values))
    (directory / "state").mkdir(mode=0o700, exist_ok=True)
    return directory / "postern.yaml"


def filled(text, values):
    """`text` with what stands between @…@ replaced."""
    return re.sub(r"@([A-Z_]+)@", lambda found: str(values[found[1]]), text)


@contextlib.contextmanager
def folder(name):
    """A temporary folder that other users may enter, since servers give up root, but not read."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"postern-{name}-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def raise_descriptor_limit(count):
    """Lets this process and those it starts have `count` descriptors each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(hard, count)))
    except (ValueError, OSError) as error:
        raise SystemExit(f"{count} descriptors are needed, the limit is {hard} and cannot be raised: {error}") from error


class Postern:
    """`with Postern(binary, config) as postern`: started, listening, and stopped in the end."""

    def __init__(self, binary, config):
        self.binary, self.config = binary, config
        self.log = config.parent / "postern.log"

    def __enter__(self):
        checked = subprocess.run([self.binary, "validate", "--config", str(self.config)], capture_output=True, text=True)
        if checked.returncode != 0:
            raise SystemExit(f"the set does not load:\n{checked.stdout}{checked.stderr}")
        with self.log.open("wb") as sink:
            command = [self.binary, "run", "--config", str(self.config)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT)
        self.pid = self._process.pid
        try:
            facts = self._wait()
        except BaseException:
            self.stop()
            raise
        self.vkey, self.audit = facts["vkey"], pathlib.Path(facts["log"])
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Asks it to go and waits; returns its exit status. Killed where it does not go."""
        self._process.terminate()
        try:
            return self._process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def is_running(self):
        return self._process.poll() is None

    def _wait(self):
        """The line it logs once it serves."""
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline and self.is_running():
            for event in self.events():
                if event.get("message") == "serving":
                    return event
            time.sleep(0.02)
        raise SystemExit(f"postern does not serve (status {self._process.poll()}):\n{self.text()}")

    def text(self):
        return self.log.read_text(errors="replace")

    def events(self):
        """What it logged to standard error, as far as it is whole lines."""
        for line in self.text().splitlines():
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                yield {**event, **event.get("fields", {})}

    def records(self):
        """The records of its audit log, in order, as far as they are whole lines: the last one may be on its way."""
        for file in sorted((self.audit / "records").glob("*.jsonl")):
            written = file.read_bytes()
            for line in written[: written.rfind(b"\n") + 1].splitlines():
                yield json.loads(line)["record"]

    def verify(self):
        """What `postern audit verify` says of the log: exit status and report."""
        command = [self.binary, "audit", "verify", str(self.audit), "--key", self.vkey, "--format", "json"]
        done = subprocess.run(command, capture_output=True, text=True)
        try:
            return done.returncode, json.loads(done.stdout)
        except ValueError:
            return done.returncode, {"error": done.stdout + done.stderr}


def is_request(record):
    return record["class_uid"] == 6003


def facts(record):
    """What a record says beyond OCSF."""
    return record["unmapped"]["postern"]


def rss_mib(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 2**20


def cpu_s(pid):
    """Seconds of processor time spent by all threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Sampler:
    """Watches a process while the block runs: `samples` of (seconds, RSS in MiB, descriptors), `cpu` seconds spent."""

    def __init__(self, pid, every_s=0.1):
        self.pid, self.every_s, self.samples, self.cpu = pid, every_s, [], 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._began, self._cpu_before = time.monotonic(), cpu_s(self.pid)
        self._take()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(FileNotFoundError):
            self._take()
            self.cpu = cpu_s(self.pid) - self._cpu_before
        self.seconds = time.monotonic() - self._began

    def _run(self):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            while not self._stop.wait(self.every_s):
                self._take()

    def _take(self):
        self.samples.append((time.monotonic() - self._began, rss_mib(self.pid), descriptors(self.pid)))

    def peak_rss(self):
        return max(rss for _, rss, _ in self.samples)

    def cores(self):
        return self.cpu / max(self.seconds, 0.001)
