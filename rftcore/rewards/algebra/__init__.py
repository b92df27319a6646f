"""Compare answers by algebra, in a process of its own: `worker` is its program."""
