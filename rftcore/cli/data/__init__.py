"""`rft data`: check data for faults, guess without images, show samples, and time them."""

import click

from rftcore.cli.data.check import check
from rftcore.cli.data.guess import guess
from rftcore.cli.data.show import show
from rftcore.cli.data.timing import time_


@click.group(short_help="Check data, guess without its images, show or time samples.")
def data() -> None:
    """Check a folder or file of data, guess without its images, show samples, or time them."""


data.add_command(check)
data.add_command(guess)
data.add_command(show)
data.add_command(time_)
