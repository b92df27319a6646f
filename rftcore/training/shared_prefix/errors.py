"""Why a call is made in the plain form."""

from __future__ import annotations


class NotShared(Exception):  # noqa: N818 - an answer, not a fault: nobody outside this folder sees it
    """This call cannot be shared; the message ends "the group's prompt is not shared: ..."."""
