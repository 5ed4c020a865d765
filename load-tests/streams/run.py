"""What a stream costs on its way: time to its first event and processor time of each, read and relayed, and the memory of an open one.

A server of ours sends events of a chat every ten milliseconds. The same streams go over a route that reads them, with guards, and
over one that relays them, in turn, so that both see the same machine. Then a thousand are held open. Figures are printed, with
the goals of the design beside them; a noisy machine shows in both columns.
"""

import argparse
import asyncio
import json
import pathlib
import ssl
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import credentials  # noqa: E402, the path above comes first
import running  # noqa: E402

PAUSE_S = 0.01
ROUTES = {"relayed": "/relay", "read": "/v1/chat/completions"}
WORDS = ["Nobody ", "had ", "counted ", "on ", "the ", "price ", "of ", "slate, ", "which ", "has ", "gone ", "up again. "]


def event(word, finish=None):
    choice = {"index": 0, "delta": {"content": word} if word else {}, "finish_reason": finish}
    return f"data: {json.dumps({'id': 'c', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'small', 'choices': [choice]})}\n\n"


class Server:
    """Sends as many events as the prompt asks for, and holds the stream open where it asks for that."""

    def __init__(self):
        self.release = asyncio.Event()

    async def __call__(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                body = await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0]))
                asked = json.loads(body)["messages"][0]["content"].split()
                await self.send(writer, int(asked[0]), asked[1] == "hold")
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side, or all of it, is done
        finally:
            writer.close()

    async def send(self, writer, count, hold):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for number in range(count):
            writer.write(chunk(event(WORDS[number % len(WORDS)])))
            await writer.drain()
            await asyncio.sleep(PAUSE_S)
        if hold:
            await self.release.wait()
        writer.write(chunk(event("", "stop") + "data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()


def chunk(text):
    data = text.encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


class Client:
    def __init__(self, port, directory):
        self.port = port
        self.tls = ssl.create_default_context(cafile=directory / "ca.pem")
        self.tls.load_cert_chain(directory / "client.pem", directory / "client.key")

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls, server_hostname="localhost")

    async def stream(self, connection, path, count, how, late_s=0.0):
        """Seconds to the first event; reads until the last one that is not held."""
        await asyncio.sleep(late_s)
        reader, writer = connection
        body = json.dumps({"model": "small", "stream": True, "messages": [{"role": "user", "content": f"{count} {how}"}]})
        writer.write(f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
        began, first, came, tail = time.perf_counter(), None, 0, b""
        while came < count + (how == "end"):
            piece = await reader.read(65536)
            if not piece:
                raise SystemExit(f"{path} broke off after {came} events: {tail[-300:]}")
            # A word may stand on the border of two pieces.
            came += (tail[-5:] + piece).count(b"data: ") - tail[-5:].count(b"data: ")
            tail = piece
            if came and first is None:
                first = time.perf_counter() - began
        return first


async def timed(client, options, pid):
    """Of each route the seconds to first events, and processor seconds by event."""
    firsts, cpu = {name: [] for name in ROUTES}, {name: [] for name in ROUTES}
    for round_ in range(options.rounds + 1):
        for name, path in ROUTES.items():
            connections = await asyncio.gather(*(client.connect() for _ in range(options.streams)))
            before = running.cpu_s(pid)
            late = [number / options.streams for number in range(options.streams)]
            streams = (client.stream(connection, path, options.events, "end", wait) for connection, wait in zip(connections, late))
            came = await asyncio.gather(*streams)
            # The first round is for buffers and for pages of the program.
            if round_:
                firsts[name] += came
                cpu[name].append((running.cpu_s(pid) - before) / (options.streams * options.events))
            for _, writer in connections:
                writer.close()
    return firsts, cpu


async def held(client, server, path, count, pid):
    """KiB of memory for each open stream with its connection, and for the connection before that."""
    for _ in range(3):
        # What the start left behind is given back with the first requests.
        connections = await asyncio.gather(*(client.connect() for _ in range(20)))
        await asyncio.gather(*(client.stream(each, path, 10, "end") for each in connections))
        for _, writer in connections:
            writer.close()
        await asyncio.sleep(1)
    server.release.clear()
    connections, empty = [], running.rss_mib(pid)
    for _ in range(0, count, 50):
        connections += await asyncio.gather(*(client.connect() for _ in range(50)))
    await asyncio.sleep(1)
    idle = running.rss_mib(pid)
    for at in range(0, len(connections), 50):
        await asyncio.gather(*(client.stream(each, path, 10, "hold") for each in connections[at : at + 50]))
    await asyncio.sleep(1)
    full = running.rss_mib(pid)
    server.release.set()
    for _, writer in connections:
        writer.close()
    return (full - empty) * 1024 / len(connections), (idle - empty) * 1024 / len(connections)


def report(firsts, cpu, memory, options):
    medians = {name: statistics.median(each) * 1e3 for name, each in firsts.items()}
    print(f"{'':34} {'relayed':>9} {'read':>9}   goal")
    print(f"{'time to first event, median, ms':34} {medians['relayed']:9.2f} {medians['read']:9.2f}   read within 1 ms of relayed: {medians['read'] - medians['relayed']:+.2f}")
    nineties = {name: statistics.quantiles(each, n=10)[8] * 1e3 for name, each in firsts.items()}
    print(f"{'… nine of ten, ms':34} {nineties['relayed']:9.2f} {nineties['read']:9.2f}")
    best = {name: min(each) * 1e6 for name, each in cpu.items()}
    print(f"{'processor time of an event, best, µs':34} {best['relayed']:9.1f} {best['read']:9.1f}")
    print(f"{'memory of an open stream, all, KiB':34} {memory['relayed'][0]:9.1f} {memory['read'][0]:9.1f}   at most 64")
    print(f"{'… of which its idle connection':34} {memory['relayed'][1]:9.1f} {memory['read'][1]:9.1f}")
    print(f"{options.streams} streams of {options.events} events at once, {options.rounds} rounds; {options.open} streams open")
    return memory["read"][0] <= 64


async def measure(options, directory):
    credentials.make(directory)
    server = Server()
    listening = await asyncio.start_server(server, "127.0.0.1", 0, backlog=4096)
    [port] = running.free_ports(1)
    values = {"DIR": directory, "PORT": port, "SERVER": listening.sockets[0].getsockname()[1]}
    config = running.write_set(HERE / "set", directory, values)
    client = Client(port, directory)
    with running.Postern(options.postern, config) as postern:
        firsts, cpu = await timed(client, options, postern.pid)
    memory = {}
    for name, path in ROUTES.items():
        # A new process: one that has served keeps memory for the next ones.
        with running.Postern(options.postern, config) as postern:
            memory[name] = await held(client, server, path, options.open, postern.pid)
    return report(firsts, cpu, memory, options)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postern", required=True, help="the binary, optimised")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--open", type=int, default=1000)
    options = parser.parse_args()
    running.raise_descriptor_limit(4 * options.open + 1000)
    with running.folder("streams") as directory:
        small = asyncio.run(measure(options, directory))
    sys.exit(0 if small else 1)


if __name__ == "__main__":
    main()
