"""The differential grid: what policy saw is what the server got, or it was refused.

For every case, the audit records of its connection (its source address is its own) are laid beside what the server logged:
every forwarded request must be there once, with the same method, path, query and body, with our headers and not the client's;
and nothing else may be there. Prints a table server by family and exits with 1 on any difference.
"""

import argparse
import collections
import dataclasses
import hashlib
import itertools
import pathlib
import re
import socket
import ssl
import sys
import threading
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import credentials  # noqa: E402, the path above comes first
import mutations  # noqa: E402
import raw_h2  # noqa: E402
import running  # noqa: E402
import servers  # noqa: E402

# A request whose end never comes is left after this time; Postern would wait longer.
QUIET_S = 0.4
LONGEST_S = 15
OURS = ("host", "content-length", "accept-encoding", "x-api-key", "connection")
# What a client must not be able to say to a server behind us, in the spellings that servers take for it.
NOT_THEIRS = re.compile(
    r"forwarded|via|x-real-ip|x-(forwarded|original|user|auth|rewrite)-.*|x-http-method.*|client-cert.*|txn-token|authorization|"
    r"proxy-authorization|cookie|dpop|te|trailer|transfer-encoding|upgrade|expect|x-goog-api-key|http2-settings|postern-decision"
)
LEFT = "the client left before the answer"
CREDENTIAL_KEYS = ("access_token", "api_key", "apikey")


def address(case, place):
    """The source address that is this case's alone."""
    number = case.number * len(servers.ALL) + place
    return f"127.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


class Client:
    """Sends cases one after the other, each on a connection of its own."""

    def __init__(self, port, directory):
        self.port = port
        self._contexts = {}
        for protocol in ("http/1.1", "h2"):
            context = ssl.create_default_context(cafile=directory / "ca.pem")
            context.load_cert_chain(directory / "client.pem", directory / "client.key")
            context.set_alpn_protocols([protocol])
            self._contexts[protocol] = context

    def send(self, case, source):
        plain = socket.create_connection(("127.0.0.1", self.port), LONGEST_S, source_address=(source, 0))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = self._contexts["h2" if case.is_h2 else "http/1.1"]
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                connection.settimeout(QUIET_S)
                self._talk(case, connection)
        except (ConnectionError, ssl.SSLError, TimeoutError):
            pass  # refused in the middle of what we were saying

    def _talk(self, case, connection):
        if not case.is_h2:
            connection.sendall(case.wire)
            self._read(connection, lambda _: False)
            return
        out = raw_h2.start()
        for kind, what in case.frames:
            if kind == "HEADERS":
                pairs, split, end = what
                out += raw_h2.headers(1, pairs, end, split)
            else:
                out += raw_h2.data(1, *what)
        connection.sendall(out)
        reader = raw_h2.Reader()
        self._read(connection, lambda received: any(map(_ends, reader.feed(received))))

    def _read(self, connection, is_end):
        """To the end, or until nothing came for a while and nothing is on its way."""
        deadline = time.monotonic() + LONGEST_S
        while time.monotonic() < deadline:
            received = connection.recv(65536)
            if not received or is_end(received):
                return


def _ends(frame):
    ended = frame.kind in (raw_h2.DATA, raw_h2.HEADERS) and frame.flags & raw_h2.END_STREAM
    return frame.stream == 1 and (ended or frame.kind == raw_h2.RST_STREAM) or frame.kind == raw_h2.GOAWAY


def run_all(client, cases, place, failed):
    try:
        for case in cases:
            client.send(case, address(case, place))
    except Exception as error:  # noqa: BLE001, told by the main thread
        failed.append(f"{cases[0].server}: {error!r}")


def canonical_query(target):
    """The query as policy lets it through: without credentials, as it was sent."""
    _, mark, query = target.partition("?")
    kept = [pair for pair in query.split("&") if pair.split("=")[0].lower() not in CREDENTIAL_KEYS]
    return "&".join(kept) if mark else ""


def differences(case, records, got, secret):
    """What is not as it has to be; records and requests in their order."""
    if not records:
        yield "nothing is recorded of the connection"
    forwarded = [record for record in records if running.is_request(record) and "dst_endpoint" in record]
    # A client that broke off may have done so before the server got anything.
    if len(forwarded) == len(got) + 1 and LEFT in running.facts(forwarded[-1]).get("detail", ""):
        forwarded.pop()
    if len(forwarded) != len(got):
        yield f"{len(forwarded)} requests were forwarded by the records, the server got {len(got)}"
    for record, request in itertools.zip_longest(forwarded, got):
        if request is None or record is None:
            yield f"without its other half: {_short(record) if record else request}"
            continue
        yield from _compare(case, record, request, secret)


