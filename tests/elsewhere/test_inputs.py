"""Where maps and masks come from: files with their own place, channels, soft masks, arrays; and what is refused."""

from __future__ import annotations

from pathlib import Path

import map_files as files
import numpy as np
import pytest
from scipy import ndimage

import tolerances
from layer_fast import quantify_map, read_labels
from layer_fast.errors import ConfigError, ReadError, StepFailure
from layer_fast.io import read_maps
from layer_fast.types import LAYERS

NEAR = tolerances.INTERPOLATION_RELATIVE


def by_layer(found: object, definition: str, channel: str = "") -> dict[str, float]:
    rows = found.rows  # type: ignore[attr-defined]
    mine = [
        r for r in rows if r["definition"] == definition and r["channel"] == channel and r["region_kind"] == "layer"
    ]
    return {row["region"]: row["value"] for row in mine}


def on_mask(coarse: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """SciPy's linear interpolation at the mask's voxels, in world coordinates, edges held."""
    index = np.indices(files.labels().shape).reshape(3, -1)[::-1]
    world = files.MASK_AFFINE[:3, :3] @ index + files.MASK_AFFINE[:3, 3:]
    at = np.linalg.inv(affine[:3, :3]) @ (world - affine[:3, 3:])
    values = ndimage.map_coordinates(coarse.astype(np.float64), at[::-1], order=1, mode="nearest")
    return np.asarray(values.reshape(files.labels().shape))


@pytest.mark.parametrize("turned", [False, True])
def test_a_coarse_map_is_read_where_its_affine_says(turned: bool, tmp_path: Path) -> None:
    coarse, affine = files.coarse_map(), files.coarse_affine()
    stored = coarse
    if turned:  # x runs the other way in the file, y and z change places: the same map in space
        stored = coarse.transpose(1, 0, 2)[:, :, ::-1]
        affine = affine @ np.array([[-1, 0, 0, 5], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])
    path = files.save(tmp_path / "map.nii.gz", np.ascontiguousarray(stored), affine)
    found = quantify_map(path, files.mask_file(tmp_path), definitions=["mean", "share_of_labelled", "std"])
    s, labels = on_mask(coarse, files.coarse_affine()), files.labels()
    for k, name in enumerate(LAYERS, start=1):
        inside = labels == k
        assert by_layer(found, "mean")[name] == pytest.approx(s[inside].mean(), rel=NEAR)
        assert by_layer(found, "std")[name] == pytest.approx(s[inside].std(), rel=NEAR)
        assert by_layer(found, "share_of_labelled")[name] == pytest.approx(
            s[inside].sum() / s[labels > 0].sum(), rel=NEAR
        )
    assert found.facts["interpolation"].startswith("linear")
    assert all("map_interpolated" in row["flags"] for row in found.rows)
    assert found.rows[1]["volume_mm3"] == pytest.approx((labels == 1).sum() * 0.125)


def test_a_coarse_map_over_more_than_the_mask_is_read_there(tmp_path: Path) -> None:
    wide, affine = files.coarse_map(channels=0), files.coarse_affine()
    wide = np.pad(wide, 2, mode="reflect")
    affine[:3, 3] -= affine[:3, :3] @ [2, 2, 2]
    path = files.save(tmp_path / "map.nii.gz", wide, affine)
    found = by_layer(quantify_map(path, files.mask_file(tmp_path), definitions="mean"), "mean")
    s = on_mask(wide, affine)
    assert found["muscle"] == pytest.approx(s[files.labels() == 6].mean(), rel=NEAR)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("shift", "up to 2.750 mm outside the map"),
        ("mask_affine", "outside the map"),  # a coarse array saved with the affine of the fine image
        ("finer", "4 times finer than the mask"),
        ("unplaced", "does not say where it lies"),
    ],
)
def test_another_place_is_refused_by_name(change: str, said: str, tmp_path: Path) -> None:
    array, affine = files.coarse_map(), files.coarse_affine()
    if change == "shift":
        affine[0, 3] += 3.0
    elif change == "mask_affine":
        affine = files.MASK_AFFINE
    elif change == "finer":
        array = np.zeros((6, 112, 12), np.float32)
        affine = files.MASK_AFFINE @ np.diag([1, 0.25, 1, 1])
        affine[1, 3] -= 0.25 * 0.375
    path = files.save(tmp_path / "odd_map.nii.gz", array, None if change == "unplaced" else affine)
    with pytest.raises(StepFailure) as caught:
        quantify_map(path, files.mask_file(tmp_path))
    assert caught.value.code == "geometry_mismatch"
    assert said in str(caught.value)
    assert "odd_map.nii.gz" in str(caught.value)
    assert "mask.nii.gz" in str(caught.value)


