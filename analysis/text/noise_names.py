"""Names of noises: those of tables for clean and noisy images, and how people write them.

Tables and options hold specifications (`gaussian:50`); what is read shows `noise_label` of them
("Gaussian, σ = 50") in headings, legends and cells, and inside sentences `noise_phrase`
("Gaussian σ = 50"), without the comma, which would part the sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress

from analysis.text.markdown import code, escaped, listed
from mtd.utils.errors import BadInput

CLEAN = "gaussian:0"
"""The noise of level 0, for clean images."""

NOISY = "noisy input"
"""The row of the noisy images, next to those of the models."""

PLACES = ("folder:", "pairs:")
"""Before the place or the name of noise that was recorded."""

RECORDED = {"monte_carlo": ("Monte Carlo rendering", "samples per pixel", True)}
"""Label, level unit, and whether the noise falls as the level rises, of kinds that are recorded."""


def noise_label(noise: object) -> str:
    """A noise as people write it, in headings, legends, axes and cells of tables; plain text.

    Args:
        noise: a specification, a range of them, or a name of recorded noise; other names are
            returned as they are.

    >>> noise_label("gaussian:50"), noise_label("gaussian:0"), noise_label("poisson:3.5@1")
    ('Gaussian, σ = 50', 'clean', 'Poisson, α = 3.5 (another draw)')
    >>> noise_label("gaussian:=mixture:4"), noise_label("gaussian:0..gaussian:55")
    ('Gaussian as strong as mixture, level 4', 'Gaussian, σ = 0 to 55')
    >>> noise_label("monte_carlo:64"), noise_label("folder:noisy"), noise_label("polyu")
    ('Monte Carlo rendering, 64 samples per pixel', 'recorded noise, noisy', 'polyu')
    """
    text = str(noise)
    return "clean" if text == CLEAN else _written(text, ", ") or text


def noise_words(noise: object) -> str:
    """A noise inside a sentence of plain text, such as an alternative text.

    >>> noise_words("gaussian:50"), noise_words("speckle:0.04"), noise_words("gaussian:0")
    ('Gaussian σ = 50', 'speckle variance 0.04', 'no noise')
    """
    text = str(noise)
    return "no noise" if text == CLEAN else _written(text, " ") or text


def noise_phrase(noise: object) -> str:
    """A noise inside a sentence of Markdown; names that are no specifications are code.

    >>> noise_phrase("gaussian:50"), noise_phrase("polyu"), noise_phrase("folder:a_b")
    ('Gaussian σ = 50', '`polyu`', 'recorded noise `a_b`')
    """
    text = str(noise)
    if text.startswith(PLACES):
        return f"recorded noise {code(text.partition(':')[2])}"
    return escaped(noise_words(text)) if text == CLEAN or _written(text, " ") else code(text)


def noise_phrases(noises: Iterable[object], most: int = 6) -> str:
    """Noises in words, the levels of each kind together; of a long list how many more there are.

    >>> noise_phrases(["gaussian:15", "mixture:4", "isp"])
    'Gaussian σ = 15, mixture level 4 and camera pipeline'
    >>> noise_phrases(["gaussian:15", "mixture:4", "gaussian:50"])
    'Gaussian σ = 15 and 50, and mixture level 4'
    """
    phrases = [noise_phrase(noise) for noise in noises]
    levels: dict[str, list[str]] = {}
    for phrase in phrases[:most]:
        kind, space, level = phrase.rpartition(" ")
        alone = re.fullmatch(r"[\d.e-]+", level) is None
        levels.setdefault(phrase if alone else kind + space, []).extend([] if alone else [level])
    texts = [kind + listed(of, most) for kind, of in levels.items()]
    if more := len(phrases) - most if len(phrases) > most else 0:
        texts.append(f"{more} more")
    if len(texts) > 1 and any(len(of) > 1 for of in levels.values()):
        return f"{', '.join(texts[:-1])}, and {texts[-1]}"
    return listed(texts, most + 1)


def _written(text: str, before_level: str) -> str:
    """A noise as people write it; empty if it is none that is known by its name."""
    from mtd.noise.specs import parse  # these import PyTorch, which `--help` does not need
    from mtd.noise.training_noise import DOTS, PREPARED, TrainingNoise

    kind, _, level = text.partition(":")
    if text.startswith(PLACES):
        return f"recorded noise{before_level}{level}"
    if kind in RECORDED and re.fullmatch(r"[\d.]+", level):
        return f"{RECORDED[kind][0]}{before_level}{level} {RECORDED[kind][1]}"
    with suppress(BadInput):
        if DOTS in text:
            ((name, low, high),) = TrainingNoise.parse([text]).ranges
            return f"{parse(f'{name}:{low}').written(before_level)} to {high:g}"
        if text.startswith(PREPARED):
            noise = parse(text.removeprefix(PREPARED))
            return f"{noise.written(before_level)} (drawn in advance)"
        return parse(text).written(before_level)
    return ""
