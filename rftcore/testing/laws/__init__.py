"""Every law, by id, in the order in which they are checked."""

from collections.abc import Mapping
from types import MappingProxyType

from rftcore.testing.law import Law
from rftcore.testing.laws import answers, attacked, dataset, parser, plugin, prompt, reward

LAWS: Mapping[str, Law] = MappingProxyType(
    {
        one.id: one
        for module in (plugin, dataset, parser, prompt, reward, answers, attacked)
        for one in vars(module).values()
        if isinstance(one, Law)
    }
)
