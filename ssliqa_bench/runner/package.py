"""The modules of this package, with the hashes worked out so far kept while no file of the package changes.

Reading all files takes ten milliseconds, splitting those behind one method into tokens half a second.
"""

from __future__ import annotations

import os
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

from ssliqa_bench.caches import recall, remember
from ssliqa_bench.files import digest, sha256_file
from ssliqa_bench.runner.tree import PACKAGE, Space


class Package(Space):
    """As `Space`; what it works out is kept in the user's cache folder when `keep` is called.

    It is kept under the content of every file of the package and the version of Python, which both decide the tokens. A
    package with a file that cannot be read, or with a linked folder, keeps nothing.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._definitions: dict[str, str] = {}
        self._packages: dict[str, list[str]] = {}
        self._recalled: int | None = None

    def tree(self, module: str) -> str:
        self._recall()
        return super().tree(module)

    def definition(self, module: str, name: str, seen: frozenset[tuple[str, str]] = frozenset()) -> str:
        if seen:
            return super().definition(module, name, seen)
        self._recall()
        path = f"{module}:{name}"
        if path not in self._definitions:
            self._definitions[path] = super().definition(module, name)
        return self._definitions[path]

    def packages(self, module: str) -> set[str]:
        self._recall()
        if module not in self._packages:
            self._packages[module] = sorted(super().packages(module))
        return {*self._packages[module]}

    def keep(self) -> None:
        """Keep what was worked out; nothing is written where it was kept already, or where a file has changed since the
        first question: what was worked out then belongs to neither state."""
        if self._recalled is None or self._known() <= self._recalled:
            return
        key = self._content()
        if key is not None and key == self._key:
            found = {"trees": self._trees, "definitions": self._definitions, "packages": self._packages}
            remember("code", self.root, key, found)
            self._recalled = self._known()

    def _recall(self) -> None:
        """Take what was kept, once."""
        if self._recalled is None:
            kept: dict[str, Any] = (self._key and recall("code", self.root, self._key)) or {}
            self._trees |= kept.get("trees", {})
            self._definitions |= kept.get("definitions", {})
            self._packages |= kept.get("packages", {})
            self._recalled = self._known()

    def _known(self) -> int:
        return len(self._trees) + len(self._definitions) + len(self._packages)

    @cached_property
    def _key(self) -> str | None:
        return self._content()

    def _content(self) -> str | None:
        """Digest of all files as they are now; None where that cannot be determined."""
        package, files = self.root / PACKAGE, {}
        try:
            for folder, inner, names in os.walk(package):
                if any(os.path.islink(os.path.join(folder, name)) for name in inner):
                    return None
                for file in (Path(folder, name) for name in names if name.endswith(".py")):
                    files[str(file.relative_to(package))] = sha256_file(file)
        except OSError:  # an editor's broken link, or a file that vanished just now
            return None
        return digest([sys.version, files])
