"""What sentences say of noisy pictures, and when they say it."""

from __future__ import annotations

import math

import pandas as pd

from analysis.generalization.noisy import features, reading, tables
from analysis.generalization.noisy.inputs import BLUR, RECORDED
from analysis.text.noise_labels import NOISY

MANIFEST = {"crop": None, "images": ["photos"]}


def frames(
    fine: float = 5.0,
    coarse: float = 5.0,
    removed: float = 5.0,
    count: int = 12,
    models: tuple[str, ...] = ("a_b", "second"),
) -> dict[str, pd.DataFrame]:
    rows = []
    for i in range(count):
        for model in (*models, BLUR, NOISY):
            own = model == NOISY
            rows.append(
                {
                    "model": model,
                    "image": f"{i}.png",
                    "scene": f"{i}.png",
                    "top": 0,
                    "left": 0,
                    "height": 9,
                    "width": 9,
                    "sha256": str(i),
                    "noise_level": fine if own else 0.5,
                    "coarse_noise_level": coarse if own else 1.0,
                    "residual": math.nan if own else removed if model == "a_b" else 5.0,
                    "autocorrelation": math.nan if own else 0.25,
                    "autocorrelation_floor": math.nan if own else 0.1,
                    "detail_correlation": math.nan if own else 0.125,
                    "output": "",
                }
            )
    table = pd.DataFrame(rows)
    names = (*models, BLUR, NOISY)
    pairs = pd.DataFrame(
        [
            {**row, "model_a": a, "model_b": b, "difference": float(i + j)}
            for row in table[table.model == NOISY][list(tables.CROP)].to_dict("records")
            for i, a in enumerate(names)
            for j, b in enumerate(names)
            if i < j
        ]
    )
    return {
        "no_reference": table,
        "agreement": pairs,
        "means": tables.means(table, pairs),
        "features": compared(),
        "depth": depth_of("conv1", "conv2", "conv3"),
    }


def depth_of(*layers: str) -> pd.DataFrame:
    return pd.DataFrame([{"model": "a_b", "layer": layer} for layer in layers])


def compared(low: float = 0.8, draw: float = 0.99) -> pd.DataFrame:
    first = features.ESTIMATED
    row = dict.fromkeys(features.COLUMNS, 0.0)
    row |= {"model": "a_b", "noise_a": first, "strength_a": 5.0, "strength_b": 6.0, "note": ""}
    layers = {"CKA": "conv1;conv2;conv3", "SRGA": "input:conv_last"}
    values = {features.again(first): (draw, 0.98, 1.0), RECORDED: (0.9, low, 0.95)}
    return pd.DataFrame(
        [
            row
            | {"quantity": measure, "layer": layers[measure], "noise_b": noise}
            | {"value": v, "low": a, "high": b}
            | {"patches": 64}
            for measure in ("CKA", "SRGA")
            for noise, (v, a, b) in values.items()
        ]
    )


def text(given: dict[str, pd.DataFrame]) -> str:
    return "\n".join(reading.sentences(given, MANIFEST))


def test_it_is_said_that_there_is_no_psnr_and_what_figures_do_not_say():
    said = text(frames())
    assert said.startswith(
        "12 noisy pictures without a clean image: there is no PSNR, SSIM or LPIPS"
    )
    assert "nothing here says which model restores better" in said
    assert "A whiter residual is not a better image" in said
    assert "Models that agree may be wrong alike" in said
    assert "leave out one photograph at a time" in said
    assert "`a_b`" in said and "(root mean square at lags up to 3 pixels; 0.100 for white" in said
    table = reading.terminal_table(frames(), MANIFEST)
    assert table.startswith("12 noisy whole pictures (photos); no clean image, so no PSNR")
    order = [line.split("  ")[0] for line in table.splitlines()[3:7]]
    assert order == ["a_b", "second", BLUR, NOISY]


