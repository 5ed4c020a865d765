"""Readers agree: what policy saw of a body is what every reader behind it reads, or not a byte of it was forwarded.

Cases of corpus.py go through a running Postern to a server that keeps what it gets. Of what is forwarded: Python's, Node's and Go's
ways of reading JSON see the same model (the one in the record), the same bounds (those of policy), the same texts, and nowhere the
word that policy cuts out; and what held no such word is forwarded byte for byte. Prints a table by family and exits with 1 on any
difference.
"""

import argparse
import collections
import dataclasses
import http.server
import json
import pathlib
import sys
import threading
import zlib

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import client  # noqa: E402, the path above comes first
import corpus  # noqa: E402
import credentials  # noqa: E402
import readers  # noqa: E402
import running  # noqa: E402

SAID = json.dumps({
    "id": "c", "object": "chat.completion", "created": 1, "model": "small",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
}).encode()
MOST = {"max_tokens": 1000, "temperature": 1}


class Server(http.server.BaseHTTPRequestHandler):
    """Keeps every body as it comes, by the number of its case."""

    protocol_version = "HTTP/1.1"
    got = {}

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        self.got.setdefault(int(self.headers["x-case"]), []).append((self.headers, body))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(SAID)))
        self.end_headers()
        self.wfile.write(SAID)


class Asker:
    """Sends cases one after the other, on a connection that is kept while it lasts."""

    def __init__(self, port, directory):
        self.port, self.tls, self.connection = port, client.tls(directory), None

    def ask(self, number, case):
        """The status of the answer."""
        if self.connection is None or not self.connection.is_open:
            self.connection = client.Connection(self.port, self.tls)
        path = "/plain" if case.plain else "/v1/chat/completions"
        coding = f"content-encoding: {case.coding.strip(chr(0))}\r\n" if case.coding else ""
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\nx-case: {number}\r\ncontent-type: {case.content_type}\r\n{coding}content-length: {len(case.body)}\r\n\r\n"
        try:
            self.connection.socket.sendall(head.encode() + case.body)
        except (ConnectionError, OSError):
            pass  # refused by its head, while we were saying the rest
        status, _, _ = self.connection.answer()
        return status


def unwrapped(case):
    """The body without its coding; `None` where a broken one can be read here by nobody."""
    coding = case.coding.lower().removeprefix("x-")
    if coding in ("", "identity"):
        return case.body
    if case.passes:
        return case.inner
    try:
        return {"br": lambda _: None, "zstd": corpus.stored}.get(coding, lambda body: zlib.decompress(body, 47))(case.body)
    except zlib.error:
        return None


def differences(case, status, got, record, seen):
    """What is not as it has to be. `seen` has each reader's view of what was forwarded."""
    passed = bool(got)
    if (status < 400) != passed:
        yield f"status {status}, and the server got {len(got)} requests"
    if case.passes is not None and passed != case.passes:
        yield f"it was {'forwarded' if passed else 'refused'} with {status}"
    if not passed:
        return
    [(headers, body)] = got
    if headers["content-encoding"] or headers["transfer-encoding"] or headers["content-length"] != str(len(body)):
        yield f"the server got it as {headers['content-encoding']}, {headers['content-length']} bytes of {len(body)}"
    if headers.get_all("content-type") != [case.content_type] or not is_read(case, body):
        yield f"the server is told that it is {headers.get_all('content-type')}"
    views = list(seen.values())
    if None in views:
        if body:
            yield f"not read by {[name for name, view in seen.items() if view is None]}"
        return
    for name, view in seen.items():
        # On the plain service policy decides about texts, and by no names.
        for what in ("strings",) if case.plain else ("model", "bounds", "contents", "strings"):
            one, other = getattr(view, what), getattr(views[0], what)
            if one != other:
                yield f"{what}: {name} reads {one}, another {other}"
        if any(corpus.MARK in text for text in view.strings):
            yield f"{name} reads the word that policy cuts out"
        if not case.plain and view.model != running.facts(record).get("model"):
            yield f"{name} reads model {view.model!r}, policy saw {running.facts(record).get('model')!r}"
        for bound, most in MOST.items():
            if not case.plain and view.bounds[bound] is not None and not view.bounds[bound] <= most:
                yield f"{name} reads {bound} {view.bounds[bound]}, and {most} are allowed"
    sent = unwrapped(case)
    if sent is None:
        return
    if not findings(record) and body != sent:
        yield "nothing was found in it, and it was changed"
    if corpus.MARK in sent.decode("utf-8", "replace") and not findings(record):
        yield "the word stood in it, and nothing was found"


def findings(record):
    return running.facts(record).get("findings")


def is_read(case, body):
    """Whether the charset that is said, if any, is the one in which every reader reads the body."""
    said = [part.partition("=")[2].strip('" ').lower() for part in case.content_type.split(";")[1:]]
    return said in ([], ["utf-8"]) or (case.plain and said == ["us-ascii"] and body.isascii())


