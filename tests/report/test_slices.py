"""Pictures of example scans: grey is exact, outlines keep their colours, proportions are those of the millimetres."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from layer_fast.report.slices import HEIGHT, Panel, read_picture, read_pictures
from layer_fast.report.style import COLOURS
from layer_fast.types import LAYERS
from report.fake_results import make_picture


def write(path: Path, **changed: Any) -> dict[str, Any]:
    arrays = {**make_picture(np.random.default_rng(3)), "method": "gradcam", **changed}
    np.savez(path, **{name: a for name, a in arrays.items() if a is not None})
    return arrays


def image(panel: Panel) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(panel.uri.partition(",")[2])))


def colours(panel: Panel) -> set[tuple[int, int, int]]:
    return {tuple(c) for c in np.asarray(image(panel).convert("RGB")).reshape(-1, 3).tolist()}


def layer_colours() -> set[tuple[int, int, int]]:
    return {tuple(int(COLOURS[name][i : i + 2], 16) for i in (1, 3, 5)) for name in LAYERS}


def test_the_grey_slice_is_kept_exactly(tmp_path: Path) -> None:
    arrays = write(tmp_path / "p.npz")
    bmode = read_picture(tmp_path / "p.npz")[0]
    assert image(bmode).mode == "L"
    assert np.array_equal(np.asarray(image(bmode)), arrays["bmode"])
    assert bmode.caption == "B-mode, 40 mm deep, 38 mm wide"


def test_outlines_keep_the_colours_of_the_legend(tmp_path: Path) -> None:
    write(tmp_path / "p.npz")
    panels = read_picture(tmp_path / "p.npz")
    shown = {p.caption.partition(" ")[0]: p for p in panels}
    assert [p.shows for p in panels] == [(), (), ("swe", "both"), ("bmode",), ("swe",), ("both",)]
    for panel in (shown["layers"], *panels[3:]):
        assert image(panel).mode == "P" and layer_colours() <= colours(panel), panel.caption
    assert (255, 255, 255) in colours(shown["shear"]) and not layer_colours() & colours(shown["shear"])


def test_colours_of_the_palette_are_near_those_of_the_picture(tmp_path: Path) -> None:
    """Where nothing is tinted the picture of layers is the grey slice, as near as 250 colours come."""
    arrays = write(tmp_path / "p.npz", labels=np.zeros((160, 64), np.uint8))
    grey, layers = read_picture(tmp_path / "p.npz")[:2]
    big = np.asarray(image(layers).convert("RGB")).astype(int)
    rows, columns = big.shape[0] // 160, big.shape[1] // 64
    own = arrays["bmode"].repeat(rows, axis=0).repeat(columns, axis=1).astype(int)
    assert np.abs(big - own[..., None]).max() <= 2
    assert image(grey).size == (64, 160)


@pytest.mark.parametrize(("spacing", "width", "said"), [
    ([1.5, 0.25, 0.625], HEIGHT, "B-mode, 40 mm deep, 40 mm wide"),
    ([1.5, 0.5, 0.75], 180, "B-mode, 80 mm deep, 48 mm wide"), ([1.5, np.nan, 0.6], 120, "B-mode, size unknown"),
    ([1.5, 0.0, 0.6], 120, "B-mode, size unknown"), (None, 120, "B-mode, size unknown"),
])  # fmt: skip
def test_proportions_are_those_of_the_millimetres(tmp_path: Path, spacing: Any, width: int, said: str) -> None:
    write(tmp_path / "p.npz", spacing_mm=None if spacing is None else np.array(spacing))
    panels = read_picture(tmp_path / "p.npz")
    assert {(p.width, p.height) for p in panels} == {(width, HEIGHT)}
    assert panels[0].caption == said


def test_shear_wave_has_a_scale_with_its_ends_in_numbers(tmp_path: Path) -> None:
    arrays = write(tmp_path / "p.npz")
    swe = read_picture(tmp_path / "p.npz")[2]
    assert swe.ramp is not None and swe.ramp[:2] == (
        f"{np.nanmin(arrays['swe']):.1f}", f"{np.nanmax(arrays['swe']):.1f}")  # fmt: skip
    assert swe.ramp[2].split(",")[0] == "#440154" and len(swe.ramp[2].split(",")) == 5
    write(tmp_path / "q.npz", swe=np.full((160, 64), np.nan, np.float32))
    empty = read_picture(tmp_path / "q.npz")[2]
    assert empty.ramp is None and empty.caption == "shear wave: no valid voxel in this slice"


def test_only_panels_of_the_setups_of_a_role_are_made(tmp_path: Path) -> None:
    write(tmp_path / "p.npz")
    scan = {"scan_id": "s", "picture": "p.npz"}
    roles = {"bmode": ["s"], "swe": ["another"], "both": [None]}
    entries = [{"setup": name, "roles": [{"scan_id": s} for s in who]} for name, who in roles.items()]
    panels = read_pictures(tmp_path, {"scans": [scan], "setups": entries})["s"]
    assert [p.shows for p in panels] == [(), (), ("bmode",)]
    assert read_pictures(tmp_path, None) == {}
