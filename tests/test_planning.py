"""`rft plan` compared with real training, with hand calculation and with published figures."""

import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as pil

import rftcore as rft
from rftcore import rewards
from rftcore.cli import main
from rftcore.config import load_recipe, parse_override
from rftcore.datasets.slices import take
from rftcore.errors import RecipeError
from rftcore.images import Image
from rftcore.intervals import wilson
from rftcore.models.completions import Completion, Draw, generate
from rftcore.models.encoding import encode
from rftcore.models.loading import load_model
from rftcore.models.processors import load_processor
from rftcore.parsers import Integer
from rftcore.pipeline.plan import Plan
from rftcore.planning import engines, known, tokens, weights
from rftcore.planning.advice import size_of
from rftcore.planning.forecast import clustered, forecast, summed_up
from rftcore.planning.ledger import Ledger
from rftcore.planning.memory import Moment, Rollouts, State, Work, of_grpo
from rftcore.planning.planner import Planner, Request
from rftcore.planning.probe import answers, duration, loaded, timed
from rftcore.planning.report import Report, _lengths, size_text
from rftcore.planning.schedule import schedule
from rftcore.planning.tokens import histogram
from rftcore.planning.trace import Compute, reading
from rftcore.planning.tracing import config_of
from rftcore.scoring import Outcome, Score
from rftcore.testing.families import tiny_qwen2_vl
from rftcore.training.callbacks import quiet_libraries
from rftcore.training.configs import make_config, shapes
from rftcore.training.sft import sft_trainer
from rftcore.types import Parsed, Prompt, Sample, Task, Term

# peft reads a name that the newest transformers will drop
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

GB = 10**9
SHAPES = {"sft": {"batch_size": 24}, "grpo": {"prompts_per_step": 6, "group_size": 4}}


class Squares:
    """Six rows per split, with images of several sizes and questions of several lengths."""

    splits = ("sft", "rl", "val")

    def size(self, split):
        return 6

    def sample(self, split, index):
        buffer = io.BytesIO()
        pil.new("RGB", (56 + 28 * index, 112), (index * 40, 0, 0)).save(buffer, "png")
        text = "How many squares are there? " * (index + 1)
        image = Image.from_bytes(buffer.getvalue())
        return Sample(f"{split}-{index}", text, "3", (image,), cot="One, two, three.")


