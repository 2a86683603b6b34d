"""Pins of keyed code: the code part of every learner class's keys, one line each, in `tests/goldens/keys.txt`.

    python benchmarks/key_pins.py compare
    python benchmarks/key_pins.py renew "WHY"

A line that differs means that finished runs of that learner are computed again. `compare` prints such lines and exits
with 1; so does a pin file whose digest CHANGELOG.md does not quote under "### Keys". `renew` writes the file and adds
its digest with WHY to that section; the line of an earlier renewal with the same WHY is replaced, so that it can simply
be repeated after a rebase.

Moved modules, comments, docstrings and messages change no line. Run it from the root of a checkout, whose package it
uses.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ssliqa_bench.files import digest  # noqa: E402 - the package of this checkout
from ssliqa_bench.methods.base import Learner  # noqa: E402
from ssliqa_bench.registry.load import load_registry  # noqa: E402
from ssliqa_bench.registry.lookup import Registry, ResolvedMethod, locate_module  # noqa: E402
from ssliqa_bench.runner import keys  # noqa: E402
from ssliqa_bench.runner.code import Code  # noqa: E402
from ssliqa_bench.runner.learners import learner_of  # noqa: E402

PINS, CHANGELOG = ROOT / "tests/goldens/keys.txt", ROOT / "CHANGELOG.md"
SECTION = "### Keys"
_DIGITS = 12
_LINE = re.compile(rf"^- `([0-9a-f]{{{_DIGITS}}})`: (.*)$")


def main(words: Iterable[str] | None = None) -> int:
    """Compare the pins with the code of this checkout, or renew them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("compare", "renew"))
    parser.add_argument("why", nargs="?", default="", help="one sentence for CHANGELOG.md, with renew")
    options = parser.parse_args(None if words is None else list(words))
    text = pinned_text(pins(load_registry()))
    if options.action == "renew":
        if not options.why.strip():
            parser.error("renew needs a sentence for CHANGELOG.md: what changes, and for which learners")
        changed = differences(PINS.read_text(encoding="utf-8") if PINS.is_file() else "", text)
        PINS.write_text(text, encoding="utf-8")
        changelog = CHANGELOG.read_text(encoding="utf-8")
        if pin_digest(text) not in quoted(changelog):
            CHANGELOG.write_text(with_entry(changelog, pin_digest(text), options.why), encoding="utf-8")
        print(f"{len(changed)} lines changed.", *changed, sep="\n  ")
        return 0
    problems = found_problems(text, PINS.read_text(encoding="utf-8"), CHANGELOG.read_text(encoding="utf-8"))
    print(*problems, sep="\n")
    return 1 if problems else 0


def pins(registry: Registry, code: Code | None = None) -> dict[str, str]:
    """Name → hash of the code part of a key, sorted: every learner class, its stages and its model, and the backbones.

    A class is named by its first entry; its stages are those of all entries and recipes of that class, one line for all
    that run the same code.
    """
    code = code or Code(locate_module)
    entries = [name for name, entry in registry.methods.items() if entry.prefix is None]
    found: dict[str, str] = {}
    first: dict[str, str] = {}
    for name in entries:
        for recipe in registry.recipes(name) or (None,):
            for method in _variants(registry, name, recipe):
                label = first.setdefault(method.class_path, name)
                for part, own in _parts(method, learner_of(method, registry.backbones_of(method))).items():
                    pin = digest(own.part(code))[:_DIGITS]
                    if not any(line.startswith(f"{label} stage") and known == pin for line, known in found.items()):
                        found.setdefault(f"{label} {part}", pin)
    for name, backbone in registry.backbones.items():
        convert = None if backbone.weights is None else backbone.weights.convert
        paths = [path for path in (backbone.class_path, convert) if path is not None]
        if paths:
            found[f"backbone {name}"] = digest([code.definition(path).part for path in paths])[:_DIGITS]
    found["features of frozen networks"] = digest([code.tree(module) for module in keys.FEATURES_CODE])[:_DIGITS]
    return dict(sorted(found.items()))


