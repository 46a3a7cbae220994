"""What a page says it was made with."""

NAME = "masked-training-denoisers"

URL = ""
"""Address of the project's repository, as `project.urls` of `pyproject.toml` has it; empty while it
has none."""