SQUARES = Task(
    name="squares",
    dataset=Squares(),
    prompt=lambda sample: Prompt(sample.question, sample.images),
    parser=Integer(low=0, high=9),
    rewards={"accuracy": Term(rewards.exact)},
    summary="Count squares.",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_qwen2_vl(tmp_path_factory.mktemp("model") / "tiny")


def recipe(**sections):
    small = {"sft": {"batch_size": 2}, "grpo": {"prompts_per_step": 2, "group_size": 2}}
    small["grpo"]["max_completion_length"] = 24
    return load_recipe(("test", {"task": "squares", **small}), ("test", sections))


def planner(folder, made, **options):
    plan = Plan.of(made, SQUARES, folder, None)
    return Planner(Request(plan, device="cpu", checked=True, **options))


def trained(folder, made, tmp_path):
    """A real SFT phase under a ledger: its trainer and the peak in bytes."""
    config = make_config(made, "sft", tmp_path)
    config.save_strategy = "no"
    policy = load_model(folder, dtype="float32")
    trainer = sft_trainer(policy, SQUARES, made, take(SQUARES, "sft"), config, callbacks=[])
    with Ledger() as ledger:
        ledger.hold([*policy.model.parameters(), *policy.model.buffers()])
        trainer.train()
    return trainer, ledger.peak


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_plan_has_the_tokens_steps_and_memory_of_a_real_phase(folder, tmp_path, checkpointing):
    settings = {"batch_size": 2, "num_train_epochs": 1, "freeze": []}
    settings["activation_checkpointing"] = checkpointing
    made = recipe(sft=settings, grpo={"enabled": False}, evaluation={"splits": []})
    trainer, measured = trained(folder, made, tmp_path)
    report = planner(folder, made, samples=None).report()
    (phase,) = report.phases
    last = trainer.state.log_history[-2]

    assert phase.schedules[0].steps == trainer.state.global_step
    assert sum(row.whole for row in phase.lengths.rows) == last["num_tokens"]
    assert phase.peak == pytest.approx(measured, rel=0.15)


def test_a_ledger_counts_live_storages_and_their_peak():
    with Ledger() as ledger:
        one = torch.zeros(1000)
        view = one.view(10, 100)
        two = one + 1
        del two
        three = torch.zeros(10, dtype=torch.float64)

    assert (ledger.now, ledger.peak) == (4000 + 80, 8000)
    assert view.shape == (10, 100)
    assert three.nbytes == 80


@pytest.mark.parametrize(
    ("engine", "published"),
    [("zero-1", 31.4), ("zero-2", 16.6), ("zero-3", 1.9)],
)
def test_the_state_of_an_engine_is_that_of_the_zero_paper(engine, published):
    """Figure 1 of arXiv:1910.02054: 7.5B parameters, 64 processes, Adam; 120 GB undivided."""
    size = 7_500_000_000
    state = State(size, size, 4 * size, 4 * size, 8 * size)
    moment = Moment("step", 0, 0, gradients=True)

    assert engines.peak(state, [moment], engine, 64).total / GB == pytest.approx(
        published, rel=0.02
    )


def test_alone_each_engine_holds_everything():
    state = State(100, 100, 400, 400, 800, reference=400)
    moment = Moment("step", peak=450, rest=50, gradients=True)

    assert {engines.peak(state, [moment], e, 1).total for e in engines.ENGINES} == {2050}


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("Qwen/Qwen2-VL-2B-Instruct", 2_208_985_600),
        ("Qwen/Qwen2-VL-7B-Instruct", 8_291_375_616),
        ("Qwen/Qwen2.5-VL-3B-Instruct", 3_754_622_976),
        ("Qwen/Qwen2.5-VL-7B-Instruct", 8_292_166_656),
    ],
)
def test_a_known_model_has_as_many_parameters_as_published(name, published, monkeypatch, tmp_path):
    monkeypatch.setenv("RFT_CACHE", str(tmp_path))
    model = weights.outline(known.stand_in(name), "bfloat16")

    assert sum(weights.parts(model).values()) == published
    assert all(parameter.is_meta for parameter in model.parameters())


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
@pytest.mark.parametrize("phase", ["sft", "grpo"])
def test_shapes_are_those_that_training_takes(monkeypatch, phase, processes):
    made = recipe(**SHAPES)
    found = schedule(made, phase, config_of(made, phase), 100, processes)
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    real = shapes(24, None, phase)

    assert [found.micro, found.accumulation] == list(real.values())
    assert found.micro * found.accumulation * processes == 24
    for micro in found.divisors:
        recipe(**{phase: {**SHAPES[phase], "micro_batch": micro}})
        assert shapes(24, micro, phase)["per_device_train_batch_size"] == micro


def test_a_batch_that_does_not_divide_is_reported_with_its_reason():
    made = recipe(sft={"batch_size": 6})
    found = schedule(made, "sft", config_of(made, "sft"), 100, 4)

    assert "do not divide over 4 processes" in found.fault
    assert (found.steps, found.divisors) == (0, ())


@given(numbers=st.lists(st.integers(0, 10**5), min_size=1, max_size=50))
def test_a_histogram_has_every_row_once(numbers):
    bins = histogram(numbers)

    assert sum(count for _, _, count in bins) == len(numbers)
    assert len(bins) <= 8
    assert (bins[0][0], bins[-1][1]) <= (min(numbers), max(numbers) + 10**5)


@pytest.mark.parametrize(
    ("text", "size"), [("80GB", 80 * GB), ("24 GiB", 24 * 2**30), ("512mb", 512 * 10**6), ("7", 7)]
)
def test_a_size_is_read_with_its_unit(text, size):
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "GB", "80 apples", "-1GB", "0GB", "nan"])
def test_a_text_that_is_no_size_is_an_error(text):
    with pytest.raises(RecipeError, match="such as 80GB"):
        size_of(text)


