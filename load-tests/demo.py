"""A running `postern demo --stay`, for tests and measurements that talk to it over the wire."""

import json
import pathlib
import signal
import ssl
import subprocess
import tempfile
import time

READY_WITHIN_S = 120
STOPPED_WITHIN_S = 30
FIELDS = ("url", "ca", "cert", "key", "token")


class Demo:
    """Starts the demo on free ports with throw-away keys; `with Demo(path) as demo` stops it again."""

    def __init__(self, postern):
        self._postern = postern

    def __enter__(self):
        self._directory = tempfile.TemporaryDirectory(prefix="postern-demo-")
        directory = pathlib.Path(self._directory.name)
        self.path = directory / "site"  # the demo builds it
        self.log = directory / "demo.log"
        command = [self._postern, "demo", "--stay", "--dir", str(self.path)]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            self.facts = self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._directory.cleanup()

    def tls(self):
        """What a client needs: the demo's CA only, and the client certificate of the demo."""
        context = ssl.create_default_context(cafile=self.facts["ca"])
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.facts["cert"], self.facts["key"])
        return context

    def _wait(self):
        """The contents of `demo.json`, which the demo writes once it accepts connections."""
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            facts = self._read()
            if facts:
                return facts
            try:
                status = self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            raise RuntimeError(f"the demo ended with status {status}:\n{self.log.read_text(errors='replace')}")
        raise RuntimeError(f"no demo.json within {READY_WITHIN_S} s:\n{self.log.read_text(errors='replace')}")

    def _read(self):
        try:
            facts = json.loads((self.path / "demo.json").read_bytes())
        except (FileNotFoundError, ValueError):  # not written yet, or half of it
            return None
        missing = [field for field in FIELDS if field not in facts]
        if missing:
            raise RuntimeError(f"demo.json lacks {', '.join(missing)}")
        return facts
