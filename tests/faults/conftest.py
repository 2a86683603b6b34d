"""Figures of the fault tests: what each test counted, added up and printed when all are done.

The sizes are those of `make faults`; `make faults-full` sets larger ones by variables of the environment.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable

import pytest

_FIGURES: Counter[str] = Counter()
Count = Callable[..., None]


def size(name: str, usual: int) -> int:
    """How much to do: a variable of the environment, else what CI does."""
    return int(os.environ.get(f"SSLIQA_FAULTS_{name}", usual))


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Count:
    """Add to a figure: `count("kills")`, `count("kills", 3)`."""

    def add(name: str, number: int = 1) -> None:
        request.node.user_properties.append((name, number))

    return add


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what a test counted, in whichever process it ran."""
    if report.when == "teardown":
        for name, number in report.user_properties:
            _FIGURES[name] += number


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures, one a line."""
    for name, number in _FIGURES.items():
        terminalreporter.write_line(f"figure: {name}: {number}")
