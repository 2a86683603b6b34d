"""No code runs from a file that is not named as code: pickles planted wherever files are read are never opened.

Each pickle would make a file. It stands in place of every file of a store and of the caches, in every table and under
every option that names weights.
"""

from __future__ import annotations

import os
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.faults.world import called

pytestmark = pytest.mark.faults


class _Planted:
    """Unpickled, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def _plain(mark: Path) -> bytes:
    return pickle.dumps({"state_dict": _Planted(mark)})


def _zipped(mark: Path) -> bytes:
    """As torch writes it: an archive whose data.pkl is a pickle."""
    import io

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("archive/data.pkl", _plain(mark))
        packed.writestr("archive/version", "3\n")
        packed.writestr("archive/byteorder", "little")
    return buffer.getvalue()


FORMS = {"plain": _plain, "zip": _zipped}


def test_the_planted_pickles_would_be_seen(tmp_path: Path) -> None:
    pickle.loads(_plain(tmp_path / "ran"))
    assert (tmp_path / "ran").is_dir()
    import torch

    (tmp_path / "evil.pth").write_bytes(_zipped(tmp_path / "ran-too"))
    torch.load(tmp_path / "evil.pth", weights_only=False)
    assert (tmp_path / "ran-too").is_dir()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", ["supervised", "ssiqa", "pyiqa:nima", "brisque"])
def test_in_weights_that_the_user_names(
    tmp_path: Path, tiny_pair: Path, monkeypatch: pytest.MonkeyPatch, form: str, method: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    mark, registry = tmp_path / "ran", str(tiny_pair / "registry.yaml")
    for name in ("evil.pth", "evil.pt", "evil.safetensors", "evil.npz", "evil.mat"):
        (tmp_path / name).write_bytes(FORMS[form](mark))
        answer = called("run", "--method", method, "--pair", "tiny-a:tiny-b", "--registry", registry,
                        "--store", str(tmp_path / "store"), "--set", f"weights_file={tmp_path / name}")  # fmt: skip
        assert answer.code == 2 and not answer.fault, answer.err
        assert not mark.exists()


@pytest.mark.parametrize("form", FORMS)
def test_in_every_file_of_a_store(
    tmp_path: Path, finished_store: Path, tiny_pair: Path, form: str
) -> None:
    mark = tmp_path / "ran"
    store = tmp_path / "store"
    shutil.copytree(finished_store, store)
    key = next((store / "records").iterdir()).name
    for path in [path for path in store.rglob("*") if path.is_file() and path.suffix != ".lock"]:
        path.write_bytes(FORMS[form](mark))
    registry = ("--registry", str(tiny_pair / "registry.yaml"))
    where = ("--store", str(store))
    for words in (
        ("store", "ls"),
        ("store", "why", key, *registry),
        ("store", "verify", *registry),
        ("store", "evaluate", *registry),
        ("store", "gc", "--dry-run"),
        ("store", "export", str(tmp_path / "out")),
        ("store", "ls", "--json"),
        ("leaderboard", "--out", str(tmp_path / "boards")),
        ("leaderboard", "--out", str(tmp_path / "boards"), "--format", "html"),
        ("leaderboard", "--out", str(tmp_path / "boards"), "--few-labels"),
        ("compare", "supervised", "ssiqa"),
        ("evaluate", key),
        ("plot", "scatter", key, "--out", str(tmp_path / "x.png")),
        ("plot", "log", key, "--out", str(tmp_path / "x.png")),
        ("score", str(tiny_pair / "tiny-a" / "images" / "00.png"), "--model", key),
        ("label", str(tiny_pair / "tiny-a" / "images"), "--model", key, "--out", str(tmp_path / "labels")),
        ("test", key, "--on", "tiny-c", *registry),
        ("run", "--method", "supervised", "--pair", "tiny-a:tiny-b", *registry),
    ):
        answer = called(*words, *where)
        assert not answer.fault, (words, answer.err)
        assert not mark.exists(), words
    assert answer.code == 0, "what is damaged is computed again"
    called("store", "import", str(store), "--store", str(tmp_path / "other"))
    assert not mark.exists()


@pytest.mark.parametrize("form", FORMS)
def test_in_every_file_of_a_model_folder(tmp_path: Path, finished_store: Path, tiny_pair: Path, form: str) -> None:
    from ssliqa_bench.models.folder import write_model_folder
    from ssliqa_bench.models.load import find_model
    from ssliqa_bench.photos.models import opened

    images = str(tiny_pair / "tiny-a" / "images")
    facts = [file for file in finished_store.glob("records/*/facts.json") if '"supervised"' in file.read_text()]
    mark, model = tmp_path / "ran", write_model_folder(tmp_path / "model", find_model(facts[0].parent))
    assert called("score", images, "--model", str(model)).code == 0
    for path in [path for path in model.rglob("*") if path.is_file()]:
        whole = path.read_bytes()
        path.write_bytes(FORMS[form](mark))
        for words in (("score", images), ("label", images, "--out", str(tmp_path / "labels"))):
            opened.cache_clear()  # the process keeps the models that it opened
            answer = called(*words, "--model", str(model))
            assert not answer.fault and not mark.exists(), (path, answer.err)
            assert answer.code == 2 or path.suffix not in (".safetensors", ".json"), path
        path.write_bytes(whole)
    for name in ("evil.pth", "evil.safetensors", "evil"):
        (tmp_path / name).write_bytes(FORMS[form](mark))
        assert called("score", images, "--model", str(tmp_path / name)).code == 2 and not mark.exists()


@pytest.mark.parametrize("form", FORMS)
def test_in_tables_images_and_registries(tmp_path: Path, tiny_pair: Path, form: str) -> None:
    mark = tmp_path / "ran"
    data = tmp_path / "data"
    shutil.copytree(tiny_pair, data)
    evil = data / "evil"
    evil.write_bytes(FORMS[form](mark))
    registry = str(data / "registry.yaml")
    (data / "tiny-a" / "images" / "00.png").write_bytes(evil.read_bytes())
    (data / "split.yaml").write_text("protocols: {p: {about: {title: p}, split: {rule: file, file: evil}}}\n")
    (data / "tiny-b" / "labels.csv").write_bytes(evil.read_bytes())
    for ending in ("csv", "parquet", "json", "xlsx", "npy", "pkl"):
        shutil.copy(evil, data / f"evil.{ending}")
        assert called("evaluate", str(data / f"evil.{ending}")).code == 2 and not mark.exists()
    for words in (
        ("list", "datasets", "--registry", str(evil)),
        ("sweep", str(evil), "--store", str(tmp_path / "s")),
        ("data", "add", "mine", "--labels", str(evil), "--images", str(data / "tiny-a" / "images")),
        ("data", "ratings", str(evil), "--write", str(tmp_path / "new.csv")),
        ("splits", "import", "q", "tiny-a", str(evil), "--registry", registry),
        ("splits", "export", "p", "tiny-c", "--registry", registry, "--registry", str(data / "split.yaml")),
        ("data", "check", "tiny-a", "--registry", registry, "--jobs", "1"),
        ("data", "check", "tiny-b", "--registry", registry, "--jobs", "1"),
        ("submit", str(evil), "--name", "x", "--dataset", "tiny-a", "--registry", registry, "--store",
         str(tmp_path / "s")),
        ("compare", str(evil), str(evil)),
        ("train", "--labels", str(evil), "--images", str(data / "tiny-c" / "images"), "--out", str(tmp_path / "m")),
        ("label-budget", "--labels", str(evil), "--images", str(data / "tiny-c" / "images")),
        ("next-labels", "--labels", str(evil), "--images", str(data / "tiny-c" / "images"), "--unlabeled",
         str(data / "tiny-c" / "images")),
        ("rate", str(data / "tiny-c" / "images"), "--no-browser", "--only", str(evil), "--labels",
         str(tmp_path / "new-scores.csv")),
        ("score", "--list", str(evil), "--model", "pyiqa:piqe"),
        ("score", str(data / "tiny-a" / "images" / "00.png"), "--model", "pyiqa:piqe"),
        ("label", str(data / "evil.parquet"), "--model", "pyiqa:piqe", "--out", str(tmp_path / "l")),
    ):
        answer = called(*words)
        assert answer.code in (1, 2) and not answer.fault, (words, answer.err)
        assert not mark.exists(), words


def test_in_checkpoints_and_caches(
    tmp_path: Path, tiny_pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ssliqa_bench.store.artifacts import ArtifactStore

    class Stopped(Exception):
        pass

    save = ArtifactStore.save_checkpoint

    def save_and_stop(store: ArtifactStore, key: str, state: object) -> None:
        save(store, key, state)  # type: ignore[arg-type]
        raise Stopped

    mark, store = tmp_path / "ran", tmp_path / "store"
    monkeypatch.setenv("SSLIQA_CACHE", str(tmp_path / "cache"))
    words = ("run", "--method", "supervised", "--pair", "tiny-a:tiny-b", "--registry", str(tiny_pair / "registry.yaml"),
             "--store", str(store), "--set", "epochs=2")  # fmt: skip
    with monkeypatch.context() as patched:
        patched.setattr(ArtifactStore, "save_checkpoint", save_and_stop)
        called(*words)
    roots = (store / "checkpoints", tmp_path / "cache")
    planted = [path for root in roots for path in root.rglob("*") if path.is_file()]
    assert {path.relative_to(tmp_path).parts[0] for path in planted} == {"store", "cache"}
    for path in planted:
        path.write_bytes(_zipped(mark))
    answer = called(*words)
    assert not mark.exists() and not answer.fault, answer.err
    assert answer.code == 0, answer.err
