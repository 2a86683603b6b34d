"""Does a method keep the rules that make results comparable?

`check_method` runs a method on sixty images of the demo sets with its recipe `check` (one epoch) and looks at
what it does: with withheld columns shuffled, asked twice, asked one image at a time, killed and resumed, taught
the opposite. `ssliqa-bench check method M` prints what it finds.
"""

from __future__ import annotations

import ast
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.errors import CheckError, SsliqaError
from ssliqa_bench.evaluation.correlations import srcc
from ssliqa_bench.files import sha256_file
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import locate_module
from ssliqa_bench.runner.plan import Plan, make_plan
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import RunSpec
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.testing.miniature import PAIR, PROTOCOL, SOURCES, registry_file, write_variants
from ssliqa_bench.types import Artifact, derive_seed

if TYPE_CHECKING:
    from ssliqa_bench.methods.base import Predictor
    from ssliqa_bench.runner.sets import LearnerSets

_TOLERANCE = 1e-5  # of the spread of the predictions
_CLEAR = 0.3  # a correlation that says which way a learner went
_FORBIDDEN = tuple(f"ssliqa_bench.{layer}" for layer in ("datasets", "pixels", "registry", "store", "runner"))


@dataclass(frozen=True)
class Check:
    """One property: whether it holds, and what was seen."""

    name: str
    holds: bool
    seen: str


def check_method(name: str, registries: Sequence[Path] = (), settings: Settings | None = None) -> list[Check]:
    """Run all conformance checks on a method.

    Args:
        registries: files of one's own that hold its entry.
        settings: device, threads and folders of datasets and caches; the store is a throw-away one.

    Returns:
        One Check per property, in the order in which they were looked at.

    Raises:
        InputError: the method is not known.
    """
    with tempfile.TemporaryDirectory(prefix="ssliqa-check-") as folder:
        bench = _Bench(name, tuple(registries), settings or Settings.from_environment(), Path(folder))
        return list(bench.checks())


def require_conformance(name: str, registries: Sequence[Path] = (), settings: Settings | None = None) -> None:
    """As `check_method`, for tests: one error with everything that does not hold.

    Raises:
        CheckError: at least one check failed.
    """
    failed = [check for check in check_method(name, registries, settings) if not check.holds]
    if failed:
        raise CheckError(f"{name}: " + "; ".join(f"{check.name}: {check.seen}" for check in failed))


@dataclass(frozen=True)
class _Done:
    """A finished run; it holds no table, so that a learner that looks through memory finds those of its own run.

    Attributes:
        variant, times, store: of the pair, of the recipe's epochs, and where it is.
        stages: names of the learner's stages.
        labels: whether the learner needs any.
        predictions, named: by file content, and by (dataset, name).
    """

    variant: str
    times: int
    store: Path
    stages: tuple[str, ...]
    labels: bool
    predictions: dict[str, float]
    named: dict[tuple[str, str], float]

    def changed(self, other: _Done) -> int:
        """How many images the other run judges otherwise, be it in the last bit."""
        return sum(other.predictions[image] != value for image, value in self.predictions.items())


