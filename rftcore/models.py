"""Load a policy, ask it things, and prove that it sees.

A policy is a model with its processor. Training and evaluation build what
the model is shown with the same two functions here, `conversation` and
`encode`, so both see the same prompt and the same pixels.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rftcore.errors import ModelError, VisionError
from rftcore.types import Image, Prompt

VISION_PARTS = {
    "vision": ("vision_tower", "vision_model", "visual"),
    "projector": ("multi_modal_projector", "connector", "merger"),
}


@dataclass
class Policy:
    """A model with its processor, and where both came from."""

    model: Any
    processor: Any
    source: str

    @property
    def tokenizer(self) -> Any:
        """The processor's tokenizer."""
        return getattr(self.processor, "tokenizer", self.processor)


def load(source: str | Path, *, dtype: str = "auto", device: str | None = None) -> Policy:
    """Load the model and processor in a folder or of a hub name; every weight must be there.

    dtype: of the weights, by torch's name. "auto" is for reading and generating: bfloat16 on an
    accelerator that computes in it, else float32. Training needs float32: half precision has
    no room for small steps.
    Raises: `ModelError` saying what is missing or damaged.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForImageTextToText

    device = device or best_device()
    dtype = _reading_dtype(device) if dtype == "auto" else dtype
    processor = load_processor(source)
    models: Any = AutoModelForImageTextToText  # untyped in transformers
    try:
        with _loading(source):
            model, report = models.from_pretrained(
                source, dtype=getattr(torch, dtype), output_loading_info=True
            )
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(
            f"the weights of model {str(source)!r} cannot be read: {_one_line(error)}. "
            "They are cut off, or are not those of its config.json: copy or save them again"
        ) from error
    _require_every_weight(source, report)
    return Policy(model.to(device), processor, str(source))


def _reading_dtype(device: str) -> str:
    import torch

    fast = device.startswith("cuda") and torch.cuda.is_bf16_supported()
    return "bfloat16" if fast else "float32"


# Old checkpoints hold these; they are computed, not learned.
_COMPUTED = ("rotary_emb.inv_freq", "position_ids")


def _require_every_weight(source: str | Path, report: Mapping[str, Any]) -> None:
    """Raise `ModelError` if a weight was missing, left over or of another shape.

    transformers fills in a missing one at random and drops one that is left over,
    so the model would not be the one that was saved.
    """
    found = {
        "missing": sorted(report["missing_keys"]),
        "unexpected": sorted(k for k in report["unexpected_keys"] if not k.endswith(_COMPUTED)),
        "of another shape": sorted(str(key[0]) for key in report["mismatched_keys"]),
    }
    faults = [
        f"{len(keys)} {what} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for what, keys in found.items()
        if keys
    ]
    if faults:
        raise ModelError(
            f"the weights of model {str(source)!r} are not those of its config.json: "
            f"{'; '.join(faults)}. Check that its folder holds one whole model"
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def load_processor(source: str | Path) -> Any:
    """The processor in a folder or of a hub name, without the weights.

    Raises: `ModelError` saying what is missing.
    """
    from transformers import AutoProcessor

    processors: Any = AutoProcessor  # untyped in transformers
    check_source(source)
    with _loading(source):
        processor = processors.from_pretrained(source, padding_side="left")
    if not hasattr(processor, "image_processor"):
        raise ModelError(f"model {str(source)!r} has no image processor, and rft's models see")
    return processor


@contextmanager
def _loading(source: str | Path) -> Iterator[None]:
    """Turn what transformers raises into a `ModelError`."""
    try:
        yield
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise ModelError(
            f"model {str(source)!r} could not be loaded: {str(error).strip().splitlines()[0]}. "
            "`--model` takes an offered name (`rft plugins list`), a folder that "
            "`save_pretrained` wrote, or ORG/NAME on the hub."
        ) from error


def check_source(source: str | Path) -> None:
    """Raise `ModelError` if `source` is a folder path that holds no model."""
    path = Path(source)
    looks_local = path.is_absolute() or str(source).startswith((".", "~")) or path.exists()
    if looks_local and not (path / "config.json").is_file():
        raise ModelError(f"model folder {str(source)!r} has no config.json")


def best_device() -> str:
    """This process's accelerator, else the CPU."""
    import torch

    if torch.cuda.is_available():
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return "cpu"


