"""The test sets of suites: where they are, what is missing, and the list of all suites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.generalization import noise_suite
from analysis.generalization.noise_suite import Suite
from analysis.generalization.suite_protocol import sampled, toml
from mtd.data.test_set_downloads import COMMAND, advice, located, place, table
from mtd.data.test_sets import FOLDER
from mtd.utils.errors import BadInput
from mtd.utils.home import VARIABLE, home

if TYPE_CHECKING:
    from analysis.generalization.settings import GeneralizationSettings
    from analysis.generalization.sources import Sources
    from mtd.data.photographs import Photograph

COLUMNS = 100
"""Width of the list of suites."""


@dataclass(frozen=True)
class Located:
    """The test sets of a run.

    Attributes:
        there: `NAME=DIR` of each that is there, those of the suite in its order, then others.
        missing: names of the suite's that are not.
        undrawn: the suite's noises, where none of the test sets has clean images to draw them on.
    """

    there: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    undrawn: tuple[str, ...] = ()

    @property
    def messages(self) -> list[str]:
        """A line on each that is missing, with where to get it; and on noise that is not drawn."""
        lines = [
            f"test set {name} is not here; {advice(name)}; --testset {name}=DIR names its folder"
            for name in self.missing
        ]
        if self.undrawn:
            lines.append(
                f"not drawn, as there are no clean images of the suite's test sets: "
                f"{', '.join(self.undrawn)}"
            )
        return lines


def locate(suite: Suite, given: Sequence[str]) -> Located:
    """Where the test sets of a suite are: in folders that are given, else among the downloads.

    Args:
        suite: with test sets.
        given: `NAME=DIR`, also of other test sets.

    Raises:
        BadInput: none is there, or one has changed since it was downloaded.
    """
    folders = {text.partition("=")[0]: text for text in given}
    for name in suite.test_sets:
        if name not in folders and (found := located(name)) is not None:
            folders[name] = f"{name}={found}"
    own = [folders[name] for name in suite.test_sets if name in folders]
    others = [text for name, text in folders.items() if name not in suite.test_sets]
    missing = tuple(name for name in suite.test_sets if name not in folders)
    if not own and not others:
        known = [name for name in missing if name in table()]
        download = f"{COMMAND} {' '.join(known)} downloads them"
        raise BadInput(
            f"suite {suite.name}: none of its test sets is here ({', '.join(missing)}); give "
            f"--testset NAME=DIR, or put them into {home() / FOLDER}/NAME; "
            f"{download if known else 'python -m mtd.testsets says where to get them'}"
        )
    return Located((*own, *others), missing)


def undrawn(
    located: Located,
    complete: GeneralizationSettings,
    given: GeneralizationSettings,
    paired: bool,
) -> Located:
    """The test sets of a run without clean images, with the suite's noises that are not drawn.

    The bundled photographs do not stand in for test sets that a suite names.

    Args:
        located: the test sets.
        complete: settings with the noises of the suite.
        given: settings without them.
        paired: whether there are images with noise of their own.

    Raises:
        BadInput: noises that are given and cannot be drawn, or nothing is left.
    """
    way_out = "give --testset NAME=DIR with clean images, or --images"
    if given.noises:
        raise BadInput(
            f"--noise {given.noises[0]}: suite {given.suite} has no clean images here; {way_out}"
        )
    if not paired:
        raise BadInput(f"suite {given.suite}: no images of its test sets are here; {way_out}")
    return replace(located, undrawn=complete.noises or ())


def suites(given: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Every suite of the package: what it is, draws, scores and needs, ready for JSON.

    Args:
        given: test sets that are elsewhere than among the downloads, `NAME=DIR`.
    """
    elsewhere = {name: folder for name, _, folder in (text.partition("=") for text in given)}
    found = []
    for name in noise_suite.names():
        suite = noise_suite.load(name)
        places = {s: elsewhere.get(s) or place(s) for s in suite.test_sets}
        here = {s: str(p) if Path(p).is_dir() else None for s, p in places.items()}
        found.append(
            {
                "suite": name,
                "version": suite.version,
                "about": suite.about,
                "also_called": [a for a, of in noise_suite.ALIASES.items() if of == name],
                "noises": list(suite.noises),
                "in_distribution": list(suite.in_distribution),
                "crop": suite.crop,
                "limit": suite.limit,
                "protocol": suite.protocol.entry(),
                "test_sets": here,
            }
        )
    return found


