"""Figures of records: scatter, training log, SRCC against labels, critical differences.

Colours are those of Okabe and Ito, which people with any colour vision can distinguish; markers and line styles differ
too. Imports matplotlib, the extra `[plots]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.constants import CONFIDENCE
from ssliqa_bench.evaluation.mapping import fit_mapping
from ssliqa_bench.leaderboard.few_labels import LABELS_ONLY, FewLabels
from ssliqa_bench.leaderboard.ranks import mean_ranks
from ssliqa_bench.store.predictions import Predictions
from ssliqa_bench.store.record import Record
from ssliqa_bench.text import one_line

SUFFIXES = (".png", ".svg", ".pdf")
# Okabe and Ito, "Color universal design" (2008), without yellow, which is faint on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DASHES = ("-", "--", "-.", ":")
_GREY = "#666666"
_MOST_SERIES = 6
# In a log, but no quantity that training moves.
_BOOKKEEPING = ("epoch", "seconds", "images_per_second", "lr", "labeled", "unlabeled")
_KINDS = ("loss", "other quantities")
_STYLE: Any = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10, "legend.frameon": False,
    "figure.dpi": 150, "svg.hashsalt": "ssliqa-bench", "svg.fonttype": "none", "pdf.fonttype": 42,
}  # fmt: skip


def save(figure: Figure, file: Path) -> None:
    """Write a figure as PNG, SVG or PDF, by the suffix; the same figure gives the same bytes.

    Raises:
        InputError: another suffix.
    """
    if file.suffix.lower() not in SUFFIXES:
        raise InputError(f'{file}: the suffix is "{file.suffix}"; expected one of {", ".join(SUFFIXES)}.')
    dates = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with matplotlib.rc_context(_STYLE):
        figure.savefig(file, metadata=dates[file.suffix.lower()], bbox_inches="tight")


def scatter(record: Record, rows: Mapping[str, Predictions]) -> Figure:
    """Scores over predictions with the fitted curve, one panel for each dataset."""
    with matplotlib.rc_context(_STYLE):
        figure, axes = _panels(len(rows), width=3.6, height=3.4)
        for axis, (dataset, own) in zip(axes, rows.items()):
            x, y = np.array(own.prediction), np.array(own.score, dtype=np.float64)
            size = float(np.clip(4000 / len(x), 4, 22))
            axis.scatter(x, y, s=size, color=_COLOURS[0], alpha=0.55, linewidths=0)
            metrics = record.results[dataset].metrics
            kind = record.facts.protocol.mapping
            if kind != "none" and len(x) >= 5:
                at = np.linspace(x.min(), x.max(), 200)
                curve = fit_mapping(x, y, kind=kind).apply(at)
                axis.plot(at, curve, color=_COLOURS[1], linewidth=1.8, label=f"{kind} ({metrics.mapping})")
                axis.legend(loc="upper left", fontsize=8)
            side = record.results[dataset].dataset.side
            axis.set_title(f"{_text(dataset)} ({side}), {len(x):,} images")
            axis.set_xlabel("prediction")
            axis.set_ylabel("opinion score")
            told = f"SRCC {_figure(metrics.srcc)}\nPLCC {_figure(metrics.plcc_mapped)}"
            axis.text(0.97, 0.04, told, transform=axis.transAxes, ha="right", va="bottom", fontsize=8, color=_GREY)
        figure.suptitle(_name(record), fontsize=10)
        return figure


def log(record: Record) -> Figure:
    """What training logged, epoch by epoch: one column for each stage, losses above all else.

    Raises:
        InputError: nothing was logged.
    """
    stages = [stage for stage in record.facts.stages if len(stage.log) > 1]
    if not stages:
        raise InputError(f"Record {record.key[:12]}: its stages logged no epochs, so there is nothing to draw.")
    chosen = [_logged(stage.log) for stage in stages]
    kinds = [kind for kind in _KINDS if any(own[kind] for own in chosen)]
    with matplotlib.rc_context(_STYLE):
        figure, axes = _panels(len(kinds) * len(stages), width=4.8, height=2.5, columns=len(stages))
        for row, kind in enumerate(kinds):
            for column, (stage, own) in enumerate(zip(stages, chosen)):
                axis, names = axes[row * len(stages) + column], own[kind]
                _draw_log(axis, stage.log, names[:_MOST_SERIES])
                left = len(names) - _MOST_SERIES
                axis.set_ylabel(kind if left <= 0 else f"{kind}\n({left} more not drawn)")
                axis.set_xlabel("epoch")
                if row == 0:
                    axis.set_title(f"{_text(stage.name)}, {stage.steps:,} steps")
        figure.suptitle(_name(record), fontsize=10)
        return figure


def activations(
    record: Record, names: Sequence[str], maps: Mapping[str, Sequence[tuple[NDArray[np.uint8], NDArray[np.float64]]]]
) -> Figure:
    """Images with what raises the prediction laid over them: a row for each network, the images themselves above.

    Args:
        names: of the images.
        maps: by row, for each image the pixels (h, w, 3) that were looked at and values (h, w) in [0, 1].
    """
    with matplotlib.rc_context(_STYLE):
        figure, axes = _panels((len(maps) + 1) * len(names), width=2.4, height=2.2, columns=len(names))
        for k, axis in enumerate(axes):
            row, column = divmod(k, len(names))
            stage = None if row == 0 else list(maps)[row - 1]
            pixels, values = next(iter(maps.values()))[column] if stage is None else maps[stage][column]
            axis.imshow(pixels if stage is None else pixels.mean(axis=2), cmap="gray", vmin=0, vmax=255)
            if stage is not None:
                shown = axis.imshow(values, cmap="viridis", vmin=0, vmax=1, alpha=0.55)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
            if row == 0:
                axis.set_title(_text(names[column]), fontsize=8)
            if column == 0:
                axis.set_ylabel("image" if stage is None else _text(stage))
        figure.colorbar(shown, ax=axes, shrink=0.6, label="raises the prediction (Grad-CAM)")
        figure.suptitle(_name(record), fontsize=10)
        return figure


def curve(found: FewLabels) -> Figure:
    """SRCC against the number of labels with intervals; metrics as lines, marked where they have seen the data."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axis = figure.subplots()
        order = sorted(found.curves, key=lambda own: (own.method != LABELS_ONLY, own.method))
        total = len(order)
        for k, own in enumerate(order):
            points = [point for point in own.points if point.stat.value is not None]
            # Intervals of methods at one number of labels would hide each other.
            shift = 1.0 + 0.03 * (k - (total - 1) / 2)
            x = np.array([point.labels * shift for point in points])
            y = np.array([point.stat.value for point in points], dtype=np.float64)
            colour, marker = _COLOURS[k % len(_COLOURS)], _MARKERS[k % len(_MARKERS)]
            style = _DASHES[k // len(_COLOURS) % len(_DASHES)]
            ends = [(point.lo, point.hi) for point in points]
            known = [k for k, (lo, hi) in enumerate(ends) if lo is not None and hi is not None]
            lines = np.array([ends[k] for k in known], dtype=np.float64).reshape(-1, 2).T
            axis.plot(x, y, style, color=colour, marker=marker, markersize=4.5, linewidth=1.5, label=_text(own.method))
            axis.vlines(x[known], *lines, color=colour, linewidth=1)
        axis.set_xscale("log")
        counts = sorted({point.labels for own in order for point in own.points})
        axis.set_xticks(counts, [f"{count:,}" for count in counts])
        axis.minorticks_off()
        if len(counts) == 1:
            axis.set_xlim(counts[0] / 2, counts[0] * 2)
        for line in found.lines:
            if line.point.stat.value is None:
                continue
            axis.axhline(line.point.stat.value, color=_GREY, linewidth=1, linestyle=(0, (1, 2)))
            mark = f" ({line.mark})" if line.mark else ""
            axis.annotate(_text(line.method) + mark, (1.0, line.point.stat.value), xycoords=("axes fraction", "data"),
                          xytext=(4, 0), textcoords="offset points", va="center", fontsize=8, color=_GREY)  # fmt: skip
        axis.set_xlabel("images with a score")
        axis.set_ylabel(f"{found.measure} on {_text(found.dataset)}")
        axis.set_title(f"{_text(found.pair)}, protocol {_text(found.protocol)}, recipe {_text(found.recipe)}")
        figure.legend(fontsize=8, loc="outside lower center", ncols=4)
        return figure


def critical_difference(table: Mapping[str, Mapping[str, float]], confidence: float = CONFIDENCE) -> Figure:
    """Mean ranks of methods over datasets; a bar joins those that are not distinguished.

    Args:
        table: SRCC by method, then by dataset; all methods on the same datasets.

    Raises:
        InputError: fewer than six datasets or two methods.

    Source: Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7 (2006), Nemenyi's test.
    """
    found = mean_ranks(table, confidence)
    ranks, difference, order, datasets = found.ranks, found.difference, found.order, found.datasets
    with matplotlib.rc_context(_STYLE):
        half = (len(order) + 1) // 2
        bars = found.joined
        height = 0.9 + 0.28 * half + 0.14 * len(bars)
        figure = Figure(figsize=(7.2, height))
        axis = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axis.set_axis_off()
        span = max(len(order) - 1, 1)
        axis.set_xlim(1 - 0.5 * span, len(order) + 0.5 * span)
        depth = 0.6 + 0.14 * len(bars)
        axis.set_ylim(-(depth + 0.28 * half), 0.75)
        axis.hlines(0, 1, len(order), color="black", linewidth=1)
        for tick in range(1, len(order) + 1):
            axis.vlines(tick, 0, 0.1, color="black", linewidth=1)
            axis.text(tick, 0.14, str(tick), ha="center", va="bottom", fontsize=8)
        for k, name in enumerate(order):
            left = k < half
            level = -(depth + 0.28 * (k if left else len(order) - 1 - k))
            end = 1 - 0.06 * span if left else len(order) + 0.06 * span
            axis.plot([ranks[name], ranks[name], end], [0, level, level], color=_GREY, linewidth=0.9)
            axis.plot(ranks[name], 0, "o", color=_COLOURS[0], markersize=4.5)
            axis.text(end + (-0.02 if left else 0.02) * span, level, f"{_text(name)}  {ranks[name]:.2f}",
                      ha="right" if left else "left", va="center", fontsize=8.5)  # fmt: skip
        for k, (best, worst) in enumerate(bars):
            axis.hlines(-0.22 - 0.14 * k, best - 0.03, worst + 0.03, color=_COLOURS[1], linewidth=3.5)
        axis.hlines(0.58, 1, min(1 + difference, len(order)), color="black", linewidth=1.5)
        axis.text(1, 0.66, f"critical difference {difference:.2f}, {len(datasets)} datasets, {100 * confidence:.0f} %",
                  fontsize=8, va="bottom")  # fmt: skip
        return figure


def _panels(count: int, *, width: float, height: float, columns: int | None = None) -> tuple[Figure, list[Any]]:
    columns = min(count, 3) if columns is None else columns
    lines = -(-count // columns)
    figure = Figure(figsize=(width * columns, height * lines), layout="constrained")
    axes = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes


def _draw_log(axis: Any, entries: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    if not names:
        axis.text(0.5, 0.5, "none logged", ha="center", va="center", transform=axis.transAxes, color=_GREY)
        return
    for k, name in enumerate(names):
        x, y = zip(*_numbers(entries, name))
        axis.plot(x, y, _DASHES[k % len(_DASHES)], color=_COLOURS[k % len(_COLOURS)], linewidth=1.4,
                  label=_text(name.replace("_", " ")))  # fmt: skip
    axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _logged(entries: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Names of logged quantities by kind."""
    names = [name for name in dict.fromkeys(key for entry in entries for key in entry)
             if name not in _BOOKKEEPING and _numbers(entries, name)]  # fmt: skip
    losses = [name for name in names if "loss" in name]
    return dict(zip(_KINDS, (losses, [name for name in names if name not in losses])))


def _numbers(entries: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, float]]:
    """Epoch and value of a quantity, where it is a number."""
    return [(entry.get("epoch", k + 1), float(entry[name])) for k, entry in enumerate(entries)
            if isinstance(entry.get(name), (int, float)) and not isinstance(entry.get(name), bool)]  # fmt: skip


def _name(record: Record) -> str:
    cell = record.cell
    return _text(f"{cell.method}, {cell.pair}, protocol {cell.protocol}, seed {cell.seed}")


def _text(text: str) -> str:
    """Text that matplotlib prints as it is: a dollar sign would begin a formula."""
    return one_line(text).replace("$", r"\$")


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
