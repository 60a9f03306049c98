"""One model package: read once, hashed, verified, loaded from the verified bytes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ..errors import ModelError
from .graph_checks import check_graph, check_signature, parse
from .manifest import MODEL_FILE, Manifest
from .subjects import Exposure, subject_hash

if TYPE_CHECKING:
    import onnx

MANIFEST_FILE = "manifest.json"
MAX_MANIFEST_BYTES = 16 << 20
MAX_FILE_BYTES = (1 << 31) - 1  # protobuf cannot hold more


@dataclass(frozen=True)
class ModelPackage:
    """A verified package in memory; the folder is not read again.

    files: name -> verified bytes. fill_profile: (channels, num_layers + 1, bins) float32 in model-input units [0, 1],
    None for a segmenter. sha256: hash of the manifest's bytes, which name the hash of every other file.
    """

    manifest: Manifest
    files: dict[str, bytes] = field(repr=False)
    fill_profile: NDArray[np.float32] | None = field(repr=False)
    sha256: str
    path: Path

    @property
    def model_bytes(self) -> bytes:
        """The ONNX file, as verified."""
        return self.files[MODEL_FILE]

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

    def target_weights(self) -> NDArray[np.float32]:
        """(classes,) float32: +1 for the positive class, -1 for the negative one; dot with the logits = the margin."""
        manifest = self.manifest
        if manifest.classes is None or manifest.target is None:
            raise ModelError(f"{self.path}: expected a classifier, found a {manifest.role}")
        weights = np.zeros(len(manifest.classes), np.float32)
        weights[manifest.classes.index(manifest.target.positive)] = 1.0
        weights[manifest.classes.index(manifest.target.negative)] = -1.0
        return weights


def load_package(path: str | Path) -> ModelPackage:
    """Read and verify one package folder. Raises ModelError naming the file, what was expected and what was found."""
    folder = Path(path)
    raw = _read(folder / MANIFEST_FILE, MAX_MANIFEST_BYTES)
    manifest = parse_manifest(raw, str(folder / MANIFEST_FILE))
    files: dict[str, bytes] = {}
    for name, expected in manifest.files.items():
        data = _read(folder / name, MAX_FILE_BYTES)
        found = hashlib.sha256(data).hexdigest()
        if found != expected:
            raise ModelError(f"{folder / name}: expected sha256 {expected}, found {found}")
        files[name] = data
    where = str(folder / MODEL_FILE)
    model = parse(files[MODEL_FILE], where)
    check_graph(model, where)
    check_signature(model, manifest, where)
    profile = None
    if manifest.fill_profile is not None:
        name = manifest.fill_profile.file
        profile = _parse_profile(files[name], manifest, str(folder / name))
    package = ModelPackage(manifest, files, profile, hashlib.sha256(raw).hexdigest(), folder)
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


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as handle:
            data = handle.read(limit + 1)
    except OSError as error:
        raise ModelError(f"{path}: expected a readable file, found: {error.strerror}") from error
    if len(data) > limit:
        raise ModelError(f"{path}: expected at most {limit} bytes, found more")
    return data


def _json(raw: bytes, where: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if len(set(keys)) != len(keys):
            raise ValueError("a key that occurs twice")
        return dict(pairs)

    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=unique)
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
