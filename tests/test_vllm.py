"""vLLM through TRL, with a stub in its place that samples from the weights it was given."""

import copy
import json
import math
import socket
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate.state import AcceleratorState
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl.generation import vllm_generation

from rftcore import cli
from rftcore.config import load_recipe
from rftcore.errors import ModelError, RecipeError
from rftcore.models import decode_loop
from rftcore.models import vllm as installed
from rftcore.training import rollout_check, vllm
from rftcore.training.settings_check import check_settings

TASK = f"{Path(__file__).parent}/cases/lively_task.py:squares"
STEPS = 2


class Twin:
    """A model that has been given the weights of each sync, and samples from them.

    min_p: the log-probabilities are of the tokens that it keeps ("processed_logprobs").
    """

    min_p = 0.0

    def __init__(self, folder):
        self.folder, self.syncs, self.images = folder, 0, []
        self._model = AutoModelForImageTextToText.from_pretrained(folder).eval()
        for parameter in self._model.parameters():
            parameter.data.zero_()  # nothing but what is synced counts
        self._processor = AutoProcessor.from_pretrained(folder)

        self.begun()

    def begun(self):
        """Called when vLLM has loaded its model."""

    def load_weights(self, pairs):
        own = dict(self._model.named_parameters())
        for name, value in pairs:
            own[name].data.copy_(value)

    @torch.no_grad()
    def sample(self, ids, images, tokens):
        """Token ids, and the log-probability of each."""
        self.images.append(images)
        pixels = self._processor.image_processor(images=images, return_tensors="pt")
        end = self._model.generation_config.eos_token_id
        ends, found, logprobs = end if isinstance(end, list) else [end], [], []
        while len(found) < tokens and (not found or found[-1] not in ends):
            logits = self._model(input_ids=torch.tensor([[*ids, *found]]), **pixels).logits[0, -1]
            if self.min_p:
                logits[logits < logits.max() + math.log(self.min_p)] = -math.inf
            found.append(int(torch.multinomial(logits.softmax(-1), 1)))
            logprobs.append(float(logits.log_softmax(-1)[found[-1]]))
        return found, logprobs


class Colocated:
    """The part of `vllm.LLM` that TRL uses."""

    made = None

    def __init__(self, model, **settings):
        Colocated.made, self.settings, self.twin = self, settings, Twin(model)
        runner = SimpleNamespace(model_runner=SimpleNamespace(model=self.twin))
        self.llm_engine = SimpleNamespace(model_executor=SimpleNamespace(driver_worker=runner))

    def reset_prefix_cache(self):
        self.twin.syncs += 1

    def generate(self, prompts, sampling_params, use_tqdm):
        return [self._output(prompt, sampling_params) for prompt in prompts]

    def _output(self, prompt, params):
        image = prompt["multi_modal_data"]["image"]
        tokens, logprobs = self.twin.sample(prompt["prompt_token_ids"], [image], params.max_tokens)
        pairs = zip(tokens, logprobs, strict=True)
        tops = [{token: SimpleNamespace(logprob=logprob, rank=1)} for token, logprob in pairs]
        output = SimpleNamespace(token_ids=tokens, logprobs=tops)
        return SimpleNamespace(prompt_token_ids=prompt["prompt_token_ids"], outputs=[output])


class Server:
    """The part of TRL's client of a vLLM server that its trainer uses."""

    made = None

    def __init__(self, base_url, **settings):
        Server.made, self.base_url, self.twin = self, base_url, None

    def init_communicator(self, device):
        pass

    def get_server_info(self):
        return {"model_config": {"logprobs_mode": "processed_logprobs"}}

    def update_named_params(self, metadata, pairs):
        self.twin = self.twin or Twin(self.folder)
        self.twin.load_weights(pairs)

    def reset_prefix_cache(self):
        self.twin.syncs += 1

    def image_features(self, images):
        return [{"mm_placeholders": {"image": [0] * len(each)}, "images": each} for each in images]

    def generate(self, prompts, features, n, max_tokens, **_):
        found = [
            self.twin.sample(ids, copy.copy(feature["images"]), max_tokens)
            for ids, feature in zip(prompts, features, strict=True)
            for _ in range(n)
        ]
        return {
            "prompt_ids": prompts,
            "completion_ids": [tokens for tokens, _ in found],
            "logprobs": [[[each] for each in logprobs] for _, logprobs in found],
        }


def never(*_, **__):
    raise AssertionError("the model's own generate was called")


