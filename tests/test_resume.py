"""How a run ends: interrupted and continued, it equals one that was not, to the last weight."""

import json
import re
import shutil
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest
import torch
from safetensors.torch import load_file

from rftcore import cli
from rftcore.runs import RunFolder
from rftcore.testing.families import tiny_qwen2_vl
from rftcore.training.callbacks import Progress
from rftcore.training.checkpoints import SEAL
from tests.forked import Command, two_ranks

pytest.importorskip("rft_nano")
pytestmark = pytest.mark.slow

TASK = f"{Path(__file__).parent}/cases/lively_task.py:squares"
STEPS = 5
# Two epochs of SFT in uneven batches, a reference model, and rollouts at temperature 1.
SETTINGS = (
    *("sft.samples=12", "sft.batch_size=4", f"sft.max_steps={STEPS}", "sft.save_steps=2"),
    *("grpo.samples=8", f"grpo.max_steps={STEPS}", "grpo.save_steps=2", "grpo.beta=0.04"),
    *("grpo.learning_rate=1e-3", "sft.learning_rate=1e-3", "vision_check.enabled=false"),
    *("evaluation.splits=[val]", "evaluation.samples.val=2", "evaluation.zero_shot=false"),
)
SFT = ("sft.", "policy.lora={rank: 4, dropout")  # settings that are tried in SFT
# What measures the machine, a check that every session makes anew on its first batch, and what
# only the first session measures.
NOT_COMPARED = (
    "time",
    "runtime",
    "per_second",
    "shared_prefix/difference",
    "rollout_check",
    "gradient/",
)


def later(*values):
    """A case of `make long`."""
    return pytest.param(*values, marks=pytest.mark.long)


def rft(*arguments):
    """The command's exit code, in this process."""
    try:
        cli.main([*map(str, arguments)], standalone_mode=False)
    except SystemExit as left:
        return left.code
    return 0


def arguments(model, out, *more):
    settings = [f"--set={setting}" for setting in (*SETTINGS, *more)]
    return ["train", "--task", TASK, "--smoke", "--model", model, "--out", out, *settings]


def start(model, out, *more):
    return rft(*arguments(model, out, *more))


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    """The smallest model, and so that of most tests."""
    return tiny_qwen2_vl(tmp_path_factory.mktemp("tiny") / "qwen2_vl")


class Interrupt:
    """Raises Ctrl-C once: at the end of a step, or when a phase's last file is written."""

    def __init__(self, monkeypatch):
        self._patch = monkeypatch

    def at_step(self, phase, step):
        plain = Progress.on_step_end

        def on_step_end(progress, args, state, control, **kwargs):
            if (progress.phase, state.global_step) == (phase, step):
                self._patch.setattr(Progress, "on_step_end", plain)
                raise KeyboardInterrupt
            plain(progress, args, state, control, **kwargs)

        self._patch.setattr(Progress, "on_step_end", on_step_end)

    def before_done(self, phase):
        plain = RunFolder.mark_done

        def mark_done(folder, name):
            if name == phase:
                self._patch.setattr(RunFolder, "mark_done", plain)
                raise KeyboardInterrupt
            plain(folder, name)

        self._patch.setattr(RunFolder, "mark_done", mark_done)


@pytest.fixture
def interrupt(monkeypatch):
    return Interrupt(monkeypatch)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def recorded(run):
    """Everything a run wrote that does not measure time."""
    metrics = [
        {
            name: value
            for name, value in line.items()
            if not any(part in name for part in NOT_COMPARED)
        }
        for line in lines(run / "metrics.jsonl")
    ]
    files = [path for path in (run / "evaluation").rglob("*") if path.is_file()]
    evaluations = {path.relative_to(run): path.read_text() for path in files}
    return metrics, lines(run / "rollouts.jsonl"), evaluations


def weights(run, phase):
    return load_file(run / phase / "model" / "model.safetensors")


