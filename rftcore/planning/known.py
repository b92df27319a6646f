"""Models whose published shapes are built in, so that a plan needs neither network nor weights.

`stand_in` writes a folder with their config.json and a processor: images become as many tokens as
in the real one. The tokenizer is not built in: every word, digit and sign counts as one token,
somewhat fewer than the real one has.

Source: config.json and preprocessor_config.json of Qwen/Qwen2-VL-2B-Instruct,
Qwen/Qwen2-VL-7B-Instruct, Qwen/Qwen2.5-VL-3B-Instruct and Qwen/Qwen2.5-VL-7B-Instruct.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rftcore.cache import cache_folder, keeping

SPECIALS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|image_pad|>", "<|video_pad|>"),
)
TEMPLATE = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif part['type'] == 'text' %}"
    "{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PIXELS = {"shortest_edge": 56 * 56, "longest_edge": 12_845_056}
SMALL_2 = {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28}
SMALL_25 = {"hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36}
LARGE = {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28}
# class of the family, text (heads, of keys and values, vocabulary, tied), width of image tokens
SHAPES: dict[str, tuple[str, dict[str, int], int, int, int, bool]] = {
    "Qwen/Qwen2-VL-2B": ("Qwen2VL", SMALL_2, 12, 2, 151936, True),
    "Qwen/Qwen2-VL-7B": ("Qwen2VL", LARGE, 28, 4, 152064, False),
    "Qwen/Qwen2.5-VL-3B": ("Qwen2_5_VL", SMALL_25, 16, 2, 151936, True),
    "Qwen/Qwen2.5-VL-7B": ("Qwen2_5_VL", LARGE, 28, 4, 152064, False),
}


def is_known(name: str) -> bool:
    """Whether the shapes of a hub name are built in."""
    return name.removesuffix("-Instruct") in SHAPES


def stand_in(name: str) -> Path:
    """A folder with the configuration and a processor of a known model; it has no weights."""
    folder = cache_folder("plan") / name.removesuffix("-Instruct").replace("/", "--")
    if not (folder / "config.json").is_file():
        with keeping(folder):
            folder.mkdir(parents=True, exist_ok=True)
            tokenizer = _tokenizer()
            _save_processor(folder, tokenizer)
            _config(name, tokenizer).save_pretrained(folder)
    return folder


def _config(name: str, tokenizer: Any) -> Any:
    import transformers

    family, widths, heads, kept, words, tied = SHAPES[name.removesuffix("-Instruct")]
    made: Any = getattr(transformers, f"{family}Config")
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIALS}
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
    text = {
        **widths,
        "num_attention_heads": heads,
        "num_key_value_heads": kept,
        "vocab_size": words,
        "rope_parameters": rope,
        "max_position_embeddings": 32768,
        "use_sliding_window": False,
        "tie_word_embeddings": tied,
        "bos_token_id": None,
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    return made(
        text_config=text,
        vision_config=_vision(family, widths["hidden_size"]),
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=tied,
    )


def _vision(family: str, width: int) -> dict[str, Any]:
    both = {"depth": 32, "num_heads": 16, "patch_size": 14, "spatial_merge_size": 2}
    if family == "Qwen2VL":
        return {**both, "embed_dim": 1280, "hidden_size": width, "mlp_ratio": 4}
    windows = {"window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31]}
    sizes = {"hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": width}
    return {**both, **windows, **sizes}


def _save_processor(folder: Path, tokenizer: Any) -> None:
    from transformers import Qwen2VLProcessor
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

    parts: Any = (Qwen2VLProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor)
    whole, of_images, of_videos = parts
    processor = whole(
        image_processor=of_images(size=PIXELS),
        tokenizer=tokenizer,
        video_processor=of_videos(size=PIXELS),
        chat_template=TEMPLATE,
    )
    processor.save_pretrained(folder)


def _tokenizer() -> Any:
    """A tokenizer with one token per word, digit and sign, split as Qwen2's splits a text."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    made: Any = models.WordLevel
    inner = Tokenizer(made({"<unk>": 0, "a": 1, " a": 2}, unk_token="<unk>"))
    split: Any = pre_tokenizers
    inner.pre_tokenizer = split.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated")
    inner.add_special_tokens([AddedToken(token, special=True) for token in SPECIALS])
    wrapped: Any = PreTrainedTokenizerFast  # untyped in transformers
    return wrapped(
        tokenizer_object=inner,
        unk_token="<unk>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIALS[1:2] + SPECIALS[3:]),
        model_max_length=32768,
    )
