"""The quick commands stay quick: they import none of the heavy packages."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "accelerate", "cv2", "matplotlib", "pandas", "pyiqa", "scipy", "skimage", "sklearn", "timm", "torch", "torchvision",
    "transformers",
}

SCRIPT = """
import json, sys
from ssliqa_bench.cli.app import main
try:
    code = main(sys.argv[1:])
except SystemExit as stop:
    code = stop.code or 0
print(json.dumps([code, sorted({name.partition('.')[0] for name in sys.modules})]))
"""


@pytest.mark.parametrize(
    "words",
    ["--help", "--version", "run --help", "data --help", "data add --help", "list methods", "list datasets --json",
     "list protocols", "list suites",
     "show ssiqa", "show ssliqa", "show demo-syn"],
)
def test_a_quick_command_imports_nothing_heavy(words: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, *words.split()], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    assert not HEAVY & set(modules)


COUNTED = """
import json, sys
from ssliqa_bench.cli.app import main
main(sys.argv[1:])
print(json.dumps(sorted(sys.modules)))
"""


def modules_of(words: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", COUNTED, *words.split()], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("words", ["--help", "-h", "--version", "no-such-command", "--debug --help"])
def test_the_list_of_commands_imports_none_of_them(words: str) -> None:
    modules = modules_of(words)
    assert {name for name in modules if name.startswith("ssliqa_bench.cli.")} == {
        "ssliqa_bench.cli.app", "ssliqa_bench.cli.process",
    }  # fmt: skip
    assert not {"yaml", "numpy", "ssliqa_bench.registry"} & modules


def test_a_list_needs_the_packaged_registry_parsed_once() -> None:
    modules_of("list protocols")
    assert not {"yaml", "numpy", "rich", "PIL", "ssl"} & modules_of("list methods")


def test_importing_the_package_imports_none_of_its_modules() -> None:
    script = "import sys, ssliqa_bench; print([m for m in sys.modules if 'ssliqa_bench.' in m], 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[] False"


def test_every_public_name_resolves() -> None:
    import ssliqa_bench

    for name in ssliqa_bench.__all__:
        assert getattr(ssliqa_bench, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        ssliqa_bench.no_such_name  # noqa: B018
