"""One model package: read once, hashed, verified, loaded from the verified bytes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ..errors import ModelError
from ..files import read_regular
from .graph_checks import check_added_graph, check_graph, check_signature, parse
from .manifest import MODEL_FILE, Manifest
from .subjects import Exposure, subject_hash

if TYPE_CHECKING:
    import onnx

TargetKind = Literal["margin", "logit", "probability"]
MANIFEST_FILE = "manifest.json"
MAX_MANIFEST_BYTES = 16 << 20
MAX_FILE_BYTES = (1 << 31) - 1  # protobuf cannot hold more


@dataclass(frozen=True)
class ModelPackage:
    """A verified package in memory; the folder is not read again.

    model_bytes: the ONNX file, as verified. file_bytes: name -> size of every file beside the manifest; graphs for
    other runtimes are verified and let go. fill_profile: (channels, num_layers + 1, bins) float32 in model-input units
    [0, 1], None for a segmenter and where a classifier ships none. sha256: hash of the manifest's bytes, which name
    the hash of every other file.
    """

    manifest: Manifest
    model_bytes: bytes = field(repr=False)
    file_bytes: dict[str, int]
    fill_profile: NDArray[np.float32] | None = field(repr=False)
    sha256: str
    path: Path

    @property
    def label(self) -> str:
        """SETUP/NAME/MEMBER, which no other package of a run has: several setups may share a name and a member."""
        return f"{self.manifest.setup}/{self.manifest.name}/{self.manifest.member}"

    @cached_property
    def model(self) -> onnx.ModelProto:
        """The graph, parsed from the verified bytes. Treat it as read-only."""
        return parse(self.model_bytes, str(self.path / MODEL_FILE))

    @cached_property
    def _hashes(self) -> frozenset[str]:
        known = self.manifest.training_subjects
        return frozenset(known.hashes) if known else frozenset()

    def exposure(self, subject: str) -> Exposure:
        """Whether this model saw the subject in training; "unknown" where the package does not say who was seen."""
        known = self.manifest.training_subjects
        if known is None:
            return "unknown"
        return "seen" if subject_hash(known.salt, subject) in self._hashes else "unseen"

    @cached_property
    def volume_model(self) -> onnx.ModelProto:
        """The graph that takes a volume (B, C, z, y, x): `model` itself, or a 2D model over the slices of the volume,
        pooled as the manifest says. Treat it as read-only. Raises ModelError where a 2D graph cannot be wrapped."""
        from ..graphs import over_slices

        m = self.manifest
        if m.slice_axis is None:
            return self.model
        pooling = m.slice_pooling or "mean_logit"  # of no effect for a segmenter
        named = {"input": m.input, "output": m.output}
        try:
            return over_slices(self.model, axis=m.slice_axis, role=m.role, pooling=pooling, **named)
        except ModelError as error:
            raise ModelError(f"{self.path / MODEL_FILE}: {error}") from error

    @cached_property
    def volume_bytes(self) -> bytes:
        """`volume_model` as an ONNX file; the verified bytes themselves for a 3D model."""
        return self.model_bytes if self.manifest.slice_axis is None else self.volume_model.SerializeToString()

    def target_values(self, logits: NDArray[np.floating], kind: TargetKind = "margin") -> NDArray[np.float64]:
        """The explained number of each row: logits (..., classes) -> (...) float64.

        "margin": logit[positive] - logit[negative]; where the manifest's negative is null, the log odds of the positive
        class against all others, logit[positive] - log(sum of exp(logit) over the others). "logit": logit[positive].
        "probability": softmax(logits)[positive]. Where the target is a threshold, "margin" and "probability" are of all
        classes at or above it: log(sum of exp(logit) of those) less that of the classes below, and the sum of their
        softmax(logits). Raises ModelError for a segmenter, another number of classes, and the logit of a threshold.
        """
        count, positive, negative = self.target_classes()
        values = np.asarray(logits, np.float64)
        if values.ndim == 0 or values.shape[-1] != count:
            raise ModelError(f"{self.path}: expected logits (..., {count}), found shape {values.shape}")
        if kind not in ("margin", "logit", "probability"):
            raise ModelError(f"kind: expected margin, logit or probability, found {kind!r}")
        if kind == "logit" and self.manifest.target is not None and self.manifest.target.at_or_above:
            raise ModelError(f"{self.path}: kind: expected margin or probability for a target at or above a level, "
                             f"which has no logit of its own, found 'logit'")  # fmt: skip
        own = _log_sum_exp(np.take(values, positive, axis=-1)) if len(positive) > 1 else values[..., positive[0]]
        if kind == "logit":
            return np.asarray(own, np.float64)
        if kind == "probability":
            return np.asarray(np.exp(own - _log_sum_exp(values)), np.float64)
        other = values[..., negative[0]] if len(negative) == 1 else _log_sum_exp(np.take(values, negative, axis=-1))
        return np.asarray(own - other, np.float64)

    def target_weights(self) -> NDArray[np.float32]:
        """(classes,) float32: +1 for the positive class, -1 for the negative one; dot with the logits = the margin.

        Raises ModelError for a segmenter, and where the margin is no weighted sum: the log odds of or against several
        classes.
        """
        count, positive, negative = self.target_classes()
        if len(positive) != 1 or len(negative) != 1:
            raise ModelError(
                f"{self.path}: expected a target of two classes, found the log odds of {len(positive)} "
                f"{'class' if len(positive) == 1 else 'classes'} against {len(negative)} others, which is no weighted "
                "sum of logits"
            )
        weights = np.zeros(count, np.float32)
        weights[positive], weights[negative] = 1.0, -1.0
        return weights

    def target_classes(self) -> tuple[int, list[int], list[int]]:
        """Number of classes, those that the target is for and those that it is against, by their place."""
        classes, target = self.manifest.classes, self.manifest.target
        if classes is None or target is None:
            raise ModelError(f"{self.path}: expected a classifier, found a {self.manifest.role}")
        count, at = len(classes), classes.index(target.positive)
        positive = list(range(at, count)) if target.at_or_above else [at]
        others = [k for k in range(count) if k not in positive]
        return count, positive, others if target.negative is None else [classes.index(target.negative)]


def _log_sum_exp(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(sum(exp(values))) along the last axis, without overflow."""
    top = values.max(axis=-1, keepdims=True)
    shift = np.where(np.isfinite(top), top, 0.0)  # all -Inf, or Inf or NaN somewhere: as exp and log have it
    return np.asarray(np.log(np.exp(values - shift).sum(axis=-1)) + shift[..., 0], np.float64)


