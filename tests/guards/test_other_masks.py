"""Null of other subjects' masks: rows against runs with exchanged masks, which scans are taken, the same twice."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coarse_maps import upsampled
from numpy.typing import NDArray

import layer_fast as lf
import tiny
from layer_fast.cli.summary_files import write_summary
from layer_fast.guards import in_less_out
from layer_fast.guards.other_masks import SCANS, _like, _Packed, few_of_many
from layer_fast.types import ScanRef

OPTIONS: dict[str, Any] = {"guards": ("nulls",), "setups": ("bmode", "both"), "methods": ("gradcam", "gradient")}
VARIANT = "null:other_masks"


def mask_of(subject: int) -> NDArray[np.uint8]:
    """Every border `subject` voxels deeper; the last subject has no deep fascial membrane."""
    labels = np.clip((np.arange(tiny.GRID[1]) - subject) // 4, 0, 6)
    labels[(labels == 5) & (subject == 3)] = 6
    return np.broadcast_to(labels[None, :, None], tiny.GRID).astype(np.uint8)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("exchanged")
    table = tiny.write_cohort(folder / "cohort", 8, masks=True)
    for i in range(8):
        tiny.write_volume(table.parent / f"m{i}.nii.gz", mask_of(i // 2))
    return tiny.write_models(folder / "models", ("bmode", "both")), table


@pytest.fixture(scope="module")
def out(world: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nulls") / "out"
    assert lf.run_cohort(world[1], world[0], folder, OPTIONS).complete
    return folder


def taken() -> list[str]:
    """One scan of each of the four subjects, by the hash of its name."""
    pairs = [(f"s{2 * i:03d}", f"s{2 * i + 1:03d}") for i in range(4)]
    return [min(pair, key=lambda name: hashlib.sha256(name.encode()).hexdigest()) for pair in pairs]


def found(out: Path, **wanted: Any) -> list[dict[str, Any]]:
    table = [r for r in tiny.rows(out, "guards") if r["variant"] == VARIANT]
    return [r for r in table if all(r[k] == v for k, v in wanted.items())]


def differences(out: Path, scan: str, **cell: Any) -> NDArray[np.float64]:
    """Mean inside less mean outside by label, from the layer table of a run."""
    table = [r for r in tiny.rows(out, "layers") if r["scan_id"] == scan and r["region_kind"] != "group"]
    table = [r for r in table if all(r[k] == v for k, v in cell.items())]
    n = np.array([r["n_voxels"] for r in table], float)
    sums = np.array([0.0 if r["n_voxels"] == 0 else r["mean"] * r["n_voxels"] for r in table])
    order = np.argsort([r["label_value"] for r in table])
    with np.errstate(invalid="ignore"):
        return (sums / n - (sums.sum() - sums) / (n.sum() - n))[order]


def test_rows_are_those_of_runs_with_exchanged_masks(out: Path, world: tuple[Path, Path], tmp_path: Path) -> None:
    with world[1].open() as file:
        lines = {row["scan_id"]: row for row in csv.DictReader(file)}
    exchanged = [
        {**lines[a], "scan_id": f"{a}-{b}", "mask": lines[b]["mask"]} for a in taken() for b in taken() if a != b
    ]
    table = world[1].with_name("exchanged.csv")
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, exchanged[0].keys())
        writer.writeheader()
        writer.writerows(exchanged)
    lf.run_cohort(table, world[0], tmp_path, {**OPTIONS, "guards": ()})
    for method, setup, channel in (("gradcam", "bmode", ""), ("gradient", "both", ""), ("gradient", "both", "swe")):
        cell = {"method": method, "setup": setup, "channel": channel}
        for i, scan in enumerate(taken()):
            rows = found(out, scan_id=scan, **cell)
            assert [r["label_value"] for r in rows] == list(range(7))
            own = differences(out, scan, **cell)
            others = [o for j, o in enumerate(taken()) if o != scan and (j != 3 or i == 3)]  # without label 5: not like
            null = np.array([differences(tmp_path, f"{scan}-{other}", **cell) for other in others])
            assert [r["value"] for r in rows] == pytest.approx(own, rel=1e-5, abs=1e-9, nan_ok=True)
            held = [k for k in range(7) if k != 5 or i != 3]
            means = [rows[k]["null_mean"] for k in held]
            assert means == pytest.approx(null.mean(axis=0)[held], rel=1e-5, abs=1e-9)
            p = (1 + (null >= own).sum(axis=0)) / (1 + len(null))
            assert [rows[k]["null_p"] for k in held] == pytest.approx(p[held])
            assert {r["null_n"] for r in rows} == {len(others)}


def test_one_scan_a_subject_whatever_the_order_and_at_most_so_many(out: Path) -> None:
    assert {r["scan_id"] for r in found(out)} == set(taken())
    refs = [ScanRef(f"scan{i}", f"p{i % 70}") for i in range(140)]
    few = few_of_many(refs)
    assert few == few_of_many(refs[::-1]) and len(few) == SCANS == len({ref.subject for ref in few})


def test_the_same_bytes_when_a_run_goes_on(out: Path, world: tuple[Path, Path]) -> None:
    before = (out / "guards.parquet").read_bytes()
    (next((out / "ledger").glob("*/*.json"))).unlink()
    assert lf.run_cohort(world[1], world[0], out, OPTIONS).reused == 7
    assert (out / "guards.parquet").read_bytes() == before


def test_only_the_guard_nulls_asks_for_it_and_a_broken_scan_is_left_out(
    world: tuple[Path, Path], tmp_path: Path
) -> None:
    lf.run_cohort(world[1], world[0], tmp_path / "none", {**OPTIONS, "guards": ("leakage",)})
    assert found(tmp_path / "none") == []
    pipeline = lf.Pipeline(world[0], OPTIONS)
    refs = lf.load_table(world[1])
    broken = [*refs[2:], ScanRef("broken", "nobody", bmode=tmp_path / "missing.nii.gz")]
    assert set(pipeline.other_masks(broken)) == set(taken()[1:])


def test_guards_json_says_that_few_draws_tell_nothing(out: Path) -> None:
    write_summary(out)
    entries = json.loads((out / "guards.json").read_text())["guards"]
    mine = [e for e in entries if e["name"] == "null_other_masks"]
    assert {e["method"] for e in mine} == {"gradcam", "gradient"}
    assert all(e["fired"] is None and "draws are too few" in e["sentence"] for e in mine)


def test_in_less_out_by_brute_force() -> None:
    rng = np.random.default_rng(0)
    stack = rng.normal(size=(3, 2, 5, 3)).astype(np.float32)
    labels = np.sort(rng.integers(0, 6, (4, 20, 6)), axis=1).astype(np.uint8)
    expected = [
        [full[labels == k].mean() - full[labels != k].mean() if (labels == k).any() else np.nan for k in range(7)]
        for full in (upsampled(one.astype(float), labels.shape) for one in stack)
    ]
    assert in_less_out(stack, labels) == pytest.approx(np.array(expected), abs=1e-6, nan_ok=True)


def test_masks_of_other_grids_are_brought_to_this_one_and_poorer_ones_left_out() -> None:
    own, fine = mask_of(0), np.repeat(mask_of(1), 2, axis=1)
    like = list(_like(own, [_Packed(fine), _Packed(mask_of(3)), _Packed(mask_of(2))], 1))
    assert len(like) == 2
    assert np.array_equal(like[0], mask_of(1)) and np.array_equal(like[1], mask_of(2))
