"""What families need that were not tested, or why they are refused: each on a tiny model."""

import inspect
import io
import json
import random
import shutil

import pytest
import torch
from PIL import Image as pil

from rftcore.config import LoraRecipe
from rftcore.errors import ModelError
from rftcore.images import Image
from rftcore.models.adapters import linear_layers, lora_config, with_adapter, without_adapter
from rftcore.models.configs import empty_model, model_config
from rftcore.models.decode_loop import generate
from rftcore.models.encoding import apply_processor, encode, render
from rftcore.models.image_fields import PASSED
from rftcore.models.independence import require_independent
from rftcore.models.loading import load_model
from rftcore.models.placeholders import placeholder_ids
from rftcore.models.policy import freeze, parts_of
from rftcore.models.processor_check import ProcessorCheck
from rftcore.models.processors import load_processor
from rftcore.models.support import require_supported
from rftcore.models.template_check import require_plain_targets, unpassed
from rftcore.models.vision import blank
from rftcore.training.adapt import adapt, without_unknown_experts
from rftcore.training.shared_prefix.sharing import share_prefix
from rftcore.training.stand_ins import StandIns
from rftcore.training.starts import without_starts
from rftcore.training.template_calls import with_named_conversation
from rftcore.training.tiles import with_tile_counts
from rftcore.types import Prompt, Sample

SIZES = ((64, 64), (150, 40), (40, 150), (120, 120))


def ids(policy, *tokens):
    return {policy.tokenizer.convert_tokens_to_ids(token) for token in tokens}


@pytest.mark.parametrize(
    ("family", "module"), [("deepseek_vl", "aligner"), ("ovis2", "visual_embeddings_table")]
)
def test_what_joins_a_tower_to_the_decoder_is_the_projector_whatever_its_name(family, module, tiny):
    model = load_model(tiny(family), device="cpu").model
    parts = parts_of(model)

    named = {name for name in parts if module in name.split(".")}
    assert named == {name for name, part in parts.items() if part == "projector"} != set()
    assert not any(module in name for name in linear_layers(model).language)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of peft
@pytest.mark.parametrize("family", ["mistral_large4", "qwen3_vl_moe"])
def test_an_adapter_that_is_loaded_has_the_weights_that_were_saved(family, tiny, tmp_path):
    peft = pytest.importorskip("peft")
    model = load_model(tiny(family), device="cpu").model
    saved = peft.get_peft_model(model, lora_config(model, LoraRecipe()))
    for name, weight in saved.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    saved.save_pretrained(tmp_path)

    loaded = with_adapter(load_model(tiny(family), device="cpu").model, tmp_path, trainable=False)
    mine, its = map(peft.get_peft_model_state_dict, (saved, loaded))
    assert mine.keys() == its.keys()
    assert all(torch.equal(mine[name], its[name]) for name in mine)


@pytest.mark.parametrize("family", ["qwen2_vl", "smolvlm", "internvl", "gemma4", "glm4v", "llama4"])
def test_the_decoder_and_its_embeddings_are_the_text(family, tiny):
    model = load_model(tiny(family), device="cpu").model
    parts = parts_of(model)
    text = {name for name, part in parts.items() if part == "text"}

    inside = {n for n in parts if "language_model" in n or "text_model" in n or "lm_head" in n}
    assert text == inside


def test_a_completion_has_no_token_that_stands_for_an_image_or_a_video(tiny):
    qwen, ovis = (load_model(tiny(family), device="cpu") for family in ("qwen2_vl", "ovis2"))
    marks = ("<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>", "<IMG_ATOM>")
    vision = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")

    assert {*placeholder_ids(qwen)} == ids(qwen, *vision)
    assert {*placeholder_ids(ovis)} == ids(ovis, *marks)


def test_a_mixture_of_experts_generates_whatever_its_folder_says_of_router_logits(tiny, tmp_path):
    model = load_model(tiny("qwen3_vl_moe"), device="cpu")
    model.model.config.get_text_config().output_router_logits = True
    model.model.save_pretrained(tmp_path)
    model.processor.save_pretrained(tmp_path)
    policy = load_model(tmp_path, device="cpu")

    asked = encode(policy, [Prompt("How many?"), Prompt("?")])
    assert policy.model.generate(**asked, max_new_tokens=2, min_new_tokens=2).shape[0] == 2


