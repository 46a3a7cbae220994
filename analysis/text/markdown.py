"""Words for sentences about numbers: names that break no Markdown, values with their intervals."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable

from mtd.utils.printable import one_line, printable

MARKUP = re.compile(r"([\\`*_\[\]<>|~$&#])")

FENCED = re.compile(r"(?<![\\`])(`+)(?!`)(.+?)(?<!`)\1(?!`)")
EMPHASIS = re.compile(r"(?<![\\*])\*([^*]++)(?<!\\)\*")

LINK = re.compile(r"(?<!\\)\[((?:[^\[\]\\]|\\.)*+)\]\([^()]*+\)")


def code(name: object) -> str:
    """A name as Markdown code, whatever characters it holds.

    >>> print(code("a_b"), code("a`b"))
    `a_b` ``a`b``
    """
    text = " ".join(one_line(str(name)).split())
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if not text or "`" in (text[0], text[-1]) else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def escaped(text: str) -> str:
    """Text that may hold names, such that Markdown and HTML show it as it is."""
    return MARKUP.sub(r"\\\1", " ".join(printable(text).split()))


def plain(text: str) -> str:
    """Markdown of this module as plain text: names without fences, escaped characters as they are.

    >>> print(plain("`a_b` under `gaussian:15`: 1\\\\_000"))
    a_b under gaussian:15: 1_000
    """
    text = LINK.sub(r"\1", text)
    text = FENCED.sub(lambda match: match[2].strip() if "`" in match[2] else match[2], text)
    return re.sub(r"\\([\\`*_\[\]<>|~$&#])", r"\1", text)


def as_html(text: str) -> str:
    """Markdown of this module as HTML, for texts inside of elements; links become their text.

    >>> as_html("`a<*b*>` is *1*")
    '<code>a&lt;*b*&gt;</code> is <em>1</em>'
    """
    text = LINK.sub(r"\1", text)
    parts: list[str] = []
    end = 0
    for match in FENCED.finditer(text):
        name = match[2].strip() if "`" in match[2] else match[2]
        parts += [emphasized(text[end : match.start()]), f"<code>{html.escape(name)}</code>"]
        end = match.end()
    return "".join([*parts, emphasized(text[end:])])


def emphasized(text: str) -> str:
    """Markdown without code as HTML."""
    parts = EMPHASIS.split(text)  # every second one is what stands between asterisks
    texts = [html.escape(plain(part)) for part in parts]
    return "".join(f"<em>{t}</em>" if i % 2 else t for i, t in enumerate(texts))


def sentence(text: str) -> str:
    """A remark that may hold names as a sentence: a capital first, a full stop at the end.

    >>> print(sentence("noise is our own_preset"))
    Noise is our own\\_preset.
    """
    return f"{text[:1].upper()}{escaped(text[1:])}." if text else ""


def remarks(notes: Iterable[str]) -> list[str]:
    """The notes of a table's rows as sentences, each once.

    >>> remarks(["", "one crop", "one crop"])
    ['One crop.']
    """
    return [sentence(note) for note in sorted(set(notes) - {""})]


def listed(items: Iterable[str], most: int = 6) -> str:
    """A list in words; of a long one the first and how many more there are.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed("abcde", 2)
    ('a', 'a, b and c', 'a, b and 3 more')
    """
    texts = list(items)
    if len(texts) > most:
        return f"{', '.join(texts[:most])} and {len(texts) - most} more"
    return " and ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:])))


def codes(names: Iterable[object], most: int = 6) -> str:
    """Names in words, as code."""
    return listed([code(name) for name in names], most)


def number(value: float, digits: int = 2, signed: bool = False) -> str:
    """A number, or a dash where there is none.

    >>> number(-0.001, 2), number(float("nan")), number(1.5, 1, signed=True)
    ('0.00', '–', '+1.5')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    rounded = round(float(value), digits) + 0.0  # + 0.0 for no -0.00
    return f"{rounded:{'+' if signed else ''}.{digits}f}"


def interval(low: float, high: float, digits: int = 2, signed: bool = False) -> str:
    """Bounds in brackets; empty where there are none."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"[{number(low, digits, signed)}, {number(high, digits, signed)}]"


def bounded(
    value: float, low: float, high: float, digits: int = 2, unit: str = "", signed: bool = False
) -> str:
    """A value with its unit and, if it has one, its 95% interval.

    >>> bounded(1, 0.5, 1.5, 1, "dB"), bounded(1, float("nan"), float("nan"), 1)
    ('1.0 dB [0.5, 1.5]', '1.0')
    """
    parts = (number(value, digits, signed), unit, interval(low, high, digits, signed))
    return " ".join(filter(None, parts))


def side(low: float, high: float) -> int:
    """On which side of 0 an interval lies: 1, -1, or 0 if it includes 0 or is none."""
    return int(low > 0) - int(high < 0)


def probability(p: float) -> str:
    """A p-value.

    >>> probability(0.0123), probability(0.00001)
    ('p = 0.012', 'p < 0.001')
    """
    if math.isnan(p):
        return "no p-value"
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
