"""Settings of every test, of the core and of the plugins."""

import gc
import os
import sys

import pytest
from hypothesis import settings

# Each worker of pytest-xdist has one core.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A deadline per example would measure how busy the machine is.
settings.register_profile("rft", deadline=None)
settings.load_profile("rft")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that share a fixture of their module in one process of pytest-xdist."""
    for item in items:
        info = getattr(item, "_fixtureinfo", None)
        defined = info.name2fixturedefs.values() if info else ()
        shared = any(each.scope == "module" for found in defined for each in found)
        if shared and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


# Modules that leave hundreds of thousands of objects behind.
LARGE = ("torch", "transformers", "trl.trainer.sft_trainer", "trl.trainer.grpo_trainer")
_frozen = -1


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail if pytest-xdist does not keep groups together, as 3.8 with pytest 9.2.

    Each process would make the fixtures of every module, and only the time would show it.
    """
    grouped = getattr(item.config.option, "loadgroup", False)
    if grouped and item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
        version = pytest.__version__
        pytest.fail(f"pytest-xdist does not group tests with pytest {version}: see constraints.txt")
    _freeze()


def _freeze() -> None:
    """Leave out of garbage collection what stays: tests and imported modules.

    A trainer collects garbage several times; without this it is a quarter of a run's time.
    """
    global _frozen
    if (loaded := sum(name in sys.modules for name in LARGE)) > _frozen:
        gc.collect()
        gc.freeze()
        _frozen = loaded


@pytest.fixture(autouse=True, scope="session")
def _no_wait_for_the_disk() -> None:
    """No test cuts the power: files need not reach the disk."""
    os.fsync = lambda descriptor: None
