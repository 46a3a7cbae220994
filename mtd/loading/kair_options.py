"""Option files of KAIR, JSON with // comments, as published with checkpoints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mtd.masking import MaskPolicy
from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput

MARK = re.compile(r'"|\\|//')
"""Where a string begins or ends, a character in it is escaped, or a comment begins."""


def is_option_file(path: Path) -> bool:
    """Whether a file is a KAIR option file, which may state a mask policy."""
    try:
        values = _values(path)
    except BadInput:
        return False
    return isinstance(values, dict) and "netG" in values


def _values(path: Path) -> Any:
    """The value of a JSON file with comments.

    Raises:
        BadInput: see `mtd.utils.input_files.json`.
    """
    return input_files.parsed_json(strip_comments(input_files.text(path, limits.JSON)), path)


def mask_policy(path: Path) -> MaskPolicy:
    """The mask policy of an option file.

    The published code masks attention at test time too, so `active` is `always`.

    Raises:
        BadInput: the file cannot be read, states no policy, or an unsupported one.
    """
    values = _values(path)
    try:
        net, train = values["netG"], values["datasets"]["train"]
        pixels, attention = _switch(train, "if_mask"), _switch(net, "use_mask")
        low, high = (_percent(train, name) for name in ("mask1", "mask2")) if pixels else (0, 0)
        ratio = _percent(net, "mask_ratio1") if attention else 0
        if attention and _percent(net, "mask_ratio2", ratio) != ratio:
            raise ValueError("mask_ratio1 and mask_ratio2 differ; one ratio is expected")
        return MaskPolicy((low, high), attention_percent=ratio)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(
            f"{path}: not a KAIR option file with masks ({type(error).__name__}: {reason}); "
            "expected netG.use_mask, netG.mask_ratio1 and datasets.train.if_mask, mask1, mask2"
        ) from None


def _switch(section: dict[str, Any], name: str) -> bool:
    value = section.get(name, False)
    if not isinstance(value, bool):
        raise ValueError(f"{name} = {value!r}, expected true or false")
    return value


def _percent(section: dict[str, Any], name: str, default: int | None = None) -> int:
    value = section[name] if default is None else section.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} = {value!r}, expected a whole percentage such as 75")
    return value


def strip_comments(text: str) -> str:
    """JSON text without // comments; strings are unchanged.

    >>> strip_comments('{"url": "http://x"} // comment')
    '{"url": "http://x"} '
    """
    kept, start, at, quoted = [], 0, 0, False
    while mark := MARK.search(text, at):
        at = mark.end()
        if mark[0] == '"':
            quoted = not quoted
        elif mark[0] == "\\":
            at += quoted  # what follows is a part of the string, even a quotation mark
        elif not quoted:
            kept.append(text[start : mark.start()])
            line = text.find("\n", at)
            start = at = line if line >= 0 else len(text)
    return "".join(kept) + text[start:]
