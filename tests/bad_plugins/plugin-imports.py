import sys

from sound_task import task

assert "pytest" in sys.modules


def plugin_imports():
    return task()
