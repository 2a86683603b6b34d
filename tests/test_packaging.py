"""The built wheel and sdist carry all that the command needs, away from the working tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
TREE = ("setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE", "NOTICE",
        "constraints.txt", "registry.yaml", "benchmarks", "ssliqa_bench")


def command(*words: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command away from the repository; its stdout, or the test fails with its stderr."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([str(word) for word in words], cwd=cwd, env={**clean, **environment},
                          capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Wheels by the way they were made: straight from a copy of the tree, and from its sdist."""
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    source.mkdir()
    for name in TREE:
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignore)
        elif (ROOT / name).exists():
            shutil.copy2(ROOT / name, source / name)
    build = (sys.executable, "-m", "build", "--no-isolation")
    command(*build, "--sdist", "--outdir", folder / "sdist", source, cwd=folder)
    command(*build, "--wheel", "--outdir", folder / "tree", source, cwd=folder)
    (sdist,) = (folder / "sdist").glob("*.tar.gz")
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation")
    command(*pip, "--wheel-dir", folder / "from-sdist", sdist, cwd=folder)
    (wheel,) = (folder / "tree").glob("*.whl")
    (rebuilt,) = (folder / "from-sdist").glob("*.whl")
    return {"sdist": sdist, "tree": wheel, "from-sdist": rebuilt}


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}


def test_the_wheel_holds_the_registry_the_suites_and_the_assets_of_the_site(built: dict[str, Path]) -> None:
    files = contents(built["tree"])
    assert files["ssliqa_bench/_data/registry.yaml"] == (ROOT / "registry.yaml").read_bytes()
    folder = "ssliqa_bench/_data/benchmarks/"
    held = {name.removeprefix(folder) for name in files if name.startswith(folder)}
    suites = {name for name in held if "/" not in name}
    assert suites == {path.name for path in (ROOT / "benchmarks").glob("*.yaml")} and "demo.yaml" in suites
    published = {f"published/{path.name}" for path in (ROOT / "benchmarks/published").iterdir()}
    assert held - suites == published and "published/sources.yaml" in published
    assert "ssliqa_bench/py.typed" in files
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "ssliqa_bench").rglob("*.py")}
    assert {name for name in files if name.endswith(".py")} == modules
    assets = {path.name for path in (ROOT / "ssliqa_bench/leaderboard/site/assets").glob("*")}
    assert assets == {Path(name).name for name in files if "/leaderboard/site/assets/" in name}
    assert {"index.html", "uplot.min.js", "uplot-LICENSE.txt"} <= assets


def test_the_sdist_gives_the_same_wheel(built: dict[str, Path]) -> None:
    assert contents(built["from-sdist"]) == contents(built["tree"])
    with tarfile.open(built["sdist"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "registry.yaml", "constraints.txt"} <= names


@pytest.mark.parametrize("made", ["tree", "from-sdist"])
def test_an_installed_wheel_works_from_an_empty_folder(made: str, built: dict[str, Path], tmp_path: Path) -> None:
    """Installed --no-deps; the dependencies are those of the environment that runs the tests."""
    venv = tmp_path / "venv"
    command(sys.executable, "-m", "venv", "--without-pip", venv, cwd=tmp_path)
    python = venv / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index")
    command(*pip, built[made], cwd=tmp_path)
    # A folder named in a .pth file is searched last and its own .pth files are not read, so an editable install
    # of the project in the surrounding environment stays out of sight.
    (site,) = venv.glob("lib/python*/site-packages")
    around = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "environment.pth").write_text("\n".join(sorted(around)))
    empty = tmp_path / "empty"
    empty.mkdir()
    where = command(python, "-c", "import ssliqa_bench; print(ssliqa_bench.__file__)", cwd=empty)
    assert Path(where.strip()).is_relative_to(site)
    program = venv / "bin" / "ssliqa-bench"
    assert {"demo-syn", "demo-wild"} <= set(command(program, "list", "datasets", cwd=empty).split())
    assert "demo" in command(program, "list", "suites", cwd=empty).split()
    assert "ssiqa" in command(python, "-m", "ssliqa_bench", "list", "methods", cwd=empty).split()
    assert not list(empty.iterdir())