class _Bench:
    """The miniature pair of the checks in several variants, and runs of one method on them."""

    def __init__(self, method: str, registries: tuple[Path, ...], settings: Settings, folder: Path) -> None:
        names = load_registry(registries)
        resolved = names.resolve_method(method)
        self._method = resolved.name
        self._registries = registries
        self._folder = folder
        self._settings = replace(settings, cache_root=folder / "cache", quiet=True, use_store=True, keep="phases")
        self._stores = 0
        # The oracle receives the labels of both sides: only those of test images are withheld from it.
        told = set(SOURCES) if resolved.unlabeled_role == "labeled" else {str(PAIR.labeled)}
        write_variants(
            {
                side: load_table(names.dataset(source), settings.data_root, settings.cache_root)
                for side, source in SOURCES.items()
            },
            told,
            folder,
        )

    def checks(self) -> Iterator[Check]:
        """All checks, up to the first without which the next ones mean nothing."""
        try:
            base, keyed = self._watched_run()
        except SsliqaError as error:
            yield Check("runs", False, str(error))
            return
        except Exception as error:  # a learner may fail in any way; that is a finding, not the end of the checks
            yield Check("runs", False, f"{type(error).__name__}: {error}")
            return
        yield Check("runs", True, f"{len(base.predictions)} finite predictions")
        yield self._imports()
        yield keyed
        repeated = self._repeated(base)
        yield from repeated
        if not all(check.holds for check in repeated):
            return
        what = "withheld scores and other columns are shuffled"
        yield self._unchanged("labels", base, what, "it reads withheld labels")
        what = "file names and the reader's order are changed"
        yield self._unchanged("names", base, what, "it reads names or order")
        yield from self._asked_otherwise(base)
        yield self._direction(base)
        if base.stages:
            yield from self._resumed()

    def _imports(self) -> Check:
        registry = load_registry(self._registries)
        module = registry.resolve_method(self._method).class_path.partition(":")[0]
        file = locate_module(module, registry.search_folders)
        found = [] if file is None else [n for n in _imported(file) if n.startswith(_FORBIDDEN)]
        seen = f"{module} imports {', '.join(found)}: a learner reads no files" if found else "imports no reader"
        return Check("imports", not found, seen)

    def _watched_run(self) -> tuple[_Done, Check]:
        """A run, and whether all code that it executes is part of its keys."""
        from ssliqa_bench.testing.execution import unkeyed

        plan, _ = self._plan("plain", 1, self._folder / "unused")
        base, files, missing = unkeyed(plan, lambda: self._run("plain"))
        seen = f"code of {files} files runs in its stages and predictions, all of it part of their keys"
        if missing:
            seen = f"{', '.join(missing)}: no part of the key, a change would go unnoticed; name it in an import line"
        return base, Check("code", not missing, seen)

    def _repeated(self, base: _Done) -> list[Check]:
        """The same run once more, after one in which the images that it tests were for training: what a learner keeps
        of those outside the store shows in its predictions from then on."""
        import torch

        self._run("split")
        # The state in which other code left the global generators must not matter.
        random.seed("another state")
        np.random.seed(12345)
        torch.manual_seed(derive_seed("another state"))
        again = self._run("plain")
        changed = base.changed(again)
        remembers = bool(changed) and not again.changed(self._run("plain"))
        seen = f"{changed} of {len(base.predictions)} predictions change when the same run is made again"
        after = f"{seen} after a run with other test images"
        if remembers:
            return [Check("second split", False, f"{after}: it remembers labels")]
        if changed:
            return [Check("determinism", False, f"{seen}: it is not deterministic")]
        return [Check("determinism", True, seen), Check("second split", True, after)]

    def _unchanged(self, variant: str, base: _Done, what: str, why: str) -> Check:
        changed = base.changed(self._run(variant))
        seen = f"{changed} of {len(base.predictions)} predictions change when {what}"
        return Check(f"firewall: {variant}", not changed, f"{seen}: {why}" if changed else seen)

    def _asked_otherwise(self, base: _Done) -> Iterator[Check]:
        predictor, sets = self._model(base)
        test = sets.tests[str(PAIR.unlabeled)]
        images = test.images
        whole = predictor.predict(images)
        spread = float(np.std(whole)) or 1.0
        recorded = np.array([base.named[str(PAIR.unlabeled), name] for name in test.names])
        together = predictor.predict(images.subset(range(8)))
        alone = np.array([predictor.predict(images.subset([k]))[0] for k in range(8)])
        backwards = predictor.predict(images.subset(range(7, -1, -1)))[::-1]
        twice = predictor.predict(images.subset([0, 0, 1]))
        # In a batch of all images, which may be large enough for statistics of a batch, and in one of eight.
        among = np.concatenate((whole[: len(alone)], together))
        for name, first, second, what in (
            ("save and load", recorded, whole, "a stored model predicts otherwise when loaded again"),
            ("one image twice", twice[:1], twice[1:2], "an image that comes twice gets two values"),
            ("batch size", among, np.tile(alone, 2), "values change with the images beside them"),
            ("order", together, backwards, "values change with the position in the set"),
        ):
            gap = float(np.max(np.abs(first - second))) / spread
            holds = bool(gap <= _TOLERANCE)
            yield Check(name, holds, f"largest difference {gap:.1e} of the spread" + ("" if holds else f": {what}"))

    def _direction(self, base: _Done) -> Check:
        if not (base.stages and base.labels):
            predictor, sets = self._model(base)
            values = np.concatenate([predictor.predict(test.images) for test in sets.tests.values()])
            relation = srcc(values, np.concatenate([test.scores for test in sets.tests.values()])) or 0.0
            what = "its values"
        else:
            relation = self._taught(base)
            if -_CLEAR < relation < _CLEAR:  # a few steps may be too few to learn anything
                relation = self._taught(self._run("plain", 8))
            what = "what they taught it, and their opposite"
        holds = relation > 0
        seen = f"SRCC of the scores with {what}: {relation:.2f}"
        return Check("direction", holds, seen if holds else f"{seen}: higher must mean better")

    def _taught(self, done: _Done) -> float:
        """SRCC of labels with the predictions for the labeled images, over two runs: the one given, and one with
        labels turned round and lowered, so that both the order and the level of predictions must follow them."""
        values, labels = [], []
        for run in (done, self._run("opposite", done.times)):
            predictor, sets = self._model(run)
            assert sets.labeled is not None  # the learner needs labels
            values.append(predictor.predict(sets.labeled.images))
            labels.append(sets.labeled.score01)
        return srcc(np.concatenate(values), np.concatenate(labels)) or 0.0

    def _resumed(self) -> Iterator[Check]:
        """Stop a run after every one of its checkpoints and start it again each time.

        Numbers of epochs are doubled, so that a stage of one epoch is also stopped in its middle.
        """
        with _watched() as whole:
            expected = self._run("plain", 2)
        with _watched(stop=True) as parts:
            found = self._run("plain", 2)
        for stage in expected.stages:
            changed = _different(whole.tensors[stage], parts.tensors[stage])
            epochs = ", ".join(str(epoch) for key, epoch in parts.stops if key == parts.keys[stage])
            seen = f"stopped after epoch {epochs}" if epochs else "leaves no checkpoint, starts anew"
            seen += f": {changed} of {len(whole.tensors[stage])} arrays of its artifact change"
            yield Check(f"resume at {stage}", not changed, seen)
        changed = expected.changed(found)
        seen = f"{changed} of {len(expected.predictions)} predictions change after {len(parts.stops)} interruptions"
        yield Check("resume", not changed, seen)

    def _run(self, variant: str, times: int = 1) -> _Done:
        """Run the method on a variant, in an empty store, again and again until nothing interrupts it."""
        from ssliqa_bench.runner.execute import run
        from ssliqa_bench.runner.learners import make_learner
        from ssliqa_bench.store.records import read_predictions

        self._stores += 1
        store = self._folder / f"store-{self._stores}"
        plan, settings = self._plan(variant, times, store)
        while True:
            try:
                tested = run(plan, settings).record.results
                break
            except _Interruption:
                pass
        rows = {dataset: read_predictions(store, plan.key, dataset) for dataset in tested}
        named = {(d, i): p for d, own in rows.items() for i, p in zip(own.image, own.prediction, strict=True)}
        files = {(t.dataset, i): path for t in plan.tables.values() for i, path in zip(t.name, t.path, strict=True)}
        by_content = {sha256_file(files[key]): prediction for key, prediction in named.items()}
        learner = make_learner(plan)
        stages = tuple(stage.name for stage in learner.stages())
        return _Done(variant, times, store, stages, learner.needs.labels, by_content, named)

    def _plan(self, variant: str, times: int, store: Path) -> tuple[Plan, Settings]:
        """A plan for a variant of the miniature pair, with so many times the epochs of the recipe."""
        registry = load_registry((*self._registries, registry_file(self._folder, variant)))
        recipe = "check" if "check" in registry.recipes(self._method) else None
        params = registry.resolve_method(self._method, recipe, {}, registry.dataset(PAIR.labeled).recipe).params
        epochs = {name: n for name, n in params.items() if name == "epochs" or name.endswith("_epochs")}
        longer = tuple((name, times * n) for name, n in epochs.items()) if times > 1 else ()
        settings = replace(self._settings, store=store)
        spec = RunSpec(self._method, PAIR, PROTOCOL, recipe=recipe, overrides=longer)
        return make_plan(spec, registry, settings), settings

    def _model(self, done: _Done) -> tuple[Predictor, LearnerSets]:
        """The model of a run, as a new learner makes it of the stored artifact, and the sets of the run."""
        from ssliqa_bench.runner.learner_sets import make_sets
        from ssliqa_bench.runner.learners import make_learner, model_of
        from ssliqa_bench.runner.sources import open_sources
        from ssliqa_bench.runner.stages import final_artifact
        from ssliqa_bench.store.records import read_record

        plan, settings = self._plan(done.variant, done.times, done.store)
        _import_anew(plan.method.class_path)
        learner = make_learner(plan)
        sets = make_sets(plan, learner, open_sources(plan, settings, learner)[0])
        artifact = final_artifact(read_record(done.store, plan.key), ArtifactStore(done.store))
        return model_of(plan, learner, artifact), sets


