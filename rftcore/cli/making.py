"""The recipe and the task that the options of a command describe."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rftcore.config import Layer, Recipe
    from rftcore.types import Task


def recipe_and_task(*layers: "Layer", settings: Sequence[str]) -> "tuple[Recipe, Task]":
    """The recipe of these layers and of `--set`, and its task. Raises: RftError."""
    from rftcore.config import load_recipe  # not for --help
    from rftcore.plugins import Catalogue

    recipe = load_recipe(*layers, overrides=settings)
    return recipe, Catalogue.load().task_of(recipe)
