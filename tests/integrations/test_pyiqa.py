"""Metrics of pyiqa as methods: their own values, turned so that higher is better."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from scipy.stats import spearmanr

from ssliqa_bench.errors import InputError, RunError
from ssliqa_bench.models import predict
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.execute import run
from ssliqa_bench.runner.plan import make_plan
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import Pair, RunSpec
from ssliqa_bench.store.records import read_predictions
from ssliqa_bench.training.images import ImageSet

CPU = torch.device("cpu")


class Pictures:
    """A scene at five levels of blur or noise, in memory."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        coarse = rng.uniform(0, 255, (12, 12, 3)).astype(np.uint8)
        scene = Image.fromarray(coarse).resize((144, 132), Image.Resampling.BICUBIC)
        sharp = np.asarray(scene) * 0.8 + rng.normal(25, 6, (132, 144, 1))
        clean = Image.fromarray(sharp.clip(0, 255).astype(np.uint8))
        noisy = [sharp + rng.normal(0, sigma, sharp.shape) for sigma in (0, 15, 30, 60)]
        self.pictures = [np.asarray(clean.filter(ImageFilter.GaussianBlur(2 * level))) for level in range(3)]
        self.pictures += [pixels.clip(0, 255).astype(np.uint8) for pixels in noisy]
        self.hashes = [str(row) for row in range(len(self.pictures))]

    def image(self, row: int) -> np.ndarray:
        return self.pictures[row]


@pytest.fixture(scope="module")
def integration() -> ModuleType:
    """The module under test; importing it imports pyiqa."""
    pytest.importorskip("pyiqa")
    from ssliqa_bench.integrations import pyiqa

    return pyiqa


@pytest.fixture(scope="module")
def images() -> ImageSet:
    source = Pictures()
    return ImageSet((source, row) for row in range(len(source.pictures)))


def built(integration: ModuleType, params: dict[str, Any]) -> Any:
    """The model of a metric; a parameter file is handed over as a run does it."""
    learner = integration.Metric(params)
    weights = {"method": params["weights_file"]} if "weights_file" in params else {}
    return learner.model.made(learner.params, None, CPU, weights)


def test_a_metric_is_loaded_once(integration: ModuleType) -> None:
    assert built(integration, {"metric": "psnr"}) is built(integration, {"metric": "psnr"})


def test_piqe_is_pyiqas_own_value_negated(integration: ModuleType, images: ImageSet) -> None:
    import pyiqa

    predicted = built(integration, {"metric": "piqe"}).predict(images)
    metric = pyiqa.create_metric("piqe", device="cpu")
    assert metric.lower_better
    for k in range(len(images)):
        tensor = torch.tensor(images[k], dtype=torch.float32).permute(2, 0, 1)[None] / 255
        assert predicted[k] == pytest.approx(-float(metric(tensor)), abs=1e-4)
        assert predicted[k] == pytest.approx(-float(metric(Image.fromarray(images[k]))), abs=1e-4)


def test_higher_is_better(integration: ModuleType, images: ImageSet) -> None:
    predicted = built(integration, {"metric": "piqe"}).predict(images)
    assert predicted.dtype == np.float64 and np.ptp(predicted) > 5
    assert spearmanr(predicted[3:], [0, 15, 30, 60]).statistic < 0  # more noise, lower value
    assert predicted[:3].tolist() == sorted(predicted[:3], reverse=True)  # more blur, lower value


