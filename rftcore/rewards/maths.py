"""Symbolic equality by math-verify, in a worker process that is killed at its deadline.

math-verify is optional: `pip install 'rftcore[math]'`. Only the worker imports it, so
rewards without algebra do not pay for the import.
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

DEADLINE_S = 5.0  # CPU time per comparison; math-verify's default, there in wall time
# Run by the worker; it finds rft where this process has found it.
_WORKER = f"""
import sys
sys.path.append({str(Path(__file__).parents[2])!r})
from rftcore.rewards.algebra.worker import main
main()
"""


def require() -> None:
    """Check that math-verify is installed.

    Raises: PluginError with the command that installs it.
    """
    if importlib.util.find_spec("math_verify") is None:
        raise PluginError(
            "symbolic equality needs math-verify, which is not installed: "
            "pip install 'rftcore[math]'"
        )


def accepts(gold: str, answer: str) -> bool:
    """Whether math-verify, with its defaults, finds equal expressions in both texts.

    It uses the last number or formula of a text, and is not symmetric.
    Raises: as `same_expression`, except SampleError.
    """
    return bool(_WORKERS.request("accepts", gold, answer, (gold, answer))["same"])


def same_expression(gold: str, answer: str) -> bool:
    """Whether two texts, each one answer in LaTeX or plain notation, are equal.

    Values are compared with their units, words as text, lists part by part: docs/scoring.md
    has a table. An answer that cannot be read equals nothing.
    Raises: SampleError for a gold that cannot be read, TimeoutError after `DEADLINE_S`,
    PluginError without math-verify, RewardError if the worker fails.
    """
    try:
        wanted = notation.read(gold)
    except notation.UnreadableError as reason:
        raise SampleError(f"gold {gold!r} cannot be compared: {reason}") from None
    try:
        given = notation.read(answer)
    except notation.UnreadableError:
        return False
    if wanted == given and not _is_algebra(wanted):
        return True
    verdict = _WORKERS.request("same_expression", wanted, given, (gold, answer))
    if "unreadable" in verdict:
        raise SampleError(f"gold {gold!r} cannot be read as an expression")
    return bool(verdict["same"])


def gold_fault(gold: str) -> str | None:
    """The reason why no answer can be compared with this gold, or None.

    Raises: PluginError without math-verify.
    """
    try:
        same_expression(gold, gold)
    except (SampleError, RewardError, TimeoutError) as error:
        reason = str(error).replace(f"gold {gold!r} ", "it ", 1)
        return f"{reason}; write it as one expression, list or text, or use the reward exact"
    return None


def _is_algebra(part: notation.Part) -> bool:
    """Whether only the worker can decide if a part is an expression."""
    if "parts" in part:
        return any(map(_is_algebra, part["parts"]))
    return part["kind"] == "value" and "latex" in part


class _Workers:
    """At most one idle worker process, started at the first request and again after it ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: subprocess.Popen[str] | None = None

    def request(self, kind: str, gold: Any, answer: Any, texts: tuple[str, str]) -> dict[str, Any]:
        """The worker's reply to one comparison; `texts` are shown in errors."""
        request = {"kind": kind, "gold": gold, "answer": answer, "deadline_s": DEADLINE_S}
        with self._lock:
            process, self._idle = self._idle or _started(), None
            try:
                reply = _reply(process, request, texts)
            except BaseException:  # also a deadline of scoring: never read a late reply
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
    with _outer_deadline_paused():
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _WORKER],
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
    process: "subprocess.Popen[str]", request: dict[str, Any], texts: tuple[str, str]
) -> dict[str, Any]:
    with suppress(BrokenPipeError):  # the process has ended: _read reports why
        print(json.dumps(request), file=process.stdin, flush=True)
    return _read(process, f"to compare {texts[0]!r} and {texts[1]!r}")


def _read(process: "subprocess.Popen[str]", what: str) -> dict[str, Any]:
    line = process.stdout.readline() if process.stdout else ""
    if line:
        reply: dict[str, Any] = json.loads(line)
        return reply
    code = process.wait()
    if code == -signal.SIGPROF:
        raise TimeoutError(f"math-verify exceeded its deadline {what}")
    raise RewardError(f"math-verify's process ended with exit code {code} when it had {what}")


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


@contextmanager
def _outer_deadline_paused() -> Iterator[None]:
    """Pause the caller's deadline: a completion is not charged for starting a process."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread has a deadline by signal
        return
    left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        if left:
            signal.setitimer(signal.ITIMER_REAL, left, interval)


_WORKERS = _Workers()


def _forget_parents_worker() -> None:
    """A forked child must not write to its parent's worker."""
    global _WORKERS
    _WORKERS = _Workers()


os.register_at_fork(after_in_child=_forget_parents_worker)
atexit.register(lambda: _WORKERS.close())
