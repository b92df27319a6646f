"""A completion without a reward does not move the policy, in the TRL versions that rft allows.

TRL writes the advantages of a step to a file (`log_completions`). They are compared with the
formula, computed here over the completions that have a reward:

    A_i = (R_i - mean(R of its group)) / (std(R) + 1e-4),    0 for the others
"""

import logging
import math
from importlib import metadata
from statistics import mean, stdev

import pandas
import pytest
import torch
from packaging.requirements import Requirement

from rftcore.training import versions
from rftcore.training.library_logs import without_replaced_messages
from rftcore.training.toy import toy_trainer, trl_config

# TRL passes on names that transformers has renamed; a run leaves that out too
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
SOME, NO_SIGNAL, NONE = [None, 1.0, 2.0, 4.0], [None, None, 3.0, 3.0], [None] * 4


def step(folder, rewards, scale="group"):
    """One step of GRPO on groups of four; its advantages, and whether the weights changed."""
    config = trl_config("grpo")(
        output_dir=str(folder),
        per_device_train_batch_size=len(rewards),
        num_generations=4,
        max_completion_length=4,
        scale_rewards=scale,
        loss_type="grpo",
        learning_rate=0.1,
        max_steps=1,
        log_completions=True,
        report_to="none",
        use_cpu=True,
        seed=3,
        bf16=False,
    )
    trainer = toy_trainer("grpo", folder, config, len(rewards), rewards=lambda **_: list(rewards))
    before = [p.detach().clone() for p in trainer.model.parameters()]
    trainer.train()
    (file,) = (folder / "completions").glob("*.parquet")
    pairs = zip(before, trainer.model.parameters(), strict=True)
    return list(pandas.read_parquet(file)["advantage"]), any(
        not torch.equal(one, other) for one, other in pairs
    )


def expected(rewards, scale):
    """The advantages by the formula."""
    known = [r for r in rewards if r is not None]
    found = []
    for start in range(0, len(rewards), 4):
        group = rewards[start : start + 4]
        own = [r for r in group if r is not None]
        spread = {"group": own, "batch": known, "none": None}[scale]
        by = 1.0 if spread is None or len(spread) < 2 else stdev(spread) + 1e-4
        found += [0.0 if r is None else (r - mean(own)) / by for r in group]
    return found


@pytest.mark.parametrize("missing", [None, math.nan])
@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_it_has_no_advantage_and_does_not_change_those_of_others(tmp_path, scale, missing):
    rewards = [*SOME, *NO_SIGNAL, *NONE]
    given = [missing if r is None else r for r in rewards]
    advantages, moved = step(tmp_path, given, scale)

    assert advantages == pytest.approx(expected(rewards, scale), abs=1e-5)
    assert moved


def test_a_step_without_any_reward_changes_no_weight(tmp_path):
    assert step(tmp_path, NONE) == ([0.0] * 4, False)


def test_trls_message_about_it_is_left_out_and_others_are_not(tmp_path, caplog):
    with without_replaced_messages():
        step(tmp_path, SOME)
        logging.getLogger("trl.trainer.grpo_trainer").warning("another")
    assert caplog.messages[-1] == "another"
    assert "None" not in caplog.text

    step(tmp_path / "again", SOME)
    assert "All reward functions returned None" in caplog.text


@pytest.mark.parametrize(
    ("installed", "warned"),
    [("1.16.0", 0), ("1.16.3", 0), ("1.15.9", 1), ("1.17.0", 1), ("2.0.0.dev0", 1)],
)
def test_a_trl_that_is_not_tested_is_a_warning_with_the_one_to_install(
    monkeypatch, caplog, installed, warned
):
    monkeypatch.setattr(versions, "tested_trl", lambda: Requirement("trl>=1.16,<1.17"))
    monkeypatch.setattr(metadata, "version", lambda name: installed)
    versions.warn_of_untested_trl()

    assert [f"TRL {installed} is installed" in m for m in caplog.messages] == [True] * warned
    assert all("pip install 'trl<1.17,>=1.16'" in text for text in caplog.messages)


def test_the_range_is_that_of_the_package_and_has_the_installed_trl():
    tested = versions.tested_trl()

    assert str(tested) == "trl<1.17,>=1.16"
    assert metadata.version("trl") in tested.specifier
