"""Trackers that this machine cannot use, found before a model loads."""

from __future__ import annotations

import importlib.util
import netrc
import os
from collections.abc import Iterator
from urllib.parse import urlparse

from rftcore.config import Recipe, fault
from rftcore.errors import Fault, RecipeError

OFFLINE = ("offline", "disabled", "dryrun")  # values of WANDB_MODE that need no login


def check_tracking(recipe: Recipe) -> None:
    """Check that the packages of the trackers are installed and logged in.

    Raises: RecipeError with all faults.
    """
    if faults := list(_faults(recipe)):
        raise RecipeError(*faults)


def _faults(recipe: Recipe) -> Iterator[Fault]:
    for name in recipe.tracking.to:
        rule = ""
        if importlib.util.find_spec(name) is None:
            rule = f"needs the package {name}: pip install 'rftcore[{name}]'"
        elif name == "wandb" and not _logged_in():
            rule = (
                "W&B is not logged in: run `wandb login`, set WANDB_API_KEY, or keep the run on "
                "this machine by WANDB_MODE=offline"
            )
        if rule:
            yield fault(("tracking", "to"), name, recipe.origin("tracking", "to"), rule)


def _logged_in() -> bool:
    """Whether W&B has a key: in the environment, or in the file that `wandb login` writes."""
    if os.environ.get("WANDB_MODE", "").lower() in OFFLINE or os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
