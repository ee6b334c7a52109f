"""Intervals and a test for shares of images. Pure arithmetic, without numpy."""

from dataclasses import dataclass
from math import sqrt

Z = 1.96  # standard deviations of a normal distribution that hold 95% of it


@dataclass(frozen=True)
class Paired:
    """How two models answer the same images: how many both answer rightly, only one of them, or neither."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def images(self) -> int:
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def difference(self) -> float:
        """Return by how much the first model's accuracy is above the second's."""
        return (self.only_first - self.only_second) / self.images


def interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95% confidence interval of a `share` of `count` images.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    centre = share + Z**2 / (2 * count)
    half = Z * sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    low, high = (centre - half) / (1 + Z**2 / count), (centre + half) / (1 + Z**2 / count)
    return max(0.0, low), min(1.0, high)


def difference_interval(pairs: Paired) -> tuple[float, float]:
    """Return the 95% confidence interval of `pairs.difference`.

    R. G. Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired
    data", 1998, method 10.
    """
    first, second = (pairs.both + one for one in (pairs.only_first, pairs.only_second))
    shares = first / pairs.images, second / pairs.images
    (low_1, high_1), (low_2, high_2) = (interval(share, pairs.images) for share in shares)
    phi = _correlation(pairs, first, second)
    below = _distance(shares[0] - low_1, high_2 - shares[1], phi)
    above = _distance(high_1 - shares[0], shares[1] - low_2, phi)
    return pairs.difference - below, pairs.difference + above


def _correlation(pairs: Paired, first: int, second: int) -> float:
    """Return the correlation of the two models' right answers, corrected for continuity; 0 if one has no spread."""
    product = first * (pairs.images - first) * second * (pairs.images - second)
    covariance: float = pairs.both * pairs.neither - pairs.only_first * pairs.only_second
    if covariance > 0:
        covariance = max(covariance - pairs.images / 2, 0.0)
    return covariance / sqrt(product) if product else 0.0


def _distance(one: float, other: float, phi: float) -> float:
    return sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))


def mcnemar(pairs: Paired) -> float:
    """Return how probable it is that models of equal accuracy differ as much, or more: the exact two-sided p value.

    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", 1947, with
    the binomial distribution in place of chi-squared.
    """
    count, fewer = pairs.only_first + pairs.only_second, min(pairs.only_first, pairs.only_second)
    term = total = 1
    for number in range(fewer):
        term = term * (count - number) // (number + 1)
        total += term
    return min(1.0, 2 * total / 2**count)
