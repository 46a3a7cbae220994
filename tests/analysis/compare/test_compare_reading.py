"""What rank correlations say: which indices go along with the PSNR drop, and what is undecided."""

from __future__ import annotations

import pandas as pd

from analysis.compare import reading as compare_reading
from tests.helpers.benchmark_frames import NAN, said


def correlations(*rows: tuple[str, float, float, int]) -> dict[str, pd.DataFrame]:
    frame = pd.DataFrame(
        [
            {"index": name, "target": "gap", "spearman": rho, "low": NAN, "high": NAN}
            | {"p": p, "p_corrected": p, "models": models}
            for name, rho, p, models in rows
        ]
    )
    return {"correlations": frame, "compare": pd.DataFrame({"model": list("abcd")})}


def test_few_models_cannot_tell_an_index_from_chance():
    frames = correlations(("srga", 1.0, 0.17, 4), ("cka", 0.2, 0.8, 4))
    text = said(compare_reading.sentences(frames))
    assert "none of 2 indices is told from no correlation" in text
    assert "the strongest is SRGA, mean over unseen noises, ρ = 1.00, p = 0.17" in text
    assert "even perfect agreement has a corrected p of 0.17: too few models" in text
    frames = correlations(("srga", -0.9, 0.001, 9), ("cka", 0.2, 0.8, 9), ("distance", NAN, NAN, 9))
    text = said(compare_reading.sentences(frames))
    assert "below 0.05, SRGA, mean over unseen noises, ρ = -0.90, p = 0.001" in text
    assert "Undecided: CKA of the deepest blocks" in text and "too few" not in text
    assert "ρ" not in said(compare_reading.main(correlations(("srga", NAN, NAN, 4))))


def test_kinds_of_models_are_told_of_where_they_might_be_all_there_is():
    kinds = {name: {"policy": "masks" if name < "c" else "no_masks"} for name in "abcd"}
    for manifest in ({"models": kinds}, {"runs": {"x": {"models": kinds}}}):
        (text,) = compare_reading.groups(manifest)
        assert r"2 kinds (2 with masks; 2 with no\_masks)" in text
    assert compare_reading.groups({"models": dict(list(kinds.items())[:2])}) == []
    assert compare_reading.groups({}) == []
