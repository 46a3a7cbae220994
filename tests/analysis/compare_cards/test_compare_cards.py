"""Cards beside one another: the run's own differences, and what cannot be compared."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from analysis.card.command import make
from analysis.compare_cards import command
from analysis.compare_cards.cards import read_all
from analysis.compare_cards.command import compare
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.metrics import registry
from mtd.utils.errors import BadInput
from tests.helpers.cards import PHOTOGRAPHS, changed, details, small_run
from tests.helpers.figures import leave_unrendered
from tests.helpers.json_output import strict
from tests.helpers.networks import TINY, tiny_network

Call = Callable[..., tuple[int, str, str]]

FOREIGN = {
    "schema_version": "0.3.0",
    "evaluation_id": "masked/net/1700000000",
    "retrieved_timestamp": "1700000000",
    "source_metadata": {
        "source_type": "documentation",
        "source_organization_name": "others",
        "evaluator_relationship": "third_party",
    },
    "eval_library": {"name": "theirs", "version": "1"},
    "model_info": {
        "name": "net",
        "id": "others/net",
        "additional_details": {"deployment_type": "unknown", "model_availability": "unknown"},
    },
    "evaluation_results": [
        {
            "evaluation_name": "noise:isp",
            "source_data": {"dataset_name": "photographs", "source_type": "other"},
            "metric_config": {"metric_id": "theirs", "lower_is_better": True},
            "score_details": {"score": 0.25},
        }
    ],
}


@pytest.fixture(scope="module")
def cards(tiny_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cards of one run on ten photographs, the run beside them; nothing in it is changed."""
    place = shutil.copytree(tiny_pair, tmp_path_factory.mktemp("cards") / "pair")
    with pytest.MonkeyPatch.context() as patch:
        leave_unrendered(patch)
        make(small_run(place, "plain.pth", "hidden.pth"), place / "cards")
    return place / "cards"


def run_of(cards: Path) -> Path:
    return next(cards.parent.glob("run*"))


def test_differences_are_those_of_the_run(cards: Path) -> None:
    found = compare(cards / "plain", cards / "hidden")
    tests = pd.read_csv(run_of(cards) / "tests.csv")
    keys = ["metric", "noise"]
    here = found.differences.sort_values(keys).reset_index(drop=True)
    there = tests.sort_values(keys).reset_index(drop=True)
    columns = [*keys, "difference", "low", "high", "p_holm", "photographs"]
    pd.testing.assert_frame_equal(here[columns], there[columns], check_dtype=False, rtol=1e-12)
    assert not found.warnings and set(found.differences.verdict) <= {"shown", "not shown"}
    assert found.differences.photographs.eq(PHOTOGRAPHS).all()


def test_intervals_are_student_s_of_the_differences_of_images(cards: Path) -> None:
    results = pd.read_csv(run_of(cards) / "results.csv")
    psnr = results[(results.metric == "psnr") & (results.noise == "poisson:3")]
    wide = psnr.pivot(index="image", columns="model", values="value")
    change = (wide["hidden"] - wide["plain"]).to_numpy()
    half = t.ppf(0.975, len(change) - 1) * change.std(ddof=1) / math.sqrt(len(change))
    frame = compare(cards / "hidden", cards / "plain").differences
    row = frame[(frame.metric == "psnr") & (frame.noise == "poisson:3")].iloc[0]
    assert (row.model_a, row.model_b) == ("hidden", "plain")
    expected = [change.mean(), change.mean() - half, change.mean() + half]
    assert np.allclose([row.difference, row.low, row.high], expected, rtol=1e-9)


def test_the_tables_and_the_object(cards: Path, in_process: Call) -> None:
    code, out, err = in_process(command.main, str(cards))
    assert (code, err) == (0, "")
    record = json.loads((cards / "plain" / "result.json").read_text())
    for result in record["evaluation_results"]:
        if result["metric_config"]["metric_id"] == "psnr":
            assert f"{result['score_details']['score']:.2f} [" in out
    assert "hidden" in out and "Gaussian, σ = 40" in out and "over all unseen noises" in out
    found = strict(in_process(command.main, str(cards), "--json")[1])
    assert found["results"]["scores"]["rows"] == 2 * len(record["evaluation_results"])
    assert {row["verdict"] for row in found["results"]["differences"]["records"]}
    assert len(found["sentences"]) == 2


