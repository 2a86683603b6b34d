"""Many runs: one after the other or side by side, they give the same; what fails stops nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ssliqa_bench.errors import InputError, StorageError
from ssliqa_bench.runner.engines import check_jobs, run_all
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import Pair, RunSpec
from ssliqa_bench.store.records import iter_records

if TYPE_CHECKING:
    from tests.conftest import Bench


def suite(bench: Bench, methods: list[str], pair: str = "tiny-a:tiny-b", **fields: Any) -> str:
    """Write a suite file and give its path."""
    path = bench.store.parent / "suite.yaml"
    runs = [{"methods": methods, "pairs": [pair], "protocol": "standard", "seeds": 1, **fields}]
    path.write_text(yaml.safe_dump({"title": "Tiny", "runs": runs}))
    return str(path)


def swept(bench: Bench, *words: str) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, entries and stderr of `sweep --json`."""
    code, out, err = bench("sweep", *words, "--json")
    return code, json.loads(out)["runs"], err


@pytest.mark.parametrize(("jobs", "threads"), [(1, 1), (2, 1), (1, 2)])
def test_jobs_that_fit_the_cores(monkeypatch: pytest.MonkeyPatch, jobs: int, threads: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    check_jobs(jobs, threads, force=False)


def test_more_threads_than_cores_are_refused_unless_forced(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    with pytest.raises(InputError, match="asks for 4 cores; this machine gives 2"):
        check_jobs(2, 2, force=False)
    check_jobs(2, 2, force=True)
    with pytest.raises(InputError, match="--jobs: got 0"):
        check_jobs(0, 1, force=True)
    path = suite(bench, ["supervised"])
    code, out, err = bench("sweep", path, "--jobs", "3")
    assert code == 2 and out == "" and "--force" in err and not bench.store.exists()
    assert bench("sweep", path, "--jobs", "3", "--force", "--dry-run")[0] == 0


def test_a_sweep_answers_what_is_finished_and_runs_the_rest(finished: Bench) -> None:
    path = suite(finished, ["supervised", "ssiqa", "oracle"])
    code, entries, err = swept(finished, path)
    assert code == 0 and [(entry["method"], entry["status"]) for entry in entries] == [
        ("supervised", "cached"), ("ssiqa", "cached"), ("oracle", "done")
    ]
    assert "[1/3]" in err and "[3/3]" in err
    assert entries[0]["key"] == finished.key("supervised") and entries[0]["metrics"].keys() == {"tiny-a", "tiny-b"}
    before = finished.files()
    code, entries, _ = swept(finished, path)
    assert code == 0 and {entry["status"] for entry in entries} == {"cached"} and finished.files() == before


def test_a_plan_says_what_is_stored_what_would_run_and_what_is_missing(finished: Bench) -> None:
    path = suite(finished, ["supervised", "oracle"])
    before = finished.files()
    code, out, _ = finished("sweep", path, "--dry-run")
    lines = out.splitlines()
    assert code == 0 and lines[0].endswith("1 stored") and "1 to run" in lines[1] and lines[1].endswith(" s a run")
    assert "1 stored, 1 to run, 0 blocked" in lines and lines[-1].startswith("On disk: about ")
    gone = finished.registry({"datasets": {"gone": {"about": {"title": "Gone"}, "kind": "authentic", "scale": [0, 1],
                                                    "direction": "higher_is_better", "folder": "gone"}}})
    path = suite(finished, ["supervised", "oracle"], pair="tiny-a:gone")
    code, entries, _ = swept(finished, path, "--dry-run", "--registry", str(gone))
    assert code == 0 and {entry["status"] for entry in entries} == {"blocked"}
    assert all("gone" in entry["error"] and entry["key"] is None for entry in entries)
    assert finished.files() == before


def test_a_failing_run_stops_no_other_and_gives_exit_code_1(bench: Bench) -> None:
    entry = {"about": {"title": "Own"}, "class": "failing:Own", "extends": "supervised"}
    wrong = {"about": {"title": "Wrong"}, "class": "failing:Wrong", "extends": "supervised"}
    file = bench.registry({"methods": {"own": entry, "wrong": wrong}})
    (file.parent / "failing.py").write_text(
        "from ssliqa_bench.errors import InputError\n"
        "from ssliqa_bench.methods.supervised import Supervised\n"
        "class Own(Supervised):\n    def stages(self):\n        raise ZeroDivisionError('planted')\n"
        "class Wrong(Supervised):\n    def stages(self):\n        raise InputError('expected adam')\n"
    )
    path = suite(bench, ["own", "wrong", "supervised"])
    code, entries, err = swept(bench, path, "--registry", str(file))
    assert code == 1 and [entry["status"] for entry in entries] == ["failed", "failed", "done"]
    assert entries[0]["error"] == "ZeroDivisionError: planted" and "expected adam" in entries[1]["error"]
    assert entries[0]["key"] is None and entries[0]["metrics"] == {} and entries[0]["seconds"] is None
    assert "own tiny-a:tiny-b standard seed 0: failed: ZeroDivisionError" in err
    code, out, err = bench("sweep", path, "--registry", str(file))
    assert code == 1 and "planted" in err and "cached" in out


def test_a_full_disk_stops_the_whole_sweep(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = bench("sweep", suite(bench, ["supervised", "oracle"]))
    assert code == 1 and "the disk is full" in err and "[1/2]" not in err


def test_names_that_no_registry_has_stop_a_sweep_before_it_starts(bench: Bench) -> None:
    code, out, err = bench("sweep", suite(bench, ["supervised", "ssiqua"]))
    assert code == 2 and out == "" and "ssiqua" in err and "ssiqa" in err and not bench.store.exists()
    code, out, err = bench("sweep", suite(bench, ["supervised"]), "--engine", "cloud")
    assert code == 2 and "local" in err


@pytest.mark.slow
def test_two_jobs_give_what_one_gives(bench: Bench, tmp_path: Path) -> None:
    path = suite(bench, ["supervised", "ssiqa", "ssiqa-1in100", "supervised-long", "oracle"], seeds=2)
    code, one, _ = swept(bench, path)
    first = {entry["key"]: bench.predictions(entry["key"]) for entry in one}
    assert code == 0 and len(first) == 10
    bench.store = tmp_path / "two"
    before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "NUMEXPR_NUM_THREADS")}
    code, two, err = swept(bench, path, "--jobs", "2", "--force")
    assert code == 0 and [entry["status"] for entry in two] == ["done"] * 10, err
    assert {entry["key"]: bench.predictions(entry["key"]) for entry in two} == first
    assert [entry["metrics"] for entry in two] == [entry["metrics"] for entry in one]
    assert {name: os.environ.get(name) for name in before} == before
    facts = [bench.facts(entry["key"]) for entry in two]
    starts = [run["stages"][0] for run in facts if run["cell"]["method"] != "oracle"]
    assert len({stage["key"] for stage in starts}) == 2, "one per seed"
    assert sum(not stage["cached"] for stage in starts) == 2, "trained once, found by the others"
    assert bench("store", "verify")[0] == 0


@pytest.mark.slow
def test_a_failure_in_a_worker_stops_no_other(bench: Bench) -> None:
    entry = {"about": {"title": "Own"}, "class": "dying:Own", "extends": "supervised"}
    file = bench.registry({"methods": {"own": entry}})
    (file.parent / "dying.py").write_text(
        "from ssliqa_bench.methods.supervised import Supervised\n"
        "class Own(Supervised):\n    def stages(self):\n        raise ZeroDivisionError('planted')\n"
    )
    path = suite(bench, ["own", "supervised"])
    code, entries, _ = swept(bench, path, "--jobs", "2", "--force", "--registry", str(file))
    assert code == 1 and [entry["status"] for entry in entries] == ["failed", "done"]


@pytest.mark.faults
def test_a_worker_that_is_killed_is_said_and_the_same_sweep_goes_on(bench: Bench) -> None:
    entry = {"about": {"title": "Own"}, "class": "dying:Own", "extends": "supervised"}
    file = bench.registry({"methods": {"own": entry}})
    learner = file.parent / "dying.py"
    learner.write_text(
        "import os\nfrom ssliqa_bench.methods.supervised import Supervised\n"
        "class Own(Supervised):\n    def stages(self):\n        os.kill(os.getpid(), 9)\n"
    )
    path = suite(bench, ["own", "supervised"])
    code, entries, _ = swept(bench, path, "--jobs", "2", "--force", "--registry", str(file))
    assert code == 1 and entries[0]["status"] == "failed" and "worker process died" in entries[0]["error"]
    code, entries, _ = swept(bench, suite(bench, ["supervised"]), "--jobs", "2", "--force")
    assert code == 0 and bench("store", "verify")[0] == 0


@pytest.mark.faults
def test_a_full_disk_in_a_worker_stops_the_sweep(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    path = suite(bench, ["supervised", "oracle"], seeds=2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))  # workers inherit it
    try:
        code, _, err = bench("sweep", path, "--jobs", "2", "--force")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 1 and "Could not write" in err and "Traceback" not in err


@pytest.mark.slow
def test_two_processes_on_one_run_end_with_one_good_record(bench: Bench) -> None:
    command = [sys.executable, "-m", "ssliqa_bench", "run", "--method", "ssiqa", "--pair", "tiny-a:tiny-b", "--json",
               "--registry", str(bench.data / "registry.yaml"), "--store", str(bench.store)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in "12"]
    ends = [process.communicate(timeout=280) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ends
    entries = [json.loads(out)["runs"][0] for out, _ in ends]
    assert entries[0]["key"] == entries[1]["key"] and entries[0]["metrics"] == entries[1]["metrics"]
    assert [path.name for path in (bench.store / "records").iterdir()] == [entries[0]["key"]]
    assert {path.name for path in bench.record(entries[0]["key"]).iterdir()} == {"facts.json", "tiny-a", "tiny-b"}
    assert bench("store", "verify")[0] == 0 and not list(bench.store.rglob("*.corrupt-*"))
    facts = bench.facts(entries[0]["key"])
    assert {path.name for path in (bench.store / "artifacts").iterdir()} == {stage["key"] for stage in facts["stages"]}


@pytest.mark.slow
def test_two_processes_that_add_datasets_to_one_record_lose_none(finished: Bench) -> None:
    fourth = finished.registry({"datasets": {"tiny-d": {
        "about": {"title": "Patterns once more"}, "kind": "demo", "scale": [1, 5], "direction": "higher_is_better",
        "folder": str(finished.data / "tiny-c"), "recipe": "check"}}})
    key = finished.key("ssiqa")
    registries = [word for file in (finished.data / "registry.yaml", fourth) for word in ("--registry", str(file))]
    commands = [[sys.executable, "-m", "ssliqa_bench", "test", key, "--on", name, "--store", str(finished.store),
                 *registries] for name in ("tiny-c", "tiny-d")]
    processes = [subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for words in commands]
    errors = [process.communicate(timeout=280)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert finished.facts(key)["metrics"].keys() == {"tiny-a", "tiny-b", "tiny-c", "tiny-d"}
    assert finished("store", "verify")[0] == 0


def test_the_same_specs_in_this_process_are_reported_in_order(finished: Bench) -> None:
    specs = [RunSpec(method, Pair("tiny-a", "tiny-b")) for method in ("ssiqa", "supervised")]
    told: list[tuple[str, int, int]] = []
    results = run_all(specs, [finished.data / "registry.yaml"], Settings.from_environment(
        store=finished.store, device="cpu"), 1, lambda result, done, total: told.append((result.status, done, total)))
    assert [result.spec for result in results] == specs
    assert told == [("cached", 1, 2), ("cached", 2, 2)]


@pytest.mark.parametrize("keep", ["final", "none"])
def test_a_shared_stage_is_not_kept_longer_than_asked_for(bench: Bench, keep: str) -> None:
    """Both methods begin with the same stage, which is the whole of the first."""
    code, entries, _ = swept(bench, suite(bench, ["supervised", "ssiqa"]), "--keep", keep)
    assert code == 0 and {entry["status"] for entry in entries} == {"done"}
    kept = {path.split("/")[1] for path in bench.files("artifacts")}
    models = {record.facts.model_key for record in iter_records(bench.store)}
    assert kept == (models if keep == "final" else set()) and len(models) == 2


def test_a_storage_error_is_not_taken_for_a_failed_run(finished: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import ssliqa_bench.runner.execute as execute

    def full(*_: Any) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(execute, "run", full)
    with pytest.raises(StorageError):
        run_all([RunSpec("ssiqa", Pair("tiny-a", "tiny-b"))], [finished.data / "registry.yaml"],
                Settings.from_environment(store=finished.store, device="cpu"), 1, lambda *_: None)
