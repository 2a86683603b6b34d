"""Caches that cannot be written are read without a lock; what killed writers left is removed."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ssliqa_bench import files
from ssliqa_bench.caches import cache_lock, features_root, keep, remove_temporary
from ssliqa_bench.checksums import file_hashes
from ssliqa_bench.errors import StorageError
from ssliqa_bench.files import read_sealed, set_aside, sha256_file, write_sealed

Refuse = Callable[[Path, int], None]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Make a folder one in which nothing can be created, as a mount that is read-only does."""

    def refuse(folder: Path, number: int) -> None:
        take, make = files.take_lock, tempfile.mkstemp

        def refused(place: Any) -> bool:
            return str(place).startswith(str(folder))

        def error(place: Any) -> OSError:
            return OSError(number, os.strerror(number), str(place))

        def take_lock(path: Path, **how: Any) -> Any:
            if refused(path):
                raise error(path)
            return take(path, **how)

        def mkstemp(*words: Any, dir: Any = None, **more: Any) -> Any:
            if refused(dir):
                raise error(dir)
            return make(*words, dir=dir, **more)

        monkeypatch.setattr(files, "take_lock", take_lock)
        monkeypatch.setattr(tempfile, "mkstemp", mkstemp)

    return refuse


READ_ONLY = pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])


def test_the_lock_of_a_cache_leaves_no_file(tmp_path: Path) -> None:
    with cache_lock(tmp_path / "a.lock") as writable:
        assert writable and (tmp_path / "a.lock").exists()
    assert list(tmp_path.iterdir()) == []


@READ_ONLY
def test_what_is_known_is_answered_from_a_read_only_cache(tmp_path: Path, refuse: Refuse, number: int) -> None:
    picture, cache = tmp_path / "a.png", tmp_path / "cache" / "hashes.json"
    picture.write_bytes(b"picture")
    known = file_hashes([str(picture)], cache)
    refuse(tmp_path / "cache", number)
    assert file_hashes([str(picture)], cache) == known


@READ_ONLY
def test_what_is_new_is_computed_and_not_kept(
    tmp_path: Path, refuse: Refuse, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    picture, cache = tmp_path / "a.png", tmp_path / "cache" / "hashes.json"
    picture.write_bytes(b"picture")
    refuse(tmp_path / "cache", number)
    assert file_hashes([str(picture)], cache) == {str(picture): sha256_file(picture)}
    assert "$SSLIQA_CACHE" in caplog.text and not cache.exists()


@READ_ONLY
def test_what_must_be_written_names_the_variable(tmp_path: Path, refuse: Refuse, number: int) -> None:
    refuse(tmp_path, number)
    with pytest.raises(StorageError, match=r"Could not write.*\$SSLIQA_CACHE"), cache_lock(tmp_path / "a.lock"):
        files.write_text(tmp_path / "a.json", "{}")
    with pytest.raises(StorageError, match=r"Could not write.*--data-root"), cache_lock(tmp_path / "a", "--data-root"):
        raise OSError(number, os.strerror(number), str(tmp_path / "a.json"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_other_failures_of_the_disk_are_errors(tmp_path: Path, refuse: Refuse, number: int) -> None:
    refuse(tmp_path, number)
    with pytest.raises(StorageError, match=r"\$SSLIQA_CACHE"), cache_lock(tmp_path / "a.lock"):
        pass
    with pytest.raises(StorageError, match=r"\$SSLIQA_CACHE"):
        keep(tmp_path / "a.json", {}, kind="a")


def test_errors_of_others_pass(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), cache_lock(tmp_path / "a.lock"):
        raise ZeroDivisionError
    with pytest.raises(FileNotFoundError), cache_lock(tmp_path / "a.lock"):
        (tmp_path / "none").read_bytes()
    assert list(tmp_path.iterdir()) == []


def test_what_killed_writers_of_the_same_file_left_is_removed(tmp_path: Path) -> None:
    others = ["a.json.bak", ".a.json.short.tmp", ".a.json.v2.json.abcdefgh.tmp", ".b.json.abcdefgh.tmp"]
    for name in [".a.json.abcdefgh.tmp", ".a.json.x_345678.tmp", *others]:
        (tmp_path / name).touch()
    assert keep(tmp_path / "a.json", {"x": 1}, kind="a")
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", *others}
    assert read_sealed(tmp_path / "a.json", kind="a") == {"x": 1}
    remove_temporary(tmp_path / "none" / "a.json")


def mount(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command for which a folder is mounted read-only."""
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    return subprocess.run(["unshare", "-rm", "sh", "-c", script, str(folder), *command], capture_output=True, text=True)


@pytest.mark.slow
def test_a_finished_run_is_answered_from_read_only_folders(tmp_path: Path, tiny_pair: Path) -> None:
    import sys

    if shutil.which("unshare") is None or mount(tmp_path, ["true"]).returncode != 0:
        pytest.skip("this user may not mount folders")
    cache, store = tmp_path / "cache", tmp_path / "store"
    words = [sys.executable, "-m", "ssliqa_bench", "run", "--method", "ridge-probe", "--pair", "tiny-a", "--registry",
             str(tiny_pair / "registry.yaml"), "--recipe", "check", "--store", str(store)]  # fmt: skip
    words = ["env", f"SSLIQA_CACHE={cache}", *words]
    first = subprocess.run(words, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    for folder in (cache, store):
        again = mount(folder, words)
        assert again.returncode == 0 and "cached" in again.stdout, again.stderr
    other = mount(cache, [*words[:-1], str(tmp_path / "other")])
    assert other.returncode == 0, other.stderr
    refused = mount(store, [*words, "--seed", "7"])
    assert refused.returncode == 1 and "--store" in refused.stderr


def test_complete_features_are_read_from_a_cache_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, file in (("whole", "index.json"), ("begun", "shard-0000000.npz")):
        (tmp_path / "features" / name).mkdir(parents=True)
        (tmp_path / "features" / name / file).write_text(name)
    with features_root(tmp_path) as root:
        assert root == tmp_path
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith(str(tmp_path)))
    with features_root(tmp_path) as root:
        assert root != tmp_path and os.listdir(root / "features") == ["whole"]
        file = open(root / "features" / "whole" / "index.json")  # noqa: SIM115 - read below
        set_aside(root / "features" / "whole")
        (root / "features" / "new").mkdir()
        write_sealed(root / "features" / "new" / "index.json", {}, kind="feature-cache")
    with file:
        assert file.read() == "whole"
    assert not root.exists() and sorted(os.listdir(tmp_path / "features")) == ["begun", "whole"]
    assert "$SSLIQA_CACHE" in caplog.text
    with features_root(tmp_path / "nowhere") as root:
        assert os.listdir(root / "features") == []
