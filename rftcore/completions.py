"""One scored completion, as every file of rft contains it.

Evaluations write their answers as lines of this form, GRPO its rollouts and `rft score --json`
its rows; `rft score`, `rft replay` and `RunFolder` read them back with the same checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from rftcore.errors import RunError

SCHEMA = 2  # of the JSON form; a change that older code cannot read raises it

Size = tuple[int, int]  # width and height in pixels


@dataclass(frozen=True, kw_only=True)
class ShownImage:
    """An image of a prompt, so that a reader can show it again.

    key: of the `Image`, which identifies its pixels. path: the absolute path of the file that has
    it, or None for an image in memory; a cached file may have been deleted since. size: of the
    decoded image. seen: of the image after the policy's image processor, or None if unknown.
    """

    key: str
    path: str | None = None
    size: Size | None = None
    seen: Size | None = None


@dataclass(frozen=True, kw_only=True)
class ScoredCompletion:
    """A completion, the sample that it answers, and its score, as plain data.

    id, question, gold: of the sample, which is at `index` of `split`. Both are None for a row
        with a gold of its own.
    step: the optimizer step of a rollout, from 1, else None. Rollouts of one step and index are
        one group.
    meta: the sample's `meta` as plain JSON, without `meta_omitted` of its values, which no JSON
        can hold or which are too long (`rftcore.meta.stored`).
    images: what the prompt showed, in order.
    completion: the whole text, `tokens` long. `clipped`: whether generation ended at the token
        limit. None if unknown.
    answer: the parsed answer as the parser's `show` writes it, or None and the reason in
        `parse_error`.
    correct: whether the task's accuracy term is exactly 1; None if that term has no value.
    total: the weighted sum; None if a required term failed or no term applies.
    rewards: the value of each term; None if it failed or does not apply.
    failures: "error" or "timeout" for each term that failed.
    notes: by term, what the reward returned with its value, or why it failed.
    """

    id: str
    split: str | None = None
    index: int | None = None
    step: int | None = None
    question: str
    gold: str
    meta: Mapping[str, Any] = field(default_factory=dict)
    meta_omitted: int = 0
    images: tuple[ShownImage, ...] = ()
    completion: str
    tokens: int | None = None
    clipped: bool | None = None
    answer: str | None = None
    parse_error: str | None = None
    correct: bool | None = None
    total: float | None = None
    rewards: Mapping[str, float | None] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def of_sample(self) -> dict[str, Any]:
        """What it has of its sample: equal for the completions of a sample that has not changed."""
        return {
            "id": self.id,
            "question": self.question,
            "gold": self.gold,
            "meta": dict(self.meta),
            "images": [image.key for image in self.images],
        }

    def to_json(self) -> dict[str, Any]:
        """The fields and `schema`, the version of this form."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The completion that `to_json` returned. Other keys are ignored.

        Raises: ValueError that continues "row 3 ...", if a field is missing or has another
        type, or if a newer version of rft wrote it.
        """
        if not isinstance(value, Mapping):
            raise ValueError(f"is {type(value).__name__}, not an object")
        _check_schema(value.get("schema"))
        if missing := [each.name for each in fields(cls) if each.name not in value]:
            raise ValueError(f"has no `{'`, `'.join(missing)}`")
        for each in fields(cls):
            expected, fits = _KINDS[str(each.type)]
            if not fits(value[each.name]):
                raise ValueError(
                    f"has {each.name}={value[each.name]!r:.60}, but it must be {expected}"
                )
        facts = {each.name: value[each.name] for each in fields(cls)}
        return cls(**{**facts, "images": tuple(map(_image, facts["images"]))})


def read_completions(values: Iterable[object], file: str) -> list[ScoredCompletion]:
    """The completions in the lines of a run's file.

    file: its name, for messages. Raises: RunError that names the first faulty line.
    """
    found = []
    for number, value in enumerate(values, 1):
        try:
            found.append(ScoredCompletion.from_json(value))
        except ValueError as fault:
            raise RunError(f"{file} line {number} {fault}") from None
    return found


def _check_schema(schema: object) -> None:
    if type(schema) is not int or schema < 1:
        raise ValueError(f"has schema={schema!r:.60}, but rft writes a whole number from 1")
    if schema < SCHEMA:
        raise ValueError(
            f"has schema={schema}: an older version of rft wrote it, without what this one needs "
            f"(it reads {SCHEMA}). Read it with that version, or run again with this one"
        )
    if schema > SCHEMA:
        raise ValueError(
            f"has schema={schema}: a newer version of rft wrote it, and this one reads {SCHEMA}. "
            "Install the version that wrote it"
        )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, value))


def _is_size(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_count, value))


def _are_images(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_image, value))


def _is_image(value: object) -> bool:
    if not isinstance(value, Mapping) or {*value} != {each.name for each in fields(ShownImage)}:
        return False
    paths = value["path"] is None or _is_text(value["path"])
    sizes = all(value[name] is None or _is_size(value[name]) for name in ("size", "seen"))
    return _is_text(value["key"]) and paths and sizes


def _image(value: Mapping[str, Any]) -> ShownImage:
    sizes = {name: value[name] and tuple(value[name]) for name in ("size", "seen")}
    return ShownImage(key=value["key"], path=value["path"], **sizes)


def _or_null(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or fits(value)


def _by_term(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, Mapping) and all(map(_is_text, value)) and all(map(fits, value.values()))
    )


_KINDS: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "str": ("text", _is_text),
    "str | None": ("text or null", _or_null(_is_text)),
    "int": ("a whole number from 0", _is_count),
    "Mapping[str, Any]": ("an object", _is_mapping),
    "tuple[ShownImage, ...]": ("a list of images: key, path, size and seen", _are_images),
    "int | None": ("a whole number from 0, or null", _or_null(_is_count)),
    "bool | None": ("true, false or null", _or_null(lambda value: isinstance(value, bool))),
    "float | None": ("a number or null", _or_null(_is_number)),
    "Mapping[str, float | None]": ("a number or null by term", _by_term(_or_null(_is_number))),
    "Mapping[str, str]": ("text by term", _by_term(_is_text)),
}
