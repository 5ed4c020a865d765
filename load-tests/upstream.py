"""An upstream for the storm and the soak, cheap enough not to be what is measured: python upstream.py PORT [NAME].

`/bytes/N` answers with N bytes, `/events/N` with N server-sent events ten milliseconds apart, everything else with a few bytes
and the name. Bodies are read and thrown away. Keeps connections.
"""

import asyncio
import sys

NAME = sys.argv[2] if len(sys.argv) > 2 else "upstream"
BLOCK = b"x" * 65536


async def serve(reader, writer):
    try:
        while await one(reader, writer):
            pass
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()


async def one(reader, writer):
    """One request; whether another may come."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    request, *lines = head.split("\r\n")
    target = request.split(" ")[1]
    length = next((int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")), 0)
    while length > 0:
        length -= len(await reader.readexactly(min(length, 65536)))
    kind, _, count = target.strip("/").partition("?")[0].rpartition("/")
    if kind.endswith("bytes"):
        await send_bytes(writer, int(count))
    elif kind.endswith("events"):
        await send_events(writer, int(count))
    else:
        body = f"{NAME} {target}".encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    return True


async def send_bytes(writer, count):
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: %d\r\n\r\n" % count)
    while count > 0:
        writer.write(BLOCK[:count])
        await writer.drain()
        count -= len(BLOCK)


async def send_events(writer, count):
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for number in range(count):
        event = b"data: %d\n\n" % number
        writer.write(b"%x\r\n%s\r\n" % (len(event), event))
        await writer.drain()
        await asyncio.sleep(0.01)
    writer.write(b"0\r\n\r\n")


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    async with server:
        await server.serve_forever()


asyncio.run(main())
