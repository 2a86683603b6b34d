"""Every packaged suite can be looked at on a machine that has nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssliqa_bench.cli.app import main
from ssliqa_bench.registry.suite import packaged_suites

# Each network of these is measured at its full size, which takes a minute, or minutes.
LARGE, LARGEST = ("bns_tables",), ("ssliqa_tables",)


@pytest.mark.parametrize("suite", [
    pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name
    for name in packaged_suites() if name not in LARGEST
])  # fmt: skip
def test_a_dry_run_says_what_is_missing(suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data-root", str(tmp_path), "--store", str(tmp_path / "store"), "--device", "cpu", "--seeds", "1"]
    assert main(["sweep", suite, "--dry-run", *words]) == 0
    out = capsys.readouterr().out
    assert ("to run" if suite.startswith("demo") else "blocked") in out
    assert ("of missing features" in out) is suite.startswith("open")
    assert not (tmp_path / "store").exists()
