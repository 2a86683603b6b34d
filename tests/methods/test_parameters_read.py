"""Which parameters a learner's stages and model read: all that they declare, and together all that an entry sets.

Every learner class is trained in memory for an epoch with mappings that note what is read, with options that make it
read everything it can.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from ssliqa_bench.methods.base import Learner
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import ResolvedMethod
from ssliqa_bench.runner.learners import learner_of
from ssliqa_bench.runner.resolve import learner_params
from ssliqa_bench.training.declarations import DeclaredParams
from ssliqa_bench.training.images import ImageSet, LabeledSet
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.types import Artifact

REGISTRY = load_registry()
CPU = torch.device("cpu")
N = 20  # images of each side
# Crops and maps that fit the small images.
SMALL = {"fr_crop": 32, "grid": 2, "fr_batch_size": 6}
# Options under which a class reads further parameters.
STAGE2 = [{"stage2": True}]
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "ssiqa": [{"blocks": 2}, {"blocks": 1, "krr_subset": "sdk", "krr_rate": 2}],
    "bns-base": [{"extra_augmentation": True}],
    "noisy-student": [{"teachers": ["conformer", "transformer", "pyiqa:psnr"], "rounds": 2}],
    **dict.fromkeys(
        ("fixmatch", "adamatch", "freematch", "comatch", "simmatch", "crmatch", "supervised-levels"), STAGE2
    ),
    "piqe": [{}],  # needs no file of parameters
}


def one_of_each_class() -> dict[str, list[dict[str, Any]]]:
    """An entry of each class of the registry, with its options."""
    entries = [name for name, entry in REGISTRY.methods.items() if entry.prefix is None]
    first: dict[str, str] = {}
    for name in (*OPTIONS, *entries):
        first.setdefault(class_of(name), name)
    return {name: OPTIONS.get(name) or schedules(name) for name in first.values()}


def schedules(entry: str) -> list[dict[str, Any]]:
    """A class with two kinds of schedule reads further parameters under either."""
    has_both = "lr_schedule" in REGISTRY.resolve_method(entry).params
    return [{"lr_schedule": kind} for kind in ("cosine", "steps")] if has_both else [{}]


def class_of(entry: str) -> str:
    return REGISTRY.resolve_method(entry).class_path


CASES = one_of_each_class()
# FixMatch is the root of its family, so that its comparators are those of all; what a descendant has no use for:
UNREAD = {
    "FreeMatch": {"threshold"},
    "CoMatch": {"hard_labels"},
    "SimMatch": {"hard_labels"},
    "CRMatch": {"hard_labels"},
}


class Noting(dict[str, Any]):
    """The parameters of a learner; what the learner itself reads of them is noted."""

    def __init__(self, values: Mapping[str, Any], read: set[str]) -> None:
        super().__init__(values)
        self.read = read

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)


class Read:
    """What was read, by reader: "learner", "model", or the name of a stage's function."""

    def __init__(self) -> None:
        self.declared: dict[str, set[str]] = defaultdict(set)
        self.by: dict[str, set[str]] = defaultdict(set)

    @property
    def anywhere(self) -> set[str]:
        return set().union(*self.by.values())


def resolved(entry: str, overrides: Mapping[str, Any]) -> ResolvedMethod:
    """An entry on small networks, one epoch."""
    plain = REGISTRY.resolve_method(entry, None, {}, ("check",))
    small = {name: value for name, value in SMALL.items() if name in plain.params}
    return REGISTRY.resolve_method(entry, None, {**small, **overrides}, ("check",))


