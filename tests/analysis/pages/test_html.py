"""The page of a notebook holds all it needs, runs nothing of the notebook's, and stays the same."""

from __future__ import annotations

import base64
import gzip
import re
import tomllib

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from analysis.pages import html as pages_html
from analysis.pages import project
from analysis.pages.attachments import Attachment, attached
from analysis.pages.markdown import markdown
from analysis.plotting import notebook_output, page_figure
from mtd import __version__
from mtd.utils.errors import BadInput
from tests.helpers.pages import (
    ATTACHMENTS,
    EVIL,
    drawing,
    notebook,
    output,
    shown,
    table,
)
from tests.helpers.paths import ROOT


def made(*more: NotebookNode, title: str = "Title") -> BeautifulSoup:
    return BeautifulSoup(pages_html.html(notebook(*more), ATTACHMENTS, title), "html.parser")


def test_nothing_is_loaded_from_elsewhere():
    soup = made()
    for tag in soup.find_all(src=True):
        assert str(tag["src"]).startswith("data:image/")
    for tag in soup.find_all(href=True):
        assert str(tag["href"]).startswith(("#", "data:")) or tag.name == "a"
    assert not soup.select("script[src], iframe, object, embed, link[rel=stylesheet], [style]")
    policy = str(soup.select_one("meta[http-equiv]")["content"])
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    assert pages_html.digest(soup.script.string) in policy
    assert pages_html.digest(soup.style.string) in policy
    assert not re.search(r"url\(|@import|https?:", soup.style.string + soup.script.string)


def test_the_same_notebook_is_the_same_page():
    first = pages_html.html(notebook(), ATTACHMENTS, "Title")
    assert pages_html.html(notebook(), ATTACHMENTS, "Title") == first


def test_code_and_warnings_are_left_out():
    streams = [
        new_output("stream", name="stdout", text="\x1b[31mprinted\x1b[0m <b>"),
        new_output("stream", name="stderr", text="a warning"),
    ]
    soup = made(new_code_cell("code", outputs=streams))
    assert "secret_of_the_source" not in str(soup)
    assert "a warning" not in str(soup)
    assert soup.find_all("pre")[-1].get_text() == "printed <b>"


def test_one_heading_ids_and_contents():
    soup = made(title="Of the document")
    assert [tag.get_text() for tag in soup.find_all("h1")] == ["What came out"]
    assert soup.title.string == "Of the document"
    assert soup.html["lang"] == "en"
    ids = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(ids) == len(set(ids))
    entries = [link["href"][1:] for link in soup.select("nav.side a")]
    assert entries == ["scores", "one-by-one", "scores-1", "data"]
    assert [link["href"][1:] for link in soup.select("details nav a")] == entries
    for link in soup.select('a[href^="#"]'):
        assert link["href"][1:] in ids
    assert soup.select_one("main p a")["href"] == "#scores"
    assert "nothing" in soup.select_one("main p").get_text()  # a link to no heading is text


def test_a_page_without_a_heading_of_its_own_and_one_with_many():
    bare = new_notebook(cells=[new_markdown_cell("## Part")])
    soup = BeautifulSoup(pages_html.html(bare, [], "A title"), "html.parser")
    assert soup.h1.get_text() == "A title"
    assert not soup.select(".appendix")
    many = new_notebook(cells=[new_markdown_cell("# T\n\n# One\n\n## Sub\n\n# Two\n\n## Sub")])
    soup = BeautifulSoup(pages_html.html(many, [], "A title"), "html.parser")
    found = [(tag.name, tag["id"]) for tag in soup.select("main h2, main h3")]
    assert found == [("h2", "one"), ("h3", "sub"), ("h2", "two"), ("h3", "sub-1")]
    gap = new_notebook(cells=[new_markdown_cell("# T\n\n## One\n\n##### Low\n\n## Two")])
    soup = BeautifulSoup(pages_html.html(gap, [], "A title"), "html.parser")
    assert [tag.name for tag in soup.select("main :is(h2, h3, h4, h5)")] == ["h2", "h3", "h2"]


def test_every_picture_is_described_and_has_its_size():
    pixel = base64.b64encode(page_figure.variants(drawing())[0].content).decode()
    bare = new_code_cell(
        "",
        outputs=[
            new_output("display_data", data={"image/png": pixel, "text/plain": "<Figure size 1>"}),
            new_output("display_data", data={"image/png": pixel, "text/plain": "A curve"}),
            new_output("display_data", data={"image/svg+xml": "<svg xmlns='x'/>"}),
        ],
    )
    soup = made(bare, output("text/html", f'<img src="data:image/png;base64,{pixel}">'))
    images = soup.find_all("img")
    assert all(image["alt"].strip() for image in images)
    alts = [image["alt"] for image in images[-4:]]
    assert alts == ["Figure, Scores", "A curve", "Figure, Scores", "Figure, Scores"]
    assert all(image.has_attr("width") for image in images if "svg" not in image["src"])


