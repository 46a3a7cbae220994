"""Sections of a report: how many crops each has, and how these nest."""

from __future__ import annotations

import pytest

from analysis.engine import observer as engine_observer
from analysis.engine import run as engine_run
from analysis.report import crop_plan, sections
from analysis.report.command import parser
from analysis.report.settings import ReportSettings, limits
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.utils.errors import BadInput


def test_sections_are_chosen_in_the_order_of_the_page():
    assert sections.choose(None) == sections.defaults()
    assert sections.choose(",".join(sections.headings())) == list(sections.headings())
    assert sections.choose(" srga,generalization,") == ["generalization", "srga"]
    with pytest.raises(BadInput, match="did you mean srga"):
        sections.choose("sgra")
    with pytest.raises(BadInput, match="names none"):
        sections.choose(" , ")


def test_sections_that_take_long_are_computed_where_they_are_named():
    left_out = [name for name in sections.headings() if name not in sections.defaults()]
    assert left_out == ["stitch", "causal_effects"]
    assert "except stitch and causal_effects" in " ".join(parser().format_help().split())
    assert not {"stitch", "causal_effects"} & set(sections.choose(None))
    assert {"linear", "causal"} < set(sections.choose(None))
    assert sections.choose("causal_effects,error") == ["error", "causal_effects"]
    both = sections.choose("causal_effects, default")
    assert both == [name for name in sections.headings() if name != "stitch"]
    assert sections.choose(None)[:2] == ["error", "generalization"]
    assert sections.named("default,srga") == ["srga"] and sections.named(None) == []


def test_a_section_with_its_own_pass_has_one_small_crop_of_each_photograph():
    crops = data_crops.crops(photographs.photographs(), 32, 40)
    chosen = crop_plan.one_of_each(crops, 12, seed=1)
    assert [crop.image for crop in chosen] == [p.name for p in photographs.photographs()]
    assert all(crop in crops for crop in chosen)
    few = crop_plan.one_of_each(crops, 2, seed=1)
    assert len(few) == 2 and all(crop in chosen for crop in few)
    assert crop_plan.one_of_each(crops, 12, seed=2) != chosen
    small = crop_plan.center(chosen[0], 10)
    assert (small.top, small.left) == (chosen[0].top + 11, chosen[0].left + 11)
    assert (small.pixels == chosen[0].pixels[11:21, 11:21]).all()
    assert small.digest != chosen[0].digest and small.scene == chosen[0].scene
    assert crop_plan.center(chosen[0], 32) is chosen[0]


@pytest.mark.parametrize(("side", "crop"), [(64, 48), (48, 48), (24, 24), (8, 8)])
def test_settings_of_sections_fit_the_crops_of_a_report(side, crop):
    report = ReportSettings(crop=side)
    unseen = ("poisson:3.5", "spatial:60")
    own = {
        name: record.report_settings(record.settings.under(report, "gaussian:15", unseen))
        for name, record in sections.computed().items()
        if name in ("linear", "causal", "stitch", "causal_effects")
    }
    assert own["linear"].specs == own["stitch"].specs == ("gaussian:15", "poisson:3.5")
    assert own["causal"].specs == ("gaussian:15", "poisson:3.5")
    assert own["causal_effects"].specs == ("poisson:3.5",)
    assert not own["linear"].is_whole and own["linear"].crop == min(side, 24)
    assert own["stitch"].crop == side
    assert own["causal"].crop == own["causal_effects"].crop == crop
    maps = own["causal_effects"]
    assert maps.window_side == 2 * maps.block <= crop / 3 and maps.patches == maps.coarse


def test_sections_have_most_crops():
    counts = ReportSettings(max_crops=("srga=9",)).crops_of(128)
    assert counts == limits() | {"srga": 9}
    assert set(ReportSettings(limit=5).crops_of(128).values()) == {5}
    assert ReportSettings(limit=12).crops_of(128)["attribution"] == 10  # its own, which is less
    older = ReportSettings(budget=("srga=1.5", "generalization=0.4", "cka=0.000001")).crops_of(128)
    assert (older["srga"], older["generalization"], older["cka"]) == (366, 24, 1)
    for text in ("sgra=1", "srga", "srga=0", "srga=-1", "srga=nan", "srga=inf", "curves=1"):
        with pytest.raises(BadInput, match=text.partition("=")[0]):
            ReportSettings(max_crops=(text,))


def test_crops_nest_and_each_comes_once():
    crops = data_crops.crops(photographs.photographs(), 16, 40)
    parts = crop_plan.nested(crops, [10, 25, 10, 99], seed=1)
    assert [len(part) for part in parts] == [10, 15, 15]
    digests = [crop.digest for part in parts for crop in part]
    assert sorted(digests) == sorted(crop.digest for crop in crops)
    order = [crop.digest for crop in crops]
    for part in parts:  # as they come, within a part
        places = [order.index(crop.digest) for crop in part]
        assert places == sorted(places)
    again = crop_plan.nested(crops, [10], seed=1)
    assert again[0] == parts[0]  # whatever the other sections have
    assert crop_plan.nested(crops, [10], seed=2)[0] != parts[0]
    assert len({crop.image for crop in parts[0]}) > 1


class Watcher(engine_observer.Observer):
    name = "watcher"

    def __init__(self):
        super().__init__()
        self.layers, self.met = {"a": [engine_observer.OUTPUT]}, []

    @property
    def key(self):
        return {}

    def extract(self, layer, value, noisy):
        return {}

    def update(self, batch, activations):
        self.met.append((batch.index, sorted(v.noise for v in activations)))

    def compute(self):
        return self.met


def test_an_observer_meets_only_batches_that_it_observes(pair):
    import mtd
    from mtd.noise import specs as noise_specs

    crops = data_crops.crops(photographs.photographs(), 16, 6)
    groups = engine_run.batches(crops, 2)
    noises = [noise_specs.parse("gaussian:15"), noise_specs.parse("poisson:3")]
    one, other = Watcher(), Watcher()
    models = {"a": mtd.load(pair / "plain.pth")}
    watches = [
        engine_observer.Watch(one, batches={0}),
        engine_observer.Watch(other, views={engine_observer.View("a", "poisson:3")}),
    ]
    views = list(engine_run.run_batches(models, noises, groups, watches))
    assert one.met == [(0, ["gaussian:15", "poisson:3"])]
    assert other.met == [(i, ["poisson:3"]) for i in range(3)]
    assert [view.noise for view in views].count("gaussian:15") == 1  # nobody observes the others
