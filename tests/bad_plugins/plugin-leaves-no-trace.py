import random

from sound_task import task

random.seed(7)


def plugin_leaves_no_trace():
    return task()
