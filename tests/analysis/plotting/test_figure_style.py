"""Figures in print: their widths, text, bytes and captions; options and arguments for them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

import analysis
from analysis.cka import figures as cka_figures
from analysis.commands.command import run_arguments
from analysis.commands.drawing import Drawing
from analysis.commands.run_folder import RunFolder
from analysis.plotting import captions, figure_style
from analysis.plotting.figure_style import COLUMN, PAPER, SCREEN, TEXT, new_figure, using
from analysis.plotting.files import rendered, trimmed
from analysis.srga.command import ANALYSIS
from mtd.utils.errors import BadInput
from tests.helpers.cka_tables import cka_table
from tests.helpers.overlaps import overlapping, shown

EXAMPLE = Path("reports/example")
EVERY = [
    pytest.param(name, marks=[pytest.mark.slow] if name in ("cka", "distributions") else [])
    for name in sorted(path.parent.name for path in EXAMPLE.glob("*/run.json"))
]


def drawing(width: float = 6.0) -> Figure:
    figure = new_figure(width, 4.0)
    axes = figure.subplots()
    axes.plot([0, 1], lw=2, label="a model")
    axes.set_title("one panel", fontsize=10)
    axes.set_xlabel("step", fontsize=9)
    figure.legend(loc="outside lower center", fontsize=8)
    figure.suptitle("What is shown\nbands: intervals")
    return figure


@pytest.mark.parametrize("screen, width", [(6.4, COLUMN), (12.0, TEXT)])
def test_figures_in_print_are_as_wide_as_a_column_or_the_text(screen: float, width: float):
    with using(PAPER):
        figure = figure_style.fitted(drawing(screen))
        box = trimmed(figure)
    assert box.width == pytest.approx(width) and box.x0 == 0
    sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text()}
    assert sizes == {8.0}
    assert not figure.get_suptitle() and not figure.axes[0].get_title()
    assert figure_style.titles(figure) == ["What is shown\nbands: intervals", "one panel"]


def test_a_screen_leaves_figures_as_they_are():
    with using(SCREEN):
        figure = figure_style.fitted(drawing())
    assert tuple(figure.get_size_inches()) == (6.0, 4.0)
    assert figure.get_suptitle() and figure.axes[0].get_title() == "one panel"


def test_a_legend_in_print_is_below_the_label_of_the_axis():
    with using(PAPER):
        figure = figure_style.fitted(drawing())
        figure.draw_without_rendering()
    label = figure.axes[0].xaxis.label.get_window_extent()
    assert figure.legends[0].get_window_extent().y1 < label.y0


@pytest.mark.drawn
@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_the_same_figure_is_the_same_bytes(kind: str):
    with using(PAPER):
        first, second = (rendered(drawing(), kind) for _ in range(2))
    assert first == second and not re.search(rb"CreationDate|20\d\d-\d\d-\d\d", first)
    if kind == "pdf":
        assert b"/FontFile2" in first and b"/Type3" not in first
    if kind == "svg":
        assert b"<text" not in first


def test_titles_as_sentences():
    lines = "Share of the error that is removed\nwith its features\nbars: intervals\npoisson:3.5"
    assert captions.sentence(lines) == (
        "Share of the error that is removed with its features. Bars: intervals. poisson:3.5."
    )


@pytest.mark.parametrize("section", EVERY)
def test_captions_of_all_figures_have_the_counts_of_the_tables(section: str):
    result = analysis.open_run(EXAMPLE / section, section)
    with using(PAPER):
        figures = result.figures(style="paper")
    composed = [figure for figure in figures.values() if figure.axes]  # strips are blank in tests
    widths = {round(float(figure.get_size_inches()[0]), 2) for figure in composed}
    assert widths <= {COLUMN, TEXT}
    models = list(result.manifest.get("models", result.manifest.get("trained")))
    main = next(iter(result.frames.values()))
    for figure in composed:
        text = " ".join(captions.caption(figure, result.manifest, "mtd x").split())
        assert text.endswith("Made by: mtd x")
        assert f"Models: {', '.join(models)}." in text
        if "photographs" in main:
            assert f"of {int(main.photographs.max())} photographs" in text
        for column in {"crops", "photographs"} & set(main.columns):
            counts = re.findall(rf"(\d+) {column}", text)
            assert set(counts) == {str(int(main[column].max()))}


def test_words_with_hyphens_are_not_parted_in_captions():
    manifest = {"noises": ["gaussian:15", "poisson:3.5", "speckle:0.04", "spatial:60"]}
    manifest["noises"] += ["salt_pepper:0.02", "mixture:4"]
    assert "salt-and-pepper, density" in captions.caption(Figure(), manifest, "").replace("\n", " ")


def test_formats_and_styles_that_do_not_exist():
    with pytest.raises(BadInput, match="'gif': expected some of png, pdf, svg"):
        Drawing.of("png,gif", "paper")
    with pytest.raises(BadInput, match="'print': expected screen or paper"):
        Drawing.of("png", "print")
    with pytest.raises(BadInput, match="'print': expected screen or paper"):
        analysis.open_run(EXAMPLE / "srga", "srga").plot_scores(style="print")


def test_every_plot_method_takes_a_style():
    import inspect

    from analysis.commands.registry import BUILT_IN, analyses

    methods = [
        (name, method)
        for section in BUILT_IN
        if (own := analyses()[section].result) is not None
        for name, method in inspect.getmembers(own())
        if name.startswith("plot_")
    ]
    assert len(methods) > 15
    for name, method in methods:
        assert inspect.signature(method).parameters["style"].default == "screen", name


def test_a_plot_in_print_and_on_axes_of_the_caller():
    result = analysis.open_run(EXAMPLE / "srga", "srga")
    axes = result.plot_scores(style="paper")
    assert axes.get_figure().get_size_inches()[0] == pytest.approx(COLUMN)
    assert not axes.get_title() and axes.yaxis.label.get_fontsize() == 8
    mine = Figure(figsize=(9, 5))
    mine.suptitle("mine", fontsize=14)
    axes = result.plot_scores(mine.subplots(), style="paper")
    assert mine.get_size_inches()[0] == 9 and mine.get_suptitle() == "mine"
    assert axes.yaxis.label.get_fontsize() == 8


def test_other_formats_of_a_finished_run_are_drawn_without_computing(
    tiny_pair: Path, tmp_path: Path, monkeypatch
):
    models = [str(tiny_pair / f"{own}.pth") for own in ("plain", "hidden")]
    small = [
        "--crop",
        "16",
        "--limit",
        "4",
        "--untrained",
        "1",
        "--quiet",
        "--noise",
        "gaussian:50",
        "--output-dir",
    ]
    run_arguments(ANALYSIS, [*models, *small, str(tmp_path / "run")])
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.csv")}
    manifest = (tmp_path / "run" / "manifest.json").read_bytes()
    assert not (tmp_path / "run" / "srga.txt").exists()

    def never(*given, **options):
        raise AssertionError("computed again")

    monkeypatch.setattr("analysis.commands.command.compute", never)
    more = ["--resume", "--figures", "pdf,svg", "--style", "paper", "--latex"]
    run_arguments(ANALYSIS, [*models, *small, str(tmp_path / "run"), *more], "mtd srga a b")
    assert {"srga.pdf", "srga.svg", "srga.png"} <= {p.name for p in (tmp_path / "run").iterdir()}
    text = (tmp_path / "run" / "srga.txt").read_text(encoding="utf-8")
    assert text.endswith("Made by: mtd srga a b\n")
    assert (tmp_path / "run" / "manifest.json").read_bytes() == manifest
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.csv")}
    assert "\\toprule" in (tmp_path / "run" / "srga.tex").read_text(encoding="utf-8")


def test_a_result_is_saved_in_print(tmp_path: Path, monkeypatch):
    shutil.copytree(EXAMPLE / "srga", tmp_path / "srga")
    written: list[tuple[str, float]] = []

    def figure(folder: RunFolder, name: str, drawn: Figure) -> Path:
        written.append((name, float(drawn.get_size_inches()[0])))
        return folder.write(name, b"")

    monkeypatch.setattr(RunFolder, "figure", figure)
    result = analysis.open_run(tmp_path / "srga", "srga")
    result.save(tmp_path / "again", figures="pdf", style="paper")
    assert written == [("srga.pdf", pytest.approx(COLUMN))]
    assert np.isclose(COLUMN, 3.3)


def test_labels_in_print_are_wrapped_and_not_cut_and_slanted_names_do_not_meet():
    with using(PAPER):
        figure = new_figure(12.0, 4.0)
        for axes in figure.subplots(1, 5):
            axes.plot([0, 1, 2, 3])
            axes.set_xlabel("feature value: a-rather-long.name-of.a_layer.with_a_name")
        axes.set_xticks(range(4), ["salt and pepper"] * 4, rotation=20)
        figure_style.fitted(figure).draw_without_rendering()
    assert "…" not in axes.get_xlabel() and "\n" in axes.get_xlabel()
    label = axes.get_xticklabels()[0]
    assert (label.get_fontsize(), label.get_ha()) == (7, "right")


def many_layers(blocks: int) -> Figure:
    """Two matrices of so many layers and more, as of a network of full size."""
    with using(PAPER):
        figure = new_figure(10.0, 5.0)
        layers = ["conv_first", *(f"block {i // 6}.{i % 6}" for i in range(blocks)), "conv_last"]
        for axes in figure.subplots(1, 2):
            axes.imshow(np.zeros((len(layers), len(layers))))
            axes.set_xticks(range(len(layers)), layers, rotation=90)
            axes.set_yticks(range(len(layers)), layers)
        return figure_style.fitted(figure)


@pytest.mark.parametrize("blocks, every", [(40, 2), (54, 3)])
def test_of_very_many_layers_some_have_names_which_do_not_overlap(blocks: int, every: int):
    figure = many_layers(blocks)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()][:2] == [
        "conv_first",
        f"block 0.{every - 1}",
    ]
    assert not overlapping(figure)
    assert min(text.get_fontsize() for text in shown(figure)) >= 7


def test_noises_along_an_axis_are_never_left_out():
    with using(PAPER):
        figure = new_figure(10.0, 3.0)
        noises = [f"Gaussian, σ = {level}" for level in range(60)]
        figure.subplots().set_xticks(range(60), noises, rotation=90)
        figure_style.fitted(figure)
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == noises


def test_the_label_of_a_color_scale_is_wrapped():
    with using(PAPER):
        figure = new_figure(10.0, 3.0)
        axes = figure.subplots()
        bar = figure.colorbar(axes.imshow([[0, 1]]), ax=axes, label="a share of the map's largest")
        figure_style.fitted(figure)
    assert "\n" in bar.ax.get_ylabel()


@pytest.mark.drawn
def test_every_format_is_as_wide_as_the_text_and_laid_out_the_same():
    matrix = np.linspace(0, 1, 121).reshape(11, 11)
    views = [(model, noise) for model in "ab" for noise in ("gaussian:15", "poisson:3.5")]
    tables = [cka_table(matrix, *views[:2]), cka_table(matrix, *views[2:])]
    with using(PAPER):
        figure = cka_figures.heatmap(pd.concat(tables), "cross_noise")
        assert figure is not None
        first = rendered(figure, "pdf")
        for kind in ("png", "svg"):
            rendered(figure, kind)
            assert trimmed(figure).width == pytest.approx(TEXT, abs=0.006)
        assert rendered(figure, "pdf") == first


READ = ("causal", "curves", "error", "generalization", "sensitivity", "srga")
SLOW = ("cka", "degradation", "distributions", "linear")


@pytest.mark.drawn
@pytest.mark.parametrize(
    "section",
    [*READ[-1:], *(pytest.param(one, marks=pytest.mark.slow) for one in (*READ[:-1], *SLOW))],
)
def test_no_texts_of_figures_in_print_overlap_or_are_below_7_points(section: str):
    figures = analysis.open_run(EXAMPLE / section, section).figures(style="paper")
    for name, figure in figures.items():
        assert overlapping(figure) == [], name
        assert min(text.get_fontsize() for text in shown(figure)) >= 7, name
