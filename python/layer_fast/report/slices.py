"""Pictures of example scans as PNG: the slice, the layer outlines, the maps over it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LayerFastError
from ..files import BROKEN_NPZ
from ..types import REGIONS, SETUPS
from .figures import data_uri
from .style import COLOURS, METHOD_TITLES, setup_title

HEIGHT = 300  # pixels of a panel, at most, before the browser scales it
Rgb = NDArray[np.float64]
HOLE = 0.16  # grey of shear-wave holes: no value of the colour map


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture with what it shows, in words and numbers. `uri` holds PNG bytes. shows: the setups of which it shows
    something; empty: of all."""

    uri: str
    width: int
    height: int
    caption: str
    shows: tuple[str, ...] = ()


def read_pictures(folder: Path, found: Mapping[str, Any] | None) -> dict[str, tuple[Panel, ...]]:
    """The panels of every scan of examples.json whose picture is in the folder, by scan_id.

    Raises LayerFastError that names a file which is not such a picture, and for a name that is no file's there."""
    out = {}
    for scan in (found or {}).get("scans", ()):
        name = scan["picture"]
        if name is not None and Path(name).name != name:
            raise LayerFastError(f"examples.json: expected the name of a file in {folder.name}/, found {name!r}")
        if name is not None and (folder / name).is_file():
            out[scan["scan_id"]] = read_picture(folder / name)
    return out


def read_picture(path: Path) -> tuple[Panel, ...]:
    """The panels of one picture. LayerFastError names a file that is not one."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except BROKEN_NPZ as error:
        kind = type(error).__name__
        raise LayerFastError(f"{path.name}: expected a picture of a run, cannot be read ({kind})") from None
    if "labels" not in arrays or arrays["labels"].ndim != 2:
        raise LayerFastError(f"{path.name}: expected an array labels (y, x), found {sorted(arrays)}")
    labels = arrays["labels"].astype(np.int64)
    shape = labels.shape
    wrong = [n for n, a in arrays.items() if a.ndim == 2 and a.shape != shape]
    if wrong:
        raise LayerFastError(f"{path.name}: expected arrays of the slice's shape {shape}, differing: {sorted(wrong)}")
    return tuple(_panels(arrays, labels))


def _panels(arrays: dict[str, NDArray[Any]], labels: NDArray[np.int64]) -> list[Panel]:
    scale = _scale(labels.shape, arrays.get("spacing_mm"))
    big = _enlarge(labels, scale)
    edges = _edges(big)
    ground = _enlarge(_grey(arrays.get("bmode"), labels.shape), scale)
    panels = []
    if "bmode" in arrays:
        panels.append(_panel(np.repeat(ground[..., None], 3, axis=2), "B-mode"))
        panels.append(_panel(_outline(_tint(ground, big), big, edges), "layers"))
    if "swe" in arrays:
        picture, text = _speed(arrays["swe"])
        panels.append(_panel(_outline(_enlarge(picture, scale), big, edges), text, ("swe", "both")))
    method = METHOD_TITLES.get(str(arrays.get("method", "")), "map")
    for setup in SETUPS:
        if f"map_{setup}" in arrays:
            picture, text = _heat(ground, _enlarge(arrays[f"map_{setup}"].astype(np.float64), scale))
            panels.append(_panel(_outline(picture, big, edges), f"{method}, {setup_title(setup)}: {text}", (setup,)))
    return panels


def _scale(shape: tuple[int, ...], spacing_mm: NDArray[Any] | None) -> tuple[int, int]:
    """Whole factors (y, x) that make the slice about HEIGHT pixels high, with square millimetres as far as known."""
    dy, dx = (1.0, 1.0)
    if spacing_mm is not None and np.isfinite(spacing_mm[-2:]).all() and (spacing_mm[-2:] > 0).all():
        dy, dx = (float(s) for s in spacing_mm[-2:])
    fy = max(1, round(HEIGHT / shape[0]))
    return fy, max(1, min(16, round(fy * dx / dy)))


def _enlarge(picture: NDArray[Any], scale: tuple[int, int]) -> NDArray[Any]:
    return picture.repeat(scale[0], axis=0).repeat(scale[1], axis=1)


def _edges(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Pixels of a layer whose upper, lower, left or right neighbour has another label."""
    edge = np.zeros(labels.shape, dtype=bool)
    for axis in (0, 1):
        low = np.diff(labels, axis=axis) != 0
        at = [(0, 1), (1, 0)]
        for before, after in at:
            pad = [(0, 0), (0, 0)]
            pad[axis] = (before, after)
            edge |= np.pad(low, pad)
    return edge & (labels > 0)


