"""Specifications from which a worker process makes the rewards of a task.

First from the recipe: the worker loads the plugins and makes the task as this
process did, so closures and tasks in a file work too. Otherwise from the pickled
name of a function in a module that can be imported, with its options if it is a
`functools.partial`.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rftcore.errors import describe
from rftcore.plugins.lookup import PYTHON
from rftcore.types import Reward, Task

if TYPE_CHECKING:
    from rftcore.config import Recipe


@dataclass(frozen=True)
class RewardSpecs:
    """Picklable. `recipe` is JSON; `named` has per term a pickled reward, or why it cannot be."""

    recipe: str | None
    named: Mapping[str, bytes | str]

    @classmethod
    def of(cls, task: Task, recipe: Recipe | None) -> RewardSpecs:
        """The specifications of a task's rewards."""
        named = {name: _name(term.reward) for name, term in task.rewards.items()}
        # an object of this program has a name in this process alone
        elsewhere = recipe if recipe and not recipe.task.startswith(f"{PYTHON}:") else None
        return cls(elsewhere.model_dump_json() if elsewhere else None, named)

    def rewards(self) -> tuple[dict[str, Reward], dict[str, str]]:
        """The rewards by term, and for each that cannot be made the reason."""
        found, fault = self._by_recipe()
        made, unmade = {}, {}
        for name, pickled in self.named.items():
            try:
                made[name] = found[name] if name in found else _loaded(pickled)
            except Exception as error:
                unmade[name] = "; ".join(filter(None, (fault, str(error))))
        return made, unmade

    def _by_recipe(self) -> tuple[dict[str, Reward], str]:
        if self.recipe is None:
            return {}, ""
        try:
            return _rewards_of(self.recipe), ""
        except Exception as error:
            return {}, f"the recipe's task cannot be made again: {describe(error)}"


def _name(reward: Reward | str) -> bytes | str:
    try:
        return pickle.dumps(reward)
    except Exception as error:  # a lambda, a closure, an object that holds a file ...
        return f"it cannot be pickled: {describe(error)}"


def _loaded(pickled: bytes | str) -> Reward:
    if isinstance(pickled, str):
        raise LookupError(pickled)
    try:
        reward: Reward = pickle.loads(pickled)
    except Exception as error:
        raise LookupError(f"it cannot be imported: {describe(error)}") from error
    return reward


def _rewards_of(recipe: str) -> dict[str, Reward]:
    from rftcore.config import Recipe
    from rftcore.plugins import Catalogue

    task = Catalogue.load().task_of(Recipe.model_validate_json(recipe))
    return {name: term.reward for name, term in task.rewards.items() if callable(term.reward)}