def read_all(bodies):
    """Each body as each reader has it."""
    by_node = readers.node(bodies)
    return [{"python": readers.python(body), "node": node, "go": readers.go(body)} for body, node in zip(bodies, by_node, strict=True)]


def check_eyes(case, got, record):
    """Whatever is changed in what the server got has to be seen, or an agreement means nothing."""
    [(headers, body)] = got
    end = body.rstrip()[:-1]
    changes = {
        "a twin": end + b',"Model":"large"}', "another model": end + b',"model":"large"}', "the word": end + b',"x":"%s"}' % corpus.MARK.encode(),
        "the word in escapes": end + b',"x":"\\u0071zmarkq"}', "a bound": end + b',"max_tokens":1001}', "a byte": body + b" ", "NaN": end + b',"x":NaN}',
        "half a pair": end + b',"x":"\\ud83d"}', "not UTF-8": end + b',"x":"\xff"}', "UTF-16": body.decode().encode("utf-16"),
    }
    for (what, changed), seen in zip(changes.items(), read_all(list(changes.values())), strict=True):
        headers.replace_header("content-length", str(len(changed)))
        if not list(differences(case, 200, [(headers, changed)], record, seen)):
            raise SystemExit(f"{what} is not seen: the readers are blind")
    headers.replace_header("content-length", str(len(body)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postern", required=True, help="the binary")
    parser.add_argument("--seed", default="postern", help="another seed is another corpus")
    parser.add_argument("--cases", type=int, default=20000)
    parser.add_argument("--show", type=int, default=20, help="differences to print in full")
    options = parser.parse_args()
    cases = corpus.make(options.seed, options.cases, readers.brotli)
    with running.folder("readers") as directory:
        statuses, records = send(options, directory, cases)
    judge(options, cases, statuses, records)


def send(options, directory, cases):
    """The status of each case, and its record."""
    credentials.make(directory)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    [port] = running.free_ports(1)
    config = running.write_set(HERE / "set", directory, {"DIR": directory, "PORT": port, "SERVER": server.server_address[1]})
    with running.Postern(options.postern, config) as postern:
        asker = Asker(port, directory)
        statuses = [asker.ask(number, case) for number, case in enumerate(cases)]
        status = postern.stop()
        records = [record for record in postern.records() if running.is_request(record)]
        code, verified = postern.verify()
        panics = [event for event in postern.events() if event.get("error.type") == "panic"]
    server.shutdown()
    print(f"log: {verified.get('entries')} entries, verified: {verified.get('verified')}; postern ended with {status}")
    if code != 0 or status != 0 or panics or len(records) != len(cases):
        raise SystemExit(f"the log or the process is not sound: {len(records)} records, {verified} {panics[:3]}")
    return statuses, records


def judge(options, cases, statuses, records):
    forwarded = [number for number in range(len(cases)) if Server.got.get(number)]
    seen = dict(zip(forwarded, read_all([Server.got[number][0][1] for number in forwarded]), strict=True))
    outcomes, told, looked = collections.Counter(), 0, 0
    for number, case in enumerate(cases):
        got = Server.got.get(number, [])
        found = list(differences(case, statuses[number], got, records[number], seen.get(number, {})))
        outcomes[case.family, "differed" if found else "agreed" if got else "refused"] += 1
        if found and told < options.show:
            told += 1
            print(f"\ncase {number}, {case.family}, {'plain' if case.plain else 'chat'}, {case.content_type!r} {case.coding!r}:")
            print("\n".join(f"  - {line}" for line in found))
            print(f"  sent {case.body[:700]!r}\n  got {got[0][1][:700] if got else None!r}\n  {running.facts(records[number]).get('detail')}")
        elif not found and got and case.family == "spelling" and not case.plain and looked < 10 and not findings(records[number]):
            looked += 1
            check_eyes(dataclasses.replace(case, passes=None), got, records[number])
    totals = table(outcomes)
    print(f"{totals['agreed'] + totals['refused']} passed, {totals['differed']} failed")
    if not totals["agreed"] or not totals["refused"] or not looked:
        raise SystemExit("a corpus of which nothing passes, or nothing is refused, shows nothing")
    sys.exit(1 if totals["differed"] else 0)


def table(outcomes):
    columns = ("agreed", "refused", "differed")
    print(f"\n{'family':12} " + " ".join(f"{column:>9}" for column in columns))
    for family in sorted({family for family, _ in outcomes}):
        print(f"{family:12} " + " ".join(f"{outcomes[family, column]:9}" for column in columns))
    totals = {column: sum(count for (_, kind), count in outcomes.items() if kind == column) for column in columns}
    print(f"{'all':12} " + " ".join(f"{totals[column]:9}" for column in columns))
    return totals


if __name__ == "__main__":
    main()