def trained_in_memory(made: ModuleType, entry: str, overrides: Mapping[str, Any], read: Read) -> None:
    """Run all stages of a learner and ask its model, with every reading noted."""
    method = resolved(entry, overrides)
    params = learner_params(method, REGISTRY.backbones_of(method))
    learner: Learner = type(learner_of(method, REGISTRY.backbones_of(method)))(Noting(params, read.by["learner"]))
    learner.params = Noting(params, read.by["learner"])
    learner.check()
    sides = [made.noise(N, 48, 52, seed) for seed in (0, 5)]
    pristine = made.noise(1, 48, 52, 9)
    sets = [ImageSet([(side, k) for k in range(N)], [(pristine, 0)] * N) for side in sides]
    labeled, unlabeled = LabeledSet(sets[0], np.linspace(0.9, 0.1, N)), sets[1]
    done: dict[str, Artifact] = {}
    for stage in learner.stages():
        reader = stage.run.__name__
        read.declared[reader].update(stage.params)
        handed = context(made, stage, params, labeled, unlabeled, done)
        with noted(read.by[reader]):
            done[stage.name] = stage.run(handed)
    model = learner.model
    read.declared["model"].update(model.params)
    with noted(read.by["model"]):
        last = done[list(done)[-1]] if done else None
        asked = labeled.images if learner.needs.references is True else labeled.images.without_references()
        assert np.isfinite(model.made(params, last, CPU).predict(asked.subset([0, 1]))).all()


def context(
    made: ModuleType,
    stage: Stage,
    params: Mapping[str, Any],
    labeled: LabeledSet,
    unlabeled: ImageSet,
    done: Mapping[str, Artifact],
) -> StageContext:
    """What a stage is handed."""
    shown = (lambda images: images) if stage.references else (lambda images: images.without_references())
    return StageContext(
        name=stage.name,
        labeled=shown(labeled) if "labeled" in stage.sets else None,
        unlabeled=shown(unlabeled) if "unlabeled" in stage.sets else None,
        validation=None,
        counts={name: 2 if name == "sides" else N for name in stage.counts},
        inputs={name: done[name] for name in stage.inputs},
        params=stage.declared(params),
        settings=stage.settings,
        seed=7,
        device=CPU,
        precision="float32",
        checkpoints=made.Checkpoints(),
        report=made.Report(),
    )


@contextmanager
def noted(read: set[str]) -> Iterator[None]:
    """While it holds, readings of declared parameters are noted; an undeclared one raises as ever."""
    plain = DeclaredParams.__getitem__

    def reading(own: DeclaredParams, name: str) -> Any:
        value = plain(own, name)
        read.add(name)
        return value

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeclaredParams, "__getitem__", reading)
        yield


@pytest.fixture(scope="session")
def readings(made: ModuleType) -> Any:
    """What the class of an entry of `CASES` reads, over all its options."""

    @cache
    def of(entry: str) -> Read:
        read = Read()
        for overrides in CASES[entry]:
            trained_in_memory(made, entry, overrides, read)
        return read

    return of


@pytest.mark.parametrize("entry", CASES)
def test_stages_and_model_read_all_that_they_declare(entry: str, readings: Any) -> None:
    """What is declared and never read makes keys differ where results do not."""
    read = readings(entry)
    unread = {reader: names - read.by[reader] for reader, names in read.declared.items()}
    assert {reader: sorted(names) for reader, names in unread.items() if names} == {}


def needed(name: str, readings: Any) -> set[str]:
    """Parameters of an entry that somebody reads: its class, the search for weights, and, of a comparator or what
    extends one, the method that it is compared with, whose numbers it carries."""
    method = REGISTRY.resolve_method(name)
    case = {class_of(entry): entry for entry in CASES}
    found = set(readings(case[method.class_path]).anywhere)
    found |= {part for own in method.weights_params.values() for part in (own.file, own.switch)}
    found |= {method.own_file} if method.own_file else set()
    like = {REGISTRY.methods[link].like for link in method.chain} - {None}
    return found.union(*(needed(str(other), readings) for other in like))


@pytest.mark.parametrize("name", [name for name, entry in REGISTRY.methods.items() if entry.prefix is None])
def test_no_entry_sets_what_nobody_reads(name: str, readings: Any) -> None:
    method = REGISTRY.resolve_method(name)
    unread = set(method.params) - needed(name, readings)
    assert unread == UNREAD.get(method.class_path.partition(":")[2], set())
