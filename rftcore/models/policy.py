"""Load a policy and ask it things.

A policy is a model with its processor. Training and evaluation build what
the model is shown with the same two functions here, `conversation` and
`encode`, so both see the same prompt and the same pixels.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rftcore import tags
from rftcore.errors import ModelError, RftError
from rftcore.types import Prompt

MODEL_PACKAGES = ("torchvision", "num2words")  # of the extra `models`: some processors need them
NO_ADAPTERS = (
    "rft trains whole weights; LoRA and other adapters are not supported yet. "
    "Merge an adapter into its base with peft's merge_and_unload before you train or measure it"
)
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
    with _loading(source):
        try:
            model, report = models.from_pretrained(
                source, dtype=getattr(torch, dtype), output_loading_info=True
            )
        except (SafetensorError, RuntimeError) as error:
            raise ModelError(
                f"the weights of model {str(source)!r} cannot be read: {_told(error)}. "
                "They are cut off, or are not those of its config.json: copy or save them again"
            ) from error
    _require_every_weight(source, report)
    _require_every_embedding(source, model, processor)
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


def _require_every_embedding(source: str | Path, model: Any, processor: Any) -> None:
    """Raise `ModelError` if the tokenizer has tokens that the model has no embedding for."""
    tokenizer = getattr(processor, "tokenizer", processor)
    rows = model.get_input_embeddings().weight.shape[0]
    # Some models replace their image token before they look it up, so it may be beyond.
    replaced = {getattr(processor, f"{kind}_token", None) for kind in ("image", "video", "audio")}
    beyond = [t for t, n in tokenizer.get_vocab().items() if n >= rows and t not in replaced]
    if beyond:
        raise ModelError(
            f"the tokenizer of model {str(source)!r} has {len(beyond)} tokens, such as "
            f"{min(beyond)!r}, for which the model has no embedding (it has {rows}): add them with "
            "`model.resize_token_embeddings(len(tokenizer))` and save the model again, or take "
            "the tokenizer that belongs to it"
        )


def load_processor(source: str | Path) -> Any:
    """The processor in a folder or of a hub name, without the weights.

    Raises: `ModelError` for what is missing: files, a package, the image processor, a chat
    template, a pad token.
    """
    from transformers import AutoProcessor

    processors: Any = AutoProcessor  # untyped in transformers
    check_source(source)
    with _loading(source):
        processor = processors.from_pretrained(source, padding_side="left")
    _silence_lengths()
    name = f"model {str(source)!r}"
    if not hasattr(processor, "image_processor"):
        raise ModelError(
            f"{name} has no image processor: rft trains vision-language models only. "
            "Pass one to --model."
        )
    tokenizer = getattr(processor, "tokenizer", processor)
    if not (getattr(processor, "chat_template", None) or tokenizer.chat_template):
        raise ModelError(
            f"{name} has no chat template, so nothing says how a question is put to it: pass an "
            "instruction-tuned model to --model, or save one with the processor "
            "(`processor.chat_template = ...; processor.save_pretrained(FOLDER)`)"
        )
    if len(tokenizer) <= len(set(tokenizer.all_special_tokens)):
        raise ModelError(
            f"the tokenizer of {name} has no vocabulary: its files, such as tokenizer.json, are "
            "missing. Copy them from the model's origin"
        )
    if tokenizer.pad_token_id is None:
        raise ModelError(
            f"the tokenizer of {name} has no pad token, which batches need: set one and save it "
            "(`processor.tokenizer.pad_token = ...; processor.save_pretrained(FOLDER)`)"
        )
    return processor


@contextmanager
def _loading(source: str | Path) -> Iterator[None]:
    """Turn what transformers raises into a `ModelError`."""
    try:
        yield
    except RftError:
        raise
    except Exception as error:  # damaged files raise almost anything, KeyError to SafetensorError
        told = _told(error)
        kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
        raise ModelError(
            f"model {str(source)!r} could not be loaded: {kind}{told}. {_remedy(error, told)}"
        ) from error


def _remedy(error: Exception, told: str) -> str:
    """What to do about an exception of transformers whose text is `told`."""
    missing = [name for name in MODEL_PACKAGES if name in told.lower()]
    if missing:
        return (
            f"Install what its processor needs: pip install 'rftcore[models]' (or pip install "
            f"{' '.join(MODEL_PACKAGES)})"
        )
    if "image processor" in told:
        return (
            "rft trains vision-language models only: pass one to --model, with the files of its "
            "processor beside the weights."
        )
    if not isinstance(error, OSError):
        return (
            "A file of it may be damaged or from another version of transformers: copy or "
            "download it again. RFT_DEBUG=1 shows the traceback."
        )
    return (
        "`--model` takes an offered name (`rft plugins list`), a folder that `save_pretrained` "
        "wrote, or ORG/NAME on the hub."
    )


def _silence_lengths() -> None:
    """Leave out the tokenizer's warning about its own limit: prompts are counted by row."""
    logger = logging.getLogger("transformers.tokenization_utils_base")
    if not any(isinstance(one, _Lengths) for one in logger.filters):
        logger.addFilter(_Lengths())


