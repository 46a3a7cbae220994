"""The page in a browser: narrow and wide, light and dark, without scripts, and on paper."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_markdown_cell

from analysis.pages import html as pages_html
from analysis.pages import pdf
from analysis.plotting import notebook_output
from mtd.utils.errors import BadInput
from tests.helpers.pages import ATTACHMENTS, EVIL, notebook, output, pictures, shown
from tests.helpers.paths import ROOT

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
if pdf.find() is None:
    pytest.skip("no Chromium or Chrome was found", allow_module_level=True)

NARROW, WIDE = (360, 740), (1280, 900)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=pdf.find(), args=pdf.arguments())
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """A page with one of everything, among it what is too wide for a phone."""
    random = np.random.default_rng(1)
    many = pd.DataFrame({f"column_{k}": random.random(40) for k in range(14)})
    evil = pd.DataFrame({EVIL: [EVIL]})
    more = [
        shown(notebook_output.table(many, 3, "Many", "scores/results.csv")),
        new_markdown_cell(f"## {'A_long_name_without_a_break' * 4}\n\n`{'code' * 40}`"),
        new_markdown_cell("```sh\n" + "python -m analysis.report " * 12 + "\n```"),
        output("text/html", many.head(3).to_html()),
        output("text/html", "<svg/onload=alert(1)><img src=x onerror=alert(1) alt=a>"),
        output("text/html", '<div class="comparison"><div class="pictures"><figure></figure>'),
        new_markdown_cell("## Two pictures"),
        shown(pictures(2), pictures(2, "kodim05")),
        shown(notebook_output.pairwise({(EVIL, "b"): notebook_output.table(evil)}, "models")),
        shown(
            notebook_output.comparison({EVIL: (np.zeros((4, 4, 3), np.uint8), "")}, "one picture")
        ),
        new_markdown_cell("## End\n\n" + "\n\n".join(["Some text."] * 40)),
    ]
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(pages_html.html(notebook(*more), ATTACHMENTS, "Report"), encoding="utf-8")
    return path


class Watched:
    """A page that is opened offline, and what went wrong or was asked for while it was open."""

    def __init__(self, chromium: Any, path: Path, size: tuple[int, int], **options: Any) -> None:
        viewport = {"width": size[0], "height": size[1]}
        self.context = chromium.new_context(
            viewport=viewport, offline=True, reduced_motion="reduce", **options
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.address = path.as_uri()
        self.page.goto(self.address)

    def __enter__(self) -> Any:
        return self.page

    def __exit__(self, *raised: Any) -> None:
        self.context.close()
        assert not self.wrong
        loaded = [url for url in self.asked if not url.startswith("data:")]
        assert {url.partition("#")[0] for url in loaded} == {self.address}


@pytest.fixture
def wide(chromium, report) -> Iterator[Any]:
    with Watched(chromium, report, WIDE) as opened:
        yield opened


def until(opened: Any, reached: Callable[[], bool], seconds: float = 5) -> None:
    """Wait for something; the page's policy forbids the waiting of playwright's own."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        opened.wait_for_timeout(20)


def top(opened: Any, name: str) -> float:
    return float(opened.evaluate(f"document.getElementById('{name}').getBoundingClientRect().top"))


