"""Sentences from tables: signs, what is undecided, one model, ties, missing values, many models."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.attribution import reading as attribution_reading
from analysis.attribution.tables import differences
from analysis.cka import alternative_text as cka_text
from analysis.cka import notebook as cka_notebook
from analysis.cka import reading as cka_reading
from analysis.cka.result import CKAResult
from analysis.commands.registry import analysis
from analysis.degradation import reading as degradation_reading
from analysis.generalization import notebook as generalization_notebook
from analysis.plotting import notebook_output
from analysis.report import leaderboard, provenance
from analysis.report import reading as report_reading
from analysis.sensitivity import reading as sensitivity_reading
from analysis.text.marginals import by_model, by_noise, tidy
from analysis.text.markdown import code, escaped, side
from analysis.text.rows import ends, p_values
from analysis.text.terminal import number
from tests.helpers.benchmark_frames import NAN, PAIR, benchmark, benchmark_result, said, scores
from tests.helpers.cka_tables import cka_table


def marginal(**values: tuple[float, float, float]) -> pd.DataFrame:
    rows = [dict(zip(("value", "low", "high"), v, strict=True)) for v in values.values()]
    return tidy(pd.DataFrame(rows).assign(model=list(values)), "value")


def test_models_are_told_with_their_intervals_and_not_compared_by_these():
    apart = said(by_model(marginal(a=(1, 0.5, 1.5), b=(3, 2, 4)), "x"))
    assert apart == "x: 1.00 [0.50, 1.50] in `a` and 3.00 [2.00, 4.00] in `b`."
    lost = said(by_model(marginal(a=(NAN, NAN, NAN), b=(3, 2, 4)), "x"))
    assert "no value for `a`" in lost and "3.00 [2.00, 4.00] in `b`" in lost
    many = said(by_model(marginal(**{f"m{i}": (i, i - 0.1, i + 0.1) for i in range(9)}), "x"))
    assert "9 models (median 4.00)" in many and "`m0`" in many and "`m8`" in many
    assert "`m4`" not in many


def under(values: dict[str, dict[str, tuple[float, float, float]]]) -> pd.DataFrame:
    rows = [
        {"model": model, "noise": noise, "value": v[0], "low": v[1], "high": v[2]}
        for model, of in values.items()
        for noise, v in of.items()
    ]
    return tidy(pd.DataFrame(rows), "value")


def test_without_a_table_of_differences_models_are_not_compared():
    values = {"a": {"x": (1, 0, 2), "y": (5, 4, 6)}, "b": {"x": (4, 3, 5), "y": (1, 0, 2)}}
    text = said(by_noise(under(values), "v"))
    assert text == "v, mean over 2 noises (without an interval): 3.00 in `a` and 2.50 in `b`."
    alone = said(by_noise(under({"a": {"x": (1, 0, 2), "y": (5, 4, 6)}}), "v"))
    assert "ranges from 1.00 [0.00, 2.00] under `x` to 5.00 [4.00, 6.00] under `y`" in alone


def test_means_are_over_noises_that_all_models_have():
    of = {"x": (1.0, NAN, NAN), "y": (9.0, NAN, NAN)}
    pair = {"a": of | {"z": (NAN, NAN, NAN)}, "b": of | {"z": (20.0, NAN, NAN)}}
    text = said(by_noise(under(pair), "v"))
    assert "mean over 2 of 3 noises, those with a value for every model" in text
    assert "5.00 in `a` and 5.00 in `b`" in text and "10.00" not in text
    absent = under({"a": of, "b": of | {"z": (20.0, NAN, NAN)}})
    assert said(by_noise(absent, "v")) == text
    whole = said(by_noise(under({"a": of, "b": of}), "v"))
    assert whole.startswith("v, mean over 2 noises (without an interval): 5.00 in `a`")
    lost = {"c": dict.fromkeys("xy", (NAN, NAN, NAN))}
    text = said(by_noise(under({"a": of, "b": of} | lost), "v"))
    assert "5.00 in `a` and 5.00 in `b`" in text and "no value for `c`" in text
    apart = {"a": {"x": (1.0, NAN, NAN)}, "b": {"y": (3.0, NAN, NAN)}}
    text = said(by_noise(under(apart), "v"))
    assert text == "v: no mean over noises, as none has a value for every model."


def test_the_lowest_of_many_models_are_counted():
    values = {"a": (1, 1, 5), "b": (1, 2, 4), "c": (3, 3, 3), "d": (9, 9, 9)}
    many = {m: {n: (v, 0, 10) for n, v in zip("xyz", of, strict=True)} for m, of in values.items()}
    text = said(by_noise(under(many), "v"))
    assert (
        "Number of noises, of 3, under which a model has the lowest value (intervals not "
        "considered; ties count for each): `a` 2, `b` 1 and `c` 1." in text
    )
    del many["b"]
    assert "ties" not in said(by_noise(under(many), "v"))


def test_one_model_has_no_pairs_in_cka():
    frame = cka_table(np.eye(3), ("a", "g"), ("a", "p"))
    means = frame.iloc[[0]][["model_a", "noise_a", "model_b", "noise_b", "cka", "low", "high"]]
    frames = {"cka": frame, "last_quarter": means, "depth": frame.iloc[:0]}
    text = said(cka_reading.sentences(frames, {"crops": [{"image": i} for i in "abcc"]}))
    assert "1.000 in `a`" in text and "This run has no intervals" in text
    assert "no two models" in cka_text.alt_maps(frames, "cross_model")
    assert "a: 0.00 to 1.00" in cka_text.alt_maps(frames, "cross_noise")
    assert cka_text.alt_depth(frames) == "This run compares no two noises."


def compared(models: int, noises: int) -> dict[str, pd.DataFrame]:
    """Of each model a map for each noise against g, of value model / 100 + noise / 10 all over."""
    parts = [
        cka_table(np.full((3, 3), m / 100 + n / 10), (f"m{m:02}", "g"), (f"m{m:02}", f"n{n}"))
        for m in range(models)
        for n in range(noises)
    ]
    frame = pd.concat(parts, ignore_index=True)
    own = frame[frame.index_a == frame.index_b]
    names = {"model_a": "model", "layer_a": "layer", "index_a": "index"}
    return {"cka": frame, "depth": own.drop(columns="layer_b").rename(columns=names)}


def test_descriptions_of_maps_name_every_model_and_its_farthest_noise():
    frames = compared(2, 5)
    text = cka_text.alt_maps(frames, "cross_noise")
    assert "m00: 0.00 to 0.40 over 5 pairs of noises, lowest mean 0.00 for g against n0" in text
    assert "m01: 0.01 to 0.41 over 5 pairs of noises, lowest mean 0.01 for g against n0" in text
    assert "its diagonal from 0.01 at the first layer to 0.01 at the last" in text
    text = cka_text.alt_depth(frames)
    assert "5 pairs of them" in text
    for name, end in (("m00", 0), ("m01", 1)):
        span = f"0.0{end} to 0.4{end}"
        assert f"{name}: {span} at the first layer, {span} at the last, lowest 0.0{end}" in text
    many = compared(20, 1)
    for text in (cka_text.alt_maps(many, "cross_noise"), cka_text.alt_depth(many)):
        assert "of 20 models; those with the lowest and the highest mean" in text
        assert "m00:" in text and "m19:" in text and "m10" not in text
    frames["cka"]["cka"] = NAN
    frames["depth"]["cka"] = NAN
    assert "m01: no values" in cka_text.alt_maps(frames, "cross_noise")
    assert "m01: no value at the first layer" in cka_text.alt_depth(frames)
    two = {"cka": cka_table(np.eye(3), ("a", "g"), ("b", "g"))}
    assert "a and b: 0.00 to 1.00 under g." in cka_text.alt_maps(two, "cross_model")


def cka_result(frames: dict[str, pd.DataFrame]) -> CKAResult:
    files = {f"{name}.csv": frame for name, frame in frames.items()}
    models = dict.fromkeys(frames["cka"].model_a)
    return CKAResult(analysis("cka"), files, {"models": {name: {} for name in models}})


def test_the_diagonal_side_by_side_has_a_row_for_each_layer():
    frame = cka_result(compared(2, 2)).diagonal
    columns = ["m00, g against n0", "m00, g against n1", "m01, g against n0", "m01, g against n1"]
    assert list(frame) == ["layer", *columns] and len(frame) == 3
    assert list(frame.iloc[2])[1:] == pytest.approx([0.0, 0.1, 0.01, 0.11])


def test_of_many_maps_only_those_that_are_drawn_are_described():
    frames = compared(4, 4)
    alt = cka_notebook.maps(cka_result(frames), "cross_noise").data["text/plain"]
    assert "m03: 0.03 to 0.03 for g against n0" in alt
    assert "n1" not in alt and "pairs" not in alt
    frames = compared(3, 4)  # few enough for all
    alt = cka_notebook.maps(cka_result(frames), "cross_noise").data["text/plain"]
    assert "m02: 0.02 to 0.32 over 4 pairs of noises" in alt
    drawn = cka_notebook.firsts(compared(cka_notebook.MOST + 1, 2)["cka"])
    assert drawn.model_a.nunique() == cka_notebook.MOST and set(drawn.noise_b) == {"n0"}


def layers(model: str, ch: float, probes: list[float]) -> list[dict[str, Any]]:
    return [
        {"model": model, "layer": f"l{i}", "index": i, "ch_noise": ch, "low": ch / 2}
        | {"high": ch * 2, "probe": probe, "chance": 0.2}
        | {"last_features": i == len(probes) - 1, "highest": i == 0, "note": "", "folds": 5}
        | {"photographs": 30, "crops": 30}
        for i, probe in enumerate(probes)
    ]


def test_clusters_are_set_against_random_labels_and_chance():
    rows = [*layers("a", 9.0, [0.3, 0.7]), *layers("b", 0.1, [0.3, 0.4]), *layers("c", 1, [0.9])]
    text = said(degradation_reading.sentences({"degradation": pd.DataFrame(rows)}, {}))
    assert (
        "Difference from 1, the index of random labels: shown to be above it, so that noises form "
        "groups, in `a`; shown to be below it, so that content outweighs noise, in `b`; not shown "
        "in `c`." in text
    )
    few = pd.DataFrame(rows).assign(photographs=9)
    text = said(degradation_reading.sentences({"degradation": few}, {}))
    assert "random labels: too few images to tell (at least 10 photographs)." in text
    assert "l1 in `a` (layer 2 of 2; best 0.70 at l1) and at l0 in `c` (layer 1 of 1" in text
    assert "It never does in `b` (best 0.40 at l1)" in text


def test_sensitivity_is_that_of_the_output_and_of_the_strongest_layer():
    rows = [
        {"model": m, "noise": n, "layer": layer, "index": i, "gain": g, "gain_low": g - 0.1}
        | {"gain_high": g + 0.1, "photographs": 20, "crops": 20, "note": ""}
        | {"change": g, "kind": n}
        for m, out in (("a", 0.5), ("b", 1.5))
        for n in ("x", "y")
        for i, (layer, g) in enumerate((("noisy image", 1), ("l", 3.0), ("denoised image", out)))
    ]
    frame = pd.DataFrame(rows)
    text = said(sensitivity_reading.sentences({"sensitivity": frame}, {}))
    assert "0.500 in `a` and 1.500 in `b`" in text
    few = said(sensitivity_reading.sentences({"sensitivity": frame.assign(photographs=9)}, {}))
    assert "gain above 1: `b` under" in text and "gain above 1" not in few
    assert "3.00 [2.90, 3.10] in `a` (l, under `x`)" in text
    assert "shown to move more than the noisy image itself, gain above 1: `b` under `x`" in text
    assert "largest of many layers and noises it was selected on these same crops" in text


def test_attribution_of_few_photographs():
    rows = [
        {"model": m, "noise": n, "crop": c, "di": di + c, "outside": 0.1, "note": ""}
        | {"scene": f"{c}.png", "image": f"{c}.png", "reach50": 4}
        | {"start": 1.0, "end": 3.0, "sum": 2.0}
        | {"completeness": 0.01, "window_top": 8, "window_left": 8, "side": 8, "reach90": 20}
        for m, di in (("a", 5.0), ("b", 3.0))
        for n in ("gaussian:0", "poisson:3")
        for c in (0, 1)
    ]
    frame = pd.DataFrame(rows)
    frames = {"attribution": frame, "attribution_difference": differences(frame)}
    text = said(attribution_reading.sentences(frames, {"crop": 24}))
    assert "5.50 in `a` and 3.50 in `b`" in text and "10.0 in `a`" in text
    few = "too few images to tell (at least 10 photographs)"
    assert f"Averaged over 2 noises, `b` - `a` is -2.00: {few}." in text
    assert f"is +0.0: {few}." in text
    assert "8 of 8 maps reach the border of their crop" in text
    assert "2 photographs are too few for intervals" in text


def test_names_break_neither_markdown_nor_sentences():
    assert code("<b>*x*") == "`<b>*x*`" and code("`a`") == "`` `a` ``" and code("") == "`  `"
    assert code("a\nb") == r"`a\nb`"
    assert escaped("a_b <i> [x](y) | $z$") == r"a\_b \<i\> \[x\](y) \| \$z\$"
    assert side(0.1, 0.2) == 1 and side(-0.2, -0.1) == -1 and side(-1, 1) == side(NAN, NAN) == 0


def test_ends_skip_what_is_missing_and_take_the_first_of_equal_ones():
    frame = pd.DataFrame({"v": [NAN, 2.0, 1.0, 2.0, 1.0], "n": list("abcde")})
    low, high = ends(frame, "v")
    assert (low["n"], high["n"]) == ("c", "b")


def test_a_report_without_anything_in_it(tmp_path):
    assert report_reading.answers(tmp_path) == []
    assert "<th" in report_reading.in_short(tmp_path).data["text/html"]
    assert provenance.entries(tmp_path) == [] and provenance.command(tmp_path) == []
    for table in (
        report_reading.inputs_of_sections,
        provenance.settings,
        provenance.layers,
        provenance.versions,
    ):
        assert table(tmp_path).empty
    assert leaderboard.scores(tmp_path).empty and report_reading.table_of_models(tmp_path).empty


def test_a_reports_own_manifest_is_shown_as_far_as_it_goes(tmp_path):
    (tmp_path / "manifest.json").write_text(
        '{"analysis": "report", "arguments": ["a.pth", "--seed", "1"],'
        ' "budget": {"crops": 8}, "suite": "a_b", "empty": [],'
        ' "models": {"a|b": {"sha256": "0123456789abcdef", "parameters": 7}}}'
    )
    assert provenance.command(tmp_path) == ["`python -m analysis.report a.pth --seed 1`"]
    assert provenance.entries(tmp_path) == ["budget: crops 8", r"suite: a\_b"]
    row = report_reading.table_of_models(tmp_path).iloc[0]
    assert (row["model"], row["parameters"], row["SHA-256"]) == ("a|b", 7, "0123456789ab")


def test_steps_are_whole_numbers_where_some_model_has_none(tmp_path):
    (tmp_path / "manifest.json").write_text(
        '{"analysis": "report", "models": {"a": {"training": {"steps": 10000}}, "b": {}}}'
    )
    frame = report_reading.table_of_models(tmp_path)
    shown = notebook_output.table(frame).data["text/html"]
    assert '<td class="number" data-value="10000.0">10000</td>' in shown
    assert '<td class="number" data-value="nan">–</td>' in shown and "10000.00" not in shown


def section(folder: Path, name: str, models: dict[str, str], **more: Any) -> None:
    """A run folder of a section: its models with the digests of their files, and a table."""
    (folder / name).mkdir(parents=True)
    held = {model: {"sha256": digest} for model, digest in models.items()}
    tables = {key: value for key, value in more.items() if isinstance(value, pd.DataFrame)}
    rest = {key: value for key, value in more.items() if key not in tables}
    manifest = {"analysis": name, "models": held, "noises": ["g", "x"], **rest}
    (folder / name / "manifest.json").write_text(json.dumps(manifest))
    for table, frame in tables.items():
        frame.to_csv(folder / name / f"{table}.csv", index=False, na_rep="nan")


def owned(folder: Path, models: dict[str, str]) -> None:
    """The manifest of a report."""
    about = {name: {"sha256": digest} for name, digest in models.items()}
    (folder / "manifest.json").write_text(json.dumps({"analysis": "report", "models": about}))


def distances(**values: float) -> pd.DataFrame:
    rows = [{"model": m, "noise": "x", "reference": "g", "srga": v} for m, v in values.items()]
    return pd.DataFrame(rows)


def test_the_leaderboard_has_every_model_the_best_first(tmp_path):
    models = {"a": "1", "b": "1", "c": "2", "d": "3"}
    owned(tmp_path, models)
    outside = {"a": (30.0, 20.0), "b": (30.0, 25.0), "c": (30.0, NAN), "d": (30.0, 25.0)}
    section(tmp_path, "generalization", models, generalization=scores(outside))
    section(tmp_path, "srga", models, srga=distances(a=1.0, b=2.0, c=3.0))
    frame = leaderboard.scores(tmp_path)
    assert list(frame.model) == ["b", "d", "a", "c"]
    assert frame.set_index("model")["SRGA"].fillna(-1).to_dict() == {
        "b": 2,
        "d": -1,
        "a": 1,
        "c": 3,
    }
    assert 'data-csv="leaderboard.csv"' in leaderboard.leaderboard(tmp_path).data["text/html"]
    assert "data-csv" not in leaderboard.leaderboard(tmp_path / "none").data["text/html"]


def test_models_that_sections_call_differently_are_found_by_their_files(tmp_path):
    owned(tmp_path, {"a": "1", "b": "2", "other": "1"})  # as a report of two runs has them
    values = {"a": (30.0, 20.0), "b": (30.0, 25.0)}
    section(tmp_path, "generalization", {"a": "1", "b": "2"}, generalization=scores(values))
    section(tmp_path, "srga", {"b": "1", "other": "1"}, srga=distances(b=7.0, other=7.0))
    frame = leaderboard.scores(tmp_path)
    assert list(frame.model) == ["b", "a"]
    found = frame.set_index("model")["SRGA"]
    assert math.isnan(found["b"]) and found["a"] == 7  # its own b is another file


def test_a_similarity_of_another_measure_has_no_column_of_cka(tmp_path):
    owned(tmp_path, {"a": "1"})
    section(tmp_path, "srga", {"a": "1"}, srga=distances(a=1.0))
    views = {"model_a": "a", "noise_a": "g", "model_b": "a", "noise_b": "x"}
    section(tmp_path, "cka", {"a": "1"}, deep=pd.DataFrame([views | {"rsa": 0.5}]))
    assert list(leaderboard.scores(tmp_path)) == ["model", "SRGA"]


def test_draws_and_samples_of_masks_are_told_apart(tmp_path):
    section(tmp_path, "srga", {"a": "1"}, mask_samples=4, mask_draws="shared")
    section(tmp_path, "sensitivity", {"a": "1"}, mask_samples={"a": 4, "b": 1})
    settings = provenance.settings(tmp_path)
    assert list(settings["mask samples"]) == ["4", "a 4, b 1"]
    assert list(settings["mask draws"]) == ["shared", "–"]


def test_numbers_of_the_terminal_are_never_negative_zeros():
    assert [number(v, 2) for v in (-0.001, 0.001, -0.006, NAN)] == ["0.00", "0.00", "-0.01", "-"]


def test_lists_of_layers_are_given_up_to_forty(tmp_path):
    for count, name in ((40, "cka"), (41, "sensitivity")):
        section(tmp_path, name, {"a": "1"}, layers={"a": [f"l{i}" for i in range(count)]})
    whole, cut = provenance.layers(tmp_path)["names"]
    assert whole.split(", ") == [f"l{i}" for i in range(40)]
    assert cut.split(", ") == [*(f"l{i}" for i in range(39)), "…", "l40"]


def test_small_p_values_are_not_shown_as_zero():
    frame = pd.DataFrame({"p": [1e-7, 0.25, NAN], "p (Holm)": [0.5, 0.00002, 1.0]})
    found = p_values(frame, ["p", "p (Holm)"], 5)
    assert list(found.p) == ["<0.00001", "0.25000", "–"]
    assert pd.api.types.is_numeric_dtype(found["p (Holm)"]) and list(frame.p)[1] == 0.25
    frames = benchmark(PAIR, {("a", "b"): {"isp": (-5.0, -6.0, -4.0, 1e-9)}})
    text = generalization_notebook.pairs(benchmark_result(frames), "psnr").data["text/html"]
    assert "&lt;0.00001" in text and "0.00000" not in text
