from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssliqa_bench.errors import InputError
from ssliqa_bench.files import canonical_json
from ssliqa_bench.leaderboard.boards import check_boards, parse_formats, write_boards
from tests.leaderboard.typed import build_boards, write


def many(made: ModuleType) -> list[dict[str, object]]:
    """Several boards and sections, older records, mixtures and gaps."""
    records = made.demo_suite() + made.demo_suite([0, 1], created="2026-02-01T00:00:00+00:00")
    records += made.demo_suite([2], budget=0.1) + made.demo_suite([3, 4], protocol="other", recipe="check")
    records += [made.record(seed=k, pair="koniq:livec", srcc={"koniq": 0.8, "livec": 0.6}, kind="x") for k in (0, 1)]
    records[3]["key_parts"]["versions"]["torch"] = "1.0"
    records[7]["metrics"]["demo-syn"]["srcc"] = None
    return records  # type: ignore[no-any-return]


@settings(max_examples=15)
@given(st.randoms(use_true_random=False))
def test_the_order_of_records_changes_no_byte(made: ModuleType, shuffler: random.Random) -> None:
    records = many(made)
    expected = build_boards(records)
    shuffler.shuffle(records)
    assert build_boards(iter(records)) == expected


def test_boards_by_protocol_and_kind_and_the_records_stay_as_they_were(made: ModuleType) -> None:
    records = many(made)
    before = canonical_json(records)
    texts = build_boards(records)
    assert list(texts) == [
        "NOTICE-livec.txt",
        "demo/other.csv", "demo/other.md", "demo/other/demo-syn--demo-wild.md",
        "demo/standard.csv", "demo/standard.md", "demo/standard/demo-syn--demo-wild.md",
        "standard.csv", "standard.md", "standard/koniq--livec.md",
    ]  # fmt: skip
    assert canonical_json(records) == before
    assert build_boards(records) == texts
    assert build_boards([]) == {}


def test_written_boards_are_what_was_built_and_check_out(made: ModuleType, tmp_path: Path) -> None:
    texts = build_boards(many(made))
    paths = write_boards(tmp_path, texts)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == list(texts)
    assert all(path.read_bytes() == text.encode() for path, text in zip(paths, texts.values(), strict=True))
    assert check_boards(tmp_path, texts) == []


def test_check_names_missing_changed_and_orphaned_boards_only(made: ModuleType, tmp_path: Path) -> None:
    texts = build_boards(many(made))
    write_boards(tmp_path, texts)
    (tmp_path / "demo" / "other.csv").unlink()
    changed = tmp_path / "standard.md"
    changed.write_bytes(changed.read_bytes().replace(b"\n", b"\r\n"))
    (tmp_path / "gone.md").write_text(texts["standard.md"])
    (tmp_path / "README.md").write_text("# Written by hand\n")
    assert check_boards(tmp_path, texts) == [
        "demo/other.csv: missing", "standard.md: differs", "gone.md: follows from no record"
    ]  # fmt: skip


def test_formats_are_read_and_unknown_ones_refused() -> None:
    assert parse_formats("md, csv,md") == ("md", "csv")
    with pytest.raises(InputError, match=r"md, csv, tex, json, html"):
        parse_formats("md,pdf")
    with pytest.raises(InputError, match="--format: got nothing"):
        parse_formats(" , ")


@pytest.mark.parametrize(("seeds", "needed"), [(2, []), (5, ["scipy"])])
def test_a_board_needs_none_of_the_heavy_packages(
    made: ModuleType, tmp_path: Path, seeds: int, needed: list[str]
) -> None:
    """scipy alone, and that only where there are splits enough for a test."""
    records = [record for record in many(made) if record["cell"]["seed"] < seeds]
    for record in records:
        write(tmp_path, record)
    program = (
        "import pathlib, sys\n"
        "from ssliqa_bench.leaderboard.boards import build_boards, write_boards\n"
        "from ssliqa_bench.store.records import iter_records\n"
        "out = pathlib.Path(sys.argv[1])\n"
        "write_boards(out, build_boards(iter_records(out)))\n"
        "heavy = {'torch', 'torchvision', 'timm', 'pyiqa', 'scipy', 'pandas', 'sklearn', 'skimage'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == f"{needed}\n"
    # Another process, with another order of sets and dictionaries, writes the same bytes.
    assert check_boards(tmp_path, build_boards(records)) == []
