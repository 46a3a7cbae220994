"""What rank correlations say: which indices go along with the PSNR drop, and what is undecided."""

from __future__ import annotations

import pandas as pd

from analysis.compare import reading as compare_reading
from tests.helpers.benchmark_frames import NAN, said


def correlations(*rows: tuple[str, float, float, int]) -> dict[str, pd.DataFrame]:
    frame = pd.DataFrame(
        [
            {"index": name, "target": "ood_drop", "spearman": rho, "low": NAN, "high": NAN}
            | {"p": p, "p_corrected": p, "models": models}
            for name, rho, p, models in rows
        ]
    )
    return {"correlations": frame, "compare": pd.DataFrame({"model": list("abcd")})}


def test_few_models_cannot_tell_an_index_from_chance():
    frames = correlations(("srga", 1.0, 0.17, 4), ("cka", 0.2, 0.8, 4))
    text = said(compare_reading.sentences(frames, {}))
    assert text.startswith(  # 2 tests, 2 * 2 / 5! = 0.033
        "Correlation with the PSNR drop from trained to unseen noise, p corrected by Holm: too few "
        "models to tell (at least 5 models); the strongest is that with SRGA, mean over other "
        "noises, ρ = 1.00, p = 0.17."
    )
    assert "even perfect agreement has a corrected p of 0.17." in text
    frames = correlations(("srga", -0.9, 0.001, 9), ("cka", 0.2, 0.8, 9), ("distance", NAN, NAN, 9))
    text = said(compare_reading.sentences(frames, {}))
    assert (
        "Correlation with the PSNR drop from trained to unseen noise, p corrected by Holm: shown "
        "for SRGA, mean over other noises, ρ = -0.90, p = 0.001." in text
    )
    assert "Not shown for CKA of the last quarter" in text and "too few" not in text
    frames = correlations(("srga", -0.3, 0.4, 9), ("cka", 0.2, 0.8, 9))
    assert "p corrected by Holm: not shown for any of 2 indices; the strongest, SRGA" in said(
        compare_reading.main(frames)
    )
    text = said(compare_reading.main(correlations(("srga", NAN, NAN, 4))))
    assert text == "No index can be correlated with the PSNR drop from trained to unseen noise."


def test_what_untrained_networks_predict_as_well_is_no_predictor():
    frames = correlations(("srga", -0.9, 0.001, 9), ("cka", -0.95, 0.001, 9))
    rows = frames["correlations"]
    rows["low"], rows["high"] = rows.spearman - 0.05, rows.spearman + 0.3
    for untrained, also in ((-0.7, True), (-1.0, True), (-0.5, False), (0.9, False), (NAN, False)):
        rows["untrained"] = [NAN, untrained]
        text = said(compare_reading.main(frames))
        assert ("need not be the cause: CKA of the last quarter" in text) is also
        assert ("shown for CKA" in text or "; CKA" in text) is not also
        assert "shown for SRGA" in text or "SRGA, mean over other noises, ρ = -0.90" in text
    rows["untrained"] = [-0.9, -0.95]
    (text,) = compare_reading.main(frames)
    assert text.startswith("Untrained networks of the same architectures are correlated")
    rows["low"] = rows["high"] = NAN  # a perfect correlation has no interval
    for untrained, also in ((1.0, True), (0.95, True), (0.8, False), (-1.0, False)):
        rows["spearman"], rows["untrained"] = 1.0, untrained
        assert ("need not be the cause" in said(compare_reading.main(frames))) is also


def test_one_index_has_a_sentence_of_its_own():
    assert compare_reading.main(correlations(("cka", 0.2, 0.8, 9))) == [
        "Correlation with the PSNR drop from trained to unseen noise, p corrected by Holm: not "
        "shown for the only index, CKA of the last quarter between noises, ρ = 0.20, p = 0.8."
    ]


def test_a_warning_where_few_kinds_of_models_may_make_a_correlation():
    kinds = {name: {"policy": "masks" if name < "c" else "no_masks"} for name in "abcd"}
    for manifest in ({"models": kinds}, {"runs": {"x": {"models": kinds}}}):
        (text,) = compare_reading.groups(manifest)
        assert r"2 mask policies (2 with masks; 2 with no\_masks)" in text
    assert compare_reading.groups({"models": dict(list(kinds.items())[:2])}) == []
    assert compare_reading.groups({}) == []


def test_notes_name_their_analyses():
    notes = pd.DataFrame({"analysis": ["srga, cka"], "note": ["12 patches are few."]})
    frames = correlations(("srga", 1.0, 0.17, 4)) | {"notes": notes}
    assert compare_reading.sentences(frames, {})[-1] == "12 patches are few (srga, cka)."
    assert compare_reading.notes(correlations(("srga", 1.0, 0.17, 4))) == []


def test_bundled_photographs_are_an_illustration():
    frames = correlations(("SRGA", 0.9, 0.01, 6))
    runs = {"srga": {"analysis": "srga", "images": "bundled"}}
    for manifest in ({"images": "bundled"}, {"runs": runs}):
        text = said(compare_reading.sentences(frames, manifest))
        assert text.count("illustration, not inference") == 1
    assert "illustration" not in said(compare_reading.sentences(frames, {"images": ["photos"]}))


def test_what_psnr_was_measured_on_is_that_of_the_benchmark():
    about = {"analysis": "generalization", "crops": [{"image": "x"}, {"image": "x"}], "crop": 32}
    about |= {
        "models": {"a": {}},
        "noises": ["gaussian:15", "isp"],
        "in_distribution": ["gaussian:15"],
    }
    text = "2 crops of 32 x 32 from 1 photograph; "
    text += "trained on Gaussian σ = 15; unseen: camera pipeline"
    assert compare_reading.heading({"runs": {"r": {"analysis": "srga"}, "g": about}}) == text
    assert compare_reading.heading({"crop": 32, "parts": {"generalization": about}}) == text
