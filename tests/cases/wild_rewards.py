"""Rewards that misbehave, in a module that a worker process can import."""

import ctypes
import itertools
import os
import random
import re
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

from rftcore import rewards
from rftcore.types import RewardResult

slow = rewards.reward(slow=True)


@slow
def right(x):
    return float(x.answer == x.gold)


@slow
def raises(x):
    raise KeyError("gone")


@slow
def raises_at_random(x):
    if random.Random(x.answer + 1).random() < 0.5:  # by the answer: 6 is unlucky, 5 is not
        raise ValueError("bad luck")
    return 1.0


@slow
def sleeps(x):
    time.sleep(3600)


@slow
def no_number(x):
    return float("nan")


@slow
def kills_its_process(x):
    os._exit(7)


@slow
def starts_a_process_and_crashes(x):
    started = subprocess.Popen(["sleep", "600"])
    Path(os.environ["WHERE"]).write_text(str(started.pid))
    ctypes.string_at(0)


@slow
def crashes(x):
    ctypes.string_at(0)


@slow
def never_returns_to_python(x):
    return float(sum(itertools.repeat(0)))  # a loop in C: no signal is handled


@slow
def shows_where_and_never_returns(x):
    Path(os.environ["WHERE"]).write_text(str(os.getpid()))
    return never_returns_to_python(x)


@slow
def runs_away(x):
    return float(re.fullmatch("(a|aa)+b", "a" * 60) is not None)


def imports_first(x):
    import slow_import

    return float(slow_import.READY)


@slow
def imports_in_a_worker(x):
    return imports_first(x)


@slow
def says_where(x):
    return RewardResult(1.0, str(os.getpid()))


def quickly_says_where(x):
    return RewardResult(1.0, str(os.getpid()))


def endless(x):
    while True:
        pass


@slow
def waits_by_answer(x):
    time.sleep(0.05 * (9 - x.answer))
    return RewardResult(1.0, str(x.answer))


@slow
def offset_by(x, /, *, by):
    return RewardResult(x.answer + by, str(os.getpid()))


offset = partial(offset_by, by=2)


@rewards.reward(uses=("sample",), slow=True)
def looks(x):
    sizes = [len(image.read()) for image in x.sample.images]
    return RewardResult(1.0, f"{sizes} {x.sample.meta['colours']['red']}")


@slow
def terminated_at_work(x):
    """What a batch system does to every process of a run, in the middle of a call."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.2)
    return 1.0
