"""Cases that make volumes of volumes: resampling, normalising, reading."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

import inputs
import layer_fast as lf
from cases import oracles
from cases.case import Case, Work
from inputs import Shape, Size

HALF_PIXEL = "half-pixel (align_corners=False), edges clamped"
PERCENTILES = (0.5, 99.5)
Build = Callable[[Size], Work]


def _resample(dtype: str, target: Callable[[Size], Shape], kind: str = "linear", antialias: bool = False) -> Build:
    def build(size: Size) -> Work:
        volume, shape = inputs.speckle(size.s, dtype), target(size)
        out = np.ones(shape, np.float32)
        options = {"interpolation": kind, "antialias": antialias}
        return Work(
            {"volume": volume, "shape": shape},
            lambda threads: lf.resample(volume, shape, **options, out=out, threads=threads),
            lambda: oracles.resample(volume, shape, **options),
            volume.nbytes + out.nbytes,
        )

    return build


def _model(size: Size) -> Shape:
    return size.model


def _times(factor: float) -> Callable[[Size], Shape]:
    return lambda size: inputs.scaled(size.s, factor)


def _nearest(size: Size) -> Work:
    labels, out = inputs.labels(size.s), np.ones(size.model, np.uint8)
    return Work(
        {"volume": labels, "shape": size.model},
        lambda threads: lf.resample_labels(labels, size.model, out=out, threads=threads),
        lambda: oracles.resample(labels, size.model, interpolation="nearest"),
        min(labels.nbytes, 64 * out.nbytes) + out.nbytes,  # a cache line for each voxel that is picked
    )


def _oblique(size: Size) -> Work:
    volume, out = inputs.speckle(size.s, "float32"), np.ones(size.model, np.float32)
    grid = inputs.oblique_map(size.s, size.model)
    return Work(
        {"volume": volume, "shape": size.model, "grid_map": grid},
        lambda threads: lf.resample(volume, size.model, grid_map=grid, out=out, threads=threads),
        lambda: oracles.oblique(volume, size.model, grid),
        volume.nbytes + out.nbytes,
    )


def _argmax(target: Callable[[Size], Shape]) -> Build:
    def build(size: Size) -> Work:
        logits, shape = inputs.logits(size.model), target(size)
        out = np.ones(shape, np.uint8)
        return Work(
            {"logits": logits, "shape": shape},
            lambda threads: lf.argmax_resample(logits, shape, out=out, threads=threads),
            lambda: oracles.argmax(logits, shape),
            logits.nbytes + out.nbytes,
        )

    return build


def _normalize(dtype: str, method: str) -> Build:
    def build(size: Size) -> Work:
        volume = inputs.speckle(size.s, dtype)
        out = np.ones(volume.shape, np.float32)
        zscore = method == "zscore"
        options: dict[str, Any] = {"within": "nonzero"} if zscore else {"percentiles": PERCENTILES}
        return Work(
            {"volume": volume, "percentiles": PERCENTILES},
            lambda threads: lf.normalize(volume, method=method, **options, out=out, threads=threads),
            lambda: oracles.zscore(volume) if zscore else oracles.clip(volume, PERCENTILES),
            2 * volume.nbytes + out.nbytes,  # once for the statistics, once for the line
        )

    return build


def _stats(dtype: str) -> Build:
    def build(size: Size) -> Work:
        volume = inputs.speckle(size.s, dtype)

        def ours(threads: int) -> Any:
            found = lf.intensity_stats(volume, percentiles=PERCENTILES, threads=threads)
            return {"mean": found.mean, "std": found.std, "percentiles": found.percentiles}

        return Work({"volume": volume, "percentiles": PERCENTILES}, ours, lambda: _plain_stats(volume), volume.nbytes)

    return build


def _plain_stats(volume: Any) -> Any:
    exact = volume.astype(np.float64)
    return {"mean": exact.mean(), "std": exact.std(), "percentiles": np.percentile(exact, PERCENTILES)}


@cache
def _folder() -> Any:
    return tempfile.TemporaryDirectory(prefix="layer_fast_bench_")


def _read(size: Size) -> Work:
    volume = inputs.speckle(size.s, "uint8")
    path = Path(_folder().name) / f"{size.name}.nii.gz"
    image = nibabel.Nifti1Image(np.asfortranarray(volume.T), np.diag([0.2, 0.2, 0.2, 1.0]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return Work(
        {"path": path, "shape": volume.shape},
        lambda threads: lf.read(path, threads=threads).array,
        lambda: volume,
        path.stat().st_size + volume.nbytes,
        allocates=path.stat().st_size + volume.nbytes,
    )


CASES = (
    Case(
        "linear_u8_128", "linear", "linear u8 S → 128³ f32", HALF_PIXEL, _resample("uint8", _model),
        {"torch interpolate": (10, 20), "SimpleITK Resample": (15, 20), "MONAI Spacing": (60, 100)}, headline=True,
    ),
    Case(
        "argmax_s", "argmax", "argmax_resample 7 × 128³ logits → labels of S", HALF_PIXEL, _argmax(lambda s: s.s),
        {"scipy zoom + argmax": (20, 50), "torch interpolate + argmax": (4, 8)},
        measure="fraction", tolerance=1e-5, headline=True, note="ties fall either way",
    ),
    Case(
        "argmax_b", "argmax", "argmax_resample 7 × 128³ logits → labels of B", HALF_PIXEL, _argmax(lambda s: s.b),
        {"scipy zoom + argmax": (20, 50), "torch interpolate + argmax": (4, 8)},
        measure="fraction", tolerance=1e-5, headline=True, note="ties fall either way",
    ),
    Case(
        "zscore_u8", "zscore", "z-score of nonzero u8 S → f32", "mean and std (n) of voxels ≠ 0, applied to all",
        _normalize("uint8", "zscore"), {"numpy": (8, 12), "MONAI NormalizeIntensity": (50, 100)}, headline=True,
    ),
    Case(
        "clip_u8", "clip_u8", "percentile clip u8 S → f32", "0.5 and 99.5 %, linear definition, to 0..1",
        _normalize("uint8", "percentile"), {"numpy percentile": (12, 20)}, headline=True,
    ),
    Case(
        "read_nii_gz", "read", "read .nii.gz u8 S", "voxels (z, y, x) and header, checked", _read,
        {"nibabel dataobj": (2.2, 2.5)}, measure="fraction", tolerance=0, rivals=0, headline=True,
        note="warm page cache, new arrays on both sides; one thread inflates, a second one hashes the file",
    ),
    Case(
        "linear_f32_128", "linear", "linear f32 S → 128³", HALF_PIXEL, _resample("float32", _model),
        {"torch interpolate": (1.7, 2.2), "SimpleITK Resample": (12, 15), "numba": (1.0, 1.25)},
    ),
    Case(
        "linear_f32_up", "linear", "linear f32 S → 1.5 ×", HALF_PIXEL, _resample("float32", _times(1.5)),
        {"torch interpolate": (5, 8), "OpenCV resize, 2D passes": (2.5, 3.5), "numba": (4, 6)},
    ),
    Case(
        "linear_u8_06", "linear", "linear u8 S → 0.6 ×", HALF_PIXEL, _resample("uint8", _times(0.6)),
        {"torch interpolate": (7, 14), "numba": (3, 5)},
    ),
    Case(
        "nearest_128", "nearest", "nearest labels S → 128³", "half-pixel, halves go up", _nearest,
        {"torch interpolate": (2, 4), "SimpleITK Resample": (30, 50)}, measure="fraction", tolerance=0, rivals=0,
    ),
    Case(
        "cubic_f32_128", "cubic", "Catmull-Rom f32 S → 128³", f"Keys a = -0.5, {HALF_PIXEL}",
        _resample("float32", _model, "cubic"), {"OpenCV resize, 2D passes": (3, 4)},
    ),
    Case(
        "bspline_f32_128", "bspline", "cubic B-spline f32 S → 128³", f"interpolating (mirror prefilter), {HALF_PIXEL}",
        _resample("float32", _model, "bspline"), {"scipy zoom": (20, 40), "SimpleITK Resample": (20, 40)},
        tolerance=4e-6,
    ),
    Case(
        "antialias_f32_128", "antialias", "antialiased shrink f32 S → 128³",
        f"triangle as wide as the step, {HALF_PIXEL}",
        _resample("float32", _model, antialias=True), {"skimage resize": (20, 35), "MONAI Resize": (60, 100)},
    ),
    Case(
        "oblique_f32_128", "oblique", "general grid_map (oblique) linear f32 S → 128³",
        "index to index, inside the volume",
        _oblique, {"SimpleITK Resample": (5, 10), "torch grid_sample": (3, 5)}, rivals=1e-3,
    ),
    Case(
        "zscore_f32", "zscore", "z-score of nonzero f32 S", "mean and std (n) of voxels ≠ 0, applied to all",
        _normalize("float32", "zscore"), {"numpy": (8, 12)},
    ),
    Case(
        "clip_f32", "clip", "percentile clip f32 S", "0.5 and 99.5 %, linear definition, to 0..1",
        _normalize("float32", "percentile"), {"numpy percentile": (7, 12)},
    ),
    *(
        Case(
            f"stats_{short}", "stats", f"intensity_stats {short} S: moments and two percentiles",
            "std with n; linear definition", _stats(dtype), {}, tolerance=1e-6,
        )
        for short, dtype in (("u8", "uint8"), ("f32", "float32"))
    ),
)  # fmt: skip
