"""Networks that raise an error in the middle of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mtd.utils import interruptions
from mtd.utils.device import is_out_of_memory
from mtd.utils.errors import BadInput, Failed, NetworkError, OutOfMemory


class NetworkFailed(Failed):
    """A network raised an error of its own.

    Attributes:
        model: its name.
        reason: type and first line of the error.
    """

    def __init__(self, message: str, model: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.model, self.reason = model, reason


class OfObserver(Exception):
    """Around an error that a hook raised, which is not the network's."""


@contextmanager
def of_network(model: str, at_once: bool) -> Iterator[None]:
    """Context of a call of a network: its errors name it, a lack of memory is one of its own.

    Args:
        model: its name.
        at_once: whether nothing has been computed of it yet; such an error stays as it is.

    Raises:
        NetworkFailed: it raised an error.
        OutOfMemory: memory ran out.
    """
    try:
        with interruptions.recognized():
            yield
    except OfObserver as error:
        raise error.__cause__ or error from None
    except Exception as error:
        if isinstance(error, BadInput | Failed) and not isinstance(error, NetworkError):
            raise
        if is_out_of_memory(error):
            raise out_of_memory() from error
        if at_once:
            raise
        first = (str(error).strip().splitlines() or [""])[0][:160]
        reason = f"{type(error).__name__}{': ' if first else ''}{first}"
        raise NetworkFailed(f"{model}: the network failed ({reason})", model, reason) from error


@contextmanager
def memory() -> Iterator[None]:
    """Context of a computation: if memory runs out, say what to do.

    Raises:
        OutOfMemory: memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, Failed) or not is_out_of_memory(error):
            raise
        raise out_of_memory() from None


def out_of_memory() -> OutOfMemory:
    """The error, once the device's memory that nobody uses any more is free."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return OutOfMemory("out of memory: lower --batch-size, --crop or --memory")
