"""What this machine has for training, and what models and settings would need beside it."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

from rftcore.cache import cache_folder
from rftcore.config import PolicyRecipe
from rftcore.distributed import cores
from rftcore.errors import RftError

if TYPE_CHECKING:
    from rftcore.plugins.doctor.report import Checkup

# Packages that rftcore does not require, and what needs each.
OPTIONAL = {
    "torchvision": "image processors of Qwen2-VL, Gemma, InternVL and most other families",
    "num2words": "the processor of SmolVLM",
    "timm": "the vision tower of Gemma 3n, FastVLM and PerceptionLM",
    "peft": "LoRA",
    "bitsandbytes": "QLoRA and 8-bit optimizers, on a GPU",
    "flash-attn": "attention flash_attention_2, on a GPU",
    "deepspeed": "ZeRO (--accelerate-config), on GPUs",
    "vllm": "rollouts (grpo.use_vllm) and rft eval --backend vllm, on a GPU",
    "liger-kernel": "fused losses (use_liger_kernel), on a GPU",
    "math-verify": "rewards that compare expressions",
    "scipy": "statistics of rft compare",
    "matplotlib": "plots of rft compare",
    "tensorboard": "tracking.to=[tensorboard]",
    "trackio": "tracking.to=[trackio]",
    "wandb": "tracking.to=[wandb]",
    "mlflow": "tracking.to=[mlflow]",
}
GIB = 2**30


@dataclass(frozen=True)
class Package:
    """A package: installed version or "", versions that work, state, and what needs it.

    state: "ok", "missing" (an optional one) or "fault".
    """

    name: str
    version: str
    supported: str
    state: str
    needed_for: str


@dataclass(frozen=True)
class Place:
    """A folder that rft writes to; bytes that are free there."""

    what: str
    path: str
    free: int


@dataclass(frozen=True)
class Model:
    """A model that is to be trained: its family and status, and why it cannot be, or ""."""

    source: str
    about: str
    fault: str


@dataclass(frozen=True)
class Environment:
    """All that `rft doctor` reports. memory: bytes of the machine, None if unknown."""

    python: str
    platform: str
    cores: int
    threads: int
    memory: int | None
    devices: list[str]
    packages: list[Package]
    places: list[Place]
    plugins: list[Checkup]
    model: Model | None

    @property
    def faults(self) -> list[str]:
        """What keeps rft from working, each with what to do."""
        packages = [
            f"{one.name} {one.version or 'is not installed'}: {one.needed_for} "
            f"{one.supported or 'it'}: pip install '{one.name}{one.supported}'"
            for one in self.packages
            if one.state == "fault"
        ]
        plugins = [
            f"plugin {finding.distribution}: {finding.text}; {finding.next}"
            for one in self.plugins
            for finding in one.findings
        ]
        return packages + plugins + ([self.model.fault] if self.model and self.model.fault else [])


def examine(model: str | None = None) -> Environment:
    """The environment of this process. model: one to check as well, without its weights."""
    import torch

    from rftcore.plugins.doctor import report

    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        cores=cores(),
        threads=torch.get_num_threads(),
        memory=_memory(),
        devices=list(_devices(torch)),
        packages=[*_required(), *_optional()],
        places=list(_places()),
        plugins=report.examine(),
        model=_model(model) if model else None,
    )


def _model(name: str) -> Model:
    """What a model's family needs and lacks here; its configuration and processor are read."""
    from rftcore.models.class_check import require_trainable
    from rftcore.models.configs import model_config
    from rftcore.models.processors import load_processor
    from rftcore.models.rollout_prompts import require_equal_prompts
    from rftcore.models.support import families
    from rftcore.plugins import Catalogue

    about = ""
    try:
        source = Catalogue.load().model(name)
        config = model_config(source, PolicyRecipe())
        family = families().get(config.model_type)
        status = f"{family.name}, {family.status}" if family else "which was not tested"
        about = f"of family {config.model_type} ({status})"
        if family and family.refused:
            return Model(name, about, f"model {name}: rft does not train it: {family.refused}")
        require_trainable(source)
        require_equal_prompts(name, load_processor(source, PolicyRecipe()))
    except RftError as error:
        reason = str(error)
        return Model(name, about, reason if name in reason else f"model {name}: {reason}")
    return Model(name, about, "")


def _required() -> Iterator[Package]:
    """The packages that rftcore requires, with the versions it is tested with."""
    for need in _requirements("rftcore"):
        if need.marker is None:
            version = _version(need.name)
            fits = bool(version) and need.specifier.contains(version, prereleases=True)
            state = "ok" if fits else "fault"
            yield Package(need.name, version, str(need.specifier), state, "rftcore requires")


def _optional() -> Iterator[Package]:
    """What some models and settings need. Of two requirements, rftcore's own counts."""
    supported = {
        need.name.lower(): str(need.specifier)
        for of in ("trl", "rftcore")
        for need in _requirements(of)
        if need.marker is not None and str(need.specifier)
    }
    for name, needed_for in OPTIONAL.items():
        version, versions = _version(name), supported.get(name, "")
        fits = Requirement(f"{name}{versions}").specifier.contains(version or "0", prereleases=True)
        state = "missing" if not version else "ok" if fits else "fault"
        reason = needed_for if state != "fault" else f"{needed_for} needs"
        yield Package(name, version, versions, state, reason)


def _requirements(distribution: str) -> list[Requirement]:
    try:
        return [Requirement(text) for text in metadata.requires(distribution) or []]
    except metadata.PackageNotFoundError:  # rftcore in a folder that is not installed
        return []


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _devices(torch: Any) -> Iterator[str]:
    """The GPUs, or the reason why training is on the CPU."""
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        yield f"GPU {number}: {about.name}, {about.total_memory / GIB:.0f} GiB"
    if not torch.cuda.device_count():
        built = torch.version.cuda
        yield "CPU: " + (f"torch for CUDA {built} sees no GPU" if built else "torch has no CUDA")


def _places() -> Iterator[Place]:
    from huggingface_hub.constants import HF_HUB_CACHE

    folders = {
        "runs": Path.cwd(),
        "RFT_CACHE": cache_folder(),
        "models of the hub": Path(HF_HUB_CACHE),
        "TMPDIR": Path(tempfile.gettempdir()),
    }
    for what, folder in folders.items():
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        yield Place(what, str(folder), shutil.disk_usage(there).free)


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
