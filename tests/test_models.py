"""One prompt is the same tokens everywhere; a model that cannot be used is one error."""

import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rftcore import prompts
from rftcore.errors import ModelError
from rftcore.images import Image
from rftcore.models.completions import generate
from rftcore.models.configs import model_config
from rftcore.models.encoding import (
    encode,
    end_of_turn,
    opens_think,
    render,
    reply_tokens,
    stop_ids,
)
from rftcore.models.load_errors import MODEL_PACKAGES
from rftcore.models.loading import load_model
from rftcore.models.logprobs import CHUNK, answer_logprobs
from rftcore.models.policy import Policy, freeze
from rftcore.models.processor_check import ProcessorCheck
from rftcore.models.processors import load_processor
from rftcore.models.rollout_prompts import require_equal_prompts, rollout_template_kwargs
from rftcore.models.sources import check_source
from rftcore.models.template_check import replaced_end
from rftcore.testing import families
from rftcore.testing.families import tiny_qwen2_vl
from rftcore.training.rows import written
from rftcore.types import Prompt, Sample

pytest.importorskip("rft_nano")


def picture(color):
    from PIL import Image as pil

    buffer = io.BytesIO()
    pil.new("RGB", (32, 32), color).save(buffer, "PNG")
    return Image.from_bytes(buffer.getvalue())


