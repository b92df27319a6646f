"""`python -m rftcore.cli`: the command where a launcher wants a module."""

from rftcore.cli import main

main()
