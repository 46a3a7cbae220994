"""Notebooks: stored clean, and run in this process by IPython on results that were saved."""

from __future__ import annotations

import ast
import html
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import papermill
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

import analysis
from analysis.commands import run_lookup
from analysis.commands.run_lookup import ParameterError
from analysis.pages import notebooks
from analysis.report import glossary, leaderboard, publish
from analysis.report import sections as report_sections
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.utils.errors import BadInput
from tests.helpers.figures import leave_pictures_blank, leave_unrendered
from tests.helpers.networks import MASKED, TINY, tiny_network
from tests.helpers.paths import ROOT
from tests.helpers.training_logs import own

NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
ALONE = [name for name in NOTEBOOKS if name not in ("report", "findings")]
NAMES = ("plain", "<b>bold | x", "_under_ *star* `tick`", "[l](u) #1 & co")
"""Of models; what Markdown or HTML would take for its own."""

FEW: dict[str, Any] = {"crop": 16, "noises": ["gaussian:15", "poisson:3"], "limit": 6}
LEAST = FEW | {"crop": 8, "limit": 1}
FUNCTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "generalization": ("benchmark", FEW | {"lpips": False}),
    "cka": ("compare", FEW),
    "srga": ("score_models", FEW | {"limit": 24, "noises": ["poisson:3", "gaussian:50"]}),
    "distributions": ("measure_distances", FEW),
    "degradation": ("measure_clusters", FEW),
    "sensitivity": ("measure_sensitivity", FEW),
    "error": ("decompose", FEW | {"draws": 2}),
    "attribution": ("attribute", FEW | {"limit": 2, "steps": 3, "side": 4}),
    "stitch": ("stitch_models", FEW | {"limit": 4, "layers": "conv_first"}),
    "causal": ("trace", {"crop": 16, "noises": ["poisson:3"], "limit": 2}),
    "linear": ("local_map", LEAST | {"whole": 0, "probes": 2, "levels": "15"}),
    "causal_effects": ("causal_effects", FEW | {"limit": 2, "side": 4, "block": 4, "patches": 3}),
}
MODULES = {"causal_effects": "attribution"}
"""Where functions are that are not in a module of their notebook's name."""


