"""Predictions of a third party as records: checked against the roles of the runner's own split, evaluated like a run.

The code behind them was not seen, so boards mark such a record; everything else about it is as in any other. Imports
torch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.fingerprint import ReadDataset
from ssliqa_bench.datasets.splits import assign_roles, role_counts, split_hash
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import InputError, near_names
from ssliqa_bench.evaluation.correlations import srcc
from ssliqa_bench.evaluation.metrics import EVALUATION_VERSION
from ssliqa_bench.pixels.cache import open_pixels
from ssliqa_bench.registry.load import notices_of
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.registry.schema import DatasetEntry, ProtocolEntry
from ssliqa_bench.runner.classes import ClassRule, true_classes
from ssliqa_bench.runner.evaluation import evaluate_rows, prediction_columns
from ssliqa_bench.runner.facts import protocol_facts, uses_unofficial
from ssliqa_bench.runner.keys import make_key, submission_parts, submitted_prediction_key
from ssliqa_bench.runner.resolve import extra_of
from ssliqa_bench.runner.sets import Source, test_set
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import Pair, RunSpec
from ssliqa_bench.store import provenance
from ssliqa_bench.store.notices import put_notices
from ssliqa_bench.store.predictions import Predictions
from ssliqa_bench.store.record import (
    CodeFacts,
    DatasetFacts,
    DatasetResult,
    MethodFacts,
    Record,
    RunCell,
    RunFacts,
    Seconds,
    SubmissionFacts,
)
from ssliqa_bench.store.records import as_store, iter_records, write_record
from ssliqa_bench.tabular import read_rows

LOG = logging.getLogger("ssliqa_bench")
RECIPE = "submitted"
_SHOWN = 3
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Submission:
    """What a third party hands in.

    Attributes:
        name: what boards call the method; no name of the registry.
        values: predictions by image name, as the file has them.
        source: the file, as messages name it.
        lower_is_better: the direction of the values; None where it was not stated.
        trained_on: datasets that the method learned from; None where that is not known.
    """

    name: str
    values: Mapping[str, float]
    source: str
    lower_is_better: bool | None = None
    trained_on: tuple[str, ...] | None = None


def read_submission_file(file: Path, separator: str = "") -> dict[str, float]:
    """Predictions by image name, from a table with the columns `image` and `prediction`.

    Raises:
        InputError: a column is missing, a cell is no finite number, an image occurs twice.
    """
    rows = read_rows(file, separator, expected="a table with the columns image and prediction")
    values = rows.numbers("prediction")
    found: dict[str, float] = {}
    for row, name in enumerate(rows.column("image")):
        if name in found:
            raise InputError(f'{rows.place(row)}: image "{name}" occurs twice; expected each once.')
        found[name] = float(values[row])
    return found


def submit(
    submission: Submission,
    dataset: str,
    protocol: str,
    seeds: Sequence[int],
    registry: Registry,
    settings: Settings,
    *,
    dry_run: bool = False,
) -> list[Record]:
    """Check predictions against the test parts of some seeds and store one record for each.

    Raises:
        InputError: the name is taken, an image is not in the dataset, a test image has no prediction, or the direction
            is not stated where SRCC is negative, or is not that of the method's other records.
    """
    entry, rules = registry.dataset(dataset), registry.protocol(protocol)
    _check_name(submission.name, registry)
    table = load_table(entry, settings.data_root, settings.cache_root, load=registry.load)
    _check_images(submission, table)
    _check_direction(submission, settings)
    made = [_record(submission, entry, rules, seed, table, settings) for seed in seeds]
    if not dry_run:
        for record, rows in made:
            put_notices(as_store(settings.store), [entry.name], notices_of(registry))
            write_record(settings.store, record, {entry.name: rows})
    return [record for record, _ in made]


def _record(submission: Submission, entry: DatasetEntry, rules: ProtocolEntry, seed: int, table: Table,
            settings: Settings) -> tuple[Record, Predictions]:  # fmt: skip
    pair = Pair.parse(entry.name)
    roles = assign_roles(pair, {entry.name: table}, rules, seed)[entry.name]
    tested = {name for name, role in zip(table.name, roles, strict=True) if role == "test"}
    if not tested:
        raise InputError(f"{entry.name}: protocol {rules.name} tests no image of it; name another protocol.")
    missing = sorted(tested - submission.values.keys())
    if missing:
        raise InputError(
            f"{submission.source}: {len(missing)} of the {len(tested)} test images of {entry.name} have no prediction "
            f"(protocol {rules.name}, seed {seed}; first: {', '.join(missing[:_SHOWN])}). \"ssliqa-bench splits export "
            f'{rules.name} {entry.name} --seed {seed}" lists them.'
        )
    data = ReadDataset(table, settings.cache_root)
    pixels = open_pixels(table, data.fingerprint, entry.short_side, settings.cache_root)
    # The order of content, in which runs keep their predictions too: without names they can still be matched.
    source = Source(table, roles, pixels)
    images = test_set(source).table
    sign = -1.0 if submission.lower_is_better else 1.0
    values = np.array([sign * submission.values[name] for name in images.name])
    _check_sign(submission, entry.name, seed, srcc(values, images.score))
    classes = None if rules.classes is None else true_classes(images, rules.classes)
    rows = prediction_columns(images, values, classes)
    facts = DatasetFacts(
        kind=entry.kind, side="labeled", fingerprint=data.fingerprint, split_hash=split_hash(table, roles),
        labels_redistributable=entry.labels_redistributable, roles=role_counts(roles), skipped=0,
        mean_ratings=entry.mean_ratings, rank_by=entry.rank_by, unofficial_labels=uses_unofficial(source),
    )  # fmt: skip
    found = evaluate_rows(
        rows, mapping=rules.mapping, extra=extra_of(rules), rule=ClassRule.of(entry, rules.classes),
        mean_ratings=entry.mean_ratings,
    )  # fmt: skip
    run = _facts(submission, rules, facts, seed, entry.name, found.inputs, left_out=len(submission.values) - len(rows))
    result = DatasetResult(
        run=run.key, dataset=facts, prediction_key=submitted_prediction_key(found.inputs),
        evaluation_version=EVALUATION_VERSION, inputs=found.inputs, metrics=found.metrics, stages={},
        classes=found.classes,
    )  # fmt: skip
    return Record(run, {entry.name: result}), rows


def _facts(submission: Submission, rules: ProtocolEntry, dataset: DatasetFacts, seed: int, name: str, inputs: str,
           *, left_out: int) -> RunFacts:  # fmt: skip
    spec = RunSpec(method=submission.name, pair=Pair.parse(name), protocol=rules.name, seed=seed, recipe=RECIPE)
    cell = RunCell.of(spec)
    handed_in = SubmissionFacts(lower_is_better=bool(submission.lower_is_better), left_out=left_out)
    parts = submission_parts(
        cell=cell.model_dump(), inputs=inputs, lower_is_better=handed_in.lower_is_better, dataset=name,
        fingerprint=dataset.fingerprint, split_hash=dataset.split_hash,
    )  # fmt: skip
    return RunFacts(
        key=make_key(parts),
        created=provenance.now(),
        cell=cell,
        method=MethodFacts(
            title=submission.name, family="submitted", like=None, unlabeled_role="unlabeled",
            chain=(submission.name,), trained_on="unknown" if submission.trained_on is None else submission.trained_on,
        ),
        protocol=protocol_facts(rules),
        datasets={},
        tested=(name,),
        stages=(),
        seconds=Seconds(train=0.0, predict=0.0, total=0.0),
        steps=0,
        model_steps=0,
        n_parameters=0,
        peak_memory_bytes=None,
        device="unknown",
        threads=0,
        precision="unknown",
        model_key=make_key(parts),
        key_parts=parts,
        code=CodeFacts(definitions={}, files={}),
        versions={"ssliqa-bench": provenance.own_version()},
        git=None,
        leak=None,
        notes=(),
        submission=handed_in,
    )  # fmt: skip


def _check_name(name: str, registry: Registry) -> None:
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise InputError(f"--name: got {name!r}; expected 1 to {_LONGEST_NAME} printable characters.")
    if registry.has_method(name):
        raise InputError(f'--name: "{name}" is a method of the registry, whose records are made by its code; choose '
                         f"another name.")  # fmt: skip


def _check_images(submission: Submission, table: Table) -> None:
    known = set(table.name)
    unknown = [name for name in submission.values if name not in known]
    if unknown:
        near = near_names(unknown[0], known, limit=1)
        hint = f' Is "{unknown[0]}" meant as "{near[0]}"?' if near else ""
        raise InputError(
            f"{submission.source}: {len(unknown)} of {len(submission.values)} images are not in {table.dataset} "
            f"(first: {', '.join(unknown[:_SHOWN])}).{hint} Names are those of the dataset's label file."
        )


def _check_direction(submission: Submission, settings: Settings) -> None:
    """One direction for all records of a method."""
    other = {own.lower_is_better for own in submitted_as(iter_records(settings.store), submission.name)}
    stated = bool(submission.lower_is_better)
    if other and stated not in other:
        before = "--lower-is-better" if True in other else "without --lower-is-better"
        raise InputError(f"{submission.name}: its earlier records were submitted {before}; the direction of a method "
                         f"is the same for all datasets.")  # fmt: skip


def submitted_as(records: Iterable[Record], name: str) -> list[SubmissionFacts]:
    """What is on record of the submissions under a name."""
    return [record.facts.submission for record in records
            if record.facts.submission is not None and record.cell.method == name]  # fmt: skip


def _check_sign(submission: Submission, dataset: str, seed: int, value: float | None) -> None:
    if value is None:
        raise InputError(f"{submission.source}: all predictions for the test images of {dataset} are equal.")
    if value >= 0:
        return
    found = f"SRCC with the scores of {dataset} is {value:.4f} (seed {seed})"
    if submission.lower_is_better is None:
        raise InputError(f"{submission.source}: {found}, so higher predictions go with lower scores. Where a lower "
                         f"prediction means better quality, add --lower-is-better; where not, confirm with "
                         f"--higher-is-better.")  # fmt: skip
    LOG.warning("%s: %s in the direction that was stated.", submission.source, found)
