"""Notebooks: stored clean, and executed by papermill on real run folders."""

from __future__ import annotations

import ast
import html
import json
import os
import re
import shutil
from contextlib import chdir
from importlib import import_module
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from analysis.report import reading as report_
from analysis.report import run_lookup
from analysis.report.run_lookup import COMMANDS, SECTIONS
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.utils.errors import BadInput
from tests.helpers.figures import leave_unrendered
from tests.helpers.networks import MASKED, TINY, tiny_network
from tests.helpers.paths import ROOT
from tests.helpers.training_logs import own

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = ("plain", "<b>bold | x", "_under_ *star* `tick`", "[l](u) #1 & co")
"""Of models; what Markdown or HTML would take for its own."""

FEW = ("--crop", "16", "--quiet", "--noise", "gaussian:15", "--noise", "poisson:3")
MORE = {
    "generalization": (*FEW, "--limit", "6"),
    "cka": (*FEW, "--limit", "6"),
    "srga": (*FEW, "--limit", "24", "--noise", "gaussian:50"),
    "distributions": (*FEW, "--limit", "6"),
    "degradation": (*FEW, "--limit", "6"),
    "sensitivity": (*FEW, "--limit", "6"),
    "attribution": (*FEW, "--limit", "2", "--steps", "3", "--side", "4"),
}


def load(name: str) -> Any:
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


def tagged(cell: Any, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_stored_without_outputs_and_parameterised(path):
    notebook = load(path.stem)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    (parameters,) = (cell for cell in code if tagged(cell, "parameters"))
    for statement in ast.parse(parameters.source).body:
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)
    assert all("  # " in line for line in parameters.source.splitlines())
    assert not any(line.startswith("%") for cell in code for line in cell.source.splitlines())


def test_there_is_a_notebook_for_every_section_and_ids_are_their_own():
    assert {path.stem for path in NOTEBOOKS} == {*SECTIONS, "report", "findings"}
    ids = [(cell.id, path.stem) for path in NOTEBOOKS for cell in load(path.stem).cells]
    assert len({id for id, _ in ids}) == len(ids)
    assert all(id.startswith(f"{name}-") for id, name in ids)
    for name, heading in SECTIONS.items():
        assert load(name).cells[0].source.startswith(f"## {heading}\n")
    for name in ("report", "findings"):
        assert load(name).cells[0].source.startswith("# ")
    assert sum(tagged(cell, "sections") for cell in load("report").cells) == 1


