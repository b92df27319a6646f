"""Warn if the installed TRL is outside the range that rftcore is tested with.

A completion without a reward must not move the policy: TRL gives it advantage 0 and leaves it out
of its group's mean and standard deviation. `tests/test_unscored.py` checks that for the versions
in `pyproject.toml`; for others it is not known.
"""

from __future__ import annotations

import logging
from importlib import metadata

from packaging.requirements import Requirement

logger = logging.getLogger(__name__)


def warn_of_untested_trl() -> None:
    """Log a warning with the command that installs a tested TRL, if another one is installed."""
    tested = tested_trl()
    installed = metadata.version("trl")
    if tested is not None and not tested.specifier.contains(installed, prereleases=True):
        logger.warning(
            "TRL %s is installed, and rftcore is tested with '%s': training may fail, or a "
            "completion whose rewards failed may change the policy. Install a tested version: "
            "pip install '%s'",
            installed,
            tested,
            tested,
        )


def tested_trl() -> Requirement | None:
    """What rftcore requires of TRL; None if rftcore runs from a folder that is not installed."""
    try:
        required = metadata.requires("rftcore") or []
    except metadata.PackageNotFoundError:
        return None
    return next((each for each in map(Requirement, required) if each.name == "trl"), None)
