"""FSDP and DeepSpeed: accelerate's settings, ours in examples, and what cannot work."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate.commands import launch
from accelerate.utils import DeepSpeedPlugin
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env
from transformers.integrations import deepspeed

from rftcore.errors import RecipeError
from rftcore.models.loading import load_model
from rftcore.pipeline import processes
from rftcore.training import engine

EXAMPLES = Path(__file__).parents[1] / "examples" / "accelerate"
SOUND = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
}
CONFIG = SimpleNamespace(activation_checkpointing=True, fsdp=None, fsdp_plugin_args=None)


@pytest.fixture
def use(monkeypatch):
    """Sets variables as accelerate's launcher does for one of two processes."""

    def set_all(variables):
        for name, value in {"WORLD_SIZE": "2", **variables}.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.mark.parametrize(
    ("variable", "value", "found"),
    [
        ("FSDP_STATE_DICT_TYPE", "SHARDED_STATE_DICT", "set it to FULL_STATE_DICT"),
        ("FSDP_CPU_RAM_EFFICIENT_LOADING", "true", "on every rank: set it to false"),
        ("FSDP_ACTIVATION_CHECKPOINTING", "true", "fsdp_activation_checkpointing: true"),
        ("FSDP_AUTO_WRAP_POLICY", "SOME", "accelerate cannot use its settings"),
        ("FSDP_VERSION", "1", "needs GPUs; FSDP2 runs on CPUs"),
        ("ACCELERATE_USE_DEEPSPEED", "true", "this process sees none"),
    ],
)
def test_a_setting_that_cannot_work_is_one_problem(variable, value, found, use):
    use(SOUND)
    assert list(engine.problems(CONFIG)) == []

    use({variable: value})
    assert any(found in problem for problem in engine.problems(CONFIG))


@pytest.mark.parametrize(("save", "count"), [(True, 0), (False, 1)])
def test_stage_3_must_save_whole_weights(save, count, use, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    use({"ACCELERATE_USE_DEEPSPEED": "true"})
    zero = {"stage": 3, "stage3_gather_16bit_weights_on_model_save": save}
    plugin = SimpleNamespace(deepspeed_config={"zero_optimization": zero})

    assert len(list(engine.problems(SimpleNamespace(deepspeed_plugin=plugin)))) == count


@pytest.fixture
def machine(monkeypatch):
    """A machine with eight GPUs and DeepSpeed, up to the start of its processes."""
    found = SimpleNamespace(arguments=None)

    def start(arguments):
        found.arguments = arguments

    for launcher in ("multi_gpu_launcher", "deepspeed_launcher", "simple_launcher"):
        monkeypatch.setattr(launch, launcher, start)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr(processes.importlib.util, "find_spec", lambda name: name)
    return found


def variables_of(file, machine):
    """What accelerate's launcher passes on of an example."""
    assert processes.launch(None, EXAMPLES / file, ["train"]) == 0
    arguments = machine.arguments
    if arguments.use_deepspeed:
        return prepare_deepspeed_cmd_env(arguments)[1]
    return prepare_multi_gpu_env(arguments)


@pytest.mark.parametrize("file", sorted(path.name for path in EXAMPLES.glob("*.yaml")))
def test_every_example_reaches_the_device_and_has_no_problem(file, machine, use, monkeypatch):
    variables = variables_of(file, machine)
    expected = {"zero": "DeepSpeed", "fsdp": "FSDP"}.get(file[:4], "")
    use({name: value for name, value in variables.items() if os.environ.get(name) != value})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cpu" not in file)

    assert engine.sharded_by() == expected
    assert list(engine.problems(CONFIG)) == []


@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_gets_the_stage_and_the_batches_of_the_recipe(stage, machine, use):
    use(variables_of(f"zero{stage}.yaml", machine))
    made = DeepSpeedPlugin().deepspeed_config

    assert made["zero_optimization"]["stage"] == stage
    assert made["gradient_accumulation_steps"] == "auto"
    assert made["train_micro_batch_size_per_gpu"] == "auto"
    saves = made["zero_optimization"].get("stage3_gather_16bit_weights_on_model_save")
    assert saves == (stage == 3)


def test_nodes_share_one_address_and_all_processes(machine):
    variables_of("nodes.yaml", machine)
    arguments = machine.arguments

    assert (arguments.num_machines, arguments.num_processes) == (2, 16)
    assert (arguments.main_process_ip, arguments.main_process_port) == ("10.0.0.1", 29500)


def test_deepspeed_without_a_gpu_is_an_error_before_anything_starts(machine, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(RecipeError, match=r"zero3\.yaml: .* over GPUs, and this machine has none"):
        processes.launch(None, EXAMPLES / "zero3.yaml", ["train"])


def test_a_model_loads_whole_with_deepspeed(use, monkeypatch):
    toy = pytest.importorskip("rft_nano").toy()
    divided = [True]
    monkeypatch.setattr(deepspeed, "unset_hf_deepspeed_config", lambda: divided.clear())
    load_model(toy)
    assert divided

    use({"ACCELERATE_USE_DEEPSPEED": "true"})
    load_model(toy)
    assert not divided
