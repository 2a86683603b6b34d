"""SRCC against the number of labels, from records: curves of learners, lines of metrics, gains in labels.

A gain in labels is read off the curve of `supervised`, learned from labels alone: with how many labels it reaches what
a learner reaches with fewer. Between two measured numbers of labels the curve is straight over the logarithm of the
number; beyond the measured ones nothing is claimed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from ssliqa_bench.files import canonical_json
from ssliqa_bench.leaderboard.bar import Reason, recipes_without_gain
from ssliqa_bench.leaderboard.collect import collect
from ssliqa_bench.leaderboard.compare import Stat, drawn_share, summarise
from ssliqa_bench.leaderboard.labels_only import uses_unlabeled
from ssliqa_bench.registry.schema import CONTROL
from ssliqa_bench.store.comparable import newest_of_cells
from ssliqa_bench.store.record import Record

LABELS_ONLY = "supervised"


@dataclass(frozen=True)
class Point:
    """SRCC at a number of labels, with its interval over the splits, None where there is none.

    `without_gain`: the method uses unlabeled images, and training on as many labels alone does not reach `ridge-probe`,
    or is not known to, so that its gain has no size in labels; None where it has one.
    """

    labels: int
    stat: Stat
    lo: float | None = None
    hi: float | None = None
    without_gain: Reason | None = None


@dataclass(frozen=True)
class LabelCurve:
    """A method over numbers of labels, in increasing order."""

    method: str
    title: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class HorizontalLine:
    """A method that learns nothing here.

    Attributes:
        mark: `seen` where its weights were trained on the dataset, `?` where that is not known, else "".
    """

    method: str
    title: str
    point: Point
    mark: str


@dataclass(frozen=True)
class Extra:
    """A gain over labels alone in labels.

    Attributes:
        count: further labels that the labels-only curve needs for the same SRCC; None where it does not reach that.
        bound: with `count` None the largest gain that the curve shows (`more`) or its smallest (`less`), in labels.
        side: `more` where the curve ends below, `less` where it begins above, "" where it is read off.
    """

    count: float | None
    bound: float | None = None
    side: str = ""


@dataclass(frozen=True)
class FewLabels:
    """Curves and lines on one dataset: of one pair, split, recipe and set of overrides.

    Attributes:
        name: what distinguishes it from others: pair, dataset, protocol, recipe.
        reference: the labels-only curve, None without one.
        demo: whether the dataset is generated.
        measure: what its points are, "SRCC", or "SRCC within parts" of a dataset that is ranked so.
    """

    pair: str
    dataset: str
    protocol: str
    recipe: str
    curves: tuple[LabelCurve, ...]
    lines: tuple[HorizontalLine, ...]
    demo: bool = False
    measure: str = "SRCC"

    @property
    def reference(self) -> LabelCurve | None:
        """The curve of labels alone."""
        return next((curve for curve in self.curves if curve.method == LABELS_ONLY), None)

    def extra(self, point: Point) -> Extra | None:
        """The gain of a point in labels; None without a labels-only curve of two points, where SRCC is undefined, and
        where boards show no gain of the recipe."""
        curve = self.reference
        if curve is None or len(curve.points) < 2 or point.stat.value is None or point.without_gain:
            return None
        return extra_labels(curve, point.labels, point.stat.value)


def few_labels(records: Iterable[Record]) -> list[FewLabels]:
    """All that records hold of SRCC against the number of labels, in any order of the records.

    Results that rest on unofficial labels are left out.
    """
    newest = newest_of_cells(records)
    hidden = _without_gain(newest)
    groups: dict[tuple[str, ...], dict[str, dict[str, list[Record]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    metrics: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in newest:
        for dataset, result in record.results.items():
            if result.dataset.side == "external":  # all its images are tested, not those of the split
                continue
            if record.uses_unofficial(dataset):
                continue
            if not record.facts.stages:
                if not record.submitted:
                    metrics[dataset, _test_part(record, dataset)].append(record)
                continue
            if record.facts.method.unlabeled_role == "labeled" or record.facts.method.family == CONTROL:
                continue
            cell = record.cell
            own = (cell.pair, dataset, cell.protocol, cell.recipe, canonical_json(cell.overrides),
                   _test_part(record, dataset))  # fmt: skip
            groups[own][cell.method][canonical_json(cell.budget)].append(record)
    found = []
    for place, methods in sorted(groups.items()):
        pair, dataset, protocol, recipe, _, part = place
        curves = tuple(_curve(methods[name], name, dataset, hidden) for name in sorted(methods))
        lines = _lines(metrics[dataset, part], dataset)
        runs = next(iter(next(iter(methods.values())).values()))
        about = runs[0].results[dataset].dataset
        measure = "SRCC" if about.rank_by == "srcc" else "SRCC within parts"
        found.append(FewLabels(pair, dataset, protocol, recipe, curves, lines, about.kind == "demo", measure))
    return sorted(found, key=lambda one: one.demo)  # human scores first


def extra_labels(curve: LabelCurve, labels: int, srcc: float) -> Extra:
    """How many labels beyond `labels` a curve needs to reach an SRCC, read off between its points."""
    known = [(point.labels, point.stat.value) for point in curve.points if point.stat.value is not None]
    counts = [math.log(count) for count, _ in known]
    # More labels do not harm: a dip is noise of the splits, and reading off needs a curve that never falls.
    values: list[float] = []
    for _, value in known:
        values.append(max(value, values[-1]) if values else value)
    if srcc > values[-1]:
        return Extra(None, known[-1][0] - labels, "more")
    if srcc < values[0]:
        return Extra(None, known[0][0] - labels, "less")
    k = next(k for k, value in enumerate(values) if value >= srcc)
    if k == 0 or values[k] == srcc:
        return Extra(float(known[k][0] - labels))
    share = (srcc - values[k - 1]) / (values[k] - values[k - 1])
    return Extra(math.exp(counts[k - 1] + share * (counts[k] - counts[k - 1])) - labels)


def _without_gain(records: Iterable[Record]) -> dict[str, Reason]:
    """Keys of the runs whose gains boards do not show, and why."""
    found: dict[str, Reason] = {}
    for section in (own for board in collect(records) for own in board.sections):
        reasons = recipes_without_gain(section)
        hidden = [row for row in section.rows if row.recipe in reasons and uses_unlabeled(row)]
        found.update({run.key: reasons[row.recipe] for row in hidden for run in row.runs.values()})
    return found


def _curve(
    budgets: Mapping[str, Sequence[Record]], method: str, dataset: str, hidden: Mapping[str, Reason]
) -> LabelCurve:
    """One point per budget: the splits of one budget may differ by an image, as groups do in size."""
    title = next(iter(next(iter(budgets.values())))).facts.method.title
    points = [
        replace(_point(round(fmean(map(_labels, runs))), runs, dataset), without_gain=hidden.get(runs[0].key))
        for runs in budgets.values()
    ]
    return LabelCurve(method, title, tuple(sorted(points, key=lambda point: point.labels)))


def _point(labels: int, runs: Sequence[Record], dataset: str) -> Point:
    ordered = sorted(runs, key=lambda run: run.cell.seed)
    values = [run.results[dataset].ranked_by for run in ordered]
    stat = summarise(values, ordered[0].facts.protocol.aggregate)
    defined = [value for value in values if value is not None]
    share = drawn_share(ordered[0], dataset)
    if share is None or len(defined) < len(values) or ordered[0].facts.protocol.aggregate != "mean":
        return Point(labels, stat)
    from ssliqa_bench.evaluation.comparisons import mean_correlation  # brings scipy

    ends = mean_correlation(defined, share)
    return Point(labels, stat) if ends is None else Point(labels, stat, *ends)


def _lines(records: Sequence[Record], dataset: str) -> tuple[HorizontalLine, ...]:
    """Methods without stages on the same test images; a seed counts once, whatever pair it was run for."""
    by_method: dict[str, dict[int, Record]] = defaultdict(dict)
    for record in sorted(records, key=lambda own: (own.created, own.key)):
        by_method[record.cell.method][record.cell.seed] = record
    found = []
    for method, runs in sorted(by_method.items()):
        point = _point(0, list(runs.values()), dataset)
        about = next(iter(runs.values())).facts.method
        seen = "?" if isinstance(about.trained_on, str) else "seen" if dataset in about.trained_on else ""
        found.append(HorizontalLine(method, about.title, point, seen))
    return tuple(found)


def _labels(record: Record) -> int:
    """How many scores a run learned from."""
    return sum(own.roles.get("labeled", 0) for own in record.datasets.values())


def _test_part(record: Record, dataset: str) -> str:
    """What the test images of a dataset follow from, beside the seed."""
    protocol, own = record.facts.protocol, record.results[dataset].dataset
    subset = protocol.subset
    if subset is not None and subset.get("datasets") is not None and dataset not in subset["datasets"]:
        subset = None
    tested = None if subset is None else own.roles.get("test")
    return canonical_json([own.fingerprint, dict(protocol.split), subset, tested])
