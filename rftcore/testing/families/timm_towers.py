"""Tiny Gemma 3n, FastVLM and PerceptionLM, whose vision towers are models of the package timm."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.gemma import GEMMA, GEMMA3N, ORDINARY, SAMPLING, ends, ids
from rftcore.testing.families.parts import (
    TEXT,
    Parts,
    builder,
    chatml,
    content,
    ends_of,
    ids_of,
    small_tokenizer,
)


@builder(GEMMA3N)
def tiny_gemma3n(chat_template: str | None) -> Parts:
    """Write a Gemma 3n: an image is 4 tokens; the last two of four layers reuse keys and values.

    Its tower is a small ConvNeXt: the smallest MobileNetV5 of timm has a million parameters.
    """
    from transformers import (
        Gemma3nAudioFeatureExtractor,
        Gemma3nConfig,
        Gemma3nForConditionalGeneration,
        Gemma3nProcessor,
        SiglipImageProcessor,
    )

    names = {
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
        "boa_token": "<start_of_audio>",
        "eoa_token": "<end_of_audio>",
        "audio_token": "<audio_soft_token>",
    }
    turns = ("<start_of_turn>", "<end_of_turn>")
    specials = ("<pad>", "<eos>", "<bos>", "<unk>", *turns, *names.values())
    tokenizer = small_tokenizer(specials, names=names, **ORDINARY)
    classes: Any = (Gemma3nProcessor, Gemma3nAudioFeatureExtractor, SiglipImageProcessor)
    whole, hears, of_images = classes
    processor = whole(
        hears(),
        of_images(size={"height": 64, "width": 64}),
        tokenizer,
        chat_template=chat_template,
        image_seq_length=4,
    )
    words = len(tokenizer)
    text = {
        **GEMMA,
        **ids(tokenizer),
        "vocab_size": words + 16,  # those of images and of sound follow the text's
        "num_hidden_layers": 4,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "sliding_window": 128,
        "num_kv_shared_layers": 2,
        "vocab_size_per_layer_input": words,
        "hidden_size_per_layer_input": 8,
        "laurel_rank": 4,
        "altup_num_inputs": 2,
    }
    tower = {
        "architecture": "test_convnext",
        "model_args": {"depths": [1, 1, 1, 1], "dims": [8, 16, 16, 32]},
        "hidden_size": 32,
        "vocab_size": 8,
        "vocab_offset": words,
    }
    sound = {
        "hidden_size": 32,
        "conf_num_hidden_layers": 1,
        "conf_num_attention_heads": 2,
        "sscp_conv_channel_size": [8, 4],
        "vocab_size": 8,
        "vocab_offset": words + 8,
    }
    config = Gemma3nConfig(
        text_config=text,
        vision_config=tower,
        audio_config=sound,
        vision_soft_tokens_per_image=4,
        **{f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in names.items()},
    )
    generation = {**ends("<end_of_turn>"), **SAMPLING}
    return Parts(Gemma3nForConditionalGeneration, config, processor, generation)


@builder(chatml("<image>\n"))
def tiny_fast_vlm(chat_template: str | None) -> Parts:
    """Write a FastVLM: a convolutional tower makes 4 tokens of 128 x 128 pixels."""
    from transformers import (
        CLIPImageProcessor,
        FastVlmConfig,
        FastVlmForConditionalGeneration,
        LlavaProcessor,
    )

    marks = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>")
    tokenizer = small_tokenizer(marks, pad="<|endoftext|>", end="<|im_end|>")
    classes: Any = (LlavaProcessor, CLIPImageProcessor)
    whole, of_images = classes
    processor = whole(
        of_images(size={"shortest_edge": 128}, crop_size={"height": 128, "width": 128}),
        tokenizer,
        patch_size=64,
        vision_feature_select_strategy="full",
        chat_template=chat_template,
    )
    config = FastVlmConfig(
        text_config={
            **TEXT,
            **ids_of(tokenizer, begin=None, end="<|im_end|>", pad="<|endoftext|>"),
            "model_type": "qwen2",
        },
        vision_config={
            "model_type": "timm_wrapper",
            "architecture": "fastvit_mci3",
            "model_args": {
                "inference_mode": True,
                "layers": [1, 1, 1, 1, 1],
                "embed_dims": [16, 16, 32, 32, 64],
            },
            "hidden_size": 128,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
    )
    generation = ends_of("<|im_end|>", pad="<|endoftext|>")
    return Parts(FastVlmForConditionalGeneration, config, processor, generation)


BEGIN, TURN, PAD = "<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>"
HEADS = ("<|start_header_id|>", "<|end_header_id|>")
LLAMA3 = (
    f"{{{{- '{BEGIN}' -}}}}"
    "{%- for message in messages -%}"
    f"{{{{- '{HEADS[0]}' + message['role'] + '{HEADS[1]}\n\n' -}}}}"
    f"{content('<|image|>')}{{{{- '{TURN}' -}}}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    f"{{{{- '{HEADS[0]}assistant{HEADS[1]}\n\n' -}}}}"
    "{%- endif -%}"
)


@builder(LLAMA3)
def tiny_perception_lm(chat_template: str | None) -> Parts:
    """Write a PerceptionLM in its setting of one tile per image, which is 4 tokens."""
    from transformers import (
        PerceptionLMConfig,
        PerceptionLMForConditionalGeneration,
        PerceptionLMImageProcessor,
        PerceptionLMProcessor,
        PerceptionLMVideoProcessor,
    )

    names = {"image_token": "<|image|>", "video_token": "<|video|>"}
    tokenizer = small_tokenizer(
        (BEGIN, TURN, PAD, *HEADS, *names.values()),
        pad=PAD,
        end=TURN,
        begin=BEGIN,
        writes_begin=True,
        names=names,
    )
    classes: Any = (
        *(PerceptionLMProcessor, PerceptionLMVideoProcessor),
        PerceptionLMImageProcessor,
    )
    whole, of_videos, of_images = classes
    processor = whole(
        of_videos(size={"height": 56, "width": 56}),
        of_images(tile_size=56, max_num_tiles=4, vision_input_type="vanilla"),
        tokenizer,
        patch_size=14,
        pooling_ratio=2,
        chat_template=chat_template,
    )
    tower = {
        "embed_dim": 32,
        "depth": 2,
        "num_heads": 2,
        "patch_size": 14,
        "img_size": [56, 56],
        "ref_feat_shape": [4, 4],
        "global_pool": "",
        "init_values": 0.1,
        "use_post_transformer_norm": False,
    }
    config = PerceptionLMConfig(
        text_config={
            **TEXT,
            **ids_of(tokenizer, begin=BEGIN, end=TURN, pad=PAD),
            "model_type": "llama",
        },
        vision_config={
            "model_type": "timm_wrapper",
            "architecture": "vit_pe_core_tiny_patch16_384",
            "model_args": tower,
            "hidden_size": 32,
        },
        vision_use_cls_token=True,
        projector_pooling_ratio=2,
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
    )
    generation = {"bos_token_id": BEGIN, "eos_token_id": [PAD, TURN], "pad_token_id": PAD}
    return Parts(PerceptionLMForConditionalGeneration, config, processor, generation)
