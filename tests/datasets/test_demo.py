"""The demo sets hold what they promise: counts, groups, opinions that follow the stated model, the same every time."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity

from ssliqa_bench.datasets import demo
from ssliqa_bench.datasets.fingerprint import fingerprint
from ssliqa_bench.datasets.leaks import check_roles
from ssliqa_bench.datasets.splits import assign_roles
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.specs import Pair

KINDS = {"demo-syn": ("blur", "jpeg", "noise"), "demo-wild": ("blur", "jpeg", "noise", "jpeg2000")}
LUMINANCE = np.array([0.299, 0.587, 0.114])


@pytest.fixture(params=["demo-syn", "demo-wild"])
def table(request: pytest.FixtureRequest, demo_tables: dict[str, Table]) -> Table:
    return demo_tables[request.param]


def luminance(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image) @ LUMINANCE


def test_counts(demo_tables: dict[str, Table]) -> None:
    syn, wild = demo_tables["demo-syn"], demo_tables["demo-wild"]
    assert (len(syn), len(wild)) == (525, 800)
    assert Counter(syn.group) == dict.fromkeys(
        ("astronaut", "chelsea", "coffee", "rocket", "motorcycle", "china", "flower"), 75)
    assert len(set(wild.group)) == 40 and set(Counter(wild.group).values()) == {20}
    assert (len(set(syn.reference or ())), len(set(wild.reference or ()))) == (35, 40)
    for table in (syn, wild):
        cells = Counter(zip(table.reference or (), table.distortion or (), table.level or ()))
        assert set(cells.values()) == {1}
        assert set(table.distortion or ()) == set(KINDS[table.dataset]) and set(table.level or ()) == set("12345")
        for path in (*table.path[::50], *(table.reference or ())[::50]):
            with Image.open(path) as image:
                assert (image.size, image.mode) == ((160, 160), "RGB")


def test_scores_are_the_statistics_of_the_ratings(table: Table) -> None:
    assert table.distribution is not None and table.rating_std is not None
    counts = table.distribution * 24
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-9)
    for row in range(0, len(table), 7):
        ratings = np.repeat(np.arange(1, 6), np.rint(counts[row]).astype(int))
        assert len(ratings) == 24
        assert table.score[row] == pytest.approx(ratings.mean(), abs=1e-6)
        assert table.rating_std[row] == pytest.approx(np.std(ratings, ddof=1), abs=1e-6)
    assert table.score.min() >= 1 and table.score.max() <= 5 and np.ptp(table.score) > 3
    np.testing.assert_allclose(table.score01, (table.score - 1) / 4)


def test_opinion_follows_level_and_activity(table: Table) -> None:
    """The stated model, computed anew from the pictures: mean score per level, and what busy contents change."""
    level = np.array([int(step) for step in table.level or ()])
    kind = np.array(table.distortion)
    by_content = defaultdict(list)
    for row, reference in enumerate(table.reference or ()):
        by_content[reference].append(row)
    z = np.empty(len(table))
    for reference, rows in by_content.items():
        gradient = np.hypot(*np.gradient(luminance(reference)))
        z[rows] = (np.log(1 + gradient.mean()) - 2.2) / 0.6
    severity = np.array([0, 0.18, 0.36, 0.55, 0.74, 0.92])[level]
    effect = {"blur": 0.10, "jpeg2000": 0.05, "jpeg": -0.06, "noise": -0.12}
    for name in KINDS[table.dataset]:
        here = kind == name
        expected = 1 + 4 * (1 - severity[here] * (1 + effect[name] * z[here]))
        # One shift for the bias of the whole panel; ratings stop at 1 and 5, so the ends are left out.
        middle = (expected > 1.8) & (expected < 4.2)
        difference = (table.score[here] - expected)[middle]
        assert abs(difference.mean()) < 0.2 and difference.std() < 0.25
        means = [table.score[here & (level == step)].mean() for step in demo.LEVELS]
        assert all(high > low for high, low in pairwise(means))
        # Busy contents lose or gain as the sign of the effect says.
        slope = np.polyfit(z[here], table.score[here] + 4 * severity[here], 1)[0]
        assert np.sign(slope) == -np.sign(effect[name])


def test_similarity_falls_with_level_and_equals_no_opinion(demo_tables: dict[str, Table]) -> None:
    """SSIM falls with every level of every kind; against the opinions it reaches about 0.76 on demo-syn."""
    table = demo_tables["demo-syn"]
    references = {path: luminance(path) for path in set(table.reference or ())}
    ssim = np.array([
        structural_similarity(luminance(path), references[reference], data_range=255)
        for path, reference in zip(table.path, table.reference or ())
    ])
    for kind in KINDS["demo-syn"]:
        means = [ssim[[k == kind and step == str(level) for k, step in zip(table.distortion or (), table.level or ())]]
                 .mean() for level in demo.LEVELS]
        assert all(high > low for high, low in pairwise(means)), kind
    assert 0.72 < spearmanr(ssim, table.score)[0] < 0.80


def test_scores_never_change(table: Table) -> None:
    """A new checksum here asks for a new generator_version in the registry."""
    text = "".join(f"{name} {score:.6f}\n" for name, score in sorted(zip(table.name, table.score)))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == {
        "demo-syn": "f967996f42ec1ee7", "demo-wild": "49be8b90a7152046"}[table.dataset]


def test_threads_change_nothing(demo_tables: dict[str, Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first two scenes, made by one thread, against the ones made together with the whole set."""
    whole = demo_tables["demo-wild"]
    monkeypatch.setattr(demo, "_SCENES", 2)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    demo.make_demo_wild(tmp_path / "made")
    with open(tmp_path / "made" / "labels.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 40
    for row in rows:
        position = whole.name.index(row["image"])
        assert float(row["score"]) == whole.score[position]
        assert (tmp_path / "made" / "images" / row["image"]).read_bytes() == Path(whole.path[position]).read_bytes()


def test_scenes_have_the_spectrum_of_natural_images() -> None:
    """Amplitude falls about as 1/f; a picture of white noise would give a slope of 0."""
    slopes = []
    for seed in range(4):
        grey = demo.dead_leaves(np.random.default_rng(seed)) @ LUMINANCE
        assert grey.shape == (320, 320) and len(np.unique(grey)) > 1000
        amplitude = np.abs(np.fft.fft2((grey - grey.mean()) * np.outer(np.hanning(320), np.hanning(320))))
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(320), np.fft.fftfreq(320)))
        band = (frequency > 0.02) & (frequency < 0.4)
        slopes.append(np.polyfit(np.log(frequency[band]), np.log(amplitude[band]), 1)[0])
    assert -1.8 < np.mean(slopes) < -0.9