@pytest.mark.parametrize(("family", "coefficient"), [("glm4v_moe", 0.0), ("qwen3_vl_moe", None)])
def test_the_loss_of_routers_is_left_out_where_trl_does_not_know_the_experts(
    family, coefficient, tiny, logged
):
    from types import SimpleNamespace

    config = SimpleNamespace(router_aux_loss_coef=None)
    without_unknown_experts(SimpleNamespace(config=model_config(tiny(family))), config)

    assert config.router_aux_loss_coef == coefficient
    assert ("balances experts is left out" in logged.text) == (coefficient == 0.0)


def test_layers_that_peft_takes_for_experts_are_found_before_weights_load(tiny):
    attention = LoraRecipe(targets=["q_proj", "k_proj", "v_proj", "o_proj"])
    left = without_adapter(empty_model(tiny("glm4v_moe")), LoraRecipe())

    assert {name.split(".mlp.")[1] for name in left} == {
        *(f"{kind}_proj" for kind in ("gate", "up", "down")),
        *(f"shared_experts.{kind}_proj" for kind in ("gate", "up", "down")),
    }
    assert not without_adapter(empty_model(tiny("glm4v_moe")), attention)
    assert not without_adapter(empty_model(tiny("qwen3_5_moe")), LoraRecipe())


@pytest.mark.parametrize("family", ["ovis2", "llama4"])
def test_the_tiles_of_each_image_are_counted_for_trl(family, tiny):
    processor = with_tile_counts(load_processor(tiny(family)))
    images = [[blank(SIZES[0]).open(), blank(SIZES[1]).open()], [blank(SIZES[3]).open()]]
    made = processor.image_processor(images=images, crop_to_patches=True, return_tensors="pt")
    alone = [load_processor(tiny(family)).image_processor for _ in range(3)]
    rows = [
        len(one(images=[image], return_tensors="pt")["pixel_values"])
        for one, image in zip(alone, [*images[0], *images[1]], strict=True)
    ]

    assert made["num_patches"].tolist() == rows
    assert sum(rows) == len(made["pixel_values"])


def test_a_processor_that_counts_tiles_is_saved_as_the_plain_one(tiny, tmp_path):
    plain = load_processor(tiny("ovis2"))
    with_tile_counts(plain).save_pretrained(tmp_path / "counting")
    plain.save_pretrained(tmp_path / "plain")
    saved = [tmp_path / name / "processor_config.json" for name in ("counting", "plain")]

    assert saved[0].read_bytes() == saved[1].read_bytes()


@pytest.mark.parametrize("family", ["internvl", "qwen2_vl", "llava_next"])
def test_a_processor_without_tiles_or_with_their_number_stays(family, tiny):
    processor = load_processor(tiny(family))

    assert with_tile_counts(processor) is processor


def test_a_chat_template_takes_its_conversation_by_trl_s_name_in_every_family(tiny):
    turn = [{"role": "user", "content": [{"type": "text", "text": "How many?"}]}]
    qwen, omni = (load_processor(tiny(f)) for f in ("qwen2_vl", "qwen3_omni_moe_thinker"))
    named = with_named_conversation(omni)

    assert with_named_conversation(qwen) is qwen
    assert named.apply_chat_template(conversation=turn) == omni.apply_chat_template(turn)
    assert type(named).__name__ == type(omni).__name__


def test_pixels_of_another_dtype_are_read_in_that_of_the_weights(tiny):
    policy = load_model(tiny("llama4"), device="cpu")
    shown = encode(policy, [Prompt("?", (blank((64, 64)),))])
    half = {**shown, "pixel_values": shown["pixel_values"].bfloat16()}
    adapt(policy.model)
    with torch.no_grad():
        assert torch.equal(policy.model(**half).logits, policy.model(**shown).logits)


