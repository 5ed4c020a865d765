"""Bodies that readers could take differently: JSON with everything that is odd about it, in charsets and codings.

A document is made of lists, `Pairs` (objects, in which a key may stand twice), plain values, and `Raw` text that stands as it is.
Each case changes one thing about a good one. Many hold the word that policy cuts out, where a careless reader would not see it.
"""

import dataclasses
import random
import zlib

MARK = "qzmarkq"
WORDS = ["hello", "wörld", "日本", "😀", "a\nb", 'say "so"', "back\\slash", "tab\t", "\u2028", "", "{}", "x" * 60, "null", "1e5"]


@dataclasses.dataclass
class Case:
    family: str
    body: bytes
    content_type: str = "application/json"
    coding: str = ""
    # What has to become of it; None where either is right, as long as what passes is read alike.
    passes: bool | None = None
    plain: bool = False
    inner: bytes = b""  # what it is without its coding


class Pairs(list):
    pass


@dataclasses.dataclass
class Raw:
    text: str | bytes


class Writer:
    """Writes a document the way somebody might: blanks anywhere, any spelling of a letter."""

    def __init__(self, rng, odd=0.1):
        self.rng, self.odd = rng, odd

    def write(self, value):
        out = self._value(value)
        return self._blank() + out + self._blank()

    def _blank(self):
        return "".join(self.rng.choices(" \t\r\n", k=self.rng.randrange(3))).encode() if self.rng.random() < self.odd else b""

    def _value(self, value):
        if isinstance(value, Raw):
            return value.text if isinstance(value.text, bytes) else value.text.encode("utf-8", "surrogatepass")
        if isinstance(value, Pairs):
            return self._inside(b"{", [self._value(key) + self._blank() + b":" + self._blank() + self._value(each) for key, each in value], b"}")
        if isinstance(value, list):
            return self._inside(b"[", [self._value(each) for each in value], b"]")
        if isinstance(value, str):
            return self.string(value).encode()
        return {None: b"null", True: b"true", False: b"false"}[value] if value is None or isinstance(value, bool) else repr(value).encode()

    def _inside(self, start, parts, end):
        blank = self._blank
        return start + blank() + b",".join(blank() + part + blank() for part in parts) + end

    def string(self, text):
        return '"' + "".join(map(self._letter, text)) + '"'

    def _letter(self, letter):
        short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
        if letter in short or ord(letter) < 0x20:
            return short.get(letter) or f"\\u{ord(letter):04x}"
        if self.rng.random() >= self.odd:
            return letter
        if letter == "/":
            return "\\/"
        units = letter.encode("utf-16-be")
        halves = [units[at : at + 2].hex() for at in range(0, len(units), 2)]
        return "".join("\\u" + (half.upper() if self.rng.random() < 0.5 else half) for half in halves)


def text(rng, marked=False):
    words = rng.choices(WORDS, k=rng.randrange(1, 5))
    if marked:
        words.insert(rng.randrange(len(words) + 1), MARK)
    return " ".join(words)


def chat(rng, marked=False):
    """A chat with a place for everything; with the word in one of its texts."""
    place = rng.randrange(4) if marked else None
    messages = [
        Pairs([("role", "system"), ("content", text(rng, place == 0))]),
        Pairs([("role", "user"), ("content", text(rng, place == 1))]),
    ]
    if place == 2 or rng.random() < 0.5:
        part = Pairs([("type", "text"), ("text", text(rng, place == 2))])
        messages.append(Pairs([("role", "user"), ("content", [part])]))
    document = Pairs([("model", "small"), ("messages", messages), ("max_tokens", rng.choice([1, 100, 1000]))])
    if rng.random() < 0.5:
        document += [("temperature", rng.choice([0, 0.5, 1])), ("seed", rng.randrange(100))]
    if place == 3 or rng.random() < 0.5:
        schema = Pairs([("type", "object"), ("properties", Pairs([("q", Pairs([("type", "string"), ("default", text(rng))]))]))])
        function = Pairs([("name", "look"), ("description", text(rng, place == 3)), ("parameters", schema)])
        document.append(("tools", [Pairs([("type", "function"), ("function", function)])]))
    return document


