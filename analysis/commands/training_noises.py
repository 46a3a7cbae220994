"""Which noises of a run each model was trained on, as its checkpoint or the user says.

A checkpoint says so in its metadata (`training`), the user by `--in-distribution`. Where neither
does, it is unknown: no noise counts as trained on or as unseen for that model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.commands import trainings
from analysis.text.markdown import code, codes, listed
from analysis.text.noise_names import noise_phrase, noise_phrases, noise_words
from mtd.loading.model_names import prefixed
from mtd.noise.training_noise import TrainingNoise, changes_nothing
from mtd.utils.errors import BadInput, nearest
from mtd.utils.messages import verb

if TYPE_CHECKING:
    from mtd.networks.base import Denoiser

OPTION = "--in-distribution"

Trained = Mapping[str, Collection[str] | None]
"""By model, the noises of a run that it was trained on; None where that is unknown."""

LevelsOf = Callable[[], Mapping[str, tuple[float, float]]]
"""Finds, by noise of matched strength, the lowest and the highest σ of images, in 8-bit levels."""


def of_models(
    models: Mapping[str, Denoiser],
    given: Sequence[str],
    specs: Sequence[str],
    otherwise: Sequence[str] = (),
    levels: LevelsOf = dict,
) -> dict[str, tuple[str, ...] | None]:
    """Which noises each model was trained on; of several trainings, each of them.

    Args:
        models: networks by name; those without a source, such as the noisy input, are left out.
        given: values of `--in-distribution`; those that name a model come before others, and all
            before what a checkpoint says.
        specs: the noises of the run.
        otherwise: noises of a suite, for models of which nothing else is known.
        levels: see `within`.

    Raises:
        BadInput: an unknown model or noise, or trainings of one model on different noises.
    """
    trained: dict[str, tuple[str, ...] | None] = {}
    for name, (texts, said) in statements(models, given, specs).items():
        if texts:
            noise = TrainingNoise.parse(texts, specs)
        elif said is not None:
            noise = recorded_by_checkpoint(said)
        else:
            noise = recorded_by_checkpoint(*otherwise)  # may name a test set that is not here
        known = noise != TrainingNoise()
        trained[name] = within(noise, specs, levels) if known else None
    return trained


def statements(
    models: Mapping[str, Denoiser], given: Sequence[str], specs: Sequence[str]
) -> dict[str, tuple[list[str], str | None]]:
    """By model with a source, what `--in-distribution` and what its checkpoint say of its training.

    Raises:
        BadInput: see `of_models`.
    """
    loaded = {name: model for name, model in models.items() if model.source}
    of_model = trainings.trainings_of(loaded)
    calls = {
        name: [name] + [str(loaded[own].source.get("path")) for own in names if own == name]
        for name, names in of_model.items()
    }
    of_all, of_one = by_name(given, calls, specs)
    found = {}
    for name, names in of_model.items():
        texts = of_one.get(name) or of_all
        said = {own: said_by(loaded[own].source) for own in names}
        if len(set(said.values())) > 1 and not texts:
            each = [f"{noise or 'unknown'} of {own}" for own, noise in said.items()]
            raise BadInput(
                f"{name}: its trainings were trained on different noises ({listed(each)}); give "
                f"trainings that differ in their seed alone, or {OPTION} {name}=SPEC"
            )
        found[name] = (texts, said[names[0]])
    return found


def said_by(source: Mapping[str, Any]) -> str | None:
    """The noise that a checkpoint says it was trained on; None if it does not."""
    said = (source.get("training") or {}).get("noise")
    return said if isinstance(said, str) else None


def author(training: Mapping[str, Any]) -> str:
    """Who says what a model was trained on, in words for Markdown.

    Args:
        training: the entry `training` of its source.

    >>> author({"noise": "gaussian:15"}), author({"zoo": "kair/dncnn_25"})
    ('its checkpoint', 'the entry `kair/dncnn_25` of the model zoo')
    """
    zoo = training.get("zoo")
    return f"the entry {code(zoo)} of the model zoo" if zoo else "its checkpoint"


ASSUMED = "in_distribution_assumed"
"""The entry of a manifest that says for which models a suite's noises were taken."""