PROMPTS = [Prompt("How many?", (picture(color),)) for color in ("red", "blue", "lime")]
TARGETS = ["1", "2", "3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from rft_nano.model import build_untrained

    return build_untrained(tmp_path_factory.mktemp("toy"), seed=1)


@pytest.fixture
def policy(folder):
    return load_model(folder, device="cpu")


def test_a_log_probability_counts_the_answer_and_nothing_else(policy):
    prompt, target = PROMPTS[0], "4 red cubes"
    ids = encode(policy, [prompt], [target])
    start = encode(policy, [prompt])["input_ids"].shape[1]
    with torch.inference_mode():
        logits = policy.model.eval()(**ids).logits[0].log_softmax(-1)
    tokens = ids["input_ids"][0]
    by_hand = sum(logits[i - 1, tokens[i]].item() for i in range(start, len(tokens)))

    # padding by a longer neighbour must not change it
    batch = answer_logprobs(policy, [prompt, PROMPTS[1]], [target, target + " and more"])
    assert batch[0].item() == pytest.approx(by_hand, abs=1e-3)


class Largest(TorchDispatchMode):
    """The shapes of all tensors that are as wide as the vocabulary, by dtype."""

    def __init__(self, vocabulary):
        super().__init__()
        self.vocabulary, self.rows = vocabulary, {}

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        result = operator(*args, **kwargs or {})
        for each in result if isinstance(result, tuple | list) else [result]:
            if isinstance(each, torch.Tensor) and each.shape[-1:] == (self.vocabulary,):
                rows = self.rows.get(each.dtype, 0)
                self.rows[each.dtype] = max(rows, each.numel() // self.vocabulary)
        return result


def test_log_probabilities_need_logits_of_the_answer_alone_and_few_of_them_in_float32(folder):
    policy = load_model(folder, dtype="bfloat16", device="cpu")
    answer = "4 red cubes " * 30
    count = len(policy.tokenizer(answer, add_special_tokens=False)["input_ids"])
    with Largest(policy.model.get_output_embeddings().weight.shape[0]) as seen:
        answer_logprobs(policy, PROMPTS[:1], [answer])

    assert CHUNK < count < seen.rows[torch.bfloat16] < count + 5  # the end of the turn as well
    assert seen.rows[torch.float32] == CHUNK


def test_greedy_decoding_repeats_and_ignores_its_neighbours(policy):
    alone = generate(policy, PROMPTS[:1], 8)
    together = generate(policy, PROMPTS, 8)

    assert alone[0] == together[0]
    assert together[0].clipped == (together[0].tokens == 8)


def begins_with(folder):
    """The tokenizer puts a start token before every text, as Llama's and Gemma's do."""
    from tokenizers.processors import TemplateProcessing

    processor = load_processor(folder)
    tokenizer = processor.tokenizer
    tokenizer.bos_token = "<|endoftext|>"
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", tokenizer.bos_token_id)]
    )
    processor.save_pretrained(folder)
    return folder


ENDLESS = families.CHATML.replace("<|im_end|>", "")
OPENED = families.CHATML.replace("<|im_start|>assistant\n'", "<|im_start|>assistant\n<think>\n'")
TEMPLATES = {
    "sound": families.CHATML,
    "no end of turn": ENDLESS,
    "another end of turn": families.CHATML.replace("<|im_end|>", "<\\\\s>"),
    "the turn begins in two ways": families.CHATML.replace("assistant\n", "assistant "),
    "drops the reasoning": families.CHATML.replace(
        "part['text']", "part['text'].split('</think>')[-1]"
    ),
    "opens the reasoning": OPENED,
    "writes a start token": "{{ bos_token or '' }}" + families.CHATML,
}


@pytest.fixture(params=TEMPLATES)
def templated(request, tmp_path):
    return tiny_qwen2_vl(tmp_path / "model", chat_template=TEMPLATES[request.param])


def shown_in_sft(policy, sample, prompt):
    """Prompt and completion as SFT's model receives them: token ids, and the pixels."""
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    collate = DataCollatorForVisionLanguageModeling(policy.processor, completion_only_loss=True)
    row = dict(zip(("prompt", "completion"), written(policy)(sample, prompt), strict=True))
    made = collate([row | {"images": [image.open() for image in prompt.images]}])
    (ids,), (labels,) = made["input_ids"].tolist(), made["labels"].tolist()
    start = sum(label == -100 for label in labels)
    return ids[:start], ids[start:], made["pixel_values"]


def shown_in_rollouts(policy, prompt):
    """The tokens of a prompt as TRL makes them for `generate`, and for the fields beside them."""
    from trl.data_utils import apply_chat_template

    processor, opened = policy.processor, [image.open() for image in prompt.images]
    images = [{"type": "image", "image": image} for image in opened]
    turns = [{"role": "user", "content": [*images, {"type": "text", "text": prompt.text}]}]
    chosen = rollout_template_kwargs(processor)
    options = {"tokenize": True, "add_generation_prompt": True, "return_dict": True}
    (ids,) = processor.apply_chat_template(conversation=[turns], **options, **chosen)["input_ids"]
    text = apply_chat_template({"prompt": turns}, processor, **chosen)["prompt"]
    beside = processor(images=[opened], text=[text], return_tensors="pt")
    return ids, beside["input_ids"][0].tolist()


SAMPLE = Sample("s", "How many?", "2", PROMPTS[0].images, cot="one, two")


@pytest.mark.parametrize("start", [False, True], ids=["", "start token"])
def test_a_prompt_is_the_same_tokens_in_sft_rollouts_and_evaluation(templated, start):
    policy = load_model(begins_with(templated) if start else templated, device="cpu")
    evaluated = encode(policy, PROMPTS[:1])
    taught, _, pixels = shown_in_sft(policy, SAMPLE, PROMPTS[0])
    shown, beside = shown_in_rollouts(policy, PROMPTS[0])

    assert evaluated["input_ids"][0].tolist() == taught == shown == beside
    assert shown.count(policy.tokenizer.convert_tokens_to_ids("<|endoftext|>")) == start
    assert pixels.equal(evaluated["pixel_values"])


def test_a_target_is_the_answer_and_a_token_that_ends_generation(templated):
    policy = load_model(templated, device="cpu")
    prompt, target, _ = shown_in_sft(policy, SAMPLE, PROMPTS[0])
    texts = [policy.tokenizer.decode(ids, skip_special_tokens=True) for ids in (prompt, target)]
    whole = encode(policy, PROMPTS[:1], [prompts.sft_target(SAMPLE)])["input_ids"][0].tolist()

    assert whole == prompt + target
    opened = "<think>\n" if texts[0].endswith("<think>\n") else ""
    assert opened + texts[1].rstrip("\n") == prompts.sft_target(SAMPLE)
    assert stop_ids(policy) & {*target[-2:]}


def test_the_trainer_shows_nano_what_trl_would_show_it(policy):
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    collate = DataCollatorForVisionLanguageModeling(policy.processor, completion_only_loss=True)
    target = {"role": "assistant", "content": prompts.sft_target(SAMPLE)}
    row = {"prompt": [{"role": "user", "content": PROMPTS[0].text}], "completion": [target]}
    made = collate([row | {"images": [image.open() for image in PROMPTS[0].images]}])
    prompt, completion, _ = shown_in_sft(policy, SAMPLE, PROMPTS[0])

    assert made["input_ids"].tolist() == [prompt + completion]


@pytest.mark.parametrize("text", ["2", "one, two\n\nthree", prompts.tags.write("one", "3")])
def test_tokens_can_be_counted_without_the_weights(policy, folder, text):
    processor, prompt = load_processor(folder), PROMPTS[0]
    end = {policy.tokenizer.eos_token_id}
    ids = encode(policy, [prompt], [text])["input_ids"][0].tolist()
    last = max(at for at, token in enumerate(ids) if token in end)  # a line break may follow
    whole = ProcessorCheck(folder, lambda s: prompt).see(Sample("s", "?", "1"), "rl")
    whole += reply_tokens(processor, text)

    assert whole == last + 1


def test_freezing_the_vision_tower_leaves_the_rest_trainable(policy):
    whole = freeze(policy, [])
    rest = freeze(policy, ["vision"])

    assert 0 < rest < whole
    tower = [p for n, p in policy.model.named_parameters() if "vision_tower" in n]
    assert not any(p.requires_grad for p in tower)


# Family: the parameters (up to the third name) of its image tower, and of what joins it to the text
TOWER = ("vision_tower.embeddings", "vision_tower.encoder", "vision_tower.post_layernorm")
QWEN = ("visual.patch_embed", "visual.blocks"), ("visual.merger",)
DEEP = ("visual.patch_embed", "visual.pos_embed", "visual.blocks"), ("visual.merger",)
LLAVA = (*TOWER, "vision_tower.pre_layrnorm"), ("multi_modal_projector",)
SMOL = ("vision_model.embeddings", "vision_model.encoder", "vision_model.post_layernorm")
PARTS = {
    "qwen2_vl": QWEN,
    "qwen2_5_vl": QWEN,
    "qwen3_vl": (DEEP[0], ("visual.merger", "visual.deepstack_merger_list")),
    "qwen3_5": DEEP,
    "llava": LLAVA,
    "llava_next": (LLAVA[0], ("multi_modal_projector", "image_newline")),
    "llava_onevision": (TOWER, ("multi_modal_projector", "image_newline")),
    "smolvlm": (SMOL, ("connector",)),
    "idefics3": (SMOL, ("connector",)),
    "internvl": (TOWER[:2], ("multi_modal_projector",)),
    "gemma3": ((*TOWER, "vision_tower.head"), ("multi_modal_projector",)),
    "paligemma": (TOWER, ("multi_modal_projector",)),
}


@pytest.mark.parametrize("family", PARTS)
def test_freezing_means_the_same_parts_in_every_family(family):
    from transformers import AutoConfig, AutoModelForImageTextToText

    config = AutoConfig.for_model(family)
    text = config.get_text_config()
    text.num_hidden_layers, text.layer_types = 1, ["full_attention"]
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    tower, projector = PARTS[family]
    for part, expected in (("vision", tower), ("projector", projector)):
        model.requires_grad_(True)
        freeze(Policy(model, None, family), [part])
        named = model.named_parameters()
        frozen = {n.removeprefix("model.") for n, p in named if not p.requires_grad}
        assert all(name.startswith(expected) for name in frozen)
        assert all(any(name.startswith(each) for name in frozen) for each in expected)


def test_freezing_what_is_not_there_is_an_error(policy):
    bare = Policy(SimpleNamespace(named_parameters=list), policy.processor, "bare")
    with pytest.raises(ModelError, match="no part of that name"):
        freeze(bare, ["projector"])


@pytest.mark.parametrize("source", ["./no/such/folder", "/no/such/folder"])
def test_a_folder_without_a_model_is_an_error_that_names_it(source):
    with pytest.raises(ModelError, match="no config"):
        load_model(source)


@pytest.fixture
def copy(folder, tmp_path):
    """A copy of the model's folder, to be damaged."""
    return Path(shutil.copytree(folder, tmp_path / "model"))


def without_template(folder):
    (folder / "chat_template.jinja").unlink()


def without_pad_token(folder):
    change(folder / "tokenizer_config.json", pad_token=None)


def change(file, **fields):
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def cut(name):
    def damage(folder):
        text = (folder / name).read_bytes()
        (folder / name).write_bytes(text[: len(text) // 2])

    return damage


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (without_template, "has no chat template"),
        (without_pad_token, "has no pad token"),
        (cut("tokenizer.json"), "could not be loaded"),
        (cut("tokenizer_config.json"), "could not be loaded"),
        (cut("processor_config.json"), "could not be loaded"),
        (cut("config.json"), "could not be loaded"),
        (lambda folder: (folder / "processor_config.json").unlink(), "vision-language models only"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "could not be loaded"),
        (lambda folder: (folder / "tokenizer.json").write_text("[1]"), "could not be loaded"),
        (lambda folder: (folder / "processor_config.json").write_text("[]"), "could not be loaded"),
        (lambda folder: (folder / "config.json").write_text("{}"), "could not be loaded"),
    ],
)
def test_a_processor_that_cannot_be_used_is_one_error_without_weights(copy, damage, expected):
    damage(copy)
    (copy / "model.safetensors").unlink()

    with pytest.raises(ModelError, match=expected) as caught:
        ProcessorCheck(copy, prompts.direct())
    assert str(copy) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_template_that_fails_is_one_error(copy):
    (copy / "chat_template.jinja").write_text("{{ raise_exception('roles must alternate') }}")

    with pytest.raises(ModelError, match="chat template of LlavaProcessor failed: roles must"):
        render(load_processor(copy), PROMPTS[0])


@pytest.mark.parametrize("package", MODEL_PACKAGES)
def test_a_missing_package_is_named_with_the_extra_that_has_it(folder, package, monkeypatch):
    from transformers import AutoProcessor

    def missing(*_, **__):
        raise ImportError(
            f"\nQwen2VLVideoProcessor requires the {package.title()} library but it was not found "
            "in your environment. Check out the instructions on the\ninstallation page: and follow "
            "the ones that match your environment.\n"
        )

    monkeypatch.setattr(AutoProcessor, "from_pretrained", missing)
    with pytest.raises(
        ModelError, match=r"pip install 'rftcore\[models\]' .or pip install tor"
    ) as e:
        load_processor(folder)
    assert "the ones that match your environment. Install what" in str(e.value)


def test_a_name_on_the_hub_without_a_network_is_one_error(monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        ModelError, match="not a folder here, and from the hub it could not be loaded: We couldn't"
    ):
        load_processor("no-one/no-model")


@pytest.mark.parametrize(("end", "opens"), [("", False), ("<think>\n", True), ("<think>", True)])
def test_a_template_that_opens_the_reasoning_is_recognized(copy, end, opens):
    file = copy / "chat_template.jinja"
    file.write_text(file.read_text().replace("<|assistant|>", "<|assistant|>" + end))
    processor = load_processor(copy)

    assert opens_think(processor, PROMPTS[0]) == opens


def without_end(folder):
    return tiny_qwen2_vl(folder, chat_template=ENDLESS)


def test_a_replaced_end_of_turn_is_a_line_that_shows_both(folder, tmp_path):
    assert replaced_end(folder, load_processor(folder)) == ""
    line = replaced_end(endless := without_end(tmp_path), load_processor(endless))

    assert "ends an answer with '\\n', which does not end generation" in line
    assert "end with '<|im_end|>' instead" in line


def test_a_stop_token_of_the_generation_config_alone_is_one(tmp_path):
    template = families.CHATML.replace("<|im_end|>", "<|endoftext|>")
    folder = tiny_qwen2_vl(tmp_path, chat_template=template)
    assert replaced_end(folder, load_processor(folder)) == ""
    (folder / "generation_config.json").unlink()
    change(folder / "config.json", eos_token_id=None)

    assert "<|im_end|>" in replaced_end(folder, load_processor(folder))


def test_a_model_that_nothing_stops_is_an_error(tmp_path):
    processor = load_processor(without_end(tmp_path))
    with pytest.raises(ModelError, match=r"no token ends a completion .*generation_config.json"):
        end_of_turn(processor, set())


def test_a_tokenizer_that_adds_more_than_a_start_token_is_an_error(tmp_path):
    from tokenizers.processors import TemplateProcessing

    processor = load_processor(folder := tiny_qwen2_vl(tmp_path))
    end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    processor.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A <|im_end|>", special_tokens=[("<|im_end|>", end)]
    )
    with pytest.raises(ModelError, match="a prompt is not the same tokens everywhere"):
        require_equal_prompts(folder, processor)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{}", "names no base_model_name_or_path"),
        ("[", "names no base_model_name_or_path"),
        ('{"base_model_name_or_path": null}', "belongs to base model None"),
        ('{"base_model_name_or_path": "/no/model"}', "base model '/no/model', which is not there"),
    ],
)
def test_an_adapter_without_its_base_is_an_error_that_names_it(config, message, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "adapter_config.json").write_text(config)
    with pytest.raises(ModelError, match=message):
        check_source(tmp_path)


