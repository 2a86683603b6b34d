"""Keys of a plan's stages, model and predictions, worked out from the files of its datasets: no image is decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import PIL

from ssliqa_bench.datasets.splits import transductive_rows
from ssliqa_bench.methods.base import Learner
from ssliqa_bench.pixels.decode import PIXELS_VERSION
from ssliqa_bench.runner import keys
from ssliqa_bench.runner.keys import Behind, image_part, set_digest
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.rows import Place, SetRows, Told, set_rows, told_of
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.store.provenance import library_versions
from ssliqa_bench.training.stages import Stage
from ssliqa_bench.types import Role

Roles = Mapping[str, Sequence[Role]]


def readable_roles(plan: Plan, settings: Settings) -> dict[str, tuple[Role, ...]] | None:
    """The roles of a plan, an unreadable image in none where such images are skipped.

    None: which images these are is unknown until the datasets are decoded.
    """
    if not settings.skip_bad:
        return dict(plan.roles)
    found = {}
    for name in plan.tables:
        bad = plan.unreadable(name, settings.cache_root)
        if bad is None:
            return None
        found[name] = tuple("unused" if row in bad else role for row, role in enumerate(plan.roles[name]))
    return found


def plan_rows(plan: Plan, roles: Roles) -> SetRows:
    """The images of the sets of a plan."""
    return set_rows(
        roles,
        labels_for_unlabeled=plan.method.unlabeled_role == "labeled",
        transductive=transductive_rows(plan.spec.pair, plan.tables, roles, plan.protocol, plan.spec.seed),
    )


def stage_keys(plan: Plan, learner: Learner, roles: Roles | None = None) -> dict[str, str]:
    """The key of every stage of a plan, in the order in which they run.

    Args:
        roles: as `readable_roles` gives them; those of the plan unless given.
    """
    rows = plan_rows(plan, plan.roles if roles is None else roles)
    found: dict[str, str] = {}
    for stage in learner.stages():
        behind = stage_code(plan, stage)
        found[stage.name] = keys.stage_key(
            name=stage.name,
            settings=stage.settings,
            sets={name: _set_digest(plan, learner, stage, name, getattr(rows, name)) for name in stage.sets},
            counts={name: rows.counts[name] for name in stage.counts},
            inputs={name: found[name] for name in stage.inputs},
            params=plan.key_params(stage.params),
            weights={name: w.sha256 for name, w in plan.weights.items() if name in stage.params},
            code=behind.part(plan.code),
            versions=plan.versions(behind),
            seed=plan.spec.seed,
            machine=plan.machine,
        )
    return found


def untrained_key(plan: Plan, learner: Learner) -> str:
    """The model key of a method without stages."""
    model = learner.model
    behind = plan.behind(model.path, params=model.params)
    return keys.model_key(
        (),
        params=plan.key_params(model.params),
        weights={name: weights.sha256 for name, weights in plan.weights.items()},
        code=behind.part(plan.code),
        versions=plan.versions(behind),
        machine=plan.machine,
    )


def dataset_prediction_key(plan: Plan, learner: Learner, model: str, dataset: str, rows: Sequence[int]) -> str:
    """The key of a model's predictions for some rows of a dataset.

    Args:
        model: the model key.
    """
    behind = model_code(plan, learner)
    places = [(dataset, row) for row in rows]
    return keys.prediction_key(
        model=model,
        fingerprint=plan.fingerprints[dataset],
        rows=_digest(plan, places, None, references=learner.needs.references is True),
        params=plan.key_params(learner.model.params),
        code=behind.part(plan.code),
        versions=plan.versions(behind),
        machine=plan.machine,
    )


def stage_code(plan: Plan, stage: Stage) -> Behind:
    """All code behind a stage's artifact."""
    return plan.behind(stage.path, *keys.STAGE_CODE, params=stage.params)


def model_code(plan: Plan, learner: Learner) -> Behind:
    """All code behind the predictions of a model, that of its stages apart."""
    return plan.behind(learner.model.path, *keys.PREDICTION_CODE, params=learner.model.params)


def _set_digest(plan: Plan, learner: Learner, stage: Stage, name: str, places: Sequence[Place]) -> str:
    """What a stage reads of a set."""
    told = None
    if name == "labeled":
        needs = learner.needs
        told = told_of(
            plan.tables, places, distribution=bool(needs.distribution), rating_std=bool(needs.rating_std)
        )
    elif name == "validation":
        told = told_of(plan.tables, places)
    return _digest(plan, places, told, references=bool(learner.needs.references) and stage.references)


def _digest(plan: Plan, places: Sequence[Place], told: Told | None, *, references: bool) -> str:
    images = [
        image_part(
            file=plan.data[dataset].hashes[plan.tables[dataset].path[row]],
            short_side=plan.entries[dataset].short_side,
            told=[] if told is None else told.of(k),
            reference=plan.data[dataset].reference_hashes[row] if references else None,
        )
        for k, (dataset, row) in enumerate(places)
    ]
    decoder = {"pixels": PIXELS_VERSION, "pillow": PIL.__version__}
    for package, endings in keys.FORMAT_DECODERS.items():
        if any(plan.tables[dataset].path[row].lower().endswith(endings) for dataset, row in places):
            decoder |= library_versions([package])
    return set_digest(images, decoder)
