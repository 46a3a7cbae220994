"""A small table of a model's scores as one HTML file without anything from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from analysis.card.measured import NO_SUITE, Measured
from analysis.card.model_card import LABELS
from analysis.card.record import About
from analysis.card.scores import WORST, Score, names, scores, sets_of
from analysis.generalization import summary
from analysis.generalization.metrics import facts
from analysis.stats.jackknife import ENOUGH
from analysis.text.markdown import interval, number
from analysis.text.noise_names import noise_label
from analysis.text.verdicts import too_few
from mtd.utils.messages import plural
from mtd.utils.printable import printable

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
figcaption small { font-size: 12px; }
p, small { color: var(--soft); }
p { margin: 8px 0 0; font-size: 12px; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: 5px 6px; border-bottom: 1px solid var(--line); text-align: right;
  font-variant-numeric: tabular-nums; vertical-align: top; }
th:first-child { text-align: left; font-weight: normal; overflow-wrap: anywhere; }
thead th, thead th:first-child { font-weight: 600; border-bottom-width: 2px; }
tbody.scores { background: var(--band); }
small { font-size: 11px; }
td small, th small { display: block; }
td small { white-space: nowrap; }
tbody.noise { border-bottom: 1px solid var(--line); }
tbody.noise th, tbody.noise td { border-bottom: 0; }
.set th:first-child { padding-left: 20px; }
.set th, .set td { padding-top: 0; }
@media (max-width: 480px) { td small { white-space: normal; } th, td { padding: 5px 3px; }
  th:first-child { width: 36%; } .set th:first-child { padding-left: 14px; } }"""


def html(measured: Measured, about: About) -> str:
    """The table: scores over several noises, then for each noise, with its test sets below it."""
    title = escape(about.model_id or measured.model)
    suite = measured.suite()
    but = " with deviations" if measured.manifest.get("deviations") else ""
    version = f"version {measured.version()}{but}"
    what = "" if suite == NO_SUITE else f"suite {escape(suite)}, {version}; "
    images = escape(summary.measured(measured.frames["results"], measured.manifest))
    head = "".join(f"<th>{escape(summary.with_unit(m))}</th>" for m in measured.metrics)
    return printable(f"""\
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
""")


def bodies(measured: Measured) -> str:
    """The parts of the table: scores over several noises, then a part for each noise."""
    every = scores(measured)
    found = {(score.metric, score.of): score for score in every}
    parts: dict[str, list[str]] = {}
    for of in names(every):
        score = next(one for one in every if one.of == of)
        own = [found.get((metric, of)) for metric in measured.metrics]
        head = heading(measured, every, score)
        line = f"<tr{' class=set' if score.testset else ''}>{head}{''.join(map(cell, own))}</tr>"
        parts.setdefault("" if of in LABELS else str(score.noise), []).append(line)
    return "\n".join(
        f'<tbody class="{"noise" if noise else "scores"}">\n{lines}\n</tbody>'
        for noise, lines in ((noise, "\n".join(rows)) for noise, rows in parts.items())
    )


def heading(measured: Measured, every: Sequence[Score], score: Score) -> str:
    """The first cell of a row: its name, marks, and the images below it."""
    if score.of in LABELS:
        return f"<th>{LABELS[score.of]}{mark(every, score)}</th>"
    trained = measured.trained is not None and score.noise in measured.trained
    name = score.testset or f"{noise_label(score.noise)}{' +' if trained else ''}"
    sets = sets_of(every, score)
    count = measured.amount(score.crops or 0, score.photographs)
    apart = any(s.testset and s.noise == score.noise and not s.whole for s in every)
    about = count if apart else "".join(sets)
    small = f"<small>{escape(about)}</small>" if about else ""
    breaks = escape(name).replace(",", ",<wbr>")
    return f"<th>{breaks}{mark(every, score)}{small}</th>"


def mark(every: Sequence[Score], score: Score) -> str:
    """The mark of too few photographs; none where it would be at every row."""
    return " *" if score.rough and not all(one.rough for one in every) else ""


def cell(score: Score | None) -> str:
    """A value, with its interval below it."""
    if score is None:
        return "<td>–</td>"
    digits = facts(score.metric).digits
    bounds = interval(score.low, score.high, digits)
    below = [bounds, *([noise_label(score.noise)] if score.of == WORST and score.noise else [])]
    small = "".join(f"<small>{escape(text)}</small>" for text in below if text)
    return f"<td>{number(score.value, digits)}{small}</td>"


def below(measured: Measured) -> str:
    """What intervals and marks are."""
    every = scores(measured)
    counts = sorted({score.photographs for score in every if math.isfinite(score.low)})
    count = plural(counts[-1], "photograph") if counts else ""
    over = f" over {counts[0]} to {count}" if len(counts) > 1 else f" over {count}"
    few = f": {too_few(ENOUGH)}" if all(score.rough for score in every) else ""
    sentences = [
        "+ trained on." if measured.trained else "",
        "What it was trained on is unknown." if measured.trained is None else "",
        f"In brackets: 95% intervals{over}{few}." if counts else "",
        f"* {too_few(ENOUGH)}." if any(mark(every, score) for score in every) else "",
    ]
    lower = [facts(m).label for m in measured.metrics if not facts(m).higher_is_better]
    sentences += [f"Lower is better for {', '.join(lower)}."] if lower else []
    return " ".join(filter(None, sentences))
