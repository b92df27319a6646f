"""Train vision-language models to reason about images, with tasks as plugins.

`import rftcore as rft` gives what a plugin needs, and `train`, `evaluate`, `compare`, `plan` and
`load_run`. It loads none of it before it is used, so that a plugin's module costs next to nothing
to discover.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rftcore import boxes, parsers, prompts, rewards
    from rftcore.comparison.api import compare
    from rftcore.datasets import (
        CsvDataset,
        GeneratedDataset,
        HfDataset,
        JsonlDataset,
        ParquetDataset,
        ReasonRftDataset,
    )
    from rftcore.errors import RftError
    from rftcore.hookspecs import hookimpl
    from rftcore.images import Image, ImageCache
    from rftcore.pipeline.api import Run, evaluate, load_run, report, train
    from rftcore.planning.api import plan
    from rftcore.plugins.options import with_options_of
    from rftcore.types import (
        Measure,
        Parsed,
        Prompt,
        RewardInput,
        RewardResult,
        Sample,
        Suite,
        Task,
        Term,
    )

__all__ = [
    "CsvDataset",
    "GeneratedDataset",
    "HfDataset",
    "Image",
    "ImageCache",
    "JsonlDataset",
    "Measure",
    "ParquetDataset",
    "Parsed",
    "Prompt",
    "ReasonRftDataset",
    "RewardInput",
    "RewardResult",
    "RftError",
    "Run",
    "Sample",
    "Suite",
    "Task",
    "Term",
    "boxes",
    "compare",
    "evaluate",
    "hookimpl",
    "load_run",
    "parsers",
    "plan",
    "prompts",
    "report",
    "rewards",
    "train",
    "with_options_of",
]

_MODULES = ("boxes", "parsers", "prompts", "rewards")
_ELSEWHERE = {
    "CsvDataset": "rftcore.datasets",
    "GeneratedDataset": "rftcore.datasets",
    "HfDataset": "rftcore.datasets",
    "ParquetDataset": "rftcore.datasets",
    "JsonlDataset": "rftcore.datasets",
    "ImageCache": "rftcore.images",
    "ReasonRftDataset": "rftcore.datasets",
    "RftError": "rftcore.errors",
    "Run": "rftcore.pipeline.api",
    "compare": "rftcore.comparison.api",
    "evaluate": "rftcore.pipeline.api",
    "hookimpl": "rftcore.hookspecs",
    "load_run": "rftcore.pipeline.api",
    "plan": "rftcore.planning.api",
    "report": "rftcore.pipeline.api",
    "train": "rftcore.pipeline.api",
    "with_options_of": "rftcore.plugins.options",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'rftcore' has no attribute {name!r}")
    if name in _MODULES:
        return import_module(f"rftcore.{name}")
    return getattr(import_module(_ELSEWHERE.get(name, "rftcore.types")), name)


def __dir__() -> list[str]:
    return __all__