def tagged(cell: Any, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_stored_without_outputs_and_parameterised(name):
    notebook = notebooks.stored(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    (parameters,) = (cell for cell in code if tagged(cell, "parameters"))
    assert parameters is code[0]
    comment, *lines = parameters.source.splitlines()
    assert comment.startswith("# Edit th") and all("  # " in line for line in lines)
    for statement in ast.parse(parameters.source).body:
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)
    known = "".join(f', "{key}"' for key in notebooks.known_parameters(notebook))
    assert f"check_parameters(globals(){known})" in code[1].source
    assert not any(line.startswith("%") for cell in code for line in cell.source.splitlines())


@pytest.mark.parametrize("name", ALONE)
def test_its_last_cells_show_how_to_change_a_figure(name):
    text, code = notebooks.stored(name).cells[-2:]
    assert (text.cell_type, code.cell_type) == ("markdown", "code")
    assert tagged(text, "standalone") and tagged(code, "standalone")
    assert "data frame" in text.source and "My title" in code.source
    assert len(code.source.splitlines()) <= 3


def test_there_is_a_notebook_for_every_section_and_ids_are_their_own():
    headings = report_sections.headings()
    assert set(ALONE) == {*headings, "section"}
    ids = [(cell.id, name) for name in NOTEBOOKS for cell in notebooks.stored(name).cells]
    assert len({id for id, _ in ids}) == len(ids)
    assert all(id.startswith(f"{name}-") for id, name in ids)
    for name, heading in headings.items():
        assert notebooks.stored(name).cells[0].source == f"## {heading}"
    for name in ("report", "findings"):
        assert notebooks.stored(name).cells[0].source.startswith("# ")
    assert sum(tagged(cell, "sections") for cell in notebooks.stored("report").cells) == 1


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders like those of a report: `many` of four models, `one` of one."""
    place: Path = tmp_path_factory.mktemp("reports")
    with chdir(place), pytest.MonkeyPatch.context() as patch:
        leave_unrendered(patch)
        for seed, name in enumerate(NAMES):
            policy = MASKED if seed % 2 else MaskPolicy()
            weights = tiny_network(seed).state_dict()
            about = {"noise": "gaussian:15"}
            checkpoint_file.save(f"{name}.pth", weights, network=TINY, mask=policy, training=about)
        files = [f"{name}.pth" for name in NAMES]
        for report, models in (("many", files), ("one", files[1:2])):
            for name, (function, settings) in FUNCTIONS.items():
                call = getattr(getattr(analysis, MODULES.get(name, name)), function)
                call(models, progress=False, **settings).save(f"{report}/{name}")
        tests = "100,gaussian:15,30\n100,poisson:3,25\n200,gaussian:15,32\n200,poisson:3,22\n"
        own(place / NAMES[2], tests, noise="gaussian:15")
        own(place / "logged")
        analysis.curves.read_curves([NAMES[2], "logged"]).save("many/curves")
        parts = [f"many/{name}" for name in ("generalization", "cka", "srga", "degradation")]
        analysis.compare.correlate(parts).save("many/compare")
        for report in ("many", "one"):  # as the command does
            leaderboard.scores(Path(report)).to_csv(f"{report}/leaderboard.csv")
    return place


class Notebook:
    """Cells run by IPython in this process; outputs with the ids of their cells."""

    def __init__(self) -> None:
        InteractiveShell.clear_instance()
        self.shell = InteractiveShell.instance(history_length=0)
        self.shell.history_manager.enabled = False  # type: ignore[union-attr]
        self.outputs: list[tuple[str, Any]] = []
        self.printed: dict[str, str] = {}

    def run(self, notebook: Any) -> Notebook:
        for cell in notebook.cells:
            if cell.cell_type == "code":
                with self.shell.display_trap, capture_output() as captured:
                    done = self.shell.run_cell(cell.source, store_history=True)
                done.raise_error()
                self.outputs += [(cell.id, output) for output in captured.outputs]
                self.printed[cell.id] = captured.stdout + captured.stderr
        return self

    def with_id(self, id: str) -> Mapping[str, str]:
        """What the cell of an id showed last, by MIME type."""
        data: Mapping[str, str] = [output for cell, output in self.outputs if cell == id][-1].data
        return data


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")
    InteractiveShell.clear_instance()


def run(name: str, /, **parameters: Any) -> Notebook:
    """A stored notebook, with parameters as papermill sets them."""
    return Notebook().run(notebooks.with_parameters(notebooks.stored(name), parameters, name))


@pytest.fixture
def blank(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `leave_pictures_blank`."""
    leave_pictures_blank(monkeypatch)


SHOWN = [
    pytest.param(("many", False), id="many"),
    pytest.param(("many", True), marks=pytest.mark.slow, id="many, rendered"),
    pytest.param(("one", False), id="one"),
    pytest.param(("one", True), marks=pytest.mark.slow, id="one, rendered"),
]
"""Folders of runs, and whether their figures are rendered."""


@pytest.fixture(scope="module", params=SHOWN)
def outputs(request: Any, runs: Path) -> tuple[str, Notebook]:
    """The notebook of a report as it is published."""
    name, rendered = request.param
    folder = runs / name
    sections = [name for name in report_sections.headings() if (folder / name).is_dir()]
    with chdir(folder), pytest.MonkeyPatch.context() as patch:
        if not rendered:
            leave_pictures_blank(patch)
        done = Notebook().run(publish.composed(sections))
    return name, done


def texts(output: Any) -> str:
    """All text of an output, but pictures."""
    parts = {name: text for name, text in output.data.items() if not name.startswith("image/")}
    return re.sub(r"base64,[A-Za-z0-9+/=]+", "", "\n".join(parts.values())) + str(output.metadata)


def test_figures_have_descriptions_and_nothing_is_printed(outputs, runs):
    name, done = outputs
    assert not any(done.printed.values())
    pictures = [output for _, output in done.outputs if "image/png" in output.data]
    assert len(pictures) >= (10 if name == "many" else 7)
    for output in pictures:
        alt = output.data["text/plain"]
        assert re.search(r"\d", alt) and "nan" not in alt
        assert "data-csv=" in output.data["text/html"]
    for _, output in done.outputs:
        for source in re.findall(r'data-csv="([^"]+)"', output.data.get("text/html", "")):
            assert (runs / name / html.unescape(source)).is_file()


def test_no_output_names_the_folder(outputs, runs):
    for id, output in outputs[1].outputs:
        assert str(runs) not in texts(output), id
        assert not id.endswith(("-open", "-own"))


def test_names_of_models_are_shown_as_they_are(outputs):
    name, done = outputs
    for id, output in done.outputs:
        if "text/html" in output.data:
            assert "<b>" not in output.data["text/html"], id
        if "text/markdown" in output.data:
            # outside of code, whatever Markdown would read is escaped
            plain = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", output.data["text/markdown"])
            assert "<b>" not in plain and "_under_" not in plain and "[l](u)" not in plain, id
    assert "<code>&lt;b&gt;bold | x</code>" in done.with_id("report-short")["text/html"]
    models = done.with_id("report-models")["text/html"]
    assert all(html.escape(model) in models for model in (NAMES if name == "many" else NAMES[1:2]))


def test_every_section_says_what_follows(outputs):
    name, done = outputs
    missing = {"curves", "compare"} if name == "one" else set()
    sections = set(report_sections.headings()) - missing
    for section in sections:
        lines = done.with_id(f"{section}-says")["text/markdown"].splitlines()
        assert lines and all(line.startswith("- ") for line in lines)
        assert re.search(r"\d", lines[0]), section
        answer = done.with_id(f"{section}-answer")["text/plain"]
        assert answer.endswith(".") and not re.search(r"\[[-+\d]", answer), section
    short = done.with_id("report-short")["text/html"]
    assert short.count("<tr>") == len(sections) + 1
    found = re.findall("<td>(too few images|not shown|shown|–)</td>", short)
    assert len(found) >= len(sections)


def test_sections_that_follow_do_not_change_the_report(outputs):
    done = outputs[1]
    assert done.with_id("report-settings")["text/plain"].count("cpu") >= len(FUNCTIONS)
    assert "torch" in done.with_id("report-versions")["text/html"]


def test_the_same_run_gives_the_same_outputs(runs):
    first, second = (
        [output.data for _, output in run("cka", run_dir=str(runs / "one" / "cka")).outputs]
        for _ in range(2)
    )
    assert first == second and any("image/png" in data for data in first)


@pytest.mark.parametrize("name", ["curves", "compare"])
def test_figures_of_many_models_alone_are_rendered(name, runs):
    done = run(name, run_dir=str(runs / "many" / name))
    pictures = [output.data for _, output in done.outputs if "image/png" in output.data]
    assert pictures and all(len(data["image/png"]) > 4000 for data in pictures)


@pytest.mark.usefixtures("blank")
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_notebook_alone_takes_a_run_of_any_name(name, runs, tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    shutil.copytree(runs / "one" / name, tmp_path / "runs" / "my own name")
    monkeypatch.chdir(tmp_path / "notebooks")
    done = run(name)
    assert done.printed[f"{name}-open"].startswith("showing ../runs/my own name, the newest run")
    assert any("image/png" in output.data for _, output in done.outputs)
    assert done.shell.user_ns["ax"].get_title() == "My title"


def test_the_notebook_of_any_analysis(runs):
    done = run("section", run_dir=str(runs / "one" / "srga"), name="srga")
    assert "SRGA" in done.with_id("section-figures")["text/plain"]
    with pytest.raises(BadInput, match="did you mean srga"):
        run("section", name="srgaa")


@pytest.mark.usefixtures("blank")
def test_many_models_are_chosen_by_the_reader(runs):
    done = run("cka", run_dir=str(runs / "many" / "cka"), most_photographs=2)
    assert 'class="pairwise"' in done.with_id("cka-model")["text/html"]
    assert done.with_id("cka-influence")["text/html"].count("<tr>") == 3
    benchmark = run("generalization", run_dir=str(runs / "many" / "generalization"), metric="ssim")
    assert "SSIM" in benchmark.with_id("generalization-says")["text/markdown"]
    with pytest.raises(BadInput, match="did you mean ssim"):
        run("generalization", run_dir=str(runs / "one" / "generalization"), metric="sim")


class Blur(torch.nn.Module):
    """A network of a user's own."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3, padding=1), torch.nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - self.body(x)


def test_a_run_of_own_networks_under_one_noise_without_intervals(tmp_path):
    images = np.random.default_rng(0).random((6, 24, 24, 3))
    settings = {"noises": ["gaussian:15"], "intervals": False, "crop": 24}
    result = analysis.cka.compare(
        {"a": Blur(), "b": Blur()}, images=list(images), progress=False, **settings
    )
    done = run("cka", run_dir=str(result.save(tmp_path / "x")))
    for id in ("cka-noise", "cka-depth", "cka-diagonal"):
        assert "compares no two noises" in done.with_id(id)["text/plain"]
    assert (
        "influence of single photographs is unknown" in done.with_id("cka-influence")["text/plain"]
    )
    assert "image/png" in done.with_id("cka-model")


def injected(source: str) -> Notebook:
    """The first cells of a notebook with a cell as papermill adds it, unchecked."""
    notebook = notebooks.stored("cka")
    cell = nbformat.v4.new_code_cell(f"# Parameters\n{source}\n")
    notebook.cells = [*notebook.cells[:2], cell, notebook.cells[2]]
    return Notebook().run(notebook)


def test_a_parameter_that_is_not_known_stops_a_notebook(runs):
    with pytest.raises(
        ParameterError, match=r"no parameter 'rundir'.*did you mean run_dir"
    ) as error:
        injected('rundir = "X"')
    assert error.value._render_traceback_() == [f"ParameterError: {error.value}"]
    done = injected(f"run_dir = {str(runs / 'one' / 'cka')!r}")
    for source in ("x = 1", "rundir = 2", notebooks.stored("cka").cells[2].source):  # run again
        with capture_output():
            done.shell.run_cell(source, store_history=True).raise_error()
    with pytest.raises(ParameterError, match="parameter 'most_photographs' has no value"):
        run_lookup.check_parameters({"run_dir": ""}, "run_dir", "most_photographs")


def test_papermill_fails_on_a_parameter_that_is_not_known(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with pytest.raises(papermill.PapermillExecutionError, match="did you mean run_dir") as error:
        papermill.execute_notebook(
            ROOT / "notebooks" / "cka.ipynb",
            tmp_path / "out.ipynb",
            {"rundir": "X"},
            cwd=tmp_path,
            progress_bar=False,
        )
    assert [line.partition(":")[0] for line in error.value.traceback] == ["ParameterError"]


def test_where_runs_are_looked_for(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"no run of analysis\.curves.*analysis\.curves"):
        analysis.open_run("", "curves")
    example = tmp_path / "reports" / "example" / "cka"
    shutil.copytree(runs / "one" / "cka", example)
    assert not analysis.open_run("", "cka").frames["cka"].empty
    assert "showing reports/example/cka, the example" in capsys.readouterr().out
    with pytest.raises(BadInput, match=r"a run of cka; expected one of analysis\.srga"):
        analysis.open_run(example, "srga")
    for name in ("cka", "report"):
        with pytest.raises(BadInput, match="no such folder"):
            run_lookup.folder("nowhere", name)
    with pytest.raises(BadInput, match="no run folder"):
        run_lookup.folder(str(runs), "cka")
    shutil.copytree(runs / "one" / "cka", "2024")
    assert run_lookup.folder(2024, "cka") == Path("2024")  # as papermill reads -p run_dir 2024
    for table in example.glob("*.csv"):
        table.unlink()
    with pytest.raises(BadInput, match="no tables; continue the run with --resume"):
        analysis.open_run(example, "cka")


def test_sections_of_reports_are_runs_too(runs, tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    places = {}
    for age, place in enumerate(("report-b-1/cka", "cka-a-1", "report-a-1/cka"), 1):
        places[place] = tmp_path / "runs" / place
        shutil.copytree(runs / "one" / "cka", places[place])
        os.utime(places[place] / "manifest.json", (age, age))
        assert run_lookup.folder("", "cka") == Path("runs") / place
    monkeypatch.chdir(tmp_path / "notebooks")
    assert run_lookup.folder("", "cka") == Path("../runs/report-a-1/cka")
    os.utime(places["cka-a-1"] / "manifest.json", (9, 9))
    assert run_lookup.folder("", "cka") == Path("../runs/cka-a-1")
    curves = tmp_path / "runs" / "report-a-1" / "curves"
    shutil.copytree(runs / "many" / "curves", curves)
    assert run_lookup.folder("", "curves") == Path("../runs/report-a-1/curves")
    (tmp_path / "runs" / "report-a-1" / "manifest.json").write_text('{"analysis": "report"}')
    assert run_lookup.folder("", "report") == Path("../runs/report-a-1")


def test_texts_do_not_say_what_no_longer_holds():
    report = notebooks.stored("report")
    clusters = glossary.definition("Calinski–Harabasz index (CH)")
    assert "1 is what random labels give; below 1 content outweighs noise" in clusters
    stored = " ".join(cell.source for cell in notebooks.stored("curves").cells)
    assert "Rings" not in stored and "overfitting gap" not in stored  # computed, where they are
    said = " ".join(cell.source for cell in report.cells)
    assert not re.search(r"\b(told|budget|looked at|asked)\b", said)
