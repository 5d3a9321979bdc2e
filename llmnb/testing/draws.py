"""Repeatable random draws: a seed and a number give the same draw on every machine.

A stream of random numbers would hand out its draws in the order in which
requests happen to arrive. Here each draw is a pure function of a seed, a
number and a purpose, so that draws are independent of each other and of
everything that went before.
"""

from __future__ import annotations

_MASK = (1 << 64) - 1


def mix(value: int) -> int:
    """Return 64 well-stirred bits of an integer.

    Example:
        >>> mix(1) == mix(1), mix(1) == mix(2)
        (True, False)

    Source:
        The finaliser of SplitMix64: G. L. Steele, D. Lea, C. H. Flood,
        *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014.
    """
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def uniform(seed: int, number: int, purpose: int = 0) -> float:
    """Return a number in (0, 1) that depends on nothing but the arguments.

    Args:
        seed: Seed of the whole simulation.
        number: Which draw, such as the number of a request.
        purpose: Keeps draws for different things apart.

    Example:
        >>> 0.0 < uniform(0, 7) < 1.0
        True
        >>> uniform(0, 7) == uniform(0, 7, purpose=1)
        False
    """
    bits = mix(mix(mix(seed) ^ purpose) ^ number)
    # Half a step is added so that neither end is ever drawn: logarithms stay finite.
    return ((bits >> 11) + 0.5) * 2.0**-53
