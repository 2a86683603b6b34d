"""Files of a store as a forger leaves them: changed, with a checksum that fits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ssliqa_bench.files import seal


def reseal(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the content of a sealed file in place and seal it again."""
    body = json.loads(file.read_text())
    kind, schema = body.pop("kind"), body.pop("schema")
    del body["checksum"]
    change(body)
    file.write_bytes(seal(body, kind=kind, schema=schema))
