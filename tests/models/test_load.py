"""`load_model` predicts what the record holds, from a record or a folder alone, for images of every form."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from ssliqa_bench.errors import CorruptFileError, InputError, RunError, SchemaError
from ssliqa_bench.files import read_sealed, seal, write_sealed
from ssliqa_bench.models.description import Description
from ssliqa_bench.models.folder import CONFIG, TENSORS, Finished, write_model_folder
from ssliqa_bench.models.images import pixels_of
from ssliqa_bench.models.load import LoadedModel, find_model, load_model
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.learners import learner_of
from ssliqa_bench.runner.resolve import learner_params
from ssliqa_bench.training.backbones.base import QualityModel
from ssliqa_bench.training.checkpoint import module_tensors
from ssliqa_bench.training.quality import build_backbone
from ssliqa_bench.types import Artifact, Scale

if TYPE_CHECKING:
    from tests.conftest import Bench

ROOT = Path(__file__).parents[2]


def key_of(store: Path, method: str) -> str:
    """The key of the record of a method."""
    found = {json.loads(file.read_text())["cell"]["method"]: file.parent.name
             for file in store.glob("records/*/facts.json")}  # fmt: skip
    return found[method]


@pytest.fixture(scope="module")
def record(finished_store: Path) -> Path:
    """The record of ssiqa on the tiny pair."""
    return finished_store / "records" / key_of(finished_store, "ssiqa")


@pytest.fixture(scope="module")
def model(record: Path) -> LoadedModel:
    return load_model(record)


@pytest.fixture(scope="module")
def photos(tiny_pair: Path) -> list[Path]:
    """Images of the labeled side."""
    return sorted((tiny_pair / "tiny-a" / "images").glob("*.png"))[:6]


SCRIPT = """
import json, sys
from ssliqa_bench import load_model
UNWANTED = {"pandas", "ssliqa_bench.runner", "ssliqa_bench.datasets", "ssliqa_bench.registry.load"}
model = load_model(sys.argv[1])
paths = json.load(sys.stdin)
print(json.dumps([model.scale is None, model(paths).tolist(), sorted(UNWANTED & set(sys.modules))]))
"""


def in_a_fresh_process(record: Path, paths: list[str], cwd: Path) -> list[float]:
    """What `load_model` says in a process of its own, started in an empty folder without any cache of datasets."""
    empty = cwd / "empty"
    empty.mkdir()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SSLIQA_CACHE": str(cwd / "no cache"), "SSLIQA_DATA": str(empty)}
    command = [sys.executable, "-c", SCRIPT, str(record)]
    done = subprocess.run(command, cwd=empty, env=env, input=json.dumps(paths), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    bare, values, heavy = json.loads(done.stdout)
    assert not bare and not heavy and not list(empty.iterdir()) and not (cwd / "no cache").exists()
    return list(values)


@pytest.mark.parametrize("method", ["ssiqa", "supervised"])
def test_it_predicts_what_the_record_holds(finished: Bench, tmp_path: Path, method: str) -> None:
    key = key_of(finished.store, method)
    held = finished.predictions(key)
    paths = [str(finished.data / dataset / "images" / image) for dataset, image in held]
    native = in_a_fresh_process(finished.record(key), paths, tmp_path)
    # The tiny sets run from 1 to 5, higher is better.
    np.testing.assert_allclose((np.array(native) - 1) / 4, list(held.values()), rtol=0, atol=1e-9)


@pytest.mark.slow
def test_a_head_on_features_of_a_frozen_network(bench: Bench, tmp_path: Path) -> None:
    """The frozen network is built too, from its published file, and images go through it first."""
    from ssliqa_bench.testing.random_weights import random_weights

    with random_weights():
        key = bench.run("supervised", "--recipe", "frozen", "--set", "epochs=2")["key"]
        held = bench.predictions(key)
        folder = write_model_folder(tmp_path / "model", find_model(bench.record(key)))
        paths = [bench.data / dataset / "images" / image for dataset, image in held]
        native = load_model(folder)(paths)
        # A dataset's working size resizes pixels; features are computed of pictures as they are.
        rewritten(folder, short_side=40)
        assert load_model(folder)(paths[:2]) == pytest.approx(native[:2], abs=1e-6)
    np.testing.assert_allclose((native - 1) / 4, list(held.values()), rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("asked", [["--recipe", "check", "--budget", "60", "--unlabeled-budget", "60"], []])
def test_a_finished_ssiqa_run_on_the_demo_sets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[str]
) -> None:
    """From an empty folder, the cache of generated datasets removed: what the record holds, to 1e-6."""
    from pyarrow import parquet

    from ssliqa_bench.cli.app import main
    from ssliqa_bench.datasets.base import load_table
    from ssliqa_bench.registry.load import load_registry
    from ssliqa_bench.runner.settings import Settings

    words = ["--pair", "demo-syn:demo-wild", *asked, "--store", str(tmp_path / "runs"), "--json"]
    assert main(["run", "--method", "ssiqa", *words]) == 0
    record = tmp_path / "runs" / "records" / json.loads(capsys.readouterr().out)["runs"][0]["key"]
    rows = [row for file in record.rglob("*.parquet") for row in parquet.read_table(file).to_pylist()]
    settings = Settings.from_environment()
    copied = {}
    for name in ("demo-syn", "demo-wild"):
        table = load_table(load_registry().dataset(name), settings.data_root, settings.cache_root)
        for image, path in zip(table.name, table.path, strict=True):
            copied[image] = tmp_path / f"{len(copied)}{Path(path).suffix}"
            shutil.copy(path, copied[image])
    native = in_a_fresh_process(record, [str(copied[row["image"]]) for row in rows], tmp_path)
    low, high = load_registry().dataset("demo-syn").scale
    np.testing.assert_allclose(
        (np.array(native) - low) / (high - low), [row["prediction"] for row in rows], rtol=0, atol=1e-6
    )


def test_every_form_of_an_image_gives_one_value(model: LoadedModel, photos: list[Path]) -> None:
    expected = model(photos)
    assert expected.dtype == np.float64 and expected.shape == (6,)
    arrays = [np.asarray(Image.open(path).convert("RGB")) for path in photos]
    batch = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)
    for form in (
        [str(path) for path in photos],
        [Image.open(path) for path in photos],
        arrays,
        np.stack(arrays),
        batch,
        batch.float() / 255,
        list(batch.double() / 255),
        (path for path in photos),
    ):
        np.testing.assert_array_equal(model(form), expected)
    for one in (photos[0], Image.open(photos[0]), arrays[0], batch[0]):
        np.testing.assert_array_equal(model(one), expected[:1])
    assert model([]).shape == (0,)


def test_a_value_does_not_depend_on_the_images_beside_it(
    model: LoadedModel, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ssliqa_bench.models import load

    expected = model(photos)
    monkeypatch.setattr(load, "_AT_ONCE", 4)
    np.testing.assert_allclose(model(photos[::-1])[::-1], expected, rtol=0, atol=1e-6)


def test_grey_and_transparent_pictures_are_what_people_see() -> None:
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5)
    expected = np.repeat(grey[..., None], 3, axis=2)
    for form in (grey, grey[..., None], torch.from_numpy(grey)[None], Image.fromarray(grey)):
        np.testing.assert_array_equal(pixels_of(form, "grey"), expected)
    half = np.dstack([expected, np.full((4, 5), 0, np.uint8)])
    assert (pixels_of(half, "transparent") == 255).all()
    assert pixels_of(np.zeros((30, 40, 3), np.uint8), "large", 15).shape == (15, 20, 3)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((4, 5, 3)), "image 0: got an array of float64"),
        (np.zeros((3, 4, 5), np.uint8), r"shape \(3, 4, 5\); expected uint8, \(H, W\)"),
        (np.zeros((0, 5, 3), np.uint8), r"shape \(0, 5, 3\)"),
        (torch.zeros(4, 5, 3), r"a tensor of shape \(4, 5, 3\); expected \(1, H, W\) or \(3, H, W\)"),
        (torch.full((3, 4, 5), 255.0), "values from 255 to 255; expected 0 to 1"),
        (torch.full((3, 4, 5), torch.nan), "expected 0 to 1"),
        (3, "Got int; expected paths"),
        ("no/such.png", r"no/such\.png: not readable as an image"),
    ],
)
def test_what_is_no_image_is_said(model: LoadedModel, image: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        model([image] if not isinstance(image, int) else image)


def test_native_units_follow_the_scale_and_direction() -> None:
    values = np.array([0.0, 0.25, 1.0, 1.5])
    worse = Scale(0, 100, higher_is_better=False)
    np.testing.assert_array_equal(worse.from01(values), [100, 75, 0, -50])
    np.testing.assert_array_equal(Scale(1, 5).from01(values), [1, 2, 5, 7])
    for scale in (worse, Scale(1, 5), Scale(-3, 3)):
        np.testing.assert_allclose(scale.to01(scale.from01(values)), values)
    np.testing.assert_array_equal(worse.turned(np.array([0.0, 20.0])), [0, -20])
    assert not np.signbit(worse.turned(np.zeros(1)))[0] and worse.ends == (-100, 0) and Scale(1, 5).ends == (1, 5)


def test_a_run_by_the_first_digits_of_its_key(finished: Bench, photos: list[Path], model: LoadedModel) -> None:
    key = key_of(finished.store, "ssiqa")
    found = load_model(key[:8], store=finished.store)
    np.testing.assert_array_equal(found(photos), model(photos))
    assert found.origin["record"] == key and found.origin["cell"]["method"] == "ssiqa"
    assert found.n_parameters == finished.facts(key)["n_parameters"] and found.scale == Scale(1, 5)


@pytest.fixture
def folder(record: Path, tmp_path: Path) -> Path:
    """The model in a folder of its own."""
    return write_model_folder(tmp_path / "model", find_model(record))


def test_a_model_folder_stands_alone(folder: Path, model: LoadedModel, photos: list[Path], tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "copy"
    shutil.copytree(folder, moved)
    assert sorted(path.name for path in moved.iterdir()) == [CONFIG, TENSORS]
    np.testing.assert_array_equal(load_model(moved)(photos), model(photos))


def rewritten(folder: Path, **changes: Any) -> None:
    """The configuration with other values, sealed."""
    config = read_sealed(folder / CONFIG, kind="model")
    config["model"] |= changes
    write_sealed(folder / CONFIG, config, kind="model")


def test_a_folder_whose_weights_do_not_fit_its_builder_is_refused(folder: Path) -> None:
    network = {"class": "ssliqa_bench.training.backbones.cnniqa:CNNIQA", "arguments": {"maps": 3}}
    rewritten(folder, params={**read_sealed(folder / CONFIG, kind="model")["model"]["params"], "backbone": network})
    with pytest.raises(CorruptFileError, match=rf"{folder}: .*build_quality cannot build its model: .*do not fit"):
        load_model(folder)
    rewritten(folder, builder="ssliqa_bench.methods.matching.base:build_levels")
    with pytest.raises(InputError, match='build_levels reads the parameter "levels"'):
        load_model(folder)


def test_a_folder_whose_tensors_do_not_fit_each_other_is_refused(tmp_path: Path) -> None:
    """A kernel regression on five features behind a network that gives another number of them."""
    registry = load_registry()
    method = registry.resolve_method("kernel-ridge", "check")
    backbones = registry.backbones_of(method)
    learner, params = learner_of(method, backbones), learner_params(method, backbones)
    network = QualityModel(build_backbone(params["backbone"]))
    fitted = {"mean": np.zeros(5), "deviation": np.ones(5), "support": np.zeros((3, 5), np.float32),
              "weights": np.zeros(3), "numbers": np.array([0.0, 1.0])}  # fmt: skip
    tensors = {**module_tensors(network), **{f"krr.{name}": value for name, value in fitted.items()}}
    description = Description(learner.model.path, dict(learner.model.declared(params)), Scale(1, 5))
    folder = write_model_folder(tmp_path / "model", Finished(description, Artifact(tensors, {})))
    with pytest.raises(CorruptFileError, match="cannot build its model"):
        load_model(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"builder": "ssliqa_bench.methods.supervised:no_such"}, r"supervised\.py has no no_such"),
        ({"builder": "no_such_module:build"}, "no module no_such_module in the import path"),
        ({"builder": "ssliqa_bench.methods.supervised:Supervised"}, "Model, build: got ABCMeta Supervised"),
        ({"params": []}, "params: got .*expected another type"),
        ({"scale": {"low": 1}}, "scale: expected low, high and higher_is_better"),
        ({"more": 1}, "does not describe a model"),
    ],
)
def test_a_folder_that_describes_no_model_is_refused(folder: Path, changes: dict[str, Any], said: str) -> None:
    rewritten(folder, **changes)
    with pytest.raises(InputError, match=said):
        load_model(folder)


def test_damage_and_other_versions_are_told_apart(folder: Path, tmp_path: Path) -> None:
    config, weights = (folder / CONFIG).read_bytes(), (folder / TENSORS).read_bytes()
    (folder / TENSORS).write_bytes(weights[:-4] + b"\0\0\0\1")
    with pytest.raises(CorruptFileError, match=r"model\.safetensors: content does not match its checksum"):
        load_model(folder)
    (folder / TENSORS).unlink()
    with pytest.raises(CorruptFileError, match=r"model\.safetensors: is missing"):
        load_model(folder)
    (folder / TENSORS).write_bytes(weights)
    (folder / CONFIG).write_bytes(config.replace(b'"short_side"', b'"short-side"'))
    with pytest.raises(CorruptFileError, match=r"config\.json: content does not match its checksum"):
        load_model(folder)
    (folder / CONFIG).write_bytes(seal({"model": {}}, kind="model", schema=99))
    with pytest.raises(SchemaError, match=r"config\.json: schema 99; this version reads schema"):
        load_model(folder)
    with pytest.raises(InputError, match=r"holds neither .* of a record nor config\.json of a model"):
        load_model(tmp_path)


def test_a_record_without_weights_or_description_says_what_to_do(finished: Bench) -> None:
    key = key_of(finished.store, "ssiqa")
    shutil.rmtree(finished.store / "artifacts")
    with pytest.raises(InputError, match=rf"Record {key[:12]}: its final weights were not kept"):
        load_model(finished.record(key))


PLAIN = """
import numpy as np
from ssliqa_bench.methods.base import Learner, Model, Needs