def overflows(opened: Any) -> bool:
    root = "document.documentElement"
    return bool(opened.evaluate(f"{root}.scrollWidth > {root}.clientWidth"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_it_fits_and_is_whole(chromium, report, size, scheme):
    with Watched(chromium, report, size, color_scheme=scheme) as opened:
        assert not overflows(opened)
        broken = opened.evaluate(
            "[...document.images].filter(i => !i.alt || !i.naturalWidth).map(i => i.outerHTML)"
        )
        assert broken == []
        unnamed = opened.evaluate(
            "[...document.querySelectorAll('button, select, input')].filter("
            "e => !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).length"
        )
        assert unnamed == 0
        colour = "getComputedStyle(document.body).backgroundColor"
        before = opened.evaluate(colour)
        assert (before == "rgb(255, 255, 255)") == (scheme == "light")
        opened.get_by_role("button", name="colours").click()
        assert opened.evaluate(colour) != before
        shown = "[...document.querySelectorAll('.drawn img')].filter(i => i.offsetParent)"
        classes = opened.evaluate(f"{shown}.map(i => i.className)")
        other = "light" if scheme == "dark" else "dark"
        assert classes and all(other in names.split() for names in classes)


def column(opened: Any, number: int) -> list[str]:
    cells = opened.locator("table.sortable").first.locator(f"tbody td:nth-child({number})")
    return [str(text) for text in cells.all_inner_texts()]


def test_tables_are_sorted_by_value_and_back(wide):
    heads = wide.locator("table.sortable").first.locator("th")
    assert column(wide, 2) == ["2.00", "-inf", "–", "2.00"]
    heads.nth(1).click()
    assert column(wide, 1) == ["a", "b", "c9", "c10"]  # 2.0 before 2.0004, NaN last
    assert heads.nth(1).get_attribute("aria-sort") == "ascending"
    heads.nth(1).click()
    assert column(wide, 1) == ["c9", "b", "a", "c10"]
    assert heads.nth(1).get_attribute("aria-sort") == "descending"
    heads.nth(0).get_by_role("button").focus()
    wide.keyboard.press("Enter")
    assert column(wide, 1) == ["a", "b", "c9", "c10"]
    assert heads.nth(1).get_attribute("aria-sort") is None
    wide.keyboard.press("Enter")
    wide.keyboard.press("Enter")
    assert column(wide, 1) == ["b", "a", "c10", "c9"]
    assert heads.nth(0).get_attribute("aria-sort") is None


def clip(opened: Any) -> float:
    style = opened.locator(".compare .layer").nth(1).evaluate("e => e.style.clipPath")
    return float(style.split()[1].rstrip("%"))


def transforms(opened: Any) -> list[str]:
    found = (
        opened.locator(".stage")
        .first.locator("img")
        .evaluate_all("all => all.map(i => i.style.transform)")
    )
    assert found[0] == found[1]
    return list(found)


def test_the_divider_follows_pointer_and_keys(wide):
    stage = wide.locator(".stage").first
    stage.scroll_into_view_if_needed()
    assert wide.locator(".compare").count() == 3  # one picture is not compared
    assert clip(wide) == 50
    wide.get_by_label("Divider").first.focus()
    wide.keyboard.press("ArrowRight")
    assert clip(wide) == 49
    box = stage.bounding_box()
    y = box["y"] + box["height"] / 3
    wide.mouse.move(box["x"] + 0.51 * box["width"], y)
    wide.mouse.down()
    wide.mouse.move(box["x"] + 0.75 * box["width"], y, steps=3)
    wide.mouse.up()
    assert clip(wide) == pytest.approx(25, abs=1)
    assert float(wide.get_by_label("Divider").first.input_value()) == pytest.approx(75, abs=1)
    wide.mouse.click(box["x"] + 0.1 * box["width"], y)
    assert clip(wide) == pytest.approx(90, abs=1)
    wide.get_by_role("button", name="Zoom in").first.click()
    wide.mouse.move(box["x"] + 0.1 * box["width"], y)
    wide.mouse.down()  # the line is held also where all else pans
    wide.mouse.move(box["x"] + 0.4 * box["width"], y)
    wide.mouse.up()
    assert clip(wide) == pytest.approx(60, abs=1)


def test_pictures_are_chosen(wide):
    source = "i => i.src"
    left, right = wide.locator(".stage img.left").first, wide.locator(".stage img.right").first
    given = wide.locator(".comparison").first.locator(".pictures img")
    assert left.evaluate(source) == given.nth(0).evaluate(source)
    assert right.evaluate(source) == given.nth(1).evaluate(source)
    wide.get_by_label("Right").first.select_option("noisy input")
    assert right.evaluate(source) == given.nth(2).evaluate(source)
    assert "noisy input" in right.get_attribute("alt")
    assert wide.locator(".under").first.inner_text().split("\n")[-2:] == ["noisy input", "22 dB"]
    assert not given.nth(0).is_visible()
    wide.get_by_role("button", name="side by side").first.click()
    assert given.nth(0).is_visible()


def test_both_pictures_zoom_and_pan(wide):
    stage = wide.locator(".stage").first
    stage.scroll_into_view_if_needed()
    start = transforms(wide)
    wide.get_by_role("button", name="Zoom in").first.click()
    zoomed = transforms(wide)
    assert zoomed != start
    box = stage.bounding_box()
    x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 4
    before = clip(wide)
    wide.mouse.move(x, y)
    wide.mouse.down()
    wide.mouse.move(x - 30, y - 20, steps=2)
    wide.mouse.up()
    panned = transforms(wide)
    assert panned != zoomed
    assert clip(wide) == before
    wide.get_by_role("button", name="Reset").first.click()
    assert transforms(wide) == start
    wide.keyboard.down("Control")
    wide.mouse.move(x, y)
    wide.mouse.wheel(0, -50)
    wide.keyboard.up("Control")
    until(wide, lambda: transforms(wide) != start)
    stage.focus()
    wide.keyboard.press("0")
    wide.keyboard.press("+")
    centred = transforms(wide)
    wide.keyboard.press("ArrowLeft")
    assert transforms(wide) != centred
    assert stage.locator("img").first.evaluate("e => getComputedStyle(e).imageRendering") == (
        "pixelated"
    )


@pytest.mark.parametrize("where", [0.5, 0.7])  # on the line, and beside it
def test_two_fingers_zoom(chromium, report, where):
    with Watched(chromium, report, NARROW, has_touch=True) as opened:
        stage = opened.locator(".stage").first
        stage.scroll_into_view_if_needed()
        start, before = transforms(opened), clip(opened)
        box = stage.bounding_box()
        x, y = box["x"] + box["width"] * where, box["y"] + box["height"] / 2
        session = opened.context.new_cdp_session(opened)
        for kind, apart in (("touchStart", 20), ("touchMove", 50), ("touchMove", 80)):
            points = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        until(opened, lambda: transforms(opened) != start)
        assert clip(opened) == before


def test_one_of_several_comparisons_is_chosen(wide):
    first, second = (wide.locator(".comparison:has(.stage)").nth(place) for place in (1, 2))
    assert first.is_visible() and not second.is_visible()
    wide.locator("main > .bar select").select_option("kodim05")
    assert second.is_visible() and not first.is_visible()
    assert second.locator(".stage").bounding_box()["width"] > 100
    wide.emulate_media(media="print")
    assert first.is_visible() and second.is_visible()


def test_a_pair_is_chosen(wide):
    root = wide.locator(".pairwise").first
    sections = root.locator(":scope > section")
    first, second = root.get_by_label("First"), root.get_by_label("Second")
    seen = lambda: [section.is_visible() for section in sections.all()]  # noqa: E731
    assert seen() == [True, False]
    second.select_option("c")
    assert seen() == [False, True]
    first.select_option("c")
    assert seen() == [False, False]
    assert "chosen twice" in root.get_by_role("status").inner_text()
    second.select_option("a")
    assert seen() == [False, True]
    assert not root.get_by_role("status").is_visible()
    second.select_option("b")
    assert "nothing here of c and b" in root.get_by_role("status").inner_text()
    assert wide.locator(".pairwise").nth(1).locator("select").count() == 0  # only one pair


def test_contents_lead_to_the_parts(wide, chromium, report):
    assert not wide.locator("details.folded").is_visible()
    wide.locator("nav.side").get_by_role("link", name="Data").click()
    until(wide, lambda: top(wide, "data") < WIDE[1])
    wide.wait_for_selector("nav.side a[href='#data'][aria-current]")
    wide.keyboard.press("Control+Home")
    with Watched(chromium, report, NARROW) as opened:
        assert not opened.locator("nav.side").is_visible()
        assert not opened.locator("details.folded nav").is_visible()
        opened.locator("details.folded summary").click()
        opened.locator("details.folded").get_by_role("link", name="End").click()
        until(opened, lambda: top(opened, "end") < NARROW[1])
        opened.keyboard.press("Control+Home")
        opened.reload()
        opened.keyboard.press("Tab")
        assert opened.evaluate("document.activeElement.className") == "skip"
        opened.keyboard.press("Enter")
        assert opened.evaluate("document.activeElement.id") == "content"


def test_a_figure_is_seen_at_full_size(chromium, report):
    with Watched(chromium, report, NARROW) as opened:
        drawn = opened.locator("figure.drawn img[alt='a line that rises']:visible")
        assert drawn.bounding_box()["width"] <= 360
        drawn.click()
        large = opened.locator("dialog img")
        width = large.evaluate("i => i.naturalWidth")
        assert large.bounding_box()["width"] == pytest.approx(width)
        for _ in range(6):
            opened.keyboard.press("+")
        before = large.bounding_box()["x"]
        opened.mouse.move(300, 400)
        opened.mouse.down()
        opened.mouse.move(100, 400, steps=2)
        opened.mouse.up()
        assert large.bounding_box()["x"] == pytest.approx(before - 200)
        opened.keyboard.press("Escape")
        assert not opened.locator("dialog").is_visible()


def test_all_is_readable_without_scripts(chromium, report):
    with Watched(chromium, report, NARROW, java_script_enabled=False) as opened:
        for selector in (".pairwise section", ".pictures figure", "table", "figure.drawn"):
            for found in opened.locator(selector).all():
                assert found.is_visible() or not found.inner_html()
        assert opened.locator("main button, main select").count() == 0


def test_paper_has_everything_but_controls(wide):
    wide.get_by_label("Second").select_option("c")
    wide.get_by_role("button", name="colours").click()  # dark
    wide.emulate_media(media="print")
    assert all(section.is_visible() for section in wide.locator(".pairwise section").all())
    assert wide.locator(".pictures img").first.is_visible()
    assert wide.locator("nav.side").is_visible()
    for selector in ("details.folded", ".compare", ".bar", ".theme", ".skip", ".appendix"):
        assert not any(found.is_visible() for found in wide.locator(selector).all())
    colour = wide.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(255, 255, 255)"


def test_a_pdf_is_printed(report, tmp_path):
    pdf.pdf(report, tmp_path / "new" / "report.pdf")
    assert (tmp_path / "new" / "report.pdf").read_bytes().startswith(b"%PDF")


def test_without_a_browser_one_line_says_so(monkeypatch, report, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(pdf.VARIABLE, raising=False)
    monkeypatch.setattr(pdf, "BROWSERS", ("chromium",))
    assert pdf.find() is None
    with pytest.raises(BadInput, match=f"neither was found.*{pdf.VARIABLE}"):
        pdf.pdf(report, tmp_path / "a.pdf")
    program = tmp_path / "mine"
    program.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv(pdf.VARIABLE, str(program))
    assert pdf.find() == str(program)
    with pytest.raises(BadInput, match="broken"):
        pdf.pdf(report, tmp_path / "a.pdf")


EXAMPLE = ROOT / "reports" / "example" / "report.html"
STORED = {"example": EXAMPLE, "findings": ROOT / "reports" / "findings" / "findings.html"}

AXE = Path(axe.__file__).with_name("axe.min.js")

VIOLATIONS = """() => axe.run(document, {resultTypes: ["violations"]}).then(found =>
    found.violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.html.slice(0, 200)}`)))"""

CONTRASTS = VIOLATIONS.replace("{resultTypes", '{runOnly: ["color-contrast"], resultTypes')
"""What differs between themes."""

STOPS = """() => [
    ...document.querySelectorAll("a[href], button, select, input, summary, [tabindex]")
].filter(e => e.tabIndex >= 0 && !e.disabled && e.checkVisibility({visibilityProperty: true}))
    .length"""

MOST_STOPS = 119


@pytest.mark.parametrize("name", ["small", *STORED])
def test_a_page_is_accessible(chromium, report, name):
    """Nothing for axe to find in both widths and themes, and few stops of the tab key."""
    path = STORED.get(name, report)
    with Watched(chromium, path, (390, 844), color_scheme="light") as opened:
        opened.evaluate(AXE.read_text(encoding="utf-8"))
        for width, height in ((390, 844), WIDE):
            opened.set_viewport_size({"width": width, "height": height})
            opened.emulate_media(color_scheme="light")
            assert not overflows(opened)
            assert opened.evaluate(VIOLATIONS) == []
            assert opened.evaluate(STOPS) <= MOST_STOPS
            opened.emulate_media(color_scheme="dark")
            assert opened.evaluate(CONTRASTS) == []


def test_a_table_is_one_stop_of_the_tab_key(wide):
    heads = wide.locator("table.sortable").first.locator("th button")
    focused = "document.activeElement.textContent"
    heads.nth(0).focus()
    wide.keyboard.press("ArrowRight")
    assert wide.evaluate(focused) == "score"
    wide.keyboard.press("End")
    wide.keyboard.press("ArrowRight")
    assert wide.evaluate(focused) == heads.last.inner_text()
    wide.keyboard.press("Enter")
    assert wide.locator("th[aria-sort]").count() == 1
    wide.keyboard.press("Tab")
    assert not wide.evaluate("document.activeElement.closest('thead')")
    wide.keyboard.press("Shift+Tab")
    assert wide.evaluate(focused) == heads.last.inner_text()


def test_a_link_to_data_opens_their_list(wide):
    files = wide.locator("details.files")
    assert not files.locator("a").first.is_visible()
    wide.locator(".source a").first.click()
    until(wide, lambda: files.locator("a").first.is_visible())
    assert top(wide, "data-cka-cka-csv") < WIDE[1]


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_example_as_a_reader_opens_it(chromium, size, theme):
    with Watched(chromium, EXAMPLE, size, color_scheme=theme) as opened:
        width = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        inner, outer = opened.evaluate(width)
        assert inner <= outer
        images = opened.evaluate("[...document.images].map(i => [i.naturalWidth, i.alt.trim()])")
        assert len(images) > 20 and all(wide and alt for wide, alt in images)
        table = opened.locator("table.sortable:has(button)").first
        rows = "document.querySelector('table.sortable:has(button)').tBodies[0].rows"
        models = f"[...{rows}].map(row => row.cells[0].innerText)"
        before = opened.evaluate(models)
        table.locator("th button").first.click()
        table.locator("th button").first.click()
        assert opened.evaluate(models) == sorted(before, key=str.casefold, reverse=True)
        stage = opened.locator(".comparison").first
        slider = stage.locator("input[type=range]").first
        slider.scroll_into_view_if_needed()
        style = "e => [...e.querySelectorAll('*')].map(x => x.getAttribute('style')).join()"
        held = stage.evaluate(style)
        slider.focus()
        opened.keyboard.press("ArrowRight")
        until(opened, lambda: stage.evaluate(style) != held)
