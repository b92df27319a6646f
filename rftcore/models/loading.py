"""Load a model and its processor completely, or raise; read without weights what can be.

transformers fills in weights that are missing and drops those that are left over. Here either is
a `ModelError`, as is a processor that rft cannot show images and questions to.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rftcore.config import PolicyRecipe
from rftcore.errors import ModelError, RftError
from rftcore.models import pixels
from rftcore.models.adapters import (
    PEFT_MISSING,
    base_of,
    has_peft,
    is_adapter,
    merged,
    revision_of,
)
from rftcore.models.encoding import sentence
from rftcore.models.policy import VISION_PARTS, Policy, tokenizer_of
from rftcore.models.support import unfit

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, ProcessorMixin

MODEL_PACKAGES = ("torchvision", "num2words", "timm")  # of the extra `models`: some families
PLAIN = PolicyRecipe()  # how a model is loaded without a recipe
LENGTH_WARNING = "sequence-length-is-longer-than-the-specified-maximum"  # of transformers


def load_model(
    source: str | Path,
    settings: PolicyRecipe = PLAIN,
    *,
    dtype: str = "auto",
    device: str | None = None,
    quantized: bool = False,
) -> Policy:
    """Load the model and processor in a folder or of a hub name; every weight must be there.

    An adapter is loaded with its base, and merged into it.
    dtype: of the weights, by torch's name. "auto" is for reading and generating: bfloat16 on an
    accelerator that computes in it, else float32. Training needs float32: half precision has
    no room for small steps. quantized: keep linear layers of the language model in 4 bits.
    Raises: `ModelError` for missing, unexpected or damaged weights and files.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForImageTextToText

    device = device or best_device()
    dtype = reading_dtype(device) if dtype == "auto" else dtype
    processor = load_processor(source, settings)
    whole, its = _base(source, settings)
    if reason := unfit(model_config(source, settings)):
        raise ModelError(f"model {str(source)!r} cannot be used: {reason}")
    options = _how(whole, its, getattr(torch, dtype), device if quantized else None)
    models: Any = AutoModelForImageTextToText  # untyped in transformers
    with _loading(whole), _undivided():
        try:
            model, report = models.from_pretrained(whole, **options, output_loading_info=True)
        except (SafetensorError, RuntimeError) as error:
            raise ModelError(
                f"the weights of model {str(source)!r} cannot be read: {sentence(error)}. "
                "They are cut off, or are not those of its config.json: copy or save them again"
            ) from error
    _require_every_weight(whole, report)
    _require_every_embedding(whole, model, processor)
    if is_adapter(source):
        model = merged(model, source)
    without_router_logits(model)
    return Policy(model if quantized else model.to(device), processor, str(source))


def without_router_logits(model: Any) -> None:
    """Let a mixture of experts compute no loss of its routers unless a call requires it.

    With a cache, as in `generate`, that loss fails. TRL's trainers pass `output_router_logits`
    where they use it.
    """
    text = model.config.get_text_config()
    if getattr(text, "output_router_logits", False):
        text.output_router_logits = False


def _how(
    source: str | Path, settings: PolicyRecipe, dtype: Any, quantized_on: str | None
) -> dict[str, Any]:
    """How transformers is to load weights. quantized_on: the device of 4-bit weights, if any."""
    options = {"dtype": dtype, **_origin(source, settings)}
    if settings.attention is not None:
        options["attn_implementation"] = settings.attention
    if quantized_on is not None:  # 4-bit weights cannot be moved after they are made
        from transformers import BitsAndBytesConfig

        made: Any = BitsAndBytesConfig  # untyped in transformers
        options["quantization_config"] = made(**four_bits(dtype))
        options["device_map"] = {"": quantized_on}
    return options


