"""The rule that a value broke, in the words of rft, for each type of error of pydantic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

WHOLE, NUMBER, YES_NO = "must be a whole number", "must be a number", "must be true or false"
TEXT, LIST, MAPPING = "must be text", "must be a list", "must be a mapping"
FINITE = "must be a finite number"

# By pydantic's public type of error; the fields are those of its `ctx`. What is not here has
# pydantic's own message.
RULES = {
    "int_type": WHOLE,
    "int_parsing": WHOLE,
    "int_from_float": WHOLE,
    "int_parsing_size": "must have fewer digits",
    "float_type": NUMBER,
    "float_parsing": NUMBER,
    "finite_number": FINITE,
    "bool_type": YES_NO,
    "bool_parsing": YES_NO,
    "string_type": TEXT,
    "list_type": LIST,
    "tuple_type": LIST,
    "set_type": LIST,
    "frozen_set_type": LIST,
    "dict_type": MAPPING,
    "mapping_type": MAPPING,
    "model_type": MAPPING,
    "model_attributes_type": MAPPING,
    "dataclass_type": MAPPING,
    "none_required": "must be null",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "multiple_of": "must be a multiple of {multiple_of}",
    "too_short": "must have {min_length} or more items, and has {actual_length}",
    "too_long": "must have {max_length} or fewer items, and has {actual_length}",
    "string_too_short": "must have {min_length} or more characters",
    "string_too_long": "must have {max_length} or fewer characters",
    "string_pattern_mismatch": "must match {pattern}",
    "is_instance_of": "must be an object of class {class}, which a recipe cannot contain",
    "callable_type": "must be a function, which a recipe cannot contain",
    "value_error": "{error}",
    "assertion_error": "{error}",
}
_MUST = "must be "


def rule_of(error: Any) -> str:
    """The rule of one entry of `ValidationError.errors()`."""
    template = RULES.get(error["type"])
    if template is None:
        return str(error["msg"]).replace("Input should be", "must be")
    context = error.get("ctx", {})
    return template.format_map({name: _plain(value) for name, value in context.items()})


def _plain(value: Any) -> Any:
    """A bound as a person writes it: 1 in place of 1.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def rules_of(errors: Iterable[Any]) -> str:
    """The rules of all errors of one value, such as those of each member of a union.

    "must be a whole number or text", or the rules one after the other.
    """
    rules = list(dict.fromkeys(map(rule_of, errors)))
    if all(rule.startswith(_MUST) for rule in rules):
        return _MUST + " or ".join(rule.removeprefix(_MUST) for rule in rules)
    return "; ".join(rules)
