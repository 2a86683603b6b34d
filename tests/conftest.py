"""Keep every test away from the user's files, and one thread per process, so that results do not depend on either."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import yaml
from PIL import Image

from tests.servers import Server, serving

# No deadline: how fast a shared machine is just now decides no test. The same examples are drawn at every run.
hypothesis.settings.register_profile("ssliqa-bench", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("ssliqa-bench")

_home = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment before any test module imports a library that reads it.

    The cache is shared by all tests of a session, by the processes they start and by the workers of pytest-xdist, so
    that the demo sets are made once.
    """
    if hasattr(config, "workerinput"):
        return  # a worker inherits the environment of the process that started it
    home = Path(tempfile.mkdtemp(prefix="ssliqa-tests-"))
    config.stash[_home] = home
    os.environ.pop("SSLIQA_DATA", None)
    os.environ.update(HOME=str(home), XDG_CACHE_HOME=str(home / "cache"), SSLIQA_CACHE=str(home / "cache" / "ssliqa"))
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(home / "hypothesis")
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))


def pytest_unconfigure(config: pytest.Config) -> None:
    if _home in config.stash:
        shutil.rmtree(config.stash[_home], ignore_errors=True)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Undo what an earlier test set: the number of threads changes floating-point results."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


PARAMETER_FILES = Path(os.environ.get("SSLIQA_WEIGHTS") or Path(__file__).parents[2] / "shared" / "weights")


