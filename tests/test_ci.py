"""CI, pre-commit and make check the same things."""

from __future__ import annotations

import re
from pathlib import Path

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
    wanted = parser["options"]["install_requires"] + parser["options.extras_require"]["test"]
    lines = [line.strip() for line in wanted.splitlines() if line.strip() and not line.strip().startswith("#")]
    named = {re.split("[<>=]", line)[0].lower().replace("_", "-") for line in lines}
    pins = (ROOT / "constraints.txt").read_text().split()
    assert named <= {pin.partition("==")[0].lower().replace("_", "-") for pin in pins}
    assert all(re.fullmatch(r"[\w.-]+==[\w.+!-]+", pin) for pin in pins), "plain versions only"
