"""How long runs took, as earlier records tell; imports neither torch nor images."""

from __future__ import annotations

import statistics
from collections import defaultdict
from pathlib import Path

from ssliqa_bench.errors import CorruptFileError, StorageError
from ssliqa_bench.files import canonical_json
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import RunSpec, cell_of
from ssliqa_bench.store.index import indexed_records


class History:
    """Seconds of earlier runs by what was run, the seed left out: training and prediction on this kind of device.

    Args:
        ranks: how many processes shared the work of a run's networks.
    """

    def __init__(self, store: Path, device: str, threads: int, ranks: int = 1) -> None:
        found: dict[str, list[float]] = defaultdict(list)
        try:
            for record in indexed_records(store):
                facts = record.facts
                machine = (facts.device, facts.threads, record.processes)
                if facts.submission is None and machine == (device, threads, ranks):
                    cell = facts.cell.model_dump(mode="json")
                    found[_mark(cell)].append(facts.seconds.train + facts.seconds.predict)
        except (CorruptFileError, FileNotFoundError, StorageError):
            pass  # an estimate lacks what cannot be read; whoever needs the record says so
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


def _mark(cell: dict[str, object]) -> str:
    return canonical_json({name: value for name, value in cell.items() if name != "seed"})
