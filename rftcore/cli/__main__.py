"""`python -m rftcore.cli`: the command for launchers that require a module."""

from rftcore.cli import main

main()
