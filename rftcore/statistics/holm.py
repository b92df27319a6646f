"""Holm's correction for several tests at once."""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """The adjusted p-value of each test, in the order given.

        p~(j) = max over i <= j of min(1, (m - i + 1) p(i)),   p(1) <= ... <= p(m)

    Rejecting where p~ <= a keeps the probability of one or more false rejections at most a,
    however the tests depend on each other. Source: Holm 1979, https://www.jstor.org/stable/4615733.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted
