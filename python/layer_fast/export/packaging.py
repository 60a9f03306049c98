"""From a draft to a folder: the manifest, its hashes, and a folder that is there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, ModelError
from ..models import ModelPackage, load_package
from ..models.manifest import MODEL_FILE, Manifest, Parity
from ..models.package import MANIFEST_FILE, parse_manifest
from .batch import serialized
from .derived import Cam
from .facts import Facts, Geometry
from .fields import Fields

if TYPE_CHECKING:
    import onnx

PROFILE_FILE = "fill_profile.json"


def base_document(fields: Fields, facts: Facts, geometry: Geometry, cam: Cam) -> dict[str, Any]:
    """The manifest without files, graphs, parity and what the training cohort gives."""
    stated = fields.model_dump(mode="json", exclude={"input", "output", "grid", "spacing_mm", "fov_mm", "profile_bins"})
    if not stated["ordinal"]:
        del stated["ordinal"]  # as before there were ordered classes: readers of then know no such key
    if stated["target"] is not None and not stated["target"]["at_or_above"]:
        del stated["target"]["at_or_above"]
    segmenter = fields.role == "segmenter"
    return stated | {
        "schema_version": 1,
        "spatial_dims": facts.spatial_dims,
        "grid": geometry.grid,
        "spacing_mm": geometry.spacing_mm,
        "fov_mm": geometry.fov_mm,
        "input": facts.input,
        "output": facts.output,
        "cam_tensor": None if segmenter else cam.tensor,
        "cam_candidates": [] if segmenter else list(cam.candidates),
    }


def check_stated(fields: Fields, facts: Facts, geometry: Geometry) -> None:
    """Hold the fields to the rules of a manifest before any slow work. Raises ConfigError listing the faults."""
    document = base_document(fields, facts, geometry, Cam(None, ())) | {"files": {MODEL_FILE: "0" * 64}}
    try:
        parse_manifest(json.dumps(document).encode(), "fields")
    except ModelError as error:
        fault = str(error).partition(", found: ")[2].replace("manifest: ", "").replace("Value error, ", "")
        raise ConfigError(f"fields: {fault}") from error


def contents(
    document: dict[str, Any],
    model: onnx.ModelProto,
    graphs: dict[str, onnx.ModelProto],
    parity: dict[str, Parity],
    profile: dict[str, Any] | None,
) -> tuple[Manifest, dict[str, bytes]]:
    """The checked manifest and every file of the package by name, manifest.json included. Raises ModelError.

    profile: content of fill_profile.json, or None.
    """
    files = {MODEL_FILE: serialized(model, MODEL_FILE)}
    files |= {f"{kind}.onnx": serialized(graph, f"graph {kind}") for kind, graph in graphs.items()}
    if profile is not None:
        files[PROFILE_FILE] = (json.dumps(profile) + "\n").encode()
        document = document | {"fill_profile": {"file": PROFILE_FILE, "bins": profile["bins"]}}
    document = document | {
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
        "graphs": {kind: f"{kind}.onnx" for kind in graphs},
        "parity": {name: figure.model_dump(mode="json") for name, figure in parity.items()},
    }
    raw = (json.dumps(document, indent=2) + "\n").encode()
    manifest = parse_manifest(raw, MANIFEST_FILE)
    return manifest, {**files, MANIFEST_FILE: raw}


def check_free(out: Path) -> None:
    """Raises ConfigError where `out` holds something already."""
    if out.is_symlink() or (out.exists() and not out.is_dir()) or (out.is_dir() and any(out.iterdir())):
        raise ConfigError(f"{out}: expected a new or empty folder, found something there; nothing is overwritten")


def write_folder(out: Path, files: dict[str, bytes]) -> ModelPackage:
    """Write, load as a run would, and only then move into place. Raises ConfigError, ModelError, OSError."""
    check_free(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    temporary.mkdir(mode=0o750)
    try:
        for name, data in files.items():
            with (temporary / name).open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        load_package(temporary)
        check_free(out)
        os.rename(temporary, out)  # takes the place of an empty folder, fails on any other
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return load_package(out)
