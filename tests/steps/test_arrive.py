"""Scans that are read ahead of the lanes: begun before they are asked for, in order, each failure its own, bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny
from layer_fast.config import make_config
from layer_fast.io import load_table, read_scan
from layer_fast.pipeline import Pipeline
from layer_fast.steps import arrive
from layer_fast.steps.arrive import Arrivals, ByLanes, ByReaders
from layer_fast.steps.compiled import Graphs
from layer_fast.steps.lane import Lane
from layer_fast.types import ScanRef

OPTIONS = {"methods": ("gradcam",), "engine": "onnxruntime", "scan_batch": 2, "lanes": 2}


@pytest.fixture(scope="module")
def refs(tmp_path_factory: pytest.TempPathFactory) -> list[ScanRef]:
    return load_table(tiny.write_cohort(tmp_path_factory.mktemp("cohort") / "c", 9))


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_models(tmp_path_factory.mktemp("models") / "tiny", ("bmode",))


def lane() -> Lane:
    return Lane("", make_config(), 1, Graphs("margin"))


def readers(count: int) -> ByReaders:
    return ByReaders(count, lane)


@pytest.mark.parametrize("arrivals", [ByLanes(), readers(3)], ids=["lanes", "readers"])
def test_works_come_in_order_and_a_failure_is_its_own(refs: list[ScanRef], arrivals: Arrivals) -> None:
    broken = replace(refs[1], bmode=Path("gone.nii.gz"))
    works = arrivals.take(arrivals.begin([refs[0], broken, read_scan(refs[2])]), lane())
    arrivals.close()
    assert [work.ref.scan_id for work in works] == [ref.scan_id for ref in refs[:3]]
    assert [work.failure is None for work in works] == [True, False, True]
    failure = works[1].failure
    assert failure is not None and failure.input_at_fault and "gone.nii.gz" in failure.message


def test_reading_begins_before_a_lane_asks(refs: list[ScanRef], monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Semaphore(0)

    def watched(item: Any, own: Lane) -> Any:
        begun.release()
        return real(item, own)

    real = arrive.arrived
    monkeypatch.setattr(arrive, "arrived", watched)
    ahead = readers(2)
    assert [ahead.ahead(size) for size in (1, 2, 4)] == [2, 1, 1]
    futures = ahead.begin(refs[:4])
    assert all(begun.acquire(timeout=10) for _ in range(4)), "nobody has asked for one"
    own = lane()
    assert all(work.scan is not None for work in ahead.take(futures, own))
    assert ahead.close().seconds["read.ahead"] > 0 and "read" in own.times.seconds


def reading_ahead(packages: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A pipeline with three readers, as one on a GPU has them."""
    pipeline = Pipeline(packages, OPTIONS)
    monkeypatch.setattr(pipeline, "_arrivals", lambda: readers(3))
    return pipeline


def test_records_are_those_of_lanes_that_read_by_themselves(
    packages: Path, refs: list[ScanRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(Pipeline(packages, OPTIONS).stream(refs))
    pipeline = reading_ahead(packages, monkeypatch)
    for _ in range(2):  # a pipeline streams again
        found = list(pipeline.stream(refs))
        assert repr([replace(r, seconds={}) for r in found]) == repr([replace(r, seconds={}) for r in expected])
    assert pipeline.times().seconds["read.ahead"] > 0


def test_scans_in_memory_are_bounded(packages: Path, refs: list[ScanRef], monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, taken, most = reading_ahead(packages, monkeypatch), [0], []

    def source() -> Any:
        for ref in refs * 4:
            taken[0] += 1
            yield ref

    for done, _ in enumerate(pipeline.stream(source())):
        time.sleep(0.01)  # whoever takes the records is slow
        most.append(taken[0] - done)
    assert 2 * (2 + 1) < max(most) <= 2 * (2 + 1 + 2), "lanes + 1 batches, and two more for three readers"


def test_a_stream_that_is_left_reads_no_more(
    packages: Path, refs: list[ScanRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = reading_ahead(packages, monkeypatch)
    stream = pipeline.stream(refs)
    next(stream)
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("reader", "lane"))]
    stop = threading.Event()

    def given() -> Iterator[ScanRef]:
        """With the fourth scan the stop is asked for: batches that no lane has begun by then have no records."""
        for number, ref in enumerate(refs, start=1):
            if number == 4:
                stop.set()
            yield ref

    records = [record.scan_id for record in pipeline.stream(given(), stop=stop)]
    assert records == [ref.scan_id for ref in refs[: len(records)]] and len(records) <= 2
