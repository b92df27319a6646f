"""Plugins that are broken, each in one way, and what rft has to make of it.

A module offers the task `bad` unless its code replaces that. `MARK` marks the line of a hook.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Expected = Literal["broken", "use", "changed", "works", "doctor", "scored"]
NAME, VERSION = "rft-bad", "1.2"


@dataclass(frozen=True)
class Broken:
    """A plugin. expected: what has to be seen, beside a healthy plugin that still works.

    "broken": `rft plugins list` names it with `reason`. "use": its task is an error that names it.
    "changed": it works, and a warning names what it changed. "works": nothing is wrong. "doctor":
    it ends the process, so that only `rft plugins doctor` can name it. "scored": its reward fails
    on the answer 2 with `reason` (or not at all, if there is none), and gives 1 and 3 their value.
    """

    code: str
    expected: Expected
    reason: str = ""
    files: Mapping[str, str] = field(default_factory=dict)  # beside its module
    metadata: str = ""  # further lines
    written: Mapping[str, str] = field(default_factory=dict)  # in place of its metadata's files


SOUND = """
import rftcore as rft

class Numbers:
    splits = ("sft", "rl", "val", "test")
    def size(self, split):
        return 5
    def sample(self, split, index):
        if not 0 <= index < 5:
            raise IndexError(index)
        return rft.Sample(f"{split}-{index}", f"Say {index}.", str(index), cot=f"It is {index}.")

def task():
    return rft.Task(
        name="bad", dataset=Numbers(), prompt=rft.prompts.think_then_answer("One number."),
        parser=rft.parsers.Integer(0, 9), rewards={"accuracy": rft.Term(rft.rewards.exact)},
        summary="Bad.",
    )

@rft.hookimpl
def rft_tasks():
    return {"bad": task}
"""
HANG = "import time\ntime.sleep(600)\n"
# A hang that swallows every exception, and one that computes.
STUBBORN = "import time\nfor _ in range(2):\n    try:\n        time.sleep(600)\n    except: pass\n"
BUSY = "while True:\n    pass\n"
CRASH = "import ctypes\nctypes.string_at(0)\n"
RAISES = {
    "KeyError": "{}['entri']",
    "ImportError": "import no_such_module",
    "SyntaxError": "def (",
    "RecursionError": "f = lambda: f()\nf()",
    "MemoryError": "raise MemoryError",
    "SystemExit": "raise SystemExit(0)",
    "exit()": "exit()",
    "GeneratorExit": "raise GeneratorExit",
    "StopIteration": "next(iter(()))",
    "BaseException": "raise BaseException('panic')",
    "an empty exception": "raise type('Odd', (Exception,), {})()",
    "an exception that cannot be shown": (
        "raise type('Odd', (Exception,), {'__str__': lambda s: 1 / 0})()"
    ),
    "an exception of 1 MB": "raise ValueError('x' * 1_000_000)",
    "an exception of many lines": "raise ValueError('a\\nb\\n' * 99)",
    "an exception group": "raise ExceptionGroup('many', [ValueError(1), KeyError(2)])",
    "a warning as an error": "import warnings\nwarnings.simplefilter('error')\nwarnings.warn('x')",
}
# What an import changes for everybody, and what a warning calls it.
CHANGES = {
    "os.chdir('/')": "the working folder",
    "os.umask(0)": "the umask",
    "locale.setlocale(locale.LC_ALL, 'C')": "the locale",
    "random.seed(7)": "the state of random",
    "signal.signal(signal.SIGINT, signal.SIG_IGN)": "signal handlers",
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)": "signal handlers",
    "signal.signal(signal.SIGCHLD, signal.SIG_IGN)": "signal handlers",
    "sys.stderr = open(os.devnull, 'w')": "the standard streams",
    "sys.stdin = None": "the standard streams",
    "logging.disable(logging.CRITICAL)": "what logging shows",
    "logging.basicConfig(level=logging.DEBUG, force=True)": "what logging shows",
    "warnings.simplefilter('error')": "the warning filters",
    "warnings.simplefilter('ignore')": "the warning filters",
    "sys.setrecursionlimit(99)": "the recursion limit",
    "sys.excepthook = lambda *error: None": "sys.excepthook",
    "gc.disable()": "garbage collection",
}
MODULES = "import gc, locale, logging, os, random, signal, sys, warnings\n"
PRINTS = {
    "print('hello {')": "text on standard output",
    "sys.stdout.write('x' * 100_000)": "100 kB on standard output",
    "print('hello', file=sys.stderr)": "text on standard error",
}


def hook(name: str, value: str) -> str:
    """A hook whose body is one expression."""
    return f"\n@rft.hookimpl\ndef {name}():\n    return {value}\n"


def offering(value: str) -> str:
    """The sound plugin, whose hook returns something else."""
    return SOUND.replace('{"bad": task}', value)


def making(body: str) -> str:
    """The sound plugin, whose factory does something else."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return SOUND.replace("def task():\n", f"def task():\n{lines}")


