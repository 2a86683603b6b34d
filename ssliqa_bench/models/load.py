"""`load_model`: a finished model as a function of images, without plan, registry or training data. Imports torch."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ssliqa_bench.errors import CorruptFileError, InputError, RunError, UndeclaredParameter
from ssliqa_bench.files import cache_folder
from ssliqa_bench.methods.base import Model, Predictor
from ssliqa_bench.models.crop_spread import of_whole_images
from ssliqa_bench.models.description import Description
from ssliqa_bench.models.feature_views import extractor
from ssliqa_bench.models.folder import CONFIG, Finished, read_model_folder
from ssliqa_bench.models.images import Decoded, Extracted, each_image, pixels_of
from ssliqa_bench.models.origins import located
from ssliqa_bench.models.predict import NotFiniteError, judge, predict
from ssliqa_bench.models.spread import CropValues, crops_of, of_features, of_pixels
from ssliqa_bench.pixels.features import Extract
from ssliqa_bench.registry.lookup import load_object
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.records import FACTS, find_record, read_record
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.quality import QualityPredictor
from ssliqa_bench.types import ByteImage, FloatArray, Judgement, Scale

_TRIED = 64  # side, pixels, of the picture that a model is tried out on, unless its crops are larger
_AT_ONCE = 64  # images in memory


class LoadedModel:
    """A finished model.

    Attributes:
        scale: of its values: ends and direction; None for a metric that learned nothing, whose values are its own,
            higher is better.
        short_side: to which images are resized first, in pixels; None for images as they are.
        needs_references: whether it compares images with their pristine references.
        n_parameters: how many parameters it has.
        origin: the record, method and versions that it comes from.
    """

    def __init__(
        self,
        finished: Finished,
        predictor: Predictor,
        extract: Extract | None = None,
        crop_values: CropValues | None = None,
    ) -> None:
        told = finished.description
        self.scale: Scale | None = told.scale
        # Features are computed of pictures as they are, whatever the dataset's working size.
        self.short_side = None if extract is not None else told.short_side
        self.needs_references = told.references
        self.n_parameters = predictor.n_parameters
        self.origin = dict(finished.origin)
        self._predictor, self._extract, self._crop_values = predictor, extract, crop_values

    def __call__(self, images: Any, references: Any = None) -> FloatArray:
        """Quality (n,) of images, float64, in the native units and the direction of the scores that it learned from.

        Args:
            images: one image or many: paths, images of Pillow, arrays uint8 (H, W, 3) or (n, H, W, 3), tensors
                (3, H, W) or (n, 3, H, W), uint8 or floating point in [0, 1].
            references: the pristine image of each, for a model that compares the two.

        Raises:
            InputError: no images, references that are missing or not as many.
            DataError: a file that cannot be read.
            RunError: a value that is not finite; names the image.
        """
        values = self.quality(images, references)
        return values if self.scale is None else self.scale.from01(values)

    def quality(self, images: Any, references: Any = None) -> FloatArray:
        """As the call, on the learner's scale: 0 and 1 are the worse and the better end of the native scores."""
        found: list[FloatArray] = []

        def ask(chunk: ImageSet) -> Judgement:
            return judge(self._predictor, chunk)

        def keep(names: Sequence[str], said: Judgement) -> None:
            found.append(said.quality)

        try:
            predict(self._chunks(images, references), ask, keep)
        except NotFiniteError as error:
            first = error.names[error.images[0]]  # type: ignore[index]
            raise RunError(f"{len(error.images)} predictions are not finite (first: {first}).") from error
        return np.concatenate(found) if found else np.empty(0)

    def with_spread(self, images: Any) -> tuple[FloatArray, FloatArray | None]:
        """Quality (n,) of images as the call gives it, and how far their crops differ.

        Returns:
            The values, and the standard deviation (n,) over an image's fixed crops, in the same units: how uneven the
            image is for this model, not how wrong the model is. A model of frozen features that looks at the whole
            image is shown five crops in its place. None of a model that looks at one crop, at the pixels of the whole
            image, or at images together with their references.

        Raises:
            As the call.
        """
        if self._crop_values is None:
            return self(images), None
        values, spreads = [np.empty(0)], [np.empty(0)]
        for _, chunk in self._chunks(images, None):
            values.append(judge(self._predictor, chunk).quality)
            spreads.append(np.std(self._crop_values(chunk), axis=1, ddof=1))
        quality, spread = np.concatenate(values), np.concatenate(spreads)
        if self.scale is None:
            return quality, spread
        return self.scale.from01(quality), spread * (self.scale.high - self.scale.low)

    def __repr__(self) -> str:
        return f"{self._whence()}: {self.n_parameters:,} parameters, {self._units()}"

    def _repr_html_(self) -> str:
        size = "as they are" if self.short_side is None else f"resized to {self.short_side} pixels, shorter side"
        facts = {"parameters": f"{self.n_parameters:,}", "values": self._units(), "images": size,
                 "references": "needed" if self.needs_references else "none"}  # fmt: skip
        rows = "".join(f"<tr><td>{name}</td><td>{html.escape(value)}</td></tr>" for name, value in facts.items())
        return f"<p>{html.escape(self._whence())}</p><table>{rows}</table>"

    def _whence(self) -> str:
        cell = self.origin.get("cell")
        method = cell.get("method") if isinstance(cell, dict) else self.origin.get("method")
        record = str(self.origin.get("record", ""))[:12]
        return f"Model {method or 'of a folder'}{f', record {record}' if record else ''}"

    def _units(self) -> str:
        if self.scale is None:
            return "the metric's own, higher is better"
        better = "higher" if self.scale.higher_is_better else "lower"
        return f"{self.scale.low:g} to {self.scale.high:g}, {better} is better"

    def _chunks(self, images: Any, references: Any) -> Iterator[tuple[list[str], ImageSet]]:
        if self.needs_references != (references is not None):
            told = "compares images with their references: hand them over" if self.needs_references else "takes none"
            raise InputError(f"references: this model {told}.")
        pristine = None if references is None else iter(each_image(references))
        names: list[str] = []
        pictures: list[ByteImage] = []
        others: list[ByteImage] = []
        for name, image in each_image(images):
            names.append(name)
            pictures.append(pixels_of(image, name, self.short_side))
            if pristine is not None:
                other = next(pristine, None)
                if other is None:
                    raise InputError("references: fewer than images; expected one for each.")
                others.append(pixels_of(other[1], other[0], self.short_side))
            if len(names) == _AT_ONCE:
                yield names, self._set(pictures, others)
                names, pictures, others = [], [], []
        if pristine is not None and next(pristine, None) is not None:
            raise InputError("references: more than images; expected one for each.")
        if names:
            yield names, self._set(pictures, others)

    def _set(self, pictures: list[ByteImage], others: list[ByteImage]) -> ImageSet:
        source = Decoded(pictures) if self._extract is None else Extracted(pictures, self._extract)
        pristine = Decoded(others)
        rows = range(len(pictures))
        return ImageSet(((source, k) for k in rows), [(pristine, k) for k in rows] if others else None)


