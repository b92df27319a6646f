"""The tiny models are what they claim to be: a family's own classes, plainly loaded."""

import json

import pytest
from PIL import Image as pil

from rftcore.errors import ModelError
from rftcore.images import Image
from rftcore.models.encoding import apply_processor, render
from rftcore.models.processors import load_processor
from rftcore.models.rollout_prompts import require_equal_prompts
from rftcore.models.support import families
from rftcore.testing.families import FAMILIES
from rftcore.types import Prompt

CLASSES = {
    "qwen2_vl": ("Qwen2VLForConditionalGeneration", "Qwen2VLProcessor"),
    "qwen2_5_vl": ("Qwen2_5_VLForConditionalGeneration", "Qwen2_5_VLProcessor"),
    "qwen3_vl": ("Qwen3VLForConditionalGeneration", "Qwen3VLProcessor"),
    "qwen3_5": ("Qwen3_5ForConditionalGeneration", "Qwen3VLProcessor"),
    "llava": ("LlavaForConditionalGeneration", "LlavaProcessor"),
    "llava_next": ("LlavaNextForConditionalGeneration", "LlavaNextProcessor"),
    "llava_onevision": ("LlavaOnevisionForConditionalGeneration", "LlavaOnevisionProcessor"),
    "smolvlm": ("SmolVLMForConditionalGeneration", "SmolVLMProcessor"),
    "idefics3": ("Idefics3ForConditionalGeneration", "Idefics3Processor"),
    "internvl": ("InternVLForConditionalGeneration", "InternVLProcessor"),
    "gemma3": ("Gemma3ForConditionalGeneration", "Gemma3Processor"),
    "gemma4": ("Gemma4ForConditionalGeneration", "Gemma4Processor"),
    "paligemma": ("PaliGemmaForConditionalGeneration", "PaliGemmaProcessor"),
    "mllama": ("MllamaForConditionalGeneration", "MllamaProcessor"),
    "mistral3": ("Mistral3ForConditionalGeneration", "PixtralProcessor"),
    "glm4v": ("Glm4vForConditionalGeneration", "Glm4vProcessor"),
    "glm4v_moe": ("Glm4vMoeForConditionalGeneration", "Glm4vProcessor"),
    "aya_vision": ("AyaVisionForConditionalGeneration", "AyaVisionProcessor"),
    "cohere2_vision": ("Cohere2VisionForConditionalGeneration", "Cohere2VisionProcessor"),
    "idefics2": ("Idefics2ForConditionalGeneration", "Idefics2Processor"),
    "ovis2": ("Ovis2ForConditionalGeneration", "Ovis2Processor"),
    "lfm2_vl": ("Lfm2VlForConditionalGeneration", "Lfm2VlProcessor"),
    "deepseek_vl": ("DeepseekVLForConditionalGeneration", "DeepseekVLProcessor"),
    "vipllava": ("VipLlavaForConditionalGeneration", "LlavaProcessor"),
    "qwen3_vl_moe": ("Qwen3VLMoeForConditionalGeneration", "Qwen3VLProcessor"),
    "qwen3_5_moe": ("Qwen3_5MoeForConditionalGeneration", "Qwen3VLProcessor"),
    "glm46v": ("Glm46VForConditionalGeneration", "Glm46VProcessor"),
    "glm_ocr": ("GlmOcrForConditionalGeneration", "Glm46VProcessor"),
    "lighton_ocr": ("LightOnOcrForConditionalGeneration", "LightOnOcrProcessor"),
    "paddleocr_vl": ("PaddleOCRVLForConditionalGeneration", "PaddleOCRVLProcessor"),
    "got_ocr2": ("GotOcr2ForConditionalGeneration", "GotOcr2Processor"),
    "gemma3n": ("Gemma3nForConditionalGeneration", "Gemma3nProcessor"),
    "fast_vlm": ("FastVlmForConditionalGeneration", "LlavaProcessor"),
    "perception_lm": ("PerceptionLMForConditionalGeneration", "PerceptionLMProcessor"),
    "qwen2_5_omni_thinker": ("Qwen2_5OmniThinkerForConditionalGeneration", "Qwen2_5OmniProcessor"),
    "qwen3_omni_moe_thinker": (
        "Qwen3OmniMoeThinkerForConditionalGeneration",
        "Qwen3OmniMoeProcessor",
    ),
    "ernie4_5_vl_moe": ("Ernie4_5_VLMoeForConditionalGeneration", "Ernie4_5_VLMoeProcessor"),
    "janus": ("JanusForConditionalGeneration", "JanusProcessor"),
    "deepseek_vl_hybrid": ("DeepseekVLHybridForConditionalGeneration", "DeepseekVLHybridProcessor"),
    "aria": ("AriaForConditionalGeneration", "AriaProcessor"),
    "llama4": ("Llama4ForConditionalGeneration", "Llama4Processor"),
    "minicpmv4_6": ("MiniCPMV4_6ForConditionalGeneration", "MiniCPMV4_6Processor"),
    "minicpmv4_7": ("MiniCPMV4_7ForConditionalGeneration", "MiniCPMV4_7Processor"),
    "molmo2": ("Molmo2ForConditionalGeneration", "Molmo2Processor"),
    "kimi_k25": ("Kimi_K25ForConditionalGeneration", "Kimi_K25Processor"),
    "video_llama_3": ("VideoLlama3ForConditionalGeneration", "VideoLlama3Processor"),
    "qwen4_exp": ("Qwen4ExpForConditionalGeneration", "Qwen3VLProcessor"),
    "gemma4_unified": ("Gemma4UnifiedForConditionalGeneration", "Gemma4UnifiedProcessor"),
    "lfm3_vl": ("Lfm3VlForConditionalGeneration", "Lfm3VlProcessor"),
    "exaone4_5": ("Exaone4_5_ForConditionalGeneration", "Exaone4_5_Processor"),
    "qianfan_ocr": ("QianfanOCRForConditionalGeneration", "QianfanOCRProcessor"),
    "llava_next_video": ("LlavaNextVideoForConditionalGeneration", "LlavaNextVideoProcessor"),
    "glm5_next": ("Glm5NextForConditionalGeneration", "Glm5NextProcessor"),
    "hunyuan_vl": ("HunYuanVLForConditionalGeneration", "HunYuanVLProcessor"),
    "granite_docling": ("GraniteDoclingForConditionalGeneration", "GraniteDoclingProcessor"),
    "mistral_large4": ("MistralLarge4ForConditionalGeneration", "PixtralProcessor"),
    "granite4_vision": ("Granite4VisionForConditionalGeneration", "Granite4VisionProcessor"),
    "emu3": ("Emu3ForConditionalGeneration", "Emu3Processor"),
    "video_llava": ("VideoLlavaForConditionalGeneration", "VideoLlavaProcessor"),
    "step3p7": ("Step3p7ForConditionalGeneration", "Step3p7Processor"),
    "chameleon": ("ChameleonForConditionalGeneration", "ChameleonProcessor"),
    "idefics": ("IdeficsForVisionText2Text", "IdeficsProcessor"),
    "cosmos3_omni": ("Cosmos3OmniForConditionalGeneration", "Qwen3VLProcessor"),
    "muse_glimmer": ("MuseGlimmerForConditionalGeneration", "MuseGlimmerProcessor"),
    "inkling_mm_model": ("InklingForConditionalGeneration", "InklingProcessor"),
    "hyperclovax_vision_v2": (
        "HyperCLOVAXVisionV2ForConditionalGeneration",
        "HyperCLOVAXVisionV2Processor",
    ),
    "inkling2": ("Inkling2ForConditionalGeneration", "Inkling2Processor"),
    "glmga": ("Glm46VForConditionalGeneration", "Glm46VProcessor"),
    "muse_spark": ("MuseSparkForConditionalGeneration", "MuseSparkProcessor"),
    "minimax_m3_vl": ("MiniMaxM3SparseForConditionalGeneration", "MiniMaxM3VLProcessor"),
}
# PaliGemma's processor makes an array of a tensor
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
QUICK_FAMILIES = [*FAMILIES][:14]  # of `make test`; the others are tried by `make families`
every_family = pytest.mark.parametrize(
    "family",
    [
        pytest.param(name, marks=[] if name in QUICK_FAMILIES else [pytest.mark.families])
        for name in FAMILIES
    ],
)


