"""Run folders and pages that somebody sent: links, devices, names, sizes; kills."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
import tracemalloc
from pathlib import Path

import nbformat
import pytest

from analysis.commands.parser import OutputOptions
from analysis.pages import html as pages_html
from analysis.pages import notebooks
from analysis.pages.attachments import Attachment, attached
from analysis.report import collected, publish, verify
from analysis.report.folders import place_of
from analysis.report.settings import ReportOptions
from mtd.utils import atomic_write, digests
from mtd.utils.errors import BadInput

SRGA = "model,noise,reference,srga,low,high,photographs,reason\na,isp,gaussian:15,0.5,nan,nan,1,\n"


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """A finished run of SRGA."""
    folder = tmp_path / "sent"
    folder.mkdir()
    about = {"analysis": "srga", "models": {"a": {"sha256": "1"}}, "noises": ["gaussian:15", "isp"]}
    (folder / "manifest.json").write_text(json.dumps(about))
    (folder / "srga.csv").write_text(SRGA)
    (folder / "srga.png").write_bytes(b"picture")
    record(folder, "manifest.json", "srga.csv", "srga.png")
    return folder


def record(folder: Path, *names: str) -> None:
    """Write `run.json` with the digests of files."""
    known = {name: digests.sha256(folder / name) for name in names}
    log = {"runs": [{"finished": "now"}], "sha256": known}
    (folder / "run.json").write_text(json.dumps(log))


@pytest.fixture
def private(tmp_path: Path) -> Path:
    path = tmp_path / "private.csv"
    path.write_text("password,secret\n1,2\n")
    return path


def collect(folder: Path, output: str | None = "page") -> collected.Report:
    place = None if output is None else folder.parent / output
    return collected.collect([folder], ReportOptions(), OutputOptions(place, quiet=True))


def text_of(folder: Path) -> str:
    return "".join(
        path.read_bytes().decode(errors="replace") for path in folder.rglob("*") if path.is_file()
    )


def test_only_what_the_analysis_writes_is_copied_and_attached(sent, private):
    (sent / "z.csv").symlink_to(private)
    (sent / "notes.md").write_text("own")
    (sent / "holiday.png").write_bytes(b"own")
    report = collect(sent)
    copied = sorted(path.name for path in (report.folder.path / "srga").iterdir())
    assert copied == ["manifest.json", "run.json", "srga.csv", "srga.png"]
    names = [file.name for file in publish.attachments(report.folder.path, report.sections)]
    assert names == ["manifest.json", "srga/manifest.json", "srga/srga.csv"]
    (report.folder.path / "srga" / "z.csv").symlink_to(private)  # in the report itself
    assert len(publish.attachments(report.folder.path, report.sections)) == 3


@pytest.mark.parametrize("name", ["srga.csv", "manifest.json", "run.json", "srga.png"])
def test_a_link_in_a_run_is_refused_in_one_line(sent, private, name):
    (sent / name).unlink()
    (sent / name).symlink_to(private)
    with pytest.raises(BadInput) as error:
        collect(sent)
    assert "is a link" in str(error.value) and "\n" not in str(error.value)
    assert "secret" not in text_of(sent.parent / "page")


def test_a_link_in_place_of_a_section_is_refused(sent, tmp_path):
    report = tmp_path / "report"
    report.mkdir()
    (report / "manifest.json").write_text('{"analysis": "report"}')
    (report / "srga").symlink_to(sent)
    for read in (
        lambda: collect(report, None),
        lambda: publish.attachments(report, ["srga"]),
        lambda: place_of(report, "srga"),
    ):
        with pytest.raises(BadInput, match="srga is a link"):
            read()


@pytest.mark.parametrize("name", ["srga.csv", "manifest.json", "srga.png"])
def test_fifos_are_refused_at_once(sent, name):
    (sent / name).unlink()
    os.mkfifo(sent / name)
    with pytest.raises(BadInput, match="is a FIFO"):
        collect(sent)


def test_a_file_that_was_changed_after_the_run_is_not_published(sent):
    digest = "0" * 64
    log = {"runs": [{"finished": "now"}], "sha256": {"manifest.json": digest, "srga.csv": digest}}
    (sent / "run.json").write_text(json.dumps(log))
    with pytest.raises(BadInput, match="changed after the run"):
        collect(sent)


def report_of(sent: Path) -> collected.Report:
    """A report with an old page."""
    report = collect(sent)
    for name in ("report.html", "report.ipynb"):
        (report.folder.path / name).write_text("old")
    report.folder.finish()
    return report


def test_a_section_whose_replacement_was_killed_is_published_again(sent):
    folder = report_of(sent).folder.path
    (folder / ".part-srga").mkdir()
    (folder / "srga").rename(folder / ".part-srga/old")
    (folder / ".part-cka/new").mkdir(parents=True)
    report = collect(folder, None)
    assert report.sections == ["srga"] and not list(folder.glob(".part-*"))


@pytest.fixture
def executed(monkeypatch) -> None:
    """Notebooks are not run."""

    def execute(notebook, folder, name):
        return notebook

    monkeypatch.setattr(notebooks, "execute", execute)
    monkeypatch.setattr(publish, "show", lambda folder, pages, quiet: None)


@pytest.mark.parametrize("imported", ["copied", "from a page", "as it is"])
def test_a_report_is_published_again(sent, executed, tmp_path, imported):
    place = report_of(sent).folder.path
    if imported == "copied":
        place = Path(shutil.copytree(place, tmp_path / "copy"))
        for log in place.rglob("run.json"):
            log.unlink()
    elif imported == "from a page":
        files = publish.attachments(place, ["srga"])
        place = tmp_path / "unpacked"
        for file in files:
            atomic_write.write(place / file.name, file.content)
    again = collect(place, None)
    publish.publish(again, ReportOptions(format="html"))
    assert "<html" in (place / "report.html").read_text()


def test_a_report_whose_manifest_was_changed_is_not_published(sent, executed):
    place = report_of(sent).folder.path
    manifest = place / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"analysis"', '"mine": 1, "analysis"', 1))
    with pytest.raises(BadInput, match="changed after the report was made"):
        collect(place, None)


class Killed(BaseException):
    """As if the process had been killed."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_after_a_kill_at_any_rename_an_old_or_new_page_is_there(sent, executed, monkeypatch, after):
    place = report_of(sent).folder.path
    real, renamed = Path.replace, set[str]()
    for last in range(99):
        count = 0

        def replace(path, target, last=last):
            nonlocal count
            count += 1
            if count == last + 1 and not after:
                raise Killed
            moved = real(path, target)
            renamed.add(Path(target).name)
            if count == last + 1:
                raise Killed
            return moved

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", replace)
            try:
                publish.publish(collect(place, None), ReportOptions(format="html"))
                break
            except Killed:
                pass
        page = (place / "report.html").read_text()
        assert page == "old" or page.rstrip().endswith("</html>")
        assert collect(place, None).sections == ["srga"]
    assert last >= 3 and not (place / "report.ipynb").exists()
    assert "report.html" in renamed, "else it is not there as a whole at once"


