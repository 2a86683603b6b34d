"""What a node of a cluster must have before it gets a task, and what is refused before a sweep starts; without Ray."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ssliqa_bench.runner import keys, ray_pool
from ssliqa_bench.runner.ray_pool import Demands, do_on_node, inspect_node, versions_here
from ssliqa_bench.runner.tasks import Failed, StageStates, Task
from ssliqa_bench.store.store import Store

if TYPE_CHECKING:
    from tests.conftest import Bench


def demands(tmp_path: Path, **changed: Any) -> Demands:
    """What this very process gives, but for what is changed."""
    store = tmp_path / "store"
    Store(store).put("probes/one", b"driver")
    given = {"versions": versions_here(["numpy", "torch"]), "store": str(store), "probe": "probes/one",
             "files": (__file__,)}  # fmt: skip
    return Demands(**{**given, **changed})


def test_a_node_that_has_everything_is_accepted(tmp_path: Path) -> None:
    assert inspect_node(demands(tmp_path)) == []


@pytest.mark.parametrize("endings", [(".heic",), (".png",)])
def test_the_decoder_of_a_format_counts_where_a_dataset_has_such_files(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endings: tuple[str, ...]
) -> None:
    real = ray_pool.library_versions
    monkeypatch.setitem(keys.FORMAT_DECODERS, "pillow_heif", endings)
    monkeypatch.setattr(
        ray_pool, "library_versions", lambda names: real(n for n in names if n != "pillow_heif")
        | ({"pillow_heif": "1.0"} if "pillow_heif" in names else {})
    )  # fmt: skip
    plan, _ = bench.plan("supervised")
    asked = ray_pool.versions_of([plan])
    assert ("pillow_heif" in asked) == (endings == (".png",)) and "unknown" not in asked.values()
    assert inspect_node(demands(tmp_path, versions=asked)) == []


def test_what_a_node_lacks_is_named(tmp_path: Path) -> None:
    versions = {**versions_here(["numpy"]), "numpy": "1.0", "absent-library": "2"}
    (problem,) = inspect_node(demands(tmp_path, versions=versions))
    assert "numpy" in problem and "in place of 1.0" in problem and "absent-library unknown in place of 2" in problem
    (problem,) = inspect_node(demands(tmp_path, files=(__file__, "/data/LIVEC/1.bmp")))
    assert "/data/LIVEC/1.bmp is not there (1 of 2" in problem and "data root" in problem
    (problem,) = inspect_node(demands(tmp_path, probe="probes/other"))
    assert "is not shared" in problem and "--store" in problem


def test_a_task_on_a_node_gives_its_result_and_what_was_logged(bench: Bench) -> None:
    plan, settings = bench.plan("supervised")
    registries = [bench.data / "registry.yaml"]
    looked, lines = do_on_node(Task(0, plan.spec, "look", key=plan.key), registries, settings)
    assert isinstance(looked, StageStates) and looked.crops > 0
    assert [name for name, _, _ in looked.stages] == ["initial"]
    assert lines == []
    failed, _ = do_on_node(Task(0, plan.spec, "record", key="0" * 64), registries, settings)
    assert isinstance(failed, Failed) and "code, data or libraries differ" in failed.error


def test_ray_that_is_not_installed_names_the_extra(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bench.store.parent / "suite.yaml"
    path.write_text(yaml.safe_dump({"title": "Tiny", "runs": [{"methods": ["supervised"], "pairs": ["tiny-a"]}]}))
    monkeypatch.setitem(sys.modules, "ray", None)
    code, out, err = bench("sweep", str(path), "--engine", "ray")
    assert code == 2 and out == "" and "ssliqa-bench[ray]" in err and not bench.store.exists()
    for words in (("--address", "auto"), ("--gpu-share", "0.5"), ("--task-memory", "2")):
        code, _, err = bench("sweep", str(path), *words)
        assert code == 2 and words[0] in err and "--engine ray" in err
    code, _, err = bench("sweep", str(path), "--engine", "ray", "--jobs", "2")
    assert code == 2 and "--jobs" in err
