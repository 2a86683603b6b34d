"""How runs are shown: one JSON document, or a table for people."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from ssliqa_bench.evaluation.names import ALWAYS
from ssliqa_bench.specs import RunSpec, cell_of
from ssliqa_bench.text import printable

if TYPE_CHECKING:
    from ssliqa_bench.runner.forecast import Forecast
    from ssliqa_bench.store.record import Metrics, Record

# Columns of figures in the table of runs (seed, n, metrics, seconds), and the longest line of overrides below one.
_RIGHT = (1, *range(4, 5 + len(ALWAYS)), 6 + len(ALWAYS))
_LONGEST_LINE = 118


def run_entry(status: str, record: Record) -> dict[str, Any]:
    """One entry of the `runs` list of --json."""
    facts = record.facts
    return {
        **_entry(facts.cell.model_dump(), status),
        "key": facts.key,
        "seconds": facts.seconds.train,
        "device": facts.device,
        "n_parameters": facts.n_parameters,
        "metrics": {
            name: {"side": own.dataset.side, **own.metrics.model_dump(exclude=_left_out(own.metrics))}
            for name, own in record.results.items()
        },
    }


def _left_out(metrics: Metrics) -> set[str]:
    """Fields of the stored metrics that are not printed; breakdowns are where the dataset has any."""
    return {"intervals"} if metrics.by else {"intervals", "by"}


def failed_entry(spec: RunSpec, error: str | None) -> dict[str, Any]:
    """The entry of a run that failed."""
    return {**_entry(cell_of(spec), "failed"), "error": error}


def _entry(cell: Mapping[str, Any], status: str) -> dict[str, Any]:
    return {
        "key": None,
        **{name: cell[name] for name in ("method", "recipe", "overrides", "pair", "protocol", "seed")},
        "status": status,
        "error": None,
        "seconds": None,
        "device": None,
        "n_parameters": None,
        "metrics": {},
    }


def print_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    json.dump(document, sys.stdout, indent=1, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


def print_runs(entries: Sequence[Mapping[str, Any]], width: int | None = None) -> None:
    """Print runs on stdout: a table with a row per run and dataset, overrides below the run that has them.

    No figure is ever cut: where the terminal is too narrow for the table, every run is a block of lines.

    Args:
        width: columns of the screen; None asks the terminal, and a pipe or a file has no limit.
    """
    if width is None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    lines = _table(entries)
    if width is not None and any(cell_len(line) > width for line in lines):
        lines = [line for entry in entries for line in _block(entry, width)]
    print("\n".join(lines))
    for entry in entries:
        if entry["error"]:
            print(printable(f"{_name(entry)} seed {entry['seed']}: {entry['error']}"), file=sys.stderr)


def _table(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of equal columns, as wide as they need to be; overrides are below the run and widen no column."""
    rows = [["run", "seed", "dataset", "side", "n", *map(_title, ALWAYS), "mapping", "seconds", "status", "key"]]
    below: dict[int, list[str]] = {}
    for entry in entries:
        first, last = [_name(entry), str(entry["seed"])], _ends(entry)
        for dataset, metrics in entry["metrics"].items() or [("", None)]:
            rows.append([printable(cell) for cell in (*first, dataset, *_figures(metrics), *last)])
            first, last = ["", ""], [""] * len(last)
        below[len(rows) - 1] = _overrides(entry, _LONGEST_LINE)
    widths = [max(cell_len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = (_padded(cell, widths[k], right=k in _RIGHT) for k, cell in enumerate(row))
        lines += ["  ".join(cells).rstrip(), *below.get(number, ())]
    return lines


def _block(entry: Mapping[str, Any], width: int) -> list[str]:
    """A run as lines of at most `width` columns, but where one word alone is longer."""
    seconds, status, key = _ends(entry)
    head = [_name(entry), f"seed {entry['seed']}", status, f"{seconds} s", f"key {key}" if key else ""]
    lines = [*_wrapped(head, width), *_overrides(entry, width)]
    for dataset, metrics in entry["metrics"].items():
        side, number, *figures, mapping = _figures(metrics)
        pairs = [f"{_title(name)} {figure}" for name, figure in zip(ALWAYS, figures, strict=True)]
        lines += _wrapped([f"{dataset} ({side})", f"n {number}", *pairs, f"mapping {mapping}"], width, "  ")
    return lines


def _figures(metrics: Mapping[str, Any] | None) -> list[str]:
    """Cells of a dataset: side, n, the metrics, the status of the mapping."""
    if metrics is None:
        return [""] * (len(ALWAYS) + 3)
    return [metrics["side"], str(metrics["n"]), *(_number(metrics[m], 4) for m in ALWAYS), metrics["mapping"]]


def _title(metric: str) -> str:
    """The heading of a metric: `plcc_raw` is "PLCC raw"."""
    figure, *rest = metric.split("_")
    return " ".join([figure.upper(), *rest])


def _ends(entry: Mapping[str, Any]) -> list[str]:
    return [_number(entry["seconds"], 1), entry["status"], (entry["key"] or "")[:12]]


def _overrides(entry: Mapping[str, Any], width: int) -> list[str]:
    return _wrapped([f"{name}={value}" for name, value in entry["overrides"].items()], width, "  ")


def _wrapped(parts: Sequence[str], width: int, indent: str = "") -> list[str]:
    """Parts side by side, in as many lines as they need; continued lines are indented further."""
    lines: list[str] = []
    for part in filter(None, map(printable, parts)):
        if lines and cell_len(lines[-1]) + 2 + cell_len(part) <= width:
            lines[-1] += f"  {part}"
        else:
            lines.append(indent + ("  " if lines else "") + part)
    return lines


def _padded(cell: str, width: int, *, right: bool) -> str:
    blanks = " " * (width - cell_len(cell))
    return blanks + cell if right else cell + blanks


def _name(entry: Mapping[str, Any]) -> str:
    return f"{entry['method']} {entry['pair']}"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def print_forecasts(
    forecasts: Sequence[Forecast], image_bytes: int, features_seconds: float | None, features_bytes: int
) -> None:
    """Print what suites would do: a line per cell over its seeds, what is missing once, and the totals.

    Args:
        image_bytes: of decoded images.
        features_seconds: that missing features of frozen networks take, once for all runs; None: unknown.
        features_bytes: of these features.
    """
    cells: dict[str, list[Forecast]] = {}
    for forecast in forecasts:
        spec = forecast.spec
        budgets = "".join(f" {name} {value}" for name, value in
                          (("recipe", spec.recipe), ("budget", spec.budget), ("unlabeled", spec.unlabeled_budget))
                          if value is not None)
        cells.setdefault(f"{spec.method} {spec.pair} {spec.protocol}{budgets}", []).append(forecast)
    width = max(len(name) for name in cells)
    for name, runs in cells.items():
        counts = {status: sum(run.status == status for run in runs) for status in ("stored", "to run", "blocked")}
        state = ", ".join(f"{number} {status}" for status, number in counts.items() if number)
        open_runs = [run for run in runs if run.status != "stored"]
        time = f"  {_duration(open_runs[0].seconds)} a run" if open_runs else ""
        print(f"{name:<{width}}  {state:<22}{time}".rstrip())
    reasons: dict[str, int] = {}
    for forecast in forecasts:
        for reason in forecast.missing:
            reasons[reason] = reasons.get(reason, 0) + 1
    if reasons:
        print("\nMissing:")
        for reason, number in sorted(reasons.items(), key=lambda item: -item[1]):
            print(f"- for {number} run{'s' if number > 1 else ''}: {reason}")
    unknown = sum(forecast.seconds is None for forecast in forecasts)
    total = sum(forecast.seconds or 0.0 for forecast in forecasts)
    counts = {status: sum(f.status == status for f in forecasts) for status in ("stored", "to run", "blocked")}
    print(f"\n{', '.join(f'{number} {status}' for status, number in counts.items())}")
    print(f"All that is not stored, one run after the other on this machine: {_duration(total)}"
          f"{f', and {unknown} runs whose time is not known' if unknown else ''}. Stages that runs share are counted "
          f"in each of them.")
    if features_seconds != 0:
        both = "" if features_seconds is None else f" Together: {_duration(total + features_seconds)}."
        print(f"Missing features of frozen networks, once for all runs: {_duration(features_seconds)}.{both}")
    stored = sum(forecast.artifact_bytes for forecast in forecasts)
    features = f"{size_text(features_bytes)} of missing features, " if features_bytes else ""
    print(f"On disk: about {features}{size_text(image_bytes)} of decoded images, at most {size_text(stored)} of "
          f"weights.")


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown time"
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"about {seconds / length:.0f} {unit}"
    return f"about {seconds:.0f} s"


def size_text(count: float) -> str:
    """Bytes for people, three digits: 12.3 MB."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"
