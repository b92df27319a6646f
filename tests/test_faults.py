"""What users, disks and plugins do wrong: one message and exit code 2, never a traceback."""

import errno
import os
import subprocess
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import Result

import rftcore
from rftcore import cli
from rftcore.cache import keeping
from rftcore.errors import CacheError
from rftcore.images import ImageCache
from tests.commands import rft

FULL = Path("/dev/full")
RFT = (sys.executable, "-m", "rftcore.cli")


def message(done: Result) -> str:
    """The one line that a failed command prints."""
    assert done.exit_code == 2, done.exception
    [line] = done.stderr.splitlines()
    return line


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch):
    """A command of the core that raises what it is given."""

    def put(error: BaseException) -> Result:
        @click.command()
        def command() -> None:
            raise error

        monkeypatch.setattr(cli, "_plugin_commands", lambda: {"fail": command})
        return rft("fail")

    return put


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EIO, errno.ENAMETOOLONG])
def test_a_fault_of_the_disk_is_one_line_with_its_path(number: int, failing):
    line = message(failing(OSError(number, os.strerror(number), "/some/file")))

    assert line == f"error: /some/file: {os.strerror(number)}"


def test_a_fault_of_the_disk_in_the_cache_folder_names_its_variable(failing, monkeypatch):
    monkeypatch.setenv("RFT_CACHE", "/some")

    assert "RFT_CACHE=/some" in message(failing(OSError(errno.EROFS, "read-only", "/some/file")))


def test_a_full_disk_without_a_path_names_the_folders_without_room(failing, monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "NO_ROOM", float("inf"))
    monkeypatch.chdir(tmp_path)

    line = message(failing(OSError(errno.ENOSPC, "No space left on device")))
    assert f"the working folder, {tmp_path}, has no room" in line


def test_an_exception_of_ours_keeps_its_traceback(failing):
    assert isinstance(failing(KeyError("ours")).exception, KeyError)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{}['entri']", "KeyError: 'entri'"),
        ("raise BaseException('out of bounds')", "BaseException: out of bounds"),  # as Rust's panic
    ],
)
def test_an_exception_in_a_plugins_command_names_plugin_file_and_line(
    line, told, fakes, monkeypatch, tmp_path
):
    file = tmp_path / "fake.py"
    file.write_text(f"def fail():\n    {line}\n")
    made = fakes.plugin(rft_commands=[])
    made.__file__ = str(file)
    catalogue = fakes.load({"fake": made})
    code = compile(file.read_text(), str(file), "exec")
    exec(code, names := {})
    monkeypatch.setattr(
        cli, "_plugin_commands", lambda: {"f": click.Command("f", callback=names["fail"])}
    )

    assert catalogue.failures == []
    assert message(rft("f")) == f"error: fake 1.0 failed: {told} ({file} line 2)"


