"""One module names the splits; the names mean the same everywhere."""

import ast
from pathlib import Path

import pytest

import rftcore
from rftcore import splits
from rftcore.runs import PHASES

ROOT = Path(rftcore.__file__).parent
FILES = [f for f in ROOT.rglob("*.py") if "templates" not in f.parts and f.name != "splits.py"]


def test_each_phase_that_trains_has_a_split_to_train_on():
    assert tuple(splits.PHASE_SPLITS) == PHASES
    assert tuple(splits.PHASE_SPLITS.values()) == splits.TRAINING


@pytest.mark.parametrize(
    ("name", "known", "evaluated"),
    [
        ("sft", True, False),
        ("rl", True, False),
        ("val", True, True),
        ("test", True, True),
        ("ood-x", True, True),
        ("ood-", False, False),
        ("ood", False, False),
        ("train", False, False),
    ],
)
def test_which_splits_are_known_and_which_are_evaluated(name, known, evaluated):
    assert splits.is_known(name) is known
    assert splits.evaluated([name]) == ((name,) if evaluated else ())
    assert not (evaluated and splits.is_training(name))


def test_only_splits_that_train_may_share_samples():
    names = (*splits.STANDARD, "ood-x")
    shared = {frozenset((a, b)) for a in names for b in names if splits.may_overlap(a, b)}

    assert shared == {frozenset((name,)) for name in names} | {frozenset(splits.TRAINING)}


def test_no_other_module_spells_the_name_of_a_split():
    found = [
        f"{file.relative_to(ROOT)} line {node.lineno}: {node.value}"
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in ("rl", "val", splits.OOD_PREFIX)
    ]

    assert found == []
