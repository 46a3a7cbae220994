"""Damage to texts: JSON by its values, tables by their cells, any text by its tokens and lines."""

from __future__ import annotations

import json
import random
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from tests.attack.mutations import LARGEST

HOSTILE = (
    *(
        "",
        " ",
        "x" * 300,
        "x" * 70_000,
        "\x1b[31mred\x1b[0m",
        "a\nb",
        "a\rb",
        "\0",
        "\x85",
        "\u2028",
    ),
    *(
        "$\\frac{a",
        "x$a_$b",
        "=1+1",
        "=cmd|' /C calc'!A0",
        "<script>alert(1)</script>",
        "](x)![y](",
    ),
    *(
        "../../outside",
        "/etc/passwd",
        "C:\\x",
        "a/b",
        ".",
        "..",
        "~",
        "nan",
        "NA",
        "None",
        "-",
        "%s",
    ),
    *(
        "{0.__class__}",
        "\u202etxt",
        "é" * 100,
        "\ud800",
        "null",
        "true",
        "gaussian:15",
        "gaussian:1e400",
    ),
    *("poisson:0", "gaussian:-1", "folder:/", "folder:..", "gaussian:nan", "os:system", "1" * 5000),
    *('"' * 20_000, "\\" * 20_001, "[" * 20_000, "(" * 300, " " * 60_000, '\\"' * 32_000),
)
"""Texts that a reader of names and values should survive."""

NUMBERS = (
    *("0", "-0", "-1", "1", "2", "3.5", "1e23", "1e308", "1e309", "-1e309", "nan", "inf", "-inf"),
    *(
        "NaN",
        "Infinity",
        "1" * 30,
        "9" * 5000,
        "-" + "9" * 400,
        "1e999999999",
        "0x10",
        "1_0",
        "1,5",
    ),
    *(
        str(2**31),
        str(2**53 + 1),
        str(2**63),
        str(2**64),
        "1000000000000",
        "1e-320",
        "00",
        "+1",
        "٣",
    ),
)
"""Texts of numbers."""

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 0.5, -0.0, 1e308, float("inf"), float("-inf"), float("nan")),
    *(
        2**31,
        2**53 + 1,
        2**63,
        2**64,
        10**12,
        10**30,
        10**4000,
        [],
        {},
        [[]],
        [None],
        [1, "a", None],
    ),
    *({"": ""}, {"a": {"b": {}}}, [[1, 2], [3]], ["gaussian:15"], {"x": 1}),
)
"""Values of JSON."""


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _copied(value: Any) -> Any:
    """A copy of a value of JSON, made much faster than by `copy.deepcopy`."""
    return json.loads(json.dumps(value))


def _value(draw: random.Random) -> Any:
    if draw.random() < 0.4:
        return draw.choice(HOSTILE)
    return _copied(draw.choice(VALUES))  # which is changed in its place


class _Places(Sequence[tuple[Any, Any]]):
    """Every place in a value that can be changed: its container and the key there.

    Only containers are listed, since a value may have very many places.
    """

    def __init__(self, value: Any) -> None:
        self.holders: list[Any] = []
        self.ends: list[int] = []
        count, waiting = 0, [value] if isinstance(value, dict | list) else []
        while waiting:
            one = waiting.pop()
            if one:
                count += len(one)
                self.holders.append(one)
                self.ends.append(count)
                inner = one.values() if type(one) is dict else one
                waiting += [each for each in inner if type(each) in (dict, list)]

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def __getitem__(self, place: Any) -> Any:
        number = bisect_right(self.ends, place)
        holder, at = self.holders[number], place - (self.ends[number - 1] if number else 0)
        return holder, next(islice(holder, at, None)) if isinstance(holder, dict) else at


def changed_value(value: Any, draw: random.Random) -> Any:
    """A value of JSON with one to three changes at random places."""
    for _ in range(draw.randint(1, 3)):
        places = _Places(value)
        if not places or draw.random() < 0.02:
            value = _value(draw)
            continue
        holder, key = draw.choice(places)
        what = draw.choice(
            ("set", "set", "set", "remove", "rename", "wrap", "copy", "deep", "many")
        )
        _change(holder, key, what, _value(draw), draw.choice(places), draw)
    return value