def _import_anew(class_path: str) -> None:
    """Forget the modules of a class outside the package: what it remembers of a run is no part of what the run left,
    and another process would not have it."""
    package = class_path.partition(":")[0].partition(".")[0]
    if package != "ssliqa_bench":
        for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
            del sys.modules[name]


class _Interruption(BaseException):
    """In place of a kill right after a checkpoint was written."""


@dataclass
class _Watch:
    """What was seen of a store: (key, epoch) of the checkpoints at which it stopped, and key and tensors by stage."""

    stops: list[tuple[str, int]] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    tensors: dict[str, Mapping[str, NDArray[Any]]] = field(default_factory=dict)


@contextmanager
def _watched(stop: bool = False) -> Iterator[_Watch]:
    """Watch what stages store; with `stop`, interrupt once after each checkpoint."""
    watch = _Watch()
    save, save_checkpoint = ArtifactStore.save, ArtifactStore.save_checkpoint

    def note(self: ArtifactStore, key: str, artifact: Artifact, facts: Mapping[str, Any]) -> None:
        save(self, key, artifact, facts)
        watch.keys[facts["stage"]], watch.tensors[facts["stage"]] = key, artifact.tensors

    def note_and_stop(self: ArtifactStore, key: str, state: Artifact) -> None:
        save_checkpoint(self, key, state)
        mark = (key, int(state.meta["epoch"]))
        if stop and mark not in watch.stops:  # a stage that starts anew each time comes by the same mark
            watch.stops.append(mark)
            raise _Interruption

    with (
        mock.patch.object(ArtifactStore, "save", note),
        mock.patch.object(ArtifactStore, "save_checkpoint", note_and_stop),
    ):
        yield watch


def _different(first: Mapping[str, NDArray[Any]], second: Mapping[str, NDArray[Any]]) -> int:
    """How many named arrays two artifacts do not share, bit for bit."""
    return sum(
        name not in first or name not in second or first[name].tobytes() != second[name].tobytes()
        for name in {*first, *second}
    )


def _imported(file: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return sorted(set(names))
