from __future__ import annotations

from types import ModuleType

from tests.leaderboard.typed import stale_records


def test_records_of_other_code_are_named_with_the_files(made: ModuleType) -> None:
    records = [made.record("ssiqa", seed) for seed in (1, 0)] + [made.record("supervised", 0)]
    records[2]["code"]["files"] = {"ssliqa_bench/training/loop.py": "c2"}
    now = {"ssliqa_bench/methods/ssiqa/ssiqa.py": "c1", "ssliqa_bench/training/loop.py": "c2", "unrelated.py": "x"}
    assert stale_records(records, now) == []
    now["ssliqa_bench/methods/ssiqa/ssiqa.py"] = "edited"
    found = stale_records(records, now)
    assert [(s.method, s.seed, s.files) for s in found] == [
        ("ssiqa", 0, ("ssliqa_bench/methods/ssiqa/ssiqa.py",)),
        ("ssiqa", 1, ("ssliqa_bench/methods/ssiqa/ssiqa.py",)),
    ]
    assert str(found[0]) == f"{records[1]['key'][:12]} ssiqa seed 0: ssliqa_bench/methods/ssiqa/ssiqa.py"


def test_a_file_that_is_gone_makes_a_record_stale(made: ModuleType) -> None:
    (stale,) = stale_records([made.record()], {"ssliqa_bench/training/loop.py": "c2"})
    assert stale.files == ("ssliqa_bench/methods/ssiqa/ssiqa.py",)


def test_a_file_that_was_moved_makes_no_record_stale(made: ModuleType) -> None:
    now = {"ssliqa_bench/methods/ssiqa.py": "c1", "ssliqa_bench/training/loop.py": "c2"}
    assert stale_records([made.record()], now) == []


def test_a_file_that_only_imports_something_else_makes_a_record_stale(made: ModuleType) -> None:
    """Its own tokens are the same, and what it imported is still there."""
    record = made.record()
    files = record["code"]["files"]
    record["code"]["imports"] = dict.fromkeys(files, "i1")
    assert stale_records([record], files, {"any.py": "i1"}) == []
    (stale,) = stale_records([record], files, {"any.py": "i2"})
    assert stale.files == tuple(sorted(files))
