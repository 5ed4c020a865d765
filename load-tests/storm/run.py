"""The storm: attacks one after the other, each on a Postern of its own, with an honest client beside.

During each, the honest client's every request has to be answered, within a bound; memory and processor time of the Postern
process have to stay below the ceilings in `ceilings.toml`. Afterwards it must stop in good order and its log must verify.
"""

import argparse
import collections
import multiprocessing
import pathlib
import subprocess
import sys
import time
import tomllib
import types

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import attacks  # noqa: E402, the path above comes first
import client  # noqa: E402
import credentials  # noqa: E402
import honest  # noqa: E402
import idle  # noqa: E402
import running  # noqa: E402

SHORT_S, FULL_S = 3, 60
IDLE_SHORT, IDLE_FULL = 1000, 10_000
CEILINGS = tomllib.loads((HERE / "ceilings.toml").read_text())
process = multiprocessing.get_context("fork")


def attack_process(name, site, seconds, tell):
    """Runs in its own process and puts what it did into `tell`."""
    attack = attacks.Attack(site, seconds)
    attack.said = ""
    try:
        attacks.ATTACKS[name](attack)
    except Exception as error:  # noqa: BLE001, told by the parent
        attack.said += f"\nthe attack failed: {error!r}"
    tell.put((attack.count, attack.opened, attack.said))


def prepare(directory):
    """Credentials and the set; where everything is."""
    credentials.make(directory)
    token = credentials.token(directory, bound=False)
    port, open_port, *upstreams = running.free_ports(4)
    values = {"DIR": directory, "PORT": port, "OPEN": open_port, "UPSTREAM": upstreams[0], "FILES": upstreams[1]}
    config = running.write_set(HERE / "set", directory, values)
    return types.SimpleNamespace(directory=directory, config=config, port=port, open_port=open_port, upstreams=upstreams, token=token)


