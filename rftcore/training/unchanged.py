"""Restore a model after a step that was only tried."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedConfig


@contextmanager
def unchanged(model: Any) -> Iterator[None]:
    """Restore all of a model afterwards but its weights, which nothing here changes.

    Attributes of its modules (methods, hooks, modes, parts that an adapter replaced), buffers,
    configurations, and which parameters train.
    """
    modules = list(model.modules())
    attributes = [{n: _shallow(v) for n, v in vars(module).items()} for module in modules]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    training = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    configs = {id(c): (c, _config_state(c)) for module in modules for c in _configs(module)}
    generation = copy.deepcopy(getattr(model, "generation_config", None))
    try:
        yield
    finally:
        for module, kept in zip(modules, attributes, strict=True):
            vars(module).clear()
            vars(module).update(kept)
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)
        for parameter, requires_grad in training:
            parameter.grad = None
            parameter.requires_grad_(requires_grad)
        for config, state in configs.values():
            vars(config).clear()
            vars(config).update(state)
        if generation is not None:
            model.generation_config = generation


def _shallow(value: Any) -> Any:
    return copy.copy(value) if isinstance(value, (dict, set, list)) else value


def _configs(module: Any) -> Iterator[PreTrainedConfig]:
    config = getattr(module, "config", None)
    if isinstance(config, PreTrainedConfig):
        yield config
        yield from (value for value in vars(config).values() if isinstance(value, PreTrainedConfig))


def _config_state(config: PreTrainedConfig) -> dict[str, Any]:
    """The attributes of a configuration; those within it are kept as objects of their own."""
    return {
        name: value if isinstance(value, PreTrainedConfig) else copy.deepcopy(value)
        for name, value in vars(config).items()
    }
