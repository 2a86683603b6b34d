"""`--store` takes any address: the same run leaves the same record at each; one that nothing serves is refused."""

from __future__ import annotations

import errno
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ssliqa_bench.store.records import read_predictions, read_record
from ssliqa_bench.store.store import Store

if TYPE_CHECKING:
    from tests.conftest import Bench


class Addressed:
    """The command line with a store at an address."""

    def __init__(self, bench: Bench, address: str) -> None:
        self.address = address
        self._bench = bench

    def __call__(self, *words: str, registry: bool = True) -> tuple[int, str, str]:
        from ssliqa_bench.cli.app import main

        self._bench.capture.readouterr()
        self._bench.log.clear()
        own = ("--registry", str(self._bench.data / "registry.yaml")) if registry else ()
        code = main([*words, "--store", self.address, *own])
        captured = self._bench.capture.readouterr()
        return code, captured.out, captured.err + "\n".join(self._bench.log.messages)


def test_a_run_in_memory_leaves_what_a_run_in_a_folder_leaves(finished: Bench, tmp_path: Path) -> None:
    at = Addressed(finished, f"memory://{uuid.uuid4().hex}")
    words = ("run", "--method", "supervised", "--pair", "tiny-a:tiny-b", "--json")
    code, out, err = at(*words)
    assert code == 0, err
    (entry,) = json.loads(out)["runs"]
    key = entry["key"]
    assert entry["status"] == "done" and key == finished.key("supervised")
    assert json.loads(at(*words)[1])["runs"][0]["status"] == "cached"
    ours, theirs = read_record(at.address, key), read_record(finished.store, key)
    assert ours.results == theirs.results and ours.facts.model_key == theirs.facts.model_key
    for dataset in ours.results:
        assert read_predictions(at.address, key, dataset) == read_predictions(finished.store, key, dataset)

    code, out, err = at("test", key[:8], "--on", "tiny-c", "--json")
    assert code == 0 and "tiny-c" in json.loads(out)["runs"][0]["metrics"], err
    sizes = json.loads(at("store", "ls", "--json", registry=False)[1])["sizes"]
    assert sizes["records"]["entries"] == 1 and sizes["artifacts"]["entries"] == 1
    code, out, err = at("store", "verify")
    assert code == 0 and "1 record checked, 0 problems" in out, out + err
    assert at("leaderboard", "--out", str(tmp_path / "boards"), registry=False)[0] == 0
    assert "supervised" in "".join(file.read_text() for file in (tmp_path / "boards").rglob("*.md"))
    code, out, err = at("store", "gc", registry=False)
    assert code == 0 and out.startswith("0 removed"), err
    assert at("store", "export", str(tmp_path / "out"), registry=False)[0] == 0
    assert read_record(tmp_path / "out", key).results.keys() == {"tiny-a", "tiny-b", "tiny-c"}
    assert at("store", "export", at.address, registry=False)[0] == 2, "it is the store itself"
    assert not list(tmp_path.rglob("memory*")), "no folder bears the name of an address"
    for path in Store(at.address).list():
        Store(at.address).delete(path)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--method", "supervised", "--pair", "tiny-a:tiny-b"),
        ("run", "--method", "supervised", "--pair", "tiny-a:tiny-b", "--dry-run"),
        ("test", "abcd", "--on", "tiny-c"),
        ("sweep", "demo"),
        ("store", "ls"),
        ("store", "why", "abcd"),
        ("store", "verify"),
        ("store", "gc"),
        ("store", "export", "out"),
        ("leaderboard",),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("address", "named"), [("far://bucket/runs", "pip install far_package"), ("s4://bucket/runs", "s3://bucket/name")]
)
def test_an_address_that_nothing_serves_is_refused_by_every_command(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...], address: str, named: str
) -> None:
    from fsspec.registry import known_implementations

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(known_implementations, "far", {"class": "far_package.core.FarFileSystem", "err": "x"})
    names = words[0] in ("run", "test", "sweep") or words[1:2] in (("why",), ("verify",))
    code, out, err = Addressed(bench, address)(*words, registry=names)
    assert code == 2 and out == "" and named in err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == [], "and nothing is made under its name"


def test_a_read_only_store_answers_what_it_holds(finished: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a lock nor a temporary file can be made there."""
    key = finished.key("ssiqa")

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("ssliqa_bench.store.store.take_lock", refuse)
    monkeypatch.setattr("ssliqa_bench.store.places.write_bytes", refuse)
    monkeypatch.setattr("ssliqa_bench.store.places.create_bytes", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    before = finished.files()
    assert finished.run("ssiqa")["status"] == "cached"
    for words in (("store", "ls"), ("store", "why", key[:8]), ("store", "verify"), ("store", "gc", "--dry-run")):
        code, out, err = finished(*words)
        assert code == 0 and out, (words, err)
    monkeypatch.undo()
    assert finished.files() == before
