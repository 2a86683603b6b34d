"""Every packaged suite can be looked at on a machine that has nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssliqa_bench.cli.app import main
from ssliqa_bench.registry.suite import packaged_suites

# Each network of these is measured at its full size, which takes minutes.
LARGE = ("ssliqa_tables",)


@pytest.mark.parametrize("suite", [s for s in packaged_suites() if s not in LARGE])
def test_a_dry_run_says_what_is_missing(suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data-root", str(tmp_path), "--store", str(tmp_path / "store"), "--device", "cpu", "--seeds", "1"]
    assert main(["sweep", suite, "--dry-run", *words]) == 0
    out = capsys.readouterr().out
    assert ("to run" if suite.startswith("demo") else "blocked") in out
    assert ("of missing features" in out) is suite.startswith("open")
    assert not (tmp_path / "store").exists()
