"""`evaluate`, whose result shows itself in a notebook."""

from __future__ import annotations

import html
from collections.abc import Hashable, Sequence
from typing import Any

from ssliqa_bench.evaluation import metrics, names


class Evaluation(dict[str, Any]):
    """The metrics of one set of predictions, by name; ready for JSON."""

    def _repr_html_(self) -> str:
        intervals = self.get("intervals") or {}
        rows = []
        for name in (*names.ALWAYS, *self["extra"]):
            value = self.get(name, self["extra"].get(name))
            ends = intervals.get(name)
            interval = "" if ends is None else f"{ends['lo']:.4f} to {ends['hi']:.4f}"
            shown = "–" if value is None else f"{value:.4f}"
            rows.append(f"<tr><td>{html.escape(name)}</td><td>{shown}</td><td>{interval}</td></tr>")
        head = "<tr><th>metric</th><th>value</th><th>95 % interval</th></tr>"
        return f"<table>{head}{''.join(rows)}</table><p>{self['n']} images, mapping {html.escape(self['mapping'])}</p>"


def evaluate(
    predictions: Any,
    scores: Any,
    *,
    mapping: str = "logistic4",
    extra: Sequence[str] = (),
    groups: Sequence[Hashable] | None = None,
    bootstrap: int = 0,
    seed: int = 0,
) -> Evaluation:
    """All metrics of a set of predictions.

    Args:
        predictions: predicted quality, shape (n,), higher is better, any scale.
        scores: opinion scores, shape (n,), higher is better, in native units.
        mapping: fitted before PLCC and RMSE: logistic4, logistic5, linear or none.
        extra: further metrics by name.
        groups: what belongs together, n names, for the intervals; None makes each image its own.
        bootstrap: draws behind 95 % intervals; 0 leaves the intervals out.
        seed: of the draws.

    Returns:
        A dictionary with n, srcc, krcc, plcc_raw, plcc_mapped, rmse_mapped (native units), mapping (the status of the
        fit), extra and, where asked for, intervals. Undefined values are None.

    Raises:
        InputError: shapes differ, a value is not finite, n < 2, an unknown mapping or metric.
    """
    found = Evaluation(metrics.evaluate(predictions, scores, mapping=mapping, extra=extra))
    if bootstrap:
        from ssliqa_bench.evaluation.uncertainty import intervals

        found["intervals"] = intervals(predictions, scores, groups, mapping=mapping, resamples=bootstrap, seed=seed)
    return found
