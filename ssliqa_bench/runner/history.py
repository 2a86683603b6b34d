"""How long runs took, according to earlier records; imports neither torch nor images."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssliqa_bench.errors import CorruptFileError, StorageError
from ssliqa_bench.files import canonical_json
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import RunSpec, cell_of
from ssliqa_bench.store.index import indexed_records
from ssliqa_bench.store.record import Record

_SETTINGS = ("method", "recipe", "overrides")  # of a cell: what is trained, on whatever images


@dataclass(frozen=True)
class _Earlier:
    """Seconds of a run, and how many images it had of each role; those of further unlabeled datasets count."""

    train: float
    predict: float
    labeled: int
    unlabeled: int
    tested: int

    @classmethod
    def of(cls, record: Record) -> _Earlier:
        labeled, unlabeled, tested = (
            sum(dataset.roles.get(role, 0) for dataset in record.datasets.values())
            for role in ("labeled", "unlabeled", "test")
        )
        seconds = record.facts.seconds
        return cls(seconds.train, seconds.predict, labeled, unlabeled, tested)


class History:
    """Seconds of earlier runs by what was run, the seed left out: training and prediction on this kind of device.

    Args:
        ranks: how many processes shared the work of a run's networks.
    """

    def __init__(self, store: Path, device: str, threads: int, ranks: int = 1) -> None:
        found: dict[str, list[float]] = defaultdict(list)
        self._similar: dict[str, list[_Earlier]] = defaultdict(list)
        try:
            for record in indexed_records(store):
                facts = record.facts
                machine = (facts.device, facts.threads, record.processes)
                if facts.submission is None and machine == (device, threads, ranks):
                    cell = facts.cell.model_dump(mode="json")
                    found[_mark(cell)].append(facts.seconds.train + facts.seconds.predict)
                    self._similar[_settings(cell)].append(_Earlier.of(record))
        except (CorruptFileError, FileNotFoundError, StorageError):
            pass  # an estimate lacks what cannot be read; whoever needs the record reports it
        self._seconds = {mark: statistics.median(own) for mark, own in found.items()}

    @classmethod
    def of(cls, settings: Settings, device: str) -> History:
        """The history of the store that some settings name."""
        return cls(settings.store, device, settings.threads, settings.ranks)

    def seconds(self, spec: RunSpec) -> float | None:
        """The median over earlier runs that differ in the seed at most; None where there is none.

        Args:
            spec: canonical, as that of a plan.
        """
        return self._seconds.get(_mark(cell_of(spec)))

    def similar_seconds(
        self, method: str, recipe: str, overrides: Mapping[str, Any], *, labeled: int, unlabeled: int | None,
        tested: int, fixed: bool,
    ) -> float | None:  # fmt: skip
        """The median over earlier runs of a method with the same settings, at other budgets or on other datasets.

        Training goes with the number of labeled and unlabeled images unless its steps are fixed; prediction with that
        of test images and unlabeled ones, which are predicted for the figures of pseudo-labels.

        Args:
            labeled: how many images.
            unlabeled: how many images; None: the learner does not need any, so that those of earlier runs do not count.
            tested: how many images.
            fixed: whether the number of training steps does not depend on the number of images.
        """
        earlier = self._similar.get(_settings({"method": method, "recipe": recipe, "overrides": dict(overrides)}))
        if not earlier:
            return None
        more = unlabeled or 0
        estimates = []
        for own in earlier:
            held = 0 if unlabeled is None else own.unlabeled
            trained = 1.0 if fixed else (labeled + more) / max(1, own.labeled + held)
            predicted = (tested + more) / max(1, own.tested + held)
            estimates.append(own.train * trained + own.predict * predicted)
        return statistics.median(estimates)


def _mark(cell: dict[str, object]) -> str:
    return canonical_json({name: value for name, value in cell.items() if name != "seed"})


def _settings(cell: Mapping[str, object]) -> str:
    return canonical_json({name: cell[name] for name in _SETTINGS})