@pytest.mark.parametrize(
    "change, here, there",
    [
        (details(suite="idf"), "suite: none", "idf"),
        (details(suite_version="2"), "version of the suite: 1", "2"),
        (details(protocol__border="4"), "border: 0", "4"),
        (details(protocol__metric_domain="luma"), "metric_domain: rgb", "luma"),
        (details(protocol__clip_noisy="false"), "clip_noisy: true", "false"),
        (details(protocol__channels="1"), "channels: 3", "1"),
        (details(protocol__more="x"), "more: not stated", "x"),
        (details(protocol__noises="gaussian:15, isp"), "noises: also gaussian:40", "also isp"),
    ],
)
def test_another_protocol_is_refused(cards, tmp_path, in_process, change, here, there) -> None:
    other = changed(cards / "hidden", tmp_path / "other", change)
    code, out, err = in_process(command.main, str(cards / "plain"), str(other))
    assert code == 2 and not out and err.count("\n") == 1
    assert f"{here} in {cards / 'plain'}, {there} in {other};" in err


def test_the_order_of_noises_does_not_matter(cards, tmp_path) -> None:
    noises = details(protocol__noises="poisson:3, gaussian:40, gaussian:15")
    compare(cards / "plain", changed(cards / "hidden", tmp_path / "other", noises))
    fewer = details(protocol__noises="poisson:3, gaussian:15")
    other = changed(cards / "hidden", tmp_path / "fewer", fewer)
    with pytest.raises(BadInput, match=r"noises: also gaussian:40 in .*plain, no others in"):
        compare(cards / "plain", other)