def freeze(policy: Policy, parts: Sequence[str]) -> int:
    """Exclude the named parts ("vision", "projector") from training.

    Returns: how many parameters stay trainable.
    Raises: `ModelError` for an unknown part, or one the model does not have.
    """
    for part in parts:
        if part not in VISION_PARTS:
            raise ModelError(f"cannot freeze {part!r}: known parts are {', '.join(VISION_PARTS)}")
        marks = VISION_PARTS[part]
        frozen = [p for name, p in policy.model.named_parameters() if _within(name, marks)]
        if not frozen:
            raise ModelError(f"cannot freeze {part!r}: {policy.source} has no part of that name")
        for parameter in frozen:
            parameter.requires_grad_(False)
    return sum(p.numel() for p in policy.model.parameters() if p.requires_grad)


def _within(parameter: str, marks: Sequence[str]) -> bool:
    return any(mark in parameter.split(".") for mark in marks)


def pixel_budget(policy: Policy) -> dict[str, Any]:
    """What the image processor does to sizes: recorded in the run, equal in every phase."""
    processor = policy.processor.image_processor
    names = ("size", "crop_size", "min_pixels", "max_pixels", "patch_size", "do_resize")
    found = {name: getattr(processor, name, None) for name in names}
    return {k: _plain(v) for k, v in found.items() if v is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, (int, float, str, bool)):
        return value
    if hasattr(value, "items") or hasattr(value, "__iter__"):
        return {k: v for k, v in dict(value).items() if v is not None}
    return str(value)


def conversation(prompt: Prompt) -> list[dict[str, Any]]:
    """A prompt as one user message: images first, then the text."""
    images = [{"type": "image"} for _ in prompt.images]
    return [{"role": "user", "content": [*images, {"type": "text", "text": prompt.text}]}]


def encode(policy: Policy, prompts: Sequence[Prompt], targets: Sequence[str] | None = None) -> Any:
    """Model inputs for a batch of prompts, padded on the left: ids (B, T), pixels.

    With `targets`, each prompt is followed by its answer and the end of turn,
    as the chat template writes them.
    """
    texts = [render(policy, prompt) for prompt in prompts]
    if targets is not None:
        endings = [_with_reply(policy, p, t) for p, t in zip(prompts, targets, strict=True)]
        texts = endings
    return _processed(policy.processor, texts, prompts).to(policy.model.device)


def _processed(processor: Any, texts: Sequence[str], prompts: Sequence[Prompt]) -> Any:
    images = [[image.open() for image in prompt.images] for prompt in prompts]
    return processor(
        text=texts,
        images=images if any(images) else None,
        padding=True,
        padding_side="left",
        return_tensors="pt",
        add_special_tokens=False,  # the chat template has written them
    )


def render(policy: Policy, prompt: Prompt) -> str:
    """The prompt as the chat template writes it, up to where the policy speaks."""
    return _rendered(policy.processor, prompt)


def _rendered(processor: Any, prompt: Prompt) -> str:
    text: str = processor.apply_chat_template(
        conversation(prompt), tokenize=False, add_generation_prompt=True
    )
    return text


def prompt_tokens(processor: Any, prompt: Prompt) -> int:
    """How many tokens the policy reads before it speaks, those of the pictures included."""
    inputs = _processed(processor, [_rendered(processor, prompt)], [prompt])
    return int(inputs["input_ids"].shape[1])


def reply_tokens(processor: Any, text: str) -> int:
    """How many tokens the policy writes to say `text` and to end its turn."""
    tokenizer = getattr(processor, "tokenizer", processor)
    return len(tokenizer(text, add_special_tokens=False)["input_ids"]) + 1