def _short(record):
    told = {name: running.facts(record).get(name) for name in ("decision", "detail", "bytes_in")}
    return f"{record['http_request']} {told}"


def _compare(case, record, request, secret):
    seen = record["http_request"]
    path = seen["url"]["path"]
    target_path, _, query = request.target.partition("?")
    decoded = urllib.parse.unquote(path, "latin-1")
    if seen["http_method"] != request.method:
        yield f"policy saw method {seen['http_method']!r}, the server {request.method!r}"
    if path != target_path:
        yield f"policy saw path {path!r}, the server got {target_path!r}"
    if urllib.parse.unquote(_latin1(request.path), "latin-1") != decoded and _latin1(request.path) != decoded:
        yield f"policy saw path {path!r}, the server reads {request.path!r}"
    if any(segment.lower().startswith("private") for segment in decoded.split("/")[2:]) and "/private" in path:
        yield f"the rule against {path!r} did not hold"
    if running.facts(record)["bytes_in"] != request.length:
        yield f"policy saw a body of {running.facts(record)['bytes_in']} bytes, the server {request.length}"
    elif request.digest and request.digest not in digests(case, request):
        yield f"the server got a body of {request.length} bytes that nobody sent"
    sent = sent_queries(case)
    if query not in sent:
        yield f"the server got the query {query!r}, sent were {sent}"
    yield from _compare_headers(case, request, secret)


def digests(case, request):
    """Of what the body can have been. Where framing itself was changed, only chunks say what was meant."""
    if case.body is None and case.family != "chunks":
        return {request.digest}
    meant = [b"", b"hello" if case.body is None else case.body]
    return {hashlib.sha256(body).hexdigest() for body in meant}


def sent_queries(case):
    """The queries a case may have meant, whatever its framing."""
    if case.is_h2:
        # A fragment never gets as far as policy: the parser of HTTP/2 heads drops it.
        said = [value for kind, what in case.frames if kind == "HEADERS" for name, value in what[0] if name == ":path"]
        targets = [value.partition("#")[0] for value in said]
    else:
        words = case.wire.decode("latin-1").replace("\r", " ").replace("\n", " ").split(" ")
        targets = [word for word in words if "/" in word]
    return {canonical_query(target) for target in targets} | {""}


def _latin1(text):
    """Each byte of a text as one character."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1") if any(ord(c) > 0xFF or 0xDC80 <= ord(c) <= 0xDCFF for c in text) else text


def _compare_headers(case, request, secret):
    count = collections.Counter(name for name, _ in request.headers)
    values = dict(request.headers)
    for name in ("host", "x-api-key", "content-length", "content-type"):
        if count[name] > 1:
            yield f"the server got {count[name]} headers `{name}`"
    if values.get("x-api-key") != secret:
        yield f"the server got `x-api-key: {values.get('x-api-key')}`, not the one that is ours to send"
    wire = case.said()
    for name, value in request.headers:
        if name in OURS:
            continue
        if NOT_THEIRS.fullmatch(name.replace("_", "-").replace(".", "-")):
            yield f"the server got `{name}: {value}`, which no client may say"
        # apache joins what is said several times.
        elif any(part.encode("latin-1", "replace") not in wire for part in _latin1(value).split(", ")):
            yield f"the server got `{name}: {value}`, which nobody sent"


def case_of(request):
    """The number of the case a server's request belongs to."""
    said = [int(value) for name, value in request.headers if name == "x-case" and value.isdigit()]
    found = re.search(r"/c(\d+)(?=[/?]|$)", request.target)
    return said[0] if said else int(found[1]) if found else None


def judge(server, cases, place, by_source, secret, report):
    """Counts outcomes by family and tells differences."""
    got_by_case = collections.defaultdict(list)
    strays = []
    for request in server.got():
        number = None if request.declined else case_of(request)
        (strays if number is None else got_by_case[number]).append(request)
    outcomes = collections.Counter()
    for case in cases:
        records = by_source.get(address(case, place), [])
        got = got_by_case.pop(case.number, [])
        found = list(differences(case, records, got, secret))
        if found:
            outcomes[case.family, "differed"] += 1
            report(server, case, found)
        else:
            mutated = [r for r in records if running.is_request(r) and "/last" not in r["http_request"]["url"]["path"]]
            passed = any("dst_endpoint" in record for record in mutated)
            outcomes[case.family, "agreed" if passed else "refused"] += 1
            if passed and len(got) > 1:
                check_eyes(case, records, got, secret)
    for request in strays + [request for rest in got_by_case.values() for request in rest]:
        outcomes["strays", "differed"] += 1
        print(f"\n{server.name} got what belongs to no case:\n  {request}")
    return outcomes