def assumed(
    models: Mapping[str, Denoiser],
    given: Sequence[str],
    specs: Sequence[str],
    otherwise: Sequence[str],
) -> list[str]:
    """The models of which nothing is known, so that a suite's noises count as trained on.

    For the arguments see `of_models`.
    """
    if not otherwise:
        return []
    known = statements(models, given, specs)
    return [name for name, (texts, said) in known.items() if not texts and said is None]


GIVEN = "in_distribution_given"
"""The entry of a manifest that says of which models `--in-distribution` was used."""


def given_entry(
    models: Mapping[str, Denoiser], given: Sequence[str], specs: Sequence[str]
) -> dict[str, Any]:
    """The entry `GIVEN`: by model, what the option says and what its checkpoint says, if anything.

    Empty where the option is not used. For the arguments see `of_models`.
    """
    used = {
        name: {"option": list(texts), "checkpoint": said}
        for name, (texts, said) in statements(models, given, specs).items()
        if texts
    }
    return {GIVEN: used} if used else {}


def overruled(
    given: Mapping[str, Mapping[str, Any]], models: Mapping[str, Mapping[str, Any]] | None = None
) -> list[str]:
    """A sentence on each model whose checkpoint says otherwise than `--in-distribution`.

    Args:
        given: of a manifest, see `given_entry`.
        models: of a manifest; they know whether the zoo says so instead of the checkpoint.

    >>> overruled({"a": {"option": ["gaussian:25"], "checkpoint": "gaussian:15"}})[0][:60]
    '`a` is taken to be trained on Gaussian σ = 25, as `--in-dist'
    """
    text = []
    for name, by in given.items():
        said = by["checkpoint"]
        if said is None or recorded_by_checkpoint(said) == recorded_by_checkpoint(*by["option"]):
            continue
        text.append(
            f"{code(name)} is taken to be trained on {noise_phrases(by['option'])}, as `{OPTION}` "
            f"says; {author((models or {}).get(name, {}).get('training') or {})} says "
            f"{noise_phrase(said)}."
        )
    return text


def within(noise: TrainingNoise, specs: Sequence[str], levels: LevelsOf = dict) -> tuple[str, ...]:
    """Those of some noises that a model was trained on; a noise of level 0 is none.

    Args:
        noise: what it was trained on.
        specs: the noises.
        levels: of noises of matched strength, which a range of levels may hold; called if there is
            a range.
    """
    own = levels() if noise.ranges else {}
    held = [spec for spec in specs if noise.holds(spec, own.get(spec))]
    return tuple(spec for spec in held if not changes_nothing(spec))


def recorded_by_checkpoint(*said: str) -> TrainingNoise:
    """What the metadata of checkpoints say, several noises with semicolons between them.

    A noise of a package that is absent, or a test set, is itself. Nothing, as in an empty text, is
    unknown.
    """
    single = [part.strip() for text in said for part in text.split(";") if part.strip()]
    known = [text for text in single if _is_specification(text)]
    return TrainingNoise.parse(single, [text for text in single if text not in known])


def by_name(
    given: Sequence[str],
    names: Mapping[str, Sequence[str]],
    specs: Sequence[str],
    what: str = "model",
) -> tuple[list[str], dict[str, list[str]]]:
    """Values of `--in-distribution` for all, and by name.

    Args:
        given: `SPEC` or `NAME=SPEC`.
        names: what each model, or run, may be called.
        specs: noises that are known by their names alone.
        what: `model` or `run`, for messages.

    Raises:
        BadInput: no such model, or no such noise.
    """
    of_all: list[str] = []
    of_one: dict[str, list[str]] = {}
    by_call = {call: name for name, calls in names.items() for call in calls}
    for text in given:
        call, spec = ("", text) if text in specs else prefixed(text, by_call)
        if error := _unknown(spec, specs):
            if not call and (head := _prefix_of_none(text, specs)):
                error = f"no {what} {head!r}; {nearest(head, names)}"
            raise BadInput(f"{OPTION} {text}: {error}")
        if call:
            of_one.setdefault(by_call[call], []).append(spec)
        else:
            of_all.append(spec)
    return of_all, of_one


