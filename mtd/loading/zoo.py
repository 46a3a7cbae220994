"""The model zoo: published denoisers by name, `kair/dncnn_color_blind`, downloaded when needed.

What is known of each stands in `zoo.toml`. Files are kept in `zoo` of the folder `MTD_HOME`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from mtd.utils import digests
from mtd.utils.downloads import UNKNOWN, Remote
from mtd.utils.errors import BadInput, nearest
from mtd.utils.home import home
from mtd.utils.messages import plural

if TYPE_CHECKING:
    from mtd.loading.options import LoadOptions

TABLE = Path(__file__).with_name("zoo.toml")
BACKBONES = ("lpips/alexnet",)
"""Entries that are no denoisers."""


@dataclass(frozen=True)
class Entry:
    """A published model.

    Attributes:
        name: by which it is requested.
        file: its published name, below `base`.
        base: address that the family's files are below, or `UNKNOWN`.
        page: where the family is published.
        licence: of its weights.
        architecture: of its network.
        trained_on: noises, as for `--in-distribution`, and test sets that are like its training
            data; empty where none describes it.
        channels: 1 for gray, 3 for color.
        sigma: whether it must be given a noise level.
        value_range: its value of white.
        label: in tables and figures.
        factory: that builds it, where its file alone does not suffice.
        mask: what is masked, where the file does not say; see `mtd.masking.MaskPolicy`.
        sha256: digest of the file, or `UNKNOWN`.
        bytes: its size, or None where it is unknown.
        begins: first digits of the digest, where only these are published.
        git: identifier in git, where that is published.
        about: a remark.
    """

    name: str
    file: str
    base: str
    page: str
    licence: str
    architecture: str
    trained_on: tuple[str, ...]
    channels: int
    sigma: bool = False
    value_range: float = 1.0
    label: str = ""
    factory: str = ""
    mask: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = UNKNOWN
    bytes: int | None = None
    begins: str = ""
    git: str = ""
    about: str = ""

    @property
    def address(self) -> str:
        """Of the file, or `UNKNOWN`."""
        return UNKNOWN if self.base == UNKNOWN else self.base + self.file

    @property
    def place(self) -> Path:
        """Where its file is kept."""
        name = PurePosixPath(self.name)
        return home() / "zoo" / name.parent / (name.name + PurePosixPath(self.file).suffix)

    @property
    def remote(self) -> Remote:
        """Its file."""
        return Remote(
            self.name,
            self.address,
            self.place,
            self.licence,
            page=self.page,
            sha256=self.sha256,
            size=self.bytes,
            begins=self.begins,
            git=self.git,
            command=f"mtd zoo get {self.name}",
        )

    @property
    def trained(self) -> str:
        """What it was trained on, as the metadata of a checkpoint say it; empty if unknown."""
        return "; ".join(self.trained_on)

    def training(self) -> dict[str, Any]:
        """The entry `training` of a network's source."""
        return {"noise": self.trained, "zoo": self.name} if self.trained else {"zoo": self.name}

    def check(self, architecture: str, channels: int) -> None:
        """Check what a file was recognized as.

        Raises:
            BadInput: it is another network than the one that is published under this name.
        """
        if (architecture.lower(), channels) != (self.architecture.lower(), self.channels):
            raise BadInput(
                f"a {architecture} of {plural(channels, 'channel')}, but {self.name} is a "
                f"{self.architecture} of {plural(self.channels, 'channel')}"
            )

    def applied(self, request: LoadOptions) -> LoadOptions:
        """Options of `mtd.load`, completed by what is known of the model."""
        known: dict[str, Any] = {"value_range": self.value_range, "bgr": False}
        if self.factory:
            known["factory"] = self.factory
        return replace(
            request, **{key: v for key, v in known.items() if getattr(request, key) is None}
        )


@cache
def entries() -> dict[str, Entry]:
    """All entries by name."""
    table = tomllib.loads(TABLE.read_text("utf-8"))
    found = {}
    for name, values in table["models"].items():
        family, _, model = name.partition("/")
        about = {"label": model, **table["families"][family], **values}
        found[name] = Entry(name=name, **{**about, "trained_on": tuple(about["trained_on"])})
    return found


def entry(name: str | Path) -> Entry | None:
    """The entry of a name, unless a file of that path exists; None if there is none."""
    found = entries().get(Path(name).as_posix())
    return None if found is None or Path(name).exists() else found


def matching(pattern: str) -> list[str]:
    """The names that a pattern such as `kair/*` matches.

    >>> matching("swinir/color_*")
    ['swinir/color_dn_15', 'swinir/color_dn_25', 'swinir/color_dn_50']
    """
    return [name for name in entries() if fnmatchcase(name, pattern)]


def of(name: str | Path, digest: str) -> Entry | None:
    """The entry of a file that was read: by its name in the zoo, or by the digest of its content.

    Args:
        name: as it was given.
        digest: SHA-256 of the file.
    """
    named = entry(name)
    if named is not None:
        return named
    for one in entries().values():
        with suppress(BadInput):  # the damaged record of another file
            if digest == known_digest(one):
                return one
    return None


def known_digest(one: Entry) -> str:
    """The digest of an entry, or the one that was recorded at its first download, else empty."""
    return one.sha256 if one.sha256 != UNKNOWN else digests.recorded(one.place)


def missing(name: str) -> str:
    """The end of a message about a name that is neither a file nor in the zoo; mostly empty."""
    family = name.partition("/")[0]
    families = {known.partition("/")[0] for known in entries()}
    near = nearest(name, entries())
    if family in families and not near.startswith("did"):
        near = nearest(name, matching(f"{family}/*"))
    if family in families or near.startswith("did"):
        return f"; no model of the zoo (mtd zoo list) of that name either, {near}"
    return ""


def choose(names: Sequence[str]) -> list[Entry]:
    """The entries of names and patterns, in order; all without any.

    Raises:
        BadInput: a name or pattern of none.
    """
    found: dict[str, Entry] = {}
    for name in names or list(entries()):
        known = [name] if name in entries() else matching(name)
        if not known:
            raise BadInput(f"no model of the zoo matches {name!r}; {nearest(name, entries())}")
        found |= {one: entries()[one] for one in known}
    return list(found.values())


def rows(chosen: Sequence[Entry]) -> list[dict[str, Any]]:
    """What is known of entries, for tables and JSON; None where something is unknown."""
    return [
        {
            "name": one.name,
            "architecture": one.architecture,
            "channels": one.channels,
            "trained_on": list(one.trained_on),
            "sigma": one.sigma,
            "value_range": one.value_range,
            "licence": one.licence,
            "address": None if one.address == UNKNOWN else one.address,
            "page": one.page,
            "sha256": None if one.sha256 == UNKNOWN else one.sha256,
            "recorded_sha256": digests.recorded(one.place) or None,
            "bytes": one.bytes,
            "place": str(one.place),
            "cached": one.place.is_file(),
            "about": one.about,
        }
        for one in chosen
    ]
