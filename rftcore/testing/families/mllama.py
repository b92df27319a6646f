"""A tiny Mllama (Llama 3.2 Vision): image features enter by cross-attention, not as tokens."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.parts import TEXT, TOWER, Parts, builder, ids_of, small_tokenizer

SIDE = 28  # pixels of a tile: 2 x 2 patches
BEGIN, END, PAD = "<|begin_of_text|>", "<|end_of_text|>", "<|finetune_right_pad_id|>"
MARKS = ("<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>")
TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' -}}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}"
    "{%- else -%}"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}{{- '<|image|>' -}}"
    "{%- elif part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- endif -%}"
    "{{- '<|eot_id|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}"
    "{%- endif -%}"
)


@builder(TEMPLATE)
def tiny_mllama(chat_template: str | None) -> Parts:
    """Write an Mllama: an image is up to 4 tiles; the second of three text layers sees them."""
    from transformers import MllamaConfig, MllamaForConditionalGeneration, MllamaProcessor
    from transformers.models.mllama.image_processing_mllama import MllamaImageProcessor

    specials = (BEGIN, END, PAD, *MARKS, "<|image|>")
    tokenizer = small_tokenizer(specials, pad=PAD, end=END, begin=BEGIN, writes_begin=True)
    processors: Any = (MllamaProcessor, MllamaImageProcessor)
    whole, of_images = processors
    size = {"height": SIDE, "width": SIDE}
    processor = whole(of_images(size=size), tokenizer, chat_template=chat_template)
    ids = ids_of(tokenizer, begin=BEGIN, end=END, pad=PAD)
    layers = {"num_hidden_layers": 3, "cross_attention_layers": [1]}
    text = {**TEXT, **ids, **layers}
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": 10000.0}
    tower = {key: value for key, value in TOWER.items() if key != "num_attention_heads"}
    config = MllamaConfig(
        text_config={**text, "vocab_size": len(tokenizer)},
        vision_config={
            **tower,
            "attention_heads": 2,
            "image_size": SIDE,
            "num_global_layers": 1,
            "intermediate_layers_indices": [0],
            "vision_output_dim": 64,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<|image|>"),
    )
    return Parts(
        MllamaForConditionalGeneration,
        config,
        processor,
        {
            "bos_token_id": BEGIN,
            "pad_token_id": PAD,
            "eos_token_id": [END, "<|eom_id|>", "<|eot_id|>"],
            "do_sample": True,
            "temperature": 0.6,
            "top_p": 0.9,
        },
    )
