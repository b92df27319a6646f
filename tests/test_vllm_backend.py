"""`rft eval --backend vllm`, with a stub in place of vLLM that runs the model in transformers."""

import io
import json
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from PIL import Image as Pil
from transformers import AutoModelForImageTextToText, AutoProcessor

from rftcore import cli, distributed, parsers, rewards
from rftcore.config import PolicyRecipe
from rftcore.errors import ModelError
from rftcore.evaluation.keeping import Keeper
from rftcore.evaluation.splits import Drawn, evaluate_split
from rftcore.images import Image
from rftcore.models import vllm
from rftcore.models.loading import load_model
from rftcore.scoring import Scorer
from rftcore.testing.families import tiny_qwen2_vl
from rftcore.types import Prompt, Sample, Task, Term

TOKENS = 6


class StubLLM:
    """The part of `vllm.LLM` in use: expands placeholders, and generates with transformers."""

    made = None

    def __init__(self, model, **arguments):
        StubLLM.made, self.arguments, self.asked, self.params = self, arguments, 0, []
        self._processor = AutoProcessor.from_pretrained(model)
        self._model = AutoModelForImageTextToText.from_pretrained(model).eval()

    def generate(self, prompts, sampling_params, use_tqdm):
        self.asked += len(prompts)
        self.params += sampling_params
        return [self._one(*pair) for pair in zip(prompts, sampling_params, strict=True)]

    def _one(self, prompt, params):
        images = prompt.get("multi_modal_data", {}).get("image")
        text = self._processor.tokenizer.decode(prompt["prompt_token_ids"])
        made = self._processor(text=[text], images=images, return_tensors="pt")
        read = made["input_ids"].shape[1]
        drawn = {"temperature": params.temperature, "top_k": 0} if params.temperature else {}
        torch.manual_seed(getattr(params, "seed", 0))
        (ids,) = self._model.generate(
            **made,
            do_sample=bool(drawn),
            **drawn,
            max_new_tokens=params.max_tokens,
            eos_token_id=params.stop_token_ids,
        )
        found = ids[read:].tolist()
        reason = "stop" if found[-1] in params.stop_token_ids else "length"
        output = SimpleNamespace(token_ids=found, finish_reason=reason)
        return SimpleNamespace(prompt_token_ids=ids[:read].tolist(), outputs=[output])


