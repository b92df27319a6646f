"""The reward my-task: credit for a number that is nearly right.

rft imports this module at every start, so it stays light.
"""

from collections.abc import Callable, Mapping
from functools import partial

import rftcore as rft

from rft_my_task.rewards import near


@rft.hookimpl
def rft_rewards() -> Mapping[str, Callable[..., "partial[float]"]]:
    """Offer the reward to rft by its name."""
    return {"my-task": near}
