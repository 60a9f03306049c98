"""A run whose arrays live on an emulated GPU: the tables of the CPU, and what crosses the bus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest

import resident
import tiny
import tolerances
from engines.gpu import Emulated, emulate
from layer_fast import config
from layer_fast.cohort import run_cohort
from layer_fast.models import load_models
from layer_fast.pipeline import Pipeline
from layer_fast.steps import place, reduce
from layer_fast.steps.lane import Lane
from layer_fast.types import LayerMask

METHODS = config.METHODS
OPTIONS = {"methods": METHODS, "ig_steps": 5, "smoothgrad_samples": 3, "pictures": 0, "precision": "float32",
           "lanes": 1, "scan_batch": 2, "guards": (), "ig_baseline": "cohort_profile"}  # fmt: skip


LOGITS = (128 * 2 * 4, 127 * 2 * 4)
"""Bytes of the coalitions' logits of a fill, which the record holds: the scan itself is run once."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_models(tmp_path_factory.mktemp("models") / "tiny", ("bmode", "both"))


@pytest.fixture(scope="module")
def expected(models: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reference") / "out"
    assert run_cohort(table, models, out, {**OPTIONS, "engine": "onnxruntime"}).exit_code == 0
    return out


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Emulated:
    made = emulate(monkeypatch, tmp_path / "cache")
    resident.use(monkeypatch, made.machine)
    return made


def run_json(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "run.json").read_text()))


def arrays_of(table: Path) -> list[np.ndarray]:
    """Volumes and masks of the cohort; none has the size of the coalitions' logits."""
    from layer_fast.io import load_table, read_scan

    scans = [read_scan(ref) for ref in load_table(table)]
    found = [volume.array for scan in scans for volume in (*scan.volumes.values(), *scan.masks.values())]
    assert all(array.nbytes not in LOGITS for array in found)
    return found


def same_tables(found: Path, expected: Path) -> None:
    for name in ("layers", "coalitions", "scans"):
        a, b = (parquet.read_table(folder / f"{name}.parquet").to_pydict() for folder in (found, expected))
        assert a.keys() == b.keys() and len(a["scan_id"]) == len(b["scan_id"]) > 0
        for key in a:
            for x, y in zip(a[key], b[key], strict=True):
                if isinstance(y, float | list):
                    bound = tolerances.ENGINE_TABLES * max(1.0, float(np.nanmax(np.abs(np.array(b[key], float)))))
                    np.testing.assert_allclose(x, y, rtol=0, atol=bound, err_msg=key)
                elif key not in ("key",):
                    assert x == y, key


def test_a_resident_run_gives_the_tables_of_the_cpu(
    gpu: Emulated, models: Path, table: Path, expected: Path, tmp_path: Path
) -> None:
    run = run_cohort(table, models, tmp_path / "out", {**OPTIONS, "engine": "tensorrt"})
    assert run.exit_code == 0, (tmp_path / "out" / "run.json").read_text()
    assert run_json(tmp_path / "out")["engine"]["arrays"] == "cuda"
    assert run.times.seconds["read.ahead"] > 0, "files are read ahead of the lanes"
    same_tables(tmp_path / "out", expected)


def test_between_upload_and_record_no_voxels_come_back(gpu: Emulated, models: Path, table: Path) -> None:
    from layer_fast.io import load_table

    pipeline = Pipeline(models, {**OPTIONS, "engine": "tensorrt"})
    gpu.machine.copies.clear()
    gpu.machine.events.clear()
    records = list(pipeline.stream(load_table(table)))
    assert [record.status for record in records] == ["ok"] * 3
    voxels = int(np.prod(tiny.GRID))
    downloads = [size for way, size in gpu.machine.copies if way == "download" and size not in LOGITS]
    assert max(downloads) < min(voxels, *(work.nbytes for work in arrays_of(table))), "less than any image, mask or map"
    assert gpu.machine.largest("upload") >= voxels, "the volumes went there"
    streams = {event.split()[-1] for event in gpu.machine.events if " on 0x" in event}
    assert len(streams) == 1 and streams != {"0x0"}, "every operation on the lane's own stream"


def test_fills_of_the_host_visit_it(gpu: Emulated, models: Path, table: Path, tmp_path: Path) -> None:
    """Those that are made of the scan itself by NumPy and SciPy: image and labels come down once for each."""
    options = {**OPTIONS, "methods": ("layer_shapley",), "fills": ("constant", "layer_mean", "blur", "shuffle")}
    run_cohort(table, models, tmp_path / "cpu", {**options, "engine": "onnxruntime"})
    assert run_cohort(table, models, tmp_path / "gpu", {**options, "engine": "tensorrt"}).exit_code == 0
    same_tables(tmp_path / "gpu", tmp_path / "cpu")
    assert gpu.machine.largest("download") >= int(np.prod(tiny.GRID)) * 4


def test_bmode_travels_as_bytes_and_once(gpu: Emulated, models: Path, table: Path) -> None:
    from layer_fast.io import load_table, read_scan

    options = {"methods": ("gradcam",), "engine": "tensorrt", "lanes": 1, "pictures": 0, "precision": "float32"}
    (first, *_) = load_table(table)
    scan = read_scan(first)
    pipeline = Pipeline(models, options)
    gpu.machine.copies.clear()
    assert pipeline.process(scan).status == "ok"
    uploads = [size for way, size in gpu.machine.copies if way == "upload"]
    expected = [volume.array.nbytes for volume in scan.volumes.values()] + [mask.array.nbytes for mask in
                                                                            scan.masks.values()][:1]  # fmt: skip
    assert scan.volumes["bmode"].array.dtype == np.uint8
    assert sorted(uploads) == sorted(expected), "each volume and the mask, two classifiers and a segmenter or not"


