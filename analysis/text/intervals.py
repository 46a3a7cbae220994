"""What 95% intervals are about, in a sentence."""

from __future__ import annotations

FEW = 10
"""With fewer photographs, or crops of them, intervals are rough."""


def about_intervals(unit: str, photographs: int, crops: int) -> str:
    """Which units the intervals leave out, and so what they are about.

    Args:
        unit: that is left out, a `scene` or a `crop`; see `analysis.stats.jackknife.draws`.
        photographs: number of photographs.
        crops: number of crops.

    >>> print(about_intervals("scene", 24, 24).partition(":")[0])
    The 95% intervals leave out one photograph at a time
    """
    if unit == "scene":
        what, about = "photograph", "other photographs, not about other trainings"
    else:
        of = f"these {photographs} photographs" if photographs > 1 else "this photograph"
        what = f"crop of {of}"
        same = "these photographs" if photographs > 1 else "this photograph"
        about = f"other crops of {same}, not about other photographs or trainings"
    count = f"{photographs} photographs" if unit == "scene" else f"{crops} crops"
    few = (photographs if unit == "scene" else crops) < FEW
    rough = f" With {count} they are rough." if few else ""
    return f"The 95% intervals leave out one {what} at a time: they are about {about}.{rough}"
