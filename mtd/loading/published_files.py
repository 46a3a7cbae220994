"""The files of the zoo: downloaded where they are not there, and recognized before they are used.

A digest that nobody has published is recorded only of a file that is the network of its entry, so
that an error page or another model never stands for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mtd.loading.zoo import BACKBONES, Entry
from mtd.utils import downloads
from mtd.utils.downloads import Remote
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from mtd.loading.options import LoadOptions


def fetch(entry: Entry, options: LoadOptions) -> Path:
    """The path of a denoiser's file, downloaded if it is not there.

    Args:
        entry: of the zoo.
        options: by which it is recognized.

    Raises:
        BadInput: it is no denoiser, cannot be downloaded, or is another file than expected.
    """
    if entry.name in BACKBONES:
        raise BadInput(f"{entry.name} is {entry.about}: it cannot be loaded as a model")
    return downloads.fetch(remote(entry, options))


def remote(entry: Entry, options: LoadOptions) -> Remote:
    """The file of an entry, with the check that it is the entry's network.

    Args:
        entry: of the zoo.
        options: by which it is recognized.
    """
    return replace(entry.remote, recognize=_recognizer(entry, options))


def _recognizer(entry: Entry, options: LoadOptions) -> Callable[[Path], None]:
    def recognize(path: Path) -> None:
        if entry.name in BACKBONES:
            _check_backbone(path)
        else:
            _check_network(entry, path, options)

    return recognize


def _check_network(entry: Entry, path: Path, options: LoadOptions) -> None:
    """Check that a file holds the network of an entry.

    Raises:
        BadInput: it is no checkpoint, or that of another network.
    """
    from mtd.loading import checkpoint_file, recognition

    checkpoint = checkpoint_file.read(path, entry.place.suffix)
    network, about = recognition.recognize(checkpoint, entry.applied(options))
    entry.check(about["architecture"], network.config.in_chans)


def _check_backbone(path: Path) -> None:
    """Check that a file is the backbone of LPIPS.

    Raises:
        BadInput: it is another file, or cannot be read.
    """
    from mtd.metrics import lpips_backbone

    lpips_backbone.read(path)
