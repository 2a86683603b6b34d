"""`compare`: records or files of predictions against each other."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssliqa_bench.cli import options
from ssliqa_bench.errors import InputError
from ssliqa_bench.paths import file_to_read
from ssliqa_bench.text import one_line

if TYPE_CHECKING:
    from ssliqa_bench.evaluation.comparisons import Comparison
    from ssliqa_bench.evaluation.paired_tables import ImageDifference, TableComparison
    from ssliqa_bench.leaderboard.versus import Duel
    from ssliqa_bench.store.record import Record

_ABOUT = (
    "First digits of a record's key, or the name of a method for all its records; or two files with the columns image, "
    "prediction and score."
)
# Endings of tables: a word with one of them is a file that is not there, and no record.
_TABLES = (".csv", ".tsv", ".txt", ".xlsx", ".json", ".parquet")
_EXPECTED = "a table with the columns image, prediction and score, a method of the store, or the key of a record"


def register(app: typer.Typer) -> None:
    """Attach the command."""
    app.command()(compare)


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN …", help=_ABOUT)],
    store: options.Store = options.DEFAULT_STORE,
    images: Annotated[
        int, typer.Option("--images", min=0, max=10_000, help="How many of the most different images to list.")
    ] = 10,
    as_json: options.Json = False,
) -> None:
    """Compare the first RUN with each of the others: difference of SRCC with interval, by part, and image by image.

    Records that differ only in the seed are compared together. Over random splits the interval is that of the
    corrected resampled t-test; on a single test part it comes from resampling its groups.
    """
    from ssliqa_bench.cli.output import print_json

    if len(runs) == 2 and all(os.path.isfile(run) for run in runs):
        from ssliqa_bench.evaluation.paired_tables import compare as compare_files

        found = compare_files(*runs, images=images)
        if as_json:
            print_json(_json_of(found))
        else:
            _print_tables(runs, found)
        return
    duels = _duels(runs, store, images)
    if as_json:
        print_json({"comparisons": [_json_of(duel) for duel in duels]})
        return
    for number, duel in enumerate(duels):
        if number:
            print()
        _print_duel(duel)


def _duels(runs: Sequence[str], store: Path, images: int) -> list[Duel]:
    from ssliqa_bench.leaderboard.versus import contenders, duels, matches, meet
    from ssliqa_bench.store.records import read_predictions

    found = contenders(_records(runs, store))
    if len(found) < 2:
        raise InputError(
            f"compare: got {len(found)} row of records ({', '.join(own.name for own in found)}); expected records of "
            f'at least two methods or settings. "ssliqa-bench store ls --store {store}" lists all.'
        )
    pairs, left = matches(found)
    for contender in left:
        print(one_line(f"Not compared: {contender.name}: no other method named has records in this setting."),
              file=sys.stderr)  # fmt: skip
    met = [(one, other) for one, other in pairs if meet(one, other)]
    for one, other in pairs:
        if met and (one, other) not in met:
            print(one_line(f"Not compared: {other.name} shares no seed and dataset with {one.name}."), file=sys.stderr)
    return [
        duel
        for one, other in met or pairs[:1]
        for duel in duels(one, other, lambda run, dataset: read_predictions(store, run.key, dataset), images=images)
    ]


def _records(runs: Sequence[str], store: Path) -> list[Record]:
    """The records that words on the command line mean, in that order."""
    from ssliqa_bench.store.comparable import newest_of_cells
    from ssliqa_bench.store.records import find_record, iter_records

    records = list(iter_records(store))
    by_key = {record.key: record for record in records}
    found: list[Record] = []
    for run in runs:
        named = [record for record in newest_of_cells(records) if record.cell.method == run]
        if not named and _is_path(run):
            file = file_to_read(run, _EXPECTED)
            raise InputError(f"{file}: is a file; expected two files, or records of one store.")
        found += named or [by_key[find_record(store, run, others={record.cell.method for record in records})]]
    return found


def _is_path(word: str) -> bool:
    """Whether a word names a place in the file system rather than a record."""
    return os.path.lexists(word) or os.sep in word or Path(word).suffix.lower() in _TABLES


def _print_duel(duel: Duel) -> None:
    seeds = f"{len(duel.seeds)} seeds" if len(duel.seeds) > 1 else f"seed {duel.seeds[0]}"
    print(one_line(f"{duel.dataset}: {duel.one} less {duel.other}, {seeds}"))
    if duel.unofficial:
        print("  unofficial labels: no source of the dataset publishes the scores that were used")
    print(f"  {duel.measure} {_number(duel.first)} and {_number(duel.second)}")
    if duel.overall is not None:
        unit = "splits" if duel.how == "splits" else "groups of images"
        print(f"  difference {_difference(duel.overall)}, over {duel.overall.n:,} {unit}")
    if None not in duel.plcc:
        print(f"  PLCC after the mapping {_number(duel.plcc[0])} and {_number(duel.plcc[1])}")
    if duel.plcc_difference is not None:
        print(f"  difference {_difference(duel.plcc_difference)}, over {duel.plcc_difference.n:,} splits")
    if duel.reason:
        print(f"  {duel.reason}")
    _print_parts(duel.by)
    _print_images(duel.images, duel.one, duel.other)


def _print_tables(runs: Sequence[str], found: TableComparison) -> None:
    print(one_line(f"{runs[0]} less {runs[1]}, {found.n:,} images"))
    print(f"  SRCC {_number(found.first)} and {_number(found.second)}")
    unit = "images" if found.overall.n == found.n else "groups of images"
    print(f"  difference {_difference(found.overall)}, over {found.overall.n:,} {unit}")
    _print_parts(found.by)
    _print_images(found.images, *(Path(run).stem for run in runs))


def _print_parts(by: Any) -> None:
    for name, values in by.items():
        print(f"\n  by {name} (verdicts corrected for {sum(one is not None for one in values.values())})")
        width = max((len(one_line(label)) for label in values), default=0)
        for label, one in values.items():
            told = "too few images" if one is None else _difference(one)
            print(f"    {one_line(label):<{width}}  {told}")


def _print_images(images: Sequence[ImageDifference], first: str, second: str) -> None:
    if not images:
        return
    width = max(len("image"), *(len(one_line(one.image)) for one in images))
    print("\n  images placed furthest apart (place from 0, lowest, to 1, highest)")
    print(f"    {'image':<{width}}  {'score':>8}  {'by score':>8}  {'first':>6}  {'second':>6}")
    for one in images:
        print(f"    {one_line(one.image):<{width}}  {one.score:8.3f}  {one.truth:8.3f}  {one.first:6.3f}  "
              f"{one.second:6.3f}")  # fmt: skip
    print(one_line(f"    first: {first}; second: {second}"))


def _difference(one: Comparison) -> str:
    if one.lo is None or one.hi is None:
        return f"{one.mean:+.4f}, no interval of so few, {one.verdict}"
    p = "" if one.p is None else f", p {one.p:.3g}"
    return f"{one.mean:+.4f} ({one.lo:+.4f} to {one.hi:+.4f}), {one.verdict}{p}"


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.4f}"


def _json_of(found: Any) -> Any:
    return _finite(dataclasses.asdict(found))


def _finite(value: Any) -> Any:
    """NaN, which JSON lacks, as null."""
    if isinstance(value, dict):
        return {key: _finite(own) for key, own in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(own) for own in value]
    return None if isinstance(value, float) and math.isnan(value) else value
