"""How runs are shown: one JSON document, or a table for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

_METRICS = ("srcc", "krcc", "plcc_raw", "plcc_mapped", "rmse_mapped")
_TITLES = {
    "srcc": "SRCC",
    "krcc": "KRCC",
    "plcc_raw": "PLCC raw",
    "plcc_mapped": "PLCC mapped",
    "rmse_mapped": "RMSE mapped",
}


def run_entry(status: str, facts: Mapping[str, Any], error: str | None = None) -> dict[str, Any]:
    """One entry of the `runs` list of --json. `facts` of a failed run are its cell alone."""
    cell = facts["cell"]
    return {
        "key": facts.get("key"),
        **{name: cell[name] for name in ("method", "recipe", "overrides", "pair", "protocol", "seed")},
        "status": status,
        "error": error,
        "seconds": facts["seconds"]["train"] if "seconds" in facts else None,
        "device": facts.get("device"),
        "n_parameters": facts.get("n_parameters"),
        "metrics": facts.get("metrics", {}),
    }


def print_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    json.dump(document, sys.stdout, indent=1, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


def print_runs(entries: Sequence[Mapping[str, Any]]) -> None:
    """Print runs as a table on stdout: one row per run and dataset."""
    table = RichTable(box=None, pad_edge=False, header_style="bold")
    for title, justify in (
        ("run", "left"),
        ("seed", "right"),
        ("dataset", "left"),
        ("side", "left"),
        ("n", "right"),
        *((t, "right") for t in _TITLES.values()),
        ("mapping", "left"),
        ("seconds", "right"),
        ("status", "left"),
        ("key", "left"),
    ):
        table.add_column(title, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for entry in entries:
        first = [_name(entry), str(entry["seed"])]
        last = [_number(entry["seconds"], 1), entry["status"], (entry["key"] or "")[:12]]
        for dataset, metrics in entry["metrics"].items() or [("", None)]:
            values = (
                [""] * 8
                if metrics is None
                else [
                    metrics["side"],
                    str(metrics["n"]),
                    *(_number(metrics[m], 4) for m in _METRICS),
                    metrics["mapping"],
                ]
            )
            table.add_row(*first, dataset, *values, *last)
            first, last = ["", ""], ["", "", ""]
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False, emoji=False, markup=False).print(table)
    for entry in entries:
        if entry["error"]:
            print(f"{_name(entry)} seed {entry['seed']}: {entry['error']}", file=sys.stderr)


def _name(entry: Mapping[str, Any]) -> str:
    changed = "".join(f" {k}={v}" for k, v in entry["overrides"].items())
    return f"{entry['method']}{changed} {entry['pair']}"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
