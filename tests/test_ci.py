"""CI, pre-commit and make check the same things."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent


def make_targets_in_ci() -> set[str]:
    return set(re.findall(r"^\s*part .* make ([a-z-]+)\)?$", (ROOT / ".ci/run").read_text(), flags=re.MULTILINE))


def test_pre_commit_runs_what_ci_runs_as_lint_and_types() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    entries = {hook["entry"] for repo in config["repos"] for hook in repo["hooks"]}
    assert entries == {"make lint", "make types"}
    assert {"lint", "types", "test", "demo"} <= make_targets_in_ci()


def test_every_make_target_of_ci_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert make_targets_in_ci() <= targets


def test_constraints_pin_every_dependency_that_setup_cfg_names() -> None:
    from configparser import ConfigParser

    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg")
    wanted = "\n".join((parser["options"]["install_requires"], *parser["options.extras_require"].values()))
    lines = [line.strip() for line in wanted.splitlines() if line.strip() and not line.strip().startswith("#")]
    named = {re.split("[<>=]", line)[0].lower().replace("_", "-") for line in lines}
    pins = (ROOT / "constraints.txt").read_text().split()
    assert named <= {pin.partition("==")[0].lower().replace("_", "-") for pin in pins}
    assert all(re.fullmatch(r"[\w.-]+==[\w.+!-]+", pin) for pin in pins), "plain versions only"


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci/audit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FOUND = {"id": "CVE-1", "fix_versions": ["2.0"]}


@pytest.mark.parametrize(("found", "last"), [
    ([], "skipped: no advisories were found for any of 0 packages"),
    ([{"name": "a", "skip_reason": "not found"}] * 3, "skipped: no advisories were found for any of 3 packages"),
    ([{"name": "a", "version": "1", "vulns": []}], "1 of 1 packages audited: 0 known vulnerabilities."),
    ([{"name": "a", "version": "1", "vulns": [FOUND, FOUND]}, {"name": "b", "skip_reason": "not found"}],
     "1 of 2 packages audited: 2 known vulnerabilities; nothing is known of 1."),
])  # fmt: skip
def test_an_audit_that_reached_nothing_is_no_clean_one(audit: ModuleType, found: list[Any], last: str) -> None:
    lines = audit.report(found).splitlines()
    assert last in lines[-1]
    assert len(lines) == 1 + sum(len(package.get("vulns", ())) for package in found)


@pytest.mark.parametrize("error", [
    OSError("no space"),
    subprocess.TimeoutExpired("pip", 3),
    subprocess.CalledProcessError(1, "pip", stderr="looking\nERROR: no network\n"),
])  # fmt: skip
def test_an_audit_that_cannot_be_made_says_why(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(audit, "_installed", fail)
    said = audit.main(ROOT / "constraints.txt")
    reason = getattr(error, "stderr", None) or str(error)
    assert said == f"Dependency audit skipped: {reason.strip().splitlines()[-1]}"


def test_pip_is_shown_in_one_line_and_its_failure_in_full(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / ".ci/pip_progress.py"), str(tmp_path / "pip.log"), "install", "--no-index",
               "-e", str(tmp_path / "nothing")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("pip: 0 packages in ") and "nothing is not a valid editable" in done.stderr
    assert "nothing is not a valid editable" in (tmp_path / "pip.log").read_text()