def page_with(*files: Attachment) -> str:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A page")])
    return pages_html.html(notebook, files, "A page")


@pytest.mark.parametrize(
    "name", ["../x.csv", "/tmp/x.csv", "a/../../x", "a\\..\\x", "", "a//b", "a&#9;b"]
)
def test_attachments_with_names_that_lead_elsewhere_are_refused(tmp_path, name):
    page = page_with(Attachment("manifest.json", b"{}"), Attachment("here.csv", b"1"))
    page = page.replace('data-name="here.csv"', f'data-name="{name}"')
    (tmp_path / "page.html").write_text(page)
    with (
        pytest.raises(BadInput, match="not the name of a file"),
        verify.opened(tmp_path / "page.html"),
    ):
        pass


@pytest.mark.parametrize("first, second", [("a.csv", "A.CSV"), ("A.CSV", "a.csv"), ("a", "a")])
def test_attachments_that_are_there_twice_are_refused(first, second):
    page = page_with(Attachment("first", b"1"), Attachment("second", b"2"))
    page = page.replace('data-name="first"', f'data-name="{first}"')
    with pytest.raises(BadInput, match="twice"):
        attached(page.replace('data-name="second"', f'data-name="{second}"'))


def test_a_small_page_that_unpacks_to_gigabytes_is_refused(monkeypatch):
    monkeypatch.setenv("MTD_MAX_PAGE_UNPACKED_MB", "1")
    packed = gzip.compress(bytes(2 * 10**7))
    page = page_with(Attachment("a.csv", b"1" * 70_000))
    start = page.index("base64,", page.index("data-name")) + 7
    end = page.index('"', start)
    bomb = page[:start] + base64.b64encode(packed).decode() + page[end:]
    assert len(bomb) < 10**5
    tracemalloc.start()
    try:
        with pytest.raises(BadInput, match=r"more than 1 MB when unpacked.*MTD_MAX_PAGE_UNPACKED"):
            attached(bomb)
        assert tracemalloc.get_traced_memory()[1] < 5 * 10**6  # of 20 MB
    finally:
        tracemalloc.stop()


def test_several_attachments_share_the_limit(monkeypatch):
    page = page_with(*(Attachment(f"{i}.csv", bytes(600_000)) for i in range(2)))
    assert len(attached(page)) == 2
    monkeypatch.setenv("MTD_MAX_PAGE_UNPACKED_MB", "1")
    with pytest.raises(BadInput, match="more than 1 MB"):
        attached(page)


@pytest.mark.parametrize("size", [1000, 2000, 4000])
def test_a_page_is_searched_once(size):
    """What is looked at grows with the length of the page, not with its square."""
    looked: list[int] = []

    class Page(str):
        def find(self, *given):
            found = super().find(*given)
            end = found if found >= 0 else len(self)
            looked.append(end - (given[1] if len(given) > 1 else 0))
            return found

        def __getitem__(self, place):
            looked.append(len(range(*place.indices(len(self)))))
            return super().__getitem__(place)

    for body in ("<a " * size, "<a x=1>" * size, "<a " * size + '<a data-name="x>' + "=" * size):
        hostile = Page('class="appendix"' + body)
        looked.clear()
        assert attached(hostile) == []
        assert len(hostile) <= sum(looked) < 4 * len(hostile)


def test_large_pages_are_refused_before_they_are_read(tmp_path, monkeypatch):
    (tmp_path / "page.html").write_bytes(b" " * 1_100_000)
    monkeypatch.setenv("MTD_MAX_PAGE_MB", "1")
    with pytest.raises(BadInput, match="MTD_MAX_PAGE_MB"), verify.opened(tmp_path / "page.html"):
        pass
