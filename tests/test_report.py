"""`python -m analysis.report`: one pass, sections that are reused, the page, and verification."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from analysis import (
    engine,
    notebook,
    report,
    report_page,
    report_parts,
    report_plan,
    sections,
    verify,
)
from analysis.attachments import attached
from analysis.report import parser, run
from mtd.errors import BadInput, Failed

SMALL = ("--limit", "5", "--crop", "24", "--benchmark-crop", "32", "--noise", "poisson:3.5")
SMALL += ("--no-lpips", "--quiet")


def make(*arguments: str) -> Path:
    return run(parser().parse_args([*arguments, *SMALL]))


def compute(names: str, *arguments: str) -> Path:
    """Without the page."""
    args = parser().parse_args(["plain.pth", "hidden.pth", *arguments, *SMALL])
    return report_parts.compute(args, sections.choose(names)).folder.path


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny pair, and a report of it."""
    from conftest import MASKED, TINY, tiny_network

    from mtd import checkpoint
    from mtd.masking import MaskPolicy

    place = tmp_path_factory.mktemp("report")
    for seed, (name, policy) in enumerate({"plain": MaskPolicy(), "hidden": MASKED}.items()):
        weights = tiny_network(seed).state_dict()
        checkpoint.save(place / f"{name}.pth", weights, network=TINY, mask=policy)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        make("plain.pth", "hidden.pth", "--output-dir", "out", "--format", "html,ipynb,md")
    return place


