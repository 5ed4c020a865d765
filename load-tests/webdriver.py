"""As much of WebDriver (https://www.w3.org/TR/webdriver2/) as a login takes, over chromedriver."""

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request

import running

START_S = 30
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """A headless Chromium with a profile of its own."""

    def __init__(self, arguments=()):
        self.port = running.free_ports(1)[0]
        driver = shutil.which("chromedriver") or "/usr/bin/chromedriver"
        self._driver = subprocess.Popen(
            [driver, f"--port={self.port}", "--log-level=SEVERE"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self._wait_for_driver()
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *arguments]}
        capabilities = {"alwaysMatch": {"acceptInsecureCerts": True, "goog:chromeOptions": options}}
        self._session = ""
        self._session = "/session/" + self._call("POST", "/session", {"capabilities": capabilities})["sessionId"]

    def _wait_for_driver(self):
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, urllib.error.URLError):
                if self._call("GET", "/status", session=False)["ready"]:
                    return
            time.sleep(0.05)
        raise SystemExit("chromedriver does not answer")

    def _call(self, method, path, body=None, session=True):
        prefix = self._session if session else ""
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{prefix}{path}", data, method=method)
        request.add_header("content-type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {json.load(error)['value'].get('message', '')[:300]}") from None

    def go(self, url):
        self._call("POST", "/url", {"url": url})

    @property
    def url(self):
        return self._call("GET", "/url")

    @property
    def text(self):
        """What the page shows."""
        return self.run("return document.body ? document.body.innerText : ''")

    def run(self, script, *arguments):
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script, seconds=20):
        """Waits until `script` returns something true, which is returned."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(RuntimeError):  # the page is being left
                if found := self.run(script):
                    return found
            time.sleep(0.05)
        raise AssertionError(f"did not come to pass within {seconds} s: {script}; the browser is at {self.url}: {self.text[:300]}")

    def type(self, selector, text):
        element = self._call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]
        self._call("POST", f"/element/{element}/value", {"text": text})

    def click(self, selector):
        element = self._call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]
        self._call("POST", f"/element/{element}/click")

    def cookies(self):
        return {cookie["name"]: cookie for cookie in self._call("GET", "/cookie")}

    def forget(self):
        self._call("DELETE", "/cookie")

    def close(self):
        with contextlib.suppress(RuntimeError, OSError):
            self._call("DELETE", "")
        self._driver.terminate()
        self._driver.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
