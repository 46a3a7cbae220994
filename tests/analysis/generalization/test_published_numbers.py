"""Published PSNRs of published networks, by the protocol that they were published under."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import analysis
import mtd
from analysis.generalization import noise_suite
from tests.helpers.paths import GOLDEN, ROOT, data_folder

ROWS: list[dict[str, Any]] = json.loads((GOLDEN / "published_psnr.json").read_text())["rows"]
TOLERANCE = 0.03
"""In dB; published values have two digits and another draw of the noise."""


def key(row: dict[str, Any]) -> tuple[str, ...]:
    return row["model"], row["set"], str(row["sigma"]), row["domain"]


def documented() -> dict[tuple[str, ...], tuple[float, ...]]:
    """Published, ours and difference by row, from the table of docs/protocols.md."""
    text = (ROOT / "docs" / "protocols.md").read_text()
    cells = [r"`kair/(\w+)`", r"`(\w+)`", r"(\d+)", r"(\w+)", *3 * [r"([-+−\d.]+)"]]
    pattern = "".join(rf"\| {cell} " for cell in cells)
    return {
        found[:4]: tuple(float(number.replace("−", "-")) for number in found[4:])
        for found in re.findall(pattern, text)
    }


def test_the_table_in_the_docs_is_of_these_numbers():
    table = documented()
    known = {key(row): row for row in ROWS}
    assert table and set(table) <= set(known)
    for name, row in known.items():
        if name not in table:
            continue
        published, ours, difference = table[name]
        assert published == row["psnr"]
        assert difference == pytest.approx(ours - published, abs=1e-9)
        assert abs(difference) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(key(row)))
def test_published_values_are_reproduced(row, tmp_path):
    checkpoint = data_folder("checkpoints") / f"{row['model']}.pth"
    suite = tmp_path / "one.toml"
    text = (noise_suite.FOLDER / "kair.toml").read_text()
    text = re.sub(r"(?m)^(noises|test_sets|metric_domain) = .*\n", "", text)
    suite.write_text(
        f'{text}noises = ["gaussian:{row["sigma"]}"]\nmetric_domain = "{row["domain"]}"\n'
    )
    result = analysis.generalization.benchmark(
        {row["model"]: mtd.load(checkpoint, sigma="oracle")},
        testset=f"{row['set']}={data_folder(row['set'])}",
        suite=str(suite),
        lpips=False,
        references=False,
        progress=False,
    )
    rows = result.noises.query("metric == 'psnr'").set_index("model")
    mean = float(rows["mean"][row["model"]])
    assert mean == pytest.approx(row["psnr"], abs=TOLERANCE)
    if key(row) in documented():
        assert mean == pytest.approx(documented()[key(row)][1], abs=0.006)
