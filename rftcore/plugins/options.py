"""Declare the options that one factory passes on to another once."""

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any, TypeVar

from rftcore.plugins.offers import signature

Factory = TypeVar("Factory", bound=Callable[..., Any])


def with_options_of(inner: Callable[..., object]) -> Callable[[Factory], Factory]:
    """Give a factory the options of `inner`, to which it passes its `**options`.

        @rft.with_options_of(cube_pictures)
        def count_cubes(strict: bool = True, **options: Any) -> rft.Task:
            return rft.Task(dataset=cube_pictures(**options), ...)

    A recipe can then set the options of both, and they are checked.
    Raises: ValueError if both declare an option of the same name.
    """

    def give(factory: Factory) -> Factory:
        own = [p for p in signature(factory).values() if p.kind is not Parameter.VAR_KEYWORD]
        both = (*signature(inner).values(), *own)
        named = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in both]
        vars(factory)["__signature__"] = Signature(named)  # what `inspect` reads first
        return factory

    return give
