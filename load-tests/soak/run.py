"""The soak: mixed load while policy and certificate change every two seconds and an upstream is killed every five.

Nothing that policy forbids may be answered, no request may fail that had a healthy upstream, memory and descriptors may not
grow, and afterwards the log must verify and hold one record for every request, each decided by the set it names.
"""

import argparse
import collections
import multiprocessing
import pathlib
import statistics
import sys
import time
import types

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import changes  # noqa: E402, the path above comes first
import client  # noqa: E402
import credentials  # noqa: E402
import load  # noqa: E402
import running  # noqa: E402

# What later memory may be above earlier memory: allocators and tables of connections breathe.
GROWTH_MIB, GROWTH_PER_MINUTE_MIB, MORE_DESCRIPTORS = 16, 2.0, 24
# Idle upstream connections of a set that was replaced are kept for a minute; in less time they only become more.
POOLED_S, POOLED = 60, 6
PAUSE_S = 0.1
process = multiprocessing.get_context("fork")


def client_process(name, site, over, tell):
    account = load.Account()
    try:
        load.CLIENTS[name](site, account, over.is_set, lambda: time.sleep(PAUSE_S))
    except BaseException as error:  # noqa: BLE001, told by the parent
        account.failures.append((name, 0, 0, f"the client itself failed: {error!r}"))
    tell.put(account)


def prepare(directory):
    credentials.make(directory)
    ca = directory / "ca.pem", directory / "ca.key"
    credentials.certificate(directory, ca, "globex", "URI:spiffe://bench.test/ns/globex/sa/web", "clientAuth,serverAuth")
    port, steady, flaky, *pair = running.free_ports(5)
    values = {"DIR": directory, "PORT": port, "STEADY": steady, "FLAKY": flaky, "ONE": pair[0], "OTHER": pair[1]}
    config = running.write_set(HERE / "set", directory, values)
    return types.SimpleNamespace(directory=directory, config=config, port=port, steady=steady, flaky=flaky, pair=pair)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postern", required=True, help="the binary")
    parser.add_argument("--seconds", type=float, default=600)
    options = parser.parse_args()
    with running.folder("soak") as directory:
        site = prepare(directory)
        files = changes.Files(directory)
        upstreams = changes.Upstream(site.steady, "steady"), changes.Upstream(site.flaky, "flaky"), changes.Pair(site.pair)
        started = []
        try:
            for upstream in upstreams:
                started.append(upstream)
                upstream.start()
            with running.Postern(options.postern, site.config) as postern:
                wrong = soak(options, site, files, *upstreams[1:], postern)
        finally:
            for upstream in started:
                upstream.kill()
    for line in wrong:
        print(f"FAILED: {line}")
    print(f"{8 - min(len(wrong), 8)} passed, {len(wrong)} failed")
    sys.exit(1 if wrong else 0)


def soak(options, site, files, flaky, pair, postern):
    over, tell = process.Event(), process.Queue()
    workers = [process.Process(target=client_process, args=(name, site, over, tell)) for name in load.CLIENTS]
    for worker in workers:
        worker.start()
    with running.Sampler(postern.pid, 0.5) as sampler:
        with (
            changes.Clock(changes.CHANGE_EVERY_S, files.change),
            changes.Clock(changes.KILL_EVERY_S, lambda: flaky.fail_for(changes.DOWN_S)),
            changes.Clock(changes.KILL_EVERY_S, pair.fail_one),
        ):
            deadline = time.monotonic() + options.seconds
            while time.monotonic() < deadline and postern.is_running():
                time.sleep(0.2)
        over.set()
        accounts = [tell.get(timeout=120) for _ in workers]
        for worker in workers:
            worker.join()
    status = postern.stop()
    return [
        *answers(accounts, flaky, pair),
        *changes_seen(accounts, files, postern, options.seconds),
        *growth(sampler, options.seconds),
        *records(accounts, postern, status),
    ]


def answers(accounts, flaky, pair):
    asked = sum((account.asked for account in accounts), collections.Counter())
    print("asked:", ", ".join(f"{kind} {count}" for kind, count in sorted(asked.items())), f"- in all {asked.total()}")
    forbidden = [each for account in accounts for each in account.forbidden]
    failures = [each for account in accounts for each in account.failures]
    excused = [each for each in failures if each[0] == "flaky" and flaky.was_away(each[1], each[2])]
    in_flight = [each for each in failures if each[0] == "pair" and pair.was_dying(each[1], each[2])]
    failed = [each for each in failures if each not in excused and each not in in_flight]
    print(f"forbidden answers: {len(forbidden)}; failed requests: {len(failed)}; while their only upstream was away: {len(excused)} "
          f"in {len(flaky.away)} absences; with the endpoint that was killed: {len(in_flight)} in {pair.killed}")
    if forbidden:
        yield f"{len(forbidden)} answers that policy forbids: {forbidden[:3]}"
    if failed:
        kinds = collections.Counter((kind, what) for kind, _, _, what in failed)
        yield f"{len(failed)} requests failed that had a healthy upstream: {kinds.most_common(5)}"
    if not all(asked.values()) or len(asked) < 12:
        yield f"some kinds of requests were never asked: {dict(asked)}"