def assert_same(run, other):
    for one, its in zip(recorded(run), recorded(other), strict=True):
        assert one == its
    for phase in ("sft", "grpo"):
        mine, its = weights(run, phase), weights(other, phase)
        assert mine.keys() == its.keys()
        assert all(torch.equal(mine[name], its[name]) for name in mine)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, qwen):
    """An uninterrupted run of each model, made on first use."""
    made = {}

    def of(*more, model=qwen):
        key = (model, more)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("whole") / "run"
            assert start(model, made[key], *more) == 0
        return made[key]

    return of


@pytest.mark.parametrize("model", ["nano", later("toy"), "qwen2_vl"])
def test_a_run_interrupted_in_both_phases_equals_an_uninterrupted_one(
    model, qwen, whole, interrupt, tmp_path, capsys
):
    run, model = tmp_path / "run", qwen if model == "qwen2_vl" else model
    interrupt.at_step("sft", 3)
    assert start(model, run) == 130
    interrupt.at_step("grpo", 3)
    assert rft("train", "--resume", run) == 130
    assert rft("train", "--resume", run) == 0

    assert "is not what it was" not in capsys.readouterr().err
    assert_same(run, whole(model=model))


@pytest.mark.parametrize("closed", [True, later(False)])
@pytest.mark.parametrize("phase", ["sft", "grpo"])
def test_a_phase_interrupted_after_its_last_step_takes_no_step_more(
    phase, closed, qwen, whole, interrupt, tmp_path
):
    run = tmp_path / "run"
    interrupt.before_done(phase)
    assert start(qwen, run) == 130
    if not closed:  # the process died between the last checkpoint and the closing line
        *before, _closing = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
        (run / "metrics.jsonl").write_text("".join(before))
    assert rft("train", "--resume", run) == 0

    assert_same(run, whole())


@pytest.mark.parametrize(
    "setting",
    [
        *("grpo.num_iterations=2", "grpo.min_p=0.3", "policy.lora={rank: 4, between: continue}"),
        *map(
            later,
            (
                *("grpo.micro_batch=2", "sft.micro_batch=2", "grpo.shared_prefix=off"),
                *("policy.dtype=bfloat16", "grpo.bf16=true", "policy.lora={rank: 4, dropout: 0.1}"),
            ),
        ),
    ],
)
def test_it_equals_whatever_the_shape_of_a_step(setting, qwen, whole, interrupt, tmp_path):
    run = tmp_path / "run"
    interrupt.at_step("sft" if setting.startswith(SFT) else "grpo", 3)
    assert start(qwen, run, setting) == 130
    assert rft("train", "--resume", run) == 0

    assert_same(run, whole(setting))


