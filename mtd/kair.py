"""Option files in the style of KAIR: JSON with // comments, beside the published checkpoints."""

from __future__ import annotations

import json
import re
from pathlib import Path

from mtd.errors import BadInput
from mtd.masking import MaskPolicy


def mask_policy(path: Path) -> MaskPolicy:
    """The mask policy of a KAIR-style option file (JSON with // comments).

    The published code masks attention at test time too, so its policy is `always`.
    """
    try:
        values = json.loads(strip_comments(path.read_text(encoding="utf-8")))
        net, train = values["netG"], values["datasets"]["train"]
        pixels = train.get("if_mask", False)
        return MaskPolicy(
            input_percent=(int(train["mask1"]), int(train["mask2"])) if pixels else (0, 0),
            attention_percent=int(net["mask_ratio1"]) if net.get("use_mask", False) else 0,
        )
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(
            f"{path}: not a KAIR option file with masks ({type(error).__name__}: {error}); "
            "expected netG.use_mask, netG.mask_ratio1 and datasets.train.if_mask, mask1, mask2"
        ) from None


def strip_comments(text: str) -> str:
    """JSON text without its // comments; strings are left alone."""
    return re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*', lambda match: match.group(1) or "", text)