class Strength:
    n_parameters = 0
    def __init__(self, factor):
        self.factor = factor
    def predict(self, images):
        strengths = np.array([float(images[k].std()) for k in range(len(images))])
        return np.where(strengths > 0, self.factor * strengths, np.nan)

def build(context):
    return Strength(context.params["factor"])

class Contrast(Learner):
    needs = Needs(labels=False)
    model = Model(build, ("factor",))
    def stages(self):
        return []
"""


def test_a_method_that_learns_nothing_outside_the_package(bench: Bench, photos: list[Path], tmp_path: Path) -> None:
    """It has no artifact; its module is found where it is said to be; its values are its own."""
    entry = {"about": {"title": "C"}, "class": "strength_of:Contrast", "params": {"factor": 2.0}}
    declared = {"factor": {"type": "number", "meaning": "Factor."}}
    file = bench.registry({"parameters": declared, "methods": {"contrast": entry}})
    (file.parent / "strength_of.py").write_text(PLAIN)
    key = bench.run("contrast", "--registry", str(file), pair="tiny-a")["key"]
    model = load_model(bench.record(key), folders=[file.parent])
    assert model.scale is None
    np.testing.assert_allclose(model(photos), [2 * np.asarray(Image.open(path)).std() for path in photos])
    with pytest.raises(RunError, match=r"1 predictions are not finite \(first: image 1\)"):
        model([np.asarray(Image.open(photos[0])), np.full((8, 8, 3), 7, np.uint8)])
    copied = write_model_folder(tmp_path / "model", find_model(bench.record(key)))
    np.testing.assert_array_equal(load_model(copied, folders=[file.parent])(photos), model(photos))


def test_a_model_that_compares_takes_references(bench: Bench, photos: list[Path]) -> None:
    pytest.importorskip("pyiqa")
    psnr = load_model_of(bench, "pyiqa:psnr")
    assert psnr.needs_references and psnr.scale is None
    images = [np.asarray(Image.open(path).convert("RGB")) for path in photos[:2]]
    error = np.mean((images[0] / 255.0 - images[1] / 255.0) ** 2)
    np.testing.assert_allclose(psnr(photos[0], references=photos[1]), [-10 * np.log10(error)], atol=1e-3)
    with pytest.raises(InputError, match="compares images with their references: hand them over"):
        psnr(photos)
    with pytest.raises(InputError, match="references: fewer than images"):
        psnr(photos, references=photos[:2])
    with pytest.raises(InputError, match="references: more than images"):
        psnr(photos[:2], references=photos)
    piqe = load_model_of(bench, "piqe")
    with pytest.raises(InputError, match="references: this model takes none"):
        piqe(photos[:1], references=photos[:1])


def load_model_of(bench: Bench, method: str) -> LoadedModel:
    """The model of a method without stages, described as a run of it would, without running it."""
    from ssliqa_bench.models.folder import Finished
    from ssliqa_bench.runner.learners import describe_model, make_learner

    plan, _ = bench.plan(method, "demo-syn" if ":" in method else "tiny-a")
    described = describe_model(plan, make_learner(plan))
    return load_model(write_model_folder(bench.store / method.replace(":", "-"), Finished(described, None)))


def test_a_metric_finds_its_parameters_by_what_they_hold(
    bench: Bench, parameter_files: Path, tmp_path: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    niqe = load_model_of(bench, "niqe")
    picture = np.random.default_rng(0).integers(0, 256, (200, 220, 3), dtype=np.uint8)
    value = niqe(picture)
    folder, own = bench.store / "niqe", tmp_path / "own.mat"
    shutil.move(parameter_files / "niqe_modelparameters.mat", own)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=r"niqe_modelparameters\.mat.*weights_file=FILE"):
        load_model(folder)
    np.testing.assert_array_equal(load_model(folder, weights_file=own)(picture), value)
    own.write_bytes(own.read_bytes() + b"more")
    with pytest.raises(InputError, match=r"own\.mat: has the SHA-256 .*this model was built with"):
        load_model(folder, weights_file=own)
    with pytest.raises(InputError, match="there is no such file"):
        load_model(folder, weights_file=tmp_path / "none.mat")