def test_a_metric_that_is_higher_better_is_not_turned(
    integration: ModuleType, images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyiqa

    class Brightness(torch.nn.Module):
        lower_better = False

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            assert pixels.shape[0] == 1 and pixels.min() >= 0 and pixels.max() <= 1
            return pixels.mean()

    monkeypatch.setattr(pyiqa, "create_metric", lambda name, device: Brightness())
    predicted = integration.MetricPredictor("piqe", CPU).predict(images)
    expected = [images[k].mean() / 255 for k in range(len(images))]
    np.testing.assert_allclose(predicted, expected, rtol=1e-5)


def test_it_learns_nothing(integration: ModuleType) -> None:
    learner = integration.Metric({"metric": "piqe"})
    assert learner.stages() == [] and not learner.needs.labels and not learner.needs.unlabeled
    assert learner.model.made(learner.params, None, CPU).n_parameters == 0


def test_a_metric_that_pyiqa_has_not_is_said_with_near_names(integration: ModuleType) -> None:
    with pytest.raises(InputError, match=r'Unknown metric of pyiqa "piqee". Did you mean \'piqe\''):
        integration.Metric({"metric": "piqee"})


@pytest.fixture(scope="module")
def pairs(images: ImageSet) -> ImageSet:
    """The same images, each with the clean scene as its reference."""
    source = Pictures()
    return ImageSet(((source, row) for row in range(len(source.pictures))), ((source, 0) for _ in source.pictures))


# Those of pyiqa's full-reference metrics that consist of formulae alone.
WITHOUT_DOWNLOAD = [
    "cw_ssim", "fsim", "gmsd", "mad", "ms_ssim", "nlpd", "psnr", "psnry", "ssim", "ssimc", "vif", "vsi",
]  # fmt: skip


@pytest.mark.parametrize("name", WITHOUT_DOWNLOAD)
def test_full_reference_metrics_are_pyiqas_own_on_the_pair(
    integration: ModuleType, pairs: ImageSet, name: str
) -> None:
    import pyiqa

    size = 192 if name == "ms_ssim" else None  # its five scales need more than the small scene has

    def large(pixels: np.ndarray) -> np.ndarray:
        return pixels if size is None else np.asarray(Image.fromarray(pixels).resize((size, size)))

    pictures = predict.Pictures([large(pairs[k]) for k in (0, 2, 4, 6)])  # clean, blurred, noisy, noisier
    both = ImageSet(((pictures, k) for k in range(4)), ((pictures, 0) for _ in range(4)))
    predicted = built(integration, {"metric": name}).predict(both)
    metric = pyiqa.create_metric(name, device="cpu")
    sign = -1 if metric.lower_better else 1
    reference = torch.tensor(both[0], dtype=torch.float32).permute(2, 0, 1)[None] / 255
    for k in range(len(both)):
        tensor = torch.tensor(both[k], dtype=torch.float32).permute(2, 0, 1)[None] / 255
        assert predicted[k] == pytest.approx(sign * float(metric(tensor, reference)), rel=1e-5, abs=1e-6)
    assert predicted[0] > predicted[1:].max() and predicted[2] > predicted[3]


@pytest.mark.slow
def test_the_list_of_metrics_without_download_is_whole(integration: ModuleType) -> None:
    import pyiqa
    from pyiqa.utils import download_util

    from ssliqa_bench.integrations import downloads

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(downloads, "probe", _no_network)
        found = []
        for name in pyiqa.list_models(metric_mode="FR"):
            try:
                with downloads.probed_downloads(name, download_util):
                    pyiqa.create_metric(name, device="cpu")
                found.append(name)
            except InputError:
                pass
    assert set(WITHOUT_DOWNLOAD) <= set(found)


def _no_network(address: str) -> None:
    raise OSError("no network in this test")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("lpips", r"https://download\.pytorch\.org/models/alexnet.*put it at .*hub/checkpoints/alexnet"),
        ("pieapp", r"https://huggingface\.co/chaofengc/\S+ cannot be fetched .*put it at .*hub/pyiqa/PieAPP"),
        ("topiq_fr", r"https://huggingface\.co cannot be fetched"),
        ("clipiqa", r"https://openaipublic\.azureedge\.net/\S+ cannot be fetched"),
    ],
)
def test_weights_that_are_not_here_are_said_at_once(
    integration: ModuleType, name: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    import urllib.request

    from huggingface_hub import constants
    from pyiqa.utils import download_util

    from ssliqa_bench.integrations import downloads

    asked = []
    monkeypatch.setattr(downloads, "probe", lambda address: asked.append(address) or _no_network(address))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(download_util, "DEFAULT_CACHE_DIR", str(tmp_path / "torch" / "hub" / "pyiqa"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HOME", str(tmp_path))
    before = torch.hub.download_url_to_file, urllib.request.urlopen, constants.is_offline_mode
    with pytest.raises(InputError, match=address):
        built(integration, {"metric": name})
    assert len(asked) == 1  # one probe, no retries
    assert before == (torch.hub.download_url_to_file, urllib.request.urlopen, constants.is_offline_mode)
    assert "Retrying" not in capfd.readouterr().err


def test_full_reference_metrics_need_references(integration: ModuleType, images: ImageSet) -> None:
    assert integration.Metric({"metric": "ssim"}).needs.references is True
    assert not integration.Metric({"metric": "piqe"}).needs.references
    with pytest.raises(InputError, match="ssim compares images with references"):
        built(integration, {"metric": "ssim"}).predict(images)


def test_pairs_in_several_processes(
    integration: ModuleType, pairs: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "_WORTHWHILE", 0.0)
    monkeypatch.setattr(predict, "_SHARE", 2)
    model = built(integration, {"metric": "psnr"})
    alone = predict.predict_set(model, pairs).quality
    np.testing.assert_array_equal(predict.predict_set(model, pairs, processes=2).quality, alone)


def test_a_run_by_the_name_of_a_metric(tmp_path: Path) -> None:
    """`pyiqa:psnr` on the demo set: its references are found, keyed and compared with."""
    pytest.importorskip("pyiqa")
    from ssliqa_bench.pixels.decode import decode

    settings = Settings.from_environment(store=tmp_path / "runs", device="cpu", quiet=True)
    plan = make_plan(RunSpec("pyiqa:psnr", Pair("demo-syn")), load_registry(), settings)
    record = run(plan, settings).record
    assert record.cell.method == "pyiqa:psnr" and record.facts.method.trained_on == "unknown"
    assert record.key_part("rows")["demo-syn"]["references"]
    held = read_predictions(settings.store, record.key, "demo-syn")
    ours = dict(zip(held.image, held.prediction, strict=True))
    table = plan.tables["demo-syn"]
    for row in [row for row, role in enumerate(plan.roles["demo-syn"]) if role == "test"][::30]:
        error = decode(table.path[row]).astype(float) - decode(table.reference[row]).astype(float)
        psnr = 10 * np.log10(255**2 / np.mean(error**2))
        assert ours[table.name[row]] == pytest.approx(psnr, abs=1e-3)


def test_a_dataset_without_references_is_told_with_those_that_have_some(tmp_path: Path) -> None:
    pytest.importorskip("pyiqa")
    folder = tmp_path / "mine"
    folder.mkdir()
    for k in range(6):
        Image.fromarray(np.full((64, 64, 3), 40 * k, dtype=np.uint8)).save(folder / f"{k}.png")
    (folder / "labels.csv").write_text("image,score\n" + "".join(f"{k}.png,{k}\n" for k in range(6)))
    (tmp_path / "own.yaml").write_text(
        "datasets:\n  mine:\n    about: {title: M}\n    kind: authentic\n    folder: mine\n"
        "    options: {images: mine}\n    scale: [0, 5]\n    direction: higher_is_better\n"
    )
    settings = Settings.from_environment(store=tmp_path / "runs", device="cpu", quiet=True)
    plan = make_plan(RunSpec("pyiqa:psnr", Pair("mine")), load_registry([tmp_path / "own.yaml"]), settings)
    with pytest.raises(InputError, match="mine states none for its images.*with references: demo-syn, demo-wild, "):
        run(plan, settings)


def test_nothing_is_printed(integration: ModuleType, images: ImageSet, capsys: pytest.CaptureFixture[str]) -> None:
    built(integration, {"metric": "piqe"}).predict(images.subset([0]))
    assert capsys.readouterr().out == ""


PARAMETERS = {"piqe": None, "niqe": "niqe_modelparameters.mat", "brisque": "brisque_svm_weights.pth"}
# What pyiqa 0.1.16 gives for the images of its calibration table, to the digits printed there.
CALIBRATION = {
    "niqe": {"I03": 15.66, "I04": 3.65, "I06": 3.23, "I08": 3.19, "I19": 9.07},
    "brisque": {"I03": 94.64, "I04": -0.12, "I06": 1.07, "I08": 5.14, "I19": 66.83},
    "piqe": {"I03": 100.0, "I04": 21.62, "I06": 35.86, "I08": 41.15, "I19": 76.95},
}


def calibration_images() -> dict[str, Path]:
    """The distorted images that pyiqa ships for its calibration, by name."""
    import pyiqa

    folder = Path(pyiqa.__file__).parents[1] / "ResultsCalibra" / "dist_dir"
    found = {path.stem: path for path in sorted(folder.glob("I*.bmp"))}
    if not found:
        pytest.skip(f"this pyiqa came without its calibration images ({folder})")
    return found


@pytest.mark.parametrize("metric", PARAMETERS)
def test_metrics_are_pyiqas_own_on_the_same_files(
    integration: ModuleType, metric: str, parameter_files: Path, tmp_path: Path
) -> None:
    """Through a run: the folder is read and decoded, the metric asked, the predictions stored."""
    import pyiqa

    images = calibration_images()
    rows = "".join(f"{path.name},{k + 1}\n" for k, path in enumerate(images.values()))
    folder = tmp_path / "data" / "calibration"
    folder.mkdir(parents=True)
    (folder / "labels.csv").write_text(f"image,score\n{rows}")
    (folder / "images").symlink_to(next(iter(images.values())).parent)
    (tmp_path / "own.yaml").write_text(
        "datasets:\n  calibration:\n    about: {title: Calibration}\n    kind: synthetic\n"
        "    folder: data/calibration\n    scale: [1, 5]\n    direction: higher_is_better\n"
    )
    settings = Settings.from_environment(
        store=tmp_path / "runs", data_root=tmp_path / "data", cache_root=tmp_path / "cache", device="cpu", quiet=True
    )
    registry = load_registry([tmp_path / "own.yaml"])
    spec = RunSpec(metric, Pair("demo-syn"), tests=("calibration",), budget=None)
    plan = make_plan(spec, registry, settings)
    record = run(plan, settings).record
    held = read_predictions(settings.store, record.key, "calibration")
    ours = dict(zip(held.image, held.prediction, strict=True))
    file = PARAMETERS[metric]
    given = {} if file is None else {"pretrained_model_path": str(parameter_files / file)}
    theirs = pyiqa.create_metric(metric, device="cpu", **given)
    for name, path in images.items():
        assert ours[path.name] == pytest.approx(-float(theirs(str(path))), abs=1e-4)
        assert -ours[path.name] == pytest.approx(CALIBRATION[metric][name], abs=0.01)


def test_one_image_at_a_time_in_several_processes(
    integration: ModuleType, parameter_files: Path, images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "_WORTHWHILE", 0.0)
    monkeypatch.setattr(predict, "_SHARE", 2)
    file = str(parameter_files / "brisque_svm_weights.pth")
    model = built(integration, {"metric": "brisque", "weights_file": file})
    alone = predict.predict_set(model, images).quality
    np.testing.assert_array_equal(predict.predict_set(model, images, processes=2).quality, alone)
    np.testing.assert_array_equal([model.predict(images.subset([k]))[0] for k in range(len(images))], alone)


def test_an_image_without_a_value_is_named(
    integration: ModuleType, parameter_files: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "data" / "small"
    (folder / "images").mkdir(parents=True)
    for k in range(6):
        noise = np.random.default_rng(k).integers(0, 256, (200, 220, 3), dtype=np.uint8)
        Image.fromarray(noise if k != 4 else noise[:48, :64]).save(folder / "images" / f"{k}.png")
    (folder / "labels.csv").write_text("image,score\n" + "".join(f"{k}.png,{k}\n" for k in range(6)))
    (tmp_path / "own.yaml").write_text(
        "datasets:\n  small:\n    about: {title: S}\n    kind: authentic\n    folder: data/small\n"
        "    scale: [0, 5]\n    direction: higher_is_better\n"
    )
    settings = Settings.from_environment(store=tmp_path / "runs", device="cpu", quiet=True)
    registry = load_registry([tmp_path / "own.yaml"])
    plan = make_plan(RunSpec("niqe", Pair("demo-syn"), tests=("small",)), registry, settings)
    with pytest.raises(RunError, match=r"1 of 6 predictions are not finite \(first: 4\.png\)"):
        run(plan, settings)
    assert "no value for an image of 64×48" in caplog.text


def test_a_file_that_is_not_the_metrics_own_is_refused(integration: ModuleType, parameter_files: Path) -> None:
    wrong = str(parameter_files / "brisque_svm_weights.pth")
    with pytest.raises(InputError, match="niqe cannot read it"):
        built(integration, {"metric": "niqe", "weights_file": wrong})


def test_the_path_of_a_parameter_file_is_no_part_of_a_run(parameter_files: Path, tmp_path: Path) -> None:
    settings = Settings.from_environment(store=tmp_path / "runs", device="cpu", quiet=True)
    plans = []
    for name in ("one.pth", "two.pth"):
        file = tmp_path / name
        file.write_bytes((parameter_files / "brisque_svm_weights.pth").read_bytes())
        spec = RunSpec("brisque", Pair("demo-syn"), overrides=(("weights_file", str(file)),))
        plans.append(make_plan(spec, load_registry(), settings))
    assert plans[0].key == plans[1].key and str(tmp_path) not in str(plans[0].key_parts)
