"""Captions of figures: what is shown, of how many images, models, noises, and the command.

The first sentences are the figure's title, which its code composes from the tables that it draws;
in the style `paper` they stand in the caption alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from textwrap import fill
from typing import Any

from matplotlib.figure import Figure

from analysis.plotting.figure_style import titles
from analysis.text.noise_names import noise_label
from analysis.text.terminal import plural

WIDTH = 100
"""Characters of a line of a caption."""

CONTINUES = frozenset(("against", "from", "of", "on", "relative", "that", "to", "where", "with"))
"""Words with which a line of a title goes on with the sentence of the one before."""


def caption(figure: Figure, manifest: Mapping[str, Any], command: str, note: str = "") -> str:
    """The caption of a figure.

    Args:
        figure: composed, with its title or fitted to the style `paper`.
        manifest: of its run.
        command: that made it; "" if it was made from Python.
        note: what else is to be known.
    """
    shown = [sentence(title) for title in titles(figure)]
    parts = [
        *shown,
        "" if any(measured(manifest)[:-1] in text for text in shown) else measured(manifest),
        listing("Models", manifest.get("models") or manifest.get("trained") or ()),
        listing("Noises", manifest.get("noises", ()), "; ", noise_label),
        note,
        f"Made by: {command}" if command else "",
    ]
    return "\n".join(
        fill(part, WIDTH, break_long_words=False, break_on_hyphens=False) for part in parts if part
    )


def sentence(title: str) -> str:
    """A title of several lines as sentences.

    >>> sentence("One\\nby two")
    'One. By two.'
    """
    text = ""
    for line in filter(None, (line.strip() for line in title.split("\n"))):
        if text.endswith(",") or line.split()[0] in CONTINUES:
            text += f" {line}"
        else:
            first = line if re.match(r"\S+:\S", line) else line[0].upper() + line[1:]
            text += f"{'' if not text or text.endswith('.') else '.'} {first}"
    text = text.strip()
    return text if not text or text.endswith(".") else f"{text}."


def measured(manifest: Mapping[str, Any]) -> str:
    """How many crops of how many photographs a run measured; "" where it has none.

    Of curves that were logged, what their recipes say.

    >>> measured({"test_crops": {"a": "16 crops of 64 x 64", "b": "16 crops of 64 x 64"}})
    'Test PSNR: mean over 16 crops of 64 x 64.'
    """
    crops = manifest.get("crops")
    if not isinstance(crops, list) or not crops:
        return logged(manifest.get("test_crops"))
    scenes = {crop.get("scene") or crop.get("image") for crop in crops}
    return f"{plural(len(crops), 'crop')} of {plural(len(scenes), 'photograph')}."


def logged(crops: Any) -> str:
    """What test curves of logs are means over, by training; "" where that is unknown."""
    if not isinstance(crops, dict) or not crops:
        return ""
    several = dict.fromkeys(map(str, crops.values()))
    over = [*several] if len(several) == 1 else [f"{what} ({name})" for name, what in crops.items()]
    return f"Test PSNR: mean over {', '.join(over)}."


def listing(
    what: str, names: Any, between: str = ", ", shown: Callable[[object], str] = str
) -> str:
    """Names after what they are; "" if there are none.

    >>> listing("Models", ["a", "b"]), listing("Models", ["a, step 1", "a, step 2"])
    ('Models: a, b.', 'Models: a, step 1; a, step 2.')
    """
    texts = [shown(name) for name in names]
    between = "; " if any(between in text for text in texts) else between
    return f"{what}: {between.join(texts)}." if texts else ""
