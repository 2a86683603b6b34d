"""Plans that share what they work out are the plans that are made one by one, and no split is drawn twice."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from ssliqa_bench.errors import LeakError
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.runner import plan_cache as module
from ssliqa_bench.runner.plan import make_plan
from ssliqa_bench.runner.plan_cache import Known
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import Pair, RunSpec

SPECS = [
    RunSpec(method, Pair.parse(pair), seed=seed, budget=budget, tests=tests)
    for method, pair, seed, budget, tests in itertools.product(
        ("supervised", "ridge-probe", "piqe"), ("tiny-a", "tiny-a:tiny-b"), (0, 1), (None, 8), ((), ("tiny-c",))
    )
]


@pytest.fixture
def registry(tiny_pair: Path) -> Registry:
    return load_registry([tiny_pair / "registry.yaml"])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment(store=tmp_path / "store", device="cpu", quiet=True, download=False)


def test_shared_work_changes_no_plan_and_is_done_once(
    registry: Registry, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [make_plan(spec, registry, settings) for spec in SPECS]
    drawn, draw = [], module.assign_roles
    monkeypatch.setattr(module, "assign_roles", lambda *asked: drawn.append(asked) or draw(*asked))
    known = Known()
    for again in range(2):
        for one, spec in zip(alone, SPECS, strict=True):
            shared = make_plan(spec, registry, settings, known)
            assert (shared.key, shared.key_parts, dict(shared.roles)) == (one.key, one.key_parts, dict(one.roles)), spec
        assert len(drawn) == len(SPECS) / 3, f"methods share their splits, round {again}"
    assert len({one.key for one in alone}) > len(drawn), "and have keys of their own"


def test_one_image_and_all_images_are_different_budgets(registry: Registry, settings: Settings) -> None:
    known, pair = Known(), Pair.parse("tiny-a:tiny-b")
    for asked in ("budget", "unlabeled_budget"):
        for value in (1, 1.0, 0.5):
            spec = RunSpec("supervised", pair, **{asked: value})  # type: ignore[arg-type]
            assert make_plan(spec, registry, settings, known).roles == make_plan(spec, registry, settings).roles


def test_a_leak_stops_every_run_that_has_it(
    registry: Registry, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leak(*_: object) -> None:
        raise LeakError("a file has two roles.")

    monkeypatch.setattr(module, "check_files", leak)
    known = Known()
    for spec in SPECS[:2]:
        with pytest.raises(LeakError, match="two roles"):
            make_plan(spec, registry, settings, known)
