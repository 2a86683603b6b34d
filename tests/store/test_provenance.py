from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from ssliqa_bench.store import provenance


def test_versions_are_those_installed_under_the_name_of_the_distribution() -> None:
    found = provenance.library_versions(["numpy", "PIL", "sklearn", "cv2", "json", "no_such_library"])
    assert found == {
        "numpy": metadata.version("numpy"),
        "pillow": metadata.version("pillow"),
        "scikit-learn": metadata.version("scikit-learn"),
        "opencv-python-headless": metadata.version("opencv-python-headless"),
        "no_such_library": "unknown",
    }


def test_a_library_whose_distribution_has_another_name_has_its_version() -> None:
    assert provenance.library_versions(["dateutil"]) == {
        "dateutil": f"python-dateutil {metadata.version('python-dateutil')}"
    }


def test_a_module_without_a_distribution_is_known_by_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    found = []
    for k, text in enumerate(("SIGN = 1\n", "SIGN = -1\n", "SIGN = 1\n")):
        (tmp_path / f"helper_{k}.py").write_text(text)
        (tmp_path / f"package_{k}").mkdir()
        (tmp_path / f"package_{k}" / "__init__.py").write_text(text)
        found.append(list(provenance.library_versions([f"helper_{k}", f"package_{k}"]).values()))
    assert found[0] == found[2] != found[1] and all("sha256" in own for versions in found for own in versions)


def test_git_state_is_told_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = provenance.git_state()
    assert state is None or (re.fullmatch("[0-9a-f]{40}", state["commit"]) and isinstance(state["dirty"], bool))
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "package" / "store" / "provenance.py"))
    assert provenance.git_state() is None


def test_git_state_is_that_of_our_own_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> str:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        command = ["git", "-C", str(tmp_path), *who, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    file = tmp_path / "package" / "store" / "provenance.py"
    file.parent.mkdir(parents=True)
    file.write_text("x = 1\n")
    (tmp_path / "other.txt").write_text("somebody's project\n")
    monkeypatch.setattr(provenance, "__file__", str(file))
    git("init", "-q")
    git("add", "other.txt")
    git("commit", "-q", "-m", "one")
    assert provenance.git_state() is None, "a copy inside somebody else's checkout"
    git("add", "package")
    git("commit", "-q", "-m", "two")
    assert provenance.git_state() == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    file.write_text("x = 2\n")
    state = provenance.git_state()
    assert state is not None and state["dirty"] is True


def test_time_and_memory_have_their_units() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", provenance.now())
    assert 10_000_000 < provenance.process_peak_bytes() < 1e12
    assert provenance.python_version() == sys.version.split()[0]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux only")
def test_peak_memory_can_begin_anew() -> None:
    """In a process of its own: that of the tests may be so large that a block more or less is no peak."""
    script = (
        "from ssliqa_bench.store import provenance\n"
        "block = bytearray(200_000_000)\n"
        "high = provenance.process_peak_bytes()\n"
        "del block\n"
        "provenance.reset_process_peak()\n"
        "assert provenance.process_peak_bytes() < high - 100_000_000\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
