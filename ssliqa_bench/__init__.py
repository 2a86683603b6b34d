"""Benchmark and toolkit for semi-supervised blind image quality assessment.

The names of `__all__` are the public interface; each is imported when it is first used, so that
importing the package stays cheap. Everything else is internal.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Pair": "ssliqa_bench.specs",
    "RunSpec": "ssliqa_bench.specs",
    "SsliqaError": "ssliqa_bench.errors",
    "load_registry": "ssliqa_bench.registry.load",
    "Settings": "ssliqa_bench.runner.settings",
    "make_plan": "ssliqa_bench.runner.plan",
    "run": "ssliqa_bench.api.runs",
    "records": "ssliqa_bench.api.runs",
    "load_dataset": "ssliqa_bench.api.dataset",
    "load_model": "ssliqa_bench.models.load",
    "evaluate": "ssliqa_bench.api.results",
    "leaderboard": "ssliqa_bench.leaderboard",  # the package itself, which can be called
    "fit_mapping": "ssliqa_bench.evaluation.mapping",
    "compare": "ssliqa_bench.evaluation.paired_tables",
    "build_boards": "ssliqa_bench.leaderboard.boards",
    "check_method": "ssliqa_bench.testing",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = import_module(_HOME[name])
    value = home if _HOME[name] == f"{__name__}.{name}" else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
