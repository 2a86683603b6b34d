"""Which entries of the registry a family's tests must list."""

from __future__ import annotations

from collections.abc import Iterable

from ssliqa_bench.registry.load import load_registry


def written_apart(listed: Iterable[str]) -> set[str]:
    """Entries with a class of one of those listed, except variants: these differ by what they `set` alone.

    Variants of the families of `named_after` must be listed too; of all others the goldens alone check the parameters.

    A learner with a class of its own belongs to no family but its own, whatever its name and its module.
    """
    registry = load_registry()
    classes = {registry.resolve_method(name).class_path for name in listed}
    named = [name for name, entry in registry.methods.items() if entry.prefix is None]
    return {name for name in named if registry.resolve_method(name).class_path in classes} - registry.variants


def named_after(family: str) -> set[str]:
    """Entries, variants included, whose names begin with that of a family's method."""
    return {name for name in load_registry().methods if name == family or name.startswith(f"{family}-")}