@pytest.fixture
def parameter_files(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the parameter files of NIQE and BRISQUE, where pyiqa looks for them."""
    if not PARAMETER_FILES.is_dir():
        pytest.skip(f"parameter files of metrics are not at {PARAMETER_FILES} (SSLIQA_WEIGHTS names another folder)")
    home = tmp_path_factory.mktemp("torch")
    folder = home / "hub" / "pyiqa"
    folder.mkdir(parents=True)
    for name in ("niqe_modelparameters.mat", "brisque_svm_weights.pth"):
        shutil.copy(PARAMETER_FILES / name, folder)
    monkeypatch.setenv("TORCH_HOME", str(home))
    return folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A file server on this machine; no proxy stands before it."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as found:
        yield found


TINY = ("tiny-a", "tiny-b", "tiny-c")


@pytest.fixture(scope="session")
def tiny_pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three datasets of 24 images (six scenes at four levels of blur or noise) and their registry file.

    Their default recipe is `check`, so that a whole run takes about a second. Tests that change a file work on a
    copy of the folder.
    """
    folder = tmp_path_factory.mktemp("tiny")
    entries = {}
    for number, name in enumerate(TINY):
        _write_tiny(folder / name, number)
        entries[name] = {
            "about": {"title": f"Patterns, {name}"},
            "kind": "demo",
            "scale": [1, 5],
            "direction": "higher_is_better",
            "folder": name,
            "recipe": "check",
        }
    (folder / "registry.yaml").write_text(yaml.safe_dump({"datasets": entries}))
    return folder


def _write_tiny(folder: Path, number: int) -> None:
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(number)
    with open(folder / "labels.csv", "w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["image", "score", "group", "distortion", "level"])
        for scene in range(6):
            coarse = rng.uniform(0, 255, (12, 12, 3)).repeat(4, 0).repeat(4, 1)
            for level in range(4):
                blurred = scene % 2 == number % 2
                pixels = coarse
                for _ in range(4 * level if blurred else 0):
                    pixels = sum(np.roll(pixels, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9
                if not blurred:
                    pixels = pixels + rng.normal(0, 14 * level, pixels.shape)
                name = f"{scene}{level}.png"
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "images" / name)
                score = 4.8 - level - rng.uniform(0, 0.5)
                writer.writerow([name, f"{score:.4f}", f"scene{scene}", "blur" if blurred else "noise", str(level)])


HEAVY = {"torch", "scipy", "sklearn", "skimage", "pyiqa", "timm", "torchvision", "cv2", "pandas", "pyarrow", "PIL",
         "ssl"}
WITHOUT = "intervals"  # of metrics, in the JSON of runs
FRESH = """
import json, sys
from ssliqa_bench.cli.app import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted({name.partition('.')[0] for name in sys.modules})]), file=sys.stderr)
"""


@dataclass
class Bench:
    """The command line on the tiny pair with a store of its own; commands run in this process."""

    data: Path
    store: Path
    capture: pytest.CaptureFixture[str]
    log: pytest.LogCaptureFixture

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr (with warnings, which pytest would keep for itself) of a command."""
        from ssliqa_bench.cli.app import main

        self.capture.readouterr()
        self.log.clear()
        names = words[0] in ("run", "test", "sweep") or words[:2] == ("store", "why")
        where = ("--store", str(self.store), *(("--registry", str(self.data / "registry.yaml")) if names else ()))
        code = main([*words, *where])
        captured = self.capture.readouterr()
        return code, captured.out, captured.err + "".join(f"{message}\n" for message in self.log.messages)

    def fresh(self, *words: str) -> tuple[int, set[str], str, str]:
        """A command in a process of its own: exit code, heavy packages that it loaded, stdout and stderr."""
        where = ("--store", str(self.store), "--registry", str(self.data / "registry.yaml"))
        command = [sys.executable, "-c", FRESH, *words, *where]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200)
        code, modules = json.loads(done.stderr.splitlines()[-1])
        return code, HEAVY & set(modules), done.stdout, done.stderr

    def run(self, method: str = "supervised", *words: str, pair: str = "tiny-a:tiny-b") -> dict[str, Any]:
        """The one entry of `run --json`, which must succeed."""
        code, out, err = self("run", "--method", method, "--pair", pair, "--json", *words)
        assert code == 0, err
        (entry,) = json.loads(out)["runs"]
        return entry

    def fails(self, method: str, *words: str, pair: str = "tiny-a:tiny-b") -> tuple[int, str]:
        """Exit code and message of a run that must not succeed: one message, no traceback, nothing on stdout."""
        code, out, err = self("run", "--method", method, "--pair", pair, *words)
        assert code != 0 and out == "" and "Traceback" not in err
        return code, err

    def plan(self, method: str = "supervised", pair: str = "tiny-a:tiny-b", **asked: Any) -> Any:
        """The plan of a run, made without the command line; `registry` is a further registry file."""
        from ssliqa_bench.registry.load import load_registry
        from ssliqa_bench.runner.plan import make_plan
        from ssliqa_bench.runner.settings import Settings
        from ssliqa_bench.specs import Pair, RunSpec

        own = {name: asked.pop(name) for name in ("device", "threads", "skip_bad") if name in asked}
        files = [self.data / "registry.yaml", *([asked.pop("registry")] if "registry" in asked else [])]
        settings = Settings.from_environment(store=self.store, quiet=True, **{"device": "cpu", **own})
        spec = RunSpec(method, Pair.parse(pair), **asked)
        return make_plan(spec, load_registry(files), settings), settings

    def key(self, *words: Any, **asked: Any) -> str:
        """The run key of a plan."""
        return str(self.plan(*words, **asked)[0].key)

    def registry(self, content: dict[str, Any], name: str = "mine.yaml") -> Path:
        """Write a registry file of the user's beside the store."""
        path = self.store.parent / name
        path.write_text(yaml.safe_dump(content))
        return path

    def files(self, below: str = "") -> dict[str, tuple[int, int]]:
        """Inode and modification time of every file of the store, or below one of its folders; locks left out."""
        paths = [p for p in (self.store / below).rglob("*") if p.is_file() and p.suffix != ".lock"]
        return {str(p.relative_to(self.store)): (p.stat().st_ino, p.stat().st_mtime_ns) for p in paths}

    def record(self, key: str) -> Path:
        """The folder of a record."""
        return self.store / "records" / key

    def facts(self, key: str) -> dict[str, Any]:
        """The facts and results of a record as one document, read without the package."""
        facts: dict[str, Any] = json.loads((self.record(key) / "facts.json").read_text())
        results = {path.parent.name: json.loads(path.read_text()) for path in self.record(key).glob("*/metrics.json")}

        def shown(name: str, metrics: dict[str, Any]) -> dict[str, Any]:
            kept = {k: v for k, v in metrics.items() if k != WITHOUT and (k != "by" or v)}
            return {"side": results[name]["dataset"]["side"]} | kept

        metrics = {name: shown(name, own["metrics"]) for name, own in results.items()}
        stages = [
            {**s, "metrics": {n: shown(n, own["stages"][s["name"]]) for n, own in results.items() if own["stages"]}}
            for s in facts["stages"][:-1]
        ]
        return {
            **facts,
            "results": results,
            "metrics": metrics,
            "stages": [*stages, *({**s, "metrics": metrics} for s in facts["stages"][-1:])],
            "datasets": {**facts["datasets"], **{name: own["dataset"] for name, own in results.items()}},
            "keys": {"model": facts["model_key"],
                     "predictions": {name: own["prediction_key"] for name, own in results.items()}},
        }

    def predictions(self, key: str) -> dict[tuple[str, str], float]:
        """Predictions of a record by dataset and image, read without the package."""
        from pyarrow import parquet

        rows = [row for file in self.record(key).glob("*/*.parquet") for row in parquet.read_table(file).to_pylist()]
        return {(row["dataset"], row["image"]): row["prediction"] for row in rows}


@pytest.fixture
def bench(
    tiny_pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Bench:
    """Commands on the tiny pair with an empty store."""
    return Bench(tiny_pair, tmp_path / "store", capsys, caplog)


@pytest.fixture(scope="session")
def finished_store(tiny_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which supervised and ssiqa have run on tiny-a:tiny-b with seed 0. Not to be changed."""
    from ssliqa_bench.cli.app import main

    store = tmp_path_factory.mktemp("finished") / "store"
    where = ["--pair", "tiny-a:tiny-b", "--store", str(store), "--registry", str(tiny_pair / "registry.yaml")]
    for method in ("supervised", "ssiqa"):
        assert main(["run", "--method", method, *where]) == 0
    return store


@pytest.fixture
def finished(bench: Bench, finished_store: Path) -> Bench:
    """As `bench`, with a copy of the store in which supervised and ssiqa have run."""
    shutil.copytree(finished_store, bench.store)
    return bench


@pytest.fixture
def own_bench(bench: Bench, tmp_path: Path) -> Bench:
    """As `bench`, on a copy of the tiny pair that a test may change."""
    shutil.copytree(bench.data, tmp_path / "data")
    bench.data = tmp_path / "data"
    return bench