def test_correlated_noise_is_named():
    assert "spatially correlated" not in text(frames(5, 6))
    said = text(frames(2, 5))
    assert "The coarser estimate is 2.5 times the finer one" in said
    assert "spatially correlated" in said


def test_a_model_that_takes_away_more_than_the_noise_is_named():
    assert "took away more" not in text(frames(removed=7))
    said = text(frames(fine=4.5, removed=8))
    assert (
        "`a_b` took away more than 1.5 times the estimated noise level: part of that is image, or "
        "a change of brightness or color." in said
    )
    assert "unless the noise is correlated over more pixels" in text(frames(2, 5, removed=8))
    uncertain = frames(removed=8)
    means = uncertain["means"]
    means.loc[(means.quantity == "residual") & (means.model == "a_b"), "low"] = 7.4
    assert "took away more" not in text(uncertain)


def test_few_pictures_decide_nothing():
    assert "2 photographs are too few for intervals: at least 3" in text(frames(count=2))
    assert "1 noisy picture without" in text(frames(count=1))
    rough = text(frames(count=5))
    assert "With 5 photographs they are rough" in rough and "too few for" not in rough
    few = "Difference from another draw of the synthetic noise: too few images to tell (at least 10"
    assert few in rough and "Not shown to differ" not in rough


def test_agreement_of_one_two_and_many_models():
    assert "One model: no agreement" in text(frames(models=("a_b",)))
    assert "1.00 levels [1.00, 1.00] between `a_b` and `second`" in text(frames())
    said = text(frames(models=("a_b", "b", "c", "d")))
    assert "closest and farthest of 6 pairs" in said
    assert "between `a_b` and `b`" in said and "between `c` and `d`" in said


def test_measures_stand_beside_another_draw():
    said = text(frames())
    assert "white Gaussian noise of each picture's coarser estimate, on 64 patches" in said
    assert (
        "noisy patches are 6.0 levels away (root mean square), those with synthetic noise 5.0"
        in said
    )
    assert "0.900 [0.800, 0.950] for `a_b` (for another draw of the synthetic noise 0.990" in said
    assert "CKA (mean over the last quarter of the layers; conv1 to conv3; 1 is equal" in said
    assert "SRGA (before the last convolution; 0 is no distance" in said
    assert "Not shown to differ" not in said and "SRGA uses at least 300." in said
    names = ("conv_first", *(f"layers.0.residual_group.blocks.{i}" for i in range(3)))
    blocks = frames() | {"depth": depth_of(*names)}
    assert "CKA (mean over the last quarter of the blocks; conv1 to" in text(blocks)
    near = frames() | {"features": compared(draw=0.94)}
    assert "from another draw of the synthetic noise: CKA of `a_b` and SRGA of `a_b`" in text(near)
    assert "differ in strength" not in said and "No intervals of" not in said
    none = text(frames() | {"features": compared(low=math.nan, draw=0.94)})
    assert "Not told apart" not in none
    assert "No intervals of CKA and SRGA: too few pictures" in none
    unequal = text(frames() | {"features": compared().assign(strength_b=3.0)})
    assert "The two differ in strength" in unequal


def test_a_measure_that_is_left_out_is_named():
    part = compared()
    gone = pd.concat([part[part.quantity == "CKA"], features.left_out("SRGA", "no convolution")])
    said = text(frames() | {"features": gone})
    assert (
        "SRGA was left out: no convolution." in said and "CKA (mean over the last quarter" in said
    )
    both = pd.concat([features.left_out(name, "too small") for name in ("CKA", "SRGA")])
    said = text(frames() | {"features": both})
    assert "CKA was left out: too small." in said and "stand" not in said


def test_layers_are_named_by_model_where_they_differ():
    part = compared()[:2]
    other = part.assign(model="second", layer="conv7")
    said = reading.layers_of(pd.concat([part, other]))
    assert said == "conv1 to conv3 of `a_b`; conv7 of `second`"
    assert reading.layers_of(other) == "conv7"
