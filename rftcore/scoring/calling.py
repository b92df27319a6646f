"""One reward call in this process, with a deadline where the system has a timer."""

from __future__ import annotations

import functools
import inspect
import time
import traceback
from collections.abc import Callable
from dataclasses import replace

from rftcore.deadlines import DeadlineExceeded, deadline
from rftcore.errors import Interrupt, SampleError, describe, place
from rftcore.scoring.outcomes import Called, Outcome, outcome_of
from rftcore.types import Reward, RewardInput

TRACEBACK_KEPT = 4000  # characters, of its end


def call(
    function: Reward, x: RewardInput, timeout_s: float, importing: Callable[[], None] = lambda: None
) -> Called:
    """Call a reward; whatever it does, except ending the process, becomes an `Outcome`.

    importing: called each time that the deadline has passed while the reward imports a module.
    """
    start = time.perf_counter()
    called = _call(function, x, timeout_s, importing)
    seconds = time.perf_counter() - start
    return replace(called, outcome=replace(called.outcome, seconds=seconds))


def _call(
    function: Reward, x: RewardInput, timeout_s: float, importing: Callable[[], None]
) -> Called:
    try:
        with deadline(timeout_s, importing=importing):
            output = function(x)
        return _returned(function, output)
    except DeadlineExceeded as error:
        at = place(error)
        note = f"no result within {timeout_s:g} s" + (f" ({at})" if at else "")
        return Called(Outcome("timeout", note=note), _traceback(error))
    except TimeoutError as error:  # the reward's own deadline
        return Called(Outcome("timeout", note=describe(error)), _traceback(error))
    except SampleError as error:
        return Called(Outcome("error", note=str(error)), bad_data=str(error), cause=error)
    except (KeyboardInterrupt, Interrupt):
        raise
    except BaseException as error:
        outcome = Outcome("error", note=describe(error), cause=_cause(error, place(error)))
        return Called(outcome, _traceback(error), cause=error)


def _returned(function: Reward, output: object) -> Called:
    """The outcome of a return value; for a bad one the note has where the reward is defined."""
    try:
        return Called(outcome_of(output))
    except (TypeError, ValueError) as error:
        defined = _defined_in(function)
        outcome = Outcome("error", note=describe(error) + defined, cause=_cause(error, defined))
        return Called(outcome, _traceback(error), cause=error)


def _cause(error: BaseException, where: str) -> str:
    """What failures of one cause share: their messages may differ with the completion."""
    return f"{type(error).__name__} {where}"


def _defined_in(function: Reward) -> str:
    """Where a reward is defined; "" if unknown."""
    plain: object = inspect.unwrap(function)
    while isinstance(plain, functools.partial):
        plain = plain.func
    code = getattr(plain, "__code__", None) or getattr(type(plain).__call__, "__code__", None)
    return f" (defined in {code.co_filename} line {code.co_firstlineno})" if code else ""


def _traceback(error: BaseException) -> str:
    """The end of the traceback, without the frame of this module."""
    ours = error.__traceback__
    below = ours.tb_next if ours is not None else None
    lines = traceback.format_exception(type(error), error, below or ours)
    return "".join(lines)[-TRACEBACK_KEPT:]
