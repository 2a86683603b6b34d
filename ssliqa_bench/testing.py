"""Conformance tests for contributors: does a method keep the rules that make results comparable?

`check_method` runs a method on sixty images of the demo sets with its recipe `check` (one epoch) and looks at
what it does: with withheld columns shuffled, asked twice, asked one image at a time, killed and resumed, taught
the opposite. `ssliqa-bench check method M` prints what it finds.
"""

from __future__ import annotations

import ast
import csv
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import yaml

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.errors import CheckError, SsliqaError
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import locate_module
from ssliqa_bench.runner.plan import Plan, Settings, make_plan
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.types import FloatArray, Pair, RunSpec, Table, derive_seed

_SIDES = {"check-labeled": "demo-syn", "check-unlabeled": "demo-wild"}
_GROUPS, _TEST_GROUPS, _PER_GROUP = 5, 2, 6  # of each side: thirty images, twelve of them for testing
_TOLERANCE = 1e-5  # of the spread of the predictions
_FORBIDDEN = ("ssliqa_bench.datasets", "ssliqa_bench.registry", "ssliqa_bench.store", "ssliqa_bench.runner")


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
        InputError: the method is not known, or its class cannot be loaded.
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


class _Bench:
    """The miniature pair of the checks in several variants, and runs of one method on them."""

    def __init__(self, method: str, registries: tuple[Path, ...], settings: Settings, folder: Path) -> None:
        self._registries = registries
        self._folder = folder
        self._settings = replace(settings, cache_root=folder / "cache", quiet=True, use_store=True, keep="phases")
        names = load_registry(registries)
        self._method = names.method(method).name
        self._tables = {
            side: _thin(load_table(names.dataset(source), settings.data_root, settings.cache_root))
            for side, source in _SIDES.items()
        }
        self._runs = 0

    def checks(self) -> Iterator[Check]:
        """All checks; the first is that the method runs at all."""
        try:
            plan, settings = self._plan("plain")
            base = self._predictions(plan, settings)
        except SsliqaError as error:
            yield Check("runs", False, str(error))
            return
        yield Check("runs", True, f"{len(base)} finite predictions")
        yield self._imports(plan)
        yield self._unchanged(
            "labels", base, "withheld scores and other columns are shuffled", "it reads withheld labels"
        )
        yield self._unchanged("names", base, "file names and the reader's order are changed", "it reads names or order")
        yield self._repeated(base)
        yield from self._asked_otherwise(plan, settings)
        yield self._direction(plan, settings)
        yield from self._resumed(base)

    def _imports(self, plan: Plan) -> Check:
        module = plan.method.class_path.partition(":")[0]
        file = locate_module(module, plan.search_folders)
        found = [] if file is None else [n for n in _imported(file) if n.startswith(_FORBIDDEN)]
        seen = f"{module} imports {', '.join(found)}: a learner reads no files" if found else "imports no reader"
        return Check("imports", not found, seen)

    def _unchanged(self, variant: str, base: dict[str, float], what: str, why: str) -> Check:
        other = self._predictions(*self._plan(variant))
        changed = [image for image in base if other[image] != base[image]]
        seen = f"{len(changed)} of {len(base)} predictions change when {what}"
        return Check(f"firewall: {variant}", not changed, f"{seen}: {why}" if changed else seen)

    def _repeated(self, base: dict[str, float]) -> Check:
        import torch

        torch.manual_seed(derive_seed("another", "state"))
        np.random.seed(12345)
        other = self._predictions(*self._plan("plain"))
        changed = sum(other[image] != base[image] for image in base)
        seen = f"{changed} of {len(base)} predictions change when the same run is made again"
        return Check("determinism", not changed, f"{seen}: it is not deterministic" if changed else seen)

    def _asked_otherwise(self, plan: Plan, settings: Settings) -> Iterator[Check]:
        from ssliqa_bench.runner.compute import add_tests  # noqa: F401 - torch is needed from here on

        predictor, images, _ = self._model(plan, settings)
        together = predictor.predict(images.subset(range(8)))
        spread = float(np.std(together)) or 1.0
        alone = np.array([predictor.predict(images.subset([k]))[0] for k in range(8)])
        backwards = predictor.predict(images.subset(range(7, -1, -1)))[::-1]
        twice = predictor.predict(images.subset([0, 0, 1]))
        again, _, _ = self._model(plan, settings)
        loaded = again.predict(images.subset(range(8)))
        for name, first, second, what in (
            ("one image twice", twice[:1], twice[1:2], "an image that comes twice gets two values"),
            ("batch size", together, alone, "values change with the images beside them"),
            ("order", together, backwards, "values change with the position in the set"),
            ("save and load", together, loaded, "a stored model predicts otherwise when loaded again"),
        ):
            gap = float(np.max(np.abs(first - second))) / spread
            holds = bool(gap <= _TOLERANCE)
            yield Check(name, holds, f"largest difference {gap:.1e} of the spread" + ("" if holds else f": {what}"))

    def _direction(self, plan: Plan, settings: Settings) -> Check:
        """A learner taught the opposite must move the other way; a metric must follow the scores."""
        from scipy.stats import spearmanr

        predictor, _, sets = self._model(plan, settings)
        if sets.labeled is None or not self._learns(plan):
            values = np.concatenate([predictor.predict(test.images) for test in sets.tests.values()])
            scores = np.concatenate([test.scores for test in sets.tests.values()])
            what = "its values"
        else:
            taught = self._plan("opposite")
            self._predictions(*taught)
            opposite, _, _ = self._model(*taught)
            values = predictor.predict(sets.labeled.images) - opposite.predict(sets.labeled.images)
            scores, what = sets.labeled.score01, "what the labels taught it"
        relation = float(spearmanr(values, scores).statistic)
        holds = relation > 0
        return Check(
            "direction",
            holds,
            f"SRCC of the scores with {what}: {relation:.2f}" + ("" if holds else ": higher must mean better"),
        )

    def _resumed(self, base: dict[str, float]) -> Iterator[Check]:
        with _interrupted(None) as saved:
            self._predictions(*self._plan("plain"))
        for number, stage in enumerate(saved):
            plan, settings = self._plan("plain")
            try:
                with _interrupted(number):
                    self._predictions(plan, settings)
            except _Interruption:
                pass
            other = self._predictions(plan, settings)
            changed = sum(other[image] != base[image] for image in base)
            seen = f"{changed} of {len(base)} predictions change after an interruption"
            yield Check(f"resume at {stage}", not changed, seen)

    def _learns(self, plan: Plan) -> bool:
        from ssliqa_bench.runner.compute import make_learner

        return bool(make_learner(plan).stages())

    def _plan(self, variant: str) -> tuple[Plan, Settings]:
        """A plan for the miniature pair in some variant, with an empty store of its own."""
        self._runs += 1
        data = self._folder / variant
        if not data.exists():
            _write_variant(self._tables, variant, data)
        registry = load_registry((*self._registries, data / "registry.yaml"))
        settings = replace(self._settings, store=self._folder / f"store-{self._runs}")
        spec = RunSpec(
            self._method, Pair(*_SIDES), "check", recipe="check" if _has_recipe(registry, self._method) else None
        )
        return make_plan(spec, registry, settings), settings

    def _predictions(self, plan: Plan, settings: Settings) -> dict[str, float]:
        """Run a plan and give its predictions by the content of the image's file."""
        from ssliqa_bench.datasets.fingerprint import file_hashes
        from ssliqa_bench.runner.execute import run
        from ssliqa_bench.store.records import read_predictions, record_folder

        run(plan, settings)
        rows = read_predictions(record_folder(settings.store, plan.key))
        paths = {
            (name, image): path
            for name, table in plan.tables.items()
            for image, path in zip(table.name, table.path, strict=True)
        }
        hashes = file_hashes(paths.values())
        return {hashes[paths[d, i]]: p for d, i, p in zip(rows.dataset, rows.image, rows.prediction, strict=True)}

    def _model(self, plan: Plan, settings: Settings) -> Any:
        """The finished model of a plan that has run, the unlabeled side's test images, and all sets."""
        import torch

        from ssliqa_bench.runner.compute import final_artifact, make_learner, make_sets, open_sources
        from ssliqa_bench.store.records import read_facts, record_folder

        learner = make_learner(plan)
        sets = make_sets(plan, learner, open_sources(plan, settings)[0])
        artifact = final_artifact(read_facts(record_folder(settings.store, plan.key)), ArtifactStore(settings.store))
        predictor = learner.predictor(artifact, torch.device(plan.device))
        return predictor, sets.tests["check-unlabeled"].images, sets


