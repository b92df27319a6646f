import random

from sound_task import task

random.seed(7)


def plugin_no_side_effects():
    return task()
