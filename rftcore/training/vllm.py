"""Settings of vLLM: what they need, and those that would have no effect.

TRL runs vLLM (`use_vllm`): in each training process ("colocate") or in a server. It passes prompts
as token ids with their images, and copies the weights to vLLM before the rollouts of each step.
The model's `generate`, and with it rft's decode loop and its shared prefill, are not called;
log-probabilities are computed by the model in training as without vLLM.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rftcore.models.vllm import missing

MODE_ONLY = {
    "vllm_server_base_url": "server",
    "vllm_server_host": "server",
    "vllm_server_port": "server",
    "vllm_server_timeout": "server",
    "vllm_group_port": "server",
    "vllm_gpu_memory_utilization": "colocate",
    "vllm_max_model_length": "colocate",
    "vllm_tensor_parallel_size": "colocate",
    "vllm_enable_sleep_mode": "colocate",
    "vllm_model_impl": "colocate",
}


def problems(settings: Mapping[str, Any], config: Any) -> Iterator[tuple[str, str]]:
    """Settings of vLLM that cannot work or have no effect, each with the reason.

    settings: those of the recipe. config: TRL's configuration.
    """
    names = [name for name in settings if name.startswith("vllm_")]
    if not getattr(config, "use_vllm", False):
        for name in names:
            yield name, "has no effect without grpo.use_vllm=true: set that, or leave this out"
        return
    for name in names:
        if MODE_ONLY.get(name, config.vllm_mode) != config.vllm_mode:
            yield (
                name,
                f"has no effect with vllm_mode={config.vllm_mode}: it is for "
                f"{MODE_ONLY[name]}; leave it out",
            )
    if (lacking := missing()) is not None:
        yield "use_vllm", lacking
