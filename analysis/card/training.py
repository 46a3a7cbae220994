"""What a model was trained on, as far as it is known, and who says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.card.measured import Measured
from analysis.commands import training_noises
from analysis.text.markdown import code
from analysis.text.noise_names import noise_phrase, noise_phrases


def recorded(about: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry `training` of a model; of several trainings, which have one noise, the first's.

    Args:
        about: the model's entry of a manifest.
    """
    each = [one for one in (about.get("trainings") or {}).values() if one.get("training")]
    entry: Mapping[str, Any] = about.get("training") or (each[0]["training"] if each else {})
    return entry


def sentence(measured: Measured) -> str:
    """What the model was trained on, and who says so: the user, the zoo, a checkpoint, a suite."""
    manifest, entry = measured.manifest, recorded(measured.about)
    given = manifest.get(training_noises.GIVEN, {}).get(measured.model)
    assumed = manifest.get(training_noises.ASSUMED)
    if given:
        own, who = noise_phrases(given["option"]), f"`{training_noises.OPTION}` says"
    elif said := training_noises.said_by({"training": entry}):
        own, who = noise_phrase(said), f"{training_noises.author(entry)} says"
    elif assumed:
        own = noise_phrases(assumed["noises"])
        who = f"suite {code(measured.suite())} prescribes; nothing else is known"
    elif measured.trained:
        own, who = noise_phrases(measured.trained), "the run's manifest says"
    else:
        return "**Trained on:** unknown."
    return f"**Trained on:** {own}, as {who}."
