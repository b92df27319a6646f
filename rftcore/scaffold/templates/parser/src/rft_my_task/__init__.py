"""The parser my-task: a time of day.

rft imports this module at every start, so it stays light.
"""

from collections.abc import Callable, Mapping

import rftcore as rft

from rft_my_task.parser import TimeOfDay


@rft.hookimpl
def rft_parsers() -> Mapping[str, Callable[..., TimeOfDay]]:
    """Offer the parser to rft by its name. The fields of the class are its options."""
    return {"my-task": TimeOfDay}