@pytest.fixture(autouse=True)
def stub(monkeypatch):
    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = StubLLM, SimpleNamespace
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setattr(vllm, "missing", lambda: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model whose greedy completions differ in length: some end, some are cut off."""
    torch.manual_seed(3)
    made = tiny_qwen2_vl(tmp_path_factory.mktemp("model"))
    model = AutoModelForImageTextToText.from_pretrained(made)
    head = model.lm_head.weight.data
    head += torch.randn_like(head)
    end = AutoProcessor.from_pretrained(made).tokenizer.eos_token_id
    head[end] *= 2
    model.save_pretrained(made)
    return made


class Squares:
    splits = ("val",)

    def size(self, split):
        return 8

    def sample(self, split, index):
        file = io.BytesIO()
        Pil.new("RGB", (28 + 14 * index, 28), (9 * index, 40, 200)).save(file, "PNG")
        images = (Image.from_bytes(file.getvalue()),) * (index % 3)
        return Sample(f"val-{index}", f"Number {index * 7}?", "7", images)


def task():
    ask = lambda sample: Prompt(sample.question, sample.images)  # noqa: E731
    return Task(
        "squares", Squares(), ask, parsers.Integer(0, 99), {"accuracy": Term(rewards.exact)}
    )


def rows(policy, keeper=None, **options):
    with Scorer(task()) as scorer:
        return evaluate_split(
            policy,
            task(),
            "val",
            scorer=scorer,
            batch_size=3,
            max_new_tokens=TOKENS,
            keeper=keeper,
            progress=False,
            **options,
        )


def facts(answers):
    return [(a.id, a.completion, a.tokens, a.clipped, a.images) for a in answers]


def engine(folder, **arguments):
    return vllm.Engine(folder, PolicyRecipe(), vllm.EngineSettings(arguments))


def test_vllm_gives_the_completions_that_transformers_gives(folder):
    ours, theirs = Keeper(), Keeper()
    (expected, answers), (found, made) = (
        rows(load_model(folder), ours),
        rows(engine(folder), theirs),
    )

    assert facts(made) == facts(answers)
    assert found == expected
    assert theirs.usage.tokens_read == ours.usage.tokens_read
    assert {answer.clipped for answer in answers} == {True, False}


def test_completions_are_greedy_and_end_where_those_of_a_policy_end(folder):
    rows(engine(folder))
    params = StubLLM.made.params[0]

    assert params.temperature == 0.0
    assert params.max_tokens == TOKENS
    assert AutoProcessor.from_pretrained(folder).tokenizer.eos_token_id in params.stop_token_ids
    assert StubLLM.made.arguments["generation_config"] == "vllm"


def test_drawn_completions_have_seeds_of_their_own_and_repeat(folder):
    drawn = Drawn(completions=4, temperature=1.0, seed=5)
    kept = [Keeper(), Keeper()]
    for keeper in kept:
        rows(engine(folder), keeper, drawn=drawn)
    first, again = (facts(keeper.finished["sampled"]) for keeper in kept)
    seeds = [params.seed for params in StubLLM.made.params if hasattr(params, "seed")]

    assert first == again
    assert len(first) == 4 * 8
    assert len({*seeds}) == len(seeds) == 4 * 8
    assert len({text for _, text, *_ in first[:4]}) > 1


class Killed(Keeper):
    """Keeps batches, and is killed after one."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def read(self, kind):
        return [*self.kept]

    def add(self, kind, answers):
        self.kept += answers
        if len(self.kept) == len(answers):
            raise KeyboardInterrupt


def test_an_evaluation_that_was_killed_goes_on_after_its_last_batch(folder):
    keeper, policy = Killed(), engine(folder)
    with pytest.raises(KeyboardInterrupt):
        rows(policy, keeper)
    before = StubLLM.made.asked
    _, answers = rows(policy, keeper)

    assert (before, StubLLM.made.asked) == (3, 8)
    assert facts(answers) == facts(rows(policy)[1])


def test_other_tokens_in_a_prompt_than_in_transformers_are_an_error(folder, monkeypatch):
    policy, own = engine(folder), StubLLM._one

    def twice(self, prompt, params):
        found = own(self, prompt, params)
        found.prompt_token_ids = [*found.prompt_token_ids, 0]
        return found

    monkeypatch.setattr(StubLLM, "_one", twice)
    with pytest.raises(ModelError, match="would not be comparable"):
        rows(policy)


def test_pixel_settings_and_arguments_reach_vllm(folder):
    how = PolicyRecipe(pixels={"max": 1568}, evaluation_dtype="float32")
    vllm.Engine(folder, how, vllm.EngineSettings({"tensor_parallel_size": 2}), seed=4)
    found = StubLLM.made.arguments

    assert found["mm_processor_kwargs"]["size"]["longest_edge"] == 1568
    assert (found["dtype"], found["seed"], found["tensor_parallel_size"]) == ("float32", 4, 2)


def test_what_vllm_cannot_run_is_one_error(folder, tmp_path, monkeypatch):
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "x"}')
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="is a LoRA adapter, and vLLM is given complete models"):
        engine(tmp_path)
    with pytest.raises(ModelError, match="--engine seed: rft sets this argument"):
        engine(folder, seed=1)
    monkeypatch.setattr(StubLLM, "__init__", lambda *_, **__: 1 / 0)
    with pytest.raises(ModelError, match=r"does not start with model .*ZeroDivisionError"):
        engine(folder)
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    with pytest.raises(ModelError, match="runs in one process"):
        engine(folder)


def test_without_vllm_the_command_is_one_error_with_the_package(folder, monkeypatch, capsys):
    pytest.importorskip("rft_counting")
    monkeypatch.setattr(vllm, "missing", lambda: "needs the package vllm: pip install 'trl[vllm]'")
    words = ["eval", str(folder), "--task", "counting", "--split=val", "--backend=vllm"]
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    error = capsys.readouterr().err

    assert left.value.code == 2
    assert "error: --backend vllm needs the package vllm: pip install 'trl[vllm]'" in error
    assert "Traceback" not in error


def test_the_command_measures_with_vllm(folder, tmp_path):
    pytest.importorskip("rft_counting")
    file = tmp_path / "scores.json"
    words = ["--set=evaluation.samples.val=2", "--set=evaluation.max_new_tokens=4"]
    cli.main(
        [
            *("eval", str(folder), "--task", "counting", "--split=val", "--backend=vllm"),
            *("--engine=max_model_len=512", f"--json={file}", *words),
        ],
        standalone_mode=False,
    )

    assert json.loads(file.read_text())["scores"][0]["n"] == 2
    assert StubLLM.made.arguments["max_model_len"] == 512
    assert StubLLM.made.asked >= 2