def test_a_traced_shape_serves_steps_of_other_sizes(folder):
    made = load_processor(folder), Squares().sample("rl", 5), weights.outline(folder, "float32")
    processor, sample, model = made
    prompt, compute = SQUARES.prompt(sample), Compute(bf16=False)
    common = (model, processor, prompt)
    rollouts = Rollouts.of(*common, 5, compute)
    works = [Work(2, rows, 2, checkpointing=False, group=4, completion=5) for rows in (8, 16)]
    known = {}
    reused = [list(of_grpo(*common, w, compute, rollouts, known, reference=True)) for w in works]
    fresh = [list(of_grpo(*common, w, compute, rollouts, {}, reference=True)) for w in works]

    assert reused == fresh
    assert len(known) == 1
    assert reused[0] != reused[1]


def test_settings_that_help_are_ranked_and_the_best_is_named_with_what_it_saves(folder):
    made = recipe(sft={"batch_size": 4, "freeze": []}, grpo={"enabled": False})
    report = planner(folder, made, limit=50_000_000).report()
    advice = [each for each in report.advice if each.phase == "sft"]
    peaks, best = [each.peak for each in advice], advice[0]

    assert peaks == sorted(peaks)
    assert peaks[-1] < report.phases[0].peak == best.before
    changed = load_recipe(("test", made.model_dump()), parse_override(*shlex.split(best.setting)))
    assert planner(folder, changed).report().phases[0].peak == best.peak
    text = report.as_text()
    assert f"sft does not fit: {size_text(best.before)} of 50.0 MB" in text
    less = size_text(best.before - best.peak)
    assert f"--set {best.setting} helps most: {size_text(best.peak)}, {less} less" in text


def test_the_command_prints_a_plan_as_text_and_as_json(folder):
    common = ["plan", "--task", "counting", "--model", str(folder), "--samples", "2"]
    common += ["--set", "task_options.sft=4", "--set", "task_options.rl=4"]
    common += ["--set", "sft.batch_size=2", "--set", "grpo.enabled=false"]
    common += ["--set", "evaluation.splits=[]", "--set", "sft.max_length=null"]
    text = CliRunner().invoke(main, common, catch_exceptions=False)
    data = json.loads(CliRunner().invoke(main, [*common, "--json"]).output)

    assert "2 of them read" in text.output
    assert "peak per device" in text.output
    assert [phase["phase"] for phase in data["phases"]] == ["sft"]
    assert data["phases"][0]["traced"]["peaks"]["ddp"]["1"]["total"] > 0


def test_evaluation_in_bfloat16_has_figures_for_a_model_that_casts_no_images():
    common = ["plan", "--task", "counting", "--model", "toy", "--samples", "1", "--json"]
    common += ["--set", "sft.enabled=false", "--set", "grpo.enabled=false"]
    images = {}
    for dtype in ("float32", "bfloat16"):
        words = [*common, "--set", f"policy.evaluation_dtype={dtype}"]
        (phase,) = json.loads(CliRunner().invoke(main, words).output)["phases"]
        images[dtype] = phase["traced"]["moments"][0]["parts"]["images"]

    assert images["float32"] == 2 * images["bfloat16"] > 0


def test_the_pixels_of_a_recipe_decide_the_tokens_of_an_image(folder):
    off = {"grpo": {"enabled": False}, "evaluation": {"splits": []}}
    few = recipe(policy={"pixels": {"max": 56 * 56}}, **off)
    plain, small = (
        planner(folder, made).report().phases[0].lengths for made in (recipe(**off), few)
    )
    marks = 2  # before and after an image

    assert max(row.image for row in small.rows) == 4 + marks
    assert max(row.image for row in plain.rows) > 4 + marks


def test_what_only_the_training_machine_has_is_noted_and_changes_no_recipe(folder):
    lora = {"rank": 2, "between": "continue", "quantize": "4bit"}
    policy = {"lora": lora, "attention": "flash_attention_2"}
    made = recipe(policy=policy, grpo={"use_vllm": True, "report_to": "wandb"})
    notes = planner(folder, made).notes

    assert [note.split()[0] for note in notes] == ["policy.lora.quantize", "vLLM's"]
    assert made.grpo.model_extra["use_vllm"] is True
    assert made.policy.lora.quantize == "4bit"


