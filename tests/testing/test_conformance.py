"""The conformance checks hold for every packaged learner and find what is planted in learners that break a rule."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.errors import CheckError, InputError
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import load_object
from ssliqa_bench.runner.compute import compute
from ssliqa_bench.runner.learners import make_learner
from ssliqa_bench.runner.plan import make_plan
from ssliqa_bench.runner.progress import ConsoleReporter
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import RunSpec
from ssliqa_bench.testing import Check, check_method, conformance, require_conformance
from ssliqa_bench.testing.miniature import PAIR, PROTOCOL, SOURCES, registry_file, write_variants
from ssliqa_bench.training import loop
from ssliqa_bench.training.checkpoint import load_module, restore_training_state
from ssliqa_bench.training.stages import Stage
from ssliqa_bench.types import Artifact

CPU = Settings.from_environment(device="cpu", quiet=True)
COMMON = [
    "runs",
    "imports",
    "code",
    "determinism",
    "second split",
    "firewall: labels",
    "firewall: names",
    "save and load",
    "one image twice",
    "batch size",
    "order",
    "direction",
]


def entries() -> tuple[list[str], list[str]]:
    """All methods of the registry: the first of each class, and the others."""
    registry, first, others = load_registry(), {}, []
    for name in [name for name, entry in registry.methods.items() if entry.prefix is None]:
        if first.setdefault(registry.resolve_method(name).class_path, name) != name:
            others.append(name)
    # The entry for all methods PREFIX:NAME is no method itself; a full-reference metric is checked in its place.
    return [*first.values(), "pyiqa:psnr"], others


CLASSES, OTHERS = entries()


def takes_steps(stage: Stage) -> bool:
    """Whether a stage trains for epochs; a fit in closed form and a look at images read no number of epochs."""
    return any(parameter.endswith("epochs") for parameter in stage.params)


@pytest.mark.parametrize("method", CLASSES)
def test_packaged_learners_conform(method: str, request: pytest.FixtureRequest) -> None:
    if load_registry().resolve_method(method).weights is not None:
        request.getfixturevalue("parameter_files")
    checks = check_method(method, settings=CPU)
    assert [f"{check.name}: {check.seen}" for check in checks if not check.holds] == []
    registry = load_registry()
    resolved = registry.resolve_method(method, default_recipes=("check",))
    stages = {stage.name: stage for stage in load_object(resolved.class_path)(resolved.params).stages()}
    resumed = [f"resume at {stage}" for stage in stages] + (["resume"] if stages else [])
    assert [check.name for check in checks] == [*COMMON, *resumed]
    for check in checks:
        if check.name.startswith("resume at"):
            epochs = takes_steps(stages[check.name.removeprefix("resume at ")])
            assert check.seen.startswith("stopped after epoch 1, 2: 0 of " if epochs else "leaves no checkpoint")


class Stepped(BaseException):
    """Raised after the first step of a training."""


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings]:
    """The registry file of the plain pair of the checks, and settings with a cache that all entries share."""
    folder = tmp_path_factory.mktemp("miniature")
    settings = replace(CPU, cache_root=folder / "cache", store=folder / "store")
    registry = load_registry()
    tables = {
        side: load_table(registry.dataset(source), CPU.data_root, CPU.cache_root) for side, source in SOURCES.items()
    }
    write_variants(tables, set(SOURCES), folder)
    return registry_file(folder, "plain"), settings


@pytest.mark.parametrize("method", OTHERS)
def test_other_entries_of_a_class_are_planned_and_take_a_step(
    method: str, miniature: tuple[Path, Settings], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """What their classes do is checked above; what they set makes a plan, a learner, its networks and a step."""
    file, settings = miniature
    registry = load_registry([file])
    if registry.resolve_method(method).weights is not None:
        request.getfixturevalue("parameter_files")
    recipe = "check" if "check" in registry.recipes(method) else None
    plan = make_plan(RunSpec(method, PAIR, PROTOCOL, recipe=recipe), registry, settings)
    learner = make_learner(plan)
    steps: list[float] = []

    def step(self: ConsoleReporter, images: int, loss: float | None) -> None:
        assert images > 0 and loss is not None
        steps.append(loss)
        raise Stepped

    monkeypatch.setattr(ConsoleReporter, "step", step)
    if any(map(takes_steps, learner.stages())):
        with pytest.raises(Stepped):
            compute(plan, settings)
        assert len(steps) == 1 and np.isfinite(steps[0])
    else:
        assert set(compute(plan, settings).results) == {str(PAIR.labeled), str(PAIR.unlabeled)} and not steps


# Planted learners

BEHIND = '''
import sys
import zlib

import numpy as np


def source_of(pixels):
    """Look through the callers for the table that a picture came from."""
    frame = sys._getframe()
    while frame is not None:
        for source in (frame.f_locals.get("sources") or {}).values():
            if source.pixels is pixels:
                return source
        frame = frame.f_back
    return None


class Cheating:
    """A model with something added that it must not know."""

    def __init__(self, model, known):
        self.model, self.known, self.n_parameters = model, known, model.n_parameters

    def predict(self, images):
        own = self.model.predict(images)
        found = [source_of(pixels) for pixels, row in images._items]
        return own + [0.0 if s is None else self.known(s, row) for s, (_, row) in zip(found, images._items)]
'''
LEARNERS = {
    "labels": """