@pytest.fixture
def stub(monkeypatch):
    own = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "OMP_NUM_THREADS": "1"}
    for name, value in own.items():
        monkeypatch.setenv(name, value)  # TRL sets them for vLLM
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MASTER_PORT", str(free.getsockname()[1]))
    # once vLLM has begun: before, a toy takes a step without it
    monkeypatch.setattr(
        Twin, "begun", lambda self: monkeypatch.setattr(decode_loop, "generate", never)
    )
    monkeypatch.setattr(vllm, "missing", lambda: None)
    monkeypatch.setattr(vllm_generation, "is_vllm_available", lambda *_, **__: True)
    monkeypatch.setattr(vllm_generation, "LLM", Colocated, raising=False)
    monkeypatch.setattr(vllm_generation, "SamplingParams", SimpleNamespace, raising=False)
    monkeypatch.setattr(vllm_generation, "VLLMClient", Server)
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "min_p"), [("colocate", 0.0), ("server", 0.3)])
def test_vllm_gets_the_images_and_the_newest_weights_and_samples_as_the_policy_does(
    mode, min_p, stub, tmp_path, monkeypatch
):
    pytest.importorskip("rft_nano")
    monkeypatch.setattr(Twin, "min_p", min_p)
    run = tmp_path / "run"
    Server.folder = run / "sft" / "model"

    settings = (
        *("grpo.use_vllm=true", f"grpo.vllm_mode={mode}", f"grpo.max_steps={STEPS}"),
        *(f"grpo.min_p={min_p}", "grpo.sampling_mask=auto"),
        *("evaluation.splits=[]", "evaluation.zero_shot=false", "vision_check.enabled=false"),
        *("grpo.learning_rate=1e-2", "grpo.warmup_steps=0", "grpo.group_size=2"),
        *("grpo.max_completion_length=8", "sft.max_steps=1", "sft.samples=4", "sft.batch_size=4"),
    )
    words = [f"--set={each}" for each in settings]
    with pytest.raises(SystemExit) as left:
        cli.main(["train", "--task", TASK, "--smoke", f"--out={run}", *words])

    assert not left.value.code
    twin = (Colocated if mode == "colocate" else Server).made.twin
    assert Path(twin.folder) == run / "sft" / "model"
    assert twin.syncs == STEPS
    assert all(image.size for images in twin.images for image in images)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["phase"] == "grpo" and "loss" in line]
    assert len(steps) == STEPS
    assert max(line["sampling/sampling_logp_difference/max"] for line in steps) < 1e-3
    assert any(line["grad_norm"] > 0 for line in steps)


@pytest.mark.parametrize(
    ("settings", "name", "wording"),
    [
        ({"vllm_mode": "server"}, "vllm_mode", "has no effect without grpo.use_vllm=true"),
        ({"use_vllm": False, "vllm_server_port": 1}, "vllm_server_port", "has no effect without"),
        (
            {"use_vllm": True, "vllm_mode": "server", "vllm_gpu_memory_utilization": 0.5},
            "vllm_gpu_memory_utilization",
            "has no effect with vllm_mode=server: it is for colocate",
        ),
        (
            {"use_vllm": True, "vllm_server_timeout": 9.0},
            "vllm_server_timeout",
            "has no effect with vllm_mode=colocate: it is for server",
        ),
    ],
)
def test_a_setting_of_vllm_without_effect_is_an_error(settings, name, wording, monkeypatch):
    monkeypatch.setattr(vllm, "missing", lambda: None)
    recipe = load_recipe(("r", {"task": "t", "sft": {"enabled": False}, "grpo": settings}))
    with pytest.raises(RecipeError, match=rf"grpo\.{name} = .*{wording}"):
        check_settings(recipe)


@pytest.mark.parametrize(
    ("version", "found"),
    [(None, "needs the package vllm"), ("0.99.0", "vllm 0.99.0 is installed"), ("0.30.0", "a GPU")],
)
def test_vllm_must_be_there_in_a_version_that_trl_supports(version, found, monkeypatch):
    monkeypatch.setattr(installed, "find_spec", lambda _: version)
    monkeypatch.setattr(installed, "_version", lambda: version)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    assert found in installed.missing()


def settings_of(min_p):
    return SimpleNamespace(top_k=0, top_p=1.0, min_p=min_p)


@pytest.mark.parametrize(("mean", "ends"), [(0.01, False), (0.5, True)])
def test_the_first_step_ends_if_vllm_sampled_from_another_policy(mean, ends):
    model = torch.nn.Linear(1, 1)
    model.generate = never
    check = rollout_check.RolloutCheck()
    check.install(SimpleNamespace(model=model, args=SimpleNamespace(use_vllm=True, temperature=1)))
    expected = pytest.raises(ModelError, match=r"differ by 0\.5 nats") if ends else nullcontext()

    with expected:
        check.on_log(settings_of(None), None, None, {"loss": 0.0, rollout_check.VLLM: mean})


def test_a_loss_of_more_tokens_than_vllm_kept_is_named_as_the_cause():
    model = torch.nn.Linear(1, 1)
    model.generate = never
    check, logs = rollout_check.RolloutCheck(), {"loss": 0.0, rollout_check.VLLM: 0.3}
    check.install(SimpleNamespace(model=model, args=SimpleNamespace(use_vllm=True, temperature=1)))

    with pytest.raises(ModelError, match=r"grpo\.sampling_mask=auto"):
        check.on_log(settings_of(0.1), None, None, logs)