GIB = 2**30
# speed_benchmark.rst of the documentation of Qwen2.5: bfloat16, one row, 2,048 tokens written
MEASURED = {
    "Qwen/Qwen2-VL-2B": {6144: 3.43, 14336: 4.16, 30720: 5.62},
    "Qwen/Qwen2-VL-7B": {6144: 15.38, 14336: 16.91, 30720: 19.97},
}


@pytest.mark.parametrize("name", MEASURED)
def test_memory_of_a_long_prompt_is_that_measured_on_a_gpu(name, monkeypatch, tmp_path):
    """The text models of Qwen2-VL have the shapes of Qwen2.5's 1.5B and 7B."""
    monkeypatch.setenv("RFT_CACHE", str(tmp_path))
    model = weights.outline(known.stand_in(name), "bfloat16")
    text = 2 * weights.parts(model)["language"]
    for length, published in MEASURED[name].items():
        ids = torch.ones(1, length, dtype=torch.long)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        peak = text + reading(model, inputs, Compute(bf16=False)).peak

        assert peak / GIB == pytest.approx(published, rel=0.05)


def test_a_row_longer_than_sft_reads_is_the_error_of_training(folder):
    made = recipe(sft={"max_length": 8}, grpo={"enabled": False})

    with pytest.raises(RecipeError, match=r"sft\.max_length.*prompt of that many tokens"):
        planner(folder, made).report()


def test_a_phase_that_takes_no_step_is_the_error_of_training(folder):
    with pytest.raises(RecipeError, match="grpo"):
        planner(folder, recipe(grpo={"prompts_per_step": 64}))


def scores(*groups):
    """A score per letter: r for right, w for wrong, u for unparsed."""
    return [
        Score(
            float(letter == "r"),
            {"accuracy": Outcome("ok", float(letter == "r"))},
            Parsed(error="none" if letter == "u" else None),
            letter == "r",
        )
        for letter in "".join(groups)
    ]


def test_a_forecast_counts_answers_cuts_and_groups_that_differ():
    groups = ("rrrr", "wwuu", "rwrw", "wwww")
    written = [Completion("", 1, clipped=at < 2) for at in range(16)]
    found = summed_up(written, scores(*groups), 4)

    assert (found.prompts, found.group) == (4, 4)
    assert (found.parsed.value, found.truncated.value) == (14 / 16, 2 / 16)
    assert (found.passed.value, found.teaching.value) == (6 / 16, 1 / 4)
    assert (found.right.value, found.wrong.value) == (1 / 4, 2 / 4)
    assert found.teaching.interval() == wilson(1, 4)


@given(
    groups=st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=12),
)
def test_completions_of_a_prompt_count_as_one_to_all_of_them(groups):
    share = clustered([value for group in groups for value in group], 4)
    low, high = share.interval()

    assert share.value == pytest.approx(sum(map(sum, groups)) / (4 * len(groups)))
    assert len(groups) <= share.n <= 4 * len(groups)
    assert low <= share.value <= high


def test_completions_that_always_agree_within_a_prompt_count_once():
    assert clustered([True] * 4 + [False] * 4, 4).n == pytest.approx(2)


def test_probe_and_signal_of_a_real_policy(folder):
    """Steps are those of the plan; greedy-like sampling gives groups without signal."""
    made = recipe(
        sft={"max_steps": 50},
        grpo={"max_steps": 20, "temperature": 1e-4},
        evaluation={"splits": ["val"], "max_new_tokens": 4},
    )
    with quiet_libraries():
        plan = Plan.of(made, SQUARES, folder, None)
        timings = {each.phase: each for each in timed(plan)}
        found = forecast(loaded(plan), plan, config_of(made, "grpo"), 5)

    assert {name: each.count for name, each in timings.items()} == {
        "sft": 50,
        "grpo": 20,
        "evaluation": answers(plan),
    }
    assert all(0 < each.low <= each.seconds <= each.high for each in timings.values())
    assert (found.prompts, found.group, found.teaching.value) == (3, 2, 0)