def _change(
    holder: Any, key: Any, what: str, new: Any, other: tuple[Any, Any], draw: random.Random
) -> None:
    if what == "set":
        holder[key] = new
    elif what == "remove":
        del holder[key]
    elif what == "rename" and isinstance(holder, dict):
        holder[draw.choice(HOSTILE)] = holder.pop(key)
    elif what == "wrap":
        holder[key] = draw.choice(([holder[key]], {"x": holder[key]}))
    elif what == "copy":
        there, name = other
        if name in there if isinstance(there, dict) else name < len(there):
            holder[key] = _copied(there[name])
    elif what == "deep":
        nested: Any = 1
        for _ in range(draw.choice((5, 60, 150, 400))):
            nested = draw.choice(([nested], {"x": nested}))
        holder[key] = nested
    elif what == "many" and isinstance(holder[key], list):
        most = LARGEST // (len(json.dumps(holder[key])) + 1)
        holder[key] = _copied(holder[key] * max(1, min(most, 2000)))


def json_values(content: bytes, draw: random.Random) -> bytes:
    """A JSON text with other values, keys and nesting."""
    try:
        value = json.loads(content)
        changed = changed_value(value, draw)
        text = json.dumps(changed, ensure_ascii=draw.random() < 0.5)
    except (ValueError, RecursionError):
        return tokens(content, draw)
    return _encoded(text.replace("1000000000000000000000000000000", "9" * draw.choice((40, 5000))))


def json_lines(content: bytes, draw: random.Random) -> bytes:
    """JSON Lines, of which one has other values, or lines are gone or there twice."""
    rows = content.splitlines(keepends=True)
    if not rows:
        return content
    place = draw.randrange(len(rows))
    if draw.random() < 0.8:
        rows[place] = json_values(rows[place], draw) + b"\n"
    else:
        rows[place : place + 1] = [rows[place]] * draw.choice((0, 2, 500))
    return b"".join(rows)


def json_text(content: bytes, draw: random.Random) -> bytes:
    """A JSON text that breaks its grammar: nesting without end, keys twice, escapes, comments."""
    deep = draw.choice((10, 200, 2000, 100_000))
    made = (
        b"[" * deep,
        b'{"x":' * deep,
        b"[" * deep + b"]" * deep,
        b'{"a":' * deep + b"1" + b"}" * deep,
        content[:1] + content[1:].replace(b",", b",,", 1),
        content.replace(b":", b": /* x */", 1),
        content + content,
        b"\xef\xbb\xbf" + content,
        content.decode("utf-8", "replace").encode("utf-16"),
        content.replace(b'"', b"'"),
        content.rstrip(b"}] \n") + b"//" + b'\\"' * draw.choice((1, 5000, 32_000)),
        b'"' + b'\\"' * draw.choice((5, 32_000)),
        content.replace(b"{", b'{"x": ' + b"9" * draw.choice((20, 5000)) + b", ", 1),
    )
    return draw.choice(made)[: 4 * LARGEST]


TOKEN = re.compile(r"[+-]?\d[\d.,_]*(?:e[+-]?\d+)?|\"[^\"\n]*\"|[A-Za-z_][\w.-]*|[^\s\w]", re.I)


def tokens(content: bytes, draw: random.Random) -> bytes:
    """A text in which one to four numbers, words, strings or marks are other ones."""
    text = _decoded(content)
    for _ in range(draw.randint(1, 4)):
        start = draw.randrange(max(1, len(text) - 1000))
        found = list(TOKEN.finditer(text, start, start + 2000))
        if not found:
            return _encoded(draw.choice(HOSTILE))
        place = draw.choice(found)
        old = place[0]
        if old[0].isdigit() or old[0] in "+-":
            new = draw.choice(NUMBERS)
        elif old[0] == '"':
            inner = draw.choice(HOSTILE)
            new = draw.choice((json.dumps(inner), f'"{inner}"', f"'{inner}'", draw.choice(NUMBERS)))
        elif old[0].isalpha():
            new = draw.choice((draw.choice(HOSTILE), draw.choice(found)[0], "true", old * 2))
        else:
            new = draw.choice(("", old * 2, draw.choice(found)[0], *"[]{}()=,:;#\"'\\\t"))
        text = text[: place.start()] + new + text[place.end() :]
    return _encoded(text)