def test_links_to_data_lead_to_the_appendix():
    soup = made()
    links = soup.select(".source a")
    # of "Scores" and "Scores"; none for the missing one
    assert [link.get_text() for link in links] == ["data: cka.csv"] * 2
    assert {link["href"] for link in links} == {"#data-cka-cka-csv"}
    held = soup.find(id="data-cka-cka-csv").a
    assert held["download"] == "cka.csv"
    figure = soup.find("img", alt="a line that rises").find_parent("figure")
    assert figure.figcaption.a["href"] == "#data-cka-cka-csv"


def test_the_page_is_described_for_links_to_it():
    soup = made()
    about = {tag.get("name") or tag.get("property"): tag.get("content") for tag in soup("meta")}
    assert about["og:title"] == "What came out"
    assert about["og:type"] == "article"
    assert about["description"] == about["og:description"]
    assert about["description"].startswith("See the scores , nothing and a paper")
    verdict = "masked wins " * 40
    cells = [
        new_markdown_cell("# Report\n\nSome words."),
        output("text/html", f'<p class="verdict">{verdict}</p>'),
    ]
    text = pages_html.html(new_notebook(cells=cells), [], "Title")
    found = BeautifulSoup(text, "html.parser").find("meta", attrs={"name": "description"})
    assert str(found["content"]).startswith("masked wins masked")
    assert str(found["content"]).endswith("masked …") or str(found["content"]).endswith("wins …")
    assert len(str(found["content"])) <= pages_html.DESCRIBED + 2
    assert f"Made with {project.NAME} {__version__}." in soup.footer.get_text()


def test_the_projects_address_is_that_of_its_metadata():
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert about.get("urls", {}).get("Repository", "") == project.URL
    assert about["name"] == project.NAME


def test_regions_have_labels_of_their_own():
    soup = made(shown(table(), table()), new_markdown_cell("```sh\na\n```\n\n```sh\nb\n```"))
    labels = [str(tag["aria-label"]) for tag in soup.select("[role=region]")]
    assert len(labels) == len(set(labels)) > 4


def test_attachments_come_out_as_they_went_in():
    soup = made()
    links = soup.select(".appendix a[download]")
    assert [tag.get_text() for tag in soup.select(".appendix h3")] == ["General", "cka", "scores"]
    for link, given in zip(links, ATTACHMENTS, strict=True):
        kind, _, coded = link["href"].partition(";base64,")
        content = base64.b64decode(coded)
        if link["download"].endswith(".gz"):
            assert kind == "data:application/gzip"
            assert content[4:8] == bytes(4)  # no time
            content = gzip.decompress(content)
        assert content == given.content
    assert [link["download"] for link in links][2:] == ["manifest.json", "results.csv.gz"]
    assert links[0]["href"].startswith("data:application/json;")
    assert "unpacked" in links[3].find_next(class_="size").get_text()


def test_attachments_are_read_from_a_page():
    text = pages_html.html(notebook(), ATTACHMENTS, "Title")
    assert attached(text) == list(ATTACHMENTS)
    assert attached("<p>another page</p>") == []
    link = '<a data-name="x.csv" download="x.csv" href="data:text/csv;base64,MQ==">x</a>'
    cell = output("text/html", f'<div class="appendix">{link}</div>')
    assert attached(pages_html.html(new_notebook(cells=[cell]), [], "Title")) == []
    start = text.index("application/gzip;base64,") + 60
    with pytest.raises(BadInput, match=r"scores/results\.csv"):
        attached(text[:start] + "AAAA" + text[start + 4 :])


def test_names_are_text_whatever_they_are():
    frame = pd.DataFrame({EVIL: [EVIL], "x": [1.0]})
    evil = (
        notebook_output.table(frame, 2, EVIL),
        notebook_output.figure(drawing(), EVIL, EVIL),
        notebook_output.comparison({EVIL: (np.zeros((4, 4, 3), np.uint8), EVIL)}, EVIL),
        notebook_output.pairwise({(EVIL, "b"): notebook_output.table(frame)}, EVIL),
    )
    cells = [shown(*evil), new_markdown_cell('## `<script>` & "x"')]
    attachments = [Attachment(f"{EVIL}/{EVIL}.csv", b"1"), Attachment(EVIL, b"2")]
    text = pages_html.html(new_notebook(cells=cells), attachments, EVIL)
    soup = BeautifulSoup(text, "html.parser")
    assert len(soup.find_all("script")) == 1
    assert soup.h1.get_text() == soup.title.string == EVIL
    assert soup.select_one("td").get_text() == EVIL
    assert soup.select_one(".pictures figure")["data-name"] == EVIL
    assert soup.select_one(".pairwise section")["data-a"] == EVIL
    assert soup.select_one(".drawn img")["alt"] == EVIL
    assert soup.select(".appendix a")[-1]["download"] == EVIL.rpartition("/")[2]