def test_roles_of_the_demo_pair(demo_tables: dict[str, Table]) -> None:
    standard = load_registry().protocol("standard")
    for seed in range(5):
        roles = assign_roles(Pair("demo-syn", "demo-wild"), demo_tables, standard, seed)
        check_roles(demo_tables, roles)
        assert Counter(roles["demo-syn"]) == {"labeled": 375, "test": 150}
        assert Counter(roles["demo-wild"]) == {"unlabeled": 640, "test": 160}
    roles = assign_roles(Pair("demo-wild", "demo-wild"), demo_tables, standard, 0, 0.25)
    assert Counter(roles["demo-wild"]) == {"labeled": 160, "unlabeled": 480, "test": 160}


SCRIPT = """
import json, sys
from pathlib import Path
from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.fingerprint import fingerprint
from ssliqa_bench.datasets.fingerprint import fingerprint
from ssliqa_bench.datasets.leaks import check_roles
from ssliqa_bench.datasets.splits import assign_roles
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.specs import Pair
cache, registry = Path(sys.argv[1]), load_registry()
tables = {n: load_table(registry.dataset(n), Path("nowhere"), cache) for n in ("demo-syn", "demo-wild")}
check_roles(tables, assign_roles(Pair(*tables), tables, registry.protocol("standard"), 0))
marks = [fingerprint(table, cache) for table in tables.values()]
print(json.dumps([marks, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def test_reading_existing_sets_imports_nothing_heavy(demo_tables: dict[str, Table], demo_cache: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(demo_cache)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    marks, modules = json.loads(done.stdout)
    assert marks == [fingerprint(table, demo_cache) for table in demo_tables.values()]
    assert not {"cv2", "pandas", "pyiqa", "scipy", "skimage", "sklearn", "torch"} & set(modules)
