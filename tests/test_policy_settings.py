"""The `policy` section: pixels, the image processor, how a model is loaded."""

import ast
import inspect
import json
from pathlib import Path

import pytest
import torch
import transformers
from PIL import Image as Pil
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLModel

from rftcore import cli
from rftcore.config import load_recipe
from rftcore.errors import ModelError, RecipeError
from rftcore.models import configs, loading, processors, sources
from rftcore.models.configs import model_config
from rftcore.models.pixels import pixel_budget
from rftcore.models.processors import load_processor
from rftcore.pipeline.policies import Policies
from rftcore.runs import RunFolder
from rftcore.testing.families import tiny_internvl, tiny_qwen2_vl, tiny_smolvlm
from rftcore.training.adapter_check import adapter_faults, check_policy

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
TASK = f"{Path(__file__).parent}/cases/lively_task.py:squares"
PATCH = 14  # pixels, of Qwen2-VL


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiny")
    built = {"qwen2_vl": tiny_qwen2_vl, "smolvlm": tiny_smolvlm, "internvl": tiny_internvl}
    return {name: build(root / name) for name, build in built.items()}


def policy(**settings):
    return load_recipe(("test", {"task": "t", "policy": settings})).policy


def tokens(processor, side=112):
    """The number of tokens of one square image, by the placeholders in a text."""
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}]
    text = processor.apply_chat_template(messages)
    image = Pil.new("RGB", (side, side), "red")
    return len(processor(text=[text], images=[[image]], return_tensors="pt").input_ids[0])


@pytest.mark.parametrize(
    ("family", "settings", "fewer"),
    [
        ("qwen2_vl", {"pixels": {"max": 56 * 56}}, 12),  # 4 x 4 tokens become 2 x 2
        ("qwen2_vl", {"pixels": {"min": 112 * 112}}, 0),
        ("qwen2_vl", {"processor": {"merge_size": 2}}, 0),
        ("smolvlm", {"processor": {"do_image_splitting": False}}, 1),
        ("internvl", {"processor": {"crop_to_patches": False}}, 0),
    ],
)
def test_a_setting_decides_the_number_of_tokens_and_is_saved(
    family, settings, fewer, folders, tmp_path
):
    plain = load_processor(folders[family])
    changed = load_processor(folders[family], policy(**settings))
    changed.save_pretrained(tmp_path)
    again = transformers.AutoProcessor.from_pretrained(tmp_path)

    saved = tokens(plain) - tokens(changed)
    assert saved == fewer if family == "qwen2_vl" else saved >= fewer
    assert tokens(again) == tokens(changed)
    assert pixel_budget(again) == pixel_budget(changed)
    if fewer:
        assert pixel_budget(changed) != pixel_budget(plain)


@pytest.mark.parametrize(
    ("family", "settings", "message"),
    [
        (
            "smolvlm",
            {"pixels": {"max": 100}},
            "Use policy.processor; its settings are .*do_image_s",
        ),
        ("internvl", {"pixels": {"max": 100}}, "Use policy.processor; .*crop_to_patches"),
        ("qwen2_vl", {"pixels": {"min": 10**9}}, "the minimum is above the maximum"),
        ("qwen2_vl", {"processor": {"sise": {}}}, "no such setting. Did you mean 'size'"),
        ("qwen2_vl", {"processor": {"merge_size": "2"}}, "must be a number, such as the model's"),
        ("qwen2_vl", {"processor": {"size": {"longest_edge": 9}}}, "shortest_edge is in one of"),
        ("qwen2_vl", {"processor": {"do_resize": 1}}, "must be true or false"),
    ],
)
def test_a_setting_that_the_image_processor_lacks_is_an_error(family, settings, message, folders):
    with pytest.raises(ModelError, match=message):
        load_processor(folders[family], policy(**settings))


@pytest.mark.slow
def test_every_part_of_a_run_shows_the_policy_the_same_pixels(folders, tmp_path, monkeypatch):
    pytest.importorskip("rft_nano")
    seen = []
    plain = Qwen2VLModel.get_image_features

    def spy(model, pixel_values, image_grid_thw=None, **kwargs):
        seen.extend((int(h), int(w)) for _, h, w in image_grid_thw.tolist())
        return plain(model, pixel_values, image_grid_thw, **kwargs)

    monkeypatch.setattr(Qwen2VLModel, "get_image_features", spy)
    most, run = 28 * 56, tmp_path / "run"
    settings = (f"policy.pixels.max={most}", "evaluation.splits=[val]", "sft.max_steps=1")
    options = [f"--set={each}" for each in (*settings, "grpo.max_steps=1")]
    command = ["train", "--task", TASK, "--smoke", "--model", folders["qwen2_vl"], "--out", run]
    cli.main([*map(str, command), *options], standalone_mode=False)

    assert {h * w * PATCH**2 for h, w in seen} == {28 * 28, most}
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["pixel_budget"]["size"]["longest_edge"] == most
    for phase in ("sft", "grpo"):
        assert load_processor(run / phase / "model").image_processor.size["longest_edge"] == most