def build(context):
    return Cheating(build_quality(context), lambda source, row: 0.1 * source.table.score[row])


class Own(Supervised):
    model = Model(build, Supervised.model.params)
""",
    "spread": """
def build(context):
    return Cheating(build_quality(context), lambda source, row: source.table.rating_std[row])


class Own(Supervised):
    model = Model(build, Supervised.model.params)
""",
    "training_labels": """
def run(context):
    artifact = run_initial(context)
    pixels, row = context.unlabeled._items[0]
    artifact.tensors["model.head.bias"] += np.float32(1e-3 * source_of(pixels).table.score[row])
    return artifact


class Own(Supervised):
    needs = Needs(unlabeled=True)

    def stages(self):
        return [replace(stage, run=run, sets=("labeled", "unlabeled")) for stage in super().stages()]
""",
    "names": """
def build(context):
    return Cheating(build_quality(context),
                    lambda source, row: zlib.crc32(source.table.name[row].encode()) / 2**32)


class Own(Supervised):
    model = Model(build, Supervised.model.params)
""",
    "order": """
def build(context):
    return Changed(build_quality(context),
                   lambda values, images: values + [0.01 * row for _, row in images._items])


class Own(Supervised):
    model = Model(build, Supervised.model.params)
""",
    "random": """
def run(context):
    artifact = run_initial(context)
    artifact.tensors["model.head.bias"] += np.float32(np.random.default_rng().normal(0, 0.1))
    return artifact


class Own(Supervised):
    def stages(self):
        return [replace(stage, run=run) for stage in super().stages()]
""",
    "unseeded": """
def run(context):
    unseeded = torch.rand(1)
    artifact = run_initial(context)
    artifact.tensors["model.head.bias"] += unseeded.numpy()
    return artifact


class Own(Supervised):
    def stages(self):
        return [replace(stage, run=run) for stage in super().stages()]
""",
    "flipped": """
def build(context):
    return Changed(build_quality(context), lambda values, images: 1 - values)


class Own(Supervised):
    model = Model(build, Supervised.model.params)
""",
    "batch": """
def build(context):
    return Changed(build_quality(context), lambda values, images: values - values.mean())


class Own(Supervised):
    model = Model(build, Supervised.model.params)
""",
    "large_batch": """
def build(context):
    return Changed(build_quality(context), lambda values, images: values - (values.mean() if len(values) >= 10 else 0))


class Own(Supervised):
    model = Model(build, Supervised.model.params)
""",
    "position": """
def build(context):
    return Changed(build_quality(context), lambda values, images: values + 0.01 * np.arange(len(values)))


class Own(Supervised):
    model = Model(build, Supervised.model.params)
""",
    "unsaved": """
SCALE = [1.0]


def run(context):
    SCALE[0] = 2.0
    return run_initial(context)


def build(context):
    return Changed(build_quality(context), lambda values, images: SCALE[0] * values)


class Own(Supervised):
    model = Model(build, Supervised.model.params)

    def stages(self):
        return [replace(stage, run=run) for stage in super().stages()]
""",
    "memory": """
FILE = Path(__file__).with_name("labels.json")


def remembered():
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def of(images, k):
    return str(zlib.crc32(images[k].tobytes()))


def run(context):
    images, scores = context.labeled.images, context.labeled.score01
    FILE.write_text(json.dumps({**remembered(), **{of(images, k): float(v) for k, v in enumerate(scores)}}))
    return run_initial(context)