def truncate(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def other_digit(file):
    """A change that leaves valid JSON."""
    file.write_text(
        re.sub('(?<="num_tokens": )[0-9]|(?<="tokens": )[0-9]', "7", file.read_text(), count=1)
    )


DAMAGES = {
    "weights cut off": lambda folder: truncate(folder / "model.safetensors"),
    "optimizer cut off": lambda folder: truncate(folder / "optimizer.pt"),
    "a bit flipped": lambda folder: flip(folder / "model.safetensors"),
    "no optimizer": lambda folder: (folder / "optimizer.pt").unlink(),
    "no random state": lambda folder: (folder / "rng_state.pth").unlink(),
    "no seal": lambda folder: (folder / SEAL).unlink(),
    "seal cut off": lambda folder: truncate(folder / SEAL),
    "foreign weights": lambda folder: shutil.copy(
        folder / "optimizer.pt", folder / "pytorch_model.bin"
    ),
}


@pytest.fixture(scope="module")
def halfway(tmp_path_factory, qwen):
    """A run of each model, interrupted in GRPO after two checkpoints; made when first needed."""
    made = {}

    def of(model=qwen):
        if model not in made:
            made[model] = tmp_path_factory.mktemp("halfway") / "run"
            with pytest.MonkeyPatch.context() as patch:
                Interrupt(patch).at_step("grpo", 5)
                assert start(model, made[model], "grpo.save_total_limit=2") == 130
        return made[model]

    return of


@pytest.mark.parametrize(
    ("model", "damage"),
    [
        *(("qwen2_vl", name) for name in [*DAMAGES][:3]),
        *(later("qwen2_vl", name) for name in [*DAMAGES][3:]),
        later("toy", "weights cut off"),
    ],
)
def test_a_damaged_newest_checkpoint_is_passed_over_with_a_warning(
    model, damage, qwen, halfway, whole, tmp_path, capsys
):
    run, model = tmp_path / "moved" / "run", qwen if model == "qwen2_vl" else model
    shutil.copytree(halfway(model), run)
    newest = run / "grpo" / "checkpoint-4"
    DAMAGES[damage](newest)
    capsys.readouterr()
    assert rft("train", "--resume", run) == 0

    output = capsys.readouterr().err
    assert f"warning: checkpoint not used, {newest}: " in output
    assert "continuing from checkpoint-2" in output
    assert_same(run, whole(model=model))


def test_sigterm_finishes_the_step_and_saves_in_both_phases(qwen, whole, tmp_path):
    run = tmp_path / "run"
    never = [f"{phase}.save_steps=100" for phase in ("sft", "grpo")]
    code, _, output = Command(*arguments(qwen, run, *never), stop=(SIGTERM, "sft", 3)).end()
    assert (code, f"continue with: rft train --resume {run}" in output) == (143, True)
    assert "Traceback" not in output
    step = int(re.search(r"after sft step (\d+)", output)[1])
    assert (run / "sft" / f"checkpoint-{step}" / SEAL).is_file()

    code, _, output = Command("train", "--resume", run, stop=(SIGTERM, "grpo", 1)).end()
    assert (code, f"continue with: rft train --resume {run}" in output) == (143, True)
    assert rft("train", "--resume", run) == 0
    assert_same(run, whole())


@pytest.mark.long
def test_sigterm_to_every_process_of_a_run_fails_no_reward(qwen, tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"
    workers = ("scoring.isolate_all=true", "scoring.workers=1", "sft.max_steps=1")
    assert start(qwen, other, *workers) == 0
    assert Command(*arguments(qwen, run, *workers), stop=(SIGTERM, "grpo", 1)).end()[0] == 143
    assert rft("train", "--resume", run) == 0

    assert not (run / "failures.jsonl").exists() or not (run / "failures.jsonl").read_text()
    assert_same(run, other)


@pytest.mark.long
def test_two_processes_interrupted_and_killed_equal_two_that_were_not(qwen, tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"
    assert two_ranks(*arguments(qwen, other))[0] == 0
    output = two_ranks(*arguments(qwen, run), stop=(SIGTERM, "sft", 2))[2]
    assert output.count("continue with: torchrun --nproc-per-node=2") == 1

    two_ranks("train", "--resume", run, stop=(SIGKILL, "grpo", 3))
    assert (run / "grpo" / "checkpoint-2" / SEAL).is_file()
    assert two_ranks("train", "--resume", run)[0] == 0
    assert_same(run, other)


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("sft.learning_rate=1e30", "error: sft step 2: a gradient is not finite"),
        ("grpo.learning_rate=1e30", "error: grpo step 2: "),
    ],
)
def test_numbers_that_blow_up_end_the_run_with_the_step_and_the_last_good_checkpoint(
    qwen, setting, found, tmp_path, capsys
):
    phase = setting.partition(".")[0]
    steady = [f"{phase}.warmup_steps=0", f"{phase}.max_grad_norm=0", f"{phase}.save_steps=1"]
    assert start(qwen, tmp_path / "run", setting, *steady) == 2

    output = capsys.readouterr().err
    assert found in output
    assert f"{phase}/checkpoint-1. " in output
    assert not (tmp_path / "run" / phase / "model").exists()


def test_a_phase_that_learns_nothing_is_in_the_summary(tmp_path, capsys):
    assert start("toy", tmp_path / "run", "grpo.max_completion_length=1") == 0
    notes = json.loads((tmp_path / "run" / "summary.json").read_text())["notes"]

    output = capsys.readouterr().out
    assert any(note.startswith("grpo: every completion was cut off") for note in notes)
    assert all(f"note: {note}" in output for note in notes)


def test_a_run_continues_only_with_the_model_it_began_with(interrupt, tmp_path, capsys):
    base, run = tiny_qwen2_vl(tmp_path / "base"), tmp_path / "run"
    interrupt.at_step("sft", 3)
    assert start(base, run) == 130
    flip(base / "model.safetensors")
    assert rft("train", "--resume", run) == 2

    assert f"the files of model '{base}' are not those that run {run} began with" in (
        capsys.readouterr().err
    )


def test_a_policy_that_is_not_what_sft_wrote_trains_no_further(halfway, tmp_path, capsys):
    run = shutil.copytree(halfway(), tmp_path / "run")
    flip(run / "sft" / "model" / "model.safetensors")
    assert rft("train", "--resume", run) == 2

    assert "sft/model is not what sft wrote" in capsys.readouterr().err


@pytest.mark.parametrize("name", [later("metrics.jsonl"), "rollouts.jsonl"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b""), other_digit])
def test_lines_of_a_run_that_have_changed_are_a_warning(name, damage, halfway, tmp_path, capsys):
    run = shutil.copytree(halfway("toy"), tmp_path / "run")
    damage(run / name)
    assert rft("train", "--resume", run) == 0

    warning = f"{run / name} is not what it was when checkpoint-4 was written"
    assert capsys.readouterr().err.count(warning) == 1


