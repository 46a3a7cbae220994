"""Cards: valid records, the run's own numbers, the same bytes, nothing lost."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup
from scipy.stats import t

from analysis.card import command, schema
from analysis.card.command import make
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.utils.errors import BadInput
from tests.helpers.cards import PHOTOGRAPHS, small_run
from tests.helpers.figures import leave_unrendered
from tests.helpers.json_output import strict
from tests.helpers.networks import TINY, tiny_network
from tests.helpers.paths import ROOT
from tests.helpers.run_folders import contents

Call = Callable[..., tuple[int, str, str]]

EXAMPLE = ROOT / "reports" / "example"
FILES = [".eval_results/mtd.yaml", "README.md", "badge.html"]
FILES += ["card.json", "images.jsonl", "result.json"]


@pytest.fixture(scope="module")
def run(tiny_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, ten photographs."""
    place = shutil.copytree(tiny_pair, tmp_path_factory.mktemp("cards") / "pair")
    with pytest.MonkeyPatch.context() as patch:
        leave_unrendered(patch)
        return small_run(place, "plain.pth", "hidden.pth")


@pytest.fixture
def card(run: Path, tmp_path: Path) -> Path:
    """The card of one of them."""
    return make(run, tmp_path / "card", "plain")[0]


def record(card: Path) -> dict:
    return dict(json.loads((card / "result.json").read_text()))


def scores(card: Path) -> dict[str, dict]:
    return {r["evaluation_result_id"]: r for r in record(card)["evaluation_results"]}


def test_the_schema_is_that_of_the_package() -> None:
    content = schema.SCHEMA.read_bytes()
    assert hashlib.sha256(content).hexdigest() == schema.SHA256
    assert json.loads(content)["version"] == schema.VERSION
    assert (schema.SCHEMA.parent / "LICENSE").read_text().startswith("MIT License")
    package = pytest.importorskip("every_eval_ever.schema")
    if package.get_schema_version() == schema.VERSION:
        assert package.schema_text("eval.schema.json").encode() == content


def test_a_record_is_valid_and_a_damaged_one_is_not(card: Path) -> None:
    whole = record(card)
    schema.check(whole, "result.json")
    assert whole["schema_version"] == "0.3.0" and whole["eval_library"]["version"]
    del whole["evaluation_results"][0]["metric_config"]["lower_is_better"]
    with pytest.raises(BadInput, match=r"evaluation_results/0/metric_config.*lower_is_better"):
        schema.check(whole, "result.json")


def test_numbers_are_means_with_student_s_interval_over_photographs(run, card) -> None:
    results, found = pd.read_csv(run / "results.csv"), scores(card)
    own = results[(results.model == "plain") & (results.metric == "psnr")]
    by_noise = {noise: rows.value.to_numpy() for noise, rows in own.groupby("noise")}

    def check(name: str, values: np.ndarray) -> None:
        details = found[name]["score_details"]
        half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
        bounds = details["uncertainty"]["confidence_interval"]
        assert details["score"] == pytest.approx(values.mean(), rel=1e-12)
        assert bounds["lower"] == pytest.approx(values.mean() - half, rel=1e-9)
        assert bounds["upper"] == pytest.approx(values.mean() + half, rel=1e-9)
        assert bounds["confidence_level"] == 0.95
        assert details["uncertainty"]["num_samples"] == PHOTOGRAPHS

    for noise, values in by_noise.items():
        check(f"psnr/noise:{noise}", values)
    trained = by_noise["gaussian:15"]  # as the checkpoint says
    unseen = (by_noise["gaussian:40"] + by_noise["poisson:3"]) / 2
    check("psnr/in_distribution", trained)
    check("psnr/out_of_distribution", unseen)
    check("psnr/ood_drop", trained - unseen)
    assert found["psnr/ood_drop"]["metric_config"]["lower_is_better"] is True
    assert found["psnr/worst"]["metric_config"]["lower_is_better"] is False
    worst = min(("gaussian:40", "poisson:3"), key=lambda noise: by_noise[noise].mean())
    assert found["psnr/worst"]["score_details"]["details"]["noise"] == worst
    assert found["ssim/worst"]["metric_config"]["min_score"] == -1


