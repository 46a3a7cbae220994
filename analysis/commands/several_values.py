"""Several values after one option: `--noise gaussian:15 poisson:3.5 a.pth b.pth`.

Models may follow an option's values. A value is told from a model by what it looks like: noises
begin with a kind of noise, images are folders without a run in them, and image files; whatever is
left begins the models. `--images=photos a.pth`, with an equals sign, has one value.
"""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mtd.loading.classical import is_spec
from mtd.utils.errors import BadInput, close_to

MANIFEST = "manifest.json"
"""A file of every run folder; see `analysis.commands.run_manifest`, which imports PyTorch."""

Belongs = Callable[[str], bool]
"""Whether an argument is one more value of the option before it."""


def is_model(text: str) -> bool:
    """Whether an argument is a model by its name, there or not.

    >>> is_model("runs/a.pth"), is_model("kair/dncnn_25"), is_model("gaussian:15")
    (True, True, False)
    """
    from mtd.loading import hub, zoo  # not for --help
    from mtd.loading.locations import SUFFIXES, bundled_names

    published = hub.is_address(text) or text in zoo.entries() or text in bundled_names()
    return published or is_spec(text) or text.lower().endswith(SUFFIXES)


def is_noise(text: str) -> bool:
    """Whether an argument is a noise, perhaps a misspelt one.

    Raises:
        BadInput: it is a noise, and also a file.

    >>> is_noise("poison:3"), is_noise("isp"), is_noise("a.pth"), is_noise("masked=runs/*/a.pth")
    (True, True, False, False)
    """
    from mtd.noise import specs as noise_specs

    if is_model(text) or text.startswith(noise_specs.FOLDER):
        return not is_model(text)
    word = re.split(r"[:=@,\s\d]", text)[0]
    if not word or "/" in text.partition(":")[0] or not close_to(word, noise_specs.kinds()):
        return False
    if os.path.lexists(text):
        if noise_specs.kind_of(word) is None:
            return False
        raise BadInput(
            f"{text}: a noise, or the file of that name? give --noise={text}, or ./{text}"
        )
    return True


def is_training_noise(text: str) -> bool:
    """Whether an argument is a noise that a model was trained on, `[MODEL=]SPEC[..SPEC]`."""
    name, equals, spec = text.partition("=")
    return is_noise(text) or (bool(equals) and not name.endswith(":") and is_noise(spec))


def is_image(text: str) -> bool:
    """Whether an argument is a folder of images, or an image file.

    A folder with a run in it is given in the place of models.
    """
    if is_model(text):
        return False
    path = Path(text)
    if path.is_dir():
        return not (path / MANIFEST).is_file()
    kind, _ = mimetypes.guess_type(text, strict=False)
    return path.is_file() or text.endswith("/") or (kind or "").startswith("image/")


OPTIONS: Mapping[str, Belongs] = {
    "--noise": is_noise,
    "--in-distribution": is_training_noise,
    "--images": is_image,
    "--noisy": is_image,
}
"""The options that take several values."""


def written_out(arguments: Sequence[str], several: Mapping[str, Belongs]) -> list[str]:
    """Arguments with an option before each of its values.

    Args:
        arguments: of a command line.
        several: the options that take several values.

    >>> written_out(["--noise", "gaussian:15", "isp", "a.pth"], {"--noise": is_noise})
    ['--noise', 'gaussian:15', '--noise=isp', 'a.pth']
    """
    texts: list[str] = []
    option, has_value = "", False
    for text in arguments:
        if text.startswith("-"):
            option, has_value = text, False
            texts.append(text)
        elif option in several and has_value and several[option](text):
            texts.append(f"{option}={text}")
        else:
            option, has_value = ("", False) if has_value else (option, True)
            texts.append(text)
    return texts