def test_the_record_on_which_skip_depends_is_not_replaced_by_another(
    qwen, interrupt, tmp_path, capsys
):
    run, short = tmp_path / "run", ("grpo.samples=4", "grpo.skip=[failed, flat]")
    interrupt.at_step("grpo", 5)
    assert start(qwen, run, *short) == 130
    (run / "prompts.jsonl").unlink()
    assert rft("train", "--resume", run) == 2

    assert "and grpo.skip depends on it" in capsys.readouterr().err


def test_other_versions_than_the_run_began_with_are_a_warning(halfway, tmp_path, capsys):
    run = shutil.copytree(halfway(), tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["packages"]["torch"] = "1.0"
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert rft("train", "--resume", run) == 0

    assert "other versions than the run began with (torch 1.0, now " in capsys.readouterr().err
    assert json.loads((run / "manifest.json").read_text())["resumed"][-1]["changed_versions"]


@pytest.mark.long
def test_a_disk_that_takes_no_more_is_one_message_with_the_command_that_continues(whole, tmp_path):
    run = tmp_path / "run"
    # as a file system without room for larger files, full or with a quota
    code, _, output = Command(*arguments("toy", run), file_limit=2**20).end()
    assert code == 2, output
    assert "File too large. Complete checkpoints are kept" in output
    assert "Traceback" not in output
    assert rft("train", "--resume", run) == 0

    assert_same(run, whole(model="toy"))


def test_a_checkpoint_is_a_model_to_train_from_with_the_defaults_of_its_base(halfway, tmp_path):
    folder = halfway("toy") / "grpo" / "checkpoint-4"
    assert start(folder, tmp_path / "run", "sft.enabled=false") == 0

    assert "adam_epsilon: 0.0001" in (tmp_path / "run" / "recipe.yaml").read_text()


@pytest.mark.parametrize("skip", [(), ("grpo.skip=[failed, flat]", "grpo.skip_after=1")])
def test_grpo_continues_with_the_prompts_of_its_epoch(qwen, skip, interrupt, tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"
    short = ("grpo.samples=4", "grpo.max_steps=6", "evaluation.after_each_phase=false", *skip)
    assert start(qwen, other, *short) == 0
    interrupt.at_step("grpo", 5)
    assert start(qwen, run, *short) == 130
    assert rft("train", "--resume", run) == 0

    assert_same(run, other)
    if skip:
        prompts = lines(run / "prompts.jsonl")
        assert prompts == lines(other / "prompts.jsonl")
        assert sum(line["passed_over"] for line in prompts) > 0
