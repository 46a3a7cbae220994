"""`python -m analysis.report`: one pass, sections that are reused, the page, and verification."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from analysis.commands.parser import arguments_of
from analysis.commands.registry import analyses, analysis
from analysis.engine import run as engine_run
from analysis.engine.cache import FOLDER
from analysis.pages import fingerprint, notebooks
from analysis.pages.attachments import attached
from analysis.report import command, publish, verify
from analysis.report import folders as report_folders
from analysis.report.command import main, parse, run_arguments
from analysis.report.requests import arguments, from_json, to_json
from analysis.report.sections import headings
from analysis.report.settings import BENCHMARK, FORMATS, ReportOptions
from mtd.utils.errors import BadInput, Failed
from tests.helpers.figures import leave_unrendered
from tests.helpers.json_output import strict
from tests.helpers.kernels import fork_kernels

pytestmark = pytest.mark.usefixtures("forked_kernels")

SMALL = ("--limit", "3", "--crop", "16", "--benchmark-crop", "24", "--noise", "poisson:3.5")
SMALL += ("--max-crops", "attribution=2", "--max-crops", "linear=1", "--max-crops", "causal=1")
SMALL += ("--untrained", "2", "--no-lpips", "--quiet")


def make(*arguments: str) -> Path:
    return run_arguments([*arguments, *SMALL])


def compute(names: str, *arguments: str) -> Path:
    """Without the page."""
    return computed(names, "plain.pth", "hidden.pth", *arguments, *SMALL).folder.path


def computed(names: str, *arguments: str) -> report_folders.Report:
    request = parse(arguments)
    options = ReportOptions(sections=names)
    return report_folders.compute(request.models, request.settings, options, request.output)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


class Made(NamedTuple):
    """A report of the tiny pair, in the folder `out` of a place that holds the pair too."""

    place: Path
    views: list[tuple[str, str, tuple[str, ...]]]
    """What each network ran on: model, noise, and digests of the crops."""


@pytest.fixture(scope="module")
def made(tiny_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The report that all tests share: nothing in it is changed."""
    place = shutil.copytree(tiny_pair, tmp_path_factory.mktemp("report") / "place")
    views, real = [], engine_run.run_network

    def run_network(model, noisy, *how):
        views.append((*noisy.view, tuple(noisy.batch.digests)))
        return real(model, noisy, *how)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(engine_run, "run_network", run_network)
        leave_unrendered(patch)
        fork_kernels(patch)
        make("plain.pth", "hidden.pth", "--output-dir", "out", "--format", "html,ipynb,md")
    return Made(place, views)


