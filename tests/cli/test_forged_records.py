"""Records whose checksum is right and whose content is not: one message with the field, in every command that reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ssliqa_bench.cli.app import main
from ssliqa_bench.files import digest
from ssliqa_bench.store.records import write_record
from tests.resealed import reseal
from tests.store.made_record import PARTS as OTHER_PARTS
from tests.store.made_record import both, facts, record

PARTS = {**OTHER_PARTS, "cell": facts()["cell"]}
KEY = digest(PARTS)
GONE = object()
FACTS, METRICS = "facts.json", "a/metrics.json"
# The file, the field, what a forger puts there, and what the message names.
FORGERIES: list[tuple[str, tuple[str, ...], Any, str]] = [
    (FACTS, ("cell",), GONE, "cell"),
    (FACTS, ("cell", "seed"), "0", "cell.seed"),
    (FACTS, ("cell", "protocol"), "../../boards", "cell.protocol"),
    (FACTS, ("cell", "pair"), ":", "cell.pair"),
    (FACTS, ("method", "trained_on"), 3, "method.trained_on"),
    (FACTS, ("protocol",), GONE, "protocol"),
    (FACTS, ("protocol", "aggregate"), "best", "protocol.aggregate"),
    (FACTS, ("stages",), None, "stages"),
    (FACTS, ("seconds", "train"), "long", "seconds.train"),
    (FACTS, ("created",), "yesterday", "created"),
    (FACTS, ("tested",), ["a", "b", "c"], "c/metrics.json"),
    (FACTS, ("datasets",), [], "datasets"),
    (FACTS, ("key",), "1" * 64, "key"),
    (FACTS, ("key_parts",), [], "key_parts"),
    (FACTS, ("steps",), -1, "steps"),
    (FACTS, ("more",), 1, "more"),
    (METRICS, ("metrics",), GONE, "metrics"),
    (METRICS, ("metrics", "srcc"), "high", "metrics.srcc"),
    (METRICS, ("metrics", "mapping"), "fine", "metrics.mapping"),
    (METRICS, ("metrics", "extra"), None, "metrics.extra"),
    (METRICS, ("metrics", "intervals"), {"srcc": [0, 1]}, "metrics.intervals.srcc"),
    (METRICS, ("stages",), None, "stages"),
    (METRICS, ("evaluation_version",), GONE, "evaluation_version"),
    (METRICS, ("dataset", "roles"), [1], "dataset.roles"),
    (METRICS, ("run",), "1" * 64, "run"),
]
COMMANDS = ["store ls", "store ls --json", f"store why {KEY[:8]}", "store verify", "store evaluate", "store gc",
            "store export out", "leaderboard --out boards", "leaderboard --stale"]  # fmt: skip


def _forge(path: tuple[str, ...], value: Any) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        for part in path[:-1]:
            body = body[part]
        if value is GONE:
            del body[path[-1]]
        else:
            body[path[-1]] = value

    return change


def _refused(command: str, capsys: pytest.CaptureFixture[str], *named: str) -> None:
    """The command ends with one message that names everything; only `verify` prints it as its result."""
    verify = command == "store verify"
    assert main([*command.split(), "--store", "runs"]) == (1 if verify else 2)
    out, err = capsys.readouterr()
    text = out if verify else err
    assert "Traceback" not in out + err and "unexpected" not in out + err
    assert verify or (out == "" and err.startswith("Error: ") and err.count("Error:") == 1)
    for part in named:
        assert part in text


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a record in the store `runs` of the working folder."""
    monkeypatch.chdir(tmp_path)
    write_record("runs", record(KEY, key_parts=PARTS), both())
    return tmp_path / "runs" / "records" / KEY


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("file", "path", "value", "named"), FORGERIES, ids=[f"{'.'.join(row[1])}-{k}" for k, row in enumerate(FORGERIES)]
)
def test_a_forged_field_is_named(
    store: Path, capsys: pytest.CaptureFixture[str], command: str, file: str, path: tuple[str, ...], value: Any,
    named: str,
) -> None:
    reseal(store / file, _forge(path, value))
    _refused(command, capsys, KEY[:12], named)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("file", "old", "new"), [(FACTS, b"1e-05", b"1e705"), (METRICS, b"1e-300", b"1e+309")])
def test_a_flipped_exponent_is_a_damaged_file(
    store: Path, capsys: pytest.CaptureFixture[str], command: str, file: str, old: bytes, new: bytes
) -> None:
    content = (store / file).read_bytes()
    assert old in content
    (store / file).write_bytes(content.replace(old, new))
    _refused(command, capsys, file, "no file is written with")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("file", [FACTS, METRICS])
def test_schema_1_is_refused_with_version_and_way_out(
    store: Path, capsys: pytest.CaptureFixture[str], command: str, file: str
) -> None:
    (store / file).write_bytes((store / file).read_bytes().replace(b'"schema": 2', b'"schema": 1'))
    _refused(command, capsys, file, "schema 1; this version reads schema 2", "make the run again")


@pytest.mark.parametrize(("path", "value", "named"), [
    (("cell", "method"), "another", "cell is not the one in key_parts"),
    (("cell", "seed"), 7, "cell is not the one in key_parts"),
    (("key_parts", "seed"), 7, "does not follow from key_parts"),
])  # fmt: skip
def test_verify_compares_the_key_and_the_cell_with_what_the_key_is_made_of(
    store: Path, capsys: pytest.CaptureFixture[str], path: tuple[str, ...], value: Any, named: str
) -> None:
    main(["store", "verify", "--store", "runs"])
    assert named not in capsys.readouterr().out
    reseal(store / FACTS, _forge(path, value))
    _refused("store verify", capsys, KEY[:12], named)
