"""Read again what is otherwise trusted by size and modification time: images, labels, decoded images, features,
converted weights.

Bit rot, and tools that restore times, change content without changing either.
"""

from __future__ import annotations

from pathlib import Path

from ssliqa_bench.caches import cache_lock
from ssliqa_bench.checksums import reread
from ssliqa_bench.errors import CorruptFileError
from ssliqa_bench.files import read_sealed, set_aside, sha256_file
from ssliqa_bench.models.weight_cache import changed
from ssliqa_bench.pixels import cache


def reread_caches(cache_root: Path) -> list[str]:
    """What does not hold below a cache folder, one line each; it is not used again.

    Tables of labels that were kept are forgotten, so that the label files are read again.
    """
    root = Path(cache_root)
    for table in sorted((root / "tables").glob("*.json")):
        table.unlink(missing_ok=True)
    problems = [
        f"{path}: has changed, and its size and time have not; runs with it are made again"
        for known in sorted((root / "hashes").glob("*.json"))
        for path in reread(known)
    ]
    for kind, again in (("pixels", cache.reread), ("features", _reread_features)):
        folders = (path for path in sorted((root / kind).glob("*")) if path.is_dir() and ".corrupt-" not in path.name)
        problems += [problem for folder in folders if (problem := again(folder)) is not None]
    weights = sorted((root / "weights").glob("*.safetensors"))
    return problems + [f"{problem} They are made again when needed." for file in weights if (problem := changed(file))]


def _reread_features(folder: Path) -> str | None:
    """As `cache.reread`, of the features of a frozen network (`pixels.features`)."""
    with cache_lock(folder.with_name(f"{folder.name}.lock")):
        try:
            stated = read_sealed(folder / "index.json", kind="feature-cache")["sha256"]
            if sha256_file(folder / "features.f16") != stated:
                raise CorruptFileError(f"{folder}: the features do not match their checksum.")
        except FileNotFoundError:
            return None  # never completed
        except CorruptFileError as error:
            return f"{error} Set aside as {set_aside(folder).name}; the features are computed again when needed."
    return None
