"""What divides a model over processes: FSDP or DeepSpeed, as accelerate's settings have it.

accelerate's launcher passes its configuration on in environment variables; a recipe may have
transformers' settings (`sft.fsdp`) instead. Two things differ from what accelerate does:

- Rank 0 must be able to save whole weights, and every rank to load them: checks and evaluations
  read a policy on each rank. Settings that prevent it are errors before a model loads.
- On CPUs, accelerate 1.15 trains with DDP where FSDP is set, and reports nothing. torch has FSDP2
  for CPUs (gloo), so the state that accelerate's trainers read is set to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from rftcore.distributed import world_size
from rftcore.errors import one_line

USE_FSDP, USE_DEEPSPEED = "ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"
WHOLE = "FULL_STATE_DICT"


def sharded_by(config: Any = None) -> str:
    """ "FSDP" or "DeepSpeed", if one of them divides the weights over processes, else "".

    config: TRL's configuration of a phase; None: of accelerate's launcher alone.
    """
    if _is_set(USE_DEEPSPEED) or getattr(config, "deepspeed", None):
        return "DeepSpeed"
    return "FSDP" if _is_set(USE_FSDP) or getattr(config, "fsdp", None) else ""


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").lower() in ("1", "true", "yes", "on")


def problems(config: Any) -> Iterator[str]:
    """Why a phase cannot be trained with the engine that is set, before a model loads."""
    engine = sharded_by(config)
    if engine == "DeepSpeed":
        yield from _deepspeed_problems(config)
    elif engine == "FSDP" and world_size() > 1:
        yield from _fsdp_problems(config)


def _fsdp_problems(config: Any) -> Iterator[str]:
    import torch

    try:
        plugin = _fsdp(config)
    except Exception as error:  # of enums, of versions, of devices that are not there
        yield f"FSDP: accelerate cannot use its settings: {type(error).__name__}: {one_line(error)}"
        return
    if plugin.fsdp_version != 2 and not torch.cuda.is_available():
        yield f"fsdp_version: {plugin.fsdp_version} needs GPUs; FSDP2 runs on CPUs: set it to 2"
    if WHOLE not in str(plugin.state_dict_type):
        yield (
            f"fsdp_state_dict_type: {plugin.state_dict_type.name} saves each process's part alone, "
            f"and evaluations and the next phase need whole weights: set it to {WHOLE}"
        )
    if plugin.cpu_ram_efficient_loading:
        yield (
            "fsdp_cpu_ram_efficient_loading: true loads weights on rank 0 alone, and checks and "
            "evaluations read them on every rank: set it to false"
        )
    if plugin.activation_checkpointing and config.activation_checkpointing:
        yield (
            "fsdp_activation_checkpointing: true, and activation_checkpointing of the recipe does "
            "the same: set the first to false"
        )


def _deepspeed_problems(config: Any) -> Iterator[str]:
    import torch

    if not torch.cuda.is_available():
        yield "DeepSpeed divides a model over GPUs, and this process sees none: use FSDP2 or DDP"
    plugin = getattr(config, "deepspeed_plugin", None)
    zero = plugin.deepspeed_config.get("zero_optimization", {}) if plugin is not None else {}
    if zero.get("stage") == 3 and not zero.get("stage3_gather_16bit_weights_on_model_save"):
        yield (
            "zero3_save_16bit_model: false saves each process's part alone, and evaluations and "
            "the next phase need whole weights: set it to true"
        )


def shard_on_cpu(config: Any) -> None:
    """If FSDP is set and there is no GPU, let the next trainer use it.

    Call it between making the configuration, which resets accelerate's state, and the trainer.
    """
    import torch

    if sharded_by(config) != "FSDP" or world_size() == 1 or torch.cuda.is_available():
        return
    from accelerate import Accelerator, PartialState
    from accelerate.utils import DistributedType

    plugin = _fsdp(config)
    accelerator = Accelerator(cpu=True)
    if accelerator.mixed_precision != "no":
        plugin.set_mixed_precision(accelerator.mixed_precision)
    for state in (PartialState(), accelerator.state):
        state.distributed_type = DistributedType.FSDP
    accelerator.state.fsdp_plugin = plugin


def _fsdp(config: Any) -> Any:
    """accelerate's settings of FSDP: the recipe's, else those of its launcher."""
    from accelerate.utils import FullyShardedDataParallelPlugin

    made: Any = FullyShardedDataParallelPlugin  # untyped in accelerate
    return made(**(getattr(config, "fsdp_plugin_args", None) or {}))
