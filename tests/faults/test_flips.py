"""One changed bit in a stored file is never used: it is found, or the result is the one that it was."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.faults.conftest import Count, size
from tests.faults.world import called, worked

pytestmark = pytest.mark.faults

FLIPS = size("FLIPS", 6)  # of each file
RECORDED = ("facts.json", "metrics.json", "predictions-*.parquet")
REUSED = ("artifacts/*/artifact.json", "artifacts/*/tensors-*.safetensors", "predictions/*/artifact.json",
          "predictions/*/tensors-*.safetensors")  # fmt: skip


def flipped(path: Path, number: int) -> None:
    """Change one bit, drawn from the file's name and the number alone."""
    draw = random.Random(f"{path.name[:12]} {number}")
    data = bytearray(path.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)


@pytest.mark.parametrize("kind", RECORDED)
def test_of_a_record(tmp_path: Path, finished_store: Path, kind: str, count: Count) -> None:
    store = tmp_path / "store"
    shutil.copytree(finished_store, store)
    unseen = []
    for path in sorted((store / "records").rglob(kind)):
        whole = path.read_bytes()
        for number in range(FLIPS):
            flipped(path, number)
            count("flipped bits")
            verified = called("store", "verify", "--store", str(store))
            assert not verified.fault, verified.err
            if verified.code == 0:
                unseen.append(f"{path} {number}")
            board = called("leaderboard", "--store", str(store), "--out", str(tmp_path / "boards"))
            assert not board.fault, board.err
            path.write_bytes(whole)
    count("flipped bits: results that changed without a word", len(unseen))
    assert not unseen


@pytest.mark.parametrize("kind", REUSED)
def test_of_what_a_run_reuses(
    tmp_path: Path, finished_store: Path, tiny_pair: Path, kind: str, count: Count
) -> None:
    """The record is taken away, so that the run is answered from the stages and predictions of the store."""
    words = ("run", "--method", "supervised", "--pair", "tiny-a:tiny-b", "--registry", str(tiny_pair / "registry.yaml"))
    truth = None
    for number in range(FLIPS // 2):
        store = tmp_path / f"store{number}"
        shutil.copytree(finished_store, store)
        before = results(store)
        truth = truth or before
        shutil.rmtree(store / "records")
        for path in sorted(store.glob(kind)):
            flipped(path, number)
            count("flipped bits")
        answer = worked(*words, "--store", str(store))
        assert answer.code == 0 and not answer.fault, answer.err
        after = results(store)
        changed = sum(truth[key] != value for key, value in after.items())
        count("flipped bits: results that changed without a word", changed)
        assert after and not changed


def results(store: Path) -> dict[str, list[list[float]]]:
    """The predictions of every record, as read without the package."""
    from pyarrow import parquet

    def predictions(record: Path) -> list[list[float]]:
        files = sorted(record.rglob("*.parquet"))
        return [parquet.read_table(path).column("prediction").to_pylist() for path in files]

    return {record.name: predictions(record) for record in (store / "records").iterdir()}


@pytest.mark.parametrize("number", range(FLIPS))
def test_of_a_checkpoint(
    tmp_path: Path, tiny_pair: Path, monkeypatch: pytest.MonkeyPatch, number: int, whole: dict[str, list[list[float]]],
    count: Count,
) -> None:
    from ssliqa_bench.store.artifacts import ArtifactStore

    save = ArtifactStore.save_checkpoint

    def save_and_stop(store: ArtifactStore, key: str, state: object) -> None:
        save(store, key, state)  # type: ignore[arg-type]
        raise RuntimeError

    store = tmp_path / "store"
    with monkeypatch.context() as patched:
        patched.setattr(ArtifactStore, "save_checkpoint", save_and_stop)
        worked(*WORDS, "--registry", str(tiny_pair / "registry.yaml"), "--store", str(store))
    files = [path for path in sorted((store / "checkpoints").rglob("*")) if path.suffix in (".json", ".safetensors")]
    assert len(files) == 2
    flipped(files[number % 2], number)
    count("flipped bits")
    answer = worked(*WORDS, "--registry", str(tiny_pair / "registry.yaml"), "--store", str(store))
    assert answer.code == 0 and "Set aside" in answer.err
    assert results(store) == whole


WORDS = ("run", "--method", "supervised", "--pair", "tiny-a:tiny-b", "--set", "epochs=2")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_pair: Path) -> dict[str, list[list[float]]]:
    """The predictions of the run that was never interrupted."""
    store = tmp_path_factory.mktemp("whole") / "store"
    answer = worked(*WORDS, "--registry", str(tiny_pair / "registry.yaml"), "--store", str(store))
    assert answer.code == 0, answer.err
    return results(store)


def test_of_a_split_file(tmp_path: Path, tiny_pair: Path, monkeypatch: pytest.MonkeyPatch, count: Count) -> None:
    """A split that was imported carries a checksum: no flip gives another split."""
    monkeypatch.chdir(tmp_path)
    registry = ("--registry", str(tiny_pair / "registry.yaml"))
    (tmp_path / "lists.csv").write_text("image,split\n" + "".join(
        f"{scene}{level}.png,{'test' if scene > 3 else 'train'}\n" for scene in range(6) for level in range(4)))
    assert called("splits", "import", "mine", "tiny-a", "lists.csv", *registry).code == 0
    export = ("splits", "export", "mine", "tiny-a", *registry, "--registry", "mine.yaml")
    before = called(*export)
    assert before.code == 0, before.err
    file = tmp_path / "mine.csv"
    content, other = file.read_bytes(), []
    for number in range(10 * FLIPS):
        flipped(file, number)
        count("flipped bits")
        answer = called(*export)
        assert not answer.fault, answer.err
        if answer.code == 0 and answer.out != before.out:
            other.append(number)
        file.write_bytes(content)
    count("flipped bits: results that changed without a word", len(other))
    assert not other
