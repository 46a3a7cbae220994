"""An executed notebook as one self-contained HTML file.

nbconvert renders the cells with a template of this package, and nh3 removes scripts and external
resources (see `analysis.pages.cells`). Then ids and a table of contents, links
from figures and tables to their data, style and script are added. The same notebook always gives
the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from bs4 import BeautifulSoup, Tag
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from nbformat import NotebookNode
from PIL import Image

from analysis.pages import project
from analysis.pages.attachments import Attachment, appendix
from analysis.pages.cells import ASSETS, HEADINGS, as_html
from mtd import __version__
from mtd.utils.printable import printable

LONG = 16
"""Tables with more rows scroll in a frame below their header."""

DENSE = 9
"""Tables with more columns are set in smaller type."""

PROSE = 60
"""Characters of a cell that is not made as narrow as its longest word."""

NOT_DESCRIBED = "No description has been provided for this image"
"""What nbconvert writes for a picture without a description; the page has a better one."""

DESCRIBED = 200
"""Characters of the page's description, which search engines and previews of links show."""

NUMBER = re.compile(
    r"[+−-]?(\d[\d,]*+\.?\d*+|\.\d++)(e[+-]?\d++)?\s?%?|nan|[+-]?inf|–", re.IGNORECASE
)


@dataclass(frozen=True)
class Entry:
    """A line of the contents."""

    level: int
    id: str
    text: str


class Names:
    """Unique ids; those of the page's template are in use from the start."""

    def __init__(self) -> None:
        self.used = {"content", "data"}

    def new(self, text: str) -> str:
        """An id made from a text, followed by a number if it is in use.

        >>> names = Names()
        >>> names.new("Cross noise (σ)"), names.new("cross noise σ")
        ('cross-noise-σ', 'cross-noise-σ-1')
        """
        plain = slug(text) or "part"
        count, name = 0, plain
        while name in self.used:
            count += 1
            name = f"{plain}-{count}"
        self.used.add(name)
        return name


class Labels:
    """Labels of regions, each of which is given once.

    >>> labels = Labels()
    >>> labels.new("Table, PSNR"), labels.new("Table, PSNR")
    ('Table, PSNR', 'Table, PSNR (2)')
    """

    def __init__(self) -> None:
        self.used: set[str] = set()

    def new(self, text: str) -> str:
        """A text, followed by a number if it is in use."""
        count, label = 1, text
        while label in self.used:
            count += 1
            label = f"{text} ({count})"
        self.used.add(label)
        return label


def slug(text: str) -> str:
    """A heading's id, as GitHub makes them, so that a notebook's own links to it work."""
    return re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")