def compute(name: str, *given: str) -> Path:
    module = import_module(f"analysis.{name}.command")
    found: Path = module.run(module.parser().parse_args(list(given)))
    return found


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders like those of a report: `many` of four models, `one` of one."""
    place: Path = tmp_path_factory.mktemp("reports")
    with chdir(place), pytest.MonkeyPatch.context() as patch:
        leave_unrendered(patch)
        for seed, name in enumerate(NAMES):
            policy = MASKED if seed % 2 else MaskPolicy()
            weights = tiny_network(seed).state_dict()
            checkpoint_file.save(f"{name}.pth", weights, network=TINY, mask=policy)
        files = [f"{name}.pth" for name in NAMES]
        for report, models in (("many", files), ("one", files[1:2])):
            for name, given in MORE.items():
                compute(name, *models, *given, "--output-dir", f"{report}/{name}")
        held = [f"many/{n}" for n in ("generalization", "cka", "srga", "degradation")]
        compute("compare", *held, "--output-dir", "many/compare")
        tests = "100,gaussian:15,30\n100,poisson:3,25\n200,gaussian:15,32\n200,poisson:3,22\n"
        own(place / NAMES[2], tests)
        own(place / "logged")
        compute("curves", NAMES[2], "logged", "--output-dir", "many/training", "--quiet")
        for report in ("many", "one"):  # as the command does
            report_.scores(Path(report)).to_csv(f"{report}/leaderboard.csv")
    return place


def compose(folder: Path) -> Any:
    """The report with its sections in the middle, each told its folder."""
    whole = load("report")
    cells = []
    for cell in told(whole, folder).cells:
        if tagged(cell, "sections"):
            for name in SECTIONS:
                if (folder / name).is_dir():
                    cells += told(load(name), folder / name).cells
        else:
            cells.append(cell)
    whole.cells = cells
    return whole


def told(notebook: Any, folder: Path) -> Any:
    for cell in notebook.cells:
        if tagged(cell, "parameters"):
            cell.source = cell.source.replace('run_dir = ""', f"run_dir = {str(folder)!r}")
    return notebook


def execute(notebook: Any, place: Path) -> list[tuple[str, Any]]:
    """All outputs, with the ids of their cells."""
    nbformat.write(notebook, place / "in.ipynb")
    papermill.execute_notebook(
        place / "in.ipynb", place / "out.ipynb", cwd=place, progress_bar=False
    )
    done = nbformat.read(place / "out.ipynb", as_version=4)
    code = [cell for cell in done.cells if cell.cell_type == "code"]
    return [(cell.id, output) for cell in code for output in cell.outputs]


@pytest.fixture(scope="module", params=["many", "one"])
def outputs(request: Any, reports: Path, tmp_path_factory: Any) -> tuple[str, list[Any]]:
    place = tmp_path_factory.mktemp("executed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        return request.param, execute(compose(reports / request.param), place)


def texts(output: Any) -> str:
    """All text of an output, but pictures."""
    held = {name: text for name, text in output.data.items() if not name.startswith("image/")}
    return re.sub(r"base64,[A-Za-z0-9+/=]+", "", "\n".join(held.values())) + str(output.metadata)


def test_figures_have_descriptions_and_nothing_is_printed(outputs, reports):
    name, found = outputs
    assert {output.output_type for _, output in found} <= {"display_data", "execute_result"}
    pictures = [output for _, output in found if "image/png" in output.data]
    assert len(pictures) >= (10 if name == "many" else 7)
    for output in pictures:
        about = output.metadata["image/png"]
        assert re.search(r"\d", about["alt"]) and "nan" not in about["alt"]
        assert (reports / name / about["csv"]).is_file()
    for _, output in found:
        for source in re.findall(r'data-csv="([^"]+)"', output.data.get("text/html", "")):
            assert (reports / name / html.unescape(source)).is_file()


def test_no_output_names_the_folder(outputs, reports):
    _, found = outputs
    for id, output in found:
        assert str(reports) not in texts(output), id
        assert not id.endswith("-run") and id != "report-about"  # silent where it was given


def test_names_of_models_are_shown_as_they_are(outputs):
    name, found = outputs
    for id, output in found:
        if "text/html" in output.data:
            assert "<b>" not in output.data["text/html"], id
        if "text/markdown" in output.data:
            # outside of code, whatever Markdown would read is escaped
            plain = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", output.data["text/markdown"])
            assert "<b>" not in plain and "_under_" not in plain and "[l](u)" not in plain, id
    said = dict(found)
    assert "`<b>bold | x`" in said["report-short"].data["text/markdown"]
    models = said["report-models"].data["text/html"]
    assert all(html.escape(model) in models for model in (NAMES if name == "many" else NAMES[1:2]))


def test_every_section_says_what_follows(outputs):
    name, found = outputs
    said = dict(found)
    missing = {"training", "compare"} if name == "one" else set()
    for section in set(SECTIONS) - missing:
        lines = said[f"{section}-says"].data["text/markdown"].splitlines()
        assert lines and all(line.startswith("- ") for line in lines)
        assert re.search(r"\d", lines[0]), section
    short = said["report-short"].data["text/markdown"].splitlines()
    assert len(short) == len(SECTIONS) - len(missing)


def test_sections_that_follow_do_not_change_the_report(outputs):
    said = dict(outputs[1])
    assert said["report-settings"].data["text/plain"].count("cpu") >= len(MORE)
    assert "torch" in said["report-versions"].data["text/html"]


def test_a_notebook_alone_takes_the_newest_run(reports, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run = tmp_path / "runs" / "cka-plain-0"
    shutil.copytree(reports / "many" / "cka", run)
    (tmp_path / "notebooks").mkdir()
    found = dict(execute(load("cka"), tmp_path / "notebooks"))
    assert "image/png" in found["cka-noise"].data
    assert 'class="pairwise"' in found["cka-model"].data["text/html"]
    assert "runs" not in texts(found["cka-read"])
    assert "`../runs/cka-plain-0`, the newest run" in found["cka-run"].data["text/markdown"]


def test_where_runs_are_looked_for(reports, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"no run of analysis\.curves.*analysis\.curves"):
        run_lookup.folder("", "training")
    example = tmp_path / "reports" / "example" / "cka"
    shutil.copytree(reports / "one" / "cka", example)
    assert run_lookup.folder("", "cka").resolve() == example
    with pytest.raises(BadInput, match=r"a run of cka; expected one of analysis\.srga"):
        run_lookup.folder(str(example), "srga")
    with pytest.raises(BadInput, match="no run folder"):
        run_lookup.folder("nowhere", "cka")
    with pytest.raises(BadInput, match="no such folder"):
        run_lookup.folder("nowhere", "report")
    (example / "cka.csv").unlink()
    with pytest.raises(BadInput, match="missing"):
        run_lookup.read(str(example), "cka", ("cka",))
    assert COMMANDS["training"] == "curves"


def test_sections_of_reports_are_runs_too(reports, tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    places = {}
    for age, place in enumerate(("report-b-1/cka", "cka-a-1", "report-a-1/cka"), 1):
        places[place] = tmp_path / "runs" / place
        shutil.copytree(reports / "one" / "cka", places[place])
        os.utime(places[place] / "manifest.json", (age, age))
        assert run_lookup.folder("", "cka") == Path("runs") / place
    monkeypatch.chdir(tmp_path / "notebooks")
    assert run_lookup.folder("", "cka") == Path("../runs/report-a-1/cka")
    os.utime(places["cka-a-1"] / "manifest.json", (9, 9))
    assert run_lookup.folder("", "cka") == Path("../runs/cka-a-1")
    training = tmp_path / "runs" / "report-a-1" / "training"  # a notebook of another name
    shutil.copytree(reports / "many" / "training", training)
    assert run_lookup.folder("", "training") == Path("../runs/report-a-1/training")
    (tmp_path / "runs" / "report-a-1" / "manifest.json").write_text("{}")
    assert run_lookup.folder("", "report") == Path("../runs/report-a-1")


def test_which_run_is_shown_is_said_unless_it_was_given(reports, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_lookup.which(str(reports / "one" / "cka"), "cka") is None
    shutil.copytree(reports / "one" / "cka", "reports/example/cka")
    said = run_lookup.which("", "cka")
    assert said is not None and "`reports/example/cka`, the example" in said.data["text/plain"]
    shutil.copytree(reports / "one" / "cka", "runs/cka-0")
    said = run_lookup.which("", "cka")
    assert said is not None and "`runs/cka-0`, the newest run" in said.data["text/plain"]


def test_texts_do_not_say_what_no_longer_holds():
    board = next(c.source for c in load("report").cells if c.id == "report-leaderboard-text")
    assert "not told apart" not in board
    text = " ".join(board.split())
    assert "1 is what random labels give, below 1 content outweighs noise" in text
    stored = " ".join(cell.source for cell in load("training").cells)
    assert "Rings" not in stored and "overfitting gap" not in stored  # computed, where they are
    (asked,) = (cell.source for cell in load("report").cells if cell.id == "report-asked")
    assert '"megapixels": 4' in asked and '"budget": 4' in asked
    (given,) = (c.source for c in load("report").cells if tagged(c, "parameters"))
    assert given.startswith("run_dir = ") and "\n" not in given


def test_notes_name_no_folder(tmp_path):
    inner = tmp_path / "srga-0"
    of = {str(inner): {"analysis": "srga"}, "cka": {"analysis": "cka"}}
    (tmp_path / "manifest.json").write_text(json.dumps({"analysis": "compare", "runs": of}))
    said = (f"{inner} has other noises than a_b", "x y/cka has other seed", f"few (cka) {tmp_path}")
    (tmp_path / "summary.txt").write_text("\n".join(["x", *(f"note: {line}" for line in said)]))
    assert run_lookup.notes(tmp_path) == [
        r"Note: the run of srga has other noises than a\_b",
        "Note: the run of cka has other seed",
        "Note: few (cka) this run",
    ]
    assert run_lookup.notes(tmp_path / "none") == []
