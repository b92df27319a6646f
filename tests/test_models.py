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
from rftcore.models.encoding import encode, opens_think, render, reply_tokens
from rftcore.models.loading import MODEL_PACKAGES, check_source, load_model, load_processor
from rftcore.models.logprobs import CHUNK, answer_logprobs
from rftcore.models.policy import Policy, freeze
from rftcore.models.processor_check import ProcessorCheck
from rftcore.models.template_check import template_faults
from rftcore.testing import families
from rftcore.testing.families import tiny_qwen2_vl
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


def test_the_trainer_shows_the_policy_the_tokens_that_evaluation_shows(policy):
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    collate = DataCollatorForVisionLanguageModeling(policy.processor, completion_only_loss=True)
    target = prompts.tags.write("one, two", "2")
    row = {
        "prompt": [{"role": "user", "content": PROMPTS[0].text}],
        "completion": [{"role": "assistant", "content": target}],
        "images": [image.open() for image in PROMPTS[0].images],
    }
    trained, shown = collate([row]), encode(policy, PROMPTS[:1], [target])

    assert trained["input_ids"].tolist() == shown["input_ids"].tolist()
    assert trained["pixel_values"].equal(shown["pixel_values"])


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


def qwen(folder, change=str):
    """A tiny Qwen2-VL whose chat template is changed."""
    return tiny_qwen2_vl(folder, chat_template=change(families.CHATML))


def faults(folder):
    return list(template_faults(folder, load_processor(folder)))


def test_sound_templates_have_no_faults(folder, tmp_path):
    assert faults(folder) == faults(qwen(tmp_path / "qwen")) == []


def test_a_target_without_a_stop_token_is_a_fault(tmp_path):
    (fault,) = faults(qwen(tmp_path, lambda text: text.replace("<|im_end|>", "")))

    assert "teaches the policy never to stop" in fault


def test_a_stop_token_of_the_generation_config_alone_is_one(tmp_path):
    folder = qwen(tmp_path, lambda text: text.replace("<|im_end|>", "<|endoftext|>"))
    assert faults(folder) == []
    (folder / "generation_config.json").unlink()
    change(folder / "config.json", eos_token_id=None)

    assert len(faults(folder)) == 1


def test_a_turn_that_begins_in_two_ways_is_a_fault(tmp_path):
    (fault,) = faults(qwen(tmp_path, lambda text: text.replace("assistant\n", "assistant ")))

    assert "teaches another prompt than GRPO and evaluation show" in fault


def test_a_template_that_drops_the_reasoning_is_a_fault(tmp_path):
    bare = "part['text'].split('</think>')[-1]"
    (fault,) = faults(qwen(tmp_path, lambda text: text.replace("part['text']", bare)))

    assert "changes an answer: SFT would teach" in fault


def test_a_template_that_opens_the_reasoning_has_no_fault(tmp_path):
    assert faults(qwen(tmp_path, lambda t: t.replace("assistant\n", "assistant\n<think>\n"))) == []


def test_a_tokenizer_that_adds_tokens_of_its_own_is_a_fault(tmp_path):
    from tokenizers.processors import TemplateProcessing

    folder = qwen(tmp_path)
    processor = load_processor(folder)
    start = processor.tokenizer.convert_tokens_to_ids("<|endoftext|>")
    processor.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", start)]
    )
    processor.save_pretrained(folder)

    assert ["not the same tokens" in fault for fault in faults(folder)] == [True]


def test_an_adapter_is_an_error_with_what_to_do_whether_or_not_a_model_is_beside_it(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    for name in ("adapter_model.safetensors", "config.json"):
        (tmp_path / name).write_text("{}")
        with pytest.raises(ModelError, match=r"is an adapter\. .* merge_and_unload"):
            check_source(tmp_path)


def test_a_run_given_as_a_model_names_its_policies(tmp_path):
    (tmp_path / "sft" / "model").mkdir(parents=True)
    (tmp_path / "sft" / "model" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"it is a run, whose policies are .*sft/model"):
        check_source(tmp_path)


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
