"""Tiny models of families that users bring: random weights, real processors.

Each function writes what `save_pretrained` writes, so the folder loads with
plain transformers and serves as `--model FOLDER`:

    from rftcore.testing.families import tiny_qwen2_vl
    tiny_qwen2_vl(tmp_path / "model")

The weights are random, so answers are meaningless. The models test what does not
depend on training: shapes, positions, checkpoints, dtypes, errors. The
chat templates are written here, in the families' own formats.
"""

from __future__ import annotations

import copy
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

CHATML = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\n' -}}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}"
    "{%- else -%}"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}"
    "{%- elif part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- endif -%}"
    "{{- '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
QWEN_SPECIALS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|image_pad|>", "<|video_pad|>"),
)
QWEN_TEXT: Mapping[str, Any] = MappingProxyType(
    {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "rope_parameters": {
            "rope_type": "default",
            "mrope_section": [2, 3, 3],
            "rope_theta": 10000.0,
        },
    }
)
QWEN_VISION: Mapping[str, Any] = MappingProxyType(
    {
        "depth": 2,
        "embed_dim": 32,
        "hidden_size": 64,
        "num_heads": 2,
        "mlp_ratio": 2,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
)
WORDS = ("<think>", "</think>", "<answer>", "</answer>", "How many", "cube", "sphere", "Answer")


def tiny_qwen2_vl(
    folder: str | Path,
    *,
    seed: int = 0,
    dtype: str = "float32",
    chat_template: str | None = CHATML,
    max_pixels: int = 128 * 128,
) -> Path:
    """Write a Qwen2-VL of about 170,000 random parameters with its processor; return the folder.

    Images keep their aspect ratio, in multiples of 28 pixels and at most
    `max_pixels` (height times width), so their number of tokens varies.
    Raises: ImportError if torchvision is not installed, which its processor needs.
    """
    import torch
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

    tokenizer = small_tokenizer(QWEN_SPECIALS, pad="<|endoftext|>", end="<|im_end|>")
    size = {"shortest_edge": 28 * 28, "longest_edge": max_pixels}
    processors: Any = (Qwen2VLProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor)
    whole, of_images, of_videos = processors
    processor = whole(
        image_processor=of_images(size=size),
        tokenizer=tokenizer,
        video_processor=of_videos(size=size),
        chat_template=chat_template,
    )
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in QWEN_SPECIALS}
    config = Qwen2VLConfig(
        text_config={
            **copy.deepcopy(dict(QWEN_TEXT)),
            "vocab_size": len(tokenizer),
            "bos_token_id": ids["<|endoftext|>"],
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config=dict(QWEN_VISION),
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2VLForConditionalGeneration(config)
        _make_every_path_count(model)
    ends = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    model.generation_config.eos_token_id = ends
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    processor.save_pretrained(folder)
    return Path(folder)


def small_tokenizer(specials: Sequence[str], *, pad: str, end: str) -> Any:
    """A byte-level tokenizer of a few hundred tokens that spells any text.

    specials: tokens that text never spells; `pad` and `end` are two of them.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
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
    wrapped: Any = PreTrainedTokenizerFast  # untyped in transformers
    return wrapped(
        tokenizer_object=inner,
        eos_token=end,
        pad_token=pad,
        additional_special_tokens=[token for token in specials if token not in (pad, end)],
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    )


def _make_every_path_count(model: Any) -> None:
    """Enlarge the matrices: at the usual 0.02, pixels and positions hardly reach the logits."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.1)