def test_a_map_on_the_masks_grid_is_not_interpolated(tmp_path: Path) -> None:
    s = np.random.default_rng(1).normal(size=(6, 28, 12)).astype(np.float32)
    affine = files.MASK_AFFINE.copy()
    affine[0, 3] += 0.01  # within the tolerance of one grid
    found = quantify_map(files.save(tmp_path / "m.nii", s, affine), files.mask_file(tmp_path), definitions=["mean"])
    assert found.facts["interpolation"] == "none: one grid"
    assert by_layer(found, "mean")["muscle"] == pytest.approx(s[files.labels() == 6].mean(dtype=np.float64))


def test_a_fourth_axis_is_channels(tmp_path: Path) -> None:
    maps = files.coarse_map(channels=3)
    path, mask = files.save(tmp_path / "maps.nii.gz", maps, files.coarse_affine()), files.mask_file(tmp_path)
    assert np.array_equal(np.stack([v.array for v in read_maps(path)]), maps)
    found = quantify_map(path, mask, definitions="mean")
    for k in range(3):
        single = quantify_map(
            files.save(tmp_path / "one.nii", maps[k], files.coarse_affine()), mask, definitions="mean"
        )
        assert by_layer(found, "mean", str(k)) == by_layer(single, "mean")
    assert found.facts["channels"] == 3
    wide = maps.astype(np.float64)
    pools = {"sum": wide.sum(axis=0), "mean": wide.mean(axis=0), "max": wide.max(axis=0),
             "l2": np.sqrt((wide**2).sum(axis=0))}  # fmt: skip
    for how, pooled in pools.items():
        one = {"name": "it", "statistic": "mean", "channels": how}
        expected = on_mask(pooled, files.coarse_affine())[files.labels() == 6].mean()
        rows = by_layer(quantify_map(path, mask, definitions=one), "it", how)
        assert rows["muscle"] == pytest.approx(expected, rel=NEAR)


def test_scaled_integers_with_channels(tmp_path: Path) -> None:
    import nibabel as nib

    maps = np.arange(2 * 6 * 28 * 12).reshape(2, 6, 28, 12)
    image = nib.Nifti1Image((maps % 200).astype(np.int16).transpose(3, 2, 1, 0), files.MASK_AFFINE)
    image.header.set_slope_inter(0.5, -1.0)
    nib.save(image, tmp_path / "m.nii.gz")
    found = np.stack([v.array for v in read_maps(tmp_path / "m.nii.gz")])
    assert np.array_equal(found, np.asarray(nib.load(tmp_path / "m.nii.gz").dataobj).transpose(3, 2, 1, 0))


def test_two_axes_beside_space_are_refused(tmp_path: Path) -> None:
    import nibabel as nib

    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3, 2, 2), np.float32), np.eye(4)), tmp_path / "m.nii")
    with pytest.raises(ReadError, match=r"not_3d: 'm.nii' .* expected one axis"):
        read_maps(tmp_path / "m.nii")