def test_counts_on_the_gpu_are_those_of_the_cpu(gpu: Emulated) -> None:
    cupy: Any = gpu.cupy
    rng = np.random.default_rng(0)
    for axis in "zyx":
        labels = rng.integers(0, 7, (5, 9, 4)).astype(np.uint8)
        labels[labels == 3] = 0
        host, there = (LayerMask(a, (1.0, 0.5, 0.25), "manual") for a in (labels, cupy.asarray(labels)))
        a, b = reduce.measure(host, axis), reduce.measure(there, axis)
        np.testing.assert_array_equal(a.count, b.count)
        np.testing.assert_array_equal(a.thickness_mm, b.thickness_mm)
        assert (a.ordered, a.voxel_mm3) == (b.ordered, b.voxel_mm3)


def test_without_twins_arrays_stay_with_the_host_and_it_is_said(
    models: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    emulate(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(place.ops, "build_info", lambda: {"cuda_devices": [], "cuda_reason": "no twin"})
    assert run_cohort(table, models, tmp_path / "out", {**OPTIONS, "engine": "tensorrt"}).exit_code == 0
    assert run_json(tmp_path / "out")["engine"]["arrays"] == "host"
    assert "arrays are copied to the engine and back: the native operations have no GPU: no twin" in caplog.text


def test_a_cupy_that_cannot_use_the_gpu_is_no_end_of_the_run(gpu: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses() -> int:
        raise RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is\n insufficient")

    assert place.why_not_on_gpu("cuda") == ""
    monkeypatch.setattr(gpu.cupy.cuda.runtime, "getDeviceCount", refuses)  # type: ignore[attr-defined]
    said = "CuPy cannot use the GPU: cudaErrorInsufficientDriver: CUDA driver version is insufficient"
    assert place.why_not_on_gpu("cuda") == said and place.places("cuda")().on_gpu is False


def test_what_reads_maps_on_the_host_gets_them_there(gpu: Emulated, models: Path, table: Path, tmp_path: Path) -> None:
    """Stored histograms and slices, and every guard."""
    options = {**OPTIONS, "methods": ("gradcam", "gradient", "layer_shapley"), "store": ("histograms", "slices")}
    options |= {"guards": config.GUARDS, "fills": ("cohort_profile",)}
    run_cohort(table, models, tmp_path / "cpu", {**options, "engine": "onnxruntime"})
    assert run_cohort(table, models, tmp_path / "gpu", {**options, "engine": "tensorrt"}).exit_code == 0
    assert run_json(tmp_path / "gpu")["engine"]["arrays"] == "cuda"
    same_tables(tmp_path / "gpu", tmp_path / "cpu")
    for name in ("guards", "slices"):
        a, b = (parquet.read_table(tmp_path / side / f"{name}.parquet").num_rows for side in ("gpu", "cpu"))
        assert a == b > 0, name


def test_a_gpu_that_fills_up_later_fails_the_scan_and_says_why(gpu: Emulated, models: Path, table: Path) -> None:
    from layer_fast.io import load_table

    pipeline = Pipeline(models, {**OPTIONS, "methods": ("gradcam",), "engine": "tensorrt"})
    gpu.tensorrt.says["run"] = "out of memory"
    (record, *_) = pipeline.stream(load_table(table))
    assert (record.status, record.code) == ("failed", "out_of_memory") and "lower scan_batch" in record.message


def test_on_the_cpu_nothing_is_placed(models: Path) -> None:
    pipeline = Pipeline(models, {"engine": "onnxruntime"})
    lane: Lane = pipeline._made[0]
    array = np.zeros(3)
    assert isinstance(lane.place, place.Host) and lane.place.put(array) is array is lane.place.take(array)
    assert "arrays" not in pipeline.facts.fixed["engine"]
    assert load_models(models).segmenter is not None


def test_the_guard_of_weights_works_on_the_lanes_own_stream(gpu: Emulated, models: Path, table: Path) -> None:
    from layer_fast.io import load_table

    pipeline = Pipeline(models, {**OPTIONS, "methods": ("gradcam",), "engine": "tensorrt"})
    gpu.machine.events.clear()
    assert pipeline.randomisation(load_table(table)[:1])
    streams = {event.split()[-1] for event in gpu.machine.events if " on 0x" in event}
    assert len(streams) == 1 and streams != {"0x0"}


def test_pictures_of_a_resident_run_are_those_of_the_cpu(gpu: Emulated, models: Path, table: Path) -> None:
    from layer_fast.io import load_table
    from layer_fast.types import Failure

    refs, made = load_table(table), {}
    for engine in ("onnxruntime", "tensorrt"):
        made[engine] = Pipeline(models, {**OPTIONS, "engine": engine}).pictures(refs, "gradcam")
    for a, b in zip(made["tensorrt"], made["onnxruntime"], strict=True):
        assert not isinstance(a, Failure) and not isinstance(b, Failure)
        assert a.scan_id == b.scan_id and a.arrays.keys() == b.arrays.keys() >= {"bmode", "swe", "labels", "map_both"}
        for name, array in a.arrays.items():
            assert type(array) is np.ndarray
            np.testing.assert_allclose(array, b.arrays[name], rtol=0, atol=tolerances.ENGINE_TABLES, err_msg=name)