def four_bits(dtype: Any) -> dict[str, Any]:
    """Fields of `BitsAndBytesConfig` for QLoRA: NF4 with quantized constants, computed in `dtype`.

    The vision tower, the projector and the head stay as they are: they are small, and TRL
    multiplies by the head's weights itself.
    Source: arXiv:2305.14314.
    """
    return {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
        "bnb_4bit_compute_dtype": dtype,
        "llm_int8_skip_modules": [*sum(VISION_PARTS.values(), ()), "lm_head"],
    }


def _origin(source: str | Path, settings: PolicyRecipe) -> dict[str, Any]:
    """Arguments of every `from_pretrained`: whether code may run, and which revision to take."""
    found: dict[str, Any] = {"trust_remote_code": settings.trust_remote_code}
    if settings.revision is not None and not Path(source).is_dir():
        found["revision"] = settings.revision
    return found


def _base(source: str | Path, settings: PolicyRecipe) -> tuple[str | Path, PolicyRecipe]:
    """The complete model of a source, and how to load it; of an adapter, its base's revision."""
    if not is_adapter(source):
        return source, settings
    revision = revision_of(source) or settings.revision
    return base_of(source), settings.model_copy(update={"revision": revision})


def reading_dtype(device: str | None = None) -> str:
    """The dtype "auto" on a device, by default this process's: bfloat16 where that is quick."""
    import torch

    fast = (device or best_device()).startswith("cuda") and torch.cuda.is_bf16_supported()
    return "bfloat16" if fast else "float32"


def best_device() -> str:
    """This process's accelerator, else the CPU."""
    import torch

    if torch.cuda.is_available():
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return "cpu"


# In old checkpoints; they are computed, not learned.
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
            f"{'; '.join(faults)}. Check that its folder has one complete model"
        )


def _require_every_embedding(source: str | Path, model: Any, processor: Any) -> None:
    """Raise `ModelError` if the tokenizer has tokens that the model has no embedding for."""
    tokenizer = tokenizer_of(processor)
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


def load_processor(source: str | Path, settings: PolicyRecipe = PLAIN) -> ProcessorMixin:
    """Load the processor in a folder or of a hub name, without the weights.

    The image settings of `settings` are applied here and nowhere else.
    Raises: `ModelError` for what is missing: files, a package, the image processor, a chat
    template, a pad token, a setting.
    """
    from transformers import AutoProcessor

    processors: Any = AutoProcessor  # untyped in transformers
    check_source(source)
    if is_adapter(source) and not (Path(source) / "tokenizer_config.json").is_file():
        return load_processor(*_base(source, settings))
    with _loading(source):
        processor: ProcessorMixin = processors.from_pretrained(
            source, padding_side="left", **_origin(source, settings)
        )
    name = f"model {str(source)!r}"
    if not hasattr(processor, "image_processor"):
        raise ModelError(
            f"{name} has no image processor: rft trains vision-language models only. "
            "Pass one to --model."
        )
    pixels.apply(processor, settings)
    tokenizer = tokenizer_of(processor)
    if not getattr(processor, "chat_template", None):  # some classes leave it to the tokenizer
        processor.chat_template = tokenizer.chat_template
    if not processor.chat_template:
        raise ModelError(
            f"{name} has no chat template, which formats questions: pass an "
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
    # its warning about its own limit would be shown once; `ProcessorCheck` counts every row
    getattr(tokenizer, "deprecation_warnings", {})[LENGTH_WARNING] = True
    return processor


@contextmanager
def _undivided() -> Iterator[None]:
    """Load a whole model. With DeepSpeed's stage 3, transformers would load this process's part.

    A trainer's configuration switches that on again, and its engine divides the model.
    """
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "").lower() == "true":
        from transformers.integrations import deepspeed

        hooks: Any = deepspeed  # untyped in transformers
        hooks.unset_hf_deepspeed_config()
    yield


@contextmanager
def _loading(source: str | Path) -> Iterator[None]:
    """Turn what transformers raises into a `ModelError`."""
    try:
        yield
    except RftError:
        raise
    except Exception as error:  # damaged files raise almost anything, KeyError to SafetensorError
        text = sentence(error)
        kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
        hub = "" if Path(source).exists() else " is not a folder here, and from the hub it"
        raise ModelError(
            f"model {str(source)!r}{hub} could not be loaded: {kind}{text}. {_remedy(error, text)}"
        ) from error


