"""Rows of records compared with each other, one dataset at a time: overall, by part, image by image.

How sure a difference is follows from what was repeated. Test parts drawn anew by each seed: the corrected resampled
t-test over splits, from stored metrics alone. One test part, whatever the number of seeds: draws of its groups, from
the predictions; where scores are withheld this is not recomputable here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.breakdown import breakdown
from ssliqa_bench.evaluation.comparisons import Comparison, compare_fixed, compare_splits, holm
from ssliqa_bench.evaluation.constants import MINIMUM_SPLITS
from ssliqa_bench.evaluation.paired_tables import PARTS, ImageDifference, by_gap, by_label, in_order, most_different
from ssliqa_bench.files import canonical_json
from ssliqa_bench.leaderboard.compare import drawn_share
from ssliqa_bench.store.comparable import age
from ssliqa_bench.store.predictions import Predictions
from ssliqa_bench.store.record import Record

NOT_RECOMPUTABLE = "not recomputable here"
NO_GROUPS = "no interval: the records do not state which images belong together; run them again"
ReadPredictions = Callable[[Record, str], Predictions]


@dataclass(frozen=True)
class Contender:
    """Records that differ in the seed alone: the newest of each seed."""

    name: str
    runs: Mapping[int, Record]


@dataclass(frozen=True)
class Duel:
    """The first contender against another on one dataset.

    Attributes:
        seeds: those that both have.
        first, second: mean over these seeds of `measure`, None where one is undefined.
        overall: difference of `measure`; None where it cannot be computed, `reason` says why.
        how: `splits` (over random splits) or `images` (over images of one test part).
        by: difference by label of `distortion`, `level` and `part`, verdicts corrected for the number of labels; None
            for a label with too few images.
        images: those that the two place furthest apart, the furthest first, each with its mean over the splits that
            test it; empty where names are withheld.
        reason: what is missing, "" where nothing is.
        measure: "SRCC", or over splits of a dataset that boards rank so "SRCC within parts".
        unofficial: whether one of the two used scores that no source of the dataset passes on.
        plcc: PLCC after the mapping of either, mean over these seeds; None where one is undefined.
        plcc_difference: over splits, the difference of it; None elsewhere, since a mapping fitted to few images moves
            with the images that are drawn.
    """

    dataset: str
    one: str
    other: str
    seeds: tuple[int, ...]
    first: float | None
    second: float | None
    overall: Comparison | None
    how: str
    by: dict[str, dict[str, Comparison | None]]
    images: tuple[ImageDifference, ...]
    reason: str = ""
    measure: str = "SRCC"
    unofficial: bool = False
    plcc: tuple[float | None, float | None] = (None, None)
    plcc_difference: Comparison | None = None


def contenders(records: Iterable[Record]) -> list[Contender]:
    """Records grouped into contenders, in the order in which each is first met."""
    found: dict[str, dict[int, Record]] = {}
    for record in records:
        cell = record.cell.model_dump()
        seed = cell.pop("seed")
        runs = found.setdefault(canonical_json(cell), {})
        if seed not in runs or age(record) > age(runs[seed]):
            runs[seed] = record
    names = _names([next(iter(runs.values())) for runs in found.values()])
    return [Contender(name, dict(sorted(runs.items()))) for name, runs in zip(names, found.values(), strict=True)]


def matches(found: Sequence[Contender]) -> tuple[list[tuple[Contender, Contender]], list[Contender]]:
    """Which contenders are compared: the first method with each other one, within the settings that both have.

    A setting is all that a cell states except method, overrides and seed. A method that shares no setting with the
    first is compared with the first contender, as are further settings of the first method where it is alone.

    Returns:
        The pairs, and the contenders that are in none.
    """
    method = _method(found[0])
    own = [contender for contender in found if _method(contender) == method]
    references: dict[str, Contender] = {}
    for contender in own:
        references.setdefault(_setting(contender), contender)
    alone = len(own) == len(found)
    pairs = []
    for contender in own[1:]:
        reference = references[_setting(contender)]
        if reference is not contender:
            pairs.append((reference, contender))
        elif alone:
            pairs.append((found[0], contender))
    for name in dict.fromkeys(_method(contender) for contender in found if _method(contender) != method):
        others = [contender for contender in found if _method(contender) == name]
        shared = [contender for contender in others if _setting(contender) in references]
        pairs += [(references[_setting(contender)], contender) for contender in shared]
        pairs += [] if shared else [(found[0], contender) for contender in others]
    compared = {id(contender) for pair in pairs for contender in pair}
    return pairs, [contender for contender in found if id(contender) not in compared]


def meet(one: Contender, other: Contender) -> bool:
    """Whether two contenders have a seed and a dataset in common."""
    return any(one.runs[seed].results.keys() & other.runs[seed].results.keys() for seed in one.runs.keys() & other.runs)


def duels(one: Contender, other: Contender, read: ReadPredictions, *, images: int = 10) -> list[Duel]:
    """A contender against another on every dataset that both were tested on, by name.

    Args:
        read: the predictions of a record for a dataset; called only where stored metrics do not serve.
        images: how many images are listed.

    Raises:
        InputError: they share no dataset, or no seed on any.
    """
    found = []
    for dataset in sorted({name for run in one.runs.values() for name in run.results}):
        seeds = tuple(
            seed
            for seed in one.runs.keys() & other.runs.keys()
            if dataset in one.runs[seed].results and dataset in other.runs[seed].results
        )
        if seeds:
            found.append(_duel(one, other, dataset, tuple(sorted(seeds)), read, images))
    if not found:
        raise InputError(
            f"{one.name} and {other.name} share no seed and dataset, so there is nothing to pair: got seeds "
            f"{_listed(one.runs)} of {', '.join(_tested(one)) or 'no dataset'} and {_listed(other.runs)} of "
            f"{', '.join(_tested(other)) or 'no dataset'}."
        )
    return found


def _method(contender: Contender) -> str:
    return next(iter(contender.runs.values())).cell.method


def _setting(contender: Contender) -> str:
    """What two methods must share so that the method alone distinguishes them."""
    cell = next(iter(contender.runs.values())).cell.model_dump()
    return canonical_json({key: value for key, value in cell.items() if key not in ("method", "seed", "overrides")})


def _duel(one: Contender, other: Contender, dataset: str, seeds: tuple[int, ...], read: ReadPredictions,
          images: int) -> Duel:  # fmt: skip
    ours, theirs = [one.runs[seed] for seed in seeds], [other.runs[seed] for seed in seeds]
    duel = Duel(dataset, one.name, other.name, seeds, _mean(ours, dataset), _mean(theirs, dataset), None, "images", {},
                (), unofficial=any(run.uses_unofficial(dataset) for run in (*ours, *theirs)),
                plcc=(_mean_plcc(ours, dataset), _mean_plcc(theirs, dataset)))  # fmt: skip
    for mine, its in zip(ours, theirs, strict=True):
        if reason := _unlike(mine, its, dataset):
            return replace(duel, reason=f"not comparable: {reason} (seed {mine.cell.seed})")
    # Training seeds leave the test part as it is: one part, however often it is named.
    parts = {run.results[dataset].dataset.split_hash for run in ours}
    fraction = drawn_share(ours[0], dataset)
    redrawn = fraction is not None and len(parts) == len(seeds)
    withheld = any(run.results[dataset].withheld for run in (*ours, *theirs))
    few = redrawn and 1 < len(seeds) < MINIMUM_SPLITS
    if withheld and not redrawn:
        return replace(duel, reason=NOT_RECOMPUTABLE)
    rows = [] if withheld else [(read(a, dataset), read(b, dataset)) for a, b in zip(ours, theirs, strict=True)]
    rows = [(a, _in_order_of(a, b, dataset)) for a, b in rows]
    if few:
        said = f"over {len(seeds)} splits there is no interval; {MINIMUM_SPLITS} are needed"
        duel = replace(duel, how="splits", reason=said)
    elif redrawn and fraction is not None and len(seeds) > 1:
        if ours[0].results[dataset].dataset.rank_by != "srcc":
            duel = replace(duel, measure="SRCC within parts", first=_mean_rank(ours, dataset),
                           second=_mean_rank(theirs, dataset))  # fmt: skip
        duel = _over_splits(duel, ours, theirs, rows, fraction)
    elif withheld:
        return replace(duel, reason=NOT_RECOMPUTABLE)
    else:
        duel = _over_images(duel, rows)
    return replace(duel, images=_images(rows, images))


def _over_splits(duel: Duel, ours: Sequence[Record], theirs: Sequence[Record],
                 rows: Sequence[tuple[Predictions, Predictions]], fraction: float) -> Duel:  # fmt: skip
    """The comparison from stored metrics; parts that are not stored are computed from the rows."""
    pairs = [(a.results[duel.dataset].ranked_by, b.results[duel.dataset].ranked_by)
             for a, b in zip(ours, theirs, strict=True)]  # fmt: skip
    gaps = [a - b for a, b in pairs if a is not None and b is not None]
    by: dict[str, dict[str, Comparison | None]] = {}
    for name in PARTS:
        first = [_by_label_of(run, duel.dataset, name, rows[k][0] if rows else None) for k, run in enumerate(ours)]
        second = [_by_label_of(run, duel.dataset, name, rows[k][1] if rows else None) for k, run in enumerate(theirs)]
        if not any(first) or not any(second):
            continue
        found: dict[str, Comparison | None] = {}
        for label in in_order({label for values in first for label in values}):
            both = [(a.get(label), b.get(label)) for a, b in zip(first, second, strict=True)]
            own = [x - y for x, y in both if x is not None and y is not None]
            found[label] = compare_splits(own, fraction) if len(own) >= MINIMUM_SPLITS else None
        by[name] = _corrected(found)
    mapped = [(a.results[duel.dataset].metrics.plcc_mapped, b.results[duel.dataset].metrics.plcc_mapped)
              for a, b in zip(ours, theirs, strict=True)]  # fmt: skip
    known = [a - b for a, b in mapped if a is not None and b is not None]
    if len(known) == len(mapped):
        duel = replace(duel, plcc_difference=compare_splits(known, fraction))
    if len(gaps) < len(pairs):
        return replace(duel, how="splits", by=by, reason=f"{duel.measure} is undefined in a run")
    return replace(duel, how="splits", by=by, overall=compare_splits(gaps, fraction))


def _by_label_of(run: Record, dataset: str, name: str, rows: Predictions | None) -> dict[str, float | None]:
    """SRCC by label, as the record states it, else from its rows; empty where neither has any."""
    stored = run.results[dataset].metrics.by or {}
    for kind, found in stored.items():
        if kind == name:
            return {label: part.srcc for label, part in found.values.items()}
    labels = None if rows is None else getattr(rows, name)
    if rows is None or labels is None:
        return {}
    values = breakdown(rows.prediction, rows.score, {name: labels})[name]["values"]
    return {label: part["srcc"] for label, part in values.items()}


def _over_images(duel: Duel, rows: Sequence[tuple[Predictions, Predictions]]) -> Duel:
    """The comparison over the groups of images of one test part, by one or several training seeds."""
    base = rows[0][0]
    if base.group is None:
        return replace(duel, reason=NO_GROUPS)
    first = np.array([_in_order_of(base, a, duel.dataset).prediction for a, _ in rows])
    second = np.array([_in_order_of(base, b, duel.dataset).prediction for _, b in rows])
    scores = np.array(base.score, dtype=np.float64)
    by: dict[str, dict[str, Comparison | None]] = {}
    for name in PARTS:
        labels = getattr(base, name)
        if labels is not None:
            by[name] = dict(by_label(first, second, scores, base.group, labels))
    flat = any(len(np.unique(row)) < 2 for row in (scores, *first, *second))
    if flat:
        return replace(duel, by=by, reason="SRCC is undefined in a run")
    return replace(duel, by=by, overall=compare_fixed(first, second, scores, base.group))


def _corrected(found: Mapping[str, Comparison | None]) -> dict[str, Comparison | None]:
    corrected = holm({label: one for label, one in found.items() if one is not None})
    return {label: corrected.get(label) for label in found}


def _images(rows: Sequence[tuple[Predictions, Predictions]], most: int) -> tuple[ImageDifference, ...]:
    """Images by the mean gap over the splits that test them."""
    seen: list[ImageDifference] = []
    for a, b in rows:
        seen += most_different(a.image, np.array(a.score, dtype=np.float64), np.array(a.prediction),
                               np.array(b.prediction))  # fmt: skip
    seen.sort(key=lambda one: one.image)
    means = []
    for name, own in groupby(seen, key=lambda one: one.image):
        group = list(own)
        columns = np.array([[one.score, one.first, one.second, one.truth] for one in group]).mean(axis=0)
        means.append(ImageDifference(name, *map(float, columns)))
    return by_gap(means)[:most]


def _in_order_of(base: Predictions, rows: Predictions, dataset: str) -> Predictions:
    """Rows in the order of others with the same images."""
    if rows.image == base.image:
        return rows
    place = {name: row for row, name in enumerate(rows.image)}
    if place.keys() != set(base.image):
        raise InputError(f"{dataset}: the records hold predictions for other images; nothing can be paired.")
    order = [place[name] for name in base.image]

    def taken(column: Sequence[Any] | None) -> Any:
        return None if column is None else tuple(column[row] for row in order)

    labels = {name: taken(getattr(rows, name)) for name in ("group", *PARTS)}
    return Predictions(base.image, taken(rows.score), taken(rows.prediction), **labels)


def _unlike(one: Record, other: Record, dataset: str) -> str:
    """Why two records of one seed cannot be paired on a dataset; "" where they can."""
    mine, its = one.results[dataset], other.results[dataset]
    if mine.dataset.fingerprint != its.dataset.fingerprint:
        return f"the files of {dataset} have changed between the runs"
    if mine.metrics.n != its.metrics.n:
        return f"tested on {mine.metrics.n} and {its.metrics.n} images"
    # The hash of a split also holds roles other than test, which budgets change; the split fields do not.
    fields = ("split", "subset", "validation") if mine.dataset.side != "external" else ("subset",)
    stated = [run.facts.protocol.model_dump(include=set(fields)) for run in (one, other)]
    return "" if stated[0] == stated[1] else "tested on other images, by another protocol"


def _mean(runs: Sequence[Record], dataset: str) -> float | None:
    return _mean_of([run.results[dataset].metrics.srcc for run in runs])


def _mean_rank(runs: Sequence[Record], dataset: str) -> float | None:
    return _mean_of([run.results[dataset].ranked_by for run in runs])


def _mean_plcc(runs: Sequence[Record], dataset: str) -> float | None:
    return _mean_of([run.results[dataset].metrics.plcc_mapped for run in runs])


def _mean_of(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if len(defined) == len(values) else None


def _names(records: Sequence[Record]) -> list[str]:
    """A name for each contender: the method, with what else distinguishes it from the others."""
    parts = [
        {
            "pair": record.cell.pair,
            "protocol": record.cell.protocol,
            "recipe": record.cell.recipe,
            "budget": _budget(record.cell.budget),
            "unlabeled": _budget(record.cell.unlabeled_budget).replace("budget", "unlabeled"),
            "overrides": " ".join(f"{key}={value}" for key, value in sorted(record.cell.overrides.items())),
        }
        for record in records
    ]
    told = [name for name in parts[0] if len({own[name] for own in parts}) > 1] if parts else []
    return [
        " ".join([record.cell.method, *(own[name] for name in told if own[name])])
        for record, own in zip(records, parts, strict=True)
    ]


def _budget(value: int | float | None) -> str:
    return "" if value is None else f"budget {value}"


def _tested(contender: Contender) -> list[str]:
    return sorted({name for run in contender.runs.values() for name in run.results})


def _listed(runs: Mapping[int, Record]) -> str:
    return ", ".join(map(str, runs))