def note(rng, marked=False):
    """A document for the plain service."""
    return Pairs([
        ("model", "small"), ("max_tokens", 5), ("note", text(rng, marked)),
        ("messages", [Pairs([("role", "user"), ("content", text(rng))])]), ("tags", [text(rng), 1, None, True]),
    ])


def objects(value):
    """Every object in a document, itself first."""
    if isinstance(value, Pairs):
        yield value
        for _, each in value:
            yield from objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from objects(each)


def texts(value):
    """Every (object, index) of a member that is a text."""
    return [(each, at) for each in objects(value) for at, (_, member) in enumerate(each) if isinstance(member, str)]


def other(rng, value):
    return rng.choice([MARK, "large", "assistant", 5, value, None, [MARK]])


# Families: each takes a document, changes it or writes it oddly, and returns a case. `rng` decides what.


def spelling(rng, document, _):
    """The same document in another spelling: it passes."""
    return Case("spelling", Writer(rng, rng.choice([0, 0.1, 0.5, 1])).write(document), passes=True)


def duplicates(rng, document, _):
    pairs = rng.choice([each for each in objects(document) if each])
    key, value = rng.choice(pairs)
    spelled = Raw(Writer(rng, rng.choice([0, 1])).string(key))
    pairs.insert(rng.randrange(len(pairs) + 1), (spelled, other(rng, value)))
    return Case("duplicates", Writer(rng).write(document), passes=False)


def cases(rng, document, is_plain):
    """A key in another case, beside the one that is known or instead of it."""
    pairs = rng.choice([each for each in objects(document) if each])
    at = rng.randrange(len(pairs))
    key, value = pairs[at]
    twin = rng.choice([key.upper(), key.title(), key[:1].upper() + key[1:], key.replace("s", "\u017f"), key.replace("k", "\u212a")])
    if twin == key:
        twin = key.upper()
    beside = rng.random() < 0.7
    if beside:
        pairs.insert(rng.randrange(len(pairs) + 1), (twin, other(rng, value)))
    else:
        pairs[at] = (twin, value)
    return Case("case", Writer(rng).write(document), passes=False if beside else None if is_plain or pairs is not document else False)


def unknown(rng, document, _):
    pairs = rng.choice(list(objects(document)))
    name = rng.choice(["note", "x-extra", "content2", "__proto__", "constructor", "messages ", "", "mo\u0000del", "модель"])
    value = rng.choice([MARK, Pairs([("content", MARK)]), [[MARK]], 1, None, Pairs([(MARK, 1)])])
    pairs.insert(rng.randrange(len(pairs) + 1), (name, value))
    return Case("unknown", Writer(rng).write(document))


def surrogates(rng, document, _):
    pairs, at = rng.choice(texts(document))
    half = rng.choice(["\\ud83d", "\\udE00", "\\ude00\\ud83d", "\\uD83Dx", "\\ud83d\\ud83d", "\\ud83d\\u0041", "\\uDFFF" + MARK])
    pairs[at] = (pairs[at][0], Raw(f'"a{half}b{MARK}"'))
    return Case("surrogates", Writer(rng).write(document), passes=False)


