"""The recipe of a run: its settings, how they are read, and their faults."""

from rftcore.config.faults import (
    check_settings,
    check_splits,
    checked,
    fault,
    settings_faults,
)
from rftcore.config.loading import (
    MODEL_RECIPE,
    dump_recipe,
    load_recipe,
    model_defaults,
    parse_override,
    read_recipe_file,
)
from rftcore.config.paradigms import ANSWERS, DEFAULT, Paradigm, of_phases
from rftcore.config.policy import LoraRecipe, PixelsRecipe, PolicyRecipe
from rftcore.config.recipe import (
    GrpoRecipe,
    Layer,
    Recipe,
    RewardOverride,
    SftRecipe,
    differences,
    evaluated_splits,
)

__all__ = [
    "ANSWERS",
    "DEFAULT",
    "MODEL_RECIPE",
    "GrpoRecipe",
    "Layer",
    "LoraRecipe",
    "Paradigm",
    "PixelsRecipe",
    "PolicyRecipe",
    "Recipe",
    "RewardOverride",
    "SftRecipe",
    "check_settings",
    "check_splits",
    "checked",
    "differences",
    "dump_recipe",
    "evaluated_splits",
    "fault",
    "load_recipe",
    "model_defaults",
    "of_phases",
    "parse_override",
    "read_recipe_file",
    "settings_faults",
]
