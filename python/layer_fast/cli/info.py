"""info and doctor: what a model says of itself, what a machine offers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from ..info import available
from ..models import ModelPackage, is_fold_map, load_folds, load_models
from ..report.style import plain
from .model_text import fold_lines, onnx_lines, package_lines


def described(package: ModelPackage) -> dict[str, Any]:
    """The manifest without the subjects' hashes, and what the folder adds to it. JSON-ready."""
    fields = package.manifest.model_dump(mode="json", exclude={"training_subjects"})
    known = package.manifest.training_subjects
    return fields | {
        "path": str(package.path),
        "sha256": package.sha256,
        "file_bytes": package.file_bytes,
        "training_subjects": len(known.hashes) if known else None,
    }


def print_models(path: str, *, as_json: bool) -> int:
    """A package, a folder of packages, a word for the shipped ones, a fold map, or a bare ONNX file."""
    if is_fold_map(path):
        return _print_folds(path, as_json=as_json)
    if path.endswith(".onnx") or Path(path).is_file():
        return _print_onnx(path, as_json=as_json)
    found = [described(package) for package in load_models(path).packages]
    if as_json:
        print(json.dumps(found, indent=2, sort_keys=True))
        return 0
    console = _console()
    for fields in found:
        for line in package_lines(fields):
            console.print(plain(line))
    return 0


def _print_folds(path: str, *, as_json: bool) -> int:
    """What a fold map holds, after the checks of a run."""
    folds = load_folds(path)
    if as_json:
        held = {fold: [described(package) for package in models.packages] for fold, models in folds.folds.items()}
        print(json.dumps({"path": path, "sha256": folds.sha256, "name": folds.name, "folds": held}, indent=2,
                         sort_keys=True))  # fmt: skip
        return 0
    console = _console()
    for line in fold_lines(folds):
        console.print(plain(line))
    return 0


def _print_onnx(path: str, *, as_json: bool) -> int:
    from ..export.describe import describe_onnx

    found = describe_onnx(path)
    if as_json:
        print(json.dumps(found, indent=2, sort_keys=True))
        return 0
    console = _console()
    for line in onnx_lines(found):
        console.print(plain(line))
    return 0


def _console() -> Console:
    return Console(highlight=False, markup=False, soft_wrap=True)  # brackets of shapes and extras are not markup


def print_doctor(*, as_json: bool) -> int:
    facts = available()
    if as_json:
        print(json.dumps(facts, indent=2, sort_keys=True))
        return 0
    console = _console()
    native = facts["native"]
    console.print(f"layer_fast {facts['layer_fast']}, Python {facts['python']}, {facts['threads']} threads")
    console.print(f"native: {native['compiler']}, {native['isa']}")
    devices = native["cuda_devices"]
    console.print(f"GPU kernels: {', '.join(map(str, devices)) if devices else 'none: ' + str(native['cuda_reason'])}")
    for line in _gpu_lines(facts["gpu"]):
        console.print(line)
    for name, found in {**facts["engines"], **facts["optional"]}.items():
        console.print(f"{'–' if found.startswith('missing') else '✓'} {name} {found}")
    return 0


def _gpu_lines(gpu: dict[str, Any]) -> list[str]:
    """The cards, and the engines of the GPU in the order in which a run tries them."""
    if gpu["missing"]:
        return [f"GPU: none: {gpu['missing']}"]
    cards = [
        f"GPU: {c['name']}, compute capability {c['compute_capability']}, {c['memory_gb']} GB" for c in gpu["gpus"]
    ]
    found = [f"{'–' if v.startswith('missing') else '✓'} {name} on the GPU {v}" for name, v in gpu["engines"].items()]
    return [*cards, f"driver: CUDA {gpu['cuda']}", *found]
