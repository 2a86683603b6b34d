"""Report the known vulnerabilities of the pinned dependencies (pip-audit); a report, which never fails.

    python .ci/audit.py [constraints.txt]

pip-audit gets an environment of its own, below build/. Where it cannot be installed or no advisory service answers, the
report is one line with the reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "build" / "audit"
SECONDS = 240


def main(pins: Path) -> str:
    """The report, as lines of text."""
    try:
        audit = _installed()
        found = _audited(audit, pins)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return f"Dependency audit skipped: {_reason(error)}"
    return report(found)


def report(found: Sequence[Mapping[str, Any]]) -> str:
    """The lines for what pip-audit found of each package: `vulns`, or `skip_reason` where nothing is known of it."""
    skipped = [package for package in found if "skip_reason" in package]
    known = len(found) - len(skipped)
    if not known:
        first = skipped[0]["skip_reason"] if skipped else "it was given none"
        return f"Dependency audit skipped: no advisories were found for any of {len(found)} packages ({first})."
    lines = [
        f"{package['name']} {package['version']}: {one['id']}, fixed in {', '.join(one['fix_versions']) or 'none'}"
        for package in found
        for one in package.get("vulns", ())
    ]
    unknown = f"; nothing is known of {len(skipped)}" if skipped else ""
    lines.append(f"{known} of {len(found)} packages audited: {len(lines)} known vulnerabilities{unknown}.")
    return "\n".join(lines)


def _installed() -> Path:
    command = HOME / "bin" / "pip-audit"
    if not command.exists():
        venv.create(HOME, with_pip=True, clear=True)
        _run([str(HOME / "bin" / "pip"), "install", "--quiet", "pip-audit"])
    return command


def _audited(audit: Path, pins: Path) -> list[dict[str, Any]]:
    out = HOME / "found.json"
    out.unlink(missing_ok=True)
    words = ["--requirement", str(pins), "--no-deps", "--disable-pip", "--progress-spinner", "off", "--desc", "off",
             "--format", "json", "--output", str(out)]  # fmt: skip
    done = subprocess.run([str(audit), *words], capture_output=True, text=True, timeout=SECONDS, check=False)
    if not out.is_file():  # exit code 1 is that of findings, too
        raise ValueError(_last(done.stderr) or f"pip-audit ended with exit code {done.returncode}")
    found: list[dict[str, Any]] = json.loads(out.read_text())["dependencies"]
    return found


def _run(words: Sequence[str]) -> None:
    subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=True)


def _reason(error: Exception) -> str:
    said = _last(getattr(error, "stderr", None) or "")
    return said or str(error)


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


if __name__ == "__main__":
    print(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "constraints.txt"))