def test_a_soft_mask_from_a_file(tmp_path: Path) -> None:
    hard = np.stack([(files.labels() == k) for k in range(7)]).astype(np.float32)
    soft = files.save(tmp_path / "soft.nii.gz", hard, files.MASK_AFFINE)
    path = files.save(tmp_path / "map.nii.gz", files.coarse_map(), files.coarse_affine())
    one = {"name": "it", "statistic": "mean", "mask": {"kind": "soft"}}
    found = by_layer(quantify_map(path, soft, definitions=one), "it")
    assert found == pytest.approx(by_layer(quantify_map(path, files.mask_file(tmp_path), definitions="mean"), "mean"))
    with pytest.raises(ConfigError, match=r"mask kind 'hard' expects labels, .*soft.nii.gz holds weights"):
        quantify_map(path, soft, definitions="mean")
    with pytest.raises(ConfigError, match=r"'it': mask kind 'soft' expects weights, .*mask.nii.gz holds labels"):
        quantify_map(path, files.mask_file(tmp_path), definitions=one)
    for bad, said in ((hard[:6], "7 channels"), (hard * 0.5, "add up to 1"), (hard * 2, "in 0..1")):
        files.save(tmp_path / "bad.nii.gz", bad, files.MASK_AFFINE)
        with pytest.raises(ReadError, match=said) as caught:
            quantify_map(path, tmp_path / "bad.nii.gz", definitions=one)
        assert "bad.nii.gz" in str(caught.value)


def test_labels_of_another_scheme(tmp_path: Path) -> None:
    labels = files.labels() * 40  # 0, 40 .. 240
    mask = files.save(tmp_path / "mask.nii.gz", labels, files.MASK_AFFINE)
    path = files.save(tmp_path / "map.nii.gz", files.coarse_map(), files.coarse_affine())
    names = {f"l{k}": 40 * k for k in range(1, 7)}
    found = quantify_map(path, mask, definitions=["mean", "median"], layers=names, groups={})
    plain = quantify_map(path, files.mask_file(tmp_path / "."), definitions=["mean", "median"])
    for name in ("mean", "median"):
        assert list(by_layer(found, name).values()) == list(by_layer(plain, name).values())
    with pytest.raises(ReadError, match=r"label_values: 'other.nii.gz': expected .*240 l6.* found 0, 40, 80, 120"):
        quantify_map(path, files.save(tmp_path / "other.nii.gz", np.where(labels == 200, 199, labels).astype(np.uint8),
                                      files.MASK_AFFINE), layers=names, groups={})  # fmt: skip


def test_files_at_fault_are_named(tmp_path: Path) -> None:
    mask = files.mask_file(tmp_path)
    holes = files.coarse_map()
    holes[0, 0, 0] = np.nan
    bad = files.save(tmp_path / "holes.nii.gz", holes, files.coarse_affine())
    huge = files.save(tmp_path / "huge.nii.gz", files.coarse_map().astype(np.float64) * 1e300, files.coarse_affine())
    for path, said in (
        (bad, "non_finite: 'holes.nii.gz': 1 voxels"),
        (huge, "huge.nii.gz: expected values in the range of float32"),
        (tmp_path / "absent.nii", "not_found: 'absent.nii'"),
    ):
        with pytest.raises(ReadError) as caught:
            quantify_map(path, mask)
        assert said in str(caught.value)
    fine = files.save(tmp_path / "map.nii.gz", files.coarse_map(), files.coarse_affine())
    with pytest.raises(ReadError, match=r"label_values: 'map.nii.gz'"):
        quantify_map(fine, fine)
    with pytest.raises(ConfigError, match="spacing_mm goes with a mask without a place"):
        quantify_map(fine, mask, spacing_mm=(1, 1, 1))


def test_float64_that_is_rounded_is_said(tmp_path: Path) -> None:
    path = files.save(tmp_path / "m.nii", files.coarse_map().astype(np.float64) / 3, files.coarse_affine())
    assert "rounded_to_float32" in quantify_map(path, files.mask_file(tmp_path)).facts["flags"]


