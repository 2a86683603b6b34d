"""What a suite would do: what is stored, what is missing for the rest, and about how long and large it would be.

Nothing is downloaded, decoded or stored. Times are those of earlier records of the same run at other seeds; without one
they are measured here and now: a few training steps of every backbone with random weights, one image of a metric.
Records with the same settings at other budgets and on other datasets are used for a learner that does not state its
training work. Counts of images come from the tables, or, where a dataset is not on this machine, from the registry.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ssliqa_bench.errors import InputError
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
from ssliqa_bench.specs import RunSpec

if TYPE_CHECKING:
    from ssliqa_bench.methods.base import Learner

_BATCH, _VECTORS = 8, 64  # crops, or vectors of frozen features, of a measured step
_STEPS, _SHORT = 5, 0.1  # so many where one takes less than this, seconds: other work rarely slows all of them
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


@dataclass(frozen=True)
class _Cost:
    learned: float  # seconds per crop, forward, backward and update
    read: float  # seconds per crop, forward
    parameters: int


class Forecaster:
    """Looks at runs one by one; datasets are read and backbones measured once."""

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry = registry
        self._settings = replace(settings, download=False)
        self._known = Known()
        self._unread: dict[str, str | None] = {}
        self._costs: dict[str, _Cost | None] = {}

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

    def features_seconds(self, forecasts: Sequence[Forecast]) -> float | None:
        """About how long the features that some runs read, and the cache lacks, take once for all runs; None: unknown.
        """
        asked: dict[tuple[str, str], tuple[ResolvedBackbone, DatasetEntry]] = {}
        for forecast in forecasts:
            plan = forecast.plan
            if plan is None or plan.features is None or forecast.status == "stored":
                continue
            network = next(own.features_of for own in plan.backbones.values() if own.features_of is not None)
            for name, entry in plan.entries.items():
                if plan.unreadable(name, self._settings.cache_root) is None:
                    asked[name, plan.features.key] = network, entry
        seconds = 0.0
        for network, entry in asked.values():
            views = self._seconds_of_views(network, entry)
            if views is None:
                return None
            seconds += self._images(entry) * views
        return seconds

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
        costs = [self._backbone_cost(learner.params[name], crop) for name in backbones]
        known = [cost for cost in costs if cost is not None]
        # After each stage a run predicts the test images, and the unlabeled ones for the figures of pseudo-labels.
        asked = sum(test.values()) + (unlabeled if learner.needs.unlabeled else 0)
        if work is None or not known or len(known) < len(costs):
            if told is None:
                told = self._history.similar_seconds(
                    method.name, method.recipe, method.overrides, labeled=labeled,
                    unlabeled=unlabeled + extra if learner.needs.unlabeled else None, tested=sum(test.values()),
                    fixed="epoch_steps" in method.params,
                )  # fmt: skip
            return told, 0
        # Where several networks learn, the smallest is the model in every method that we know of.
        model = min(known, key=lambda cost: cost.parameters)
        read = work.read + asked * int(method.params.get("test_crops", 1)) * len(stages)
        learned = work.learned * sum(cost.learned for cost in known)
        seconds = told if told is not None else learned + read * model.read
        return seconds, 4 * model.parameters * len(stages)

    def _backbone_cost(self, built: dict[str, Any], crop: int) -> _Cost | None:
        key = canonical_json([built, crop])
        if key not in self._costs:
            try:
                self._costs[key] = _measure(built, crop, self._settings)
            except (AssertionError, InputError, RuntimeError, ValueError):
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


def _measure(built: dict[str, Any], crop: int, settings: Settings) -> _Cost:
    """A step of a network with random weights, the fastest of some where it is short, after one to warm up."""
    import torch

    from ssliqa_bench.training.backbones.base import QualityModel
    from ssliqa_bench.training.quality import build_backbone

    kind = device_kind(settings.device)
    prepare_process(kind, settings.threads)
    device = torch.device(kind)
    with torch.random.fork_rng(devices=[]):
        model = QualityModel(build_backbone(built)).to(device)
        example = model.backbone.example(crop)
        batch = _BATCH if example.dim() == 4 else _VECTORS
        crops = torch.rand(batch, *example.shape[1:], device=device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0)

    def step(learn: bool) -> float:
        began = time.perf_counter()
        with torch.set_grad_enabled(learn), torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda"):
            loss = model(crops)[0].square().mean()
        if learn:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss.item()  # waits for the device
        return time.perf_counter() - began

    steps = _STEPS if step(True) < _SHORT else 1
    learned, read = (min(step(learn) for _ in range(steps)) for learn in (True, False))
    parameters = sum(p.numel() for p in model.parameters())
    return _Cost(learned / batch, read / batch, parameters)


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
