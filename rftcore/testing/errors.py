"""How the check of a law ends if the law does not hold."""


class BrokenError(AssertionError):
    """A law does not hold; the message is what was observed.

    `cause` and `fix` replace the law's own if the observation has another usual cause.
    """

    def __init__(self, seen: str, *, cause: str = "", fix: str = "") -> None:
        super().__init__(seen)
        self.cause, self.fix = cause, fix


class NotApplicableError(Exception):
    """There is nothing to check: the message is the reason."""


class NotCheckedError(Exception):
    """A law could not be checked; `roots` are the laws that may be broken by the same fault.

    If all of these hold after all, this one counts as broken, by `seen`.
    """

    def __init__(self, seen: str, *roots: str) -> None:
        super().__init__(seen)
        self.seen, self.roots = seen, roots
