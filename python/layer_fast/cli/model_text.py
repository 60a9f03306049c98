"""The facts of a package or an ONNX file as lines a person reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..models import FoldMap

_POOLED = {
    "mean_logit": "the mean of the slices' logits",
    "max_logit": "the largest of the slices' logits, class by class",
    "mean_probability": "the logarithm of the slices' mean probability",
}


def package_lines(fields: dict[str, Any]) -> Iterator[str]:
    """fields: what `info.described` gives."""
    yield f"{fields['name']}  {fields['role']}, setup {fields['setup']}, member {fields['member']}"
    yield f"  path: {fields['path']}"
    yield f"  manifest sha256: {fields['sha256']}"
    yield from _geometry(fields)
    for channel in fields["channels"]:
        low, high = channel["window"]
        holes = "" if channel["missing_value"] is None else f", holes become {channel['missing_value']:g}"
        yield f"  channel {channel['modality']}: clip((v - {low:g}) / ({high:g} - {low:g}), 0, 1){holes}"
    yield f"  graph: {fields['input']} -> {fields['output']}"
    yield f"  layers: {', '.join(fields['layer_names'])}"
    if fields["role"] == "classifier":
        yield from _classifier(fields)
    known = fields["training_subjects"]
    yield f"  training subjects: {'not stated, so exposure is unknown' if known is None else known}"
    yield from _files(fields)
    for name, figure in fields["parity"].items():
        against = f"{figure['against']}, {figure['inputs']} input(s)"
        yield f"  parity {name}: {figure['value']:.3g} against {against}; {figure['note']}"
    for name, figure in fields["card"].items():
        yield f"  {name}: {figure['value']:g} ({figure['subjects']} subjects) {figure['note']}"
    for key in ("training_data", "intended_use", "licence"):
        yield f"  {key}: {fields[key]}"


def _geometry(fields: dict[str, Any]) -> Iterator[str]:
    size = " x ".join("scan's own" if n is None else str(n) for n in fields["grid"])
    yield f"  grid (z, y, x): {size}"
    yield f"  spacing: {_lengths(fields['spacing_mm'])} mm, field of view: {_lengths(fields['fov_mm'])} mm"
    yield f"  depth axis: {fields['depth_axis']}; antialias: {'on' if fields['antialias'] else 'off'}"
    if fields["spatial_dims"] == 2:
        yield f"  2D: every slice along {fields['slice_axis']} is seen alone"
        if fields["slice_pooling"] is not None:
            yield f"  the scan's logits are {_POOLED[fields['slice_pooling']]} ({fields['slice_pooling']})"
    else:
        yield f"  3D: coverage {fields['coverage']}"


def _lengths(values: list[float | None]) -> str:
    return " x ".join("own" if v is None else f"{v:g}" for v in values)


def _classifier(fields: dict[str, Any]) -> Iterator[str]:
    target = fields["target"]
    against = f"logit[{target['negative']}]" if target["negative"] is not None else \
        "log of the summed exp(logit) of all other classes"  # fmt: skip
    ordered = ", from lowest to highest" if fields["ordinal"] else ""
    yield f"  classes: {', '.join(fields['classes'])}{ordered}"
    if target["at_or_above"]:
        yield f"  target: log odds of {target['positive']} and above against the classes below"
    else:
        yield f"  target: logit[{target['positive']}] - {against}"
    yield f"  class activation maps from: {fields['cam_tensor'] or 'none, Grad-CAM and HiResCAM are refused'}"
    if fields["cam_candidates"]:
        yield f"  activations that could serve: {', '.join(fields['cam_candidates'])}"
    if fields["fill_profile"] is None:
        yield "  fill profile: none, layer_ablation and layer_shapley are refused but for the fills donor and blur"
    else:
        yield f"  fill profile: {fields['fill_profile']['bins']} depth bins"
        yield f"  SD of the target over the training scans: {fields['logit_sd_train']:g}"


def _files(fields: dict[str, Any]) -> Iterator[str]:
    kinds = {file: kind for kind, file in fields["graphs"].items()}
    for name, digest in fields["files"].items():
        what = f", graph {kinds[name]} for other runtimes" if name in kinds else ""
        yield f"  file {name}: {fields['file_bytes'][name]} bytes, sha256 {digest}{what}"


def fold_lines(folds: FoldMap) -> Iterator[str]:
    """Every fold with its packages; a package that serves several folds is named with them."""
    yield f"{folds.path}  fold map of {len(folds.folds)} folds: {', '.join(folds.folds)}"
    yield f"  sha256: {folds.sha256}"
    served: dict[str, list[str]] = {}
    for fold, models in folds.folds.items():
        for package in models.packages:
            served.setdefault(package.sha256, []).append(fold)
    for fold, models in folds.folds.items():
        yield f"fold {fold}"
        for package in models.packages:
            m, shown = package.manifest, folds.shown_name(package)
            told = f", {shown} in the tables" if shown != m.name else ""
            also = [other for other in served[package.sha256] if other != fold]
            of_others = f"; also in fold {', '.join(also)}" if also else ""
            known = m.training_subjects
            trained = "training subjects not stated" if known is None else f"{len(known.hashes)} training subjects"
            sd = "" if m.logit_sd_train is None else f", logit SD {m.logit_sd_train:g}"
            yield f"  {m.name}{told}  {m.role}, setup {m.setup}, member {m.member}: {trained}{sd}{of_others}"
            yield f"    {package.path}"


def onnx_lines(found: dict[str, Any]) -> Iterator[str]:
    """found: what `export.describe.describe_onnx` gives."""
    yield f"{found['path']}  {found['bytes']} bytes, made by {found['producer'] or 'an unnamed tool'}"
    opsets = ", ".join(f"{domain} {version}" for domain, version in found["opset"].items())
    yield f"  opset: {opsets}; IR {found['ir_version']}; {found['weights']} weights, {found['parameters']} numbers"
    for what in ("inputs", "outputs"):
        for value in found[what]:
            yield f"  {what[:-1]} {value['name']}: {value['type']} {_shape(value['shape'])}"
    yield "  operators: " + ", ".join(f"{op} {n}" for op, n in found["operators"].items())
    yield f"  operators without a gradient rule: {', '.join(found['without_gradient_rule']) or 'none'}"
    for kind in ("gradient", "gradcam", "class_maps"):
        yield f"  {kind}: {found[kind]}"
    for value in found["activations"]:
        yield f"  activation {value['name']}: {_shape(value['shape'])}"
    if not found["refused"]:
        yield "  a package can be made of it: layer-fast export"
    for reason in found["refused"]:
        yield f"  no package can be made of it: {reason}"


def _shape(dims: list[int | str | None] | None) -> str:
    return "(?)" if dims is None else "(" + ", ".join("?" if d is None else str(d) for d in dims) + ")"
