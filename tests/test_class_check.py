"""The class of a model decides before its weights load whether it trains: every class is tried."""

import re

import pytest
import transformers
from transformers.models.auto import modeling_auto

from rftcore.errors import ModelError
from rftcore.models.class_check import require_trainable

EVERY = sorted(modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)


def saved(model_type, folder):
    """A folder with nothing but the family's default configuration."""
    transformers.CONFIG_MAPPING[model_type]().save_pretrained(folder)
    return folder


def verdict(folder):
    """The error of a model's folder, or "" if only its weights are left to check."""
    try:
        require_trainable(folder)
    except ModelError as error:
        return str(error)
    return ""


@pytest.mark.families
@pytest.mark.parametrize("model_type", EVERY)
def test_a_configuration_of_any_family_passes_or_is_one_explained_error(model_type, tmp_path):
    said = verdict(saved(model_type, tmp_path))

    assert not said or re.search(r"Take a model of another family|could not be loaded: .*\. ", said)
    assert "\n" not in said


@pytest.mark.parametrize(
    ("model_type", "reason"),
    [
        ("blip-2", "has no model below its head"),
        ("kosmos-2.5", "does not take pixel_values"),
        ("pi0", "does not generate"),
        ("t5gemma2", "is an encoder-decoder"),
        ("llava", "^$"),
        ("aria", "^$"),
    ],
)
def test_a_class_that_trl_cannot_train_is_refused_without_weights(model_type, reason, tmp_path):
    assert re.search(reason, verdict(saved(model_type, tmp_path)))
