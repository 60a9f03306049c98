"""Pictures of example scans as PNG: the slice, the layer outlines, the maps over it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LayerFastError
from ..files import BROKEN_NPZ
from ..types import REGIONS, SETUPS
from .figures import data_uri
from .style import COLOURS, METHOD_TITLES, setup_title

HEIGHT = 300  # pixels of a panel before the browser scales it
Rgb = NDArray[np.float64]
HOLE = 0.16  # grey of shear-wave holes: no value of the colour map
OWN = [COLOURS[name] for name in REGIONS[1:]]  # of the outlines, by label
WHITE = ["#FFFFFF"] * len(OWN)  # on the colours of the shear wave every colour of a layer gets lost somewhere


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture with what it shows, in words and numbers. `uri` holds PNG bytes; width, height: in these proportions
    the picture has the slice's millimetres, as far as they are known. shows: the setups of which it shows something;
    empty: of all. ramp: the colour map's ends as text and its colours in between, for pictures of one quantity."""

    uri: str
    width: int
    height: int
    caption: str
    shows: tuple[str, ...] = ()
    ramp: tuple[str, str, str] | None = None


def read_pictures(folder: Path, found: Mapping[str, Any] | None) -> dict[str, tuple[Panel, ...]]:
    """The panels of every scan of examples.json whose picture is in the folder, by scan_id; of the setups in which it
    has a role.

    Raises LayerFastError that names a file which is not such a picture, and for a name that is no file's there."""
    out = {}
    for scan in (found or {}).get("scans", ()):
        name = scan["picture"]
        if name is not None and Path(name).name != name:
            raise LayerFastError(f"examples.json: expected the name of a file in {folder.name}/, found {name!r}")
        if name is not None and (folder / name).is_file():
            own = [e["setup"] for e in (found or {})["setups"]
                   if any(r["scan_id"] == scan["scan_id"] for r in e["roles"])]  # fmt: skip
            out[scan["scan_id"]] = read_picture(folder / name, own)
    return out


def read_picture(path: Path, setups: Sequence[str] = SETUPS) -> tuple[Panel, ...]:
    """The panels of one picture, those of these setups. LayerFastError names a file that is not one."""
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
    return tuple(_panels(arrays, labels, setups))


def _panels(arrays: dict[str, NDArray[Any]], labels: NDArray[np.int64], setups: Sequence[str]) -> list[Panel]:
    spacing = _spacing(arrays.get("spacing_mm"))
    size = _size(labels.shape, spacing)
    scale = _scale(labels.shape, size)
    big = _enlarge(labels, scale)
    lines = np.where(_edges(big), big, 0)
    grey = _grey(arrays.get("bmode"), labels.shape)
    ground = _enlarge(grey, scale)
    panels = []
    if "bmode" in arrays:
        panels.append(_panel(grey, size, f"B-mode{_millimetres(labels.shape, spacing)}"))
        panels.append(_panel(_tint(ground, big), size, "layers", lines=lines))
    if "swe" in arrays and set(setups) & {"swe", "both"}:
        picture, text, ramp = _speed(arrays["swe"])
        shown = _panel(_enlarge(picture, scale), size, text, ("swe", "both"), lines=lines, line_colours=WHITE)
        panels.append(replace(shown, ramp=ramp))
    method = METHOD_TITLES.get(str(arrays.get("method", "")), "map")
    for setup in SETUPS:
        if setup in setups and f"map_{setup}" in arrays:
            picture, text = _heat(ground, _enlarge(arrays[f"map_{setup}"].astype(np.float64), scale))
            title = f"{method}, {setup_title(setup)}: {text}"
            panels.append(_panel(picture, size, title, (setup,), lines=lines))
    return panels


def _spacing(spacing_mm: NDArray[Any] | None) -> tuple[float, float] | None:
    """Millimetres of a voxel (y, x); None: not known."""
    if spacing_mm is None or not (np.isfinite(spacing_mm[-2:]).all() and (spacing_mm[-2:] > 0).all()):
        return None
    return float(spacing_mm[-2]), float(spacing_mm[-1])


def _size(shape: tuple[int, ...], spacing: tuple[float, float] | None) -> tuple[int, int]:
    """Pixels (width, height) on the page, HEIGHT high, in the proportions of the millimetres (not known: voxels)."""
    dy, dx = spacing or (1.0, 1.0)
    return max(1, round(HEIGHT * shape[1] * dx / (shape[0] * dy))), HEIGHT


def _millimetres(shape: tuple[int, ...], spacing: tuple[float, float] | None) -> str:
    if spacing is None:
        return ", size unknown"
    return f", {shape[0] * spacing[0]:.0f} mm deep, {shape[1] * spacing[1]:.0f} mm wide"


def _scale(shape: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int]:
    """Whole factors (y, x) by which voxels are repeated, so that an outline is about one pixel of the page thick."""
    return max(1, round(size[1] / shape[0])), max(1, min(16, round(size[0] / shape[1])))


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


def _grey(bmode: NDArray[Any] | None, shape: tuple[int, ...]) -> Rgb:
    """0..1; a picture that is not 8-bit is scaled to its own finite range."""
    if bmode is None:
        return np.full(shape, 0.25)
    if bmode.dtype == np.uint8:
        return bmode / 255.0
    return _unit(bmode.astype(np.float64))[0]


def _speed(swe: NDArray[Any]) -> tuple[Rgb, str, tuple[str, str, str] | None]:
    from matplotlib import colormaps

    unit, low, high = _unit(swe.astype(np.float64))
    colours = colormaps["viridis"]
    picture = np.asarray(colours(np.nan_to_num(unit)))[..., :3]
    picture[np.isnan(swe)] = HOLE
    if np.isnan(low):
        return picture, "shear wave: no valid voxel in this slice", None
    stops = ",".join("#" + "".join(f"{round(255 * c):02x}" for c in colours(k / 4)[:3]) for k in range(5))
    text = "shear wave speed in m/s, layer borders white, holes dark grey"
    return picture, text, (f"{low:.1f}", f"{high:.1f}", stops)


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


def _panel(
    picture: Rgb,
    size: tuple[int, int],
    caption: str,
    shows: tuple[str, ...] = (),
    *,
    lines: NDArray[np.int64] | None = None,
    line_colours: Sequence[str] = OWN,
) -> Panel:
    """picture: 0..1, grey (y, x), which is kept exactly, or colours (y, x, 3) with outlines: labels, 0 for none."""
    from PIL import Image

    image = Image.fromarray(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8))
    if lines is not None:
        image = _outlined(image, lines, line_colours)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return Panel(data_uri("image/png", buffer.getvalue()), *size, caption, shows)


def _outlined(image: Any, lines: NDArray[np.int64], colours: Sequence[str]) -> Any:
    """A palette picture, half the bytes: its own colours merged into what 256 leave, those of the outlines kept."""
    from PIL import Image

    free = 256 - len(colours)
    image = image.quantize(free, dither=Image.Dither.NONE)
    index = np.where(lines > 0, free - 1 + lines, np.asarray(image)).astype(np.uint8)
    own = image.getpalette()[: 3 * free]
    out = Image.fromarray(index)
    out.putpalette(own + [0] * (3 * free - len(own)) + [round(255 * c) for name in colours for c in _rgb(name)])
    return out
