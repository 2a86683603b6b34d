"""How boards print numbers: one function for each way, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

MISSING = "–"


def decimals(value: float) -> str:
    """Three decimals; a value that rounds to zero has no sign."""
    return f"{round(value, 3) + 0.0:.3f}"


def signed(value: float) -> str:
    """Three decimals with the sign always printed."""
    return f"{round(value, 3) + 0.0:+.3f}"


def count(value: float) -> str:
    """An integer with a comma every three digits."""
    return f"{round(value):,}"


def tenths(value: float) -> str:
    """One decimal."""
    return f"{value:.1f}"


def mebibytes(value: float) -> str:
    """Bytes as whole MiB."""
    return count(value / 2**20)


def probability(value: float) -> str:
    """A p-value with three decimals."""
    return "<0.001" if value < 0.0005 else decimals(value)


def exact(value: float) -> str:
    """The shortest text that reads back as the same number."""
    return repr(int(value) if float(value).is_integer() and abs(value) < 2**53 else float(value))


SHOW: Mapping[str, Callable[[float], str]] = {
    own.__name__: own for own in (decimals, signed, count, tenths, mebibytes, probability, exact)
}
