"""Installed packages bring entries; one that is broken is reported and takes nothing else with it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ssliqa_bench.cli.app import main
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.plugins import installed_plugins

METHOD = """methods:
  mine:
    about: {title: Mine, family: classical metric, trained_on: []}
    class: plugin_of_mine.learner:Contrast
datasets:
  my-photos:
    about: {title: My photographs}
    kind: authentic
    folder: data
    scale: [1, 5]
    direction: higher_is_better
"""
LEARNER = (Path(__file__).parents[2] / "docs" / "examples" / "contrast.py").read_text()


def install(site: Path, package: str, registry: str | None, name: str = "mine") -> None:
    """Put a package with a plug-in where Python looks for packages."""
    folder, facts = site / package, site / f"{package}-1.2.dist-info"
    folder.mkdir(parents=True)
    facts.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n" if package == "never_imported" else "")
    (folder / "learner.py").write_text(LEARNER)
    if registry is not None:
        (folder / "registry.yaml").write_text(registry)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (facts / "entry_points.txt").write_text(f"[ssliqa_bench.plugins]\n{name} = {package}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path / "site"


def test_entries_are_there_with_their_origin(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "plugin_of_mine", METHOD)
    (plugin,) = installed_plugins()
    assert plugin.origin == "plug-in mine (plugin_of_mine 1.2)"
    known = load_registry()
    assert known.methods["mine"].about.title == "Mine"
    assert known.datasets["my-photos"].folder == str(site / "plugin_of_mine" / "data")
    assert main(["list", "methods"]) == 0
    assert "mine: plug-in mine (plugin_of_mine 1.2)" in capsys.readouterr().out
    assert main(["show", "mine"]) == 0
    assert "plug-in mine (plugin_of_mine 1.2), registry.yaml" in capsys.readouterr().out


def test_a_method_of_a_plug_in_runs(site: Path, tmp_path: Path, tiny_pair: Path) -> None:
    install(site, "plugin_of_mine", METHOD)
    words = ["run", "--method", "mine", "--pair", "tiny-a", "--registry", str(tiny_pair / "registry.yaml")]
    assert main([*words, "--store", str(tmp_path / "store")]) == 0


def test_nothing_of_a_plug_in_is_imported_by_reading_it(site: Path) -> None:
    install(site, "never_imported", METHOD)
    assert "mine" in load_registry().methods


@pytest.mark.parametrize(
    ("registry", "said"),
    [
        (None, "holds no registry.yaml"),
        ("methods: [", "not readable as YAML"),
        ("methods:\n  mine: {about: {title: Mine}}\n", "class"),
        ("methods:\n  ssiqa:\n    params: {k1: 3}\n", "the name of one of this package"),
        ("- a list\n", "a mapping"),
    ],
)
def test_a_broken_one_is_reported_and_the_rest_works(
    site: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], registry: str | None, said: str
) -> None:
    install(site, "plugin_of_mine", registry)
    install(
        site, "another_plugin", METHOD.replace("mine:", "other:").replace("my-photos", "other-photos"), name="other"
    )
    with caplog.at_level(logging.WARNING):
        known = load_registry()
    assert "other" in known.methods and "ssiqa" in known.methods and "mine" not in known.methods
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("Plug-in mine (plugin_of_mine 1.2) cannot be loaded") and said in message
    assert main(["run", "--method", "mine", "--pair", "demo-syn", "--dry-run"]) == 2
    assert 'Unknown method "mine"' in capsys.readouterr().err