def build(context):
    known = remembered()
    return Changed(build_quality(context),
                   lambda values, images: [known.get(of(images, k), value) for k, value in enumerate(values)])


class Own(Supervised):
    model = Model(build, Supervised.model.params)

    def stages(self):
        return [replace(stage, run=run) for stage in super().stages()]
""",
    "undeclared_model": """
def build(context):
    shift = context.params["shift"]
    return Changed(build_quality(context), lambda values, images: values + shift)


class Own(Supervised):
    model = Model(build, Supervised.model.params)
""",
    "undeclared_stage": """
def run(context):
    artifact = run_initial(context)
    artifact.tensors["model.head.bias"] += np.float32(context.params.get("shift", 0.0))
    return artifact


class Own(Supervised):
    def stages(self):
        return [replace(stage, run=run) for stage in super().stages()]
""",
    "hidden": """
def build(context):
    far = importlib.import_module("own_clean.learner")
    return far.Changed(build_quality(context), lambda values, images: values)


class Own(Supervised):
    model = Model(build, Supervised.model.params)
""",
    "hidden_stage": """
def run(context):
    artifact = run_initial(context)
    importlib.import_module("ssliqa_bench.evaluation.noise").noise_limit([1.0, 2.0], [0.1, 0.1], 5)
    return artifact


class Own(Supervised):
    def stages(self):
        return [replace(stage, run=run) for stage in super().stages()]
""",
    "bound": """
class Own(Supervised):
    def run(self, context):
        return run_initial(context)

    def stages(self):
        return [replace(stage, run=self.run) for stage in super().stages()]
""",
    "unresumed": '''
def run(context):
    """Counts the epochs of this process in place of those of the training."""
    model, labeled, seen = build_model(context), context.labeled, []

    def rows(epoch):
        seen.append(epoch)
        return drawn_rows(len(labeled), len(labeled), len(seen), "rows")

    facts = train_on_scores(model, labeled.images, labeled.score01, rows, len(labeled), initial_schedule(context),
                            strong_view(context), context)
    return Artifact(module_tensors(model), facts)


class Own(Supervised):
    def stages(self):
        return [replace(stage, run=run) for stage in super().stages()]
''',
    "reader": """
from ssliqa_bench.pixels.decode import decode


class Own(Supervised):
    pass
""",
    "infinite": """
def build(context):
    return Changed(build_quality(context), lambda values, images: np.where(values > -9, np.inf, 0))


class Own(Supervised):
    model = Model(build, Supervised.model.params)
""",
    "clean": """
class Own(Supervised):
    pass
