"""`rft` in processes that are forked from one that has imported what training needs.

A process of its own can be stopped and killed. Started anew, it would import for six seconds.
"""

import atexit
import gc
import multiprocessing
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        *("rftcore.cli.train", "rftcore.cli.compare", "rftcore.pipeline.loop", "pytest"),
        *("rftcore.training.real_step", "rftcore.training.signal", "rftcore.pipeline.summary"),
        *("transformers.models.llava.modeling_llava", "transformers.models.clip.modeling_clip"),
        *(
            "transformers.models.qwen2.modeling_qwen2",
            "transformers.models.qwen2_vl.modeling_qwen2_vl",
            "rft_nano",
            "rftcore.builtin",
        ),
    ]
)
_running = []


class Command:
    """`rft ARGUMENTS` in a process of its own.

    stop: a signal that it gets at the end of a step: (SIGTERM, "sft", 3). variables: of its
    environment. file_limit: the bytes that a file may have.
    """

    def __init__(self, *arguments, stop=(), file_limit=0, **variables):
        self._folder = Path(tempfile.mkdtemp(prefix="rft-command-"))
        given = ([*map(str, arguments)], Path.cwd(), {**os.environ, **variables}, self._folder)
        self._process = _CONTEXT.Process(target=_run, args=(*given, stop, file_limit))
        self._process.start()
        _running.append(self)

    def kill_when(self, seen):
        """Wait until `seen()` is true, and kill it with its children."""
        while not seen():
            assert self._process.is_alive(), self.end()
            time.sleep(0.02)
        self.kill()
        self.end()

    def kill(self):
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self):
        """Its exit code once it has ended, and what it wrote to stdout and to stderr."""
        self._process.join()
        texts = [(self._folder / name).read_text() for name in ("stdout", "stderr")]
        shutil.rmtree(self._folder)
        _running.remove(self)
        return self._process.exitcode, *texts


def two_ranks(*arguments, **options):
    """The exit code of `rft ARGUMENTS` in two processes as torchrun starts them, and its texts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", **address, **options}
    ranks = [Command(*arguments, RANK=rank, LOCAL_RANK=rank, **common) for rank in "01"]
    codes, *texts = zip(*(rank.end() for rank in ranks), strict=True)
    return max(codes), *map("".join, texts)


def _run(arguments, place, environment, folder, stop, file_limit):
    os.setsid()
    os.chdir(place)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), descriptor)
    gc.freeze()
    if file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, resource.RLIM_INFINITY))
    if stop:
        _stop_at(*stop)
    sys.argv = ["rft", *arguments]
    from rftcore import cli

    cli.main()


def _stop_at(number, phase, step):
    from rftcore.training.callbacks import Progress

    plain = Progress.on_step_end

    def on_step_end(progress, args, state, control, **kwargs):
        if (progress.phase, state.global_step) == (phase, step):
            for process in (*psutil.Process().children(recursive=True), psutil.Process()):
                process.send_signal(number)
        plain(progress, args, state, control, **kwargs)

    Progress.on_step_end = on_step_end


@atexit.register
def _stop():
    """Leave no process of a test that failed."""
    for command in _running:
        command.kill()