def test_code_of_a_model_runs_only_if_the_recipe_says_so(tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    folder.mkdir()
    code = (
        "from transformers import PreTrainedConfig\n"
        "class MineConfig(PreTrainedConfig):\n    model_type = 'mine'\n"
    )
    (folder / "configuration_mine.py").write_text(code)
    maps = {"AutoConfig": "configuration_mine.MineConfig"}
    (folder / "config.json").write_text(json.dumps({"model_type": "mine", "auto_map": maps}))
    with pytest.raises(ModelError, match=r"if you trust it, --set policy.trust_remote_code=true"):
        model_config(folder)
    modules = "transformers.dynamic_module_utils.HF_MODULES_CACHE"
    monkeypatch.setattr(modules, str(tmp_path / "modules"))

    assert model_config(folder, policy(trust_remote_code=True)).model_type == "mine"


def test_attention_and_dtype_are_those_of_the_recipe(folders, tmp_path):
    policies = Policies(
        RunFolder(tmp_path), 0, policy(attention="eager", evaluation_dtype="bfloat16")
    )
    read = policies.read(folders["qwen2_vl"]).model
    taken = policies.take(folders["qwen2_vl"]).model

    assert read.config._attn_implementation == taken.config._attn_implementation == "eager"
    assert (read.dtype, taken.dtype) == (torch.bfloat16, torch.float32)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("policy.attention=flash_attention_2", "policy.attention.*--set.*flash-attn, or use sdpa"),
        ("policy.revision=main", "policy.revision.*--set.*the model is a folder: leave it out"),
    ],
)
def test_what_a_machine_or_a_folder_lacks_is_an_error_before_loading(setting, message, folders):
    recipe = load_recipe(("test", {"task": "t"}), overrides=[setting])
    with pytest.raises(RecipeError, match=message):
        raise RecipeError(*check_policy(recipe, folders["qwen2_vl"]))


def test_a_revision_reaches_the_hub_with_the_configuration(monkeypatch):
    seen = {}
    monkeypatch.setattr(
        transformers.AutoConfig, "from_pretrained", lambda source, **given: seen.update(given)
    )
    model_config("org/model", policy(revision="v2"))

    assert seen == {"revision": "v2", "trust_remote_code": False}


QLORA = {"lora": {"between": "continue", "quantize": "4bit"}, "dtype": "bfloat16"}


@pytest.mark.parametrize("there", [False, True])
def test_4_bits_need_a_gpu_and_bitsandbytes(there, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr("rftcore.training.adapter_check.importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("rftcore.training.adapter_check.has_peft", lambda: True)
    faults = [*adapter_faults(load_recipe(("test", {"task": "t", "policy": QLORA})))]

    expected = r"pip install 'rftcore[qlora]'" if there else "policy.dtype=bfloat16"
    assert [expected in str(fault) for fault in faults] == [True]


def test_4_bits_are_not_merged_between_the_phases():
    with pytest.raises(RecipeError, match=r"needs policy.lora.between=continue"):
        load_recipe(("test", {"task": "t", "policy": {"lora": {"quantize": "4bit"}}}))


def test_4_bits_reach_transformers_and_a_trainer_alone(folders, tmp_path, monkeypatch):
    seen = []

    def from_pretrained(source, **given):
        seen.append(given)
        raise OSError("stop here")

    monkeypatch.setattr(
        transformers.AutoModelForImageTextToText, "from_pretrained", from_pretrained
    )
    policies = Policies(RunFolder(tmp_path), 0, policy(**QLORA))
    for load in (policies.read, policies.take):
        with pytest.raises(ModelError, match="stop here"):
            load(folders["qwen2_vl"])

    read, taken = seen
    assert "quantization_config" not in read
    assert taken["device_map"] == {"": "cpu"}
    config = taken["quantization_config"]
    assert (config.bnb_4bit_quant_type, config.load_in_4bit) == ("nf4", True)
    assert config.bnb_4bit_compute_dtype == taken["dtype"] == torch.bfloat16
    assert {"visual", "lm_head", "merger"} <= {*config.llm_int8_skip_modules}


# Functions that read a model by the policy section, and the place of that argument.
PLACES = {
    name: list(inspect.signature(function).parameters).index("settings")
    for module in (configs, loading, processors, sources)
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if "settings" in inspect.signature(function).parameters
}


def passes(call):
    """Whether a call has the argument, by its place or with all arguments of a pair."""
    starred = any(isinstance(argument, ast.Starred) for argument in call.args)
    return starred or len(call.args) > PLACES[call.func.id]


@pytest.mark.parametrize("folder", ["pipeline", "training", "models"])
def test_a_model_is_never_read_without_the_policy_section_of_its_recipe(folder):
    files = (Path(loading.__file__).parents[1] / folder).rglob("*.py")
    trees = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    calls = [n for n in trees if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    calls = [call for call in calls if call.func.id in PLACES]

    assert [ast.unparse(c) for c in calls if not passes(c)] == []