def _remedy(error: Exception, text: str) -> str:
    """What to do about an exception of transformers whose text is `text`."""
    if "trust_remote_code" in text:
        return (
            "Its folder has Python code that the model needs. Read that code; if you trust it, "
            "--set policy.trust_remote_code=true"
        )
    if "attn_implementation" in text or "attention implementation" in text:
        return "Choose another policy.attention, or leave it out."
    missing = [name for name in MODEL_PACKAGES if name in text.lower()]
    if missing:
        return (
            f"Install what its family needs: pip install 'rftcore[models]' (or pip install "
            f"{' '.join(MODEL_PACKAGES)})"
        )
    if isinstance(error, ImportError):
        return "Install the package that it names."
    if "image processor" in text:
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


def check_source(source: str | Path) -> None:
    """Raise `ModelError` if `source` is a folder path without a model, or without its base."""
    path = Path(source)
    if is_adapter(path):
        if not has_peft():
            raise ModelError(f"model folder {str(source)!r} is an adapter, which {PEFT_MISSING}")
        check_source(base_of(path))
        return
    looks_local = path.is_absolute() or str(source).startswith((".", "~")) or path.exists()
    if looks_local and not (path / "config.json").is_file():
        inside = sorted(str(file.parent) for file in path.glob("*/model/config.json"))
        hint = f": it is a run, whose policies are {' and '.join(inside)}" if inside else ""
        raise ModelError(f"model folder {str(source)!r} has no config.json{hint}")


class Context(NamedTuple):
    """How many tokens prompt and completion may have together.

    The smallest and the largest of the limits in the configuration and the tokenizer, which may
    differ; None if there is none.
    """

    smallest: int | None
    largest: int | None


def model_config(source: str | Path, settings: PolicyRecipe = PLAIN) -> PreTrainedConfig:
    """The configuration of the model in a folder or of a hub name, without its weights.

    Raises: `ModelError` if it cannot be read.
    """
    from transformers import AutoConfig

    source, settings = _base(source, settings)
    with _loading(source):
        config: PreTrainedConfig = AutoConfig.from_pretrained(source, **_origin(source, settings))
    return config


def empty_model(source: str | Path, settings: PolicyRecipe = PLAIN) -> Any:
    """The model in a folder or of a hub name without memory for its weights, on `meta`.

    Raises: `ModelError` if its configuration cannot be read or made into a model.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    models: Any = AutoModelForImageTextToText  # untyped in transformers
    config = model_config(source, settings)
    with _loading(source), torch.device("meta"):
        return models.from_config(config, trust_remote_code=settings.trust_remote_code)


def read_context(source: str | Path, processor: Any, settings: PolicyRecipe = PLAIN) -> Context:
    """The context of the model in a folder or of a hub name, without its weights.

    Raises: `ModelError` if its configuration cannot be read.
    """
    config = model_config(source, settings).get_text_config()
    tokenizer = tokenizer_of(processor)
    limits = (getattr(config, "max_position_embeddings", None), tokenizer.model_max_length)
    # a tokenizer without a limit has a number far beyond any
    known = [int(limit) for limit in limits if limit and limit < 10**9]
    return Context(min(known, default=None), max(known, default=None))


PARTS_OF_A_MODEL = (".safetensors", ".bin", ".json", ".jinja", ".model", ".txt", ".py")


def fingerprint(source: str | Path) -> str | None:
    """SHA-256 of the files in a model's folder that decide what it computes; None for a hub name.

    It covers names and contents, and not where the folder is; of an adapter, those of its base too.
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
    if is_adapter(folder) and (base := fingerprint(base_of(folder))):
        whole.update(f"base {base}\n".encode())
    return whole.hexdigest()