def check_eyes(case, records, got, secret):
    """Whatever is changed in what a server got has to be seen, or an agreement means nothing."""
    for what, change in {
        "method": {"method": "BREW"}, "path": {"target": got[0].target + "x"}, "reading": {"path": got[0].path + "/../x"},
        "query": {"target": got[0].target.partition("?")[0] + "?other=1"}, "body": {"length": got[0].length + 1},
        "credential": {"headers": [(name, value) for name, value in got[0].headers if name != "x-api-key"]},
        "claim": {"headers": got[0].headers + [("x-forwarded-for", "::1")]},
        "header": {"headers": got[0].headers + [("x-nobody", "said-this")]},
    }.items():
        altered = [dataclasses.replace(got[0], **change), *got[1:]]
        if not list(differences(case, records, altered, secret)):
            raise SystemExit(f"a changed {what} is not seen: the grid is blind")
    if not list(differences(case, records, got[1:], secret)) or not list(differences(case, records, got + got[:1], secret)):
        raise SystemExit("a request too few or too many is not seen: the grid is blind")


def table(outcomes):
    columns = ("agreed", "refused", "differed")
    print(f"\n{'server':9} {'family':12} " + " ".join(f"{column:>9}" for column in columns))
    for server, counts in outcomes.items():
        families = [family for family in (*mutations.FAMILIES, "strays") if any(counts[family, column] for column in columns)]
        for family in families:
            print(f"{server:9} {family:12} " + " ".join(f"{counts[family, column]:9}" for column in columns))
    totals = {column: sum(counts[key] for counts in outcomes.values() for key in counts if key[1] == column) for column in columns}
    print(f"{'all':9} {'':12} " + " ".join(f"{totals[column]:9}" for column in columns))
    return totals


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postern", required=True, help="the binary")
    parser.add_argument("--seed", default="postern", help="another seed is another grid")
    parser.add_argument("--cases", type=int, default=1300, help="cases for each server")
    parser.add_argument("--only", help="one server")
    parser.add_argument("--show", type=int, default=20, help="differences to print in full")
    options = parser.parse_args()
    with running.folder("grid") as directory:
        totals = measure(options, directory)
    passed = totals["agreed"] + totals["refused"]
    print(f"{passed} passed, {totals['differed']} failed")
    if not totals["agreed"] or not totals["refused"]:
        raise SystemExit("a grid in which nothing passes, or nothing is refused, shows nothing")
    sys.exit(1 if totals["differed"] else 0)


def measure(options, directory):
    credentials.make(directory)
    secrets = {kind.name: f"key-of-{kind.name}-{hashlib.sha256(kind.name.encode()).hexdigest()[:8]}" for kind in servers.ALL}
    for name, secret in secrets.items():
        credentials.private(directory / f"{name}.secret", secret)
    [port] = running.free_ports(1)
    chosen = [kind(directory) for kind in servers.ALL]
    values = {"DIR": directory, "PORT": port} | {server.name.upper(): server.port for server in chosen}
    config = running.write_set(HERE / "set", directory, values)
    told = itertools.count()

    def report(server, case, found):
        if next(told) < options.show:
            print(f"\n{server.name}, case {case.number}, {case.family}:")
            print("\n".join(f"  - {line}" for line in found))
            print(case.describe()[:1500])

    wanted = [(place, server) for place, server in enumerate(chosen) if options.only in (None, server.name)]
    with running.Postern(options.postern, config) as postern:
        cases = {server.name: list(mutations.cases(options.seed, options.cases, server.name)) for _, server in wanted}
        for _, server in wanted:
            server.__enter__()
        try:
            failed, threads = [], []
            for place, server in wanted:
                work = (Client(port, directory), cases[server.name], place, failed)
                threads.append(threading.Thread(target=run_all, args=work))
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if failed:
                raise SystemExit("\n".join(failed))
            status = postern.stop()
            by_source = collections.defaultdict(list)
            for record in postern.records():
                source = record.get("src_endpoint", {}).get("ip")
                by_source[source].append(record)
            outcomes = {
                server.name: judge(server, cases[server.name], place, by_source, secrets[server.name], report)
                for place, server in wanted
            }
        finally:
            for _, server in wanted:
                server.__exit__()
        totals = table(outcomes)
        code, verified = postern.verify()
        print(f"log: {verified.get('entries')} entries, verified: {verified.get('verified')}; postern ended with {status}")
        panics = [event for event in postern.events() if event.get("error.type") == "panic"]
        if code != 0 or status != 0 or panics:
            raise SystemExit(f"the log or the process is not sound: {verified} {panics[:3]}")
    return totals


if __name__ == "__main__":
    main()