def load_model(
    where: str | os.PathLike[str],
    *,
    store: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    weights_file: str | os.PathLike[str] | None = None,
    folders: Sequence[str | os.PathLike[str]] = (),
) -> LoadedModel:
    """A finished model, from a record or from a folder of its own.

    Args:
        where: the folder of a record, whose weights are beside it in its store; a folder of `write_model_folder`;
            or, with `store`, the first digits of a record's key.
        store: the store that holds the record.
        device: cpu, cuda, or auto.
        weights_file: the parameter file of a metric, or of the frozen network, where it is not where its library
            keeps it.
        folders: where modules outside this package are looked for first.

    Raises:
        InputError: there is no such model, its weights were not kept, or a module or file that it needs is missing.
        CorruptFileError: its files are damaged, of another version, or do not fit its builder.
    """
    return load_finished(find_model(where, store), device=device, weights_file=weights_file, folders=folders)


def load_finished(
    finished: Finished,
    *,
    device: str = "cpu",
    weights_file: str | os.PathLike[str] | None = None,
    folders: Sequence[str | os.PathLike[str]] = (),
) -> LoadedModel:
    """Build a finished model; arguments and errors as `load_model`."""
    told, chosen = finished.description, _device(device)
    given = None if weights_file is None else Path(weights_file)
    files = {name: located(name, own, given, cache_folder()) for name, own in told.weights.items()}
    paths = [Path(folder) for folder in folders]
    for network in _networks(told):
        load_object(network, paths)
    extract = None if told.features is None else extractor(told.features, files.pop("features"))
    model = Model(load_object(told.builder, paths), tuple(told.params))
    try:
        predictor, crop_values = _made(model, finished, chosen, files)
        loaded = LoadedModel(finished, predictor, extract, crop_values)
        if finished.artifact is not None:
            _try_out(loaded, told)
    except (CorruptFileError, UndeclaredParameter, AttributeError, LookupError, RuntimeError, TypeError,
            ValueError) as error:  # fmt: skip
        reason = " ".join(str(error).split())
        raise CorruptFileError(f"{finished.where}: {told.builder} cannot build its model: {reason}") from error
    return loaded


