"""HTTP/2 as bytes: frames made without asking whether they make sense, and read just as far as a client has to."""

import dataclasses
import struct

import hpack
from hyperframe import frame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def start(**settings):
    """What a client says first; settings by number, as `_3=100`."""
    said = frame.SettingsFrame(0, settings={int(name[1:]): value for name, value in settings.items()})
    return PREFACE + said.serialize()


def bare_headers(pairs):
    """A header block that says exactly this: literals without index or Huffman, so that it holds whatever the pairs hold."""
    block = b""
    for name, value in pairs:
        block += b"\x10" + _string(name) + _string(value)
    return block


def _string(text):
    data = text if isinstance(text, bytes) else _bytes(text)
    length = len(data)
    if length < 127:
        return bytes([length]) + data
    out, rest = b"\x7f", length - 127
    while rest >= 128:
        out += bytes([rest % 128 + 128])
        rest //= 128
    return out + bytes([rest]) + data


def _bytes(text):
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def headers(stream, pairs, end=True, split=0):
    """A request or trailers; `split` more CONTINUATION frames carry the end of the block."""
    block = bare_headers(pairs)
    step = max(len(block) // (split + 1), 1)
    pieces = [block[at * step : (at + 1) * step] for at in range(split)] + [block[split * step :]]
    out = b""
    for at, piece in enumerate(pieces):
        kind = frame.ContinuationFrame if at else frame.HeadersFrame
        made = kind(stream, data=piece)
        if at == len(pieces) - 1:
            made.flags.add("END_HEADERS")
        if at == 0 and end:
            made.flags.add("END_STREAM")
        out += made.serialize()
    return out


def data(stream, payload, end=True):
    made = frame.DataFrame(stream, data=payload)
    if end:
        made.flags.add("END_STREAM")
    return made.serialize()


def reset(stream, code=8):
    return frame.RstStreamFrame(stream, error_code=code).serialize()


def ping(ack=False, payload=b"12345678"):
    made = frame.PingFrame(0, opaque_data=payload)
    if ack:
        made.flags.add("ACK")
    return made.serialize()


def settings(pairs=(), ack=False):
    made = frame.SettingsFrame(0, settings=dict(pairs))
    if ack:
        made.flags.add("ACK")
    return made.serialize()


def window_update(stream, increment):
    return frame.WindowUpdateFrame(stream, window_increment=increment).serialize()


def request(authority, path, method="GET", more=()):
    return [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path), *more]


@dataclasses.dataclass
class Frame:
    kind: int
    flags: int
    stream: int
    payload: bytes


DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ACK = END_STREAM = 1


class Reader:
    """Frames out of bytes, and the status of answers."""

    def __init__(self):
        self._bytes = bytearray()
        self._decoder = hpack.Decoder()

    def feed(self, received):
        """The frames that are whole now."""
        self._bytes += received
        out = []
        while len(self._bytes) >= 9:
            length = int.from_bytes(self._bytes[:3], "big")
            if len(self._bytes) < 9 + length:
                break
            kind, flags, stream = struct.unpack(">BBL", self._bytes[3:9])
            out.append(Frame(kind, flags, stream & 0x7FFFFFFF, bytes(self._bytes[9 : 9 + length])))
            del self._bytes[: 9 + length]
        return out

    def status(self, got):
        """Of a HEADERS frame; each has to be read, and in order, for the next to be understood."""
        pairs = dict(self._decoder.decode(got.payload))
        return int(pairs.get(":status", 0))