def photo(folder, width, height, color="red"):
    path = folder / f"{width}x{height}{color}.png"
    pil.new("RGB", (width, height), color).save(path)
    return Image.from_path(path)


def plain(folder):
    """Model and processor as plain transformers loads them."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(folder)
    return model, AutoProcessor.from_pretrained(folder, padding_side="left")


def inputs(processor, image):
    """Tensors of one question about a PIL image, without rft; PaliGemma adds labels."""
    import torch

    parts = [{"type": "image"}, {"type": "text", "text": "How many?"}]
    asked = [{"role": "user", "content": parts}]
    # classes whose processor has no place for a template leave it to the tokenizer
    renders = processor if processor.chat_template else processor.tokenizer
    text = renders.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    images = [image] if "GotOcr2" in type(processor).__name__ else [[image]]
    made = processor(text=[text], images=images, return_tensors="pt", add_special_tokens=False)
    made.pop("labels", None)
    return made.to(torch.float32)  # Llama 4 makes bfloat16


@every_family
def test_a_tiny_model_loads_in_plain_transformers_with_the_real_classes_and_generates(family, tiny):
    model, processor = plain(tiny(family))
    asked = inputs(processor, pil.new("RGB", (64, 64), "red"))
    written = model.generate(**asked, max_new_tokens=3, min_new_tokens=3, do_sample=False)

    assert (type(model).__name__, type(processor).__name__) == CLASSES[family]
    assert written.shape[1] == asked["input_ids"].shape[1] + 3


@every_family
def test_a_tiny_model_has_its_family_s_model_type_and_at_most_a_quarter_million_parameters(
    family, tiny
):
    config = json.loads((tiny(family) / "config.json").read_text())
    model, _ = plain(tiny(family))

    assert config["model_type"] == family
    assert sum(parameter.numel() for parameter in model.parameters()) <= 250_000


@every_family
def test_the_pixels_move_the_next_token_of_a_tiny_model(family, tiny):
    import torch

    model, processor = plain(tiny(family))
    with torch.no_grad():
        last = [
            model(**inputs(processor, pil.new("RGB", (64, 64), color))).logits[0, -1]
            for color in ("red", "blue")
        ]
    shift = (last[0].log_softmax(-1) - last[1].log_softmax(-1)).abs().mean()

    assert shift > 0.01  # nats


@every_family
def test_a_seed_gives_the_same_tiny_model_again_and_another_seed_another(family, tiny, tmp_path):
    weights = "model.safetensors"
    again = FAMILIES[family](tmp_path / "again")
    other = FAMILIES[family](tmp_path / "other", seed=1)
    first = (tiny(family) / weights).read_bytes()

    assert (again / weights).read_bytes() == first != (other / weights).read_bytes()


@pytest.mark.parametrize("family", [f for f in FAMILIES if not families()[f].refused])
def test_a_batch_of_rollouts_reads_the_tokens_of_each_prompt_alone(family, tiny):
    require_equal_prompts(family, load_processor(tiny(family)))


def test_a_processor_that_pads_without_being_asked_is_told_not_to(tiny, monkeypatch):
    monkeypatch.setattr("rftcore.models.rollout_prompts._AS_THEY_ARE", {})
    with pytest.raises(ModelError, match="not the same tokens everywhere"):
        require_equal_prompts("gemma4", load_processor(tiny("gemma4")))


def test_tiny_qwen2_vl_reads_more_tokens_from_a_larger_image(tiny, tmp_path):
    processor = load_processor(tiny("qwen2_vl"))
    sizes = [(28, 28), (56, 28), (56, 56), (84, 56)]
    shown = [Prompt("?", (photo(tmp_path, *size),)) for size in sizes]
    texts = [render(processor, prompt) for prompt in shown]
    made = [apply_processor(processor, [texts[0]], [[p.images[0].open()]]) for p in shown]
    counts = [each["input_ids"].shape[1] for each in made]

    assert [count - counts[0] for count in counts] == [0, 1, 3, 5]


@pytest.mark.parametrize("text", ["How many cubes?", "é 😀\n\ttabs", "<think>a</think> 1,300"])
def test_the_small_tokenizer_spells_any_text(tiny, text):
    tokenizer = load_processor(tiny("qwen2_vl")).tokenizer

    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text