class _Lengths(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return "Token indices sequence length" not in str(record.msg)


def check_source(source: str | Path) -> None:
    """Raise `ModelError` if `source` is a folder path that holds no model, or an adapter."""
    path = Path(source)
    if (path / "adapter_config.json").is_file():
        raise ModelError(f"model folder {str(source)!r} is an adapter. {NO_ADAPTERS}")
    looks_local = path.is_absolute() or str(source).startswith((".", "~")) or path.exists()
    if looks_local and not (path / "config.json").is_file():
        inside = sorted(str(file.parent) for file in path.glob("*/model/config.json"))
        hint = f": it is a run, whose policies are {' and '.join(inside)}" if inside else ""
        raise ModelError(f"model folder {str(source)!r} has no config.json{hint}")


class Context(NamedTuple):
    """How many tokens prompt and completion may have together.

    `most` can never be exceeded, `surely` always be used: configuration and tokenizer may
    differ. None: no limit is known.
    """

    surely: int | None
    most: int | None


def configuration(source: str | Path) -> Any:
    """The configuration of the model in a folder or of a hub name, without its weights."""
    from transformers import AutoConfig

    with _loading(source):
        return AutoConfig.from_pretrained(source)


def context(source: str | Path, processor: Any) -> Context:
    """The context of the model in a folder or of a hub name, without its weights."""
    config = configuration(source).get_text_config()
    tokenizer = getattr(processor, "tokenizer", processor)
    limits = (getattr(config, "max_position_embeddings", None), tokenizer.model_max_length)
    # a tokenizer without a limit has a number far beyond any
    known = [int(limit) for limit in limits if limit and limit < 10**9]
    return Context(min(known, default=None), max(known, default=None))


def placeholders(processor: Any) -> list[str]:
    """The texts that the processor replaces by images, videos or sound."""
    names = ("image_token", "video_token", "audio_token")
    found = (getattr(processor, name, None) for name in names)
    return [str(token) for token in found if token]


def special_tokens(processor: Any) -> dict[int, str]:
    """Tokens that text must not spell, by id: all special ones but the one for unknown text."""
    tokenizer = getattr(processor, "tokenizer", processor)
    added = getattr(tokenizer, "added_tokens_decoder", {}).items()
    found = {number: str(token) for number, token in added if token.special}
    texts = tokenizer.all_special_tokens
    found |= dict(zip(tokenizer.convert_tokens_to_ids(texts), texts, strict=True))
    found.pop(tokenizer.unk_token_id, None)
    return found


PARTS_OF_A_MODEL = (".safetensors", ".bin", ".json", ".jinja", ".model", ".txt", ".py")


def fingerprint(source: str | Path) -> str | None:
    """SHA-256 of the files in a model's folder that decide what it computes; None for a hub name.

    Names and contents count, where the folder lies does not.
    """
    folder = Path(source)
    if not folder.is_dir():
        return None
    whole = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in PARTS_OF_A_MODEL and file.is_file() and not file.name.startswith("."):
            with file.open("rb") as handle:
                content = hashlib.file_digest(handle, "sha256").hexdigest()
            whole.update(f"{file.name} {content}\n".encode())
    return whole.hexdigest()


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
    Raises: `ModelError` if the chat template or the processor refuses a prompt.
    """
    if targets is None:
        texts = [render(policy.processor, prompt) for prompt in prompts]
    else:
        pairs = zip(prompts, targets, strict=True)
        texts = [_with_reply(policy.processor, prompt, reply) for prompt, reply in pairs]
    images = [[image.open() for image in prompt.images] for prompt in prompts]
    return process(policy.processor, texts, images).to(policy.model.device)


def process(processor: Any, texts: Sequence[str], images: Sequence[Sequence[Any]]) -> Any:
    """What the processor makes of rendered texts and the images of each.

    Raises: `ModelError` if it refuses them.
    """
    try:
        return processor(
            text=list(texts),
            images=[list(each) for each in images] if any(images) else None,
            padding=True,
            padding_side="left",
            return_tensors="pt",
            add_special_tokens=False,  # the chat template has written them
        )
    except Exception as error:  # each family refuses in its own way
        raise ModelError(f"{type(processor).__name__} refuses it: {_told(error)}") from error


def _told(error: Exception) -> str:
    """The text of an exception as one line without a full stop."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def render(processor: Any, prompt: Prompt) -> str:
    """The prompt as the chat template writes it, up to where the policy begins to write.

    Raises: `ModelError` if the template fails.
    """
    return _templated(processor, conversation(prompt), add_generation_prompt=True)


def opening(policy: Policy, prompt: Prompt) -> str:
    """The tag that the chat template leaves open where the policy begins to write, or nothing."""
    return tags.opened(render(policy.processor, prompt))


def _with_reply(processor: Any, prompt: Prompt, reply: str) -> str:
    content = [{"type": "text", "text": reply}]
    return _templated(processor, [*conversation(prompt), {"role": "assistant", "content": content}])


def _templated(processor: Any, turns: Sequence[Mapping[str, Any]], **options: Any) -> str:
    try:
        text: str = processor.apply_chat_template(list(turns), tokenize=False, **options)
    except Exception as error:  # a template is a program that somebody wrote
        raise ModelError(
            f"the chat template of {type(processor).__name__} failed: {_told(error)}. rft writes "
            "one user turn (images, then text) and one assistant turn."
        ) from error
    return text


def template_faults(source: str | Path, processor: Any) -> Iterator[str]:
    """What is wrong with the chat template, as far as three tokens show: warnings, one line each.

    SFT, rollouts and evaluation must condition on the same tokens, and a target must end in
    a token that ends generation, or the policy is taught never to stop.
    """
    prompt = Prompt("?")
    text = render(processor, prompt)
    asked = text_ids(processor, text)
    rolled = processor.apply_chat_template(
        conversation(prompt), tokenize=True, add_generation_prompt=True, return_dict=True
    )["input_ids"]
    rolled = rolled[0] if rolled and isinstance(rolled[0], list) else rolled
    if list(rolled) != asked:
        yield (
            f"{source}: a prompt is not the same tokens everywhere: its tokenizer adds tokens of "
            f"its own in GRPO's rollouts ({len(rolled)} tokens for {len(asked)} in SFT and "
            "evaluation). Let the chat template write them, and the tokenizer add none"
        )
    reply = tags.write("1 + 1", "2")
    whole = _with_reply(processor, prompt, reply)
    if reply not in whole:
        yield (
            f"{source}: its chat template changes an answer: SFT would teach "
            f"{whole[len(text) :]!r} instead of {reply!r}. Let the template write the assistant's "
            "text as it is, reasoning included"
        )
    elif not whole.startswith(text):
        yield (
            f"{source}: its chat template begins the assistant's turn in one way where an answer "
            f"follows and in another where it is asked for ({text[-40:]!r}), so SFT teaches "
            "another prompt than GRPO and evaluation show"
        )
    elif not _stop_ids(source, processor) & {*text_ids(processor, whole)[len(asked) :]}:
        yield (
            f"{source}: its chat template ends an answer without a token that ends generation, so "
            "SFT teaches the policy never to stop: let the template write the end-of-turn token, "
            "or put the token that it writes into generation_config.json (eos_token_id)"
        )


def _stop_ids(source: str | Path, processor: Any) -> set[int]:
    """The tokens that end generation, without the weights."""
    from transformers import AutoConfig, GenerationConfig

    tokenizer = getattr(processor, "tokenizer", processor)
    try:
        config: Any = GenerationConfig.from_pretrained(source)
    except OSError:  # none was saved: transformers makes one of the model's configuration
        config = AutoConfig.from_pretrained(source).get_text_config()
    ends = getattr(config, "eos_token_id", None)
    return {*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id} - {None}


def opens_think(processor: Any, prompt: Prompt) -> bool:
    """Whether the chat template ends the rendered prompt in an opening think tag.

    Then a completion begins inside the reasoning, and only closes it.
    """
    return bool(tags.opened(render(processor, prompt)))


def reply_tokens(processor: Any, text: str) -> int:
    """How many tokens the policy writes to say `text` and to end its turn."""
    return text_tokens(processor, text) + 1


@dataclass(frozen=True)
class Completion:
    """What the policy wrote: `tokens` counts them, `clipped` if it never ended."""

    text: str
    tokens: int
    clipped: bool


@contextmanager
def plain_decoding(model: Any) -> Iterator[None]:
    """Leave out what the model's folder says about decoding, but for the ids of its tokens.

    `generate` takes whatever a caller does not set from there: penalties, beams, suppressed
    tokens. Rollouts would then not follow the policy, and an evaluation not be greedy.
    """
    from transformers import GenerationConfig

    configs: Any = GenerationConfig  # untyped in transformers
    own = model.generation_config
    kept = ("eos_token_id", "pad_token_id", "bos_token_id", "decoder_start_token_id")
    model.generation_config = configs(**{name: getattr(own, name) for name in kept})
    try:
        yield
    finally:
        model.generation_config = own


def generate(policy: Policy, prompts: Sequence[Prompt], max_new_tokens: int) -> list[Completion]:
    """One greedy completion per prompt: fixed decoding, so a score repeats."""
    import torch

    inputs = encode(policy, prompts)
    was_training = policy.model.training
    policy.model.eval()
    with torch.inference_mode(), plain_decoding(policy.model):
        out = policy.model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=max_new_tokens,
            pad_token_id=policy.tokenizer.pad_token_id,
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
    """Log-probability of each target after its prompt, in nats: shape (B,).

    One sample at a time, and in float32 at the answer's positions only: the logits of a
    large vocabulary over a whole batch take gigabytes.
    """
    import torch

    was_training = policy.model.training
    policy.model.eval()
    with torch.inference_mode():
        found = [_logprob(policy, *pair) for pair in zip(prompts, targets, strict=True)]
    policy.model.train(was_training)
    return torch.stack(found)


def _logprob(policy: Policy, prompt: Prompt, target: str) -> Any:
    inputs = encode(policy, [prompt], [target])
    texts = (_with_reply(policy.processor, prompt, target), render(policy.processor, prompt))
    whole, start = (text_tokens(policy.processor, text) for text in texts)
    if whole <= start:
        raise ModelError(
            f"the chat template of {policy.source} leaves out the assistant's turn, which SFT "
            "learns from: rft needs a template that writes it"
        )
    ids = inputs["input_ids"][0, start - whole :]  # placeholders count alike in both texts
    logits = policy.model(**inputs).logits[0, start - whole - 1 : -1].float()
    return (logits.gather(-1, ids[:, None])[:, 0] - logits.logsumexp(-1)).sum()


def text_tokens(processor: Any, text: str) -> int:
    """How many tokens a text is, an image placeholder counted as written."""
    return len(text_ids(processor, text))


def text_ids(processor: Any, text: str) -> list[int]:
    """The tokens of a text by id, without any that the tokenizer would add."""
    tokenizer = getattr(processor, "tokenizer", processor)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