def _try_out(model: LoadedModel, told: Description) -> None:
    """Judge one picture of noise: shapes that do not fit each other show when they are used."""
    side = max(int(told.params.get("crop") or 0), _TRIED)
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    try:
        model.quality(picture, picture if model.needs_references else None)
    except RunError:  # no finite value for noise says nothing about photographs
        return


def _made(
    model: Model, finished: Finished, device: torch.device, files: dict[str, str]
) -> tuple[Predictor, CropValues | None]:
    """The predictor, and what gives its values crop by crop where it judges an image by several."""
    told = finished.description
    predictor = model.made(told.params, finished.artifact, device, files)
    if told.references or finished.artifact is None:
        return predictor, None
    if told.features is not None and not told.params.get("crop"):
        return predictor, of_whole_images(predictor)
    crops = crops_of(told.params)
    if crops < 2:
        return predictor, None
    if told.features is not None:
        return predictor, of_features(predictor, crops)
    return predictor, of_pixels(predictor) if isinstance(predictor, QualityPredictor) else None


def find_model(where: str | os.PathLike[str], store: str | os.PathLike[str] | None = None) -> Finished:
    """A finished model as it is kept, not yet built; arguments and errors as `load_model`."""
    folder = Path(where)
    if store is None and (folder / CONFIG).is_file():
        return read_model_folder(folder)
    if store is None and (folder / FACTS).is_file():
        return _recorded(folder.absolute().parents[1], folder.name)
    if store is None:
        raise InputError(
            f"{folder}: holds neither {FACTS} of a record nor {CONFIG} of a model. Name such a folder, or the first "
            f"digits of a record's key together with its store: load_model(KEY, store=DIR)."
        )
    return _recorded(store, find_record(store, str(where)))


def _recorded(store: str | os.PathLike[str], key: str) -> Finished:
    """The model of a record; its weights are beside it in the store."""
    facts = read_record(store, key).facts
    if facts.model is None:
        raise InputError(
            f"Record {key[:12]} does not describe its model, because an older version wrote it. Run it again with "
            f"--no-cache."
        )
    artifact = None
    if facts.stages:
        loaded = ArtifactStore(store).load(facts.model_key)
        if loaded is None:
            raise InputError(
                f"Record {key[:12]}: its final weights were not kept or are damaged. Run it again with --no-cache "
                f"--keep final."
            )
        artifact = loaded[0]
    origin = {"record": key, "cell": facts.cell.model_dump(mode="json"), "versions": facts.versions}
    where = f"Record {key[:12]}"
    return Finished(Description.from_json(facts.model.model_dump(), where), artifact, origin, where)


def _networks(told: Description) -> list[str]:
    """Classes that parameters of a model name."""
    named = (value.get("class") for value in told.params.values() if isinstance(value, dict))
    return [path for path in named if isinstance(path, str)]


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise InputError(f'device: got "{name}"; expected cpu, cuda or auto.') from error