def test_an_adapter_without_peft_is_an_error_that_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base"}')
    monkeypatch.setattr("rftcore.models.sources.has_peft", lambda: False)
    with pytest.raises(ModelError, match=r"an adapter, which .*pip install 'rftcore\[lora\]'"):
        check_source(tmp_path)


def test_a_run_given_as_a_model_names_its_policies(tmp_path):
    (tmp_path / "sft" / "model").mkdir(parents=True)
    (tmp_path / "sft" / "model" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"it is a run, whose policies are .*sft/model"):
        check_source(tmp_path)


def test_a_folder_of_a_phase_or_a_comparison_given_as_a_model_names_what_is_in_it(tmp_path):
    (tmp_path / "sft" / "model").mkdir(parents=True)
    (tmp_path / "sft" / "model" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"no config\.json: the policy in it is .*sft/model$"):
        check_source(tmp_path / "sft")
    (tmp_path / "runs" / "zero-shot-s0").mkdir(parents=True)
    (tmp_path / "runs" / "zero-shot-s0" / "manifest.json").write_text("{}")
    with pytest.raises(ModelError, match=r"it is no run\. Runs in .*runs: zero-shot-s0\.$"):
        model_config(tmp_path / "runs")


def test_a_token_without_an_embedding_is_an_error_before_it_is_looked_up(tmp_path):
    folder = tiny_qwen2_vl(tmp_path / "model")
    processor = load_processor(folder)
    processor.tokenizer.add_tokens(["beyond"])
    processor.tokenizer.save_pretrained(folder)

    with pytest.raises(ModelError, match="'beyond', for which the model has no embedding"):
        load_model(folder)


def test_a_tokenizer_whose_files_are_missing_is_no_fault_of_the_template(tmp_path):
    folder = tiny_qwen2_vl(tmp_path / "model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()

    with pytest.raises(ModelError, match="has no vocabulary"):
        load_processor(folder)