def test_sampled_completions_are_drawn_from_the_policy(folder):
    """With one token, the share of a text is the probability that the model gives it."""
    policy, prompt = load_model(folder, dtype="float32"), Prompt("How many?")
    drawn = generate(policy, [prompt] * 2000, 1, Draw(0.2, seed=0))
    with torch.no_grad():
        logits = policy.model(**encode(policy, [prompt])).logits[0, -1]
    chances = (logits / 0.2).softmax(-1)
    likely = policy.tokenizer.decode([int(logits.argmax())])
    texts = [policy.tokenizer.decode([i], skip_special_tokens=True) for i in range(len(chances))]
    chance = sum(float(p) for p, text in zip(chances, texts, strict=True) if text == likely)
    low, high = wilson(sum(each.text == likely for each in drawn), 2000, z=4)

    assert low <= chance <= high
    assert 0.1 < chance < 0.9


@pytest.mark.parametrize(
    ("sections", "count"),
    [
        ({}, 18),  # start, after SFT, after GRPO; six rows each
        ({"evaluation": {"zero_shot": False}}, 12),
        ({"evaluation": {"zero_shot": False, "after_each_phase": False}}, 6),
        ({"sft": {"enabled": False}}, 12),
    ],
)
def test_the_answers_of_all_evaluations_are_counted(folder, sections, count):
    assert answers(Plan.of(recipe(**sections), SQUARES, folder, None)) == count


def test_signal_without_grpo_is_an_error():
    with pytest.raises(RecipeError, match=r"grpo\.enabled is false"):
        rft.plan("counting", set={"grpo.enabled": False}, signal=8)


@pytest.mark.parametrize("options", [{"samples": 0}, {"signal": 0}])
def test_a_count_below_one_is_an_error(options):
    with pytest.raises(RecipeError, match="give 1 or more"):
        rft.plan("counting", **options)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(42, "42 s"), (600, "10 min"), (9000, "2.5 h"), (90_000, "25 h"), (10**6, "11.6 days")],
)
def test_a_duration_has_a_unit_that_fits(seconds, text):
    assert duration(seconds) == text


RECORDED = Path(__file__).parent / "recorded"
PAGE = Path(__file__).parent.parent / "docs" / "plan.md"


def test_the_page_has_the_recorded_table():
    command, *lines = (RECORDED / "plan-recipes.txt").read_text().splitlines()

    assert command.startswith("$ python benchmarks/plan_recipes.py")
    assert "\n".join(lines) in PAGE.read_text()


@pytest.mark.long
def test_a_recipe_of_the_paper_is_planned_as_recorded(tmp_path):
    script = PAGE.parent.parent / "benchmarks" / "plan_recipes.py"
    command = [sys.executable, str(script), "--task", "counting", "--size", "2b"]
    env = {**os.environ, "RFT_CACHE": str(tmp_path)}
    result = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    rows = result.stdout.splitlines()[2:]

    assert rows
    assert set(rows) <= set((RECORDED / "plan-recipes.txt").read_text().splitlines())


@pytest.mark.parametrize(
    ("numbers", "line"),
    [([26, 26], "text tokens: 26"), ([20, 26, 35], "text tokens: 20 to 35"), ([5, 300], "#")],
)
def test_rows_of_nearly_one_length_have_no_histogram(numbers, line):
    rows = tuple(tokens.Row(at, f"row {at}", 0, text) for at, text in enumerate(numbers))
    lines = [*_lengths(tokens.Lengths("rl", len(rows), rows))]

    assert any(line in each for each in lines)
    assert any("#" in each for each in lines) == (line == "#")


def test_a_device_that_this_machine_lacks_is_stated_at_the_top():
    note = "planned for cuda: this machine has no GPU"
    report = Report("t", "m", "cuda", "float32", "bfloat16", {"text": 1}, [], assumed=note)

    assert report.as_text().splitlines()[1] == f"note: {note}"
