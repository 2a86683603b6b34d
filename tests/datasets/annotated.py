"""Tables of all datasets made of their real label files, as if the images were there; and the hashes of splits.

    python -m tests.datasets.annotated > benchmarks/split_hashes.csv

writes the released hashes anew where the label files are at hand.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from ssliqa_bench.datasets import base
from ssliqa_bench.datasets.splits import assign_roles, split_hash
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.registry.load import load_registry
from tests.datasets.annotations import ANNOTATIONS

# Of each dataset: what of the annotations belongs where in its folder, and image folders that readers look for.
# KOKA10K is read from the folders of KonIQ-10k and of KADIS-700k beside it.
FILES: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "koniq": ({"koniq": "."}, ("512x384",)),
    "koka10k": ({"koniq": ".", "kadis700k": "../kadis"}, ("512x384", "../kadis/ref_imgs")),
    "livec": ({"rebuilt/ChallengeDB_release": "."}, ("Images",)),
    "live": ({"rebuilt/databaserelease2": "."}, ()),
    "csiq": ({"csiq/csiq.beta.xlsx": "csiq.beta.xlsx"}, ("dst_imgs",)),
    "tid2013": ({"rebuilt/tid2013": "."}, ("distorted_images",)),
    "kadid": ({"rebuilt/kadid10k": "."}, ("images",)),
    "spaq": ({"rebuilt/SPAQ": "."}, ("TestImage",)),
    "livefb": ({"flive": "."}, ()),
    "nnid": ({"rebuilt/NNID": "."}, ()),
    "pipal": ({"rebuilt/PIPAL": ".", "reexported/pipal/pipal21_val.txt": "pipal21_val.txt"}, ("Dist_Imgs", "Dis")),
}
RELEASED = (
    *(("ssiqa", pair) for pair in ("live:csiq", "csiq:live", "tid2013:kadid", "kadid:tid2013", "livec:koniq",
                                   "koniq:livec", "spaq:livefb", "livefb:spaq")),
    ("ssliqa", "koniq:koniq"),
    ("ssliqa-cross", "koniq:koniq"),
    ("ssliqa-night", "koniq:koniq"),
    ("standard", "koniq:livec"),
    ("official", "koniq"),
    ("official", "pipal"),
    ("koka10k", "koka10k:koka10k"),
    ("ntire2022", "pipal"),
    ("pipal", "pipal"),
    ("pipal-cross", "pipal"),
)  # fmt: skip


def annotated_tables(home: Path) -> dict[str, Table]:
    """A table per dataset; no image file is looked for."""
    registry, tables = load_registry(), {}
    for name, (files, folders) in FILES.items():
        folder = home / "data" / registry.dataset(name).folder
        for place in (".", *folders):
            (folder / place).mkdir(parents=True, exist_ok=True)
        for source, target in files.items():
            if (ANNOTATIONS / source).is_dir():
                shutil.copytree(ANNOTATIONS / source, folder / target, dirs_exist_ok=True)
            else:
                shutil.copy(ANNOTATIONS / source, folder / target)
        with mock.patch.object(base, "missing_rows", lambda raw: []):
            tables[name] = base.load_table(registry.dataset(name), home / "data", home / "cache")
    return tables


def split_hashes(tables: dict[str, Table]) -> Iterator[str]:
    """The lines of the released file."""
    registry = load_registry()
    yield "protocol,pair,dataset,seed,split_hash"
    for name, text in RELEASED:
        protocol, pair = registry.protocol(name), registry.pair(text)
        own = {d: tables[d] for d in registry.datasets_of(pair, protocol)}
        for seed in range(10):
            roles = assign_roles(pair, own, protocol, seed)
            for dataset, table in own.items():
                yield f"{name},{pair},{dataset},{seed},{split_hash(table, roles[dataset])}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        sys.stdout.writelines(f"{line}\n" for line in split_hashes(annotated_tables(Path(place))))
