"""A model that vLLM runs in this process: completions as those of a policy, in less time.

vLLM gets the token ids of a prompt with one placeholder per image, and the decoded images; it puts
as many tokens in place of each placeholder as the image has. The first prompts are compared with
what transformers makes of them, so that both backends show the model the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from rftcore import distributed, tags
from rftcore.config import PolicyRecipe
from rftcore.errors import ModelError, one_line
from rftcore.models import pixels
from rftcore.models.adapters import is_adapter
from rftcore.models.completions import Completion, Draw
from rftcore.models.devices import reading_dtype
from rftcore.models.encoding import apply_processor, render, text_ids
from rftcore.models.policy import tokenizer_of
from rftcore.models.processors import load_processor
from rftcore.models.seen import SeenSize
from rftcore.models.sources import check_source
from rftcore.models.template_check import declared_stops
from rftcore.types import Prompt

COMPARED = 4  # prompts whose tokens are compared with those of transformers
OWN = ("model", "seed", "generation_config")  # arguments of `vllm.LLM` that are not a user's


@dataclass(frozen=True)
class EngineSettings:
    """How vLLM is started. arguments: further ones of `vllm.LLM`, such as tensor_parallel_size."""

    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if taken := [name for name in OWN if name in self.arguments]:
            raise ModelError(
                f"--engine {taken[0]}: rft sets this argument of vllm.LLM: leave it out"
            )


class Engine:
    """A model in vLLM, which is queried as an endpoint is.

    Raises: `ModelError` if vLLM is missing, does not start, or reads other tokens in a prompt.
    """

    def __init__(
        self, source: str | Path, policy: PolicyRecipe, settings: EngineSettings, seed: int = 0
    ) -> None:
        if (lacking := missing()) is not None:
            raise ModelError(f"--backend vllm {lacking}; --backend transformers runs without it")
        if distributed.world_size() > 1:
            raise ModelError(
                "--backend vllm runs in one process: leave out torchrun; --engine "
                "tensor_parallel_size=N uses N GPUs"
            )
        check_source(source)
        if is_adapter(source):
            raise ModelError(
                f"{str(source)!r} is a LoRA adapter, and vLLM is given complete models: name the "
                "merged model beside it (RUN/grpo/model or RUN/sft/model), or use --backend "
                "transformers, which merges it"
            )
        self.source, self.processor = str(source), load_processor(source, policy)
        self._stops = declared_stops(source, self.processor, policy)
        self._unchecked = COMPARED
        self._llm = self._started(policy, settings, seed)

    def _started(self, policy: PolicyRecipe, settings: EngineSettings, seed: int) -> Any:
        from vllm import LLM

        dtype = policy.evaluation_dtype
        arguments: dict[str, Any] = {
            "dtype": reading_dtype() if dtype == "auto" else dtype,
            "trust_remote_code": policy.trust_remote_code,
            "seed": seed,
            "generation_config": "vllm",  # greedy means greedy: no penalties of the model's folder
        }
        if policy.revision is not None and not Path(self.source).is_dir():
            arguments["revision"] = policy.revision
        if changes := pixels.changes(self.processor, policy):
            arguments["mm_processor_kwargs"] = changes
        try:
            return LLM(model=self.source, **{**arguments, **settings.arguments})
        except Exception as error:  # whatever vLLM and the GPU raise
            raise ModelError(
                f"vLLM does not start with model {self.source!r}: {type(error).__name__}: "
                f"{one_line(error)}. --engine KEY=VALUE sets an argument of vllm.LLM, such as "
                "gpu_memory_utilization=0.8 or max_model_len=8192"
            ) from error

    @cached_property
    def seen_size(self) -> SeenSize:
        """The size at which the model sees an image, by the image's own size."""
        return SeenSize(self.processor)

    def opening(self, prompt: Prompt) -> str:
        """The tag that the chat template leaves open where the completion begins, or ""."""
        return tags.opened(render(self.processor, prompt))

    def complete(
        self, prompts: Sequence[Prompt], max_new_tokens: int, draw: Draw | None = None
    ) -> list[Completion]:
        """One completion per prompt, greedy or drawn.

        Raises: `ModelError` if a prompt has other tokens in vLLM than in transformers.
        """
        from vllm import SamplingParams

        how = {"max_tokens": max_new_tokens, "stop_token_ids": sorted(self._stops)}
        how |= {"detokenize": False, "temperature": draw.temperature if draw else 0.0}
        seeds = [{"seed": (draw.seed + at) % 2**31} if draw else {} for at in range(len(prompts))]
        outputs = self._llm.generate(
            [self._request(prompt) for prompt in prompts],
            sampling_params=[SamplingParams(**how, **seed) for seed in seeds],
            use_tqdm=False,
        )
        for prompt, output in zip(prompts, outputs, strict=True):
            self._compare(prompt, output.prompt_token_ids)
        return [self._completion(output) for output in outputs]

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        request: dict[str, Any] = {
            "prompt_token_ids": text_ids(self.processor, render(self.processor, prompt))
        }
        if prompt.images:
            request["multi_modal_data"] = {"image": [image.open() for image in prompt.images]}
        return request

    def _completion(self, output: Any) -> Completion:
        """Tokens up to the one that ends the turn, which is not counted, as of a policy."""
        one = output.outputs[0]
        ids = list(one.token_ids)
        length = next((at for at, token in enumerate(ids) if token in self._stops), len(ids))
        text = str(tokenizer_of(self.processor).decode(ids[:length], skip_special_tokens=True))
        clipped = length == len(ids) and one.finish_reason == "length"
        return Completion(text, length, clipped=clipped, read=len(output.prompt_token_ids))

    def _compare(self, prompt: Prompt, read: Sequence[int]) -> None:
        """Compare the tokens of the first prompts with those that transformers makes of them."""
        if not self._unchecked:
            return
        self._unchecked -= 1
        images = [[image.open() for image in prompt.images]]
        made = apply_processor(self.processor, [render(self.processor, prompt)], images)
        expected = made["input_ids"][0].tolist()
        if list(read) != expected:
            raise ModelError(
                f"vLLM reads {len(read)} tokens in a prompt of {self.source!r} in which "
                f"transformers reads {len(expected)}, or other ones: scores of the two backends "
                "would not be comparable. Use --backend transformers"
            )


def missing() -> str | None:
    """What vLLM lacks here, as the end of a sentence with the command that installs it, or None."""
    import torch

    supported = requirement()
    if find_spec("vllm") is None:
        return f"needs the package vllm: pip install 'trl[vllm]' ({supported})"
    if (found := _version()) and not supported.specifier.contains(found, prereleases=True):
        return f"TRL supports {supported}, and vllm {found} is installed: pip install '{supported}'"
    return None if torch.cuda.is_available() else "needs a GPU, and this process sees none"


def _version() -> str | None:
    try:
        return metadata.version("vllm")
    except metadata.PackageNotFoundError:  # a folder on the path
        return None


def requirement() -> Requirement:
    """What the installed TRL requires of vLLM, without the condition."""
    needs = map(Requirement, metadata.requires("trl") or [])
    found = next((need for need in needs if need.name == "vllm"), Requirement("vllm"))
    return Requirement(f"{found.name}{found.specifier}")