def test_arrays_fill_one_field_of_view(tmp_path: Path) -> None:
    coarse, mask = files.coarse_map(), files.mask_file(tmp_path)
    path = files.save(tmp_path / "m.nii", coarse, files.coarse_affine())
    placed = by_layer(quantify_map(path, mask, definitions="mean"), "mean")
    bare = quantify_map(coarse, files.labels(), definitions="mean", spacing_mm=(1.0, 0.25, 0.5))
    assert by_layer(bare, "mean") == pytest.approx(placed, rel=NEAR)
    assert bare.rows[0]["volume_mm3"] == (files.labels() == 0).sum() * 0.125
    volumes = quantify_map(read_maps(path)[0], read_labels(mask), definitions="mean")
    assert by_layer(volumes, "mean") == placed
    assert quantify_map(coarse, files.labels(), definitions="mean").rows[0]["volume_mm3"] is None
    assert by_layer(quantify_map(coarse[None], files.labels().astype(np.int64), definitions="mean"), "mean") == (
        by_layer(bare, "mean")
    )


@pytest.mark.parametrize(
    ("found", "mask", "error", "said"),
    [
        (np.ones((4, 4)), files.labels(), ValueError, r"expected map as numbers"),
        (np.ones((7, 28, 12)), files.labels(), ValueError, r"no finer than the mask"),
        (np.full((3, 7, 6), np.nan), files.labels(), ValueError, r"finite values in map, got 126"),
        (np.ones((3, 7, 6), complex), files.labels(), ValueError, r"complex128"),
        ([1, 2], files.labels(), TypeError, r"a file, a Volume or a NumPy or DLPack array, got list"),
        (np.ones((3, 7, 6)), files.labels() + 1, ValueError, r"labels of the mask among 0 background.*got \[7\]"),
        (np.ones((3, 7, 6)), files.labels() / 1.0, ValueError, r"whole numbers"),
        (np.ones((3, 7, 6)), files.labels()[None] / 1.0, ValueError, r"soft mask of 7 channels"),
    ],
)
def test_arrays_at_fault(found: object, mask: object, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        quantify_map(found, mask)


@pytest.mark.parametrize(
    ("definitions", "said"),
    [
        ("LAYER", "unknown definition 'LAYER'; known: mean,"),
        (7, "definition: expected a mapping of fields, found int"),
        ([7], "definition: expected a mapping of fields, found int"),
        ([], "expected a definition"),
        ([{"name": "mean", "statistic": "sum"}, "mean"], "two different definitions are called 'mean'"),
        ({"name": "g", "statistic": "gain"}, "'g': gain compares patients with controls and needs a cohort"),
        (
            {"name": "g", "statistic": "mean", "normalise": {"kind": "max", "scope": "cohort"}},
            "needs the maps of a cohort",
        ),
        ({"name": "g", "statistic": "mean", "normalise": {"kind": "max", "scope": "subject"}}, "maps of a subject"),
        ({"name": "g", "statistic": {"name": "top_k_intersection", "k": 2017}}, "at most the 2016 voxels"),
    ],
)
def test_definitions_at_fault(definitions: object, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        quantify_map(files.coarse_map(), files.labels(), definitions=definitions)  # type: ignore[arg-type]
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ({}, "expected a layer"), ("muscle", "expected names"), ({"a": 0}, "label from 1 to 253"),
        ({"a": True}, "label from 1"), ({"a": 1, "b": 1}, "every name and label once"), (["a", "a"], "once"),
        (["background"], "once"), (["a b"], "letters"),
    ],
)  # fmt: skip
def test_layers_at_fault(layers: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        quantify_map(files.coarse_map(), files.labels(), layers=layers, groups={})  # type: ignore[arg-type]


def test_torch_tensors_come_in() -> None:
    torch = pytest.importorskip("torch")
    coarse = files.coarse_map()
    found = quantify_map(torch.from_numpy(coarse), torch.from_numpy(files.labels().copy()), definitions="mean")
    assert by_layer(found, "mean") == by_layer(quantify_map(coarse, files.labels(), definitions="mean"), "mean")