def _with_reply(policy: Policy, prompt: Prompt, reply: str) -> str:
    turns = [
        *conversation(prompt),
        {"role": "assistant", "content": [{"type": "text", "text": reply}]},
    ]
    text: str = policy.processor.apply_chat_template(turns, tokenize=False)
    return text


@dataclass(frozen=True)
class Completion:
    """What the policy wrote: `tokens` counts them, `clipped` if it never ended."""

    text: str
    tokens: int
    clipped: bool


def generate(policy: Policy, prompts: Sequence[Prompt], max_new_tokens: int) -> list[Completion]:
    """One greedy completion per prompt: fixed decoding, so a score repeats."""
    import torch

    inputs = encode(policy, prompts)
    was_training = policy.model.training
    policy.model.eval()
    with torch.inference_mode():
        out = policy.model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=max_new_tokens,
            pad_token_id=policy.tokenizer.pad_token_id,
            temperature=None,
            top_p=None,
            top_k=None,
        )
    policy.model.train(was_training)
    return [_completion(policy, row) for row in out[:, inputs["input_ids"].shape[1] :].tolist()]


def _completion(policy: Policy, ids: list[int]) -> Completion:
    ends = _eos_ids(policy)
    length = next((i for i, token in enumerate(ids) if token in ends), len(ids))
    text: str = policy.tokenizer.decode(ids[:length], skip_special_tokens=True)
    return Completion(text, length, clipped=length == len(ids))


def _eos_ids(policy: Policy) -> set[int]:
    ends = policy.model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    return {*ends, policy.tokenizer.eos_token_id} - {None}


def answer_logprobs(policy: Policy, prompts: Sequence[Prompt], targets: Sequence[str]) -> Any:
    """Log-probability of each target after its prompt, in nats: shape (B,)."""
    import torch

    inputs = encode(policy, prompts, targets)
    starts = encode(policy, prompts)["attention_mask"].sum(1)
    was_training = policy.model.training
    policy.model.eval()
    with torch.inference_mode():
        logits = policy.model(**inputs).logits[:, :-1].float()
    policy.model.train(was_training)
    ids, mask = inputs["input_ids"][:, 1:], inputs["attention_mask"]
    position = mask.cumsum(1)[:, 1:]  # 1-based place of each token among the kept ones
    answer_mask = (position > starts[:, None]) & (mask[:, 1:] > 0)
    token_logprobs = logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0]
    return (token_logprobs * answer_mask).sum(1)


def check_vision(
    policy: Policy, prompts: Sequence[Prompt], targets: Sequence[str], min_shift: float
) -> float:
    """Swap the images between samples and require the gold answers' log-probability to move.

    prompts, targets: at least two samples whose images differ.
    Returns: the mean absolute shift in nats.
    Raises: `VisionError` if it is below `min_shift` or not finite.
    """
    swapped = [Prompt(p.text, _other_images(prompts, i)) for i, p in enumerate(prompts)]
    shift = float(
        (answer_logprobs(policy, prompts, targets) - answer_logprobs(policy, swapped, targets))
        .abs()
        .mean()
    )
    if not shift >= min_shift:  # also refuses NaN
        raise VisionError(
            f"{policy.source} does not see: with the images of {len(prompts)} samples swapped, the "
            f"gold answers' log-probability moved by {shift:.2g} nats (at least {min_shift:.2g} "
            "expected). Check that the chat template holds the image placeholder and that the "
            "processor's pixels reach the model; `--set vision_check.enabled=false` skips this."
        )
    return shift


def _other_images(prompts: Sequence[Prompt], index: int) -> tuple[Image, ...]:
    """The images of the next prompt that has as many, but different ones."""
    mine = prompts[index].images
    for step in range(1, len(prompts)):
        other = prompts[(index + step) % len(prompts)].images
        if len(other) == len(mine) and [i.key for i in other] != [i.key for i in mine]:
            return other
    raise VisionError(
        "the vision check needs two samples with different images, but those it was given share "
        "theirs; raise vision_check.samples"
    )
