"""The memory of tensors that are alive, operation by operation, and its peak.

`Ledger` counts the bytes of every storage that torch creates while it is active, on any device.
`Shapes` computes with shapes alone: parameters and activations are on torch's meta device, which
has no data. Inputs and integers (pixels, token ids, positions, image grids) are real, because the
code of a model reads them. So a training step of the model's own code runs without weights, and
the ledger contains what it would allocate.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

META = torch.device("meta")
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}


class Ledger(TorchDispatchMode):
    """Counts live storages, in bytes.

    now: at this moment. gradients: of `now`, those of parameters given to `watch`. peak: the
    most since the last `restart`. rest: the most without gradients.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = self.rest = self.gradients = 0
        self._live: dict[int, int] = {}

    def hold(self, tensors: Iterable[Tensor | None]) -> None:
        """Count tensors that exist already."""
        for tensor in tensors:
            if tensor is not None:
                self._count(tensor)

    def watch(self, parameters: Iterable[nn.Parameter]) -> None:
        """Count the gradients of these parameters as such from now on."""
        for parameter in parameters:
            if parameter.requires_grad:
                hooked: Any = parameter  # untyped in torch
                hooked.register_post_accumulate_grad_hook(self._has_gradient())

    def restart(self) -> None:
        """Forget the peaks so far."""
        self.peak, self.rest = self.now, self.now - self.gradients

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = self.run(func, args, kwargs or {})
        for leaf in _tensors(out):
            self._count(leaf)
        return out

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What an operation returns."""
        return func(*args, **kwargs)

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = id(storage), storage.nbytes()
        if key in self._live:
            return
        self._live[key] = size
        weakref.finalize(storage, self._release, key)
        self.now += size
        self.peak = max(self.peak, self.now)
        self.rest = max(self.rest, self.now - self.gradients)

    def _release(self, key: int) -> None:
        self.now -= self._live.pop(key)

    def _has_gradient(self) -> Any:
        first = [True]

        def hook(parameter: Tensor) -> None:
            if first and parameter.grad is not None:
                first.clear()
                self.gradients += parameter.grad.untyped_storage().nbytes()

        return hook


class Shapes(Ledger):  # type: ignore[no-untyped-call]
    """A ledger under which what depends on parameters has a shape and no data."""

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What an operation returns: on the meta device if an argument is there."""
        name = func.overloadpacket.__name__
        kwargs = _on_a_real_device(name, args, kwargs)
        if not any(leaf.is_meta for leaf in _tensors(args, tuple(kwargs.values()))):
            return func(*args, **kwargs)
        if name.endswith("_") and not args[0].is_meta:
            return args[0]  # in place, into something real, from values that do not exist
        if name in INDEXING:
            args = (args[0], _numbered(args[1]), *args[2:])
        return func(*map(_without_data, args), **{k: _without_data(v) for k, v in kwargs.items()})


def _tensors(*parts: Any) -> Iterator[Tensor]:
    """Every tensor in arguments or results of an operation, which may be in lists."""
    for part in parts:
        if isinstance(part, Tensor):
            yield part
        elif isinstance(part, tuple | list):
            yield from _tensors(*part)


def _on_a_real_device(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments, with a device on which the result can be.

    Integers that would be made on meta are made on a real device; what has no data stays on meta.
    """
    device = kwargs.get("device")
    if device is None:
        return kwargs
    if name == "_to_copy" and args[0].is_meta:
        return {**kwargs, "device": META}
    if torch.device(device).type != "meta":
        return kwargs
    dtype = kwargs.get("dtype")
    made = name in ("_to_copy", "arange")
    integers = made or (dtype is not None and not dtype.is_floating_point)
    return {**kwargs, "device": torch.device("cpu")} if integers else kwargs


def _numbered(indices: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Indices with masks as numbers, because the meta device cannot count what a mask keeps."""
    out: list[Tensor | None] = []
    for index in indices:
        mask = index is not None and index.dtype in (torch.bool, torch.uint8)
        out.extend(index.nonzero(as_tuple=True) if index is not None and mask else [index])
    return out


def _without_data(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_without_data(each) for each in value]
    return value.to(META) if isinstance(value, Tensor) and not value.is_meta else value
