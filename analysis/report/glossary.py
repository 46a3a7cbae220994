"""The terms of a report, each in two sentences at most, with a source where it has one."""

from __future__ import annotations

from mtd.metrics.registry import BUILT_IN

DOI = "https://doi.org/"
ARXIV = "https://arxiv.org/abs/"

BETTER = {metric.name: metric.direction for metric in BUILT_IN}
"""Which way is better, by metric; without those of other packages, which are loaded later."""

TERMS: dict[str, tuple[str, str]] = {
    "95% interval": (
        "The range of values that the photographs leave plausible, made by leaving out one "
        "photograph at a time. With fewer than 10 photographs it is rough.",
        f"{DOI}10.1214/aos/1176345462",
    ),
    "best classical reference": (
        "Of the classical denoisers beside the models (a Gaussian blur, a 3 × 3 median), the "
        "one with the best mean under unseen noise. A network that is not better than it has "
        "learned little that helps there.",
        "",
    ),
    "Calinski–Harabasz index (CH)": (
        "Variance of the features between classes, divided by that within classes. With noises "
        "as classes, 1 is what random labels give; below 1 content outweighs noise, above 1 the "
        "noises form clusters.",
        f"{DOI}10.1080/03610927408827101",
    ),
    "ceiling, or noise redrawn": (
        "The same measurement for the reference noise drawn again. A similarity as high as "
        "this, or a distance as small, says nothing about the kind of noise.",
        "",
    ),
    "CKA": (
        "Centered kernel alignment, the similarity of two representations of the same samples: "
        "1 if they are the same up to rotation and scale, about 0 if they are unrelated. "
        "Untrained networks have high values, too, so read it beside its controls.",
        f"{ARXIV}1905.00414",
    ),
    "crop": (
        "A square cut from a photograph; nothing is resized. Crops of one photograph count as "
        "one draw.",
        "",
    ),
    "damage": (
        "The part of the mean squared error that is the same under every draw of the noise "
        "(bias²): image content that is lost or changed.",
        "",
    ),
    "diffusion index (DI)": (
        "High if many pixels of the input contribute to the output, low if a few contribute "
        "nearly everything.",
        f"{ARXIV}2011.11036",
    ),
    "floor, or other photographs": (
        "The same measurement between different photographs under the reference noise: what "
        "unrelated content gives.",
        "",
    ),
    "gain": (
        "Of a layer, its change from the clean to the noisy image divided by that of the image, "
        "both relative to their spread over clean images: below 1 noise is dampened. Of image "
        "content or noise at a spatial frequency, the factor of its amplitude in the output.",
        "",
    ),
    "Jensen–Shannon divergence (JS)": (
        "A distance of two distributions in bits: 0 if they are the same, 1 if they do not "
        "overlap.",
        f"{DOI}10.1109/18.61115",
    ),
    "leak": (
        "The part of the mean squared error that changes with the draw of the noise (variance): "
        "noise that is let through.",
        "",
    ),
    "LPIPS": (
        f"A distance of two images in the features of a classification network; {BETTER['lpips']}.",
        f"{ARXIV}1801.03924",
    ),
    "own fixed filter": (
        "The linear filter with a model's own mean gain of image content at each spatial "
        "frequency. A model that is not better than it acts as a blur.",
        "",
    ),
    "p after Holm's correction": (
        "The probability of a difference at least this clear if the models were equally good "
        "(Wilcoxon's signed-rank test), corrected for the number of tests.",
        "https://www.jstor.org/stable/4615733",
    ),
    "photograph": (
        "The unit of every interval: conclusions are about other photographs, so that their "
        "number counts, not that of the crops.",
        "",
    ),
    "PSNR": (
        f"Peak signal-to-noise ratio in dB, 10 log₁₀(255²/MSE) of 8-bit images; {BETTER['psnr']}.",
        f"{DOI}10.1109/TIP.2003.819861",
    ),
    "PSNR drop": (
        "PSNR under the noise trained on minus the mean under unseen noise. It is small if a "
        "model is good under unseen noise, but also if it is poor under the noise trained on.",
        "",
    ),
    "reference noise": (
        "The noise that others are compared with, as a rule the one that the models were "
        "trained on.",
        "",
    ),
    "shown, not shown, too few images": (
        "A difference is shown if its 95% interval excludes 0, and p after Holm's correction, "
        "where there is one, is below 0.05, with at least 10 photographs. Not shown leaves the "
        "question open: it does not mean that there is no difference.",
        "",
    ),
    "SRGA": (
        "Distance of the features before the last convolution under another noise from those "
        "under the reference: 0 is none. It compares noises within a model, and only models of "
        "similar PSNR.",
        f"{ARXIV}2205.07019",
    ),
    "SSIM": (
        f"Structural similarity of two images, 1 if they are the same; {BETTER['ssim']}.",
        f"{DOI}10.1109/TIP.2003.819861",
    ),
    "trained, or in distribution": (
        "Under the noise that a model was trained on, kind and level.",
        "",
    ),
    "training": (
        "One run of training. A model with several is shown as their mean; a single one says "
        "nothing about other seeds.",
        "",
    ),
    "unseen, or out of distribution": (
        "Under noise that no model was trained on, another kind or level. A mean over unseen "
        "noise counts every kind the same, however many levels it has.",
        "",
    ),
    "untrained": (
        "Networks of the same architecture with random weights. A value like theirs is no "
        "evidence of an effect of training.",
        "",
    ),
    "Wasserstein distance (W1)": (
        "How far the features before the last convolution have moved from their distribution "
        "under the reference noise, in standard deviations (σ) under it.",
        f"{DOI}10.1007/978-3-540-71050-9",
    ),
}
"""Definition and address of its source, by name, in alphabetical order."""


def terms() -> list[tuple[str, str, str]]:
    """Name, definition and source of every term."""
    return [(name, text, source) for name, (text, source) in TERMS.items()]


def definition(name: str) -> str:
    """What a term means."""
    return TERMS[name][0]
