"""Tasks one part of which raises, ends Python, or returns something else than it should."""

from dataclasses import replace

from sound_task import Dots, rewarded, sampled, task

import rftcore as rft
from rftcore.rewards import exact
from rftcore.types import Parsed, Term


def boom(*_, **__):
    raise KeyError("entri")


def leave(*_, **__):
    raise SystemExit(0)


def returning(value):
    return lambda *_: value


def dataset(**changes):
    return task(dataset=type("Odd", (Dots,), changes)())


def parser(**changes):
    return task(parser=type("Odd", (rft.parsers.Integer,), changes)(0, 99))


ODD = {
    **{f"name is {value}": lambda value=value: task(name=value) for value in (5, None)},
    "summary": lambda: task(summary=5),
    "rewards in a list": lambda: task(rewards=["accuracy"]),
    "no rewards": lambda: task(rewards={}),
    "rewards without term": lambda: task(rewards={"accuracy": exact}),
    **{
        f"weight is {value!r}": lambda value=value: task(rewards={"accuracy": Term(exact, value)})
        for value in ("2", None, float("nan"), float("inf"), [1])
    },
    "splits raise": lambda: dataset(splits=property(boom)),
    "splits end Python": lambda: dataset(splits=property(leave)),
    **{
        f"splits are {value!r}": lambda value=value: dataset(splits=property(returning(value)))
        for value in (None, (), (1, 2), "val", {"val": 3}, 7)
    },
    "size raises": lambda: dataset(size=boom),
    "size ends Python": lambda: dataset(size=leave),
    **{
        f"size is {value!r}": lambda value=value: dataset(size=returning(value))
        for value in (None, -3, "3", 2.5, True)
    },
    "sample raises": lambda: dataset(sample=boom),
    "sample ends Python": lambda: dataset(sample=leave),
    **{
        f"sample is {value!r}": lambda value=value: dataset(sample=returning(value))
        for value in (None, "3", {"question": "?"})
    },
    **{
        f"{field} is {value!a}": lambda field=field, value=value: sampled(
            lambda sample, *_: replace(sample, **{field: value})
        )
        for field, value in [
            *(("id", 5), ("id", None), ("question", 5), ("question", None), ("question", "\ud800")),
            *(("gold", 5), ("gold", None), ("gold", "\udc00"), ("cot", 5), ("cot", "\ud800")),
            *(("images", [1]), ("images", None), ("images", ("a.png",)), ("images", 5)),
        ]
    },
    "image raises": lambda: sampled(
        lambda sample, *_: replace(sample, images=(rft.Image("key", boom),))
    ),
    "image of nothing": lambda: sampled(
        lambda sample, *_: replace(sample, images=(rft.Image("key", returning(None)),))
    ),
    "prompt raises": lambda: task(prompt=boom),
    "prompt ends Python": lambda: task(prompt=leave),
    **{
        f"prompt is {value!r}": lambda value=value: task(prompt=returning(value))
        for value in (None, "How many?", rft.Prompt(5), 5)
    },
    **{
        f"{method} {name}": lambda method=method, call=call: parser(**{method: call})
        for method in ("parse", "gold", "show")
        for name, call in [
            ("raises", boom),
            ("ends Python", leave),
            ("returns nothing", returning(None)),
            ("returns a number", returning(5)),
            ("returns an empty answer", returning(Parsed())),
        ]
    },
    **{
        f"reward {name}": lambda call=call: rewarded(call)
        for name, call in [
            ("raises", boom),
            ("ends Python", leave),
            ("returns text", returning("1")),
            ("returns a list", returning([1])),
            ("returns nan", returning(float("nan"))),
            ("takes nothing", lambda: 1),
        ]
    },
}


def odd(kind: str = "summary") -> rft.Task:
    """The sound task with one thing wrong."""
    return ODD[kind]()
