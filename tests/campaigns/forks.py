"""Commands of rft in processes of their own that start in milliseconds: forked, not spawned.

A server process imports what the commands need, once, and runs nothing itself: no thread and no
model is there that a fork could break. Each child is a session of its own, so that it can be
killed with all that it has started.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.campaigns.frame import root

LIGHT = ("rftcore.cli", "rftcore.plugins", "rftcore.config", "rftcore.cli.plugins")
TRAINING = (
    *LIGHT,
    *("torch", "transformers", "trl", "rftcore.training.sft", "rftcore.training.grpo"),
    *("rftcore.pipeline.loop", "rftcore.cli.train", "rftcore.reports.writing", "rft_nano"),
    *("rftcore.models.loading", "rftcore.training.checkpoints", "rftcore.cli.evaluate"),
)
PR_SET_PDEATHSIG = 1  # of prctl
LATE = 124  # the code of a command that was killed at its deadline, as of `timeout`


@dataclass(frozen=True)
class At:
    """What happens at a write: of the `number`-th below `folder`.

    error: it fails with this number, and those after it too if that is `lasting`. signal: the
    process gets it, `delay_ms` later. Lasting without error or signal: the disk is slow, and every
    write waits for `delay_ms`. A number of 0 counts writes only (`Ended.writes`).
    """

    folder: Path
    number: int = 0
    error: int = 0
    signal: int = 0
    lasting: bool = False
    delay_ms: int = 0


@dataclass(frozen=True)
class Ended:
    """A command that has ended. code: as a shell reports it, so 128 + N for signal N."""

    code: int
    out: str
    err: str
    writes: int = 0

    def __str__(self) -> str:
        return f"exit code {self.code}: {(self.out + self.err)[-1500:]}"


class Running:
    """A command that runs; its output goes to files in `folder`."""

    def __init__(self, server: Server, pid: int, folder: Path) -> None:
        self._server, self.pid, self._folder = server, pid, folder

    def send(self, number: int, *, all_of_it: bool = False) -> None:
        """Send a signal to the process, or to all of its session."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number) if all_of_it else os.kill(self.pid, number)

    def ended(self) -> bool:
        """Whether it has ended."""
        return bool(self._server.ask("ended", pid=self.pid))

    def end(self, seconds: float = 300.0) -> Ended:
        """Wait for it; kill it after that many seconds."""
        code = self._server.ask("wait", pid=self.pid, seconds=seconds)
        if code is None:
            self.send(signal.SIGKILL, all_of_it=True)
            self._server.ask("wait", pid=self.pid, seconds=60.0)
            code = LATE
        texts = ((self._folder / name).read_text(errors="replace") for name in ("out", "err"))
        seen = self._folder / "writes"
        return Ended(code, *texts, int(seen.read_text()) if seen.exists() else 0)


def left_over(running: Running) -> str:
    """Processes of a run that live on after its end, in its session."""
    import psutil

    for _ in range(100):
        alive = [process for process in psutil.process_iter() if _of(process, running.pid)]
        if not alive:
            return ""
        time.sleep(0.1)
    return f"processes are left: {alive!r:.500}"


def _of(process: Any, session: int) -> bool:
    import psutil

    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


class Server:
    """Starts commands. modules: what they need, imported before the first one.

    preload: a library for all its processes (LD_PRELOAD). path: folders of plugins.
    """

    def __init__(
        self, modules: Sequence[str] = LIGHT, *, preload: Path | None = None, path: str = ""
    ) -> None:
        known = os.environ.get("PYTHONPATH", "")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (path, known)))}
        environment |= {"LD_PRELOAD": str(preload)} if preload else {}
        environment |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.campaigns.forks", *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=root(),
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def start(
        self,
        *arguments: object,
        within: Path,
        env: Mapping[str, str] | None = None,
        at: At | None = None,
    ) -> Running:
        """Start `rft ARGUMENTS` in a folder, which gets its output as `.rft/out` and `.rft/err`.

        at: with the preload of `library`, what happens at a write.
        """
        output = within / ".rft"
        output.mkdir(exist_ok=True)
        pid = self.ask(
            "start",
            arguments=list(map(str, arguments)),
            within=str(within.absolute()),
            env=dict(env or {}),
            at={**asdict(at), "folder": str(at.folder.absolute())} if at else None,
        )
        return Running(self, pid, output)

    def run(self, *arguments: object, within: Path, seconds: float = 300.0, **more: Any) -> Ended:
        """Start a command and wait for it."""
        return self.start(*arguments, within=within, **more).end(seconds)

    def ask(self, what: str, **values: Any) -> Any:
        """A request to the server process, and its answer."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"what": what, **values}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server of forks has ended with {self._process.poll()}")
        return json.loads(line)


def library(folder: Path) -> Path | None:
    """The preload that counts writes (writes.c); None without a C compiler or on other systems."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return None
    made, source = folder / "writes.so", Path(__file__).with_name("writes.c")
    command = [compiler, "-shared", "-fPIC", "-o", str(made), str(source), "-ldl", "-lpthread"]
    subprocess.run(command, check=True)
    return made


# --- the server process ---


def serve(modules: Sequence[str]) -> None:
    """Answer requests until standard input ends."""
    _end_with_parent()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an import prints is no answer
    for module in modules:
        import_module(module)
    codes: dict[int, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        what = request.pop("what")
        if what == "start":
            answer = _start(**request)
        else:
            answer = _wait(codes, **request)
            answer = answer is not None if what == "ended" else answer
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _start(
    arguments: list[str], within: str, env: dict[str, str], at: dict[str, Any] | None
) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _end_with_parent()
        os.setsid()
        # A shell ignores SIGINT for what it starts in the background: not for these commands.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(within)
        for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, "out", 0), (2, "err", 0)):
            path = name if name == os.devnull else f".rft/{name}"
            os.dup2(os.open(path, flags or os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
        os.environ.update(env)
        random.seed(0)  # a fork has seeded it anew
        invalidate_caches()  # files may have been installed since the server has started
        sys.argv = ["rft", *arguments]
        if at:
            numbers = (at[name] for name in ("number", "error", "signal", "lasting", "delay_ms"))
            ctypes.CDLL(None).rft_fail(*numbers, at["folder"].encode())
        code = _rft(arguments)
    finally:
        if at:
            Path(within, ".rft", "writes").write_text(str(ctypes.CDLL(None).rft_seen()))
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _end_with_parent() -> None:
    """Let the system kill this process when its parent ends, so an aborted test leaves none."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _rft(arguments: list[str]) -> int:
    import atexit
    import traceback

    from rftcore import cli

    try:
        cli.main(arguments)
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(bool(left.code))
    except BaseException:
        traceback.print_exc()
        code = 1
    else:
        code = 0
    atexit._run_exitfuncs()
    return code


def _wait(codes: dict[int, int], pid: int, seconds: float = 0.0) -> int | None:
    end = time.monotonic() + seconds
    while pid not in codes:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            codes[pid] = code if code >= 0 else 128 - code
        elif time.monotonic() >= end:
            return None
        else:
            time.sleep(0.01)
    return codes[pid]


if __name__ == "__main__":
    serve(sys.argv[1:])
