"""How the paper's released code reads a text: its answer block, or all of it."""

from rftcore.errors import SampleError


def text_of(value: object, what: str) -> str:
    """The value, if it is text. Raises: SampleError."""
    if not isinstance(value, str):
        raise SampleError(f"the {what} is {value!r}, but the paper's functions need text")
    return value


def answer_of(text: str) -> str:
    """Ans(text): the content of the first answer block, else the whole text; stripped."""
    block = block_of(text)
    return text.strip() if block is None else block


def block_of(text: str) -> str | None:
    """The stripped content of the first answer block, or None."""
    _, opened, rest = text.partition("<answer>")
    content, closed, _ = rest.partition("</answer>")
    return content.strip() if opened and closed else None