@pytest.mark.parametrize(
    "markup",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1) alt=a>",
        '<a href="javascript:alert(1)">a</a>',
        '<a href="java\tscript:alert(1)">a</a>',
        '<a href=" &#106;avascript:alert(1)">a</a>',
        '<a href="data:text/html,<script>alert(1)</script>">a</a>',
        "<svg><script>alert(1)</script></svg>",
        "<svg/onload=alert(1)>",
        '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
        "<!--><script>alert(1)</script-->",
        "<![CDATA[<script>alert(1)</script>]]>",
        "<p onclick='alert(1)' style='background:url(https://example.org/alert)' id=content>a</p>",
        "<math><mtext><script>alert(1)</script></mtext></math>",
        "<form action='https://example.org/alert'><button formaction=alert>a</button></form>",
        "<base href='https://example.org/alert'><link rel=stylesheet href=alert>",
        "<meta http-equiv=refresh content='0;url=https://example.org/alert'>",
        "<x><script\n>alert(1)</script\n></x>",
    ],
)
@pytest.mark.parametrize("kind", ["text/html", "text/markdown", "cell"])
def test_nothing_of_an_output_runs(markup, kind):
    cell = new_markdown_cell(markup) if kind == "cell" else output(kind, markup)
    text = pages_html.html(new_notebook(cells=[cell]), [], "t")
    body = BeautifulSoup(text, "html.parser").main
    allowed = re.compile("p|a|img|em|strong|figure|h[1-3]|table|div|span|br|blockquote")
    for tag in body.find_all(True):
        assert allowed.fullmatch(tag.name)
        assert "alert" not in str(tag.attrs)
        assert not {name for name in tag.attrs if name.startswith("on")}
    assert "<!" not in str(body)


def test_tables_are_framed_and_keep_what_sorts_them():
    soup = made(output("text/html", pd.DataFrame({"a": ["x"], "n": [1.5]}).to_html()))
    for found in soup.find_all("table"):
        frame = found.parent
        assert frame["class"] == ["scroll"]
        assert frame["tabindex"] == "0"
        assert frame["role"] == "region"
        assert all(head.get_text() for head in found.find_all("th"))
        assert frame["aria-label"].startswith("Table, ")
    ours = soup.select_one("table.sortable")
    assert ours.parent["aria-label"] == "Table, Scores (2)"  # the first is under that heading
    assert [cell["data-value"] for cell in ours.select("tr td:nth-of-type(2)")][3] == "2.0004"
    assert ours.th["data-type"] == "text"
    plain = soup.select_one("table.dataframe")
    assert [cell.get("class") for cell in plain.select("tbody td")] == [None, ["number"]]
    assert soup.select_one("td.align-right").get_text() == "1"  # of Markdown


def test_long_and_wide_tables_are_marked():
    frame = pd.DataFrame({f"c{k}": range(30) for k in range(12)})
    soup = made(shown(notebook_output.table(frame)))
    assert {"long", "dense"} <= set(soup.find_all("table")[-1]["class"])


def test_a_failed_cell_is_seen():
    failed = new_output(
        "error", ename="ValueError", evalue="<no>", traceback=["\x1b[31mValueError\x1b[0m: <no>"]
    )
    soup = made(new_code_cell("", outputs=[failed]))
    block = soup.select_one(".error")
    assert "ValueError" in block.p.get_text()
    assert block.pre.get_text().strip() == "ValueError: <no>"


def test_markdown_has_tables_pictures_and_text():
    streams = [
        new_output("stream", name="stdout", text="printed ``` here"),
        new_output("stream", name="stderr", text="a warning"),
    ]
    text, files = markdown(notebook(new_code_cell("", outputs=streams)), "a report")
    assert text.startswith("# What came out\n")
    assert "secret_of_the_source" not in text
    assert "- masked is **better**" in text
    assert "Scores\n\n| model | score | column\\_0 |" in text
    assert "| c10 | – | 2 |" in text
    assert "Data: `cka/cka.csv`" in text
    assert "#### a and c" in text
    assert "\n    printed ``` here\n" in text
    assert "a warning" not in text
    links = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", text)
    assert {name.replace("%20", " ") for _, name in links} == set(files)
    assert all(alt for alt, _ in links)
    assert all(name.startswith("a report/") for name in files)
    assert all(content.startswith(b"\x89PNG") for content in files.values())
    assert len(files) == 5  # three pictures and two drawings, one of them drawn twice
    assert markdown(notebook(), "a report") == markdown(notebook(), "a report")


def test_names_in_markdown_are_text():
    evil = "<img src=x> | *a* `b`"
    frame = pd.DataFrame({"model": [evil]})
    text, _ = markdown(new_notebook(cells=[shown(notebook_output.table(frame))]), "files")
    assert r"\<img src\=x\> \| \*a\* \`b\`" in text
