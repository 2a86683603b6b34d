"""What the runs of a command leave in the store where they failed, for boards to show."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ssliqa_bench.errors import InputError, StorageError
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import RunSpec
from ssliqa_bench.store.failures import forget_failure, note_failure
from ssliqa_bench.store.record import RunCell

LOG = logging.getLogger("ssliqa_bench")


def keep_failures(outcomes: Iterable[tuple[RunSpec, str | None]], registry: Registry, settings: Settings) -> None:
    """Note every run that failed, and forget earlier failures of those that did not.

    A run whose names are not known to the registry is a cell of no board and is left out.

    Args:
        outcomes: each run with the message of its error, None where it has a record.
    """
    for spec, error in outcomes:
        try:
            cell = cell_asked(spec, registry)
            if error is None:
                forget_failure(settings.store, cell)
            else:
                from ssliqa_bench.runner.forecast import Forecaster  # what is answered from the store needs none

                state = Forecaster(registry, settings).lacks(spec) or "failed"
                note_failure(settings.store, cell, state, error)
        except StorageError as problem:
            LOG.warning("Failures of runs are not noted: %s", str(problem))
            return
        except InputError:
            continue


def cell_asked(spec: RunSpec, registry: Registry) -> RunCell:
    """The cell of a run as asked for, with canonical names; neither data nor weights are looked for.

    Raises:
        InputError: an unknown name or parameter.
    """
    pair = registry.pair(str(spec.pair))
    recipe = registry.dataset(pair.labeled).recipe
    method = registry.resolve_method(spec.method, spec.recipe, dict(spec.overrides), recipe)
    return RunCell(
        method=method.name,
        recipe=method.recipe,
        overrides=dict(sorted(method.overrides.items())),
        pair=str(pair),
        protocol=registry.protocol(spec.protocol).name,
        seed=spec.seed,
        budget=spec.budget,
        unlabeled_budget=spec.unlabeled_budget,
    )
