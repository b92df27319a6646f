"""Symbolic equality by math-verify, in a worker process that ends at its deadline.

math-verify is optional: `pip install 'rftcore[math]'`. It is never imported here,
so a reward that needs no algebra costs none.
"""

import atexit
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rftcore.errors import PluginError, RewardError, SampleError
from rftcore.rewards import notation

DEADLINE_S = 5.0  # of computing; math-verify's own, there by the clock
_WORKER = Path(__file__).with_name("math_worker.py")


def require() -> None:
    """Raise `PluginError` with the command to type if math-verify is not installed."""
    if importlib.util.find_spec("math_verify") is None:
        raise PluginError(
            "symbolic equality needs math-verify, which is not installed: "
            "pip install 'rftcore[math]'"
        )


def accepts(gold: str, answer: str) -> bool:
    """Whether math-verify, with its defaults, finds expressions in both texts that agree.

    It takes the last number or formula of a text, and is not symmetric.
    Raises: as `same_expression`, but never SampleError.
    """
    return bool(_WORKERS.ask("accepts", gold, answer, (gold, answer))["same"])


def same_expression(gold: str, answer: str) -> bool:
    """Whether two texts, each one answer in LaTeX or plain notation, are equal.

    Values are compared with their units, words as text, lists part by part: docs/scoring.md
    has a table. A text that cannot be read is equal to nothing.
    Raises: SampleError for such a gold, TimeoutError after `DEADLINE_S`, PluginError
    without math-verify, RewardError if the comparison itself breaks.
    """
    try:
        wanted = notation.read(gold)
    except notation.UnreadableError as reason:
        raise SampleError(f"gold {gold!r} is no answer that can be compared: {reason}") from None
    try:
        given = notation.read(answer)
    except notation.UnreadableError:
        return False
    if wanted == given and not _is_algebra(wanted):
        return True
    verdict = _WORKERS.ask("same_expression", wanted, given, (gold, answer))
    if "unreadable" in verdict:
        raise SampleError(f"gold {gold!r} is no expression that can be read")
    return bool(verdict["same"])


def gold_fault(gold: str) -> str | None:
    """Why no answer can be compared with this gold, or None.

    Raises: PluginError without math-verify.
    """
    try:
        same_expression(gold, gold)
    except (SampleError, RewardError, TimeoutError) as error:
        reason = str(error).replace(f"gold {gold!r} ", "it ", 1)
        return f"{reason}; write it as one expression, list or text, or use the reward exact"
    return None


def _is_algebra(part: notation.Part) -> bool:
    """Whether it takes algebra to know that a part can be read."""
    if "parts" in part:
        return any(map(_is_algebra, part["parts"]))
    return part["kind"] == "value" and "latex" in part


class _Workers:
    """At most one idle process, started when first asked, and again after it was ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: subprocess.Popen[str] | None = None

    def ask(self, kind: str, gold: Any, answer: Any, texts: tuple[str, str]) -> dict[str, Any]:
        """The worker's reply to one question; `texts` are for its errors."""
        question = {"kind": kind, "gold": gold, "answer": answer, "deadline_s": DEADLINE_S}
        with self._lock:
            process, self._idle = self._idle or _started(), None
            try:
                reply = _reply(process, question, texts)
            except BaseException:  # an alarm of scoring too: nobody waits for its answer now
                _end(process)
                raise
            self._idle = process
        if "error" in reply:
            raise RewardError(f"algebra on {texts[0]!r} and {texts[1]!r}: {reply['error']}")
        return reply

    def close(self) -> None:
        """End the idle process."""
        process, self._idle = self._idle, None
        if process is not None:
            _end(process)


def _started() -> "subprocess.Popen[str]":
    require()
    with _others_alarms_wait():
        process = subprocess.Popen(
            [sys.executable, "-P", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        try:
            _read(process, "to start")
        except BaseException:
            _end(process)
            raise
    return process


def _reply(
    process: "subprocess.Popen[str]", question: dict[str, Any], texts: tuple[str, str]
) -> dict[str, Any]:
    with suppress(BrokenPipeError):  # it ended since: reading says why
        print(json.dumps(question), file=process.stdin, flush=True)
    return _read(process, f"to compare {texts[0]!r} and {texts[1]!r}")


def _read(process: "subprocess.Popen[str]", what: str) -> dict[str, Any]:
    line = process.stdout.readline() if process.stdout else ""
    if line:
        reply: dict[str, Any] = json.loads(line)
        return reply
    code = process.wait()
    if code == -signal.SIGPROF:
        raise TimeoutError(f"math-verify had no time left {what}")
    raise RewardError(f"math-verify's process ended with code {code} when asked {what}")


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


@contextmanager
def _others_alarms_wait() -> Iterator[None]:
    """Stop the clock of a deadline around us: starting up is no fault of a completion."""
    if threading.current_thread() is not threading.main_thread():
        yield  # the clock is not ours
        return
    left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        if left:
            signal.setitimer(signal.ITIMER_REAL, left, interval)


_WORKERS = _Workers()


def _start_afresh() -> None:
    """A forked child must not talk to its parent's worker."""
    global _WORKERS
    _WORKERS = _Workers()


os.register_at_fork(after_in_child=_start_afresh)
atexit.register(lambda: _WORKERS.close())
