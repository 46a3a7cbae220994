"""Modules that are compiled: run as they were written, so that hooks fire, or refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

import torch
from torch import nn

from mtd.utils.errors import BadInput


def original(module: nn.Module) -> nn.Module:
    """The module that `torch.compile` returned a wrapper of; any other module as it is."""
    inner = getattr(module, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else module


def check_not_scripted(module: nn.Module) -> None:
    """Check that a module is no TorchScript, whose layers call no hooks.

    Raises:
        BadInput: it is.
    """
    if isinstance(original(module), torch.jit.ScriptModule):
        raise BadInput(
            "a TorchScript module, whose layers cannot be recorded: give the nn.Module that it was "
            "made from"
        )


def is_compiled(module: nn.Module) -> bool:
    """Whether a module, or a part of it, is compiled."""
    whole = getattr(module, "whole", module)  # of an `ExternalNetwork`
    return any(
        original(part) is not part or getattr(part, "_compiled_call_impl", None) is not None
        for part in (*whole.modules(), *module.modules())
    )


class _Stance:
    """PyTorch's stance is the process's: it is changed by the first context of any thread that
    wants it changed, and back by the last."""

    def __init__(self) -> None:
        self.lock, self.open, self.held = Lock(), 0, ExitStack()

    @contextmanager
    def eager(self) -> Iterator[None]:
        with self.lock:
            if not self.open:
                self.held.enter_context(torch.compiler.set_stance("force_eager"))
            self.open += 1
        try:
            yield
        finally:
            with self.lock:
                self.open -= 1
                if not self.open:
                    self.held.close()


_STANCE = _Stance()


@contextmanager
def eager(module: nn.Module) -> Iterator[None]:
    """Run a module without its compiled code.

    Compiled code calls no hooks that were registered after it was made. Functions may be compiled
    too, which a module does not show, so everything that is compiled runs as it was written.

    Raises:
        BadInput: the module is compiled, and this version of PyTorch cannot run the original.
    """
    if "torch._dynamo" not in sys.modules:  # nothing was compiled
        yield
        return
    if not hasattr(torch.compiler, "set_stance"):
        if not is_compiled(module):
            yield
            return
        raise BadInput(
            "a compiled network, whose layers cannot be recorded with PyTorch "
            f"{torch.__version__}: give the module that was compiled, or use PyTorch 2.6 or newer"
        )
    with _STANCE.eager():
        yield
