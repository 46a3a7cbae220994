"""`python -m analysis.compare`: rank correlations, and models matched by their files."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from analysis.commands.command import run_arguments
from analysis.commands.registry import analysis
from analysis.compare import command as compare_command
from analysis.compare.command import run_arguments as run
from analysis.compare.predictors import gather, read_runs
from analysis.compare.tables import correlations, tables
from analysis.engine import run as engine_run
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.utils.errors import BadInput
from tests.helpers.networks import TINY, tiny_network

NAMES = list("abcde")
DROPS = [1.0, 2, 3, 4, 5]
BUNDLED = ["baseline.pth", "masked.pth", "classical:blur:1", "classical:median:3"]


def folder(path: str, analysis: str, names: list[str], **tables: pd.DataFrame) -> Path:
    place = Path(path)
    place.mkdir()
    models = {name: {"sha256": f"digest {i}"} for i, name in enumerate(names)}
    about = {"analysis": analysis, "models": models, "noises": ["gaussian:15", "isp", "poisson:3"]}
    about["in_distribution"] = ["gaussian:15"]
    (place / "manifest.json").write_text(json.dumps(about))
    for name, frame in tables.items():
        frame.to_csv(place / f"{name}.csv", index=False, na_rep="nan")
    return place


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.chdir(tmp_path)
    scores = pd.DataFrame(
        {
            "model": NAMES,
            "metric": "psnr",
            "ood_drop": DROPS,
            "out_of_distribution": [30.0, 27, 29, 26, 28],
        }
    )
    results = pd.DataFrame({"model": NAMES, "metric": "psnr", "value": 20.0})
    others = [f"{name}.other" for name in NAMES]  # the same files under other names
    srga = pd.DataFrame(
        [
            {"model": m, "noise": n, "reference": "gaussian:15", "srga": v}
            | {"psnr": 30.0, "patches": 12, "note": ""}
            for i, m in enumerate(others)
            for n, v in (("gaussian:15", 0.0), ("isp", 1.0 + i), ("poisson:3", 2.0 + i))
        ]
    )
    last_quarter = pd.DataFrame(
        [
            {"model_a": a, "noise_a": "gaussian:15", "model_b": b, "noise_b": n, "cka": v}
            for i, a in enumerate(NAMES)
            for b, n, v in ((a, "isp", 0.9 - 0.1 * i), ("a", "gaussian:15", 0.5))
        ]
    )
    cells = last_quarter.assign(null=np.nan)
    return [
        folder("g", "generalization", NAMES, generalization=scores, results=results),
        folder("s", "srga", others, srga=srga),
        folder("c", "cka", NAMES, last_quarter=last_quarter, cka=cells),
    ]


def test_indices_are_means_over_unseen_noises_of_the_same_files(runs):
    frame = gather(read_runs(runs)).set_index("model")
    assert frame.ood_drop.tolist() == DROPS and frame.srga.tolist() == [1.5, 2.5, 3.5, 4.5, 5.5]
    assert frame.cka.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5])


@pytest.mark.drawn
def test_what_is_written_and_printed(runs, capsys):
    path = run([*map(str, runs), "--output-dir", "out"], "test")
    found = pd.read_csv(path / "correlations.csv").set_index(["index", "target"])
    assert found.spearman["srga", "ood_drop"] == 1 and found.spearman["cka", "ood_drop"] == -1
    expected = stats.spearmanr(DROPS, [30.0, 27, 29, 26, 28]).statistic
    assert found.spearman["srga", "unseen"] == pytest.approx(expected)
    assert len(pd.read_csv(path / "compare.csv")) == 5 and (path / "compare.png").is_file()
    out = capsys.readouterr().out
    assert "Spearman's rank correlation" in out and "PSNR drop" in out
    assert "12 patches are few: the published code uses at least 300 (srga)." in out
    notes = pd.read_csv(path / "notes.csv")
    assert notes.analysis.tolist() == ["srga"]


def test_what_cannot_be_compared(runs, in_process):
    generalization, srga, cka = runs
    with pytest.raises(BadInput, match="no index: give a run of"):
        gather(read_runs([generalization]))
    with pytest.raises(BadInput, match=r"no run of analysis\.generalization among them"):
        gather(read_runs([srga, cka]))
    with pytest.raises(BadInput, match="a second run of srga, after s"):
        gather(read_runs([generalization, srga, srga]))
    with pytest.raises(BadInput, match="a run of other; expected one of causal, cka"):
        read_runs([folder("o", "other", NAMES)])
    (srga / "srga.csv").unlink()
    with pytest.raises(BadInput, match=r"srga\.csv is missing; finish the run"):
        gather(read_runs([generalization, srga]))
    with pytest.raises(BadInput, match="3 models: rank correlations need 4 or more"):
        correlations(gather(read_runs([generalization, cka])).head(3))
    old = pd.read_csv(generalization / "generalization.csv").rename(columns={"ood_drop": "gap"})
    old.to_csv(generalization / "generalization.csv", index=False)
    with pytest.raises(BadInput, match=r"g: incomplete or damaged \(.*ood_drop.*\); run it"):
        gather(read_runs([generalization, cka]))
    for given, message in (
        (["absent.pth"], "absent.pth: no such file"),
        ([*"wxyz"], "w: no such file"),
        (["g", "absent.pth"], "absent.pth: no such run folder"),
        (["g", "baseline.pth"], "baseline.pth: no such run folder"),
        ([*BUNDLED, "--reference", "gaussian:0.0"], "it changes nothing; leave it out"),
        ([*BUNDLED, "--noise", "gaussian:15"], "no noise beside the reference"),
    ):
        code, _, err = in_process(compare_command.main, *given)
        assert code == 2 and message in err and len(err.splitlines()) == 1
    Path("empty").mkdir()
    code, _, err = in_process(compare_command.main, "empty")
    assert code == 2 and "no run folder" in err


FEW = ("--crop", "16", "--limit", "4", "--batch-size", "2", "--quiet", "--noise", "poisson:3.5")
ONE = ["--untrained", "1"]
FOUR = ("plain.pth", "hidden.pth", "third.pth", "dncnn.pth")
COMMANDS = {
    "generalization": ["--in-distribution", "gaussian:15", "--no-lpips"],
    "srga": ONE,
    "distributions": ONE,
    "degradation": ONE,
    "sensitivity": [],
    "cka": ONE,
    "error": ["--draws", "2", "--mask-mean", "1"],
}


@pytest.fixture
def four(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    weights = tiny_network(7).state_dict()
    about = {"noise": "gaussian:15"}
    checkpoint_file.save("third.pth", weights, network=TINY, mask=MaskPolicy(), training=about)
    torch.manual_seed(0)
    dncnn = DnCNN(DnCNNConfig(features=8, depth=3))
    place = Path("dncnn.pth")
    checkpoint_file.save(
        place, dncnn.state_dict(), network=dncnn.config, mask=MaskPolicy(), training=about
    )
    return pair


def test_models_of_unknown_training_have_no_psnr_drop(four, in_process):
    torch.save(torch.load("dncnn.pth", weights_only=True)["params"], "dncnn.pth")
    code, out, err = in_process(compare_command.main, *FOUR, *FEW)
    assert code == 2 and not out and len(err.strip().splitlines()) == 1
    assert "what dncnn was trained on is unknown, so there is no PSNR drop; give" in err
    given = ("--in-distribution", "plain=gaussian:25", "--in-distribution", "dncnn=gaussian:15")
    code, _, err = in_process(compare_command.main, *FOUR, *FEW, *given)
    assert code == 2 and "none of them is one that all models were trained on (none of the" in err
    assert "noises (plain), Gaussian σ = 15 (hidden, third, dncnn))" in err


def test_checkpoints_in_one_pass_give_the_tables_of_every_command(four, monkeypatch):
    seen = []
    original = engine_run.run_network
    monkeypatch.setattr(
        engine_run, "run_network", lambda *given: seen.append(given[1].view) or original(*given)
    )
    path = run([*FOUR, *FEW, *ONE], "test")
    # two batches; clean, Gaussian, Poisson; under two of them also the noisy input, a blur, a
    # median and four fixed filters; controls: other draws, other masks of hidden under both draws,
    # an untrained network of each of three kinds
    assert len(seen) == 2 * (3 * 4 + 2 * 7 + 2 * 4 + 2 * 2 + 2 * 3)
    names = {*COMMANDS, *(f"cka-{Path(name).stem}" for name in FOUR)} - {"cka"}
    assert {item.name for item in path.iterdir() if item.is_dir()} == names
    assert not (path / "cache").exists()
    assert "4 patches are few: the published" in (path / "summary.txt").read_text()
    for name, more in COMMANDS.items():
        models = ["plain.pth"] if name == "cka" else FOUR
        noises = [] if name in ("srga", "distributions") else ["--noise", "gaussian:15"]
        noises = [*noises, "--noise", "poisson:3.5"]
        arguments = [*models, *FEW[:-2], *noises, *more, "--output-dir", f"alone-{name}"]
        alone = run_arguments(analysis(name), arguments, "test")
        inner = path / ("cka-plain" if name == "cka" else name)
        files = sorted(file.name for file in alone.glob("*.csv"))
        assert files and files == sorted(file.name for file in inner.glob("*.csv"))
        for file in files:
            one, other = (pd.read_csv(place / file) for place in (alone, inner))
            pd.testing.assert_frame_equal(one, other, rtol=1e-5, atol=1e-6, obj=f"{name}/{file}")
    frame = pd.read_csv(path / "compare.csv")
    assert frame.model.tolist() == ["plain", "hidden", "third", "dncnn"]
    assert frame.notna().all(axis=None) and {
        "srga",
        "cka",
        "separability",
        "distance",
        "sensitivity",
    } < set(frame)
    read = run([*map(str, path.glob("*/"))], "test")
    pd.testing.assert_frame_equal(pd.read_csv(read / "compare.csv"), frame)


def test_an_interrupted_comparison_goes_on(four, monkeypatch):
    arguments = [*FOUR, *FEW, *ONE, "--skip", "cka", "--skip", "degradation"]
    whole = run([*arguments, "--output-dir", "whole"], "test")
    seen, original = [], engine_run.run_network

    def run_network(*given):
        seen.append(given[1].view)
        if len(seen) == 20:
            raise KeyboardInterrupt
        return original(*given)

    monkeypatch.setattr(engine_run, "run_network", run_network)
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        run([*arguments, "--output-dir", "cut"], "test")
    cut = run([*arguments, "--output-dir", "cut", "--resume"], "test")
    assert len(seen) < 2 * (3 * 4 + 2 * 7 + 2 * 4 + 2 * 2 + 2 * 3) + 8  # as above
    for file in whole.rglob("*.csv"):
        assert file.read_bytes() == (cut / file.relative_to(whole)).read_bytes()


@pytest.mark.parametrize(
    "entry, value, message",
    [
        ("attention_mask", "off", "differ in attention mask"),
        ("quantize", False, "differ in quantize"),
        ("channels", 1, "differ in channels"),
        ("autocast", "bf16", "differ in autocast"),
        ("attention_mask", {"a.other": "off"}, "differ in attention mask of a"),
        ("models", {"a": {"sha256": "digest 0", "policy": "other"}}, "differ in policy of a"),
    ],
)
def test_runs_of_other_networks_are_not_joined(runs, entry, value, message):
    manifest = json.loads((runs[1] / "manifest.json").read_text())
    (runs[1] / "manifest.json").write_text(json.dumps(manifest | {entry: value}))
    with pytest.raises(BadInput, match=message):
        gather(read_runs(runs))


def test_runs_on_other_crops_are_noted_and_few_pairs_have_no_correlation(runs, capsys):
    manifest = json.loads((runs[1] / "manifest.json").read_text())
    (runs[1] / "manifest.json").write_text(json.dumps(manifest | {"crops": [{"image": "x"}]}))
    frame = pd.read_csv(runs[1] / "srga.csv")
    frame[frame.model.isin(["a.other", "b.other"])].to_csv(runs[1] / "srga.csv", index=False)
    run([*map(str, runs), "--output-dir", "out"], "test")
    assert "Computed with other crops than the PSNR (srga)." in capsys.readouterr().out
    found = pd.read_csv("out/correlations.csv").set_index(["index", "target"])
    assert found.models["srga", "ood_drop"] == 2 and math.isnan(found.spearman["srga", "ood_drop"])


def edited(place: Path, **entries: object) -> None:
    manifest = json.loads((place / "manifest.json").read_text())
    (place / "manifest.json").write_text(json.dumps(manifest | entries))


def rewritten(place: Path, table: str, change) -> None:
    change(pd.read_csv(place / f"{table}.csv")).to_csv(
        place / f"{table}.csv", index=False, na_rep="nan"
    )


@pytest.mark.parametrize("name", ["s", "c"])
def test_indices_are_relative_to_the_noise_trained_on(runs, name):
    edited(Path(name), noises=["poisson:3.5", "gaussian:15", "isp"])
    expected = (
        rf"{name}: its reference is poisson:3\.5; expected gaussian:15, that of g: run it again"
    )
    with pytest.raises(BadInput, match=expected):
        gather(read_runs(runs))
    edited(Path("g"), in_distribution=["gaussian:15", "poisson:3"])
    edited(Path(name), noises=["poisson:3", "gaussian:15", "isp"])
    gather(read_runs(runs))


def test_runs_of_one_analysis_have_one_reference(runs):
    edited(runs[0], in_distribution=["gaussian:15", "poisson:3"])
    frame = pd.read_csv("c/last_quarter.csv")
    for name, chosen in (("c1", NAMES[:2]), ("c2", NAMES[2:])):
        part = frame[frame.model_a.isin(chosen)]
        folder(name, "cka", NAMES, last_quarter=part, cka=part.assign(null=np.nan))
        models = {model: {"sha256": f"digest {NAMES.index(model)}"} for model in chosen}
        edited(Path(name), models=models)
    assert gather(read_runs([runs[0], Path("c1"), Path("c2")])).cka.notna().all()
    edited(Path("c2"), noises=["poisson:3", "gaussian:15", "isp"])
    expected = "c2: its reference is poisson:3; expected gaussian:15, that of c1"
    with pytest.raises(BadInput, match=expected):
        gather(read_runs([runs[0], Path("c1"), Path("c2")]))


def test_cka_is_between_the_reference_and_unseen_noises_alone(runs):
    expected = gather(read_runs(runs)).cka.tolist()
    noises = [("isp", "poisson:3"), ("gaussian:15", "gaussian:25"), ("gaussian:25", "isp")]
    more = [
        {"model_a": m, "noise_a": a, "model_b": m, "noise_b": b, "cka": 0.01}
        for m in NAMES
        for a, b in noises
    ]
    rewritten(runs[2], "last_quarter", lambda frame: pd.concat([frame, pd.DataFrame(more)]))
    edited(runs[0], in_distribution=["gaussian:15", "gaussian:25"])
    edited(runs[0], noises=["gaussian:15", "gaussian:25", "isp", "poisson:3"])
    assert gather(read_runs(runs)).cka.tolist() == expected


def test_means_are_over_the_noises_that_all_models_have(runs, capsys):
    def without(frame: pd.DataFrame) -> pd.DataFrame:
        lost = (frame.model == "b.other") & (frame.noise == "isp")
        none = frame.model == "e.other"
        return frame.assign(srga=frame.srga.mask(lost | none))

    rewritten(runs[1], "srga", without)
    frame = gather(read_runs(runs))
    assert frame.srga.tolist()[:4] == [2, 3, 4, 5] and math.isnan(frame.srga[4])
    run([*map(str, runs), "--output-dir", "out"], "test")
    text = " ".join(capsys.readouterr().out.split())
    assert "The mean is over 1 of 2 noises, since not every model has a value" in text
    assert "under the others: camera pipeline (srga)." in text

    def disjoint(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(
            srga=frame.srga.mask((frame.model == "a.other") & (frame.noise != "isp"))
        )

    rewritten(runs[1], "srga", disjoint)
    assert gather(read_runs(runs)).srga.isna().all()
    notes = tables(read_runs(runs))["notes.csv"]
    assert "There is no unseen noise under which every model has a value" in notes.note.iloc[0]


def test_a_copy_counts_once_under_the_first_of_its_names(runs):
    manifest = json.loads((runs[0] / "manifest.json").read_text())
    edited(runs[0], models=manifest["models"] | {"copy": {"sha256": "digest 0"}})
    again = pd.DataFrame([{"model": "copy", "metric": "psnr", "ood_drop": 1.0}])
    rewritten(runs[0], "generalization", lambda frame: pd.concat([frame, again]))
    found = tables(read_runs(runs))
    assert found["compare.csv"].model.tolist() == NAMES
    assert found["notes.csv"].note[0] == "Copies of other models are left out: `copy`."


def test_one_file_under_two_kinds_of_masks_is_two_models(runs):
    for place in runs:
        models = json.loads((place / "manifest.json").read_text())["models"]
        about = {name: models[name] | {"identity": f"{i}"} for i, name in enumerate(models)}
        second = list(models)[1]
        about[second] |= {"sha256": "digest 0"}
        edited(place, models=about)
    frame = gather(read_runs(runs))
    assert frame.model.tolist() == NAMES and frame.srga.tolist() == [1.5, 2.5, 3.5, 4.5, 5.5]
    assert frame.checkpoint.tolist()[:3] == ["digest 0", "digest 0", "digest 2"]


@pytest.mark.parametrize(
    "place, table, change",
    [
        ("g", "generalization", lambda frame: frame.drop(columns="metric")),
        ("g", "generalization", lambda frame: pd.concat([frame, frame])),
        ("g", "generalization", lambda frame: frame.assign(ood_drop="many")),
        ("s", "srga", lambda frame: frame.drop(columns="noise")),
        ("s", "srga", lambda frame: pd.concat([frame, frame])),
        ("s", "srga", lambda frame: frame.assign(srga="many")),
        ("c", "last_quarter", lambda frame: frame.drop(columns="noise_b")),
    ],
)
def test_a_damaged_table_is_one_line(runs, place, table, change):
    rewritten(Path(place), table, change)
    with pytest.raises(BadInput, match=rf"^{place}[^\n]*damaged \([^\n]*$"):
        tables(read_runs(runs))


@pytest.mark.parametrize("place", ["g", "s"])
@pytest.mark.parametrize(
    "entries",
    [{"models": {"a": {}}}, {"models": None}, {"models": {"a": 1}}, {"noises": None}],
)
def test_a_damaged_manifest_is_one_line(runs, place, entries):
    edited(Path(place), **entries)
    with pytest.raises(BadInput, match=rf"^{place}[^\n]*damaged \([^\n]*$"):
        tables(read_runs(runs))


def test_an_empty_table_is_one_line(runs):
    Path("s/srga.csv").write_text("")
    with pytest.raises(BadInput, match=r"^s/srga\.csv: no table that can be read \(No columns"):
        read_runs(runs)


@pytest.mark.parametrize(
    "given, flag",
    [
        (["--noise", "nonsense:1"], "--noise"),
        (["--crop", "999"], "--crop"),
        (["--reference", "foo"], "--reference"),
        (["--no-intervals"], "--no-intervals"),
        (["--sigma", "25"], "--sigma"),
        (["--attention-mask", "off"], "--attention-mask"),
    ],
)
def test_settings_beside_run_folders_are_refused(runs, in_process, given, flag):
    code, _, err = in_process(compare_command.main, *map(str, runs), *given)
    assert code == 2 and f"{flag}: the runs of the folders have their own; leave it out" in err


def test_copies_are_refused_before_anything_is_computed(four, in_process, monkeypatch):
    monkeypatch.setattr(engine_run, "run_network", None)
    for name in ("copy.pth", "again.pth"):
        shutil.copy("plain.pth", name)
    code, _, err = in_process(compare_command.main, *FOUR, "copy.pth", *FEW)
    assert code == 2 and "plain and copy are the same model: give one of them" in err
    few = ("plain.pth", "copy.pth", "again.pth", "hidden.pth")
    code, _, err = in_process(compare_command.main, *few, *FEW)
    message = "2 models (plain, copy and again are the same): rank correlations need 4 or more"
    assert code == 2 and message in err and len(err.splitlines()) == 1


def errors(parts: dict[tuple[str, str], tuple[float, float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"model": model, "noise": noise, "mse": sum(of), "bias2": of[0], "variance": of[1]}
            | {"leak_share": of[1] / sum(of), "cutoff": 0.3}
            | {"mask_variance": 0.0, "reason": "", "note": "", "photographs": 24, "crops": 24}
            for (model, noise), of in parts.items()
        ]
    )


def test_the_drop_is_divided_into_leak_and_damage(runs):
    parts = {(m, "gaussian:15"): (10.0 + i, 20.0) for i, m in enumerate(NAMES)}
    parts |= {(m, "isp"): (10.0 + i, 80.0) for i, m in enumerate(NAMES)}  # only more noise
    parts |= {(m, "poisson:3"): (40.0 + 4 * i, 20.0) for i, m in enumerate(NAMES)}  # only damage
    found = gather(read_runs([*runs, folder("e", "error", NAMES, error=errors(parts))]))
    damage, leak = np.arange(10.0, 15), 20.0
    whole = damage + leak
    leaked = 10 * np.log10((damage + 80) / whole) / 2  # means over two unseen noises
    damaged = 10 * np.log10((4 * damage + leak) / whole) / 2
    assert np.allclose(found.drop_leak, leaked) and np.allclose(found.drop_damage, damaged)
    pairs = correlations(found)
    assert set(pairs.target) == {"ood_drop", "unseen", "drop_leak", "drop_damage"}


def test_outcomes_are_of_noises_under_which_every_model_has_its_parts(runs, tmp_path):
    parts = {(m, n): (10.0, 20.0) for m in NAMES for n in ("gaussian:15", "isp", "poisson:3")}
    frame = errors(parts)
    frame.loc[(frame.model == "a") & (frame.noise == "isp"), ["bias2", "variance"]] = np.nan
    frame.loc[frame.noise == "isp", "variance"] *= 4
    found = gather(read_runs([*runs, folder("e", "error", NAMES, error=frame)]))
    assert (found.drop_leak == 0).all() and (found.drop_damage == 0).all()
    frame["bias2"] = np.nan
    found = gather(read_runs([*runs, folder("f", "error", NAMES, error=frame)]))
    assert found.drop_leak.isna().all()
    path = run([*map(str, [*runs, tmp_path / "f"]), "--output-dir", "out"], "test")
    assert "No index can be correlated with the PSNR drop by leaked" in path.joinpath(
        "summary.txt"
    ).read_text().replace("\n", " ")
