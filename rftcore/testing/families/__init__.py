"""Tiny models of families that users bring: random weights, real processors.

Each builder writes what `save_pretrained` writes, so the folder loads with
plain transformers and serves as `--model FOLDER`:

    from rftcore.testing.families import FAMILIES, tiny_qwen2_vl
    tiny_qwen2_vl(tmp_path / "model")
    FAMILIES["gemma3"](tmp_path / "gemma", seed=1)

The weights are random, so answers are meaningless. The models test what does not
depend on training: shapes, positions, checkpoints, dtypes, errors. Processor and
image processor are the family's own classes. The tokenizer is ours, and the chat templates
are written here in the families' own formats, their quirks included.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rftcore.testing.families.aria import tiny_aria
from rftcore.testing.families.cohere import tiny_aya_vision, tiny_cohere2_vision
from rftcore.testing.families.cosmos import tiny_cosmos3_omni
from rftcore.testing.families.deepseek import tiny_deepseek_vl, tiny_deepseek_vl_hybrid, tiny_janus
from rftcore.testing.families.discrete import tiny_chameleon, tiny_emu3
from rftcore.testing.families.ernie import tiny_ernie4_5_vl_moe
from rftcore.testing.families.gemma import tiny_gemma3, tiny_gemma4, tiny_paligemma
from rftcore.testing.families.gemma4_unified import tiny_gemma4_unified
from rftcore.testing.families.glm import (
    tiny_glm4v,
    tiny_glm4v_moe,
    tiny_glm46v,
    tiny_glm_ocr,
    tiny_glmga,
)
from rftcore.testing.families.glm5 import tiny_glm5_next
from rftcore.testing.families.granite import tiny_granite_docling
from rftcore.testing.families.granite4 import tiny_granite4_vision
from rftcore.testing.families.hunyuan import tiny_hunyuan_vl
from rftcore.testing.families.idefics import tiny_idefics3, tiny_smolvlm
from rftcore.testing.families.idefics1 import tiny_idefics
from rftcore.testing.families.idefics2 import tiny_idefics2
from rftcore.testing.families.inkling import tiny_inkling2, tiny_inkling_mm_model
from rftcore.testing.families.internvl import tiny_internvl
from rftcore.testing.families.kimi import tiny_kimi_k25
from rftcore.testing.families.lfm import tiny_lfm2_vl
from rftcore.testing.families.llama4 import tiny_llama4
from rftcore.testing.families.llava import (
    tiny_llava,
    tiny_llava_next,
    tiny_llava_onevision,
    tiny_vipllava,
)
from rftcore.testing.families.llava_video import tiny_llava_next_video, tiny_video_llava
from rftcore.testing.families.minicpm import (
    tiny_minicpmv4_6,
    tiny_minicpmv4_7,
)
from rftcore.testing.families.minimax import tiny_minimax_m3_vl
from rftcore.testing.families.mistral import tiny_mistral3
from rftcore.testing.families.mistral_large import tiny_mistral_large4
from rftcore.testing.families.mllama import tiny_mllama
from rftcore.testing.families.molmo import tiny_molmo2
from rftcore.testing.families.muse import tiny_muse_glimmer, tiny_muse_spark
from rftcore.testing.families.ocr import tiny_got_ocr2, tiny_lighton_ocr, tiny_paddleocr_vl
from rftcore.testing.families.omni import tiny_qwen2_5_omni_thinker, tiny_qwen3_omni_moe_thinker
from rftcore.testing.families.ovis import tiny_ovis2
from rftcore.testing.families.parts import Builder, small_tokenizer
from rftcore.testing.families.qianfan import tiny_qianfan_ocr
from rftcore.testing.families.qwen import (
    CHATML,
    tiny_qwen2_5_vl,
    tiny_qwen2_vl,
    tiny_qwen3_5,
    tiny_qwen3_5_moe,
    tiny_qwen3_vl,
    tiny_qwen3_vl_moe,
)
from rftcore.testing.families.qwen_like import (
    tiny_exaone4_5,
    tiny_hyperclovax_vision_v2,
    tiny_lfm3_vl,
    tiny_qwen4_exp,
)
from rftcore.testing.families.step import tiny_step3p7
from rftcore.testing.families.timm_towers import (
    tiny_fast_vlm,
    tiny_gemma3n,
    tiny_perception_lm,
)
from rftcore.testing.families.video_llama import tiny_video_llama_3

# By `model_type` of config.json.
FAMILIES: Mapping[str, Builder] = MappingProxyType(
    {
        "qwen2_vl": tiny_qwen2_vl,
        "qwen2_5_vl": tiny_qwen2_5_vl,
        "qwen3_vl": tiny_qwen3_vl,
        "qwen3_5": tiny_qwen3_5,
        "llava": tiny_llava,
        "llava_next": tiny_llava_next,
        "llava_onevision": tiny_llava_onevision,
        "smolvlm": tiny_smolvlm,
        "idefics3": tiny_idefics3,
        "internvl": tiny_internvl,
        "gemma3": tiny_gemma3,
        "gemma4": tiny_gemma4,
        "paligemma": tiny_paligemma,
        "mllama": tiny_mllama,
        "mistral3": tiny_mistral3,
        "glm4v": tiny_glm4v,
        "glm4v_moe": tiny_glm4v_moe,
        "aya_vision": tiny_aya_vision,
        "cohere2_vision": tiny_cohere2_vision,
        "idefics2": tiny_idefics2,
        "ovis2": tiny_ovis2,
        "lfm2_vl": tiny_lfm2_vl,
        "deepseek_vl": tiny_deepseek_vl,
        "vipllava": tiny_vipllava,
        "qwen3_vl_moe": tiny_qwen3_vl_moe,
        "qwen3_5_moe": tiny_qwen3_5_moe,
        "llama4": tiny_llama4,
        "glm46v": tiny_glm46v,
        "glm_ocr": tiny_glm_ocr,
        "lighton_ocr": tiny_lighton_ocr,
        "paddleocr_vl": tiny_paddleocr_vl,
        "got_ocr2": tiny_got_ocr2,
        "gemma3n": tiny_gemma3n,
        "fast_vlm": tiny_fast_vlm,
        "perception_lm": tiny_perception_lm,
        "qwen2_5_omni_thinker": tiny_qwen2_5_omni_thinker,
        "qwen3_omni_moe_thinker": tiny_qwen3_omni_moe_thinker,
        "ernie4_5_vl_moe": tiny_ernie4_5_vl_moe,
        "janus": tiny_janus,
        "deepseek_vl_hybrid": tiny_deepseek_vl_hybrid,
        "aria": tiny_aria,
        "minicpmv4_6": tiny_minicpmv4_6,
        "minicpmv4_7": tiny_minicpmv4_7,
        "molmo2": tiny_molmo2,
        "kimi_k25": tiny_kimi_k25,
        "video_llama_3": tiny_video_llama_3,
        "qwen4_exp": tiny_qwen4_exp,
        "gemma4_unified": tiny_gemma4_unified,
        "lfm3_vl": tiny_lfm3_vl,
        "exaone4_5": tiny_exaone4_5,
        "qianfan_ocr": tiny_qianfan_ocr,
        "llava_next_video": tiny_llava_next_video,
        "glm5_next": tiny_glm5_next,
        "hunyuan_vl": tiny_hunyuan_vl,
        "granite_docling": tiny_granite_docling,
        "mistral_large4": tiny_mistral_large4,
        "granite4_vision": tiny_granite4_vision,
        "emu3": tiny_emu3,
        "video_llava": tiny_video_llava,
        "step3p7": tiny_step3p7,
        "chameleon": tiny_chameleon,
        "idefics": tiny_idefics,
        "minimax_m3_vl": tiny_minimax_m3_vl,
        "cosmos3_omni": tiny_cosmos3_omni,
        "muse_glimmer": tiny_muse_glimmer,
        "inkling_mm_model": tiny_inkling_mm_model,
        "hyperclovax_vision_v2": tiny_hyperclovax_vision_v2,
        "inkling2": tiny_inkling2,
        "glmga": tiny_glmga,
        "muse_spark": tiny_muse_spark,
    }
)

__all__ = [
    "CHATML",
    "FAMILIES",
    "Builder",
    "small_tokenizer",
    "tiny_aria",
    "tiny_aya_vision",
    "tiny_chameleon",
    "tiny_cohere2_vision",
    "tiny_cosmos3_omni",
    "tiny_deepseek_vl",
    "tiny_deepseek_vl_hybrid",
    "tiny_emu3",
    "tiny_ernie4_5_vl_moe",
    "tiny_exaone4_5",
    "tiny_fast_vlm",
    "tiny_gemma3",
    "tiny_gemma3n",
    "tiny_gemma4",
    "tiny_gemma4_unified",
    "tiny_glm4v",
    "tiny_glm4v_moe",
    "tiny_glm5_next",
    "tiny_glm46v",
    "tiny_glm_ocr",
    "tiny_glmga",
    "tiny_got_ocr2",
    "tiny_granite4_vision",
    "tiny_granite_docling",
    "tiny_hunyuan_vl",
    "tiny_hyperclovax_vision_v2",
    "tiny_idefics",
    "tiny_idefics2",
    "tiny_idefics3",
    "tiny_inkling2",
    "tiny_inkling_mm_model",
    "tiny_internvl",
    "tiny_janus",
    "tiny_kimi_k25",
    "tiny_lfm2_vl",
    "tiny_lfm3_vl",
    "tiny_lighton_ocr",
    "tiny_llama4",
    "tiny_llava",
    "tiny_llava_next",
    "tiny_llava_next_video",
    "tiny_llava_onevision",
    "tiny_minicpmv4_6",
    "tiny_minicpmv4_7",
    "tiny_minimax_m3_vl",
    "tiny_mistral3",
    "tiny_mistral_large4",
    "tiny_mllama",
    "tiny_molmo2",
    "tiny_muse_glimmer",
    "tiny_muse_spark",
    "tiny_ovis2",
    "tiny_paddleocr_vl",
    "tiny_paligemma",
    "tiny_perception_lm",
    "tiny_qianfan_ocr",
    "tiny_qwen2_5_omni_thinker",
    "tiny_qwen2_5_vl",
    "tiny_qwen2_vl",
    "tiny_qwen3_5",
    "tiny_qwen3_5_moe",
    "tiny_qwen3_omni_moe_thinker",
    "tiny_qwen3_vl",
    "tiny_qwen3_vl_moe",
    "tiny_qwen4_exp",
    "tiny_smolvlm",
    "tiny_step3p7",
    "tiny_video_llama_3",
    "tiny_video_llava",
    "tiny_vipllava",
]