@pytest.fixture
def there(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of its place, which is the current folder."""
    shutil.copytree(made.place, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


def test_the_page_has_every_section_and_its_tables(there):
    soup = BeautifulSoup((there / "out/report.html").read_text(), "html.parser")
    headings = [tag.get_text() for tag in soup.find_all("h2")]
    for name in ("Leaderboard", "Generalization", "CKA", "SRGA", "Sensitivity", "Provenance"):
        assert any(name in heading for heading in headings), name
    assert len(soup.find_all("h1")) == 1
    assert all(image.get("alt") for image in soup.find_all("img"))
    held = {a.name: a.content for a in attached((there / "out/report.html").read_text())}
    for name in ("manifest.json", "cka/cka.csv", "generalization/results.csv", "srga/srga.csv"):
        assert held[name] == (there / "out" / name).read_bytes()
    assert "python -m analysis.report plain.pth hidden.pth" in soup.get_text()
    executed = nbformat.read(there / "out/report.ipynb", as_version=4)
    nbformat.validate(executed)
    assert not any(o.output_type == "error" for c in executed.cells for o in c.get("outputs", ()))
    text = (there / "out/report.md").read_text()
    assert "](report_files/" in text and str(there) not in text


def test_an_interrupted_page_says_how_to_go_on(tmp_path, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(publish, "publish", interrupted)
    folder: Any = SimpleNamespace(path=tmp_path)
    report = report_folders.Report(folder, [])
    with pytest.raises(KeyboardInterrupt, match=r"numbers are kept in .*use --resume for the page"):
        command.finish(report, ReportOptions(), quiet=True)


@pytest.mark.slow
def test_interrupted_and_gone_on_with_elsewhere_it_is_the_same_byte_for_byte(there, monkeypatch):
    real, count = engine_run.run_network, 0

    def run_network(*arguments):
        nonlocal count
        count += 1
        if count > 9:
            raise KeyboardInterrupt
        return real(*arguments)

    given = ("plain.pth", "hidden.pth", "--output-dir", "again", "--format", "html,ipynb,md")
    with monkeypatch.context() as patch:
        patch.setattr(engine_run, "run_network", run_network)
        with pytest.raises(KeyboardInterrupt, match="--resume"):
            make(*given)
    with pytest.raises(BadInput, match="--resume"):
        make(*given)
    make(*given, "--resume")
    again = files(there / "again")
    assert again == files(there / "out") and len(again) > 40
    assert not any(FOLDER in name.split("/") for name in again)


def test_sections_that_are_there_are_not_computed_again(there, monkeypatch):
    shutil.rmtree(there / "out/srga")
    runs = []
    real = engine_run.run_network

    def run_network(model, noisy, observers, *how):
        runs.append([observer.name for observer in observers])
        return real(model, noisy, observers, *how)

    monkeypatch.setattr(engine_run, "run_network", run_network)
    before = files(there / "out")
    make("plain.pth", "hidden.pth", "--output-dir", "out", "--sections", "srga,cka")
    assert {name for names in runs for name in names} == {"deep_features"}
    after = files(there / "out")
    for name, content in before.items():  # pages of other sections are gone
        if "/" in name and not name.startswith("report_files"):
            assert after[name] == content
    headings = BeautifulSoup((there / "out/report.html").read_text(), "html.parser").find_all("h2")
    assert not any("Sensitivity" in heading.get_text() for heading in headings)


def test_each_view_runs_once_for_all_sections(made):
    assert len(made.views) == len(set(made.views)) > 0


def test_of_run_folders_it_makes_the_page_alone(there):
    title = "Mine *and* yours"
    given = ["out/generalization", "out/srga", "--output-dir", "page", "--title", title, "--quiet"]
    run_arguments(given)
    soup = BeautifulSoup((there / "page/report.html").read_text(), "html.parser")
    assert any("SRGA" in tag.get_text() for tag in soup.find_all("h2"))
    assert [tag.get_text() for tag in soup.find_all(["h1", "title"])] == 2 * [title]
    assert set(pd.read_csv(there / "page/leaderboard.csv").model) == {"plain", "hidden"}
    assert not (there / "page/cka").exists()
    with pytest.raises(BadInput, match="a second run of srga"):
        run_arguments(["out/srga", "page/srga", "--output-dir", "x", "--quiet"])
    with pytest.raises(BadInput, match="one or the other"):
        run_arguments(["out/cka", "plain.pth"])
    with pytest.raises(BadInput, match="no such run folder"):
        run_arguments(["out/cka", "absent"])
    other = json.loads((there / "out/srga/manifest.json").read_text())
    other["models"]["plain"]["sha256"] = "0"
    (there / "out/srga/manifest.json").write_text(json.dumps(other))
    with pytest.raises(BadInput, match="plain is not the same file as in the other runs"):
        run_arguments(["out/cka", "out/srga", "--output-dir", "x", "--quiet"])
    with pytest.raises(BadInput, match="only computed reports"):
        run_arguments(["--verify", "page", "--quiet"])


def test_a_notebook_that_fails_publishes_nothing(there, monkeypatch):
    for name in ("html", "ipynb", "md"):
        (there / f"out/report.{name}").unlink()
    real = notebooks.stored

    def stored(name):
        found = real(name)
        if name == "srga":
            shown = [c for c in found.cells if "standalone" not in c.metadata.get("tags", ())]
            shown[-1].update(cell_type="code", source="1 / 0", outputs=[], execution_count=None)
        return found

    monkeypatch.setattr(notebooks, "stored", stored)
    with pytest.raises(Failed, match=r"ZeroDivisionError.*report\.failed\.ipynb"):
        make("plain.pth", "hidden.pth", "--output-dir", "out", "--sections", "srga")
    assert (there / "out/report.failed.ipynb").is_file()
    assert not list((there / "out").glob("report.html"))


def test_numbers_that_are_right_are_confirmed(there, capsys, in_process):
    page = "out/report.html"
    run_arguments(["--verify", page, "--share", "0.05", "--verify-seed", "3", "--quiet"])
    out = capsys.readouterr().out
    for table in ("results.csv", "attribution.csv", "linear.csv", "causal.csv"):
        assert table in out
    assert "DO NOT" not in out
    told = [line.split()[0] for line in out.split("\n") if ".csv" in line]
    assert "5% of each table" in out and "difference: absolute" in out
    left_out = next(line for line in out.split("\n") if line.startswith("not recomputed"))
    assert "cka/difference.csv" in left_out and "cka/procrustes.csv" not in left_out
    for place in (there / "out").iterdir():
        if place.is_dir() and place.name not in ("srga", "sensitivity"):
            shutil.rmtree(place)
    (there / "out/leaderboard.csv").unlink()  # which is of all sections
    again = ["--verify", "out", "--verify-seed", "3", "--share", "0.001", "--quiet"]
    run_arguments(again)
    out = capsys.readouterr().out
    lines = [line for line in out.split("\n") if ".csv" in line]
    *few, left = [line.split()[0] for line in lines]
    tables = "srga/robustness.csv, srga/srga_difference.csv, sensitivity/sensitivity_ratio.csv"
    assert left == "not" and lines[-1] == f"not recomputed: {tables}"
    few = [name for name in few if not name.startswith("leaderboard")]
    assert few == [name for name in told if name.startswith(("srga", "sensitivity"))]
    assert "0.1% of each table" in out
    found = strict(in_process(main, *again, "--json")[1])
    checks = found["results"]["checks"]
    names = [check["table"] for check in checks]
    assert [name for name in names if not name.startswith("leaderboard")] == few and not any(
        c["wrong"] for c in checks
    )
    assert found["results"]["seed"] == 3 and found["status"] == "done"


def test_sections_that_are_named_alone_are_computed_and_verified(pair, monkeypatch, capsys):
    monkeypatch.chdir(pair)
    leave_unrendered(monkeypatch)
    few = ("--max-crops", "causal_effects=2", "--output-dir", "named")
    folder = compute("stitch,causal_effects", *few)
    assert report_folders.present(folder, list(headings())) == ["stitch", "causal_effects"]
    verifying = ["--verify", "named", "--share", "0.1", "--verify-seed", "1", "--quiet"]
    run_arguments(verifying)
    out = capsys.readouterr().out
    assert "stitch.csv" in out and "effects.csv" in out and "DO NOT" not in out
    for table, column in (("stitch/stitch", "cost"), ("causal_effects/effects", "psnr")):
        frame = pd.read_csv(folder / f"{table}.csv", keep_default_na=False, na_values=["nan"])
        changed = frame.assign(**{column: frame[column] + 0.01})
        changed.to_csv(folder / f"{table}.csv", index=False, na_rep="nan")
    with pytest.raises(Failed, match="not confirmed"):
        run_arguments(verifying)
    out = capsys.readouterr().out
    assert "cost is" in out and "psnr is" in out


def test_a_section_without_keys_is_not_verified(there, capsys, monkeypatch):
    monkeypatch.setitem(analyses(), "srga", replace(analysis("srga"), keys={}))
    for place in (there / "out").iterdir():
        if place.is_dir() and place.name not in ("srga", "sensitivity"):
            shutil.rmtree(place)
    (there / "out/leaderboard.csv").unlink()  # which is of all sections
    run_arguments(["--verify", "out", "--quiet"])
    out = capsys.readouterr().out
    assert "sensitivity.csv" in out and "recomputed: srga/robustness.csv, srga/srga.csv" in out
    shutil.rmtree(there / "out/sensitivity")
    with pytest.raises(BadInput, match="no table of any section that can be recomputed"):
        run_arguments(["--verify", "out", "--quiet"])


def test_a_page_that_would_be_too_large_leaves_tables_out(there, monkeypatch):
    names = report_folders.present(there / "out", list(headings()))
    files = publish.attachments(there / "out", names)
    done = nbformat.read(there / "out/report.ipynb", as_version=4)
    whole = publish.fitting(done, files, "x")
    monkeypatch.setattr(publish, "LARGEST", len(whole.encode()) - 1)
    html = publish.fitting(done, files, "x")
    largest = max(files, key=lambda file: len(file.content))
    held = {file.name for file in attached(html)}
    assert largest.name not in held and len(held) == len(files) - 1
    assert f"in the report's folder: {largest.name}." in html


CHANGED = {
    "generalization/results.csv": "value",
    "generalization/tests.csv": "better",
    "cka/cka.csv": "cka",
    "srga/srga.csv": "kl",
    "distributions/distributions.csv": "w1",
    "degradation/degradation.csv": "ch_noise",
    "sensitivity/sensitivity.csv": "gain",
    "attribution/attribution.csv": "di",
    "linear/linear.csv": "trace",
}


def test_numbers_that_were_changed_are_found(there, capsys, monkeypatch):
    monkeypatch.setattr(verify, "PRINTED", 99)
    for table, column in CHANGED.items():
        path = there / "out" / table
        frame = pd.read_csv(path, keep_default_na=False, na_values={column: ["nan"]})
        place = frame[column].last_valid_index()
        frame.loc[place, column] += 0.01
        frame.to_csv(path, index=False, na_rep="nan")
    with pytest.raises(Failed, match="not confirmed"):
        run_arguments(["--verify", "out", "--share", "1", "--quiet"])
    out = capsys.readouterr().out
    for table, column in CHANGED.items():
        name = table.partition("/")[2]
        told = [line for line in out.split("\n") if line.startswith(f"{name}, ")]
        assert any(f": {column} is" in line for line in told), (table, told)
    assert out.count("DO NOT AGREE") >= len(CHANGED)


def test_noise_of_matched_strength_is_verified_with_its_sigma(pair, monkeypatch, capsys):
    monkeypatch.chdir(pair)
    leave_unrendered(monkeypatch)
    compute("srga,generalization", "--noise", "gaussian:=poisson:3", "--output-dir", "out")
    run_arguments(["--verify", "out", "--quiet"])
    out = capsys.readouterr().out
    (row,) = [line.split() for line in out.split("\n") if line.startswith("matched_noises.csv")]
    tables = [pd.read_csv(pair / "out" / name / row[0]) for name in ("srga", "generalization")]
    counts = [len(table) * 4 for table in tables]  # scene, height, width and σ
    assert row[1:3] == [str(sum(counts))] * 2 and row[-1] == "agree"
    assert "matched_noises" not in out[out.index("not recomputed") :]
    tables[0].assign(sigma=tables[0].sigma + 0.01).to_csv(pair / "out/srga" / row[0], index=False)
    with pytest.raises(Failed, match="3 values not confirmed"):
        run_arguments(["--verify", "out", "--quiet"])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("generalization/noises.csv", lambda f: f.assign(worst_image="x"), "worst_image is 'x'"),
        ("srga/srga.csv", lambda f: f.assign(kl=["abc", *map(str, f.kl[1:])]), "kl is 'abc'"),
        ("srga/srga.csv", lambda f: f[:2], "is not in the report"),
        ("srga/srga.csv", lambda f: pd.concat([f, f[:1]]), "is there twice"),
        ("srga/srga.csv", lambda f: f.drop(columns="kl"), "no column kl"),
        ("generalization/tests.csv", lambda f: f[:2], "is not in the report"),
        ("cka/last_quarter.csv", lambda f: f.assign(cka=f.cka + 0.1), "last_quarter.csv"),
        ("cka/depth.csv", lambda f: f.assign(cka=f.cka + 0.1), "depth.csv"),
    ],
)
def test_rows_and_tables_that_were_tampered_with(there, name, change, message, capsys):
    path = there / "out" / name
    held = pd.read_csv(path, keep_default_na=False, na_values=["nan"])  # empty texts stay
    change(held).to_csv(path, index=False, na_rep="nan")
    (there / "out/manifest.json").rename(there / "held.json")
    for place in (there / "out").iterdir():  # what is not looked at is not computed
        if place.is_dir() and place.name != name.partition("/")[0]:
            shutil.rmtree(place)
    (there / "held.json").rename(there / "out/manifest.json")
    with pytest.raises(Failed, match="not confirmed"):
        run_arguments(["--verify", "out", "--share", "1", "--quiet"])
    assert message in capsys.readouterr().out


@pytest.mark.parametrize("column", ["model", "noise", "sha256"])
def test_results_of_something_else_are_not_confirmed(there, column, capsys):
    path = there / "out/generalization/results.csv"
    frame = pd.read_csv(path)
    frame.assign(**{column: "other"}).to_csv(path, index=False, na_rep="nan")
    for place in (there / "out").iterdir():
        if place.is_dir() and place.name != "generalization":
            shutil.rmtree(place)
    with pytest.raises(Failed, match="not confirmed"):
        run_arguments(["--verify", "out", "--quiet"])
    pd.concat([frame, frame[:1]]).to_csv(path, index=False, na_rep="nan")
    with pytest.raises(Failed, match="1 value not confirmed"):
        run_arguments(["--verify", "out", "--quiet"])
    assert "is there twice" in capsys.readouterr().out
    frame.drop(columns=column).to_csv(path, index=False)
    with pytest.raises(BadInput, match=f"damaged .no column {column}"):
        run_arguments(["--verify", "out", "--quiet"])


def test_a_number_that_was_changed_in_the_page_is_found(there, capsys):
    done = nbformat.read(there / "out/report.ipynb", as_version=4)
    path = there / "page.html"  # of one section's tables
    path.write_text(publish.fitting(done, publish.attachments(there / "out", [BENCHMARK]), "x"))
    held = {a.name: a.content for a in attached(path.read_text())}
    name = "generalization/generalization.csv"
    before, frame = held[name], pd.read_csv(io.BytesIO(held[name]))
    frame["ood_drop"] += 0.5
    after = frame.to_csv(index=False, na_rep="nan").encode()
    coded = [base64.b64encode(content).decode() for content in (before, after)]
    path.write_text(path.read_text().replace(*coded))
    with pytest.raises(Failed, match="not confirmed"):
        run_arguments(["--verify", str(path), "--quiet"])
    assert "ood_drop is" in capsys.readouterr().out


def test_a_reports_own_code_is_not_run_unasked(there):
    path = there / "out/manifest.json"
    manifest = json.loads(path.read_text())
    more = {"path": "plain.pth", "factory": "os:system", "arguments": {"command": "touch ran"}}
    path.write_text(json.dumps(manifest | {"requests": [*manifest["requests"][1:], more]}))
    with pytest.raises(BadInput, match="damaged"):  # the arguments are of other models
        run_arguments(["--verify", "out", "--quiet"])
    assert not (there / "ran").exists()
    for damaged in (5, [], ["plain.pth", 3], [{"path": "plain.pth", "fatcory": "os:system"}]):
        path.write_text(json.dumps(manifest | {"requests": damaged}))
        with pytest.raises(BadInput, match="damaged"):
            run_arguments(["--verify", "out", "--quiet"])
    for damaged in (5, {"crop": "x"}, {"corp": 24}):
        path.write_text(json.dumps(manifest | {"settings": damaged}))
        with pytest.raises(BadInput, match="damaged"):
            run_arguments(["--verify", "out", "--quiet"])
    path.write_text(json.dumps({k: v for k, v in manifest.items() if k != "versions"}))
    with pytest.raises(BadInput, match=r"damaged .versions"):
        run_arguments(["--verify", "out", "--quiet"])
    path.write_text(json.dumps(manifest))
    (there / "out/srga/srga.csv").write_text("")
    with pytest.raises(BadInput, match=r"srga/srga\.csv of the report: damaged"):
        run_arguments(["--verify", "out", "--quiet"])


def test_files_may_have_moved(there, monkeypatch, capsys):
    (there / "elsewhere").mkdir()
    for name in ("plain", "hidden"):
        shutil.move(f"{name}.pth", "elsewhere")
    for place in (there / "out").iterdir():
        if place.is_dir() and place.name != "srga":
            shutil.rmtree(place)
    with pytest.raises(BadInput, match=r"plain\.pth: no such file"):
        run_arguments(["--verify", "out", "--quiet"])
    moved = ["elsewhere/plain.pth", "elsewhere/hidden.pth"]
    run_arguments([*moved, "--verify", "out", "--quiet"])
    for name in ("plain", "hidden"):
        shutil.move(f"elsewhere/{name}.pth", f"elsewhere/my_{name}.pth")
    moved = ["elsewhere/my_plain.pth", "elsewhere/my_hidden.pth"]
    run_arguments([*moved, "--verify", "out", "--share", "1", "--quiet"])
    told = r"elsewhere/my_hidden\.pth: not the report's plain .* in the report's order"
    with pytest.raises(BadInput, match=told):
        run_arguments([*moved[::-1], "--verify", "out", "--quiet"])
    with pytest.raises(BadInput, match="of 2 files; give as many"):
        run_arguments([moved[0], "--verify", "out", "--quiet"])


def test_other_files_than_the_reports_are_not_verified(there):
    shutil.copy("hidden.pth", "plain.pth")
    with pytest.raises(BadInput, match=r"plain\.pth: not the report's plain"):
        run_arguments(["--verify", "out", "--quiet"])
    with pytest.raises(BadInput, match="no such report"):
        run_arguments(["--verify", "absent"])
    (there / "page.html").write_text("<html></html>")
    with pytest.raises(BadInput, match="no tables in it"):
        run_arguments(["--verify", "page.html"])


def test_bad_options_are_refused_before_anything_is_computed(there):
    for options, message in (
        (["--sections", "sgra"], "did you mean srga"),
        (["--format", "htm"], "did you mean html"),
        (["--budget", "srga=x"], "expected megapixels"),
        (["--max-crops", "srga=1.5"], "expected a whole number"),
        (["--max-crops", "sgra=3"], "did you mean srga"),
        (["--noise", "gaussian:0"], "changes nothing"),
        (["--noise", "gaussian:15"], "no noise beside"),
        (["--suite", "quik"], "did you mean quick"),
        (["--sections", "compare"], "1 model: rank correlations need 4"),
        (["--sections", "curves"], "give --training RUN"),
        (["--training", "nowhere"], "nowhere: no such file or folder"),
        (["--sections", "srga", "--limit", "1"], "section srga: 1 patch"),
    ):
        with pytest.raises(BadInput, match=message):
            run_arguments(["plain.pth", *options, "--quiet", "--no-lpips"])
    assert not (there / "runs").exists()


def test_the_recorded_command_line_gives_the_same_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.pth", "b.pth"):
        Path(name).touch()
    given = ["a.pth", "b.pth", "--seed", "3", "--noise", "poisson:2", "--noise", "isp", "--quiet"]
    given += ["--no-quantize", "--max-crops", "srga=2", "--output-dir", "x", "--sections", "cka"]
    given += ["--sigma", "b.pth=15"]
    request = parse(given)
    recorded = [*arguments(request.models), *arguments_of(request.settings)]
    again = parse(recorded)
    assert again.settings == request.settings
    paths = [(m.path, m.options.sigma) for m in request.models]
    assert [(m.path, m.options.sigma) for m in again.models] == paths
    assert not {"--output-dir", "--sections", "--quiet"} & set(recorded)
    assert from_json(json.loads(json.dumps(to_json(request.models))), "x") == [
        replace(model, own_sigma=False) for model in request.models
    ]


def test_a_reference_is_not_taken_for_trained_on(pair, monkeypatch):
    monkeypatch.chdir(pair)
    given = ["plain.pth", "--reference", "gaussian:25", "--limit", "1", "--benchmark-crop", "16"]
    given += ["--in-distribution", "poisson:2"]
    given += ["--no-controls", "--no-references", "--no-lpips", "--quiet", "--crop", "16"]
    report = computed("generalization", *given)
    made = report.folder.path / "generalization"
    noises = pd.read_csv(made / "noises.csv")
    assert set(noises[noises.in_distribution].noise) == {"poisson:2"}
    assert {"gaussian:15", "gaussian:25"} <= set(noises.noise)


def test_sections_that_cannot_be_had_are_left_out_and_told(pair, monkeypatch, capsys):
    monkeypatch.chdir(pair)
    given = ["plain.pth", "--limit", "1", "--benchmark-crop", "16", "--noise", "poisson:3"]
    request = parse([*given, "--no-lpips", "--crop", "8", "--no-controls"])
    made = report_folders.compute(request.models, request.settings, request.options, request.output)
    assert "srga" not in made.sections and "generalization" in made.sections
    assert "skipped section srga: 1 patch" in capsys.readouterr().err


def test_unfinished_runs_are_no_part_of_a_page(there):
    log = json.loads((there / "out/cka/run.json").read_text())
    log["runs"][-1]["finished"] = None
    (there / "out/cka/run.json").write_text(json.dumps(log))
    with pytest.raises(BadInput, match="not finished"):
        run_arguments(["out/cka", "--output-dir", "page", "--quiet"])
    assert not (there / "page").exists()


@pytest.mark.drawn
def test_a_report_is_rendered_again_as_itself_and_pages_of_other_sections_go(there):
    before = files(there / "out")
    run_arguments(["out", "--format", "md", "--sections", "srga", "--quiet"])
    after = files(there / "out")
    assert after["manifest.json"] == before["manifest.json"]
    assert "report.html" not in after and "report.ipynb" not in after
    text = after["report.md"].decode()
    assert "SRGA" in text and "## Sensitivity" not in text
    assert re.search(r"!\[.+\]\(report_files/", text)
    pictures = [Image.open(path) for path in (there / "out/report_files").glob("*.png")]
    assert any(min(picture.size) > 100 for picture in pictures)  # a figure that was rendered


@pytest.mark.parametrize("same", [True, False])
def test_pages_in_other_formats_stay_while_they_are_of_the_same(there, same):
    made_of = json.loads((there / "out" / fingerprint.INPUTS).read_text())
    now = made_of if same else made_of | {"title": "another"}
    publish.forget(there / "out", now, ["ipynb"])
    names = set(files(there / "out"))
    assert "report.ipynb" in names
    assert ("report.html" in names) == ("report.md" in names) == same
    assert any(name.startswith("report_files/") for name in names) == same


def test_the_manifest_says_how_many_crops_each_section_has(there):
    manifest = json.loads((there / "out/manifest.json").read_text())
    assert manifest["max_crops"]["srga"] == 3 and manifest["max_crops"]["attribution"] == 2
    assert FORMATS == ("html", "ipynb", "md", "pdf")
