"""Bad inputs over all commands are refused at once, with one message that names what is wrong."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.faults.catalogue import CASES, Case
from tests.faults.conftest import Count
from tests.faults.options import GOOD, OPTIONS, commands
from tests.faults.world import called, forge, furnish

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_pair: Path, finished_store: Path) -> Path:
    root = tmp_path_factory.mktemp("world")
    furnish(root, tiny_pair)
    forge(root, finished_store)
    return root


def test_the_catalogue_is_large_enough() -> None:
    assert len(CASES) >= 200
    assert len({case.words[0] for case in CASES}) >= 10
    assert {" ".join(words) for words, _ in commands()} == set(GOOD), "a new command needs the words of a good call"


@pytest.mark.parametrize("case", [*CASES, *OPTIONS], ids=str)
def test_a_bad_input_is_refused(
    case: Case, world: Path, finished_store: Path, tiny_pair: Path, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    count("bad inputs")
    monkeypatch.chdir(world)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if case.content is not None:
        (world / "input.csv").write_bytes(case.content if isinstance(case.content, bytes) else case.content.encode())
    key = min((finished_store / "records").iterdir()).name
    stand_ins = {"RUN": key, "STORE": str(finished_store), "TINY": str(tiny_pair / "registry.yaml")}
    before = set(os.listdir(world))
    answer = called(*(stand_ins.get(word, word) for word in case.words))
    left = set(os.listdir(world)) - before - {"input.csv"}
    for name in left:  # the next case finds what this one found
        shutil.rmtree(world / name) if (world / name).is_dir() else (world / name).unlink()
    count("bad inputs: tracebacks, hangs, unexpected errors", int(bool(answer.fault)))
    assert not answer.fault, answer.err
    assert answer.code == case.code, answer.err or answer.out
    missing = [name for name in case.names if name not in answer.err]
    assert not missing, answer.err
    assert answer.out == "", "nothing is printed as if it were a result"
    assert not left, "nothing is left behind"
    count("bad inputs: refused with the right exit code and a message that names what is wrong")