def listing(given: Sequence[str] = ()) -> str:
    """The same for the terminal."""
    return "\n\n".join(
        [
            *map(_lines, suites(given)),
            f"Test sets are looked for in {home() / FOLDER}/NAME (set {VARIABLE}), or where "
            "--testset NAME=DIR says;\npython -m mtd.testsets says where to get them. A suite of "
            "your own is a file, mine.toml.",
        ]
    )


def _lines(about: dict[str, Any]) -> str:
    also = f" (also called {', '.join(about['also_called'])})" if about["also_called"] else ""
    lines = [f"{about['suite']}, version {about['version']}{also}: {about['about']}"]
    for i, line in enumerate(by_kind(about["noises"]) or ["that of the test sets"]):
        lines.append(f"  {'' if i else 'noise:':<10}{line}")
    if about["crop"]:
        lines.append(f"  images:   {sampled(about['crop'], about['limit'])}")
    if about["in_distribution"]:
        assumed = ", ".join(about["in_distribution"])
        lines.append(f"  assumed training noise, where a model's is unknown: {assumed}")
    small = [f"{key} = {toml(value)}" for key, value in about["protocol"].items()]
    lines += [f"  protocol: {', '.join(small[:3])},", f"            {', '.join(small[3:])}"]
    sets = about["test_sets"]
    needs = [f"{name} ({'here' if folder else 'not here'})" for name, folder in sets.items()]
    lines += _wrapped("needs", needs or ["any clean images; by default the bundled"])
    return "\n".join(lines)


def _wrapped(label: str, items: Sequence[str]) -> list[str]:
    """A label and items with commas between them, in lines that break between items."""
    lines: list[str] = []
    for i, item in enumerate(items):
        text = item + ("," if i < len(items) - 1 else "")
        if lines and len(f"{lines[-1]} {text}") <= COLUMNS:
            lines[-1] += f" {text}"
        else:
            lines.append(f"  {'' if lines else label + ':':<10}{text}")
    return lines


def by_kind(noises: Sequence[str]) -> list[str]:
    """The noises of a suite, a line for each kind.

    >>> by_kind(["gaussian:15", "gaussian:25", "isp", "poisson:2,values=unique"])
    ['gaussian: 15, 25', 'isp', 'poisson: 2,values=unique']
    """
    kinds: dict[str, list[str]] = {}
    for text in noises:
        kind, _, level = text.partition(":")
        kinds.setdefault(kind, []).append(level)
    return [f"{kind}: {', '.join(of)}" if any(of) else kind for kind, of in kinds.items()]


def locate_sets(
    settings: GeneralizationSettings, photographs: Sequence[Photograph] | None
) -> Located:
    """The test sets of a run: those that are given, and those of its suite that are here.

    Where other images are given, none is looked for.

    Raises:
        BadInput: no such suite, or one whose test sets are all missing.
    """
    given = settings.testset
    if not settings.suite or settings.images or settings.paired_images or photographs:
        return Located(given)
    suite = noise_suite.load(settings.suite)
    return locate(suite, given) if suite.test_sets else Located(given)


def other_images(
    suite: Suite, settings: GeneralizationSettings, sources: Sources, located: Located
) -> list[str]:
    """How the images of a run differ from the test sets of its suite, a few words each."""
    names = [text.partition("=")[0] for text in located.there]
    missing = [name for name in suite.test_sets if name not in names]
    more = [name for name in names if name not in suite.test_sets]
    more += [name for name in sources.names if name not in located.there]
    more += [noisy for noisy, _ in settings.paired_images]
    sets = f"test set{'s' if len(missing) > 1 else ''}"
    found = [f"without {sets} {', '.join(missing)}"] if missing else []
    return found + ([f"with images of {', '.join(more)}"] if more else [])