@pytest.mark.parametrize(
    "arguments",
    [
        ("new", "task", "zork", "--out", "x" * 300),
        ("new", "task", "zork", "--single-file", "--out", "x" * 300 + ".py"),
        ("plugins", "info", "x" * 300 + ".py:task"),
        ("plugins", "info", "~nobody-of-that-name/task.py:task"),
        ("tasks", "show", "a-file/task.py:task"),
        ("plugins", "check", "./a-folder.py:task"),
        ("plugins", "check", "./bytes.py:task"),
        ("score", "counting", "a-folder.py"),
        ("data", "check", "a-file/data.jsonl", "--task", "counting"),
        ("replay", "a-file"),
        ("eval", "./a-file/run", "--task", "counting"),
        ("train", "--resume", "a-file/run"),
        ("train", "--task", "counting", "--recipe", "a-folder.py"),
    ],
)
def test_a_path_that_is_something_else_is_one_message(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-folder.py").mkdir()
    (tmp_path / "a-file").write_text("")
    (tmp_path / "bytes.py").write_bytes(bytes(range(256)))
    done = rft(*arguments)

    assert (done.exit_code, type(done.exception)) == (2, SystemExit)
    assert done.stderr.startswith("error: ")


LONG = "x" * 300


@pytest.mark.parametrize(
    ("named", "call"),
    [
        ("model", lambda: rftcore.train(task="counting", model=LONG)),
        ("model", lambda: rftcore.plan(task="counting", model=LONG)),
        ("out", lambda: rftcore.train(task="counting", model="toy", out=LONG, smoke=True)),
        ("folder", lambda: rftcore.evaluate(LONG, task="counting")),
        ("folder", lambda: rftcore.report(LONG)),
        ("run", lambda: rftcore.load_run(LONG)),
        ("run", lambda: rftcore.compare(LONG, LONG)),
        ("run", lambda: rftcore.compare(f"{LONG}@sft")),
        ("--out", lambda: rftcore.compare(task="counting", out=LONG)),
    ],
)
def test_a_name_that_the_disk_rejects_is_an_error_that_says_what_it_is_for(named, call):
    with pytest.raises(rftcore.RftError, match=rf"{named}.*x{{300}}.*File name too long"):
        call()


def test_a_cache_folder_that_is_a_file_is_named_with_its_variable(tmp_path, monkeypatch):
    file = tmp_path / "a-file"
    file.write_text("")
    monkeypatch.setenv("RFT_CACHE", str(file))
    cache = ImageCache("dots", content=str, draw=lambda _: b"\x89PNG\r\n\x1a\n")

    for use in (partial(cache.get, 1), cache.image(1).read, partial(cache.draw_all, [1])):
        with pytest.raises(CacheError, match=rf"Not a directory\. .*RFT_CACHE={file}"):
            use()


def test_a_folder_of_ones_own_is_not_called_the_cache_folder(tmp_path):
    with pytest.raises(CacheError) as caught, keeping(tmp_path / "mine"):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert str(caught.value) == f"{tmp_path / 'mine'}: No space left on device"


def test_a_fault_that_a_library_reports_in_its_own_way_is_one_of_the_disk(tmp_path):
    with pytest.raises(CacheError, match="mine: No space left on device"), keeping(Path("mine")):
        raise ValueError("Error while serializing: I/O error: No space left (os error 28)")
    with pytest.raises(ValueError, match="not a number"), keeping(Path("mine")):
        raise ValueError("not a number")


def test_a_cache_folder_that_cannot_be_written_breaks_no_law(tmp_path, monkeypatch):
    (tmp_path / "a-file").write_text("")
    monkeypatch.setenv("RFT_CACHE", str(tmp_path / "a-file"))
    done = rft("plugins", "check", "counting", "--law", "images-open")

    assert done.exit_code == 2
    assert "RFT_CACHE" in done.stderr


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_an_output_that_cannot_be_written_is_one_message():
    with FULL.open("w") as full:
        done = subprocess.run([*RFT, "plugins", "list"], stdout=full, stderr=subprocess.PIPE)

    assert done.returncode == 2
    assert done.stderr.decode().splitlines() == ["error: standard output: No space left on device"]


def test_a_pipe_whose_reader_has_left_ends_the_command_quietly():
    command = f"{sys.executable} -m rftcore.cli plugins list --json | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)

    assert done.stderr == ""


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("plugins list >&-", 0),
        ("plugins check counting --law options-typed 2>&-", 0),
        ("plugins check counting --law options-typed >&- 2>&-", 0),
        ("score counting - <&-", 2),
        ("score counting - <&- 2>&-", 2),
    ],
)
def test_a_command_whose_streams_are_closed_prints_no_traceback(command: str, code: int):
    line = f"{sys.executable} -m rftcore.cli {command}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)

    assert done.returncode == code
    assert "Traceback" not in done.stderr


BAD = Path(__file__).parent / "bad_plugins"
sys.path.append(str(BAD))
ODD = import_module("odd").ODD
sys.path.remove(str(BAD))


@pytest.mark.parametrize("kind", ODD)
def test_a_task_that_is_wrong_in_one_thing_is_a_message_or_a_broken_law(kind, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"completion": "<answer>5</answer>", "split": "val", "index": 5}\n')
    laws = ("prompt-deterministic", "parser-round-trip", "rewards-in-evaluation")
    check = [word for law in laws for word in ("--law", law)]
    commands = {
        "tasks show": (),
        "tasks preview": ("--split", "val", "--count", "1", "--out", f"{tmp_path}/a.png"),
        "score": (str(rows),),
        "plugins check": check,
    }
    done = [
        rft(*name.split(), f"{BAD}/odd.py:odd", *more, "--set", f"task_options.kind={kind}")
        for name, more in commands.items()
    ]

    assert {type(one.exception) for one in done} <= {SystemExit, type(None)}
    assert max(one.exit_code for one in done) in (1, 2)
