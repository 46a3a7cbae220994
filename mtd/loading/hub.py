"""Checkpoints of Hugging Face by `hf://ORG/REPO/FILE` or `hf://ORG/REPO@REVISION/FILE`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mtd.utils.errors import BadInput
from mtd.utils.messages import note

PREFIX = "hf:/"
"""How such names begin, also where a path has joined the two slashes."""

EXPECTED = "hf://ORG/REPO/FILE or hf://ORG/REPO@REVISION/FILE"


class Address(NamedTuple):
    """A file of a repository.

    Attributes:
        repository: `ORG/REPO`.
        revision: a branch, tag or commit; None for the default branch.
        file: its path.
    """

    repository: str
    revision: str | None
    file: str


def is_address(name: str | Path) -> bool:
    """Whether a name is that of a file of Hugging Face.

    >>> is_address("hf://deepinv/dncnn/a.pth"), is_address("a.pth")
    (True, False)
    """
    return str(name).startswith(PREFIX)


def parse(name: str | Path, suffixes: Sequence[str]) -> Address:
    """The parts of a name.

    Args:
        name: such as `hf://org/repo@v1/weights/a.pth`.
        suffixes: of checkpoints.

    Raises:
        BadInput: it has another form, or is no checkpoint.

    >>> parse("hf://org/repo@v1/weights/a.pth", [".pth"])
    Address(repository='org/repo', revision='v1', file='weights/a.pth')
    """
    text = re.sub("^hf:/+", "hf://", str(name))
    match = re.fullmatch(r"hf://([\w.-]+/[\w.-]+)(?:@([^/]+))?/(.+)", text)
    if match is None:
        raise BadInput(f"{text}: expected {EXPECTED}")
    repository, revision, file = match.groups()
    if Path(file).suffix.lower() not in suffixes:
        raise BadInput(f"{text}: expected a checkpoint ending in {', '.join(suffixes)}")
    return Address(repository, revision, file)


def fetch(name: str | Path, suffixes: Sequence[str]) -> Path:
    """The path of a file, downloaded into the cache of `huggingface_hub` if it is not there.

    Raises:
        BadInput: another form, no `huggingface_hub`, or a file that cannot be downloaded.
    """
    address = parse(name, suffixes)
    text = re.sub("^hf:/+", "hf://", str(name))
    try:
        from huggingface_hub import hf_hub_download, try_to_load_from_cache
    except ImportError:
        raise BadInput(
            f"{text}: needs huggingface_hub: pip install 'masked-training-denoisers[hf]'"
        ) from None
    where = {"filename": address.file, "revision": address.revision}
    if not isinstance(try_to_load_from_cache(address.repository, **where), str):
        note(f"downloading {text} (licence: see https://huggingface.co/{address.repository})")
    try:
        return Path(hf_hub_download(address.repository, **where))
    except Exception as error:  # of many types, of that package and of its HTTP client
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadInput(
            f"{text}: cannot be downloaded ({type(error).__name__}: {reason}); download the file "
            "by hand, and give its path"
        ) from None
