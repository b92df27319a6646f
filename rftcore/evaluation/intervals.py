"""How far a measured share, or the change of one, can be trusted: 95 % intervals."""

import math

Z = 1.959963984540054  # the normal quantile of a 95 % interval


def wilson(successes: int, n: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a binomial share.

        center = (p + z^2 / 2n) / (1 + z^2 / n)
        half   = z / (1 + z^2 / n) * sqrt(p (1 - p) / n + z^2 / 4n^2)

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
    Expects: 0 <= successes <= n. Returns: (0, 1) for n = 0.
    """
    if n == 0:
        return 0.0, 1.0
    p, z2 = successes / n, Z**2
    scale = 1 + z2 / n
    center = (p + z2 / (2 * n)) / scale
    half = Z / scale * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
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