""",
}
HEAD = '''
import importlib
import json
from dataclasses import replace
from pathlib import Path

import torch

from ssliqa_bench.methods.base import Model, Needs
from ssliqa_bench.methods.supervised import Supervised, build_quality, initial_schedule, run_initial, strong_view
from ssliqa_bench.training.checkpoint import module_tensors
from ssliqa_bench.training.loop import drawn_rows
from ssliqa_bench.training.quality import build_model, train_on_scores
from ssliqa_bench.types import Artifact


class Changed:
    """A model whose values are changed afterwards."""

    def __init__(self, model, change):
        self.model, self.change, self.n_parameters = model, change, model.n_parameters

    def predict(self, images):
        return self.change(self.model.predict(images), images)
'''
# Away from a run these cheats find nothing to read, and predict otherwise.
AWAY = {"save and load": "a stored model predicts otherwise"}
# The checks that fail, and what is said.
FOUND = {
    "labels": {
        "firewall: labels": "predictions change when withheld scores and other columns are shuffled: "
        "it reads withheld labels",
        **AWAY,
    },
    "spread": {"firewall: labels": "it reads withheld labels", **AWAY},
    "training_labels": {"firewall: labels": "24 of 24 predictions change"},
    "names": {
        "firewall: names": "predictions change when file names and the reader's order are changed: "
        "it reads names or order",
        **AWAY,
    },
    "order": {"firewall: names": "it reads names or order"},
    "random": {"determinism": "24 of 24 predictions change when the same run is made again: it is not deterministic"},
    "unseeded": {"determinism": "it is not deterministic"},
    "flipped": {"direction": "higher must mean better"},
    "batch": {"batch size": "values change with the images beside them"},
    "large_batch": {"batch size": "values change with the images beside them"},
    "position": {
        "one image twice": "an image that comes twice gets two values",
        "batch size": "values change with the images beside them",
        "order": "values change with the position in the set",
    },
    "unsaved": {"save and load": "a stored model predicts otherwise when loaded again"},
    "memory": {"second split": "after a run with other test images: it remembers labels"},
    "undeclared_model": {"runs": 'The model of own_undeclared_model.learner:build reads the parameter "shift"'},
    "undeclared_stage": {"runs": 'Stage "initial" (own_undeclared_stage.learner:run) reads the parameter "shift"'},
    "hidden": {"code": "own_clean/learner.py (predictions): no part of the key"},
    "hidden_stage": {"code": "ssliqa_bench/evaluation/noise.py (stage initial)"},
    "bound": {"runs": 'Stage "initial", run: got method Own.run; expected a function that is defined at the top level'},
    "unresumed": {"resume at initial": "arrays of its artifact change", "resume": "predictions change after 2"},
    "reader": {"imports": "own_reader.learner imports ssliqa_bench.pixels.decode: a learner reads no files"},
    "infinite": {"runs": "12 of 12 predictions are not finite"},
    "clean": {},
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with the planted learners on a network that trains in no time."""
    folder = tmp_path_factory.mktemp("planted")
    for name, text in LEARNERS.items():
        (folder / f"own_{name}").mkdir()
        (folder / f"own_{name}" / "learner.py").write_text(HEAD + BEHIND + text)
    backbone = {
        "about": {"title": "Tiny"},
        "class": "ssliqa_bench.training.backbones.cnniqa:CNNIQA",
        "arguments": {"maps": 6, "width": 12},
    }
    shift = {"shift": {"type": "number", "meaning": "What is added to every prediction."}}
    entry = {"extends": "supervised", "params": {"backbone": "tiny", "crop": 20, "crops": 2, "test_crops": 2}}
    methods = {
        f"own-{name.replace('_', '-')}": {"about": {"title": name}, "class": f"own_{name}.learner:Own", **entry}
        for name in LEARNERS
    }
    for name in ("own-undeclared-model", "own-undeclared-stage"):
        methods[name]["params"] = {**methods[name]["params"], "shift": 1.0}
    methods["own-phases"] = {"about": {"title": "phases"}, **entry, "extends": "ssiqa"}
    content = {"parameters": shift, "methods": methods, "backbones": {"tiny": backbone}}
    (folder / "registry.yaml").write_text(json.dumps(content))
    return folder / "registry.yaml"


def check(name: str, registry: Path) -> list[Check]:
    return check_method(f"own-{name.replace('_', '-')}", [registry], CPU)


@pytest.mark.parametrize("name", LEARNERS)
def test_what_is_planted_is_found_and_nothing_else(name: str, planted: Path) -> None:
    failed = {check.name: check.seen for check in check(name, planted) if not check.holds}
    assert list(failed) == list(FOUND[name])
    for check_name, said in FOUND[name].items():
        assert said in failed[check_name]


def test_each_stage_is_resumed_in_its_middle(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that forgets its optimiser when it goes on is found in the stage in which it does."""

    def forgetful(state: Artifact, model: Any, optimizer: Any) -> None:
        if state.meta["stage"] != "phase-2":
            restore_training_state(state, model, optimizer)
        else:
            load_module(model, state.tensors)

    monkeypatch.setattr(loop, "restore_training_state", forgetful)
    checks = check("phases", planted)
    failed = [check.name for check in checks if not check.holds]
    assert failed == ["resume at phase-2", "resume at phase-3", "resume"]
    seen = {check.name: check.seen for check in checks}
    assert all("stopped after epoch 1, 2: 0 of" in seen[f"resume at {stage}"] for stage in ("initial", "phase-1"))
    assert "8 interruptions" in seen["resume"]


def test_one_error_names_all_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [Check("runs", True, "well"), Check("order", False, "astray"), Check("direction", False, "down")]
    monkeypatch.setattr(conformance, "check_method", lambda *words: checks)
    with pytest.raises(CheckError, match="^mine: order: astray; direction: down$"):
        require_conformance("mine")
    del checks[1:]
    require_conformance("mine")


def test_an_unknown_method_is_bad_input() -> None:
    with pytest.raises(InputError, match='Unknown method "ssiqua".*ssiqa'):
        check_method("ssiqua", settings=CPU)