def _unknown(text: str, specs: Sequence[str]) -> str:
    """Why a text names no noise; empty if it does."""
    try:
        TrainingNoise.parse([text], specs)
    except BadInput as error:
        recorded = [name for name in specs if not _is_specification(name)]
        return f"{error}; or a test set, {', '.join(recorded[:6])}" if recorded else str(error)
    return ""


def _prefix_of_none(text: str, specs: Sequence[str]) -> str:
    """What stands before `=` in a text where a name was meant, which may be misspelt; else empty.

    It is a name if a noise follows, or if it has no colon or comma, as noises have.

    >>> _prefix_of_none("modle=gaussian:15", []), _prefix_of_none("poison:3,values=unique", [])
    ('modle', '')
    """
    heads = [text[:i] for i, character in enumerate(text) if character == "="]
    for head in reversed(heads):
        if not head.rstrip().endswith(":") and not _unknown(text[len(head) + 1 :], specs):
            return head
    return heads[0] if heads and not set(":,") & set(heads[0]) else ""


def _is_specification(name: str) -> bool:
    try:
        TrainingNoise.parse([name])
    except BadInput:
        return False
    return True


def entry(trained: Trained) -> Any:
    """The entry of a manifest: a list if it is that of every model, else lists by model."""
    lists = {name: None if noises is None else list(noises) for name, noises in trained.items()}
    first = next(iter(lists.values()), [])
    alike = first is not None and all(noises == first for noises in lists.values())
    return first if alike else lists


def from_entry(entry: Any, models: Collection[str]) -> dict[str, Collection[str] | None]:
    """What `entry` was made of, for the models of a run."""
    if isinstance(entry, Mapping):
        return {name: entry.get(name) for name in models}
    return {name: None if entry is None else tuple(entry) for name in models}


def in_words(entry: Any) -> str:
    """The noises that models were trained on, from a manifest.

    >>> in_words(["gaussian:15"]), in_words({"a": ["gaussian:15"], "b": None})
    ('Gaussian σ = 15', 'Gaussian σ = 15 (a), unknown (b)')
    """
    if not isinstance(entry, Mapping):
        return ", ".join(map(noise_words, entry)) or "none of the noises"
    texts: dict[str, list[str]] = {}
    for name, noises in entry.items():
        text = (
            "unknown"
            if noises is None
            else ", ".join(map(noise_words, noises)) or "none of the noises"
        )
        texts.setdefault(text, []).append(name)
    if len(texts) == 1:
        return next(iter(texts))
    return ", ".join(f"{text} ({', '.join(names)})" for text, names in texts.items())


def splits(trained: Trained, noises: Sequence[str]) -> dict[str, bool | None]:
    """What each noise is to all models of which it is known what they were trained on.

    True if all of them were trained on it, False if none was, None if only some were, if it changes
    nothing, or if nothing is known of any model. Indices are means over the noises of one value,
    which are the same for every model.
    """
    known = [noises_of for noises_of in trained.values() if noises_of is not None]
    split: dict[str, bool | None] = {}
    for noise in noises:
        each = {noise in noises_of for noises_of in known}
        single = len(each) == 1 and not changes_nothing(noise)
        split[noise] = each.pop() if single else None
    return split


def unknown(trained: Trained) -> list[str]:
    """The models of which it is not known what they were trained on."""
    return [name for name, noises in trained.items() if noises is None]


def notes(trained: Trained, noises: Sequence[str]) -> list[str]:
    """Sentences on models of unknown training, and on noises that only some were trained on."""
    text = []
    if names := unknown(trained):
        text.append(
            f"What {codes(names)} {verb(len(names), 'was', 'were')} trained on is unknown: no "
            f"noise counts as trained on or as unseen. `{OPTION} MODEL=SPEC` states it."
        )
    known = {name: of for name, of in trained.items() if of is not None}
    split = splits(trained, noises)
    mixed = [n for n in noises if split[n] is None and any(n in of for of in known.values())]
    if mixed:
        text.append(
            f"Some of the models were trained on {noise_phrases(mixed)}, and some were not: means "
            "over noises trained on and over unseen noises leave out these."
        )
    return text
