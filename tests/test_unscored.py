"""A completion without a total must not move the policy: TRL itself is asked before step 1."""

import pytest

from rftcore.config import load_recipe
from rftcore.errors import TrainerError
from rftcore.training.unscored import check_unscored, misled

pytest.importorskip("rft_nano")
# TRL passes on names that transformers has renamed; a run leaves that out too
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    """TRL's trainer over a toy model, as GRPO builds it."""
    from datasets import Dataset
    from rft_nano.model import build_untrained
    from trl import GRPOTrainer

    from rftcore.models.loading import load_model
    from rftcore.training.fields import grpo_config

    folder = tmp_path_factory.mktemp("toy")
    policy = load_model(build_untrained(folder, seed=1), device="cpu")
    recipe = load_recipe(("test", {"task": "t", "grpo": {"prompts_per_step": 1, "group_size": 4}}))
    return GRPOTrainer(
        model=policy.model,
        reward_funcs=[lambda **_: []],
        args=grpo_config(recipe, folder / "out"),
        train_dataset=Dataset.from_list([{"prompt": [{"role": "user", "content": "?"}]}] * 4),
        processing_class=policy.processor,
    )


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_the_installed_trl_gives_it_no_advantage_and_says_nothing(
    trainer, scale, monkeypatch, capfd, caplog
):
    monkeypatch.setattr(trainer, "scale_rewards", scale)
    before = {name: str(vars(trainer)[name]) for name in ("_metrics", "_logs", "_pending_metrics")}

    check_unscored(trainer)

    assert {name: str(vars(trainer)[name]) for name in before} == before
    assert "reward functions" not in caplog.text + "".join(capfd.readouterr())


def test_a_trl_that_reads_none_as_zero_is_refused(trainer, monkeypatch):
    def as_zero(self, *arguments):
        return original(self, *arguments).nan_to_num(nan=0.0)

    original = type(trainer)._calculate_rewards
    monkeypatch.setattr(type(trainer), "_calculate_rewards", as_zero)
    with pytest.raises(TrainerError, match=r"TRL .* although its rewards failed: totals \[None"):
        check_unscored(trainer)


def test_a_trl_that_cannot_be_asked_is_refused_with_what_it_raised(trainer, monkeypatch):
    monkeypatch.delattr(trainer, "_logs")
    with pytest.raises(TrainerError, match=r"GRPO did not start.* raised AttributeError: .*_logs"):
        check_unscored(trainer)


@pytest.mark.parametrize(
    ("advantages", "wrong"),
    [
        ([0.0, -1.2, 0.0, 1.2], False),
        ([0.1, -1.2, 0.0, 1.2], True),
        ([0.0, -0.2, 0.8, 1.8], True),  # its mean counts a zero for the first
        ([0.0, 0.0, 0.0, 0.0], True),
    ],
)
def test_what_counts_as_no_influence(advantages, wrong):
    assert bool(misled([None, 1.0, 2.0, 3.0], advantages)) == wrong
