"""A plugin that is loaded changes nothing for the others, and cannot keep them waiting."""

import gc
import locale
import logging
import os
import random
import signal
import sys
import time
import warnings

import pytest

from rftcore.errors import PluginError
from rftcore.hookspecs import hookimpl
from rftcore.plugins.isolation import SHARED
from rftcore.signals import Terminated

CHANGES = {
    "the working folder": lambda: os.chdir("/"),
    "the umask": lambda: os.umask(0o7),
    "the locale": lambda: locale.setlocale(locale.LC_ALL, "POSIX"),
    "the state of random": lambda: random.seed(7),
    "signal handlers": lambda: signal.signal(signal.SIGTERM, print),
    "the standard streams": lambda: setattr(sys, "stdin", None),
    "what logging shows": lambda: logging.disable(),
    "the warning filters": lambda: warnings.simplefilter("ignore"),
    "the recursion limit": lambda: sys.setrecursionlimit(5_000),
    "sys.excepthook": lambda: setattr(sys, "excepthook", print),
    "garbage collection": gc.disable,
}


def doing(fakes, change):
    """A catalogue whose plugin does something in its hook, and the tasks that it offers then."""

    @hookimpl
    def rft_tasks():
        change()
        return {"numbers": fakes.numbers}

    catalogue = fakes.load({"bad": fakes.plugin(rft_tasks=rft_tasks)})
    return catalogue, [offer.name for offer in catalogue.offers("task")]


@pytest.mark.parametrize("name", SHARED)
def test_what_a_plugin_changes_for_all_is_put_back_and_named(name, fakes, logged):
    if name == "the locale":
        locale.setlocale(locale.LC_ALL, "C.UTF-8")
    before = SHARED[name][0]()
    _, offered = doing(fakes, CHANGES[name])

    assert SHARED[name][0]() == before
    assert offered == ["numbers"]
    assert f"hook rft_tasks of bad 1.0 changed {name}, " in logged.text


def test_what_a_plugin_prints_while_it_loads_is_not_on_standard_output(fakes, capsys):
    _, offered = doing(fakes, lambda: print("hello {"))

    assert (capsys.readouterr(), offered) == (("", "hello {\n"), ["numbers"])


def test_a_plugin_that_does_not_end_is_broken_after_the_limit(fakes, monkeypatch):
    monkeypatch.setenv("RFT_PLUGIN_TIMEOUT", "0.05")
    catalogue, offered = doing(fakes, lambda: time.sleep(60))

    assert offered == []
    assert "no end within 0.05 s" in catalogue.failures[0].reason


@pytest.mark.parametrize("value", ["x", "0", "-1", "nan", "inf"])
def test_a_limit_that_is_no_positive_number_is_one_error(value, fakes, monkeypatch):
    monkeypatch.setenv("RFT_PLUGIN_TIMEOUT", value)

    with pytest.raises(PluginError, match=rf"^RFT_PLUGIN_TIMEOUT={value}: set a positive number"):
        fakes.load({})


def test_plugins_load_in_a_folder_that_was_deleted(fakes, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert "numbers" in doing(fakes, lambda: None)[1]


@pytest.mark.parametrize("stop", [Terminated, KeyboardInterrupt])
def test_a_stop_while_a_plugin_loads_is_no_fault_of_it(stop, fakes):
    def raising():
        raise stop

    with pytest.raises(stop):
        doing(fakes, raising)