@pytest.mark.parametrize(
    ("config", "reason"),
    [("Florence2Config", "is an encoder-decoder"), ("Qwen2Config", "no vision-language model")],
)
def test_a_kind_of_model_that_does_not_train_is_refused_by_its_configuration(config, reason):
    import transformers

    with pytest.raises(ModelError, match=rf"does not train org/it \(.*{reason}.*another family"):
        require_supported("org/it", getattr(transformers, config)())


def test_a_folder_of_an_encoder_decoder_is_not_evaluated_either(tiny, tmp_path):
    folder = shutil.copytree(tiny("llava"), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "is_encoder_decoder": True}))

    with pytest.raises(ModelError, match="cannot be used: it is an encoder-decoder"):
        load_model(folder, device="cpu")


def test_a_processor_that_adds_tokens_to_a_target_is_refused_for_sft(tiny):
    require_plain_targets("sound", load_processor(tiny("idefics2")))

    with pytest.raises(ModelError, match=r"reads 'Seven\.' as .*--set sft.enabled=false"):
        require_plain_targets("mllama", _adding_a_start(load_processor(tiny("llava"))))


def _adding_a_start(processor):
    """A processor that writes a start token before every text, as Molmo 2's does."""

    class Adding(type(processor)):
        def __call__(self, text, **options):
            return super().__call__(text=["<s>" + each for each in text], **options)

    processor.__class__ = Adding
    return processor


@pytest.mark.parametrize(
    ("family", "names"), [("mllama", {"cross_attention_mask"}), ("aria", set())]
)
def test_fields_of_tokens_that_trl_leaves_out_of_its_loss_are_named(family, names, tiny):
    check = ProcessorCheck(tiny(family), lambda s: Prompt(s.question, s.images))
    check.see(Sample("s", "How many?", "2", (blank((64, 64)),)), "rl")

    assert check.lost == names
    assert all(f"makes {name}, which TRL does not pass" in unpassed("it", names) for name in names)


def test_the_fields_that_trl_passes_are_the_arguments_of_its_loss():
    from trl.trainer.grpo_trainer import GRPOTrainer

    given = {*inspect.signature(GRPOTrainer._get_per_token_logps_and_entropies).parameters}
    others = {"self", "model", "logits_to_keep", "batch_size", "compute_entropy"}
    others |= {"compute_aux_loss", "num_images", "num_tiles"}  # TRL counts the last two itself
    assert given - others == PASSED


@pytest.mark.parametrize(
    ("family", "names"), [("inkling_mm_model", ["pixel_values"]), ("qwen2_vl", []), ("llava", [])]
)
def test_pixels_that_trl_cannot_assign_to_images_have_stand_ins(family, names, tiny):
    assert StandIns(load_processor(tiny(family))).names == names


def test_a_chat_template_of_the_tokenizer_is_the_processor_s(tiny, tmp_path):
    processor = load_processor(tiny("llava"))
    template, processor.chat_template = processor.chat_template, None
    processor.tokenizer.chat_template = template
    processor.save_pretrained(tmp_path)
    for name in ("config.json", "generation_config.json"):
        (tmp_path / name).write_bytes((tiny("llava") / name).read_bytes())

    assert load_processor(tmp_path).chat_template == template


@pytest.mark.parametrize("family", ["idefics2", "mistral3", "lfm2_vl", "ovis2"])
def test_the_length_of_a_prompt_is_the_number_of_tokens_that_are_read(family, tiny):
    check = ProcessorCheck(tiny(family), lambda s: Prompt(s.question, s.images))
    for at, size in enumerate(SIZES):
        prompt = Prompt("How many?", (blank(size),))
        text = render(check.processor, prompt)
        read = apply_processor(check.processor, [text], [[pil.new("RGB", size)]])["input_ids"]
        sample = Sample(f"s{at}", prompt.text, "2", prompt.images)

        assert check.see(sample, "rl") == read.shape[1]