def test_metrics_that_only_one_card_has_leave_the_others_paired(cards, tmp_path) -> None:
    def without_ssim(record: dict[str, Any]) -> None:
        found = record["evaluation_results"]
        record["evaluation_results"] = [
            one for one in found if one["metric_config"]["metric_id"] != "ssim"
        ]
        del record["source_metadata"]["additional_details"]["per_image.sha256"]

    other = changed(cards / "hidden", tmp_path / "other", without_ssim)
    lines = (cards / "hidden" / "images.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["metric"] != "ssim"]
    (other / "images.jsonl").write_text("".join(kept))
    whole = compare(cards / "plain", cards / "hidden").differences
    expected = whole[whole.metric == "psnr"].reset_index(drop=True)
    pd.testing.assert_frame_equal(compare(cards / "plain", other).differences, expected)


def test_metrics_of_other_packages_are_paired_and_their_versions_compared(
    cards, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(registry, "_described", {})

    def of_package(version: str) -> Callable[[dict[str, Any]], None]:
        about = {"label": "THEIRS", "unit": "", "higher_is_better": False, "digits": 3}
        about |= {"full_reference": True, "package": "theirs", "version": version}

        def change(record: dict[str, Any]) -> None:
            for one in record["evaluation_results"]:
                config = one["metric_config"]
                if config["metric_id"] == "ssim":
                    config["metric_parameters"] |= about
                    config |= {"metric_id": "theirs", "metric_name": "THEIRS"}
                    config["lower_is_better"] = not config["lower_is_better"]
                    one["evaluation_result_id"] = one["evaluation_result_id"].replace("ssim", "th")
            del record["source_metadata"]["additional_details"]["per_image.sha256"]

        return change

    places = []
    for name, version in (("plain", "1.0"), ("hidden", "1.1")):
        place = changed(cards / name, tmp_path / name, of_package(version))
        lines = (cards / name / "images.jsonl").read_text().replace('"ssim"', '"theirs"')
        (place / "images.jsonl").write_text(lines)
        places.append(place)
    expected = compare(cards / "plain", cards / "hidden").differences
    expected = expected[expected.metric == "ssim"].reset_index(drop=True)
    compared = compare(*places)
    own = compared.differences
    own = own[own.metric == "theirs"].reset_index(drop=True)
    pd.testing.assert_frame_equal(own.drop(columns="metric"), expected.drop(columns="metric"))
    assert compared.warnings == [
        "theirs: version 1.0 in plain, 1.1 in hidden, which may change its values"
    ]
    assert "THEIRS, lower is better" in compared.text()
    assert "image by image, in THEIRS (lower is better): " in " ".join(compared.sentences())


def test_other_images_are_warned_of_and_not_paired(cards, tmp_path, in_process) -> None:
    other = changed(cards / "hidden", tmp_path / "other", details(images_sha256="0" * 64))
    code, out, err = in_process(command.main, str(cards / "plain"), str(other))
    assert code == 0 and "warning: images differ" in err and "image by image" not in out
    assert in_process(command.main, str(cards / "plain"), str(other), "--quiet")[2] == ""
    three = compare(cards, other)  # whose models have one name
    assert [card.name for card in three.cards] == [
        f"hidden ({cards / 'hidden'})",
        "plain",
        f"hidden ({other})",
    ]


def test_cards_of_others(cards, tmp_path, in_process) -> None:
    for name in ("a", "b"):
        text = json.dumps(FOREIGN | {"evaluation_id": f"masked/{name}/17"})
        (tmp_path / f"{name}.json").write_text(text)
    given = [str(tmp_path / f"{name}.json") for name in ("a", "b")]
    code, out, err = in_process(command.main, *given)
    assert code == 0 and "0.2500" in out and "camera pipeline" in out
    assert "no card states its protocol" in err and "is not stated" in err
    code, _, err = in_process(command.main, str(cards / "plain"), given[0])
    assert code == 2 and "suite: none in" in err and "masked in" in err


def test_what_was_changed_is_refused(cards, tmp_path) -> None:
    copy = shutil.copytree(cards, tmp_path / "cards")
    images = copy / "plain" / "images.jsonl"
    whole = images.read_text()
    images.write_text(whole.replace("gaussian:15", "gaussian:16", 1))
    with pytest.raises(BadInput, match=r"images\.jsonl: was changed since"):
        compare(copy)
    images.write_text(whole)
    record = copy / "plain" / "result.json"
    record.write_text(record.read_text().replace('"score": ', '"score": 1', 1))
    with pytest.raises(BadInput, match=r"result\.json: was changed since"):
        compare(copy)
    (copy / "plain" / "card.json").unlink()
    images.unlink()  # the record alone
    found = compare(copy)
    assert found.differences.empty and not found.sentences()


@pytest.mark.parametrize(
    "given, words",
    [
        (["nowhere", "cards"], "no such card"),
        (["empty", "cards"], "no result.json in it"),
        (["broken", "cards"], "damaged; expected JSON"),
        (["invalid", "cards"], "not valid by Every Eval Ever 0.3.0: the record"),
        (["cards/plain"], "one card; give two or more"),
        (["cards", "cards/plain"], "given twice"),
    ],
)
def test_what_cannot_be_used_is_one_line(cards, tmp_path, monkeypatch, in_process, given, words):
    monkeypatch.chdir(tmp_path)
    Path("cards").symlink_to(cards)
    for name, text in (("empty", None), ("broken", "{"), ("invalid", "{}")):
        Path(name).mkdir()
        if text is not None:
            Path(name, "result.json").write_text(text)
    code, out, err = in_process(command.main, *given)
    assert code == 2 and not out and err.count("\n") == 1 and words in err, err


def test_several_trainings_are_paired(pair, tmp_path) -> None:
    for seed in (7, 8):
        weights, about = tiny_network(seed).state_dict(), {"noise": "gaussian:15"}
        place = pair / f"m{seed}.pth"
        checkpoint_file.save(place, weights, network=TINY, mask=MaskPolicy(), training=about)
    run = small_run(pair, "plain.pth", f"m={pair}/m?.pth", photographs=3)
    make(run, tmp_path / "cards")
    found = compare(tmp_path / "cards")
    tests = pd.read_csv(run / "tests.csv")
    here = found.differences.set_index(["metric", "noise"]).difference.sort_index()
    there = tests.set_index(["metric", "noise"]).difference.sort_index()
    same = list(found.differences.model_a.unique()) == list(tests.model_a.unique())
    pd.testing.assert_series_equal(here, there if same else -there, rtol=1e-12)
    assert set(found.differences.verdict) == {"too few images"}
    assert len(read_all([tmp_path / "cards"])) == 2
