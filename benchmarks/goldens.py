"""Golden values: what must not change when code is moved or rewritten.

    python benchmarks/goldens.py write FILE.json [--part params|predictions|board]
    python benchmarks/goldens.py compare FILE.json [--part ...]

Run it from the root of a checkout, whose package it uses. `params`: class and resolved parameters of every method for
each of its recipes. `predictions`: a run of every method with its recipe `check` on a small generated pair, seed 0,
one thread (about two minutes). `board`: checksums of the boards built from the committed demo records. `compare`
checks the parts that the file holds, prints what differs and exits with 1; methods added since are listed only.
Predictions agree within 1e-9 only on the platform that wrote them.

The script uses the command line alone and expects of a record only parquet files with the columns `image` and
`prediction`, so that it runs before and after a change of modules or of the record layout.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

TOLERANCE = 1e-9
PAIR = ("golden-a", "golden-b")
GROUPS, LEVELS, SIZE, RATERS = 10, 4, 160, 24
_CLASS_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+:([A-Za-z_]\w*)")
_METRICS = ("pyiqa:psnr",)  # for all methods PREFIX:NAME; it compares with the reference, which no listed metric does
_PACKAGES = ("torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "Pillow", "pyiqa")

Golden = dict[str, Any]
Found = tuple[list[str], list[str]]  # differences, and what the golden file does not know


def main() -> int:
    """Write the asked parts to a file, or compare them with it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("write", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--part", choices=tuple(_PARTS), action="append", help="may be repeated [all]")
    options = parser.parse_args()
    if options.action == "write":
        options.file.parent.mkdir(parents=True, exist_ok=True)
        parts = {name: _PARTS[name][0]({}) for name in options.part or _PARTS}
        options.file.write_text(_compact({"platform": this_platform(), **parts}))
        failed = {name: entry for name, entry in parts.get("predictions", {}).items() if "failed" in entry}
        print(*(f"{name}: {entry['failed']}" for name, entry in failed.items()), sep="\n", end="")
        return 1 if failed else 0
    golden = json.loads(options.file.read_text())
    asked = options.part or [name for name in _PARTS if name in golden]
    if missing := [name for name in asked if name not in golden]:
        parser.error(f"{options.file} holds no {', '.join(missing)}")
    total = 0
    for name in asked:
        make, compare = _PARTS[name]
        differences, unknown = compare(golden[name], make(golden[name]))
        print(f"{name}: {len(differences)} differences", *differences, sep="\n  ")
        if unknown:
            print(f"  not in {options.file}: {', '.join(unknown)}")
        total += len(differences)
    if total and "predictions" in asked and golden["platform"] != this_platform():
        print(f"{options.file} was written on another platform: {golden['platform']}; this is {this_platform()}.")
    return 1 if total else 0


def this_platform() -> dict[str, str]:
    """What rounding depends on: processor, Python and the packages that compute."""
    versions = {name: version(name) for name in _PACKAGES}
    return {"processor": _processor(), "python": platform.python_version(), **versions}


def make_params(golden: Golden) -> Golden:
    """Class, role of the unlabeled side and parameters by recipe of every method.

    An entry that shares its class with an earlier one names it under `as` and lists only what differs from it.
    """
    full = {method["name"]: resolved(method) for method in _methods()}
    first: dict[str, str] = {}
    found: Golden = {}
    for name, entry in full.items():
        base = first.setdefault(entry["class"], name)
        if base == name:
            found[name] = entry
            continue
        like = full[base]["recipes"]
        recipes = {recipe: _changes(like.get(recipe, {}), values) for recipe, values in entry["recipes"].items()}
        found[name] = {"as": base, "role": entry["role"], "recipes": recipes}
    return found


def compare_params(golden: Golden, found: Golden) -> Found:
    """Compare parameter by parameter. Methods and recipes that the golden file lacks are no difference."""
    old, new = flat_params(golden), flat_params(found)
    return _compare_each(old, new, lambda was, now: [
        f"{name} was {_shown(was, name)}, is {_shown(now, name)}"
        for name in sorted({*was, *now})
        if _shown(was, name) != _shown(now, name)
    ])


def make_predictions(golden: Golden) -> Golden:
    """Predictions of every method by dataset and image, or why it was not run or failed.

    With a golden file, only the methods that have predictions there are run.
    """
    methods = {method["name"]: method for method in _methods()}
    classes = {name: _class_name(method["class"]) for name, method in methods.items()}
    classes |= dict.fromkeys(_METRICS, "Metric")
    skipped = {name: "needs published weights" for name, method in methods.items() if method["weights"]}
    chosen = [name for name in classes if name not in skipped and (not golden or name in golden)]
    with tempfile.TemporaryDirectory(prefix="ssliqa-goldens-") as folder:
        predictions = _run(chosen, Path(folder))
    found = predictions | {name: {"skipped": reason} for name, reason in skipped.items()}
    return {name: {"class": classes[name], **found[name]} for name in classes if name in found}


def compare_predictions(golden: Golden, found: Golden) -> Found:
    """Compare image by image, to 1e-9."""
    old, new = _flat_predictions(golden), _flat_predictions(found)

    def differing(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
        if set(was) != set(now):
            return [f"predictions are for other images, or failed: {', '.join(sorted(set(was) ^ set(now)))}"]
        gaps = [abs(was[image] - now[image]) for image in was]
        apart = sum(not gap <= TOLERANCE for gap in gaps)
        return [f"{apart} of {len(gaps)} predictions differ, by up to {max(gaps):.3g}"] if apart else []

    return _compare_each(old, new, differing)


def make_board(golden: Golden) -> Golden:
    """SHA-256 of every file that `leaderboard` writes from the committed demo records."""
    with tempfile.TemporaryDirectory(prefix="ssliqa-goldens-") as folder:
        _command("leaderboard", "--store", "leaderboards/demo", "--out", folder)
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def compare_board(golden: Golden, found: Golden) -> Found:
    """Compare file by file."""
    return _compare_each(golden, found, lambda was, now: [f"was {was[:12]}, is {now[:12]}"] if was != now else [])


def write_pair(folder: Path) -> Path:
    """Generate two sets of patterns with references, and their registry file, whose path is returned."""
    entries = {}
    for number, name in enumerate(PAIR):
        _write_side(folder / name, np.random.RandomState(number), blur_first=number == 0)  # its stream is frozen
        entries[name] = {
            "about": {"title": f"Patterns, {name}"},
            "kind": "demo",
            "scale": [1, 5],
            "direction": "higher_is_better",
            "rating_statistics": True,
            "folder": name,
            "recipe": "check",
        }
    file = folder / "registry.yaml"
    file.write_text(json.dumps({"datasets": entries}))  # JSON is YAML
    return file


_PARTS: dict[str, tuple[Callable[[Golden], Golden], Callable[[Golden, Golden], Found]]] = {
    "params": (make_params, compare_params),
    "predictions": (make_predictions, compare_predictions),
    "board": (make_board, compare_board),
}


def _processor() -> str:
    """Vendor name, family and model: the name alone is often the same for several generations."""
    try:
        lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    except OSError:
        return platform.processor()
    facts: dict[str, str] = {}
    for name, _, value in lines:
        facts.setdefault(name.strip(), value.strip())
    words = ("model name", "cpu family", "model", "stepping")
    return ", ".join(f"{word} {facts[word]}" for word in words if word in facts) or platform.processor()


def _write_side(folder: Path, random: np.random.RandomState, blur_first: bool) -> None:
    for name in ("images", "refs"):
        (folder / name).mkdir(parents=True)
    with open(folder / "labels.csv", "w", newline="") as handle:
        writer = csv.writer(handle)
        levels = [f"c{level}" for level in range(1, 6)]
        writer.writerow(["image", "score", "rating_std", "group", "distortion", "level", "reference", *levels])
        for group in range(GROUPS):
            pristine = random.randint(0, 256, (SIZE // 20, SIZE // 20, 3)).repeat(20, 0).repeat(20, 1)
            pristine = _blurred(pristine, 3) // 2 + random.randint(0, 128, (SIZE // 4, SIZE, 3)).repeat(4, 0)
            Image.fromarray(pristine.astype(np.uint8)).save(folder / "refs" / f"{group}.png")
            for level in range(LEVELS):
                blurred = (level % 2 == 0) == blur_first
                noise = random.randint(-20 * level - 1, 20 * level + 2, pristine.shape)
                pixels = _blurred(pristine, 2 * level) if blurred else (pristine + noise).clip(0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{group}{level}.png")
                ratings = (5 - level + random.randint(-1, 2, RATERS)).clip(1, 5)
                counts = np.bincount(ratings, minlength=6)[1:]
                kind = "blur" if blurred else "noise"
                about = [f"scene{group}", kind, level, f"{group}.png"]
                scores = [f"{ratings.mean():.6f}", f"{ratings.std(ddof=1):.6f}"]
                writer.writerow([f"{group}{level}.png", *scores, *about, *counts])


def _blurred(pixels: Any, times: int) -> Any:
    """Integer arithmetic, so that every machine generates the same images."""
    for _ in range(times):
        pixels = sum(np.roll(pixels, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) // 9
    return pixels


def _run(methods: list[str], folder: Path) -> dict[str, Golden]:
    """Run methods on the generated pair in an empty store; predictions by dataset and image, or the error."""
    registry, suite, store = write_pair(folder), folder / "suite.yaml", folder / "store"
    runs = {"methods": methods, "pairs": [":".join(PAIR)], "protocol": "standard", "seeds": 1}
    suite.write_text(json.dumps({"title": "Goldens", "description": "Every method.", "runs": [runs]}))
    words = ("--registry", registry, "--store", store, "--device", "cpu", "--threads", "1", "--json")
    output = _command("sweep", suite, *words, cache=folder / "cache", may_fail=True)
    found: dict[str, Golden] = {}
    for run in json.loads(output)["runs"]:
        predictions = {} if run["status"] == "failed" else _read(store, run["key"])
        whole = all(predictions.get(name) for name in PAIR)
        found[run["method"]] = {"predictions": predictions} if whole else {"failed": run["error"] or "no predictions"}
    return found


def _read(store: Path, key: str) -> dict[str, dict[str, float]]:
    """Predictions by dataset and image of the record with a key, wherever it lies below the store."""
    from pyarrow import parquet

    found: dict[str, dict[str, float]] = {name: {} for name in PAIR}
    for file in sorted(store.glob("**/*.parquet")):
        # The key may be spread over nested folders.
        if key not in str(file.relative_to(store)).replace("/", ""):
            continue
        for row in parquet.read_table(file).to_pylist():
            dataset = row.get("dataset") or next(name for name in PAIR if name in file.name)
            found[dataset][row["image"]] = row["prediction"]
    return {dataset: dict(sorted(rows.items())) for dataset, rows in found.items()}


def _methods() -> list[dict[str, Any]]:
    """The methods that `list` prints, without the entries that describe all methods PREFIX:NAME."""
    methods: list[dict[str, Any]] = json.loads(_command("list", "methods", "--json"))["methods"]
    return [method for method in methods if not method["prefix"]]


def resolved(method: Mapping[str, Any]) -> Golden:
    """What the golden file holds of a method as `list` prints it, class paths reduced to class names."""
    recipes = {recipe: _without_modules(values) for recipe, values in method["parameters"].items()}
    return {"class": _class_name(method["class"]), "role": method["unlabeled_role"], "recipes": recipes}


def _changes(base: Mapping[str, Any], values: Mapping[str, Any]) -> Golden:
    """What turns one mapping into the other: new values, and the names that are absent under `-`."""
    changed = {name: value for name, value in values.items() if _shown(base, name) != json.dumps(value)}
    gone = [name for name in base if name not in values]
    return changed | ({"-": gone} if gone else {})


def flat_params(part: Golden) -> dict[str, Golden]:
    """Entry and recipe → all parameters, with class and role."""
    flat = {}
    for name, entry in part.items():
        base = part[entry.get("as", name)]
        for recipe, own in entry["recipes"].items():
            values = {**base["recipes"].get(recipe, {}), **own}
            for gone in values.pop("-", ()):
                del values[gone]
            flat[f"{name} [{recipe}]"] = {"class of the entry": base["class"], "role": entry["role"], **values}
    return flat


def _flat_predictions(part: Golden) -> dict[str, Golden]:
    """Entry → prediction by "dataset/image", or its error as the only key; skipped entries are left out."""
    flat = {}
    for name, entry in part.items():
        if "failed" in entry:
            flat[name] = {f"failed: {entry['failed']}": 0.0}
        elif "predictions" in entry:
            rows = entry["predictions"].items()
            flat[name] = {f"{dataset}/{image}": value for dataset, own in rows for image, value in own.items()}
    return flat


def _compare_each(old: Mapping[str, Any], new: Mapping[str, Any], differing: Callable[..., list[str]]) -> Found:
    differences = [f"{name}: {line}" for name in old if name in new for line in differing(old[name], new[name])]
    gone = [f"{name}: is gone" for name in old if name not in new]
    return differences + gone, [name for name in new if name not in old]


def _without_modules(value: Any) -> Any:
    """Class paths as the class name alone, since modules may move."""
    if isinstance(value, Mapping):
        return {name: _without_modules(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_modules(item) for item in value]
    return _class_name(value) if isinstance(value, str) else value


def _class_name(text: str) -> str:
    match = _CLASS_PATH.fullmatch(text)
    return match[1] if match else text


def _shown(values: Mapping[str, Any], name: str) -> str:
    """A value as JSON, in which 1 and 1.0 or true differ."""
    return json.dumps(values[name]) if name in values else "absent"


def _compact(golden: Golden) -> str:
    """JSON with one line per recipe or dataset, so that a diff of the file is readable."""
    text = json.dumps(golden, indent=1, ensure_ascii=False)
    innermost = re.compile(r"[{\[][^{}\[\]]*[}\]]")
    return innermost.sub(lambda match: re.sub(r"\s*\n\s*", " ", match[0]), text) + "\n"


def _command(*words: Any, cache: Path | None = None, may_fail: bool = False) -> str:
    """Standard output of a command of the package on one thread; a failure ends this script with its message."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **one, **({"SSLIQA_CACHE": str(cache)} if cache else {})}
    command = [sys.executable, "-m", "ssliqa_bench", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode and not (may_fail and done.stdout):
        sys.exit(f"{' '.join(command)} failed with {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
