"""The model card: `README.md`, in Markdown with the front matter of the Hugging Face Hub."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from analysis.card import missing, training
from analysis.card.measured import NO_SUITE, Measured
from analysis.card.record import LIBRARY, About
from analysis.card.scores import ALL, GAP, IN, OUT, WORST, Score, names, scores, sets_of
from analysis.generalization import metrics, reading, summary
from analysis.text.markdown import code, codes, escaped, listed
from analysis.text.noise_names import noise_phrase, noise_phrases
from analysis.text.verdicts import in_words
from mtd.noise.training_noise import changes_nothing

LABELS = {
    IN: "in distribution",
    OUT: "out of distribution, mean",
    WORST: "out of distribution, worst",
    GAP: "gap between in and out",
    ALL: "all noises, mean",
}
"""Rows of the table."""


def text(measured: Measured, about: About) -> str:
    """The whole card."""
    parts = [
        front_matter(about),
        f"# {escaped(about.model_id or measured.model)}",
        model(measured),
        "## Results",
        benchmark(measured),
        table(measured),
        items(about_results(measured)),
        "## What is missing",
        items(missing.sentences(measured) or ["Nothing."]),
        "## Protocol",
        "\n\n".join([protocol(measured), *of_whole_images(measured)]),
        "## Where the numbers come from",
        provenance(measured),
    ]
    return "\n\n".join(parts) + "\n"


def protocol(measured: Measured) -> str:
    """How noisy images were made and outputs scored."""
    return grid(["", ""], [[code(name), escaped(v)] for name, v in measured.protocol().items()])


def of_whole_images(measured: Measured) -> list[str]:
    """For which metrics the border and the luma of the protocol do not hold."""
    labels = [escaped(metrics.facts(name).label) for name in measured.whole()]
    if not labels:
        return []
    names = code("border"), code("metric_domain")
    verb = "is" if len(labels) == 1 else "are"
    return [f"{listed(labels)} {verb} of the whole image in color, whatever {listed(names)} say."]


def front_matter(about: About) -> str:
    """What the Hub reads of a model card; a licence is for the author to state."""
    import yaml

    values = {
        "pipeline_tag": "image-to-image",
        "tags": ["image-denoising", "image-restoration", "generalization"],
        **({"datasets": [about.dataset]} if about.dataset else {}),
    }
    written: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    return f"---\n{written}---"


def model(measured: Measured) -> str:
    """Architecture, masks, and what the model was trained on."""
    known = measured.about
    trainings = known.get("trainings") or {}
    count = known.get("parameters")
    size = f" with {count:,} parameters" if isinstance(count, int) else ""
    what = f"{escaped(str(known.get('architecture') or 'A network'))}{size}"
    if len(trainings) > 1:
        what += f", {len(trainings)} trainings that differ in their seed"
    masks = f"; {escaped(str(known['policy']))}" if known.get("policy") else ""
    return f"{what}{masks}. {training.sentence(measured)}"


def benchmark(measured: Measured) -> str:
    """Which images under which noises."""
    suite = "Noises given one by one"
    if measured.suite() != NO_SUITE:
        suite = f"Suite {code(measured.suite())}, version {escaped(measured.version())}"
    images = escaped(summary.measured(measured.frames["results"], measured.manifest))
    known = any(math.isfinite(score.low) for score in scores(measured))
    return f"{suite}; {images}." + f" In brackets: 95% intervals over {measured.draws}." * known


def table(measured: Measured) -> str:
    """The scores of every metric over several noises, then under each, then on its test sets."""
    every = scores(measured)
    found = {(score.metric, score.of): score for score in every}
    head = ["", *(escaped(summary.label(metric)) for metric in measured.metrics)]
    rows = [[row(measured, every, of), *cells(measured, found, of)] for of in names(every)]
    return grid(head, rows)


def row(measured: Measured, every: Sequence[Score], of: str) -> str:
    """The heading of a row; of a noise with several test sets, how many images there are."""
    if of in LABELS:
        return LABELS[of]
    score = next(one for one in every if one.of == of)
    count, sets = measured.amount(score.crops or 0, score.photographs), sets_of(every, score)
    if score.testset:
        return f"{noise_phrase(score.noise)} on {code(score.testset)}, {count}"
    trained = measured.trained is not None and score.noise in measured.trained
    parts = [f"{noise_phrase(score.noise)}{' (trained on)' if trained else ''}"]
    if any(one.noise == score.noise and one.testset and not one.whole for one in every):
        parts += [f"all {count}"]
    elif sets:
        return f"{parts[0]} on {codes(sets)}"
    return ", ".join(parts)


def cells(measured: Measured, found: dict[tuple[str, str], Score], of: str) -> Iterable[str]:
    """The values of a row, a dash for none; with the noise that is the worst."""
    for metric in measured.metrics:
        score = found.get((metric, of))
        worst = f", {noise_phrase(score.noise)}" if score is not None and of == WORST else ""
        yield "–" if score is None else f"{score}{worst}"


def about_results(measured: Measured) -> list[str]:
    """The sentences of the benchmark that are about this model, and its gap; what was not run is
    among what is missing."""
    elsewhere = {f"{line}." for line in metrics.of_not_run(measured.manifest)}
    texts = []
    for text in reading.sentences(measured.frames, measured.manifest):
        texts += [] if text in elsewhere else [text]
        if text.startswith(summary.drop_label(measured.metrics[0])):
            texts += gaps(measured)
    return [*texts, *left_out(measured)]


def left_out(measured: Measured) -> list[str]:
    """The noises that means in and out of distribution leave out because models differ in them."""
    if measured.trained is None:
        return []
    mixed = [n for n in measured.noises if measured.split[n] is None and not changes_nothing(n)]
    return [
        f"Scores in and out of distribution leave out {noise_phrases(mixed)}, which only some "
        "models of the run were trained on."
    ] * bool(mixed)


def gaps(measured: Measured) -> list[str]:
    """Whether the gap between in and out of distribution is shown, by PSNR."""
    return [
        f"That quality by {summary.with_unit(score.metric)} "
        f"{'rises' if score.value < 0 else 'falls'} from the noise trained on to unseen noise: "
        f"{in_words(score.verdict)}."
        for score in scores(measured)
        if score.of == GAP and score.metric == measured.metrics[0]
    ]


def provenance(measured: Measured) -> str:
    """Digests, command, versions and time."""
    known, log = measured.about, measured.log
    trainings = known.get("trainings") or {measured.model: known}
    rows = []
    for name, one in trainings.items():
        which = f" of {code(name)}" if len(trainings) > 1 else ""
        rows += [
            [f"file{which}", code(one.get("path", "unknown"))],
            [f"SHA-256 of the file{which}", code(one.get("sha256", "unknown"))],
            [f"SHA-256 of the weights{which}", code(one.get("weights_sha256", "unknown"))],
        ]
    versions = measured.manifest["versions"]
    rows += [
        ["SHA-256 of the images", code(measured.digest_of_images())],
        ["command", code(log.get("command") or "unknown")],
        ["finished", escaped(str(log.get("finished") or "unknown"))],
        ["versions", escaped(", ".join(f"{name} {value}" for name, value in versions.items()))],
    ]
    files = (
        "`result.json` has the scores in the form of [Every Eval Ever](https://evalevalai.com) "
        "0.3.0, `images.jsonl` those of single images. Made by `mtd card` of "
        f"{LIBRARY}; every number is of this run, none is taken from a paper."
    )
    return f"{grid(['', ''], rows)}\n\n{files}"


def items(sentences: Iterable[str]) -> str:
    """A list in Markdown."""
    return "\n".join(f"- {sentence}" for sentence in sentences)


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
