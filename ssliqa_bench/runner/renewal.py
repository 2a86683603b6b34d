"""Records of an older evaluation: evaluated again from their own predictions, never trained again.

Of datasets whose names and scores were not passed on, a record has the predictions alone. The images come from the
dataset where it is at hand, in the order in which the predictions are kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.fingerprint import fingerprint
from ssliqa_bench.datasets.splits import assign_roles
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import CorruptFileError, InputError
from ssliqa_bench.evaluation import EVALUATION_VERSION
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.registry.schema import ClassFields, DatasetEntry, ProtocolEntry
from ssliqa_bench.runner.classes import true_classes
from ssliqa_bench.runner.evaluation import reevaluate, with_images
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.store.predictions import Classes, Predictions
from ssliqa_bench.store.record import Record
from ssliqa_bench.store.records import Address, read_predictions, write_result

_log = logging.getLogger("ssliqa_bench")


@dataclass(frozen=True)
class ImagesOfRecord:
    """The test images of a record's dataset in the order of its predictions, and their classes."""

    table: Table
    true_class: Classes | None

    def complete(self, rows: Predictions) -> Predictions:
        """Predictions with what is known about the images."""
        return with_images(rows, self.table, self.true_class)


def outdated(record: Record) -> tuple[str, ...]:
    """Datasets of a record that another version evaluated."""
    return tuple(name for name, own in record.results.items() if own.evaluation_version != EVALUATION_VERSION)


def renew(address: Address, record: Record, at_hand: Callable[[str], ImagesOfRecord | None]) -> Record:
    """Evaluate what another version evaluated again, and write it.

    Args:
        at_hand: the images of a dataset that were not passed on; None where they are not on this machine. Such a
            result stays as it is, with its version.

    Raises:
        CorruptFileError: scores and predictions are not those that the metrics were computed from.
    """
    results = dict(record.results)
    for dataset in outdated(record):
        kept = rows = read_predictions(address, record.key, dataset)
        if record.results[dataset].withheld:
            images = at_hand(dataset)
            if images is None or len(images.table) != len(rows):
                _log.warning(
                    "Record %s: %s: stays evaluated by version %d; its names and scores are withheld, and the "
                    "dataset is not available.", record.key[:12], dataset, record.results[dataset].evaluation_version,
                )  # fmt: skip
                continue
            rows = images.complete(rows)
        results[dataset] = reevaluate(record, dataset, rows)
        if results[dataset].inputs != record.results[dataset].inputs:
            raise CorruptFileError(
                f"Record {record.key[:12]}: {dataset}: scores and predictions are not those its metrics were computed "
                f"from."
            )
        write_result(address, dataset, results[dataset], kept)
    return Record(record.facts, results)


def find_images(record: Record, dataset: str, registry: Registry, settings: Settings) -> ImagesOfRecord | None:
    """As `images_at_hand`, of a dataset that the registry names."""
    try:
        entry, protocol = registry.dataset(dataset), registry.protocol(record.cell.protocol)
        table = load_table(entry, settings.data_root, settings.cache_root, load=registry.load)
    except InputError:
        return None
    return images_at_hand(record, dataset, entry, protocol, table, settings)


def images_at_hand(
    record: Record, dataset: str, entry: DatasetEntry, protocol: ProtocolEntry, table: Table, settings: Settings
) -> ImagesOfRecord | None:
    """The test images of a record's dataset; None where this machine does not have the dataset as it was."""
    from ssliqa_bench.pixels.cache import open_pixels
    from ssliqa_bench.runner.sets import Source, test_set

    spec, result = record.spec, record.results[dataset]
    mark = fingerprint(table, settings.cache_root)
    if mark != result.dataset.fingerprint:
        return None
    try:
        roles = assign_roles(
            spec.pair, {dataset: table}, protocol, spec.seed, spec.budget, spec.unlabeled_budget
        )[dataset]
        pixels = open_pixels(table, mark, entry.short_side, settings.cache_root, skip_bad=True)
    except InputError:
        return None
    tested = test_set(Source(table, ["unused" if k in pixels.bad else role for k, role in enumerate(roles)], pixels))
    if result.classes is None:
        return ImagesOfRecord(tested.table, None)
    fields = ClassFields(levels=result.classes.levels, rule=result.classes.rule)
    return ImagesOfRecord(tested.table, true_classes(tested.table, fields))
