"""Damage to TensorBoard events by their structure: records with sound sums, protocol buffers."""

from __future__ import annotations

import random
import struct

from tests.attack.mutations import BYTES, EXTREMES, LARGEST


def _masked(content: bytes) -> bytes:
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    return struct.pack("<L", masked_crc32c(content))


def record(content: bytes) -> bytes:
    """A record of an event file."""
    length = struct.pack("<Q", len(content))
    return length + _masked(length) + content + _masked(content)


def records(content: bytes) -> list[bytes]:
    """The contents of records."""
    found, at = [], 0
    while at + 12 <= len(content) and len(found) < 1000:
        (length,) = struct.unpack_from("<Q", content, at)
        found.append(content[at + 12 : at + 12 + length])
        at += 16 + length
    return found


def varint(value: int) -> bytes:
    """A number as in protocol buffers."""
    made = b""
    value %= 2**64
    while value > 127:
        made += bytes([value & 127 | 128])
        value >>= 7
    return made + bytes([value])


def field(number: int, content: bytes | int) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def _tensor_event(draw: random.Random) -> bytes:
    """An event with a tensor of any type, shape and content."""
    sides = [
        draw.choice((0, 1, 2, 1000, 2**20, 2**31, 2**40, -1)) for _ in range(draw.randrange(4))
    ]
    shape = b"".join(field(2, field(1, side)) for side in sides)
    tensor = field(1, draw.choice((*range(24), 100, 2**31)))
    tensor += field(2, shape) + (field(2, field(3, 1)) if draw.random() < 0.1 else b"")
    tensor += draw.choice(
        (
            field(4, draw.randbytes(draw.choice((0, 3, 4, 8)))),
            field(5, struct.pack("<f", draw.choice((1.5, float("inf"), float("nan"))))),
            field(6, struct.pack("<d", 0.5)),
            field(7, varint(draw.choice(EXTREMES))),
            field(8, b"text"),
            b"",
        )
    )
    tag = draw.choice(
        ("loss", "validation/gaussian:15/psnr", "lr", "\x1b[31mloss", "loss\n", "", "psnr" * 500)
    )
    how = draw.choice(
        (field(8, tensor), field(2, b"1234"), varint(2 << 3 | 5) + b"\0\0\xc0\x7f", b"")
    )
    value = field(1, tag.encode()) + how
    step = draw.choice((*EXTREMES, -1, 100, 10**18))
    time = struct.pack("<d", draw.choice((0.0, 1.7e9, -1.0, float("nan"), float("inf"), 1e300)))
    return b"\x09" + time + field(2, step) + field(5, field(1, value))


def event_records(content: bytes, draw: random.Random) -> bytes:
    """Records with sound sums: damaged, made anew, twice, in another order, of enormous length."""
    found = records(content)
    if not found:
        return record(_tensor_event(draw))
    for _ in range(draw.randint(1, 3)):
        place, what = draw.randrange(len(found)), draw.randrange(6)
        if what == 0:
            found[place] = draw.choice(BYTES)(found[place], draw)
        elif what in (1, 2):
            found[place : place + draw.randrange(2)] = [_tensor_event(draw)]
        elif what == 3:
            found[place:place] = [found[place]] * draw.choice((1, 50))
        elif what == 4:
            draw.shuffle(found)
        else:
            found[place : place + 1] = []
        if not found:
            break
    while sum(map(len, found)) > LARGEST:  # whose sums take long in Python
        found.pop()
    joined = b"".join(map(record, found))
    if draw.random() < 0.1:
        length = struct.pack("<Q", draw.choice(EXTREMES) % 2**64)
        joined += length + _masked(length) + draw.randbytes(40)
    return joined


EVENTS = (event_records, event_records, event_records)
