from sound_task import task

print("Welcome to the dots!")


def plugin_quiet():
    return task()
