"""Load the processor of a model, or raise for what it lacks to show images and questions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rftcore.config import PolicyRecipe
from rftcore.errors import ModelError
from rftcore.models import pixels
from rftcore.models.adapters import is_adapter
from rftcore.models.load_errors import as_model_errors
from rftcore.models.policy import tokenizer_of
from rftcore.models.sources import PLAIN, arguments, check_source, complete_source

if TYPE_CHECKING:
    from transformers import ProcessorMixin

FORMER = "return_legacy_image_output"  # a setting of image processors
LENGTH_WARNING = "sequence-length-is-longer-than-the-specified-maximum"  # of transformers


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
        return load_processor(*complete_source(source, settings))
    with as_model_errors(source):
        processor: ProcessorMixin = processors.from_pretrained(
            source, padding_side="left", **arguments(source, settings)
        )
    name = f"model {str(source)!r}"
    if not hasattr(processor, "image_processor"):
        raise ModelError(
            f"{name} has no image processor: rft trains vision-language models only. "
            "Pass one to --model."
        )
    pixels.apply(processor, settings)
    _name_images_as_models_do(processor)
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


def _name_images_as_models_do(processor: Any) -> None:
    """Let a processor make `pixel_values`, which TRL passes, where it has a former name for them.

    As a default of the processor's calls, which is not saved with it.
    """
    known = getattr(processor.image_processor, "valid_kwargs", None)
    if FORMER in getattr(known, "__annotations__", {}):
        processor.images_kwargs = {**processor.images_kwargs, FORMER: False}