def not_utf8(rng, document, _):
    pairs, at = rng.choice(texts(document))
    odd = rng.choice([b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\xbd\xed\xb8\x80", b"\xff", b"\xe9", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"\xc1\xbf"])
    pairs[at] = (pairs[at][0], Raw(b'"' + odd + MARK.encode() + b'"'))
    return Case("utf-8", Writer(rng).write(document), passes=False)


def charsets(rng, document, is_plain):
    written = Writer(rng).write(document).decode()
    named = rng.choice(["utf-16", "utf-16le", "utf-16be", "utf-32", "utf-7", "utf-8-sig", "shift_jis", "latin-1", "utf-8", "US-ASCII", "ascii"])
    if rng.random() < 0.3:
        kind = rng.choice(["application/json;charset=utf-8", 'application/json; charset="UTF-8"', "application/json; Charset=Utf-8", "Application/JSON"])
        return Case("charset", written.encode(), kind, passes=True)
    codec = rng.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-7", "utf-8-sig", "utf-8", "cp037"])
    kind = rng.choice([
        "application/json", f"application/json; charset={named}", f'application/json; charset="{named}"',
        f"application/json;charset=utf-8;charset={named}", f"application/json; charset={named}; charset=utf-8",
    ])
    body = written.encode(codec, "replace")
    said = {part.partition("=")[2].strip('"') for part in kind.split(";")[1:]}
    passes = None
    if codec == "utf-8" and said <= {"utf-8"} and kind.count("charset") < 2:
        passes = True
    elif codec not in ("utf-8", "utf-7") or said - {"utf-8"}:
        passes = False
    if is_plain and said == {"US-ASCII"} and kind.count("charset") < 2 and codec in ("utf-8", "utf-7") and body.isascii():
        # It is what it says, and every reader takes it for the same; requests to models have to be UTF-8 by name.
        passes = None if codec == "utf-7" else True
    return Case("charset", body, kind, passes=passes)


NUMBERS = ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "01", "+1", ".5", "5.", "0x10", "1_000", "1e", "--1", "0e0", "-0", "1E+2", "1e2",
           "9007199254740993", "123456789012345678901234567890", "1000.0000000000000001", "1001", "1e-400", "1e3", "1.0e3", "10000e-1", "100000e-1",
           "0.99999999999999999999", "1.00000000000000000001", "99e-1", "\u0661", '"5"', "[5]", "true", "1 2", "5a", "0.1e1"]


def numbers(rng, document, _):
    names = [at for at, (key, _) in enumerate(document) if key in ("max_tokens", "temperature", "seed")]
    at = rng.choice(names)
    document[at] = (document[at][0], Raw(rng.choice(NUMBERS)))
    return Case("numbers", Writer(rng).write(document))


def syntax(rng, document, _):
    written = Writer(rng, 0).write(document)
    mark = MARK.encode()
    at = rng.choice([index for index, byte in enumerate(written) if byte in b",:{["]) + 1
    with_ = [b"/*" + mark + b"*/", b"//" + mark + b"\n", b"#" + mark + b"\n", b"\0", b"\x0b", b"\xc2\xa0", b",", b":", b"\x1e", b"\xef\xbb\xbf"]
    choices = [
        written[:at] + rng.choice(with_) + written[at:],
        written + rng.choice([b"x", b"{}", b"\0", b"null", b"]", b"\x1a", b"," + written, b"\n" + written, b'{"model":"large"}', b"//" + mark]),
        rng.choice([b"\xef\xbb\xbf", b")]}',\n", b"while(1);", b"\x1e", b"[", b"\xff\xfe"]) + written,
        written.replace(b'"', b"'"), written.replace(b'"model"', b"model", 1), written[:-1] + b",}", written[: rng.randrange(len(written))],
        b'"' + written.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"', b"[" + written + b"]", b"null", b"", b" ", b"{}", b"[]", mark,
        written.replace(b"hello", b"hel\nlo"), written.replace(b"hello", b"hel\\xlo"), written.replace(b"hello", b"hel\\u12lo"),
    ]
    return Case("syntax", rng.choice(choices))


def depth(rng, document, _):
    deep = rng.choice([1, 10, 40, 58, 62, 65, 100, 1000, 50_000])
    start, end = rng.choice([("[", "]"), ('{"a":', "}")])
    value = Raw(start * deep + f'"{MARK}"' + end * deep)
    if document[-1][0] == "tools":
        schema = document[-1][1][0][1][1][2][1]
        schema.append(("default", value))
    else:
        document.append(("tags" if rng.random() < 0.5 else "metadata", value))
    return Case("depth", Writer(rng, 0).write(document), passes=False if deep > 64 else None)


CODINGS = ("gzip", "x-gzip", "deflate", "br", "zstd")
BROTLI = {}  # filled by prepare(): Node makes them


def gzip(body):
    made = zlib.compressobj(6, zlib.DEFLATED, 31)
    return made.compress(body) + made.flush()


def zstd(body):
    """One frame of blocks that are stored."""
    blocks, out = [body[at : at + 65536] for at in range(0, len(body), 65536)] or [b""], b"\x28\xb5\x2f\xfd\x00\x58"
    for number, block in enumerate(blocks):
        out += (len(block) << 3 | (number == len(blocks) - 1)).to_bytes(3, "little") + block
    return out


def stored(frame):
    """What `zstd` made a frame of."""
    out, at, last = b"", 6, 0
    while not last:
        head = int.from_bytes(frame[at : at + 3], "little")
        last, size = head & 1, head >> 3
        out, at = out + frame[at + 3 : at + 3 + size], at + 3 + size
    return out


def encode(coding, body):
    if coding == "br":
        return BROTLI[body]
    return {"gzip": gzip, "x-gzip": gzip, "deflate": zlib.compress, "zstd": zstd}[coding](body)


def raw_deflate(body):
    made = zlib.compressobj(6, zlib.DEFLATED, -15)
    return made.compress(body) + made.flush()


def codings(rng, document, _):
    """Encoded by Node afterwards where that is brotli: see `coded`."""
    return Case("codings", b"", inner=Writer(rng).write(document))


def coded(rng, case):
    coding, inner = rng.choice(CODINGS), case.inner
    body = encode(coding, inner)
    cut = rng.randrange(len(body))
    flipped = bytearray(body)
    flipped[cut] ^= 1 << rng.randrange(8)
    known = rng.choice([name for name in CODINGS if name.removeprefix("x-") != coding.removeprefix("x-")])
    what, said, passes = rng.choice([
        (body, coding, True), (body, coding.upper(), True), (body, coding, True), (body, coding, True),
        (body[:cut], coding, False), (body + b"\0", coding, False), (body + body, coding, False), (body + inner, coding, False),
        (inner, coding, False), (body, known, False), (body, "identity", False), (body, "", False), (body, "none", False),
        (body, f"{coding}, {coding}", False), (body, f"identity, {coding}", False), (gzip(body), coding, False),
        (gzip(body), f"{coding}, gzip", False), (raw_deflate(inner), "deflate", False), (bytes(flipped), coding, None),
        (inner, "identity", True), (inner, "compress", False), (gzip(inner + b" " * 200_000), "gzip", None),
        (gzip(b" " * 5_000_000 + inner), "gzip", False), (b"\x1f\x8b" + body[2:], coding, None), (inner, "utf-8", False),
    ])
    return dataclasses.replace(case, body=what, coding=said if said else "\0", passes=passes)


FAMILIES = {each.__name__: each for each in (spelling, duplicates, cases, unknown, surrogates, not_utf8, charsets, numbers, syntax, depth, codings)}


def make(seed, count, brotli):
    """`count` cases; `brotli` encodes what is given to it."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        family = list(FAMILIES.values())[number % len(FAMILIES)]
        plain = rng.random() < 0.4
        document = (note if plain else chat)(rng, rng.random() < 0.5)
        made.append(dataclasses.replace(family(rng, document, plain), plain=plain))
    inner = [case.inner for case in made if case.inner]
    BROTLI.update(zip(inner, brotli(inner)))
    return [coded(rng, case) if case.inner else case for case in made]