def _tint(ground: Rgb, labels: NDArray[np.int64]) -> Rgb:
    colours = np.array([(0.0, 0.0, 0.0), *(_rgb(COLOURS[name]) for name in REGIONS[1:])])
    alpha = np.where(labels > 0, 0.35, 0.0)[..., None]
    return np.asarray((1 - alpha) * ground[..., None] + alpha * colours[labels])


def _outline(picture: Rgb, labels: NDArray[np.int64], edges: NDArray[np.bool_]) -> Rgb:
    out = picture.copy()
    for value, name in enumerate(REGIONS):
        if value:
            out[edges & (labels == value)] = _rgb(COLOURS[name])
    return out


def _grey(bmode: NDArray[Any] | None, shape: tuple[int, ...]) -> Rgb:
    """0..1; a picture that is not 8-bit is scaled to its own finite range."""
    if bmode is None:
        return np.full(shape, 0.25)
    if bmode.dtype == np.uint8:
        return bmode / 255.0
    return _unit(bmode.astype(np.float64))[0]


def _speed(swe: NDArray[Any]) -> tuple[Rgb, str]:
    from matplotlib import colormaps

    unit, low, high = _unit(swe.astype(np.float64))
    picture = np.asarray(colormaps["viridis"](np.nan_to_num(unit)))[..., :3]
    picture[np.isnan(swe)] = HOLE
    if np.isnan(low):
        return picture, "shear wave: no valid voxel in this slice"
    return picture, f"shear wave {low:.1f} to {high:.1f} m/s, holes dark grey"


def _heat(ground: Rgb, values: Rgb) -> tuple[Rgb, str]:
    """The map over the grey picture: warm where it is positive, blue where negative, opacity by size."""
    from matplotlib import colormaps

    size = np.nanmax(np.abs(values)) if np.isfinite(values).any() else np.nan
    grey = 0.85 * ground[..., None].repeat(3, axis=2)
    if not size > 0:
        return grey, "zero everywhere in this slice"
    relative = np.nan_to_num(values / size)
    warm = np.asarray(colormaps["inferno"](0.25 + 0.75 * np.maximum(relative, 0)))[..., :3]
    cold = np.asarray(colormaps["Blues"](0.4 + 0.6 * np.maximum(-relative, 0)))[..., :3]
    alpha = 0.75 * np.abs(relative)[..., None]
    picture = (1 - alpha) * grey + alpha * np.where(relative[..., None] >= 0, warm, cold)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return picture, f"{low:.2g} to {high:.2g}" if low < 0 else f"largest value {high:.3g}"


def _unit(values: Rgb) -> tuple[Rgb, float, float]:
    """Scaled to 0..1 by the finite range (a constant becomes 0), and that range."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.zeros(values.shape), np.nan, np.nan
    low, high = float(finite.min()), float(finite.max())
    return ((values - low) / (high - low) if high > low else np.zeros(values.shape)), low, high


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255.0 for i in (1, 3, 5))


def _panel(picture: Rgb, caption: str, shows: tuple[str, ...] = ()) -> Panel:
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    pixels = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    nothing: Any = {"Software": None}  # no version in the bytes
    imsave(buffer, pixels, format="png", metadata=nothing)
    return Panel(data_uri("image/png", buffer.getvalue()), pixels.shape[1], pixels.shape[0], caption, shows)
