"""Option files beside checkpoints, which others have written."""

from __future__ import annotations

import json

import pytest

from mtd.loading import kair_options
from mtd.loading.kair_options import strip_comments
from mtd.utils.errors import BadInput
from tests.helpers import steps


@pytest.mark.parametrize(
    "text",
    [r"\"", '"', '"a', r"\\", "//", '//"', "/", '"//', "\\", r'"\u"', '""'],
)
def test_the_steps_grow_with_the_length_of_a_file(text):
    counts = [steps.lines(strip_comments, text * n) for n in (500, 1000, 2000)]
    assert steps.grow_linearly(counts), counts


@pytest.mark.parametrize(
    "text, expected",
    [
        ('{"a": "x//y\\"//", // z\n "b": 1} // end', {"a": 'x//y"//', "b": 1}),
        ('{"a": "\\\\"} // "b"', {"a": "\\"}),
        ('// "\n{"a": "\\\\\\""}//', {"a": '\\"'}),
        ('{}//"', {}),
        ("{} // a // b", {}),
    ],
)
def test_comments_are_left_out_and_texts_kept(text, expected):
    assert json.loads(strip_comments(text)) == expected


@pytest.mark.parametrize(
    "content",
    [
        b'\\"' * 32_000,
        b"[" * 100_000,
        b'{"netG": ' + b"9" * 5000 + b"}",
        b"\xff\xfe",
        b'{"netG": [], "datasets": {"train": []}}',
        b'{"netG": {"use_mask": true, "mask_ratio1": 1e999}, "datasets": {"train": {}}}',
        b'{"netG": {"use_mask": "\\ud800\\n"}, "datasets": {"train": {}}}',
        b'{"netG": null}',
        b"[]",
    ],
)
def test_files_that_state_no_policy_end_in_one_line(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        kair_options.mask_policy(path)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 600
    assert not kair_options.is_option_file(path) or b"netG" in content
