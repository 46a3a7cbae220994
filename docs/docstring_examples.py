"""A Griffe extension: the docstrings' section `Example:` is what Griffe calls `Examples:`."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object


class Examples(Extension):
    """Examples are shown as code."""

    def on_object(self, *, obj: Object, **given: Any) -> None:
        """Rename the section in one docstring."""
        if obj.docstring is not None:
            text = obj.docstring.value
            obj.docstring.value = re.sub(r"(?m)^Example:$", "Examples:", text)
