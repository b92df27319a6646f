"""YAML 1.2's scalars over PyYAML, and the line of every setting.

In YAML 1.1, which PyYAML reads, 1e-4 is a string, `no` is false and 010 is 8.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from rftcore.errors import Fault, RecipeError, one_line


class _Loader(yaml.SafeLoader):
    """YAML 1.2's scalars: in 1.1, 1e-4 is a string, `no` is false and 010 is 8."""


class _Dumper(yaml.SafeDumper):
    """Quotes the strings that `_Loader` would read as something else.

    Letters of any script stay as they are. In a text with characters that nobody sees, or that
    readers of YAML take for line breaks, all that is not ASCII is written as escapes.
    """

    def analyze_scalar(self, scalar: str) -> Any:
        """What PyYAML may write a text as: only in double quotes if it needs escapes."""
        found: Any = super().analyze_scalar(scalar)
        if _HIDDEN.search(scalar):
            found.allow_flow_plain = found.allow_block_plain = found.allow_single_quoted = False
        return found

    def write_double_quoted(self, text: str, split: bool = True) -> None:
        """Write a text in double quotes, with escapes if it needs them."""
        self.allow_unicode = not _HIDDEN.search(text)
        super().write_double_quoted(text, split)
        self.allow_unicode = True


# Controls, line separators, marks of direction and the like; not the joiners that scripts need.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\uffff\U000e0000-\U000e0fff]"
)
_SCALARS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    "float": (
        r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(inf|Inf)|\.(nan|NaN)",
        list("-+0123456789."),
    ),
}
for _yaml in (_Loader, _Dumper):
    _yaml.yaml_implicit_resolvers = {}
    for _tag, (_pattern, _first) in _SCALARS.items():
        _yaml.add_implicit_resolver(
            f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first
        )


def parse(text: str, origin: str, setting: str = "") -> tuple[yaml.Node | None, Any]:
    """The YAML document in `text`: its root node, which has line numbers, and its value.

    setting: the name of the setting that the text is the value of, if it is one.
    Raises: RecipeError if it is not YAML, or has a value that no recipe can hold.
    """
    try:
        loader = _Loader(text)
        node: yaml.Node | None = loader.get_single_node()
        value = None if node is None else loader.construct_document(node)
        json.dumps(value, default=str, ensure_ascii=False).encode()  # what the checks go through
        return node, value
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise _unreadable(f"not YAML: {problem}", text, f"{origin}{line}", setting) from error
    except Exception as error:  # PyYAML's readers of tags and Python's of numbers raise anything
        rule = f"not a value for a recipe: {one_line(error)}"
        raise _unreadable(rule, text, origin, setting) from error


def _unreadable(rule: str, text: str, origin: str, setting: str) -> RecipeError:
    if setting:
        return RecipeError(Fault(setting, rule, text, origin))
    return RecipeError(f"{origin}: {rule}")


def lines_of(
    node: yaml.Node | None, path: tuple[str, ...], origin: str
) -> Iterator[tuple[tuple[str, ...], int]]:
    """The line of every setting below `node`.

    Raises: RecipeError for a setting that is set twice.
    """
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        at, line = (*path, str(key.value)), key.start_mark.line + 1
        if key.value in seen:
            raise RecipeError(Fault(".".join(at), "set twice", origin=f"{origin} line {line}"))
        seen.add(key.value)
        yield at, line
        yield from lines_of(value, at, origin)


def dump(value: Mapping[str, Any]) -> str:
    """The value as YAML, which `parse` reads back unchanged."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
