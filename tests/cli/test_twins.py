"""`data twins`: copies are found and written to a registry file, with which no split tears them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from ssliqa_bench.cli.app import main
from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.errors import DataError
from ssliqa_bench.registry.load import load_registry
from tests.datasets.miniatures import Miniature
from tests.datasets.miniatures.biq2021 import LAYOUTS

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run `data twins` in process; gives code, output and messages."""
    monkeypatch.setenv("SSLIQA_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SSLIQA_CACHE", str(tmp_path / "cache"))

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["data", "twins", *words, "--jobs", "1"])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def made(tmp_path: Path) -> Miniature:
    """BIQ2021 in small with two copies encoded again, one of them across the official split."""
    made = LAYOUTS["official"](tmp_path / "data")
    for source, target in ((2, 9), (6, 25)):
        Image.open(made.images[made.names[source]]).save(made.images[made.names[target]], quality=85)
    return made


def pairs(made: Miniature) -> list[list[str]]:
    return [[made.names[2], made.names[9]], [made.names[6], made.names[25]]]


def test_copies_are_listed_counted_and_written(command: Command, made: Miniature, tmp_path: Path) -> None:
    own = str(made.registry_file())
    code, out, _ = command("biq2021", "--registry", own)
    assert code == 0
    for one, other in pairs(made):
        assert f"  {one} = {other}\n" in out
    assert "2 pictures are in several groups, 4 of 30 images" in out and "its own split tears 1 pair of copies" in out
    code, out, _ = command("biq2021", "--registry", own, "--json", "--write", str(tmp_path / "twins.yaml"))
    found = json.loads(out)
    assert sorted(map(sorted, found["sets"])) == sorted(map(sorted, pairs(made))) and found["torn_pairs"] == 1
    known = load_registry([Path(own), tmp_path / "twins.yaml"])
    table = load_table(known.dataset("biq2021"), tmp_path / "data", tmp_path / "cache")
    for one, other in pairs(made):
        assert table.group[table.name.index(one)] == table.group[table.name.index(other)]
    assert len(set(table.group)) == 28


def test_what_is_one_group_already_is_not_told_as_several(command: Command, made: Miniature, tmp_path: Path) -> None:
    made.images[made.names[12]].write_bytes(made.images[made.names[11]].read_bytes())
    (one, other), own = pairs(made)[0], tmp_path / "own.yaml"
    plain = yaml.safe_load(made.registry_file().read_text())
    for images, twins in (([other, made.names[20]], 0), ([one, other], 1)):
        plain["datasets"]["biq2021"]["twins"] = [images]
        own.write_text(yaml.safe_dump(plain))
        found = json.loads(command("biq2021", "--registry", str(own), "--json")[1])
        assert sorted(map(sorted, found["sets"])) == sorted(map(sorted, pairs(made)[twins:]))
        assert found["within"] == 1 + twins
    code, out, _ = command("biq2021", "--registry", str(own))
    assert code == 0 and "biq2021: 1 picture is in several groups, 2 of 30 images" in out
    assert "; 2 more within one group, which no split tears." in out and made.names[12] not in out


def test_a_file_that_is_there_is_kept(command: Command, made: Miniature, tmp_path: Path) -> None:
    (tmp_path / "twins.yaml").write_text("mine")
    own = str(made.registry_file())
    code, _, err = command("biq2021", "--registry", own, "--write", str(tmp_path / "twins.yaml"))
    assert code == 2 and "--force" in err and (tmp_path / "twins.yaml").read_text() == "mine"
    assert command("biq2021", "--registry", own, "--write", str(tmp_path / "twins.yaml"), "--force")[0] == 0
    assert "twins:" in (tmp_path / "twins.yaml").read_text()


def test_stated_copies_are_found_again_and_compared(command: Command, made: Miniature, tmp_path: Path) -> None:
    found = json.loads(command("biq2021", "--registry", str(made.registry_file()), "--json")[1])
    facts = {"version": found["version"], "groups": 2, "images": 4, "torn_pairs": 1, "digest": found["digest"]}
    own = tmp_path / "facts.yaml"

    def state(**changes: object) -> tuple[int, str]:
        entry = {"images": 30, "groups": 28, "copies": {**facts, **changes}}
        own.write_text(yaml.safe_dump({"datasets": {"biq2021": entry}}))
        return command("biq2021", "--registry", str(own))[:2]

    code, out = state()
    assert code == 0 and "as the registry states" in out
    table = load_table(load_registry([own]).dataset("biq2021"), tmp_path / "data", tmp_path / "cache")
    assert len(set(table.group)) == 28
    assert table.facts["copies_counted"] == "4 images in 2 sets found to be copies by their content"
    code, out = state(digest="0" * 64, groups=5, images=12)
    assert code == 1 and "the 2 sets of copies with 4 images that were found are not the 5 with 12 that its" in out
    with pytest.raises(DataError, match="data twins biq2021"):
        load_table(load_registry([own]).dataset("biq2021"), tmp_path / "data", tmp_path / "cache")
    code, out = state(version=facts["version"] + 1)
    assert code == 1 and "states the copies of version" in out


def test_an_image_that_is_missing_is_said_first(command: Command, made: Miniature) -> None:
    made.images[made.names[0]].unlink()
    code, _, err = command("biq2021", "--registry", str(made.registry_file()))
    assert code == 2 and "1 of 30 images have no file" in err
