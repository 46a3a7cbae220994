"""The views that stand beside those of a run, so that its values have a ceiling and a null.

* *Ceiling*: a network under the same noise, drawn anew. What is not the same there is due to the
  draw, not to the kind of noise.
* *Untrained*: networks of the same architecture with random weights. What is the same there is due
  to the architecture and the images, not to training.
* *Other masks*: a network that masks attention at random, with other draws of its masks.

The *floor*, a layer on other photographs, needs no view of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TypeVar

from analysis.engine.observer import View

Layers = TypeVar("Layers", str, Sequence[str], list[str])


@dataclass(frozen=True)
class Controls:
    """Which views are the controls of which.

    Attributes:
        other_draws: by noise, the same noise with another draw; recorded noise has none.
        untrained: by model, networks of its architecture with random weights, by name.
        floor: whether layers are compared on different photographs, too.
        clean: noise that changes nothing, under which every network of the run is wanted, too;
            None where it is not.
        further_draws: by noise, more draws of it, for controls that need several.
        other_masks: by model, the same network with other draws of its random masks, by name;
            wanted under every draw of a noise.
        mask_means: by model, the same network as a mean over more draws of its masks, by name.
    """

    other_draws: Mapping[str, str] = field(default_factory=dict)
    untrained: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    floor: bool = True
    clean: str | None = None
    further_draws: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    other_masks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mask_means: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def draws(self, noise: str) -> tuple[str, ...]:
        """A noise and all its other draws."""
        other = self.other_draws.get(noise)
        return (noise, *([] if other is None else [other]), *self.further_draws.get(noise, ()))

    def with_untrained(self, layers: Mapping[str, Layers]) -> dict[str, Layers]:
        """Layers by network, and the same of the untrained networks of each."""
        every = dict(layers)
        for model, names in self.untrained.items():
            every |= dict.fromkeys(names, layers[model])
        return every

    def of_models(self, trainings: Mapping[str, Sequence[str]]) -> Controls:
        """The same by model: the untrained networks of its first training, which all share."""
        first = {model: names[0] for model, names in trainings.items()}
        untrained = {m: self.untrained[n] for m, n in first.items() if n in self.untrained}
        return replace(self, untrained=untrained)

    def other_draw(self, view: View) -> View | None:
        """The same network under another draw of the noise; None for noise without one."""
        noise = self.other_draws.get(view.noise)
        return None if noise is None else View(view.model, noise)

    def untrained_pairs(self, a: View, b: View) -> list[tuple[View, View]]:
        """What two views are compared with: untrained networks in place of their models.

        Of one model, each untrained network under both noises; of two, every two different ones,
        which do not share their random weights, the first in place of a's model.
        """
        first, second = self.untrained.get(a.model, ()), self.untrained.get(b.model, ())
        if a.model == b.model:
            return [(View(name, a.noise), View(name, b.noise)) for name in first]
        drawn = range(min(len(first), len(second)))
        return [
            (View(first[i], a.noise), View(second[j], b.noise)) for i, j in combinations(drawn, 2)
        ]

    def views(self, views: Iterable[View]) -> list[View]:
        """The controls of views, each once."""
        given = list(views)
        found = [
            View(name, draw)
            for view in given
            for name in (view.model, *self.other_masks.get(view.model, ()))
            for draw in self.draws(view.noise)
        ]
        found += [
            View(name, view.noise)
            for of in (self.mask_means, self.untrained)
            for view in given
            for name in of.get(view.model, ())
        ]
        known = list(dict.fromkeys(found))
        if self.clean is not None:
            known += [View(view.model, self.clean) for view in (*given, *known)]
        return [view for view in dict.fromkeys(known) if view not in given]


NONE = Controls(floor=False)
"""No controls."""