def load_package(path: str | Path) -> ModelPackage:
    """Read and verify one package folder: regular files inside it, no links.

    Raises ModelError naming the file, what was expected and what was found."""
    folder = Path(path)
    raw = read_regular(folder / MANIFEST_FILE, MAX_MANIFEST_BYTES, follow=False)
    manifest = parse_manifest(raw, str(folder / MANIFEST_FILE))
    files: dict[str, bytes] = {}
    for name, expected in manifest.files.items():
        data = read_regular(folder / name, MAX_FILE_BYTES, follow=False)
        found = hashlib.sha256(data).hexdigest()
        if found != expected:
            raise ModelError(f"{folder / name}: expected sha256 {expected}, found {found}")
        files[name] = data
    where = str(folder / MODEL_FILE)
    model = parse(files[MODEL_FILE], where)
    check_graph(model, where)
    check_signature(model, manifest, where)
    for kind, name in manifest.graphs.items():
        check_added_graph(parse(files[name], str(folder / name)), kind, manifest, str(folder / name))
    profile = None
    if manifest.fill_profile is not None:
        name = manifest.fill_profile.file
        profile = _parse_profile(files[name], manifest, str(folder / name))
    sizes = {name: len(data) for name, data in files.items()}
    package = ModelPackage(manifest, files[MODEL_FILE], sizes, profile, hashlib.sha256(raw).hexdigest(), folder)
    package.__dict__["model"] = model  # fills the cached property: the graph is parsed once
    return package


def parse_manifest(raw: bytes, where: str) -> Manifest:
    """Bytes of manifest.json -> Manifest. Raises ModelError listing every fault by its key."""
    document = _json(raw, where)
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        faults = [f"{'.'.join(str(p) for p in e['loc']) or 'manifest'}: {e['msg']}" for e in error.errors()]
        raise ModelError(f"{where}: expected a manifest of schema 1, found: " + "; ".join(faults)) from error


def _json(raw: bytes, where: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if len(set(keys)) != len(keys):
            raise ValueError("a key that occurs twice")
        return dict(pairs)

    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=unique)
    except RecursionError as error:
        raise ModelError(f"{where}: expected JSON in UTF-8 with unique keys, found values nested too deeply") from error
    except ValueError as error:
        raise ModelError(f"{where}: expected JSON in UTF-8 with unique keys, found: {error}") from error


def _parse_profile(raw: bytes, manifest: Manifest, where: str) -> NDArray[np.float32]:
    document = _json(raw, where)
    if manifest.fill_profile is None or not isinstance(document, dict) or set(document) != {"bins", "values"}:
        raise ModelError(f"{where}: expected an object with the keys bins and values, found something else")
    bins = manifest.fill_profile.bins
    shape = (len(manifest.channels), len(manifest.layer_names) + 1, bins)
    if document["bins"] != bins:
        raise ModelError(f"{where}: expected {bins} bins as in the manifest, found {document['bins']!r}")
    try:
        values = np.array(document["values"], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{where}: expected numbers of shape {shape}, found something else") from error
    if values.shape != shape:
        raise ModelError(f"{where}: expected values of shape {shape}, found {values.shape}")
    if not bool(np.all((values >= 0.0) & (values <= 1.0))):  # also refuses NaN
        raise ModelError(f"{where}: expected values in [0, 1] (model-input units), found some outside")
    profile = values.astype(np.float32)
    profile.setflags(write=False)
    return profile
