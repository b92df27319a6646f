"""`rft data`: check data for faults, show samples, and time how fast they are made."""

import click

from rftcore.cli.data.check import check
from rftcore.cli.data.show import show
from rftcore.cli.data.timing import time_


@click.group(short_help="Check your data, or time how fast samples are made.")
def data() -> None:
    """Check a folder or file of data, or time how fast samples are made."""


data.add_command(check)
data.add_command(show)
data.add_command(time_)
