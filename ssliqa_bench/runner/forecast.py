"""What a suite would do: what is stored, what is missing for the rest, and about how long and large it would be.

Nothing is downloaded, decoded or stored. Times are those of earlier records of the same run at other seeds; without one
they are measured here and now (`runner.measuring`): a few steps of the learner and of its networks with random weights,
one image of a metric. Records with the same settings at other budgets and on other datasets come first for a learner
that does not state its training work. Counts of images come from the tables, or, where a dataset is not on this
machine, from the registry.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ssliqa_bench.errors import InputError, RunError
from ssliqa_bench.files import canonical_json
from ssliqa_bench.models.weights import backbone_weights, own_weights
from ssliqa_bench.pixels.features import CROP, VIEWS, WHOLE
from ssliqa_bench.registry.lookup import Registry, ResolvedBackbone, ResolvedMethod
from ssliqa_bench.registry.schema import DatasetEntry, ProtocolEntry
from ssliqa_bench.runner.devices import device_kind, prepare_process
from ssliqa_bench.runner.execute import stored_record
from ssliqa_bench.runner.history import History
from ssliqa_bench.runner.plan import Plan, make_plan
from ssliqa_bench.runner.plan_cache import Known
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.runner.tree import is_ours
from ssliqa_bench.specs import RunSpec

if TYPE_CHECKING:
    from ssliqa_bench.methods.base import Learner
    from ssliqa_bench.runner.measuring import NetworkCost
    from ssliqa_bench.runner.trials import Effort

# What a trial may raise.
_UNMEASURED = (ArithmeticError, AssertionError, InputError, LookupError, RuntimeError, TypeError, ValueError)
_SIZE = (512, 384)  # of an image where neither the registry nor a file states it


@dataclass(frozen=True)
class Forecast:
    """One run.

    Attributes:
        status: "stored", "to run", or "blocked".
        missing: what it lacks, one sentence each; empty unless blocked.
        seconds: about how long it trains and predicts on this machine, as if nothing were shared; None: unknown.
        plan: of a run that could start now.
    """

    spec: RunSpec
    status: str
    missing: tuple[str, ...]
    seconds: float | None
    artifact_bytes: int
    plan: Plan | None


class Forecaster:
    """Looks at runs one by one; datasets are read and backbones measured once."""

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry = registry
        self._settings = replace(settings, download=False)
        self._known = Known()
        self._unread: dict[str, str | None] = {}
        self._costs: dict[str, NetworkCost | None] = {}
        self._efforts: dict[str, Effort | None] = {}

    @cached_property
    def _history(self) -> History:
        return History.of(self._settings, device_kind(self._settings.device))

    def look(self, spec: RunSpec) -> Forecast:
        """What one run would do.

        Raises:
            InputError: an unknown name or parameter, which no download would fix.
        """
        method, protocol, entries, backbones = self._named(spec)
        missing = [*self._missing_weights(method, backbones), *self._missing_data(entries)]
        plan, status, learner = None, "blocked", None
        if not missing:
            try:
                plan = make_plan(spec, self._registry, self._settings, self._known)
                stored = self._settings.use_store and stored_record(plan, self._settings, look_only=True) is not None
                status = "stored" if stored else "to run"
            except InputError as error:
                missing = [str(error)]
        if status != "stored":
            try:
                learner = self._learner(method, backbones)
                if plan is not None and learner.needs.unlabeled and not (plan.unlabeled or protocol.transductive):
                    missing = [plan.why_none_unlabeled()]
            except InputError as error:
                missing.append(str(error))
        if missing:
            plan, status = None, "blocked"
        seconds, size = (0.0, 0) if status == "stored" else (None, 0)
        if learner is not None:
            told = None if plan is None else self._history.seconds(plan.spec)
            seconds, size = self._estimate(spec, learner, method, protocol, entries, backbones, told)
        return Forecast(spec, status, tuple(missing), seconds, size, plan)

    def lacks(self, spec: RunSpec) -> Literal["weights not available", "data not available"] | None:
        """What a run cannot start without: published weights that are on this machine, or its datasets.

        Raises:
            InputError: an unknown name or parameter.
        """
        method, _, entries, backbones = self._named(spec)
        if self._missing_weights(method, backbones):
            return "weights not available"
        return "data not available" if self._missing_data(entries) else None

    def cache_bytes(self, specs: Sequence[RunSpec]) -> int:
        """About how large the decoded images of all datasets of some runs are; runs on frozen features keep none."""
        entries: dict[str, DatasetEntry] = {}
        for spec in specs:
            _, _, own, backbones = self._named(spec)
            if all(backbone.features_of is None for backbone in backbones.values()):
                entries |= own
        return sum(self._images(entry) * int(np.prod(_decoded_size(entry))) * 3 for entry in entries.values())

    def features(self, forecasts: Sequence[Forecast]) -> tuple[float | None, int]:
        """Of the features that some runs read and the cache lacks: about how long they take once for all runs, None:
        unknown, and how many bytes they are."""
        asked: dict[tuple[str, str], tuple[ResolvedBackbone, DatasetEntry, int]] = {}
        plans: dict[tuple[str, str], Plan] = {}
        for forecast in forecasts:
            plan = forecast.plan
            entries, backbones = self._named(forecast.spec)[2:] if plan is None else (plan.entries, plan.backbones)
            heads = [(head.features_of, head) for head in backbones.values() if head.features_of is not None]
            for (network, head), (name, entry) in itertools.product(heads, entries.items()):
                if forecast.status != "stored":
                    asked[name, network.name] = network, entry, int(head.arguments["inputs"])
                if plan is not None:
                    plans[name, network.name] = plan
        seconds: float | None = 0.0
        size = 0
        for (name, behind), (network, entry, width) in asked.items():
            plan = plans.get((name, behind))  # without one, nothing shows that the features are there
            if plan is None or plan.unreadable(name, self._settings.cache_root) is None:
                views = self._seconds_of_views(network, entry)
                seconds = None if seconds is None or views is None else seconds + self._images(entry) * views
                size += self._images(entry) * sum(VIEWS.values()) * width * 2  # float16
        return seconds, size

    def _seconds_of_views(self, network: ResolvedBackbone, entry: DatasetEntry) -> float | None:
        """Seconds of all views of a typical image: crops, and the whole image in units of a crop; None: unknown."""
        cost = self._backbone_cost({"class": network.class_path, "arguments": network.arguments}, CROP)
        width, height = entry.typical_size or _SIZE
        whole = max(width, height) / min(width, height) * (WHOLE / CROP) ** 2
        crops = sum(VIEWS.values()) - VIEWS["whole"]
        return None if cost is None else cost.read * (crops + whole)

    def _named(
        self, spec: RunSpec
    ) -> tuple[ResolvedMethod, ProtocolEntry, dict[str, DatasetEntry], dict[str, ResolvedBackbone]]:
        registry = self._registry
        pair, protocol = registry.pair(str(spec.pair)), registry.protocol(spec.protocol)
        entries = registry.datasets_of(pair, protocol, spec.tests)
        recipe = entries[pair.labeled].recipe
        method = registry.resolve_method(spec.method, spec.recipe, dict(spec.overrides), recipe)
        return method, protocol, entries, registry.backbones_of(method)

    def _learner(self, method: ResolvedMethod, backbones: dict[str, ResolvedBackbone]) -> Learner:
        """The learner of a run; made here, so that what it refuses is known before anything is computed."""
        from ssliqa_bench.runner.learners import learner_of

        return learner_of(method, backbones, self._registry.search_folders)

    def _missing_weights(self, method: ResolvedMethod, backbones: dict[str, ResolvedBackbone]) -> list[str]:
        cache, missing = self._settings.cache_root, []
        for name, backbone in backbones.items():
            try:
                backbone_weights(method, name, backbone, cache, download=False)
            except InputError as error:
                missing.append(str(error))
        try:
            own_weights(method, cache, download=False)
        except InputError as error:
            missing.append(str(error))
        return missing

    def _missing_data(self, entries: dict[str, DatasetEntry]) -> list[str]:
        for name, entry in entries.items():
            if name not in self._unread:
                try:
                    self._known.read(name, entry, self._registry, self._settings)
                    self._unread[name] = None
                except InputError as error:
                    self._unread[name] = str(error)
        return [problem for name in entries if (problem := self._unread[name]) is not None]

    def _images(self, entry: DatasetEntry) -> int:
        known = self._known.datasets.get(entry.name)
        return len(known.table) if known else (entry.images or 0) + (entry.optional_images or 0)

    def _estimate(
        self,
        spec: RunSpec,
        learner: Learner,
        method: ResolvedMethod,
        protocol: ProtocolEntry,
        entries: dict[str, DatasetEntry],
        backbones: dict[str, ResolvedBackbone],
        told: float | None,
    ) -> tuple[float | None, int]:
        """Seconds and bytes of artifacts; `told` are the seconds of earlier records, which nothing is measured for."""
        pair = self._registry.pair(str(spec.pair))
        train, test = {}, {}
        for name, entry in entries.items():
            train[name], test[name] = _parts(self._images(entry), protocol, whole=name not in pair.datasets)
        labeled = _taken(train[pair.labeled], spec.budget if spec.budget is not None else protocol.budget)
        rest = 0 if pair.unlabeled is None else train[pair.unlabeled] - labeled * (pair.unlabeled == pair.labeled)
        budget = spec.unlabeled_budget if spec.unlabeled_budget is not None else protocol.unlabeled_budget
        extra = 0 if protocol.extra_unlabeled is None else protocol.extra_unlabeled.count or 0
        unlabeled = _taken(rest, budget)
        work, stages = learner.work(labeled, unlabeled + extra), learner.stages()
        if not stages and told is not None:
            return told, 0
        if not stages:
            cost = self._metric_cost(learner, method, entries)
            return None if cost is None else cost * sum(test.values()), 0
        crop = int(method.params.get("crop") or 0)
        costs = {name: self._backbone_cost(learner.params[name], crop) for name in backbones}
        known = {name: cost for name, cost in costs.items() if cost is not None}
        # After each stage a run predicts the test images, and the unlabeled ones for the figures of pseudo-labels.
        asked = sum(test.values()) + (unlabeled if learner.needs.unlabeled else 0)
        if told is None and (work is None or not known or len(known) < len(costs)):
            told = self._history.similar_seconds(
                method.name, method.recipe, method.overrides, labeled=labeled,
                unlabeled=unlabeled + extra if learner.needs.unlabeled else None, tested=sum(test.values()),
                fixed="epoch_steps" in method.params,
            )  # fmt: skip
        if not known or len(known) < len(costs):
            return told, 0
        # Where several networks learn, the smallest is the model in every method that we know of.
        model = min(known.values(), key=lambda cost: cost.parameters)
        size = 4 * model.parameters * len(stages)
        if told is not None:
            return told, size
        # The number of images may be unknown, of a dataset that is not on this machine.
        if not labeled or (learner.needs.unlabeled and not unlabeled + extra):
            return None, size
        sides = (labeled, unlabeled + extra, len(pair.datasets), method.unlabeled_role == "labeled")
        effort = self._effort(learner, known, *sides)
        if effort is not None:
            per_crop = sum(cost.learned for cost in known.values() if not cost.alone)
            seconds = effort.seconds + effort.learned * per_crop + effort.read * model.read
        elif work is not None:
            seconds = work.learned * sum(cost.learned for cost in known.values()) + work.read * model.read
        else:
            return None, size
        return seconds + asked * int(method.params.get("test_crops", 1)) * len(stages) * model.read, size

    def _effort(
        self, learner: Learner, costs: dict[str, NetworkCost], labeled: int, unlabeled: int, datasets: int, labels: bool
    ) -> Effort | None:
        """What training takes beside the networks; None: unknown."""
        from ssliqa_bench.runner.measuring import Sides, training_effort

        # No trial has references, and none runs code from elsewhere, which need not stop after some steps.
        if learner.needs.references or not is_ours(type(learner).__module__):
            return None
        sides = Sides(labeled, unlabeled, datasets, labels)
        key = canonical_json([type(learner).__module__, type(learner).__name__, learner.params, *astuple(sides)])
        if key not in self._efforts:
            try:
                heads = {name: cost.head for name, cost in costs.items()}
                alone = all(cost.alone for cost in costs.values())
                self._efforts[key] = training_effort(learner, heads, sides, self._settings, alone=alone)
            except (*_UNMEASURED, RunError):
                self._efforts[key] = None
        return self._efforts[key]

    def _backbone_cost(self, built: dict[str, Any], crop: int) -> NetworkCost | None:
        key = canonical_json([built, crop])
        if key not in self._costs:
            from ssliqa_bench.runner.measuring import network_cost

            try:
                self._costs[key] = network_cost(built, crop, self._settings)
            except _UNMEASURED:
                self._costs[key] = None
        return self._costs[key]

    def _metric_cost(
        self, learner: Learner, method: ResolvedMethod, entries: dict[str, DatasetEntry]
    ) -> float | None:
        """Seconds per image of a method that learns nothing; None where its parameter file is missing, or where it
        has no value for noise."""
        import torch

        from ssliqa_bench.models.predict import Pictures
        from ssliqa_bench.training.images import ImageSet

        width, height = max(_decoded_size(entry) for entry in entries.values())
        try:
            found = own_weights(method, self._settings.cache_root, download=False)
            prepare_process("cpu", self._settings.threads)
            weights = {} if found is None or found.path is None else {"method": found.path}
            model = learner.model.made(learner.params, None, torch.device("cpu"), weights)
        except InputError:
            return None
        noise = Pictures(list(np.random.default_rng(0).integers(0, 256, (2, height, width, 3), dtype=np.uint8)))
        began = time.perf_counter()
        model.predict(ImageSet([(noise, 0)], [(noise, 1)] if learner.needs.references else None))
        return (time.perf_counter() - began) / self._settings.processes


def _parts(images: int, protocol: ProtocolEntry, *, whole: bool) -> tuple[int, int]:
    """About how many images of a dataset are for training and for testing."""
    split = protocol.split
    if whole:
        return 0, images
    train = int(split.train) if split.test is not None else int(float(split.train) * images)
    return train, images - train if split.test is None else split.test


def _taken(images: int, budget: int | float | None) -> int:
    if budget is None:
        return images
    return min(images, int(budget * images) if isinstance(budget, float) else budget)


def _decoded_size(entry: DatasetEntry) -> tuple[int, int]:
    """Width and height of a typical image as it is kept."""
    width, height = entry.typical_size or _SIZE
    if entry.working_size is None:
        return width, height
    scale = entry.working_size.short_side / min(width, height)
    return round(width * scale), round(height * scale)
