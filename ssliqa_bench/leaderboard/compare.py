"""Numbers over seeds: mean or median with spread, gains paired by seed, and what makes runs differ."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssliqa_bench.leaderboard.collect import Reference, Row, SettingRows
from ssliqa_bench.leaderboard.page import CodeText, Mark, Phrase, joined, phrase
from ssliqa_bench.store.record import Record

# The datasets that a user may add with --test change no result.
_PROTOCOL_TEXT = {"tests"}


@dataclass(frozen=True)
class Stat:
    """A number over seeds; value None where it is undefined, spread None with fewer than two seeds.

    The spread is the sample standard deviation beside a mean, the interquartile range beside a median.
    """

    value: float | None
    spread: float | None
    n: int


@dataclass(frozen=True)
class Paired:
    """A difference paired by seed, the row it was taken to, and sentences on what is missing or unlike.

    `differences`: one per seed of `seeds`; empty where one of them is undefined.
    """

    stat: Stat
    reference: Row | None = None
    notes: tuple[Phrase, ...] = ()
    differences: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()


NOTHING = Stat(None, None, 0)


def summarise(values: Sequence[float | None], aggregate: str) -> Stat:
    """Mean or median over seeds with its spread; undefined as soon as one value is.

    Leaving undefined values out would praise a method for the runs that failed.
    """
    defined = [value for value in values if value is not None]
    if not defined or len(defined) < len(values):
        return Stat(None, None, len(defined))
    # fmean and stdev sum without rounding, so the order of seeds cannot change a digit.
    several = len(defined) > 1
    if aggregate == "median":
        return Stat(statistics.median(defined), _interquartile_range(defined) if several else None, len(defined))
    return Stat(statistics.fmean(defined), statistics.stdev(defined) if several else None, len(defined))


def _interquartile_range(values: list[float]) -> float:
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return third - first


def over_seeds(row: Row, dataset: str, metric: str) -> Stat:
    """A stored metric over the seeds that were tested on a dataset."""
    return summarise([row.metric(seed, dataset, metric) for seed in row.tested(dataset)], row.aggregate)


def drawn_share(record: Record, dataset: str) -> float | None:
    """Share of a dataset in the test part; None where the seed does not draw it: fixed splits, external datasets."""
    split = record.facts.protocol.split
    if split["rule"] != "random" or record.results[dataset].dataset.side == "external":
        return None
    train, test = split["train"], split.get("test")
    return float(test / (train + test)) if test else 1.0 - float(train)


def test_fraction(section: SettingRows, dataset: str) -> float | None:
    """Share of a dataset in the test part; None where it is not drawn by the seed, or not alike for all rows."""
    runs = [run for row in section.rows for run in row.runs.values() if dataset in run.results]
    split = runs[0].facts.protocol.split
    return None if any(run.facts.protocol.split != split for run in runs) else drawn_share(runs[0], dataset)


def find_reference(row: Row, rows: Iterable[Row], kind: Reference) -> Row | None:
    """The comparator or oracle a row is measured against: of the method itself or of its nearest ancestor.

    It has the same recipe and overrides; a reference row is measured against the others of the same method.
    """
    candidates = [other for other in rows if other.reference == kind and other.setting == row.setting]
    lineage = [row.like if row.like is not None else row.method, *reversed(row.about.chain)]
    for name in lineage:
        found = [other for other in candidates if other.like == name and other is not row]
        if found:
            return min(found, key=lambda other: other.method)
    return None


def paired_gain(row: Row, rows: Iterable[Row], dataset: str, kind: Reference) -> Paired:
    """SRCC of a row minus SRCC of its comparator or oracle on one dataset, paired over common seeds; SRCC within parts
    where the dataset is ranked by that.

    A seed counts where both runs made the same number of steps and were tested on the same images.
    """
    if row.reference in (kind, "control"):
        return Paired(NOTHING)
    if row.submitted:
        return Paired(NOTHING, None, (phrase("submitted predictions; no step-matched comparator"),))
    if not any(run.facts.steps for run in row.runs.values()):
        fitted = any(run.facts.stages for run in row.runs.values())
        reason = "closed-form fit; no step-matched comparator" if fitted else "not trained; no comparator"
        return Paired(NOTHING, None, (phrase(reason),))
    reference = find_reference(row, rows, kind)
    if reference is None:
        missing = phrase(f"no {kind} of this method on record for this recipe and its overrides")
        return Paired(NOTHING, None, (missing,))
    return paired_difference(row, reference, dataset)


def paired_difference(row: Row, reference: Row, dataset: str, *, equal_steps: bool = True) -> Paired:
    """What two rows are ranked by on a dataset, subtracted seed by seed; seeds that cannot be compared are noted.

    Args:
        equal_steps: whether both runs of a seed must have made the same number of steps.
    """
    common: list[int] = []
    refused: list[tuple[Phrase, int]] = []
    for seed in row.tested(dataset):
        if seed not in reference.tested(dataset):
            refused.append((phrase("no record of ", CodeText(reference.method)), seed))
        elif unpaired := unlike_runs(row.runs[seed], reference, seed, dataset, equal_steps=equal_steps):
            refused.append((unpaired, seed))
        else:
            common.append(seed)
    notes = [
        phrase(reason, f" ({name_seeds(seed for own, seed in refused if own == reason)})")
        for reason in dict.fromkeys(own for own, _ in refused)
    ]
    if not common:
        return Paired(NOTHING, reference, tuple(phrase("not comparable: ", note) for note in notes))
    pairs = [(row.ranked_by(seed, dataset), reference.ranked_by(seed, dataset)) for seed in common]
    differences = [None if a is None or b is None else a - b for a, b in pairs]
    stat = summarise(differences, row.aggregate)
    said = [phrase(f"over {len(common)} of {len(row.seeds)} runs: ", joined(notes, "; "))] if notes else []
    if stat.value is None:
        said.append(phrase("SRCC is undefined in a run or in that of ", CodeText(reference.method)))
    unlike = sorted({part for seed in common for part in _unlike_parts(row.runs[seed], reference.runs[seed])})
    if unlike:
        differ = f" differ in {', '.join(unlike)}"
        said.append(phrase(Mark("mixed"), ": run and ", CodeText(reference.method), differ))
    defined = tuple(value for value in differences if value is not None)
    if len(defined) < len(differences):
        return Paired(stat, reference, tuple(said))
    return Paired(stat, reference, tuple(said), defined, tuple(common))


def change_over_stages(row: Row, dataset: str) -> Stat:
    """SRCC on a dataset after the last stage minus after the first; negative where something was forgotten."""
    changes: list[float | None] = []
    for seed in row.tested(dataset):
        stages = row.runs[seed].stage_metrics(dataset)
        if len(stages) < 2:
            return NOTHING
        first, last = stages[0].srcc, stages[-1].srcc
        changes.append(None if first is None or last is None else last - first)
    return summarise(changes, row.aggregate)


def mixed_parts(runs: Sequence[Record]) -> list[str]:
    """What differs between runs that one mean is taken over; empty where they are alike."""
    parts: dict[str, Callable[[Record], Any]] = {
        "code": lambda run: (run.facts.key_parts.get("class"), run.key_part("code")),
        "parameters": lambda run: (run.key_part("params"), run.key_part("backbones")),
        "pretrained weights": lambda run: run.key_part("weights"),
        "library versions": lambda run: run.key_part("versions"),
        "device": _device,
        "protocol": _protocol_fields,
        "evaluation version": lambda run: {own.evaluation_version for own in run.results.values()},
    }
    found = [name for name, part in parts.items() if any(part(run) != part(runs[0]) for run in runs[1:])]
    fingerprints: dict[str, set[str]] = {}
    for run in runs:
        for dataset, entry in run.datasets.items():
            fingerprints.setdefault(dataset, set()).add(entry.fingerprint)
    return found + [f"files of {name}" for name, seen in sorted(fingerprints.items()) if len(seen) > 1]


def name_seeds(seeds: Iterable[int]) -> str:
    """`seed 3`, `seeds 0, 1, 4` or `seeds 0 to 19`."""
    numbers = sorted(set(seeds))
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    words = [f"{own[0]} to {own[-1]}" if len(own) > 2 else ", ".join(map(str, own)) for own in parts]
    return f"seed{'s' if len(numbers) > 1 else ''} {', '.join(words)}"


def unlike_runs(run: Record, reference: Row, seed: int, dataset: str, *, equal_steps: bool = True) -> Phrase | None:
    """Why two runs of one seed cannot be subtracted."""
    other = reference.runs[seed]
    # Steps of the models on record: those of a teacher that does nothing but give labels are no part of them.
    steps = [record.facts.model_steps for record in (run, other)]
    if equal_steps and steps[0] != steps[1]:
        return phrase(f"{steps[0]} steps against {steps[1]} of ", CodeText(reference.method))
    mine, theirs = run.results[dataset], other.results[dataset]
    if mine.dataset.fingerprint != theirs.dataset.fingerprint:
        return phrase(f"the files of {dataset} have changed between the runs")
    if mine.metrics.n != theirs.metrics.n or _protocol_fields(run) != _protocol_fields(other):
        return phrase("tested on other images than ", CodeText(reference.method))
    if mine.evaluation_version != theirs.evaluation_version:
        return phrase("evaluated by different versions")
    return None


def _unlike_parts(run: Record, other: Record) -> list[str]:
    """What differs between two methods' runs, in the modules and libraries that both use."""
    found = []
    parts: dict[str, Callable[[Record], Mapping[str, Any]]] = {
        "code": lambda record: record.facts.code.files,
        "library versions": lambda record: record.key_part("versions"),
    }
    for name, part in parts.items():
        mine, theirs = part(run), part(other)
        if any(mine[key] != theirs[key] for key in mine.keys() & theirs.keys()):
            found.append(name)
    return found + (["device"] if _device(run) != _device(other) else [])


def _device(run: Record) -> tuple[Any, ...]:
    return run.facts.device, run.facts.threads, run.facts.precision, run.processes


def _protocol_fields(run: Record) -> dict[str, Any]:
    return run.facts.protocol.model_dump(exclude=_PROTOCOL_TEXT)