def changes_seen(accounts, files, postern, seconds):
    shown = set().union(*(account.certificates for account in accounts))
    taken = [record for record in postern.records() if running.facts(record).get("lifecycle") == "reload_accepted"]
    refused = [record for record in postern.records() if running.facts(record).get("lifecycle") == "reload_refused"]
    print(f"changes: {files.changes - 1}; sets taken over: {len(taken)}, refused: {len(refused)}; certificates shown: {len(shown)}")
    if len(taken) < (files.changes - 1) * 0.7:
        yield f"of {files.changes - 1} changes only {len(taken)} were taken over"
    if refused:
        yield f"{len(refused)} sets were refused: {running.facts(refused[0]).get('detail')}"
    if len(shown) < min(changes.CERTIFICATES, seconds // changes.CHANGE_EVERY_S):
        yield f"only {len(shown)} certificates were ever shown"


def growth(sampler, seconds):
    """Later against earlier, leaving out the first quarter, in which everything is used for the first time."""
    quarter = max(len(sampler.samples) // 4, 1)
    early, late = sampler.samples[quarter : 2 * quarter], sampler.samples[3 * quarter :]
    (rss_early, fds_early), (rss_late, fds_late) = ([statistics.median(sample[at] for sample in part) for at in (1, 2)] for part in (early, late))
    grown = rss_late - rss_early
    print(f"memory: {rss_early:.0f} MiB in the second quarter, {rss_late:.0f} in the last, at most {sampler.peak_rss():.0f}; "
          f"descriptors: {fds_early:.0f}, {fds_late:.0f}; processor: {sampler.cores():.2f} cores")
    more = MORE_DESCRIPTORS + POOLED * max(POOLED_S - seconds / 4, 0) / changes.CHANGE_EVERY_S
    # Half of the time lies between the middles of the two quarters.
    if grown > max(GROWTH_MIB, GROWTH_PER_MINUTE_MIB * seconds / 120):
        yield f"memory grew by {grown:.0f} MiB"
    if fds_late > fds_early + more:
        yield f"descriptors grew from {fds_early:.0f} to {fds_late:.0f}"


def records(accounts, postern, status):
    asked = sum(account.asked.total() for account in accounts)
    requests = [record for record in postern.records() if running.is_request(record)]
    code, report = postern.verify()
    print(f"log: {report.get('entries')} entries, verified: {report.get('verified')}; {len(requests)} requests recorded, {asked} asked; "
          f"postern ended with {status}")
    if status != 0:
        yield f"postern ended with status {status}:\n{postern.text()[-2000:]}"
    if code != 0 or report.get("gapCount"):
        yield f"the log does not verify: {report}"
    if len(requests) != asked:
        yield f"{asked} requests were asked, {len(requests)} are recorded"
    yield from decided_by_their_set(postern, requests)
    panics = [event for event in postern.events() if event.get("error.type") == "panic"]
    if panics:
        yield f"panics: {panics[:3]}"


def decided_by_their_set(postern, requests):
    """A folder that a set forbids was never let through by that set."""
    forbids = {}
    for record in postern.records():
        told = running.facts(record)
        for manifest in told.get("manifests", []):
            if manifest["name"].startswith("toggle-"):
                forbids[told["snapshot"]] = manifest["name"].removeprefix("toggle-")
    outcomes = collections.Counter()
    for record in requests:
        folder = record["http_request"]["url"]["path"].split("/")[1]
        if folder not in changes.FOLDERS:
            continue
        told = running.facts(record)
        want = "Deny" if forbids.get(told["snapshot"]) == folder else "Allow"
        outcomes[told["decision"] == want, told["decision"]] += 1
    wrong = sum(count for (good, _), count in outcomes.items() if not good)
    print(f"forbidden in turn: {outcomes[True, 'Deny']} refused, {outcomes[True, 'Allow']} let through, each by a set that says so")
    if wrong or not outcomes[True, "Deny"] or not outcomes[True, "Allow"]:
        yield f"decisions that their set does not make: {outcomes}"


if __name__ == "__main__":
    main()