class _Interruption(BaseException):
    """Stands for a kill right after a checkpoint was written."""


@contextmanager
def _interrupted(at: int | None) -> Iterator[list[str]]:
    """Stop after the `at`-th checkpoint (None: never); gives the stages whose checkpoints were written."""
    saved: list[str] = []
    save = ArtifactStore.save_checkpoint

    def save_and_stop(self: ArtifactStore, key: str, state: Any) -> None:
        save(self, key, state)
        saved.append(str(state.meta.get("stage", f"checkpoint {len(saved) + 1}")))
        if at is not None and len(saved) == at + 1:
            raise _Interruption

    with mock.patch.object(ArtifactStore, "save_checkpoint", save_and_stop):
        yield saved


def _has_recipe(registry: Any, method: str) -> bool:
    return "check" in registry.recipes(method)


def _thin(table: Table) -> Table:
    """Thirty images: six of each of five groups, spread over kinds and levels."""
    groups = sorted(set(table.group))[:_GROUPS]
    rows = []
    for group in groups:
        own = [row for row, name in enumerate(table.group) if name == group]
        rows += [own[k * len(own) // _PER_GROUP] for k in range(_PER_GROUP)]
    return table.take(rows)


def _write_variant(tables: dict[str, Table], variant: str, folder: Path) -> None:
    """Write the miniature pair as CSV datasets with a registry file.

    The parts of the split are stated, so that they hold while everything that is withheld is shuffled.
    """
    folder.mkdir(parents=True)
    entries = {}
    for side, table in tables.items():
        (folder / side).mkdir()
        test = set(sorted(set(table.group))[-_TEST_GROUPS:])
        rows = [_row(table, k, "test" if table.group[k] in test else "train") for k in range(len(table))]
        rows = _VARIANTS[variant](rows, side)
        for row in rows:
            shutil.copy(row.pop("source"), folder / side / row["image"])
        with open(folder / side / "labels.csv", "w", newline="") as handle:
            writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        entries[side] = {
            "about": {"title": f"Conformance images, {side}"},
            "kind": "demo",
            "scale": [1, 5],
            "direction": "higher_is_better",
            "folder": side,
            "rating_statistics": True,
        }
    protocol = {"about": {"title": "Conformance checks"}, "split": {"rule": "official"}}
    content = {"datasets": entries, "protocols": {"check": protocol}}
    (folder / "registry.yaml").write_text(yaml.safe_dump(content))


def _row(table: Table, k: int, part: str) -> dict[str, Any]:
    shares = {} if table.distribution is None else {f"c{j + 1}": v for j, v in enumerate(table.distribution[k])}
    columns = {name: getattr(table, name)[k] for name in ("group", "distortion", "level") if getattr(table, name)}
    spread = {} if table.rating_std is None else {"rating_std": table.rating_std[k]}
    return {
        "source": table.path[k],
        "image": f"{k:03d}.png",
        "score": table.score[k],
        **spread,
        **shares,
        **columns,
        "split": part,
    }


def _plain(rows: list[dict[str, Any]], side: str) -> list[dict[str, Any]]:
    return rows


def _labels(rows: list[dict[str, Any]], side: str) -> list[dict[str, Any]]:
    """Shuffle scores and every other column among the images of a part that a learner may not know them of."""
    rng = np.random.Generator(np.random.Philox(key=derive_seed("shuffled labels", side)))
    out = [dict(row) for row in rows]
    for part in ("train", "test"):
        if part == "train" and side == "check-labeled":
            continue
        members = [k for k, row in enumerate(rows) if row["split"] == part]
        for k, other in zip(members, rng.permutation(members), strict=True):
            out[k] = {**rows[int(other)], "source": rows[k]["source"], "image": rows[k]["image"]}
    return out


def _names(rows: list[dict[str, Any]], side: str) -> list[dict[str, Any]]:
    """New file names, and another order of the rows."""
    rng = np.random.Generator(np.random.Philox(key=derive_seed("shuffled names", side)))
    named = [{**row, "image": f"{derive_seed('name', side, row['image']):x}.png"} for row in rows]
    return [named[int(k)] for k in rng.permutation(len(named))]


def _opposite(rows: list[dict[str, Any]], side: str) -> list[dict[str, Any]]:
    """Scores turned round on their scale."""
    return [{**row, "score": 6 - row["score"]} for row in rows]


_VARIANTS: dict[str, Callable[[list[dict[str, Any]], str], list[dict[str, Any]]]] = {
    "plain": _plain,
    "labels": _labels,
    "names": _names,
    "opposite": _opposite,
}


def _imported(file: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return sorted(set(names))


def metrics_with_pseudo_labels(plan: Plan, settings: Settings, labels: str) -> dict[str, dict[str, Any]]:
    """What SS-IQA would reach with other pseudo-labels: "true" scores of the unlabeled images, or "shuffled" ones.

    Θ_0 is shared with the ordinary run through the store; no record is written. A test's question about the
    learner, not a method: it looks behind the firewall.

    Returns:
        Metrics by dataset, as in a record.
    """
    from ssliqa_bench.runner.compute import make_sets, open_sources
    from ssliqa_bench.runner.devices import prepare_process
    from ssliqa_bench.runner.progress import ConsoleReporter
    from ssliqa_bench.runner.scoring import Scorer
    from ssliqa_bench.runner.stages import StageRunner

    prepare_process(plan.device, settings.threads)
    sources, _ = open_sources(plan, settings)
    rows = [
        (s.pixels.hashes[row], float(s.table.score01[row])) for s in sources.values() for row in s.rows("unlabeled")
    ]
    scores = [score for _, score in sorted(rows)]  # in the order of content, as the unlabeled set stands
    if labels == "shuffled":
        rng = np.random.Generator(np.random.Philox(key=derive_seed("shuffled pseudo-labels", plan.spec.seed)))
        scores = list(rng.permutation(scores))
    learner = _told_learner(plan, labels, np.array(scores))
    sets = make_sets(plan, learner, sources)
    store = ArtifactStore(settings.store)
    reporter = ConsoleReporter(f"{plan.spec} ({labels} pseudo-labels)", quiet=settings.quiet)
    stages = StageRunner(plan, learner, sets, store, reporter, use_store=True).run()
    return Scorer(plan, learner, store, sets.tests, use_store=True).score(stages[-1].key, stages[-1].load()).metrics


_TOLD: dict[str, FloatArray] = {}


def _told_learner(plan: Plan, labels: str, scores: FloatArray) -> Any:
    from ssliqa_bench.methods.ssiqa import SSIQA

    _TOLD[labels] = scores
    learner = SSIQA(plan.params)
    stages = [
        stage
        if stage.name == "initial"
        else replace(stage, run=_run_told_phase, settings={**stage.settings, "told": labels})
        for stage in learner.stages()
    ]
    learner.stages = lambda: stages  # type: ignore[method-assign]
    return learner


def _run_told_phase(context: Any) -> Any:
    from ssliqa_bench.methods.ssiqa import run_phase

    return run_phase(context, lambda stage, block, view: _TOLD[str(stage.settings["told"])][block])