def warm_up(site):
    """The first requests, so that what is measured is not the start; waits for the upstream."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        connection = client.Connection(site.port, client.tls(site.directory), honest.SOURCE)
        statuses = {connection.ask("/small")[0] for _ in range(50)}
        connection.close()
        if statuses == {200}:
            return
    raise SystemExit(f"the honest client gets {statuses} before any storm")


def run(name, options):
    """One attack: what was measured, and what is wrong with it."""
    with running.folder("storm") as directory:
        site = prepare(directory)
        command = [sys.executable, HERE.parent / "upstream.py"]
        started = [subprocess.Popen([*command, str(port)], stdin=subprocess.DEVNULL) for port in site.upstreams]
        try:
            with running.Postern(options.postern, site.config) as postern:
                warm_up(site)
                return measure(name, options, site, postern)
        finally:
            for upstream in started:
                upstream.kill()
                upstream.wait()


def measure(name, options, site, postern):
    before = running.rss_mib(postern.pid)
    told, tolls = process.Queue(), process.Queue()
    many = options.idle
    if name == "idle":
        workers = [process.Process(target=idle.hold, args=(site, many // 4, part, options.seconds, tolls)) for part in range(4)]
    else:
        workers = [process.Process(target=attack_process, args=(name, site, options.seconds, tolls))]
    over = process.Event()
    client_process = process.Process(target=honest.run, args=(site.port, site.directory, over, told))
    with running.Sampler(postern.pid) as sampler:
        for each in (*workers, client_process):
            each.start()
        tolled = [tolls.get(timeout=options.seconds * 3 + 600) for _ in workers]
        over.set()
        account = told.get(timeout=60)
        for each in (*workers, client_process):
            each.join()
    figures = {
        "name": name, "count": sum(toll[0] for toll in tolled), "opened": sum(toll[1] for toll in tolled), "before_mib": before,
        "peak_mib": sampler.peak_rss(), "cores": sampler.cores(), "descriptors": max(sample[2] for sample in sampler.samples), **account,
    }
    wrong = judge(figures, ceilings(name, figures["opened"]))
    wrong += [toll[2].strip() for toll in tolled if "failed" in toll[2] or not toll[0]]
    wrong += soundness(postern)
    figures["outcomes"] = outcomes(postern)
    if not figures["outcomes"]:
        wrong.append("the attacker left no record: nothing was attacked")
    return figures, wrong


def outcomes(postern):
    """What the records say of everybody but the honest client, the commonest first."""
    told = collections.Counter()
    for record in postern.records():
        if record.get("src_endpoint", {}).get("ip", honest.SOURCE) != honest.SOURCE:
            facts = running.facts(record)
            told[facts.get("reason") or facts.get("failure") or facts.get("decision"), (facts.get("detail") or "")[:60]] += 1
    return told.most_common(5)


def ceilings(name, opened):
    found = CEILINGS["every"] | CEILINGS.get(name, {})
    found["rss_mib"] += found.get("rss_mib_per_thousand", 0) * opened / 1000
    return found


def judge(figures, ceilings):
    wrong = [f"the honest client failed {len(figures['failures'])} times of {figures['asked']}: {figures['failures'][:3]}"] if figures["failures"] else []
    for figure, ceiling in (("peak_mib", "rss_mib"), ("cores", "cores"), ("p99_ms", "p99_ms")):
        if figures[figure] > ceilings[ceiling]:
            wrong.append(f"{figure} is {figures[figure]:.1f}, the ceiling {ceilings[ceiling]}")
    return wrong


def soundness(postern):
    """Of process and log, after the attack."""
    wrong = [] if postern.is_running() else ["postern did not survive"]
    status = postern.stop()
    code, report = postern.verify()
    if status != 0:
        wrong.append(f"postern ended with status {status}:\n{postern.text()[-2000:]}")
    if code != 0:
        wrong.append(f"the log does not verify: {report}")
    wrong += [f"a panic: {event}" for event in postern.events() if event.get("error.type") == "panic"][:3]
    return wrong


def main():
    names = [*attacks.ATTACKS, "idle"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postern", required=True, help="the binary")
    parser.add_argument("--short", action="store_true", help=f"{SHORT_S} s an attack instead of {FULL_S}, and {IDLE_SHORT} idle connections instead of {IDLE_FULL}")
    parser.add_argument("--seconds", type=float, help="of each attack")
    parser.add_argument("--idle", type=int, help="idle connections")
    parser.add_argument("--verbose", action="store_true", help="what became of the attacker's requests and connections")
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=f"{', '.join(names)}; all without")
    options = parser.parse_args()
    options.seconds = options.seconds or (SHORT_S if options.short else FULL_S)
    options.idle = options.idle or (IDLE_SHORT if options.short else IDLE_FULL)
    unknown = set(options.attacks) - set(names)
    if unknown:
        parser.error(f"no such attack: {', '.join(unknown)}")
    running.raise_descriptor_limit(options.idle + 2000)
    passed = failed = 0
    print(f"{'attack':16} {'units':>9} {'conns':>6} {'RSS MiB':>14} {'cores':>6} {'fds':>6} {'asked':>6} {'failed':>6} {'p50 ms':>7} {'p99 ms':>7} {'max ms':>7}")
    for name in options.attacks or names:
        figures, wrong = run(name, options)
        print(
            f"{name:16} {figures['count']:9} {figures['opened']:6} {figures['before_mib']:6.0f} {figures['peak_mib']:7.0f} {figures['cores']:6.2f}"
            f" {figures['descriptors']:6} {figures['asked']:6} {len(figures['failures']):6} {figures['p50_ms']:7.1f} {figures['p99_ms']:7.1f} {figures['max_ms']:7.1f}",
            flush=True,
        )
        if options.verbose:
            for (what, detail), count in figures["outcomes"]:
                print(f"{count:26} {what} {detail}")
        for line in wrong:
            print(f"  FAILED: {line}", flush=True)
        passed, failed = passed + (not wrong), failed + bool(wrong)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
