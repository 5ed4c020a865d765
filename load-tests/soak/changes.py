"""What changes while the soak goes on: the policy, the certificate, and whether the flaky upstream is there."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import credentials

CHANGE_EVERY_S = 2
KILL_EVERY_S = 5
DOWN_S = 0.5
CERTIFICATES = 4
UPSTREAM = pathlib.Path(__file__).resolve().parent.parent / "upstream.py"

# In turn one of two folders is forbidden. Which one held is in the digest of the set that decided.
TOGGLE = """apiVersion: secure.platformspec.io/v1alpha1
kind: AccessControlPolicy
metadata: {{name: toggle-{folder}}}
spec:
  targetSelector: {{kind: Route, matchLabels: {{tenant: acme}}}}
  rules:
    - {{name: not-{folder}, effect: Forbid, actions: [observe, modify], when: "context.http.path like \\"/{folder}/*\\""}}
"""
FOLDERS = ("odd", "even")


class Files:
    """Replaces policy and certificate as tools do: written elsewhere, moved into place."""

    def __init__(self, directory):
        self.directory, self.changes = directory, 0
        ca = directory / "ca.pem", directory / "ca.key"
        for number in range(CERTIFICATES):
            folder = directory / f"certificate-{number}"
            folder.mkdir()
            credentials.certificate(folder, ca, "server", "DNS:localhost", "serverAuth")
        self.change()

    def change(self):
        folder = FOLDERS[self.changes % 2]
        draft = self.directory / "toggle.draft"
        draft.write_text(TOGGLE.format(folder=folder))
        draft.rename(self.directory / "manifests" / "toggle.yaml")
        link = self.directory / "live.draft"
        link.symlink_to(f"certificate-{self.changes % CERTIFICATES}")
        os.replace(link, self.directory / "live")
        self.changes += 1


class Upstream:
    """An upstream that can be killed and started again on its port; remembers when it was not there."""

    def __init__(self, port, name):
        self.port, self.name, self.away, self.deaths = port, name, [], []
        self._process = None

    def start(self):
        self._process = subprocess.Popen([sys.executable, UPSTREAM, str(self.port), self.name], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port), 5):
                return
            time.sleep(0.01)
        raise SystemExit(f"upstream {self.name} does not listen")

    def kill(self):
        self._process.kill()
        self._process.wait()

    def fail_for(self, seconds):
        began = time.monotonic()
        self.kill()
        self.deaths.append((began, time.monotonic()))
        time.sleep(seconds)
        self.start()
        self.away.append((began, time.monotonic()))

    def was_dying(self, began, ended):
        """Whether it was being killed at some moment between. That takes a while, in which its sockets still take requests."""
        return any(asked < ended and began < dead for asked, dead in self.deaths)

    def was_away(self, began, ended):
        """Whether it was away at some moment between."""
        return any(gone < ended and began < back for gone, back in self.away)


class Pair:
    """Two endpoints of one upstream, of which one after the other is killed."""

    def __init__(self, ports):
        self.endpoints = [Upstream(port, f"pair-{number}") for number, port in enumerate(ports)]
        self.killed = 0

    def start(self):
        for endpoint in self.endpoints:
            endpoint.start()

    def kill(self):
        for endpoint in self.endpoints:
            endpoint.kill()

    def fail_one(self):
        self.endpoints[self.killed % 2].fail_for(DOWN_S)
        self.killed += 1

    def was_dying(self, began, ended):
        return any(endpoint.was_dying(began, ended) for endpoint in self.endpoints)


class Clock:
    """Calls `action` every so many seconds in a thread, while the block runs; an exception of it comes out at the end."""

    def __init__(self, every_s, action):
        self.every_s, self.action, self.error = every_s, action, None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        if self.error:
            raise self.error

    def _run(self):
        while not self._stop.wait(self.every_s):
            try:
                self.action()
            except BaseException as error:  # noqa: BLE001, raised by the main thread
                self.error = error
                return
