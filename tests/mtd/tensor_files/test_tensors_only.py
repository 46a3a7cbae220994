"""Headers of safetensors that ask for much: refused before a tensor is made."""

from __future__ import annotations

import json
from typing import Any

import pytest
import safetensors.torch
import torch

from mtd.loading import checkpoint_file
from mtd.utils.errors import BadInput


def file(header: Any, numbers: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers


def entry(*shape: int, first: int = 0, last: int = 0) -> dict[str, Any]:
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [first, last]}


DEEP = b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}"

REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "it has no header"),
    "a header longer than the file": (b"\xff" * 8 + b"{}", "its header is not whole"),
    "no UTF-8": (file(b'{"\xff": 1}'), "its header"),
    "no JSON": (file(b"{{}"), "damaged; expected JSON"),
    "a list": (file([1]), "its header is no table"),
    "deep nesting": (file(DEEP), "nested too deeply"),
    "a number of 5,000 digits": (file(b'{"a":' + b"9" * 5000 + b"}"), "too many digits"),
    "texts that are numbers": (file({"__metadata__": {"mtd": 3}}), "its header is no table"),
    "a giant shape without numbers": (file({"a": entry(0, 2**63)}), "no shape of whole numbers"),
    "a shape beyond 64 bits": (file({"a": entry(0, 2**70)}), "no shape of whole numbers"),
    "many dimensions": (file({"a": entry(*[1] * 65, last=4)}, bytes(4)), "no shape"),
    "a shape of truth": (file({"a": entry() | {"shape": [True]}}), "no shape of whole numbers"),
    "no shape": (file({"a": {"dtype": "F32"}}), "no shape of whole numbers"),
    "tensors that share bytes": (
        file({"a": entry(2, last=8), "b": entry(2, first=4, last=12)}, bytes(12)),
        "damaged or not a safetensors file",
    ),
    "a size that is not that of the shape": (
        file({"a": entry(9, last=8)}, bytes(8)),
        "damaged or not a safetensors file",
    ),
    "an unknown type": (
        file({"a": entry(2, last=8) | {"dtype": "Q9"}}, bytes(8)),
        "damaged or not a safetensors file",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_headers_that_are_refused(tmp_path, monkeypatch, case):
    content, message = REFUSED[case]
    if not message.startswith("damaged or not"):
        monkeypatch.setattr(safetensors.torch, "load", lambda _: pytest.fail("read"))
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        checkpoint_file.read(path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_the_number_of_tensors_is_limited(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    path.write_bytes(file({f"{i}.weight": entry(0) for i in range(201)}))
    monkeypatch.setenv("MTD_MAX_TENSORS", "200")
    monkeypatch.setattr(safetensors.torch, "load", lambda _: pytest.fail("read"))
    with pytest.raises(BadInput, match=r"201 tensors; the limit is 200: set .*MTD_MAX_TENSORS"):
        checkpoint_file.read(path)


def test_pickled_tensors_are_limited_in_number_names_and_all_their_bytes(tmp_path, monkeypatch):
    path = tmp_path / "a.pth"

    def refusal(content: dict[str, torch.Tensor]) -> str:
        torch.save(content, path)
        with pytest.raises(BadInput) as caught:
            checkpoint_file.read(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    one = torch.zeros(1)
    # one number fills the file
    for wide in ({"a": one.expand(5000, 1000)}, {f"{i}": one.expand(500, 500) for i in range(20)}):
        message = refusal(wide)
        assert "tensors of 20000000 bytes, 19.0" in message and "CHECKPOINT_RATIO" in message
    assert len(checkpoint_file.read(saved(path, dict.fromkeys("abcdefgh", torch.ones(9)))).sets)
    assert "a name of 1001 characters" in refusal({"n" * 1001: torch.ones(2, 2)})
    assert "and 32 dots" in refusal({"a." * 33: torch.ones(2, 2)})
    monkeypatch.setenv("MTD_MAX_TENSORS", "3")
    assert "4 tensors; the limit is 3" in refusal({f"{i}": torch.ones(2, 2) for i in range(4)})


def saved(path: Any, content: Any) -> Any:
    torch.save(content, path)
    return path
