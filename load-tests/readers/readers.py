"""Independent readers of a body: Python's json, Node's JSON.parse, and a model of what Go's encoding/json documents.

Each says of a body what a server that is written with it goes by: the model, the bounds, what messages say, and every string there
is. `None` where it does not read the body at all.
"""

import base64
import dataclasses
import json
import pathlib
import subprocess

NODE = pathlib.Path(__file__).resolve().parent / "reader.mjs"
BOUNDS = ("max_tokens", "temperature", "seed")


@dataclasses.dataclass
class Seen:
    model: object
    bounds: dict  # numbers as every reader has them: doubles
    contents: list  # of messages, as far as they are strings
    strings: set  # keys too


def python(body):
    """`json.loads` of bytes: it guesses among the encodings of Unicode, takes NaN, and of two values for a key the last."""
    try:
        return seen(json.loads(body), exact)
    except (ValueError, RecursionError):
        return None


def go(body):
    """`json.Unmarshal` into a struct: keys without case, the last one wins, what is not UTF-8 becomes U+FFFD."""
    def refuse(word):
        raise ValueError(word)

    if body.startswith(b"\xef\xbb\xbf"):
        return None
    try:
        text = body.decode("utf-8", "replace")
        return seen(json.loads(text, object_pairs_hook=Pairs, parse_constant=refuse), folded)
    except (ValueError, RecursionError):
        return None


def node(bodies):
    """`JSON.parse` of text, for each of `bodies`."""
    lines = "".join(base64.b64encode(body).decode() + "\n" for body in bodies)
    done = subprocess.run(["node", str(NODE), "read"], input=lines, capture_output=True, text=True, check=True)
    return [of_node(json.loads(line)) for line in done.stdout.split("\n")[:-1]]


def brotli(bodies):
    """Each of `bodies` in the coding that Python does not have."""
    lines = "".join(base64.b64encode(body).decode() + "\n" for body in bodies)
    done = subprocess.run(["node", str(NODE), "br"], input=lines, capture_output=True, text=True, check=True)
    return [base64.b64decode(line) for line in done.stdout.split("\n")[:-1]]


class Pairs(list):
    """An object with everything that stands in it, in order."""


def of_node(told):
    if told is None:
        return None
    return Seen(told["model"], {name: None if value is None else float(value) for name, value in told["bounds"].items()}, told["contents"], clean(told["strings"]))


def seen(document, get):
    messages = get(document, "messages")
    contents = [get(message, "content") for message in messages] if isinstance(messages, list) else []
    bounds = {name: double(get(document, name)) for name in BOUNDS}
    return Seen(get(document, "model"), bounds, [text for text in contents if isinstance(text, str)], clean(strings(document)))


def exact(value, name):
    return value.get(name) if isinstance(value, dict) else None


def folded(value, name):
    if not isinstance(value, Pairs):
        return None
    found = [each for key, each in value if fold(key) == name]
    return found[-1] if found else None


def fold(key):
    """Go folds the two letters beyond ASCII that are like ASCII ones."""
    return key.replace("\u017f", "s").replace("\u212a", "k").lower()


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, Pairs):
        for key, each in value:
            yield key
            yield from strings(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def clean(found):
    """Half a surrogate pair is told as what readers make of it that cannot hold one."""
    return {text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") for text in found}


def double(value):
    try:
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    except OverflowError:
        return float("inf")
