"""A small table of a model's scores as one HTML file without anything from elsewhere."""

from __future__ import annotations

from html import escape

from analysis.card.measured import NO_SUITE, Measured
from analysis.card.model_card import LABELS
from analysis.card.record import About
from analysis.card.scores import NOISE, WORST, Score, scores
from analysis.generalization import summary
from analysis.generalization.metrics import facts
from analysis.stats.jackknife import ENOUGH
from analysis.text.markdown import interval, number
from analysis.text.verdicts import too_few
from mtd.utils.messages import plural

STYLE = """\
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de;
  --back: #ffffff; --band: #f3f5f7; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa5b1; --line: #3a424c;
  --back: #14181d; --band: #1d232a; } }
body { margin: 0; padding: 12px; background: var(--back); color: var(--ink);
  font: 14px/1.4 system-ui, sans-serif; }
figure { margin: 0; max-width: 640px; }
figcaption { margin-bottom: 8px; overflow-wrap: anywhere; }
figcaption b { font-size: 16px; }
p, small { color: var(--soft); }
p { margin: 8px 0 0; font-size: 12px; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: 5px 6px; border-bottom: 1px solid var(--line); text-align: right;
  font-variant-numeric: tabular-nums; vertical-align: top; }
th:first-child { text-align: left; font-weight: normal; overflow-wrap: anywhere; }
thead th, thead th:first-child { font-weight: 600; border-bottom-width: 2px; }
tbody.scores { background: var(--band); }
td small { display: block; font-size: 11px; white-space: nowrap; }
@media (max-width: 480px) { td small { white-space: normal; } th, td { padding: 5px 3px; } }"""


def html(measured: Measured, about: About) -> str:
    """The table: scores over several noises, then a row for each noise or test set."""
    title = escape(about.model_id or measured.model)
    suite = measured.suite()
    what = "" if suite == NO_SUITE else f"suite {escape(suite)}, version {measured.version()}; "
    images = escape(summary.measured(measured.frames["results"], measured.manifest))
    head = "".join(f"<th>{escape(summary.with_unit(m))}</th>" for m in measured.metrics)
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{STYLE}
</style>
</head>
<body>
<figure>
<figcaption><b>{title}</b><br><small>{what}{images}</small></figcaption>
<table>
<thead><tr><th></th>{head}</tr></thead>
{bodies(measured)}
</table>
<p>{escape(below(measured))}</p>
</figure>
</body>
</html>
"""


def bodies(measured: Measured) -> str:
    """The two parts of the table."""
    found = {(score.metric, score.of): score for score in scores(measured)}
    names = list(dict.fromkeys(of for _, of in found))
    parts = []
    for css, chosen in (
        ("scores", [of for of in names if of in LABELS]),
        ("noises", [of for of in names if of.startswith(NOISE)]),
    ):
        rows = "\n".join(row(measured, found, of) for of in chosen)
        parts.append(f'<tbody class="{css}">\n{rows}\n</tbody>' if rows else "")
    return "\n".join(filter(None, parts))


def row(measured: Measured, found: dict[tuple[str, str], Score], of: str) -> str:
    """One row; a mark for noise that the model was trained on."""
    noise = of.removeprefix(NOISE)
    mark = " +" if measured.trained is not None and noise in measured.trained else ""
    name = LABELS.get(of, f"{noise}{mark}")
    cells = "".join(cell(found.get((metric, of))) for metric in measured.metrics)
    return f"<tr><th>{escape(name)}</th>{cells}</tr>"


def cell(score: Score | None) -> str:
    """A value, with its interval below it."""
    if score is None:
        return "<td>–</td>"
    digits = facts(score.metric).digits
    bounds = interval(score.low, score.high, digits)
    below = [bounds, *([score.noise] if score.of == WORST and score.noise else [])]
    small = "".join(f"<small>{escape(text)}</small>" for text in below if text)
    return f"<td>{number(score.value, digits)}{small}</td>"


def below(measured: Measured) -> str:
    """What intervals and marks are."""
    count = plural(measured.photographs, "photograph")
    few = f": {too_few(ENOUGH)}" if measured.photographs < ENOUGH else ""
    lower = [facts(m).label for m in measured.metrics if not facts(m).higher_is_better]
    best = f" Lower is better for {', '.join(lower)}." if lower else ""
    marks = "+ trained on." if measured.trained else ""
    if measured.trained is None:
        marks = "What it was trained on is unknown."
    return f"{marks} In brackets: 95% intervals over {count}{few}.{best}".strip()
