"""Connections that do next to nothing, as the pools of many clients do: each asks once, and again every 40 s, before Postern's
minute of idleness is over."""

import collections
import ssl
import time

import client

AGAIN_S = 40
OPENED_PER_SECOND = 100
FAILURES = (OSError, ssl.SSLError, client.Broken, ValueError)


def hold(site, many, part, seconds, tell):
    """Opens `many`, holds all of them for `seconds`, and tells how many were open together."""
    context, held, failed = client.tls(site.directory), collections.deque(), []

    def ask(connection):
        try:
            status, _, _ = connection.ask("/small")
            if status != 200:
                failed.append(f"answer {status}")
            held.append((time.monotonic(), connection))
        except FAILURES as error:
            failed.append(repr(error))

    def ask_again():
        while held and time.monotonic() - held[0][0] > AGAIN_S:
            ask(held.popleft()[1])

    began = time.monotonic()
    for number in range(many):
        time.sleep(max(began + number / OPENED_PER_SECOND - time.monotonic(), 0))
        try:
            # An address for two hundred and fifty.
            ask(client.Connection(site.port, context, f"127.0.{100 + part * 16 + number // 250 % 16}.{1 + number % 250}"))
        except FAILURES as error:
            failed.append(repr(error))
        ask_again()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ask_again()
        time.sleep(0.05)
    for connection in list(held)[:: max(many // 100, 1)]:
        ask(connection[1])
    tell.put((min(len(held), many), many, f"failed: {len(failed)} of {many} connections, {failed[:3]}" if failed else ""))