def changed(old: str, new: str) -> str:
    """The sound plugin with one piece replaced."""
    assert old in SOUND
    return SOUND.replace(old, new)


# What a reward does on one answer, in a worker, and the reason of its failure.
REWARDS = {
    "a crash in C": (CRASH, "signal SIGSEGV"),
    "os._exit": ("import os\nos._exit(3)", "code 3"),
    "os.abort": ("import os\nos.abort()", "signal SIGABRT"),
    "SIGKILL": ("import os\nos.kill(os.getpid(), 9)", "signal SIGKILL"),
    "a hang": ("import time\ntime.sleep(600)", "no result within"),
    "a hang that swallows exceptions": (STUBBORN.replace("range(2)", "range(99)"), "killed"),
    "a busy loop": (BUSY, "no result within"),
    "a pattern that never returns": (
        "import re\nre.match('(a+)+$', 'a' * 64 + 'b')",
        "no result within",
    ),
    "a child and a crash": (
        f"import subprocess\nsubprocess.Popen(['sleep', '600'])\n{CRASH}",
        "signal SIGSEGV",
    ),
    "100 TB": ("bytearray(10**14)", "MemoryError"),
    "a stack without end": (
        "import sys\nsys.setrecursionlimit(10**9)\nf = lambda n: f(n + 1)\nf(0)",
        "its process",
    ),
    "closed files": ("import os\nos.closerange(0, 100)", "its process ended with"),
    "1 MB on standard output": ("print('x' * 10**6)", ""),
    "1 MB past Python's standard output": ("import os\nos.write(1, b'x' * 10**6)", ""),
    "a text": ("return 'yes'", "str"),
    "NaN": ("return float('nan')", "not finite"),
    "another working folder": ("import os\nos.chdir('/')", ""),
    "signals that are ignored": (
        "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nimport time\ntime.sleep(9)",
        "killed",
    ),
    **{
        name: (RAISES[name], reason)
        for name, reason in (
            ("KeyError", "KeyError"),
            ("RecursionError", "RecursionError"),
            ("SystemExit", "SystemExit"),
            ("BaseException", "BaseException"),
            ("an exception that cannot be shown", "Odd"),
            ("an exception of 1 MB", "ValueError"),
        )
    },
}


def rewarding(body: str) -> str:
    """The sound plugin, whose reward does something else on the answer 2."""
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    return changed("rft.rewards.exact", "right") + (
        "\n@rft.rewards.reward\ndef right(x):\n    if x.answer == 2:\n"
        f"{lines}    return float(x.answer == x.gold)\n"
    )