def lines(content: bytes, draw: random.Random) -> bytes:
    """A text of whose lines some are gone, there again, in another order, endless or hostile."""
    rows = _decoded(content).split("\n")
    place, other = draw.randrange(len(rows)), draw.randrange(len(rows))
    what = draw.randrange(9)
    if what == 0:
        del rows[place]
    elif what == 1:
        rows[place:place] = [rows[other]] * draw.choice((1, 2, 100, 3000))
    elif what == 2:
        rows[place], rows[other] = rows[other], rows[place]
    elif what == 3:
        rows[place:place] = [draw.choice(HOSTILE)]
    elif what == 4:
        rows[place] += rows[other] * draw.choice((1, 50))
    elif what == 5:
        mark = draw.choice(
            (" ", "\t", "[", '\\"', "<epoch:", "1", ",", ".", "-", "x.", "ab: 1 ", "\x1b[")
        )
        rows[place] += mark * draw.choice((10, 1000, 32_000 // len(mark)))
    elif what == 6:
        rows[place] = draw.choice("\0\x1b\ufeff\x0b\x0c\x1c\x85\u2028") + rows[place]
    elif what == 7:
        draw.shuffle(rows)
    else:
        rows = [row + draw.choice(("\r", "", "\r\r")) for row in rows]
    text = "\n".join(rows)[: 2 * LARGEST]
    if draw.random() < 0.05:
        return text.encode(draw.choice(("utf-16", "utf-32", "utf-8-sig", "utf-7")), "replace")
    return _encoded(text)


CELLS = (*NUMBERS, *HOSTILE, '"', '"a""b"', '"a', "1" * 140_000, '"' + "x" * 140_000)


def cells(content: bytes, draw: random.Random) -> bytes:
    """A table in which cells are other ones, missing, too many, quoted wrongly or endless."""
    rows = [row.split(",") for row in _decoded(content).split("\n")]
    for _ in range(draw.randint(1, 3)):
        row = draw.choice(rows)
        place = draw.randrange(len(row)) if row else 0
        new = draw.choice(
            (*NUMBERS, *HOSTILE, '"', '"a""b"', '"a', "1" * 140_000, '"' + "x" * 140_000)
        )
        what = draw.random()
        if what < 0.6 and row:
            row[place] = new
        elif what < 0.8:
            row.insert(place, new)
        elif row:
            del row[place]
    mark = draw.choice((",",) * 8 + (";", "\t", ", "))
    return _encoded("\n".join(mark.join(row) for row in rows))[: 4 * LARGEST]


def toml_text(content: bytes, draw: random.Random) -> bytes:
    """A TOML text with nesting without end, keys of many parts, or impossible sizes."""
    deep = draw.choice((10, 90, 200, 2000, 20_000))
    more = (
        b"x = " + b"[" * deep,
        b"x = " + b"[" * deep + b"]" * deep,
        b"x = " + b"{a=" * deep + b"1" + b"}" * deep,
        b".".join([b"a"] * deep) + b" = 1",
        b"[" + b".".join([b"a"] * deep) + b"]",
        b"x = " + b"9" * deep,
        b'x = "' + b"\\" * deep,
        b"x = 1979-05-27T07:32:00Z\ny = 25:61:61",
        b"".join(b"[[c]]\n" for _ in range(min(deep, 3000))),
        b"".join(b"k%d = 1\n" % number for number in range(min(deep, 3000))),
    )
    place = draw.choice((0, len(content)))
    return content[:place] + b"\n" + draw.choice(more) + b"\n" + content[place:]


IMPOSSIBLE = (
    "1200000",
    "10000000000000",
    "0",
    "-1",
    "1e400",
    "nan",
    "3.5",
    "999999937",
    '"x"',
    "true",
)


def sizes(content: bytes, draw: random.Random) -> bytes:
    """A text whose numbers ask for the impossible."""
    found = list(re.finditer(r"(?<![\w.])-?\d+(?:\.\d+)?", _decoded(content)))
    if not found:
        return content
    text = _decoded(content)
    for place in sorted(
        draw.sample(found, min(len(found), draw.randint(1, 3))), key=lambda m: -m.start()
    ):
        text = text[: place.start()] + draw.choice(IMPOSSIBLE) + text[place.end() :]
    return _encoded(text)


TEXT: tuple[Callable[[bytes, random.Random], bytes], ...] = (tokens, tokens, lines)
JSON = (json_values, json_values, json_values, json_text)
TOML = (tokens, tokens, lines, sizes, toml_text)
TABLE = (cells, cells, lines)