def test_a_start_token_of_the_processor_is_in_prompts_and_not_in_targets(tiny):
    processor = load_processor(tiny("molmo2"))
    (start,), text = processor.tokenizer("<|im_end|>").input_ids, "Seven."
    plain = processor.tokenizer(text).input_ids
    bare = without_starts(processor)

    assert render(processor, Prompt("?")).startswith("<|im_end|>")
    assert bare(text=[text], padding=True, return_tensors="pt")["input_ids"].tolist() == [plain]
    made = bare(text=[text], images=None, padding=True, return_tensors="pt")  # a prompt
    assert made["input_ids"].tolist() == [[start, *plain]]
    require_plain_targets("it", processor)


def test_a_former_name_of_pixels_is_not_used_and_not_saved(tiny, tmp_path):
    processor = load_processor(tiny("video_llava"))
    made = apply_processor(processor, ["<image>"], [[blank((64, 64)).open()]])
    processor.save_pretrained(tmp_path)

    assert "pixel_values" in made
    assert not [file for file in tmp_path.iterdir() if "legacy" in file.read_text()]


@pytest.mark.parametrize("family", ["llava", "kimi_k25", "mistral3", "llava_next"])
def test_a_prompt_is_read_alike_alone_and_beside_a_longer_one(family, tiny):
    policy = load_model(tiny(family), device="cpu")

    require_independent(policy, Prompt("How many?", (blank((64, 64)),)))
    require_independent(policy, Prompt("How many?"))


def test_that_a_prompt_is_not_read_beside_another_in_fewer_digits_is_logged(tiny, caplog):
    policy = load_model(tiny("qwen2_vl"), device="cpu", dtype="bfloat16")
    with caplog.at_level("INFO", logger="rftcore"):
        require_independent(policy, Prompt("How many?", (blank((64, 64)),)))

    assert (
        caplog.messages[-1] == "not checked in bfloat16: that a prompt is read alike beside another"
    )


@pytest.mark.parametrize("family", ["minimax_m3_vl", "emu3"])
def test_a_model_whose_answer_depends_on_the_batch_is_refused(family, tiny):
    policy = load_model(tiny(family), device="cpu")

    with pytest.raises(ModelError, match="depends on the prompts of its batch"):
        require_independent(policy, prompt_with_noise())


def prompt_with_noise():
    """A prompt whose image is no plane of one color, as which an encoder may see its padding."""
    image = pil.frombytes("RGB", (64, 64), random.Random(0).randbytes(3 * 64 * 64))
    file = io.BytesIO()
    image.save(file, "PNG")
    return Prompt("How many?", (Image.from_bytes(file.getvalue()),))


def test_a_processor_without_a_start_token_of_its_own_stays(tiny):
    for family in ("qwen2_vl", "llava", "gemma3"):
        processor = load_processor(tiny(family))

        assert without_starts(processor) is processor


def test_generate_evaluates_where_the_modes_compute_the_same(tiny):
    policy, modes = load_model(tiny("molmo2"), device="cpu"), []
    adapt(policy.model)
    policy.model.train()
    policy.model.register_forward_pre_hook(lambda model, _: modes.append(model.training))
    policy.model.generate(**encode(policy, [Prompt("?")]), max_new_tokens=2)

    assert modes == [False, False]
    assert all(module.training for module in policy.model.modules())


def test_keys_that_are_expanded_after_the_cache_are_not_shared_as_they_are_cached(tiny):
    policy = load_model(tiny("kimi_k25"), device="cpu")
    sharing = share_prefix(policy.model)
    inputs = encode(policy, [Prompt("How many?")] * 2)
    with torch.no_grad():
        shared = generate(policy.model, policy.model.generate, {**inputs, "max_new_tokens": 3})
    plain = load_model(tiny("kimi_k25"), device="cpu").model.generate(**inputs, max_new_tokens=3)

    assert sharing.off is None
    assert sharing.differences.keys() == {"SharedPrefill"}
    assert torch.equal(shared, plain)


def test_a_model_without_a_tower_has_no_vision_to_freeze(tiny):
    policy = load_model(tiny("gemma4_unified"), device="cpu")

    assert freeze(policy, ["vision"]) == sum(p.numel() for p in policy.model.parameters())
    with pytest.raises(ModelError, match="cannot freeze 'towers'"):
        freeze(policy, ["towers"])