def test_identity_protocol_and_command(run, card) -> None:
    whole, manifest = record(card), json.loads((run / "manifest.json").read_text())
    details = whole["source_metadata"]["additional_details"]
    assert details["suite"] == "none" and details["suite_version"] == "1"
    assert details["protocol.border"] == "0" and details["protocol.metric_domain"] == "rgb"
    assert details["protocol.channels"] == "3" and details["protocol.input_mask"] == "none"
    assert details["protocol.quantize_noisy"] == "true" and details["protocol.seed"] == "0"
    assert details["protocol.noises"] == "gaussian:15, gaussian:40, poisson:3"
    assert details["command"] == "python -m analysis.generalization …"
    about = whole["model_info"]["additional_details"]
    assert about["weights_sha256"] == manifest["models"]["plain"]["weights_sha256"]
    assert json.loads(about["trained_on"]) == ["gaussian:15"]
    assert whole["retrieved_timestamp"].isdecimal()
    assert whole["evaluation_id"] == f"none/plain/{whole['retrieved_timestamp']}"


def test_values_of_single_images(run, card) -> None:
    results = pd.read_csv(run / "results.csv", keep_default_na=False)
    own = results[results.model == "plain"]
    text = (card / "images.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["value"] for row in rows] == list(own.value.astype(float))
    assert [row["sha256"] for row in rows] == list(own.sha256)
    noisy = results[(results.model == "noisy input") & (results.noise == rows[0]["noise"])]
    noisy = noisy[(noisy.metric == "psnr") & (noisy.sha256 == rows[0]["sha256"])]
    assert rows[0]["noisy_value"] == float(noisy.value.iloc[0])
    details = record(card)["source_metadata"]["additional_details"]
    assert details["per_image.sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert details["per_image.rows"] == str(len(rows))


def test_the_same_run_gives_the_same_bytes(run, tmp_path, in_process) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    first = make(run, tmp_path / "a")
    assert [path.name for path in first] == ["plain", "hidden"]
    log = json.loads((copy / "run.json").read_text())
    again = log["runs"][0] | {"started": "2099-01-01", "finished": "2099-01-01", "command": "x"}
    (copy / "run.json").write_text(json.dumps({"runs": [*log["runs"], again]}))
    given = (str(copy), "--out", str(tmp_path / "b"), "--json")
    code, out, err = in_process(command.main, *given)
    assert code == 0, err
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert sorted(contents(first[0])) == FILES
    found = strict(out)
    assert [row["model"] for row in found["results"]["cards"]] == ["plain", "hidden"]
    assert len(found["files"]) == 2 * len(FILES) and all(map(Path, found["files"]))


def test_the_model_card(card: Path) -> None:
    text = (card / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    assert yaml.safe_load(front)["pipeline_tag"] == "image-to-image"
    assert "**Trained on:** Gaussian σ = 15, as its checkpoint says." in body
    assert "LPIPS not run: left out by --no-lpips." in body
    assert "too few images" not in body  # of which there are ten
    found = scores(card)
    rows = {"in_distribution": "in distribution", "ood_drop": "gap between in and out"}
    for name, row in rows.items():
        details = found[f"psnr/{name}"]["score_details"]
        bounds = details["uncertainty"]["confidence_interval"]
        cells = [f"{details['score']:.2f} [{bounds['lower']:.2f}, {bounds['upper']:.2f}]"]
        assert f"| {row} | {cells[0]} |" in body
    shown = found["psnr/ood_drop"]["score_details"]["details"]["differs_from_0"]
    assert f"from the noise trained on to unseen noise: {shown}." in body
    about = record(card)["model_info"]["additional_details"]
    assert about["weights_sha256"] in body and about["file_sha256"] in body


def test_the_table_in_html_needs_nothing_from_elsewhere(card: Path) -> None:
    text = (card / "badge.html").read_text()
    assert not re.search(r"https?:|src=|href=|@import|url\(", text)
    soup = BeautifulSoup(text, "html.parser")
    rows = {row.th.get_text(): row.td.contents[0] for row in soup.select("tbody tr")}
    assert [name for name in rows if "=" in name] == [
        "Gaussian, σ = 15 +",
        "Gaussian, σ = 40",
        "Poisson, α = 3",
    ]
    value = scores(card)["psnr/noise:poisson:3"]["score_details"]["score"]
    assert rows["Poisson, α = 3"] == f"{value:.2f}"


def test_the_table_says_that_a_run_deviates_from_its_suite(run, tmp_path) -> None:
    for deviations, words in (
        (["without noise isp"], "suite mine, version 2 with deviations; "),
        ([], "suite mine, version 2; "),
    ):
        copy = shutil.copytree(run, tmp_path / f"run{len(deviations)}")
        manifest = json.loads((copy / "manifest.json").read_text())
        more = {"suite": "mine", "suite_version": 2, "deviations": deviations}
        (copy / "manifest.json").write_text(json.dumps(manifest | more))
        card = make(copy, tmp_path / f"card{len(deviations)}", "plain")[0]
        assert words in (card / "badge.html").read_text()
        notes = yaml.safe_load((card / ".eval_results/mtd.yaml").read_text())[0]["notes"]
        assert ("(the run deviates from it: without noise isp)" in notes) == bool(deviations)


def test_evaluation_results_of_the_hub(run, tmp_path) -> None:
    plain = make(run, tmp_path / "a", "plain")[0] / ".eval_results/mtd.yaml"
    assert plain.read_text().startswith("# The id is the name of the suite")
    # the Hub takes the name of a source with its address alone
    assert not any("source" in entry for entry in yaml.safe_load(plain.read_text()))
    options = {"dataset": "me/noises", "url": "https://example.org/x", "model_id": "me/plain"}
    card = make(run, tmp_path / "b", "plain", organization="We", **options)[0]
    entries = yaml.safe_load((card / ".eval_results/mtd.yaml").read_text())
    by_task = {entry["dataset"]["task_id"]: entry for entry in entries}
    assert {entry["dataset"]["id"] for entry in entries} == {"me/noises"}
    value = scores(card)["ssim/worst"]["score_details"]["score"]
    assert by_task["ssim_worst"]["value"] == value
    assert by_task["ssim_worst"]["source"]["url"] == "https://example.org/x"
    assert "95% interval over 10 photographs" in by_task["ssim_worst"]["notes"]
    assert record(card)["model_info"]["id"] == "me/plain"
    assert record(card)["source_metadata"]["source_organization_name"] == "We"


def test_the_hub_s_own_package_reads_them(card: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    entries = yaml.safe_load((card / ".eval_results/mtd.yaml").read_text())
    read = hub.parse_eval_result_entries(entries)
    assert [one.value for one in read] == [entry["value"] for entry in entries]
    assert hub.ModelCard.load(card / "README.md").data.pipeline_tag == "image-to-image"


def test_a_report_has_cards_of_its_benchmark(tmp_path) -> None:
    first, *_ = make(EXAMPLE, tmp_path / "card")
    assert record(first)["source_metadata"]["additional_details"]["suite"] == "quick"
    body = (first / "README.md").read_text()
    assert "4 photographs: too few images to tell (at least 10 photographs)" in body
    assert "unseen noise: too few images to tell" in body
    assert "bundled photographs are an illustration" in body


def test_unknown_training_and_several_trainings(pair, tmp_path) -> None:
    for seed, name in enumerate(("m1", "m2", "m3")):
        about = {"noise": "gaussian:15"}
        weights = tiny_network(seed + 5).state_dict()
        place = pair / f"{name}.pth"
        checkpoint_file.save(place, weights, network=TINY, mask=MaskPolicy(), training=about)
    checkpoint_file.save(pair / "new.pth", weights, network=TINY, mask=MaskPolicy())
    run = small_run(pair, "new.pth", f"m={pair}/m?.pth", photographs=3)
    new, several = make(run, tmp_path / "card")
    assert "trained_on" not in record(new)["model_info"]["additional_details"]
    assert "psnr/ood_drop" not in scores(new) and "psnr/mean" in scores(new)
    text = (new / "README.md").read_text()
    assert "**Trained on:** unknown." in text and "What the model was trained on is unknown" in text
    assert "unknown" in (new / "badge.html").read_text()
    about = record(several)["model_info"]["additional_details"]
    assert len(json.loads(about["weights_sha256"])) == 3 and about["trainings"] == "3"
    method = scores(several)["psnr/out_of_distribution"]["score_details"]["uncertainty"]
    assert "photographs and trainings" in method["confidence_interval"]["method"]
    assert "3 trainings that differ in their seed" in (several / "README.md").read_text()
    rows = [json.loads(line) for line in (several / "images.jsonl").read_text().splitlines()]
    assert len({row["training"] for row in rows}) == 3


@pytest.mark.parametrize(
    "about, more, words",
    [
        ({"noise": "gaussian:15"}, {}, "Gaussian σ = 15, as its checkpoint says."),
        (
            {"noise": "gaussian:0..55", "zoo": "kair/dncnn_color_blind"},
            {},
            "Gaussian σ = 0 to 55, as the entry `kair/dncnn_color_blind` of the model zoo says.",
        ),
        (
            {"noise": "gaussian:0..55", "zoo": "kair/dncnn_color_blind"},
            {"in_distribution_given": {"plain": {"option": ["gaussian:15"], "checkpoint": None}}},
            "Gaussian σ = 15, as `--in-distribution` says.",
        ),
        (
            {},
            {"in_distribution_assumed": {"models": ["plain"], "noises": ["gaussian:15"]}},
            "Gaussian σ = 15, as suite `none` prescribes; nothing else is known.",
        ),
        (None, {}, "Gaussian σ = 15, as its checkpoint says."),
    ],
)
def test_who_says_what_a_model_was_trained_on(run, tmp_path, about, more, words) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    manifest = json.loads((copy / "manifest.json").read_text())
    own = manifest["models"]["plain"]
    if about is None:  # trainings that differ in their seed, which have no entry in common
        each = {
            f"plain ({i})": own | {"training": {"noise": "gaussian:15", "seed": i}} for i in (0, 1)
        }
        manifest["models"]["plain"] = {k: v for k, v in own.items() if k != "training"}
        manifest["models"]["plain"]["trainings"] = each
    else:
        own["training"] = about
    (copy / "manifest.json").write_text(json.dumps(manifest | more))
    card = make(copy, tmp_path / "card", "plain")[0]
    assert f"**Trained on:** {words}" in (card / "README.md").read_text()


def test_a_gap_below_zero_is_a_rise_and_noises_of_some_models_are_left_out(run, tmp_path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    frame = pd.read_csv(copy / "generalization.csv")
    frame[["ood_drop", "ood_drop_low", "ood_drop_high"]] = [-2.0, -3.0, -1.0]
    frame.to_csv(copy / "generalization.csv", index=False, na_rep="nan")
    manifest = json.loads((copy / "manifest.json").read_text())
    both = ["gaussian:15", "gaussian:40"]
    manifest["in_distribution"] = {"plain": both, "hidden": ["gaussian:15"]}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    card = make(copy, tmp_path / "card", "plain")[0]
    body = (card / "README.md").read_text()
    assert "rises from the noise trained on to unseen noise: shown." in body
    assert "leave out Gaussian σ = 40, which only some models of the run were trained on." in body


def test_scores_that_are_infinite_are_listed(tmp_path) -> None:
    run = shutil.copytree(EXAMPLE / "generalization", tmp_path / "run")
    for name, column in (("noises", "mean"), ("generalization", "out_of_distribution")):
        frame = pd.read_csv(run / f"{name}.csv")
        chosen = (frame.model == "masked") & (frame.metric == "psnr")
        frame.loc[chosen & (frame.get("noise", "isp") == "isp"), column] = np.inf
        frame.to_csv(run / f"{name}.csv", index=False, na_rep="nan")
    card = make(run, tmp_path / "card", "masked")[0]
    assert "psnr/noise:isp" not in scores(card) and "psnr/out_of_distribution" not in scores(card)
    text = (card / "README.md").read_text()
    assert "not in `result.json`: `psnr/out_of_distribution` and `psnr/noise:isp`" in text


def test_a_card_is_replaced_and_nothing_else_is(run, card, tmp_path, monkeypatch) -> None:
    before = contents(card)
    make(run, card, "plain", organization="We")
    assert contents(card) != before
    make(run, card, "plain")
    assert contents(card) == before and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(BadInput, match="holds the card of plain, a model that is not among those"):
        make(run, card, "hidden")
    assert contents(card) == before

    real, calls = Path.rename, []

    def fails(self, target):
        calls.append(self)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr("mtd.utils.replaced.exchanged", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(BadInput, match="No space left"):
        make(run, card, "plain", organization="We")
    monkeypatch.undo()
    assert contents(card) == before and len(list(tmp_path.iterdir())) == 1
    (tmp_path / ".part-card").mkdir()
    card.rename(tmp_path / ".part-card/old")  # as a kill may leave it
    with pytest.raises(BadInput, match="holds the card of plain"):
        make(run, card, "hidden")
    assert contents(card) == before and len(list(tmp_path.iterdir())) == 1
    (card / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match=r"notes\.txt is not of the card"):
        make(run, card, "plain")
    (card / "notes.txt").unlink()
    (card / "README.md").write_text("mine")
    with pytest.raises(BadInput, match=r"README\.md was changed"):
        make(run, card, "plain")
    several = tmp_path / "several"
    make(run, several)
    make(run, several)
    with pytest.raises(BadInput, match="holds the card of hidden"):
        make(run, several, "plain")
    (several / "photo.png").write_bytes(b"")
    with pytest.raises(BadInput, match=r"holds photo\.png, which is no card"):
        make(run, several)
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path):
        with pytest.raises(BadInput, match=r"is no folder|which is no card|was changed"):
            make(run, place)
    (several / "photo.png").unlink()
    (several / "plain" / "card.json").write_text("{")
    with pytest.raises(BadInput, match="damaged"):
        make(run, several)


@pytest.mark.parametrize(
    "given, words",
    [
        (["nowhere"], "no such folder"),
        (["empty"], "holds no run; expected one of analysis.generalization"),
        (["cka"], "a run of cka"),
        (["noisy"], "a run of noisy_pictures"),
        (["unfinished"], "not finished"),
        (["run", "--model", "plian"], "did you mean plain?"),
        (["run", "--model-id", "me/x"], "give --model NAME"),
        (["run", "--relationship", "friend"], "known: first_party"),
    ],
)
def test_what_cannot_be_used_is_one_line(run, tmp_path, monkeypatch, in_process, given, words):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("run").symlink_to(run)
    for name, analysis in (("cka", "cka"), ("noisy", "noisy_pictures")):
        Path(name).mkdir()
        Path(name, "manifest.json").write_text(json.dumps({"analysis": analysis}))
    shutil.copytree(run, "unfinished")
    log = json.loads((run / "run.json").read_text())
    log["runs"][0]["finished"] = None
    Path("unfinished/run.json").write_text(json.dumps(log))
    code, out, err = in_process(command.main, *given, "--out", "card")
    assert code == 2 and not out and err.count("\n") == 1 and words in err, err
    assert not Path("card").exists()


@pytest.mark.parametrize(
    "table, column", [("results", "metric"), ("noises", "noise"), ("generalization", "model")]
)
def test_a_damaged_table_is_one_line(run, tmp_path, table, column) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(run, damaged)
    frame = pd.read_csv(damaged / f"{table}.csv")
    assert column in frame
    frame.drop(columns=column).to_csv(damaged / f"{table}.csv", index=False)
    with pytest.raises(BadInput, match=r"^[^\n]*damaged: incomplete or damaged \([^\n]*$"):
        make(damaged, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_of_folders_are_unique() -> None:
    assert command.folder_names([".", "..", "a/b", "a b"]) == ["model", "model_2", "a_b", "a_b_2"]
    assert command.folder_names(["a_b_3", "a_b", "a/b"]) == ["a_b_3", "a_b", "a_b_2"]


def test_relationships_are_those_of_the_schema() -> None:
    whole = json.loads(schema.SCHEMA.read_text())
    known = whole["properties"]["source_metadata"]["properties"]["evaluator_relationship"]["enum"]
    assert tuple(known) == command.RELATIONSHIPS


def of_luma(run: Path, place: Path) -> Path:
    """A copy of a run that left out a border and took the luma, with LPIPS in place of SSIM."""
    shutil.copytree(run, place)
    for table in place.glob("*.csv*"):
        frame = pd.read_csv(table, keep_default_na=False)
        if "metric" in frame:
            frame["metric"] = frame.metric.replace("ssim", "lpips")
            frame.to_csv(table, index=False)
    manifest = json.loads((place / "manifest.json").read_text())
    manifest |= {"border": 1, "channel": "y", "evaluation": {}, "not_run": {}, "lpips": "ab"}
    (place / "manifest.json").write_text(json.dumps(manifest))
    return place


def test_a_border_and_luma_are_not_said_of_lpips(run: Path, tmp_path: Path) -> None:
    card = make(of_luma(run, tmp_path / "run"), tmp_path / "card", "plain")[0]
    found = {name: one["metric_config"] for name, one in scores(card).items()}
    psnr, lpips = found["psnr/worst"], found["lpips/worst"]
    scored = {"border": "1", "metric_domain": "luma", "round_output": "true"}
    assert psnr["metric_parameters"] == scored
    assert lpips["metric_parameters"] == {
        "border": "0",
        "metric_domain": "rgb",
        "round_output": "true",
        "version": "0.1",
        "network": "AlexNet",
        "backbone_sha256": "ab",
        "channel_order": "rgb",
    }
    assert lpips["lower_is_better"] is True and lpips["min_score"] == 0
    assert lpips["max_score"] == "Infinity" and lpips["metric_name"] == "LPIPS"
    assert found["lpips/ood_drop"]["lower_is_better"] is True
    details = record(card)["source_metadata"]["additional_details"]
    assert details["protocol.border"] == "1" and details["protocol.metric_domain"] == "luma"
    body = (card / "README.md").read_text()
    assert (
        "LPIPS is of the whole image in color, whatever `border` and `metric_domain` say." in body
    )
    assert "LPIPS, lower is better" in body
    notes = {
        e["dataset"]["task_id"]: e["notes"]
        for e in yaml.safe_load((card / ".eval_results/mtd.yaml").read_text())
    }
    assert "border 0, metric_domain rgb" in notes["lpips_worst"]
    assert "border 1, metric_domain luma" in notes["psnr_worst"]
    assert "Lower is better for LPIPS." in (card / "badge.html").read_text()


def test_without_border_and_luma_nothing_is_said_of_whole_images(card: Path) -> None:
    assert "whole image in color" not in (card / "README.md").read_text()
