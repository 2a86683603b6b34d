"""Plug-ins: installed packages that bring methods, datasets and protocols, found without importing them.

A plug-in is an entry point of the group `ssliqa_bench.plugins` whose value is a package with a file `registry.yaml`:

    [options.entry_points]
    ssliqa_bench.plugins =
        mine = my_package
"""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ssliqa_bench.errors import InputError
from ssliqa_bench.registry.lookup import locate_module

GROUP = "ssliqa_bench.plugins"
FILE = "registry.yaml"
ORIGIN = "plug-in "  # how the origin of an entry begins that a plug-in brought


@dataclass(frozen=True)
class Plugin:
    """An installed plug-in.

    Attributes:
        name: of the entry point.
        package: the package that it names.
        distribution: name and version of what was installed.
    """

    name: str
    package: str
    distribution: str

    @property
    def origin(self) -> str:
        """How messages and lists name it."""
        return f"{ORIGIN}{self.name} ({self.distribution})"

    def file(self) -> Path:
        """Its registry file.

        Raises:
            InputError: there is no such package, or it has no such file.
        """
        found = locate_module(self.package)
        if found is None:
            raise InputError(f"there is no package {self.package}.")
        path = found.parent / FILE
        if not path.is_file():
            raise InputError(f"{found.parent} holds no {FILE}.")
        return path


def installed_plugins() -> tuple[Plugin, ...]:
    """All installed plug-ins, by name."""
    return _found(tuple(sys.path))


# Every package of the environment is looked at, which takes tens of milliseconds.
@functools.lru_cache(maxsize=2)
def _found(path: tuple[str, ...]) -> tuple[Plugin, ...]:
    found = []
    for point in metadata.entry_points(group=GROUP):
        owner = "an unknown package" if point.dist is None else f"{point.dist.name} {point.dist.version}"
        found.append(Plugin(point.name, point.value.partition(":")[0].strip(), owner))
    return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.distribution)))
