"""What is in gzip data, up to a limit: a few megabytes can stand for gigabytes."""

from __future__ import annotations

import zlib

from mtd.utils.errors import BadInput
from mtd.utils.input_files import MEGABYTE
from mtd.utils.limits import Limit

GZIP = 31
"""The format, as zlib numbers it."""


def unpacked(packed: bytes, limit: Limit, what: str, already: int = 0) -> bytes:
    """The content of gzip data; nothing beyond the limit is unpacked.

    Args:
        packed: one gzip stream.
        limit: on the size of the content, in MB (10^6 bytes).
        what: is packed, for messages.
        already: bytes that count towards the limit, too.

    Raises:
        BadInput: it is damaged, or its content is larger than the limit.

    >>> import gzip
    >>> unpacked(gzip.compress(bytes(9)), Limit("MTD_MAX", 1, "MB"), "zeros.gz")
    b'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00'
    """
    most = limit.value * MEGABYTE - already
    decoder = zlib.decompressobj(GZIP)
    try:
        content = decoder.decompress(packed, 0 if most == float("inf") else max(int(most), 0) + 1)
    except zlib.error as error:
        raise BadInput(f"{what}: damaged; expected gzip data ({error})") from None
    if len(content) > most:
        raise limit.refusal(f"{what}: more than {limit.value:.15g} {limit.unit} when unpacked")
    if not decoder.eof or decoder.unused_data:
        end = "bytes behind its end" if decoder.eof else "its end is missing"
        raise BadInput(f"{what}: damaged; expected gzip data ({end})")
    return content