@pytest.fixture
def there(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the current folder."""
    shutil.copytree(made, tmp_path / "place")
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


def test_made_again_elsewhere_it_is_the_same_byte_for_byte(there):
    make("plain.pth", "hidden.pth", "--output-dir", "again", "--format", "html,ipynb,md")
    assert files(there / "again") == files(there / "out")


def test_sections_that_are_there_are_not_computed_again(there, monkeypatch):
    shutil.rmtree(there / "out/srga")
    looked = []
    real = engine.look

    def look(model, name, shown, observers, setting):
        looked.append([observer.name for observer in observers])
        return real(model, name, shown, observers, setting)

    monkeypatch.setattr(engine, "look", look)
    before = files(there / "out")
    make("plain.pth", "hidden.pth", "--output-dir", "out", "--sections", "srga,cka")
    assert {name for names in looked for name in names} == {"deep_features"}
    after = files(there / "out")
    assert {n: after[n] for n in before if n.count("/")} == {
        n: c for n, c in before.items() if n.count("/")
    }
    headings = BeautifulSoup((there / "out/report.html").read_text(), "html.parser").find_all("h2")
    assert not any("Sensitivity" in heading.get_text() for heading in headings)


def test_each_view_runs_once_for_all_sections(there, monkeypatch):
    looked = []
    real = engine.look

    def look(model, name, shown, observers, setting):
        looked.append((name, shown.noise.spec, tuple(shown.batch.digests)))
        return real(model, name, shown, observers, setting)

    monkeypatch.setattr(engine, "look", look)
    compute("generalization,cka,srga,distributions,degradation,sensitivity", "--output-dir", "pass")
    assert len(looked) == len(set(looked)) > 0


def test_of_run_folders_it_makes_the_page_alone(there):
    run(parser().parse_args(["out/cka", "out/srga", "--output-dir", "page", "--quiet"]))
    soup = BeautifulSoup((there / "page/report.html").read_text(), "html.parser")
    assert any("SRGA" in tag.get_text() for tag in soup.find_all("h2"))
    with pytest.raises(BadInput, match="a second run of cka"):
        run(parser().parse_args(["out/cka", "page/cka", "--output-dir", "x", "--quiet"]))
    with pytest.raises(BadInput, match="one or the other"):
        run(parser().parse_args(["out/cka", "plain.pth"]))
    with pytest.raises(BadInput, match="no such run folder"):
        run(parser().parse_args(["out/cka", "absent"]))
    with pytest.raises(BadInput, match="only what was computed"):
        run(parser().parse_args(["--verify", "page", "--quiet"]))


def test_a_notebook_that_fails_publishes_nothing(there, monkeypatch):
    for name in ("html", "ipynb", "md"):
        (there / f"out/report.{name}").unlink()
    real = notebook.stored

    def stored(name):
        found = real(name)
        if name == "srga":
            found.cells[-1].update(
                cell_type="code", source="1 / 0", outputs=[], execution_count=None
            )
        return found

    monkeypatch.setattr(notebook, "stored", stored)
    with pytest.raises(Failed, match=r"ZeroDivisionError.*report\.failed\.ipynb"):
        make("plain.pth", "hidden.pth", "--output-dir", "out")
    assert (there / "out/report.failed.ipynb").is_file()
    assert not list((there / "out").glob("report.html"))


def test_interrupted_it_goes_on(there, monkeypatch):
    real, count, names = engine.look, 0, "generalization,cka,srga,degradation"

    def look(*arguments):
        nonlocal count
        count += 1
        if count > 9:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "look", look)
        with pytest.raises(KeyboardInterrupt, match="--resume"):
            compute(names, "--output-dir", "on")
    with pytest.raises(BadInput, match="--resume"):
        compute(names, "--output-dir", "on")
    compute(names, "--output-dir", "on", "--resume")
    before = files(there / "out")
    held = files(there / "on")
    assert not any("units" in name for name in held)
    assert held == {n: c for n, c in before.items() if n in held} and len(held) > 20


def test_numbers_that_are_right_are_confirmed(there, capsys):
    run(parser().parse_args(["--verify", "out", "--share", "0.2", "--seed", "3", "--quiet"]))
    out = capsys.readouterr().out
    assert "results.csv" in out and "attribution.csv" in out and "DO NOT" not in out
    told = [line.split()[0] for line in out.split("\n") if ".csv" in line]
    run(parser().parse_args(["--verify", "out/report.html", "--seed", "3", "--quiet"]))
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.split("\n") if ".csv" in line] == told


def test_a_page_that_would_be_too_large_leaves_tables_out(there, monkeypatch):
    names = report_parts.present(there / "out", sections.NAMES)
    files = report_page.attachments(there / "out", names)
    done = nbformat.read(there / "out/report.ipynb", as_version=4)
    whole = report_page.fitting(done, files, "x")
    monkeypatch.setattr(report_page, "LARGEST", len(whole.encode()) - 1)
    html = report_page.fitting(done, files, "x")
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
}


def test_numbers_that_were_changed_are_found(there, capsys, monkeypatch):
    monkeypatch.setattr(verify, "TOLD", 99)
    for table, column in CHANGED.items():
        path = there / "out" / table
        frame = pd.read_csv(path, keep_default_na=False, na_values={column: ["nan"]})
        place = frame[column].last_valid_index()
        frame.loc[place, column] += 0.01
        frame.to_csv(path, index=False, na_rep="nan")
    with pytest.raises(Failed, match="not confirmed"):
        run(parser().parse_args(["--verify", "out", "--share", "1", "--quiet"]))
    out = capsys.readouterr().out
    for table, column in CHANGED.items():
        name = table.partition("/")[2]
        told = [line for line in out.split("\n") if line.startswith(f"{name}, ")]
        assert any(f": {column} is" in line for line in told), (table, told)
    assert out.count("DO NOT AGREE") >= len(CHANGED)


def test_other_files_than_the_reports_are_not_verified(there):
    shutil.copy("hidden.pth", "plain.pth")
    with pytest.raises(BadInput, match=r"plain\.pth: not the file that the report is about"):
        run(parser().parse_args(["--verify", "out", "--quiet"]))
    with pytest.raises(BadInput, match="no such report"):
        run(parser().parse_args(["--verify", "absent"]))
    (there / "page.html").write_text("<html></html>")
    with pytest.raises(BadInput, match="no tables in it"):
        run(parser().parse_args(["--verify", "page.html"]))


def test_bad_options_are_refused_before_anything_is_computed(there):
    for arguments, message in (
        (["--sections", "sgra"], "did you mean srga"),
        (["--format", "htm"], "did you mean html"),
        (["--budget", "srga=x"], "expected megapixels"),
        (["--noise", "gaussian:0"], "changes nothing"),
        (["--noise", "gaussian:15"], "no noise beside"),
        (["--suite", "quik"], "did you mean quick"),
    ):
        with pytest.raises(BadInput, match=message):
            run(parser().parse_args(["plain.pth", *arguments, "--quiet", "--no-lpips"]))
    assert not (there / "runs").exists()


def test_the_command_line_is_told_as_it_can_be_given_again():
    given = ["a.pth", "b.pth", "--seed", "3", "--noise", "poisson:2", "--noise", "isp", "--quiet"]
    given += ["--no-quantize", "--budget", "srga=2", "--output-dir", "x", "--sections", "cka"]
    told = report_plan.arguments(parser().parse_args(given))
    again = parser().parse_args(told)
    for name in ("models", "seed", "noise", "no_quantize", "budget"):
        assert getattr(again, name) == getattr(parser().parse_args(given), name)
    assert "--output-dir" not in told and "--sections" not in told and "--quiet" not in told


def test_three_models_and_one(pair, monkeypatch):
    monkeypatch.chdir(pair)
    shutil.copy("plain.pth", "third.pth")
    made = make("plain.pth", "--output-dir", "one", "--sections", "generalization,cka")
    assert (made / "report.html").is_file()
    manifest = json.loads((made / "manifest.json").read_text())
    assert manifest["arguments"][0] == "plain.pth"


def test_the_manifest_says_how_many_pixels_each_section_may_have(there):
    manifest = json.loads((there / "out/manifest.json").read_text())
    assert manifest["budgets"]["srga"] == 0.4 and manifest["limit"] == 5
    assert report.FORMATS == ("html", "ipynb", "md", "pdf")
