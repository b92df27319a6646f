"""Intervals of a share, of a difference and of a change: 95 % unless another quantile is given."""

import math

Z = 1.959963984540054  # the normal quantile of a 95 % interval


def wilson(successes: float, n: float, z: float = Z) -> tuple[float, float]:
    """The Wilson score interval of a binomial share, 95 % by default.

        center = (p + z^2 / 2n) / (1 + z^2 / n)
        half   = z / (1 + z^2 / n) * sqrt(p (1 - p) / n + z^2 / 4n^2)

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
    n may be an effective number of observations, and then neither number is whole.

    Expects: 0 <= successes <= n. Returns: (0, 1) for n = 0.
    """
    if n == 0:
        return 0.0, 1.0
    p, z2 = successes / n, z**2
    scale = 1 + z2 / n
    center = (p + z2 / (2 * n)) / scale
    half = z / scale * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # at p = 0 or 1 rounding may leave the interval's end a hair off the point itself
    return min(p, max(0.0, center - half)), max(p, min(1.0, center + half))


def paired(won: int, lost: int, n: int) -> tuple[float, float]:
    """The 95 % interval of the change of a share, when the same n questions were answered twice.

        d    = (won - lost) / (n + 2),   s = (won + lost + 2) / (n + 2)
        half = z * sqrt((s - d^2) / (n + 2))

    won, lost: how many answers became right, and how many became wrong. Unchanged
    answers carry no information about the change, so this is narrower than the difference of
    two independent shares. The adjusted Wald interval of Bonett and Price 2012,
    doi:10.3102/1076998611411915.

    Expects: 0 <= won + lost <= n. Returns: within [-1, 1]; (-1, 1) for n = 0.
    """
    if n == 0:
        return -1.0, 1.0
    center, moved = (won - lost) / (n + 2), (won + lost + 2) / (n + 2)
    half = Z * math.sqrt((moved - center**2) / (n + 2))
    return max(-1.0, center - half), min(1.0, center + half)


def difference(
    one: tuple[float, float], other: tuple[float, float], z: float = Z
) -> tuple[float, float]:
    """The interval of the difference of two independent shares, each given as (successes, n).

        d = p1 - p2,  low  = d - sqrt((p1 - l1)^2 + (u2 - p2)^2)
                      high = d + sqrt((u1 - p1)^2 + (p2 - l2)^2)

    with the Wilson interval (l, u) of each. Source: Newcombe 1998, method 10,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I.

    Expects: 0 <= successes <= n, n > 0. Returns: within [-1, 1].
    """
    (p1, p2), (l1, u1), (l2, u2) = (
        (one[0] / one[1], other[0] / other[1]),
        wilson(*one, z),
        wilson(*other, z),
    )
    center = p1 - p2
    return center - math.hypot(p1 - l1, u2 - p2), center + math.hypot(u1 - p1, p2 - l2)
