"""Where a result came from: versions, commit, memory."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import platform
import resource
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

# Distributions whose name differs from the name they are imported by.
_DISTRIBUTIONS = {
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "cv2": "opencv-python-headless",
    "yaml": "pyyaml",
}


def library_versions(packages: Iterable[str]) -> dict[str, str]:
    """Distribution → version of imported packages, read from their metadata; the standard library is left out.

    A module that belongs to no distribution has a hash of its files for a version, one that is not installed "unknown".
    """
    versions: dict[str, str] = {}
    for package in sorted(packages):
        if package in sys.stdlib_module_names:
            continue
        name = _DISTRIBUTIONS.get(package, package)
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = _version_otherwise(package)
    return versions


def _version_otherwise(package: str) -> str:
    """Of a package whose distribution has another name, or that belongs to none."""
    owners = _owners().get(package)
    if owners is None:
        return _hash_of_files(package)
    return ", ".join(f"{owner} {metadata.version(owner)}" for owner in sorted(set(owners)))


@functools.cache
def _owners() -> Mapping[str, list[str]]:
    """Distributions by the name that they are imported by; reads the lists of all files, so only where it is needed."""
    return metadata.packages_distributions()


@functools.cache
def _hash_of_files(package: str) -> str:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        spec = None
    folders = None if spec is None else spec.submodule_search_locations
    if folders is not None:
        files = sorted(file for folder in folders for file in Path(folder).rglob("*.py"))
    elif spec is not None and spec.has_location and spec.origin is not None:
        files = [Path(spec.origin)]
    else:
        return "unknown"
    hasher = hashlib.sha256()
    for file in files:
        hasher.update(hashlib.sha256(file.read_bytes()).digest())
    return f"sha256 {hasher.hexdigest()[:16]}"


def own_version() -> str:
    """Version of this package as installed."""
    try:
        return metadata.version("ssliqa-bench")
    except metadata.PackageNotFoundError:
        return "unknown"


def python_version() -> str:
    """Version of the interpreter, for example 3.11.7."""
    return platform.python_version()


def git_state() -> dict[str, Any] | None:
    """Commit of the checkout that this package runs from and whether it is changed; None outside a checkout."""
    folder = Path(__file__).resolve().parent
    try:
        # An installed copy may lie inside somebody else's checkout.
        _git(folder, "ls-files", "--error-unmatch", Path(__file__).name)
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain", "--", str(folder.parent)))}
    except (OSError, subprocess.SubprocessError):
        return None


def now() -> str:
    """Time in UTC, ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def reset_process_peak() -> None:
    """Begin anew with the largest resident memory of this process (Linux; elsewhere it stays that of its life)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def process_peak_bytes() -> int:
    """Largest resident memory of this process since `reset_process_peak`."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _git(folder: Path, *arguments: str) -> str:
    words = ["git", "--no-optional-locks", "-C", str(folder), *arguments]  # a killed one leaves no lock in the checkout
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
