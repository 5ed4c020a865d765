"""The honest client: asks at a steady pace while the storm goes on, and keeps account of every answer."""

import ssl
import time

import client

EVERY_S = 0.02
# Its own address, as a client elsewhere has.
SOURCE = "127.0.0.77"
BODY = b"b" * 65536


def run(port, directory, over, tell):
    """Asks until `over` is set; puts its account into the queue `tell`."""
    latencies, failures, connection, number = [], [], None, 0
    context = client.tls(directory)
    while not over.is_set():
        number += 1
        began = time.monotonic()
        try:
            if connection is None or not connection.is_open or number % 10 == 0:
                if connection:
                    connection.close()
                connection = client.Connection(port, context, SOURCE)
            status, _, _ = connection.ask("/up", "POST", BODY) if number % 20 == 5 else connection.ask("/small")
            if status != 200:
                failures.append(f"answer {status}")
        except (OSError, ssl.SSLError, client.Broken, ValueError) as error:
            failures.append(repr(error))
            connection = None
        took = time.monotonic() - began
        latencies.append(took)
        time.sleep(max(EVERY_S - took, 0))
    latencies.sort()
    tell.put({
        "asked": len(latencies), "failures": failures, "p50_ms": 1000 * latencies[len(latencies) // 2],
        "p99_ms": 1000 * latencies[int(len(latencies) * 0.99)], "max_ms": 1000 * latencies[-1],
    })