def pinned_text(found: dict[str, str]) -> str:
    """The pin file: one line per name, its hash last."""
    width = max(map(len, found))
    return "".join(f"{name:<{width}}  {pin}\n" for name, pin in found.items())


def pin_digest(text: str) -> str:
    """What CHANGELOG.md quotes of a pin file."""
    return digest(text)[:_DIGITS]


def differences(old: str, new: str) -> list[str]:
    """The names whose hash differs, or that one of two pin files lacks."""
    was, now = (dict(_name_and_pin(line) for line in text.splitlines()) for text in (old, new))
    words = {name: "changed" if name in was and name in now else "new" if name in now else "gone"
             for name in sorted({*was, *now}) if was.get(name) != now.get(name)}  # fmt: skip
    return [f"{name}: {word}" for name, word in words.items()]


def found_problems(text: str, pinned: str, changelog: str) -> list[str]:
    """What is wrong, one line each, the way out last; nothing where pins and changelog are current."""
    changed = differences(pinned, text)
    if changed or pinned != text:
        way_out = 'If that is intended: make pins WHY="what changed, and for which learners"'
        return ["The code of these keys is not the pinned one; finished runs are computed again:", *changed, way_out]
    if pin_digest(pinned) not in quoted(changelog):
        return [f'CHANGELOG.md: "{SECTION}" does not quote `{pin_digest(pinned)}`, the digest of {PINS.name}. Add: '
                f"- `{pin_digest(pinned)}`: what changed, and for which learners."]  # fmt: skip
    return []


def quoted(changelog: str) -> set[str]:
    """The digests that the sections on keys quote."""
    sections = re.split(r"^(?=##)", changelog, flags=re.MULTILINE)
    lines = [line for section in sections if section.startswith(f"{SECTION}\n") for line in section.splitlines()]
    return {match[1] for line in lines if (match := _LINE.match(line))}


def with_entry(changelog: str, pin: str, why: str) -> str:
    """The changelog with one more line in the newest section on keys; one with the same reason is replaced."""
    lines = changelog.splitlines()
    start = lines.index(SECTION) + 1
    end = next((k for k in range(start, len(lines)) if lines[k].startswith("#")), len(lines))
    why = " ".join(why.split())
    same = [k for k in range(start, end) if (match := _LINE.match(lines[k])) and match[2] == why]
    place = next((k for k in range(start, end) if _LINE.match(lines[k])), end)
    for k in reversed(same):
        del lines[k]
    lines[place:place] = [f"- `{pin}`: {why}", *([""] if place == end else [])]
    return "\n".join(lines) + "\n"


def _variants(registry: Registry, name: str, recipe: str | None) -> list[ResolvedMethod]:
    """An entry, and the same with the option that adds a stage."""
    method = registry.resolve_method(name, recipe)
    more = [registry.resolve_method(name, recipe, {"stage2": True})] if "stage2" in method.params else []
    return [method, *more]


def _parts(method: ResolvedMethod, learner: Learner) -> dict[str, keys.Behind]:
    """The code behind a learner's keys; that of its backbones is pinned by their own lines."""
    named, model = method.named("class"), learner.model
    parts = {"run": keys.behind(method.class_path, named, *keys.RUN_CODE, features=False)}
    for stage in learner.stages():
        own = {name: path for name, path in named.items() if name in stage.params}
        parts[f"stage {stage.name}"] = keys.behind(stage.path, own, *keys.STAGE_CODE, features=False)
    own = {name: path for name, path in named.items() if name in model.params}
    parts["predictions"] = keys.behind(model.path, own, *keys.PREDICTION_CODE, features=False)
    return parts


def _name_and_pin(line: str) -> tuple[str, str]:
    name, _, pin = line.rpartition(" ")
    return name.strip(), pin


if __name__ == "__main__":
    sys.exit(main())
