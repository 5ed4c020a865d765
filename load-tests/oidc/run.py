"""A real OpenID Connect provider, `curl` and Chromium with Postern between them: signed and opaque tokens, keys that rotate,
logins and both ways to log out.
"""

import argparse
import base64
import contextlib
import json
import os
import pathlib
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import credentials  # noqa: E402, the path above comes first
import running  # noqa: E402
import webdriver  # noqa: E402

START_S = 30
UPSTREAM = HERE.parent / "upstream.py"


class Site:
    """The provider, the upstream and the addresses of all."""

    def __init__(self, directory):
        self.directory = directory
        self.port, self.shop, self.issuer_port = running.free_ports(3)
        self.issuer, self.gateway = f"http://127.0.0.1:{self.issuer_port}", f"https://localhost:{self.port}"
        self.secret = secrets.token_hex(16)
        credentials.make(directory)
        credentials.private(directory / "client.secret", self.secret)
        credentials.private(directory / "robot.secret", f"robot:{self.secret}")
        values = {"DIR": directory, "PORT": self.port, "SHOP": self.shop, "ISSUER": self.issuer_port}
        self.config = running.write_set(HERE / "set", directory, values)
        settings = directory / "provider.json"
        credentials.private(settings, json.dumps({"port": self.issuer_port, "gateway": self.gateway, "secret": self.secret}))
        self._processes = [
            subprocess.Popen([sys.executable, UPSTREAM, str(self.shop), "shop"], stdin=subprocess.DEVNULL),
            subprocess.Popen(
                ["node", str(HERE / "provider.mjs"), str(settings)], stdin=subprocess.DEVNULL,
                stdout=(directory / "provider.log").open("wb"), stderr=subprocess.STDOUT,
                env=os.environ | {"NODE_EXTRA_CA_CERTS": str(directory / "ca.pem")}),
        ]
        self._wait()

    def _wait(self):
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.issuer}/.well-known/openid-configuration", timeout=5).close()
                return
            time.sleep(0.05)
        raise SystemExit(f"the provider does not answer:\n{(self.directory / 'provider.log').read_text()}")

    def close(self):
        for process in self._processes:
            process.kill()
            process.wait()

    def ask_issuer(self, path, **form):
        """POSTs a form to the issuer as the robot."""
        request = urllib.request.Request(self.issuer + path, urllib.parse.urlencode(form).encode())
        basic = base64.b64encode(f"robot:{self.secret}".encode()).decode()
        request.add_header("authorization", f"Basic {basic}")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                body = answer.read()
                return json.loads(body) if body else {}
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.code} {error.read().decode()[:300]}") from None

    def robot_token(self, resource):
        return self.ask_issuer("/token", grant_type="client_credentials", scope="read", resource=resource)["access_token"]

    def curl(self, path, *arguments):
        """Status and body, by curl."""
        command = ["curl", "--silent", "--show-error", "--cacert", str(self.directory / "ca.pem"), "--write-out", "\n%{http_code}",
                   *arguments, f"{self.gateway}{path}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def bearer(self, token, path="/orders"):
        return self.curl(path, "--header", f"authorization: Bearer {token}")


def until(what, want, ask, seconds=20):
    """Asks until the answer is `want`: what is remembered for a second is remembered that long."""
    deadline = time.monotonic() + seconds
    while (got := ask()) != want:
        assert time.monotonic() < deadline, f"{what}: {got}, and not {want}"
        time.sleep(0.1)


def signed_tokens(site):
    """`curl` with a token that the issuer signed."""
    assert site.curl("/orders")[0] == 401
    token = site.robot_token("https://app.oidc.test")
    assert site.bearer(token) == (200, "shop /orders"), site.bearer(token)
    assert site.bearer(token[:-4] + "AAAA")[0] == 401


def keys_rotate(site):
    """A new key is found without a failed request; one that was taken away verifies nothing."""
    old = site.robot_token("https://app.oidc.test")
    assert site.bearer(old)[0] == 200
    site.ask_issuer("/test/rotate")
    new = site.robot_token("https://app.oidc.test")
    assert site.bearer(new)[0] == 200, "whoever comes first with the new key waits for it"
    assert site.bearer(old)[0] == 200


def opaque_tokens(site):
    """The issuer is asked about tokens that only it can read; one that is revoked is refused a second later."""
    token = site.robot_token("https://opaque.oidc.test")
    assert "." not in token, token
    assert site.bearer(token, "/opaque/orders") == (200, "shop /opaque/orders"), site.bearer(token, "/opaque/orders")
    site.ask_issuer("/token/revocation", token=token)
    until("a revoked token", 401, lambda: site.bearer(token, "/opaque/orders")[0])


def log_in(browser, site, path, name="mia"):
    browser.go(f"{site.gateway}{path}")
    browser.wait(f"return document.querySelector('input[name=login]') !== null || location.href === '{site.gateway}{path}'")
    if browser.url.startswith(site.gateway):
        return  # the issuer knew the browser
    browser.type("input[name=login]", name)
    browser.type("input[name=password]", "anything")
    browser.click("button[type=submit]")
    # The library asks once more whether the client may.
    browser.wait(f"return location.href.startsWith('{site.gateway}') || /continue/i.test(document.body.innerText)")
    if browser.url.startswith(site.issuer):
        browser.click("button[type=submit]")
    browser.wait(f"return location.href === '{site.gateway}{path}'")


def a_browser_logs_in(site, browser):
    """Chromium is sent to the issuer and comes back to the page that it asked for."""
    log_in(browser, site, "/orders?page=2")
    assert browser.text.strip() == "shop /orders?page=2", browser.text
    cookie = browser.cookies()["__Host-postern-session"]
    assert cookie["httpOnly"] and cookie["secure"] and cookie["sameSite"] == "Lax" and cookie["path"] == "/", cookie
    assert browser.run("return document.cookie") == "", "no script sees it"
    browser.go(f"{site.gateway}/invoices")
    assert browser.text.strip() == "shop /invoices", browser.text


def a_script_is_told_and_not_sent_away(site, browser):
    """A page whose session has ended gets a 401 for what its scripts ask."""
    browser.go(f"{site.gateway}/page")
    session = browser.cookies()["__Host-postern-session"]["value"]
    browser.forget()
    assert browser.run("return fetch('/orders').then(answer => answer.status)") == 401
    assert site.curl("/orders", "--cookie", f"__Host-postern-session={session}")[0] == 200, "curl can bring the cookie"


def the_user_logs_out(site, browser):
    """A POST of the page itself ends the session; the cookie that somebody kept is worth nothing."""
    log_in(browser, site, "/orders")
    session = browser.cookies()["__Host-postern-session"]["value"]
    assert site.curl("/orders", "--cookie", f"__Host-postern-session={session}")[0] == 200
    foreign = site.curl("/.postern/logout", "--request", "POST", "--header", "origin: https://evil.example",
                        "--cookie", f"__Host-postern-session={session}")
    assert foreign[0] == 403, foreign
    browser.run("""
        const form = document.createElement('form');
        form.method = 'post'; form.action = '/.postern/logout';
        document.body.append(form); form.submit();
    """)
    browser.wait(f"return location.href.startsWith('{site.issuer}')")
    assert site.curl("/orders", "--cookie", f"__Host-postern-session={session}")[0] == 401


def the_issuer_logs_out(site, browser):
    """Who logs out at the issuer is logged out here: it says so over the back channel."""
    log_in(browser, site, "/orders", "ned")
    session = browser.cookies()["__Host-postern-session"]["value"]
    assert site.curl("/orders", "--cookie", f"__Host-postern-session={session}")[0] == 200
    browser.go(f"{site.issuer}/session/end?client_id=shop")
    browser.wait("return document.querySelector('button[name=logout]') !== null")
    browser.click("button[name=logout]")
    until("a session that the issuer ended", 401,
          lambda: site.curl("/orders", "--cookie", f"__Host-postern-session={session}")[0])


def the_log_is_whole(site, postern):
    """Everything left a record; no code and no cookie is in one."""
    text = "\n".join(json.dumps(record) for record in postern.records())
    rules = {"built-in login", "built-in logout", "built-in back-channel-logout"}
    assert all(rule in text for rule in rules), [rule for rule in rules if rule not in text]
    assert "code=" not in text and "__Host-postern" not in text and site.secret not in text + postern.text()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postern", required=True, help="the binary")
    options = parser.parse_args()
    passed, failed = 0, 0

    def step(check, *arguments):
        nonlocal passed, failed
        try:
            check(*arguments)
        except (AssertionError, RuntimeError, OSError, subprocess.SubprocessError, KeyError) as error:
            failed += 1
            print(f"FAILED {check.__name__}: {error!r}")
        else:
            passed += 1
            print(f"ok     {check.__name__}: {check.__doc__.splitlines()[0]}")

    with running.folder("oidc") as directory:
        site = Site(directory)
        try:
            with running.Postern(options.postern, site.config) as postern:
                for check in (signed_tokens, keys_rotate, opaque_tokens):
                    step(check, site)
                with webdriver.Browser() as browser:
                    for check in (a_browser_logs_in, a_script_is_told_and_not_sent_away, the_user_logs_out):
                        step(check, site, browser)
                with webdriver.Browser() as browser:
                    step(the_issuer_logs_out, site, browser)
                step(the_log_is_whole, site, postern)
                if failed:
                    print(postern.text()[-3000:])
                    print((directory / "provider.log").read_text()[-2000:])
        finally:
            site.close()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
