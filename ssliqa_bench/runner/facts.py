"""What a record states about a run beside its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssliqa_bench.datasets.splits import split_hash
from ssliqa_bench.registry.schema import DatasetEntry, ProtocolEntry
from ssliqa_bench.runner.devices import peak_memory_bytes
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.sets import Source
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.runner.stages import StageResult
from ssliqa_bench.store import provenance
from ssliqa_bench.store.record import (
    CodeFacts,
    DatasetFacts,
    Git,
    Leak,
    MethodFacts,
    ModelFacts,
    ProtocolFacts,
    PseudoLabels,
    RunCell,
    RunFacts,
    Seconds,
    StageFacts,
)

if TYPE_CHECKING:
    from ssliqa_bench.methods.base import Learner


def run_facts(
    plan: Plan,
    settings: Settings,
    stages: Sequence[StageResult],
    datasets: Mapping[str, DatasetFacts],
    *,
    tested: Sequence[str],
    seconds: Seconds,
    n_parameters: int,
    model_key: str,
    model: dict[str, Any],
    pseudo_labels: dict[str, PseudoLabels],
    leak: Leak | None,
    notes: Sequence[str],
) -> RunFacts:
    """The facts of a finished run.

    Args:
        stages: all of them, in order.
        model: how the final model is built.
        pseudo_labels: how good those of each stage are.
        datasets: all of the run; those that were `tested` are stated in their results.
        notes: sentences beside those of the stages.
    """
    models = [result for result in stages if result.stage.predicts]
    git = provenance.git_state()
    return RunFacts(
        key=plan.key,
        created=provenance.now(),
        cell=RunCell.of(plan.spec),
        method=_method(plan),
        protocol=protocol_facts(plan.protocol),
        datasets={name: own for name, own in datasets.items() if name not in tested},
        tested=tuple(tested),
        stages=tuple(StageFacts(**result.summary()) for result in models),
        seconds=seconds,
        steps=sum(result.steps for result in stages),
        model_steps=sum(result.steps for result in models),
        n_parameters=n_parameters,
        peak_memory_bytes=_peak_memory(plan, stages),
        device=plan.device,
        threads=settings.threads,
        precision=plan.precision,
        model_key=model_key,
        model=ModelFacts(**model),
        pseudo_labels=pseudo_labels,
        key_parts=dict(plan.key_parts),
        code=CodeFacts(**plan.method_code.told(plan.code)),
        versions={
            "ssliqa-bench": provenance.own_version(),
            "python": provenance.python_version(),
            **plan.key_parts["versions"],
        },
        git=None if git is None else Git(**git),
        leak=leak,
        notes=(*_stage_notes(stages), *notes),
    )


def scale_of(entry: DatasetEntry, learner: Learner) -> tuple[float, float] | None:
    """Scores of a dataset, higher is better, at 0 and 1 of the scale on which learners predict; None for a method that
    learns from no scores, whose predictions are on a scale of their own."""
    return entry.native_scale.ends if learner.needs.labels else None


def dataset_facts(
    plan: Plan, learner: Learner, sources: Mapping[str, Source], skipped: Mapping[str, int]
) -> dict[str, DatasetFacts]:
    """Every dataset of a run as it was used."""
    return {
        name: DatasetFacts(
            kind=plan.entries[name].kind,
            side=plan.spec.pair.side(name),
            fingerprint=plan.fingerprints[name],
            split_hash=split_hash(plan.tables[name], plan.roles[name]),
            labels_redistributable=plan.entries[name].labels_redistributable,
            roles={role: list(source.roles).count(role) for role in sorted(set(source.roles))},
            skipped=skipped[name],
            scale=scale_of(plan.entries[name], learner),
            mean_ratings=plan.entries[name].mean_ratings,
            rank_by=plan.entries[name].rank_by,
            unofficial_labels=uses_unofficial(source),
        )
        for name, source in sources.items()
    }


def uses_unofficial(source: Source) -> bool:
    """Whether a run uses scores that no source of the dataset passes on."""
    found = source.table.facts.get("unofficial", ())
    scored = ("labeled", "validation", "test")
    return any(role in scored and name in found for name, role in zip(source.table.name, source.roles, strict=True))


def leak_facts(leaks: Sequence[str], settings: Settings) -> Leak | None:
    """What was accepted, and why; None where there was nothing."""
    return Leak(reason=str(settings.allow_leak), found=tuple(leaks)) if leaks else None


def _method(plan: Plan) -> MethodFacts:
    method = plan.method
    return MethodFacts(
        title=method.about.title,
        family=method.about.family,
        like=method.like,
        unlabeled_role=method.unlabeled_role,
        chain=tuple(method.chain),
        trained_on=method.about.trained_on,
    )


def protocol_facts(protocol: ProtocolEntry) -> ProtocolFacts:
    """A protocol as a record states it."""
    facts = protocol.model_dump(mode="json", exclude={"about"})
    # Where files are is this machine's business; split_hash and the key state what they hold.
    if facts["split"]["file"] is not None:
        facts["split"]["file"] = Path(facts["split"]["file"]).name
    extra = facts["extra_unlabeled"]
    if extra is not None and extra["names"] is not None:
        extra["names"] = Path(extra["names"]).name
    return ProtocolFacts(**facts)


def _peak_memory(plan: Plan, stages: Sequence[StageResult]) -> int | None:
    """Largest memory of all stages, when they were computed, and of predicting; None where one did not state it."""
    peaks = [result.facts.get("peak_memory_bytes") for result in stages]
    known = [peak for peak in peaks if peak is not None]
    return max([*known, peak_memory_bytes(plan.device)]) if len(known) == len(peaks) else None


def _stage_notes(stages: Sequence[StageResult]) -> list[str]:
    """What the stages noted, each sentence once with the stages that noted it."""
    noted: dict[str, list[str]] = {}
    for result in stages:
        for text in result.notes:
            noted.setdefault(text, []).append(result.stage.name)
    return [f"{', '.join(names)}: {text}" for text, names in noted.items()]