VALUES = (
    "None",
    "5",
    "'bad'",
    "['bad']",
    "{5: task}",
    "{'': task}",
    "{'a b': task}",
    "{None: task}",
)
PLUGINS: dict[str, Broken] = {
    **{f"{n} at import": Broken(f"{code}\n{SOUND}", "broken") for n, code in RAISES.items()},
    "an interrupt of its own": Broken(f"raise KeyboardInterrupt\n{SOUND}", "doctor"),
    **{
        f"{n} in its hook": Broken(
            offering("{'bad': task}").replace(
                "def rft_tasks():\n",
                "def rft_tasks():\n" + "".join(f"    {line}\n" for line in code.splitlines()),
            ),
            "broken",
        )
        for n, code in RAISES.items()
        if n not in ("SyntaxError",)
    },
    **{
        f"{n} in its factory": Broken(making(code), "use")
        for n, code in RAISES.items()
        if n not in ("SyntaxError",)
    },
    "a hang at import": Broken(HANG + SOUND, "broken", "no end within"),
    "a busy loop at import": Broken(BUSY + SOUND, "broken", "no end within"),
    "a hang at import that swallows exceptions": Broken(STUBBORN + SOUND, "broken"),
    "a hang in its hook": Broken(
        SOUND.replace("def rft_tasks():\n", "def rft_tasks():\n    import time; time.sleep(600)\n"),
        "broken",
        "no end within",
    ),
    "os._exit at import": Broken(f"import os\nos._exit(0)\n{SOUND}", "doctor"),
    "SIGKILL at import": Broken(f"import os\nos.kill(os.getpid(), 9)\n{SOUND}", "doctor"),
    "a crash in C at import": Broken(CRASH + SOUND, "doctor"),
    **{
        f"{what} at import": Broken(f"import sys\n{code}\n{SOUND}", "works")
        for code, what in PRINTS.items()
    },
    "text on standard output in its hook": Broken(
        SOUND.replace("def rft_tasks():\n", "def rft_tasks():\n    print('hello {')\n"), "works"
    ),
    "text on standard output in its factory": Broken(making("print('hello {')"), "works"),
    **{
        f"{code} at import": Broken(f"{MODULES}{code}\n{SOUND}", "changed", what)
        for code, what in CHANGES.items()
    },
    "a change, and then an exception": Broken(f"{MODULES}os.chdir('/')\n1/0", "broken"),
    "a thread that never ends": Broken(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True)"
        f".start()\n{SOUND}",
        "works",
    ),
    "an alarm of its own": Broken(f"import signal\nsignal.alarm(0)\n{SOUND}", "works"),
    **{f"{value} for its tasks": Broken(offering(value), "broken") for value in VALUES},
    **{
        f"{value} for its factory": Broken(offering(f"{{'bad': {value}}}"), "use")
        for value in ("None", "5", "rft")
    },
    **{
        f"a factory that returns {value}": Broken(making(f"return {value}"), "use")
        for value in ("None", "5", "'bad'", "{}", "rft.Task", "Numbers()")
    },
    **{
        f"a task whose {old} is {new}": Broken(changed(f"{old}={was}", f"{old}={new}"), "use")
        for old, was, new in (
            ("name", '"bad"', "5"),
            ("summary", '"Bad."', "None"),
            ("dataset", "Numbers()", "5"),
            ("dataset", "Numbers()", "Numbers"),
            ("dataset", "Numbers()", "'no-such'"),
            ("parser", "rft.parsers.Integer(0, 9)", "rft.parsers.Integer"),
            ("parser", "rft.parsers.Integer(0, 9)", "'no-such'"),
            ("rewards", '{"accuracy": rft.Term(rft.rewards.exact)}', "{}"),
            ("rewards", '{"accuracy": rft.Term(rft.rewards.exact)}', "[1]"),
            ("rewards", '{"accuracy": rft.Term(rft.rewards.exact)}', '{"accuracy": 1}'),
        )
    },
    "a factory that needs an option": Broken(changed("def task():", "def task(size):"), "works"),
    "a hook without its marker": Broken(changed("@rft.hookimpl\n", ""), "broken", "not marked"),
    "a misspelled hook": Broken(changed("rft_tasks", "rft_taks"), "broken", "Did you mean"),
    "a hook with other arguments": Broken(changed("rft_tasks():", "rft_tasks(color):"), "broken"),
    "a hook that is a generator": Broken(
        offering("{'bad': task}").replace("return {'bad'", "yield {'bad'"), "broken"
    ),
    "a hook that is a coroutine": Broken(changed("def rft_tasks", "async def rft_tasks"), "broken"),
    "a hook wrapper": Broken(
        SOUND.replace("@rft.hookimpl", "@rft.hookimpl(wrapper=True)").replace(
            'return {"bad"', 'yield {"bad"'
        ),
        "broken",
        "wrapper",
    ),
    "half of it registered": Broken(
        SOUND + "\n@rft.hookimpl\ndef rft_phase_start(phase, colour):\n    pass\n", "broken"
    ),
    "half of it offered": Broken(SOUND + hook("rft_models", "1 / 0"), "broken", "ZeroDivision"),
    **{
        f"{value} for its commands": Broken(SOUND + hook("rft_commands", value), "broken")
        for value in ("5", "[5]", "None", "{}[1]", "[lambda: 1]")
    },
    "a command of the core's name": Broken(
        SOUND + hook("rft_commands", "[__import__('click').Command('train')]"), "works"
    ),
    **{
        f"{value} for its {kind}": Broken(SOUND + hook(f"rft_{kind}", value), "broken")
        for kind in ("rewards", "parsers", "datasets", "models", "suites")
        for value in ("7", "{1: 2}")
    },
    "the name of another's task": Broken(
        changed('{"bad": task}', '{"bad": task, "healthy": task}'), "works"
    ),
    "the name of a first-party task": Broken(
        changed('{"bad": task}', '{"bad": task, "counting": task}'), "works"
    ),
    "a circular import": Broken(
        "from rft_bad_other import thing\n" + SOUND,
        "broken",
        "circular",
        files={"rft_bad_other.py": "from rft_bad import task\nthing = 1\n"},
    ),
    "a module named like the standard library's": Broken(
        SOUND, "works", files={"json_.py": "1/0", "this.py": "1/0"}
    ),
    "a module that hides a library": Broken(
        f"import rft_bad_lib\n{SOUND}",
        "broken",
        files={"rft_bad_lib.py": "import click\nclick.nothing\n"},
    ),
    "another version of the core": Broken(SOUND, "doctor", metadata="Requires-Dist: rftcore>=99\n"),
    "a task for another version of the core": Broken(
        SOUND, "changed", "needs rftcore>=99", metadata="Requires-Dist: rftcore>=99\n"
    ),
    "a missing requirement": Broken(SOUND, "doctor", metadata="Requires-Dist: no-such-thing-xyz\n"),
    "a requirement that cannot be read": Broken(SOUND, "doctor", metadata="Requires-Dist: ???\n"),
    "another Python": Broken(SOUND, "doctor", metadata="Requires-Python: >=99\n"),
    **{
        f"a reward: {what}": Broken(rewarding(code), "scored", reason)
        for what, (code, reason) in REWARDS.items()
    },
    **{
        f"an entry point: {value or 'nothing'}": Broken(
            SOUND, "broken", reason, written={"entry_points.txt": f"[rft]\nrft_bad = {value}\n"}
        )
        for value, reason in (
            ("rft-bad", "Did you mean 'rft_bad'"),
            ("", "names no module"),
            ("my tasks", "names no module"),
            ("rft_bda", "No module named"),
            ("rft_bad:thing", "no attribute 'thing'"),
            ("rft_b\xe4d", "not UTF-8"),
        )
    },
    "an entry point: extras": Broken(
        SOUND, "works", written={"entry_points.txt": "[rft]\nrft_bad = rft_bad [extra]\n"}
    ),
    "an entry point without =": Broken(
        SOUND, "broken", "NAME = MODULE", written={"entry_points.txt": "[rft]\nrft_bad\n"}
    ),
    **{
        f"metadata: {text!r}": Broken(SOUND, "works", written={"METADATA": text})
        for text in ("", f"Name: {NAME}\n", f"Version: {VERSION}\n", f"Name: {NAME}\n\n\xe4")
    },
    "null bytes": Broken("\0" + SOUND, "broken"),
    "another encoding": Broken("# coding: no-such-encoding\n" + SOUND, "broken"),
    "a module that replaces itself": Broken(
        f"import sys\n{SOUND}\nsys.modules[__name__] = None\n", "broken"
    ),
    "a module that deletes itself": Broken(
        f"import sys\n{SOUND}\ndel sys.modules[__name__]\n", "broken"
    ),
    "attributes that raise": Broken(
        SOUND + "\ndef __dir__():\n    raise KeyError('dir')\n", "broken"
    ),
}