def html(
    notebook: NotebookNode,
    attachments: Sequence[Attachment],
    title: str,
    absent: Sequence[str] = (),
) -> str:
    """The page.

    Args:
        notebook: executed; its code is left out.
        attachments: files for the appendix, to which figures and tables link by name (`data-csv`).
        title: of the document, and its heading where the notebook does not begin with one.
        absent: names of files that are left out because of their size.
    """
    soup = BeautifulSoup(as_html(notebook), "html.parser")
    names = Names()
    heading, contents = headings(soup, names, title)
    folders, anchors = appendix(attachments, names.new)
    if folders:
        contents.append(Entry(2, "data", "Data"))
    links(soup, names)
    pictures(soup, heading)
    labels = Labels()
    for table in soup.find_all("table"):
        in_scroll_frame(soup, table, heading, labels)
    for text in soup.find_all("pre"):
        label = labels.new(f"Text, {heading_above(text, heading)}")
        text.attrs |= {"tabindex": "0", "role": "region", "aria-label": label}
    sources(soup, anchors)
    style, script = (asset(name) for name in ("style.css", "script.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src '{digest(style)}'; "
        f"script-src '{digest(script)}'; base-uri 'none'; form-action 'none'"
    )
    environment = Environment(loader=FileSystemLoader(ASSETS), autoescape=True)
    page = environment.get_template("page.html.j2").render(
        title=title,
        heading=heading,
        description=description(soup),
        project=project,
        version=__version__,
        count=len(attachments),
        contents=contents,
        body=Markup(soup),
        folders=folders,
        absent=absent,
        policy=policy,
        style=Markup(style),
        script=Markup(script),
    )
    return printable(page)


def description(soup: BeautifulSoup) -> str:
    """The page in one sentence: its verdict, or its first paragraph or item of a list."""
    first = soup.select_one(".verdict") or soup.find(["p", "li"])
    text = words(first) if first else ""
    return text if len(text) <= DESCRIBED else f"{text[:DESCRIBED].rpartition(' ')[0]} …"


def asset(name: str) -> str:
    """A file of the page."""
    return (ASSETS / name).read_text(encoding="utf-8")


def digest(text: str) -> str:
    """The hash by which a Content-Security-Policy allows a script or style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def headings(soup: BeautifulSoup, names: Names, title: str) -> tuple[str, list[Entry]]:
    """Give headings ids; the first one of level 1 is removed, for the template to show.

    Returns:
        The page's heading, and the contents.
    """
    tags = soup.find_all(HEADINGS)
    if tags and tags[0].name == "h1":
        title = words(tags[0]) or title
        names.new(title)  # links to it become text, but no other heading gets its id
        tags.pop(0).decompose()
    lower = any(tag.name == "h1" for tag in tags)  # further headings of level 1 become chapters
    contents, above = [], 1
    for tag in tags:
        level, text = int(tag.name[1]), words(tag)
        above = min(6, level + lower, above + 1)  # no level is left out
        tag.name = f"h{above}"
        tag["id"] = names.new(text)
        if level <= 3 and text and not tag.find_parent(class_="pairwise"):
            contents.append(Entry(level + lower, str(tag["id"]), text))
    return title, contents


def links(soup: BeautifulSoup, names: Names) -> None:
    """Point links within the page at headings; links without a target become text."""
    for link in soup.find_all("a"):
        href = str(link.get("href", ""))
        target = slug(unquote(href.removeprefix("#")))
        if href and not href.startswith("#"):
            link["rel"] = "noopener noreferrer"
        elif href and target in names.used:
            link["href"] = f"#{target}"
        else:
            link.unwrap()


def pictures(soup: BeautifulSoup, title: str) -> None:
    """Give every picture a description and its size, so that the page does not move as it loads."""
    for image in soup.find_all("img"):
        alt = str(image.get("alt", "")).strip().removeprefix(NOT_DESCRIBED)
        if not image.has_attr("src"):  # it was not part of the notebook
            image.replace_with(f"[picture: {alt}]")
            continue
        image["alt"] = alt or f"Figure, {heading_above(image, title)}"
        kind, _, encoded = str(image["src"]).partition(";base64,")
        if not image.has_attr("width") and "svg" not in kind:
            try:
                with Image.open(io.BytesIO(base64.b64decode(encoded))) as opened:
                    width, height = opened.size
            except OSError:  # damaged; the description is shown
                continue
            image["width"], image["height"] = str(width), str(height)
            if height > 1.2 * width:
                add_class(image, "tall")


def in_scroll_frame(soup: BeautifulSoup, table: Tag, title: str, labels: Labels) -> None:
    """Put a table into a container in which it scrolls, and align its numbers to the right."""
    label = words(table.caption) if table.caption else heading_above(table, title)
    label = labels.new(f"Table, {label}")
    frame = {"class": "scroll", "role": "region", "tabindex": "0", "aria-label": label}
    table.wrap(soup.new_tag("div", attrs=frame))
    if len(table.select("tbody tr")) > LONG:
        add_class(table, "long")
    if max((len(row.find_all(["td", "th"])) for row in table("tr")), default=0) > DENSE:
        add_class(table, "dense")
    for cell in table.find_all("th"):
        if not words(cell):  # above an index
            cell.name = "td"
    for cell in table.select("[style]"):  # the page's policy allows no style attributes
        add_class(cell, str(cell["style"]).replace("text-align:", "align-"))
        del cell["style"]
    for cell in table.find_all("td"):
        if len(words(cell)) > PROSE:
            add_class(cell, "prose")
        if not cell.has_attr("class") and NUMBER.fullmatch(words(cell)):
            add_class(cell, "number")
    head, rows = table.select("thead tr:last-child th"), table.select("tbody tr")
    for name, cell in zip(head, rows[-1].find_all(["td", "th"]) if rows else [], strict=False):
        if not name.has_attr("class") and "number" in cell.get_attribute_list("class"):
            add_class(name, "number")


def sources(soup: BeautifulSoup, anchors: dict[str, str]) -> None:
    """Under figures and tables that name their data, put links to them in the appendix.

    In each part of the page (of a heading of level 2), data are linked under the first figure or
    table that is drawn from them.
    """
    linked: set[tuple[int, str]] = set()
    for element in soup.select("[data-csv]"):
        name = str(element["data-csv"])
        part = (id(element.find_previous("h2")), name)
        if name not in anchors or part in linked:
            continue
        linked.add(part)
        link = soup.new_tag("a", attrs={"href": f"#{anchors[name]}"})
        link.string = f"data: {PurePosixPath(name).name}"
        line = soup.new_tag("p", attrs={"class": "source"})
        line.append(link)
        if element.name == "figure":
            caption = element.figcaption or soup.new_tag("figcaption")
            caption.append(line)
            element.append(caption)
        else:
            outer = element.find_parent(class_="scroll") or element
            outer.insert_after(line)


def words(tag: Tag) -> str:
    """An element's text in one line."""
    return " ".join(tag.get_text(" ").split())


def heading_above(tag: Tag, title: str) -> str:
    """The heading of the part of the page that an element is in."""
    heading = tag.find_previous(HEADINGS)
    return (words(heading) if heading else "") or title


def add_class(tag: Tag, name: str) -> None:
    """Add a class to an element."""
    names = tag.get_attribute_list("class") if tag.has_attr("class") else []
    tag["class"] = " ".join([*map(str, names), name])
