"""Every reader under attack, by name.

The readers of each part of the project are registered in the list `READERS` of its module.
"""

from __future__ import annotations

from tests.attack import checkpoint_readers, folder_readers, image_readers, text_readers
from tests.attack.reader import Reader

READERS: list[Reader] = [
    *checkpoint_readers.READERS,
    *image_readers.READERS,
    *text_readers.READERS,
    *folder_readers.READERS,
]
