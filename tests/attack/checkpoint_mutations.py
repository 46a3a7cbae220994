"""Damage to checkpoints by their structure: instructions of pickles, headers of safetensors."""

from __future__ import annotations

import json
import pickletools
import random
import struct

from tests.attack import text_mutations
from tests.attack.archive_mutations import ZIP, zip_members
from tests.attack.mutations import BYTES, EXTREMES
from tests.helpers.pickles import tensor, text

GLOBALS = (
    *(b"cos\nsystem\n", b"cbuiltins\neval\n", b"cbuiltins\ngetattr\n", b"csubprocess\nPopen\n"),
    *(
        b"ctorch\nload\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ctorch._utils\n_rebuild_tensor\n",
    ),
    *(b"ctorch\nFloatStorage\n", b"ctorch\nHalfStorage\n", b"ctorch\nSize\n", b"ctorch\ndevice\n"),
    *(
        b"ctorch._utils\n_rebuild_sparse_tensor\n",
        b"ctorch._utils\n_rebuild_qtensor\n",
        b"ctorch\nzeros\n",
    ),
    *(b"ccollections\nOrderedDict\n", b"ccollections\ndefaultdict\n", b"c_codecs\nencode\n"),
    *(b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\ndtype\n"),
    *(
        b"ccopy_reg\n_reconstructor\n",
        b"cbuiltins\nbytearray\n",
        b"ctypes\nCodeType\n",
        b"canalysis\nx\n",
    ),
    *(
        b"cargparse\nNamespace\n",
        b"cpathlib\nPosixPath\n",
        b"cdatetime\ndatetime\n",
        b"ctorch.nn\nLinear\n",
    ),
)
"""Instructions that name a class or function."""


def _long(draw: random.Random) -> bytes:
    size = draw.choice((1, 100, 2000, 60_000))
    return b"\x8b" + struct.pack("<i", size) + b"\x7f" * size


def _nested(draw: random.Random) -> bytes:
    depth = draw.choice((10, 100, 1000, 20_000))
    return draw.choice(
        (b"]" * depth + b"a" * depth, b"(" * depth, b")" * depth, b")" + b"\x85" * depth)
    )


def _doubling(draw: random.Random) -> bytes:
    return b")" + b"2\x86" * draw.choice((4, 20, 30, 60))


def _shaped(draw: random.Random) -> bytes:
    sizes = [draw.choice((0, 1, 3, 4, 12, *EXTREMES, -1)) for _ in range(draw.randint(0, 4))]
    strides = [draw.choice((0, 1, 4, -1, 2**31)) for _ in range(draw.choice((len(sizes), 2)))]
    count, key = (
        draw.choice((0, 12, 2**31, 2**62, -1)),
        draw.choice(("0", "1", "../0", "x", "9" * 50)),
    )
    return tensor(
        {
            "size": sizes,
            "stride": strides,
            "count": count,
            "key": key,
            "offset": draw.choice((0, 1, -1, 2**40)),
        }
    )


def _called(draw: random.Random) -> bytes:
    argument = draw.choice(
        (
            text("touch outside"),
            b"K\x0c",
            b"J\xff\xff\xff\x7f",
            b"}",
            b")",
            b"NK\x01",
            text("utf-8"),
            b"]",
        )
    )
    state = draw.choice((b"", b"}b", b"]" + argument + b"ab"))
    how = draw.choice((b"R", b"R", b"\x81"))
    return draw.choice(GLOBALS) + b"(" + argument * draw.randint(0, 3) + b"t" + how + state


def _sized(draw: random.Random) -> bytes:
    length = draw.choice((2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1, 2**28))
    code = draw.choice((b"X", b"\x8d", b"B", b"\x8e", b"\x96", b"T", b"\x95", b"\x8b", b"r", b"j"))
    form = "<Q" if code in (b"\x8d", b"\x8e", b"\x96", b"\x95") else "<L"
    return code + struct.pack(form, length % (2**64 if form == "<Q" else 2**32)) + b"abc"


MADE = (_long, _nested, _doubling, _shaped, _shaped, _called, _called, _sized)
"""Instructions that are hostile by themselves."""


def pickle_instructions(content: bytes, draw: random.Random) -> bytes:
    """Instructions of a pickle are gone, there again, in another place, or others."""
    parts = _instructions(content)
    if len(parts) < 3:
        return draw.choice(BYTES)(content, draw)
    for _ in range(draw.randint(1, 3)):
        place, other = draw.randrange(1, len(parts)), draw.randrange(1, len(parts))
        what = draw.randrange(7)
        if what == 0 and len(parts) > 3:
            del parts[place]
        elif what == 1:
            parts[place:place] = [parts[other]] * draw.choice((1, 2, 100))
        elif what == 2:
            parts[place], parts[other] = parts[other], parts[place]
        elif what == 3:
            parts[place:place] = [draw.choice(MADE)(draw)]
        elif what == 4:
            parts[place] = draw.choice(MADE)(draw)
        elif what == 5:
            parts[place] = bytes([draw.randrange(256)]) + parts[place][1:]
        else:
            parts[place] = _argument(parts[place], draw)
    return b"".join(parts)


def _argument(part: bytes, draw: random.Random) -> bytes:
    """An instruction with another argument."""
    code = part[:1]
    if code in b"c" or (code in b"X" and draw.random() < 0.2):
        return draw.choice(GLOBALS)
    if code in (b"X", b"\x8c"):
        new = draw.choice((*text_mutations.HOSTILE, "0", "1", "params", "storage", "cuda:0"))
        return (
            b"X"
            + struct.pack("<L", len(new.encode("utf-8", "replace")))
            + new.encode("utf-8", "replace")
        )
    if code in (b"K", b"M", b"J", b"\x8a"):
        return b"I%d\n" % draw.choice((*EXTREMES, -1, -(2**63), 10**40))
    if code in (b"h", b"q", b"j", b"r"):
        return code + bytes(draw.randrange(256) for _ in part[1:])
    return code + draw.choice((b"", bytes(len(part)), b"\xff" * (len(part) - 1)))


def _instructions(content: bytes) -> list[bytes]:
    """The instructions of the first pickle, each as its bytes, and all that follows as one."""
    places = []
    try:
        for code, _, at in pickletools.genops(content):
            places.append(at)
            if code.name == "STOP" or len(places) > 3000:
                break
    except Exception:  # the rest is damaged already
        pass
    ends = [*places[1:], len(content)]
    return [content[start:end] for start, end in zip(places, ends, strict=False)]


def pickles_in_a_row(content: bytes, draw: random.Random) -> bytes:
    """One of the pickles that follow each other in an older file, with other instructions."""
    starts = [0]
    for _ in range(4):
        own = _length(content[starts[-1] :])
        if not own:
            break
        starts.append(starts[-1] + own)
    begin = draw.choice(starts)
    end = next((start for start in starts if start > begin), len(content))
    return content[:begin] + pickle_instructions(content[begin:end], draw) + content[end:]


def _length(content: bytes) -> int:
    try:
        for code, _, at in pickletools.genops(content):
            if code.name == "STOP":
                return int(at) + 1
    except Exception:
        return 0
    return 0


def in_order(content: bytes) -> bytes:
    """A safetensors file with the entries of its header in order; they are written in any."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":"))
    return content[:8] + header.encode().ljust(end - 8) + content[end:]


def safetensors_header(content: bytes, draw: random.Random) -> bytes:
    """Other names, types, shapes, places and metadata in the header, whose length fits."""
    size = int.from_bytes(content[:8], "little")
    header, rest = content[8 : 8 + size], content[8 + size :]
    what = draw.random()
    if what < 0.8:
        header = draw.choice(text_mutations.JSON)(header, draw)
    elif what < 0.9:
        header = header.replace(
            b"F32", draw.choice((b"F64", b"I8", b"BOOL", b"F8_E4M3", b"C64", b"x"))
        )
    else:
        header += b" " * draw.choice((1, 7, 1000))
    length = len(header) if draw.random() < 0.9 else draw.choice(EXTREMES) % 2**64
    return struct.pack("<Q", length) + header + rest


def safetensors_metadata(content: bytes, draw: random.Random) -> bytes:
    """Other metadata, whose values are JSON texts themselves."""
    size = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + size])
        about = header["__metadata__"]
        name = draw.choice(sorted(about))
        about[name] = text_mutations.json_values(about[name].encode(), draw).decode(
            "utf-8", "replace"
        )
        text_now = json.dumps(header).encode()
    except Exception:
        return safetensors_header(content, draw)
    return struct.pack("<Q", len(text_now)) + text_now + content[8 + size :]


def texts_in_pickle(content: bytes, draw: random.Random) -> bytes:
    """A text of a pickle that is JSON, as our metadata, with other values."""
    parts = _instructions(content)
    own = [place for place, part in enumerate(parts) if part[:1] == b"X" and part[5:6] == b"{"]
    if not own:
        return pickle_instructions(content, draw)
    place = draw.choice(own)
    new = text_mutations.json_values(parts[place][5:], draw)
    parts[place] = b"X" + struct.pack("<L", len(new)) + new
    return b"".join(parts)


PICKLE = (pickle_instructions, pickle_instructions, texts_in_pickle)
CHECKPOINT = (zip_members({"data.pkl": PICKLE}), zip_members({"data.pkl": PICKLE}), *ZIP)
ROW = (pickles_in_a_row,)
SAFETENSORS = (safetensors_header, safetensors_header, safetensors_metadata)
