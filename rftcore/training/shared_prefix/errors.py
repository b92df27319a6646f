"""The reason why a call is made in the plain form."""

from __future__ import annotations


class NotShared(Exception):  # noqa: N818 - not an error: caught in this folder
    """This call cannot be shared; the message ends "the group's prompt is not shared: ..."."""
