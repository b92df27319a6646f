"""Tasks one of whose rewards is at fault."""

import math
import random
import time

from sound_task import accurate, rewarded

from rftcore.errors import SampleError
from rftcore.rewards import exact, reward


def rewards_fast():
    def waiting(x):
        time.sleep(0.06)
        return exact(x)

    return rewarded(waiting)


def rewards_in_evaluation():
    @reward(uses=("tokens",))
    def short(x):
        return float(x.tokens < 50)

    return rewarded(short)


def rewards_in_training():
    @reward(uses=("tokens", "sibling_tokens"))
    def brevity(x):
        if x.tokens is None:
            return None
        group = [x.tokens, *x.sibling_tokens]
        return (max(group) - x.tokens) / (max(group) - min(group))

    return rewarded(brevity)


def rewards_total():
    return accurate(lambda x: float(abs(x.answer - x.gold) == 0))


def rewards_finite():
    return rewarded(lambda x: math.nan if x.answer is None else exact(x))


def rewards_in_range():
    return rewarded(lambda x: 2 * exact(x))


def rewards_deterministic():
    return rewarded(lambda x: random.random() * exact(x))


def rewards_stateless():
    seen = {}

    @reward(uses=("completion",))
    def remembered(x):
        return seen.setdefault(x.completion, exact(x))

    return accurate(remembered)


def rewards_same_in_other_process():
    return rewarded(lambda x: hash(f"dots {x.gold}") % 1000 / 1000)


def rewards_raise_on_faults():
    def hidden(x):
        try:
            return float(x.answer is not None and x.answer == x.gold)
        except Exception:
            return 0.0

    return accurate(hidden)


def rewards_keep_input():
    @reward(uses=("sample",))
    def emptied(x):
        x.sample.meta["dots"].clear()
        return exact(x)

    return rewarded(emptied)


def closer_earns_more():
    def near(x):
        return 0.0 if x.answer is None else {0: 1.0, 1: 0.2, 2: 0.5}.get(abs(x.answer - x.gold), 0)

    return rewarded(near)


def rewards_read_golds():
    def picky(x):
        if x.gold == 7:
            raise SampleError("the gold 7 cannot be read")
        return exact(x)

    return rewarded(picky)
