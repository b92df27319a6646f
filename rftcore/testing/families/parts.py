"""What the tiny families share: a small tokenizer, small towers, and the folder that is written."""

from __future__ import annotations

import functools
import string
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

WORDS = ("<think>", "</think>", "<answer>", "</answer>", "How many", "cube", "sphere", "Answer")
# The text model of most families, and a vision tower in the shape of CLIP or SigLIP.
TEXT: Mapping[str, Any] = MappingProxyType(
    {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
    }
)
TOWER: Mapping[str, Any] = MappingProxyType(
    {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": 14,
    }
)


def content(image: str) -> str:
    """A part of a chat template: a message's text, with `image` for each image, in their order."""
    return (
        "{%- if message['content'] is string -%}{{- message['content'] -}}"
        "{%- else -%}"
        "{%- for part in message['content'] -%}"
        f"{{%- if part['type'] == 'image' -%}}{{{{- '{image}' -}}}}"
        "{%- elif part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}"
        "{%- endfor -%}"
        "{%- endif -%}"
    )


def chatml(image: str, begin: str = "") -> str:
    """A chat template of turns between `<|im_start|>` and `<|im_end|>`. begin: a start token."""
    return (
        f"{{{{- '{begin}' -}}}}"
        "{%- for message in messages -%}"
        "{{- '<|im_start|>' + message['role'] + '\n' -}}"
        f"{content(image)}"
        "{{- '<|im_end|>\n' -}}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
    )


class Builder(Protocol):
    """Writes one tiny family; the keyword arguments are the same for all."""

    def __call__(
        self,
        folder: str | Path,
        *,
        seed: int = 0,
        dtype: str = "float32",
        chat_template: str | None = "",
    ) -> Path:
        """Write model and processor as `save_pretrained` does; return the folder.

        chat_template: in place of the family's own.
        """


class Parts(NamedTuple):
    """What a tiny model is made of. generation: entries of generation_config.json, as text."""

    model: Any
    config: Any
    processor: Any
    generation: Mapping[str, Any]


def builder(template: str) -> Callable[[Callable[[str | None], Parts]], Builder]:
    """Make a `Builder` of a function that returns the parts for a chat template."""

    def of(make: Callable[[str | None], Parts]) -> Builder:
        @functools.wraps(make)
        def build(
            folder: str | Path,
            *,
            seed: int = 0,
            dtype: str = "float32",
            chat_template: str | None = template,
        ) -> Path:
            model, config, processor, generation = make(chat_template)
            return write(
                *(folder, model, config, processor),
                seed=seed,
                dtype=dtype,
                generation=generation,
            )

        return build

    return of


def small_tokenizer(
    specials: Sequence[str],
    *,
    pad: str,
    end: str,
    begin: str | None = None,
    writes_begin: bool = False,
    names: Mapping[str, str] | None = None,
) -> Any:
    """A byte-level tokenizer of a few hundred tokens that spells any text.

    specials: tokens that text never spells; `pad`, `end` and `begin` are of them.
    writes_begin: put `begin` before every text, as the tokenizers of Llama and Gemma do.
    names: attributes that the family's processor reads, such as `image_token`.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    merges = []
    for first in string.ascii_lowercase[:8]:  # a few merges: most words take several tokens
        vocabulary[first * 2] = len(vocabulary)
        merges.append((first, first))
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(token, special=True) for token in specials])
    inner.add_tokens([AddedToken(word, special=False, normalized=False) for word in WORDS])
    if begin and writes_begin:
        inner.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A",
            pair=f"{begin} $A $B",
            special_tokens=[(begin, inner.token_to_id(begin))],
        )
    wrapped: Any = PreTrainedTokenizerFast  # untyped in transformers
    return wrapped(
        tokenizer_object=inner,
        eos_token=end,
        pad_token=pad,
        bos_token=begin,
        additional_special_tokens=[t for t in specials if t not in (pad, end, begin)],
        model_specific_special_tokens=dict(names or {}),
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    )


def ids_of(tokenizer: Any, *, begin: str | None, end: str, pad: str) -> dict[str, int]:
    """The entries of a text configuration that follow from the tokenizer."""
    found = ends_of(end, pad=pad, begin=begin)
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in found.items()}
    return {"vocab_size": len(tokenizer), **ids}


def ends_of(end: str | list[str], *, pad: str, begin: str | None = None) -> dict[str, Any]:
    """The tokens that begin, end and pad a text, by the names of a configuration."""
    found: dict[str, Any] = {"eos_token_id": end, "pad_token_id": pad}
    return {**found, "bos_token_id": begin} if begin else found


def write(
    folder: str | Path,
    model_class: Any,
    config: Any,
    processor: Any,
    *,
    seed: int,
    dtype: str,
    generation: Mapping[str, Any],
) -> Path:
    """Make the model with random weights and write it with its processor.

    generation: entries of generation_config.json, with tokens as text.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = model_class(config)
        make_every_path_count(model)
    for name, value in generation.items():
        setattr(model.generation_config, name, _as_ids(processor.tokenizer, name, value))
    if dtype != "float32":  # a cast would spoil the complex numbers of Llama 4
        model.to(getattr(torch, dtype))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return Path(folder)


def _as_ids(tokenizer: Any, name: str, value: Any) -> Any:
    return tokenizer.convert_tokens_to_ids(value) if name.endswith("token_id") else value


def make_every_path_count(model: Any) -> None:
    """Enlarge the matrices and open the gates, which start at zero.

    At the usual 0.02, pixels and positions hardly reach the logits. A convolution that adds few
    numbers needs larger ones.
    """
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                added = parameter[0].numel() if parameter.ndim == 4 else 400
                parameter.normal_(std=max(0.1, 2 / added**0.5))
            elif name.endswith("gate"):
                parameter.fill_(0.5)
