"""The stored statistics of the maps of one cell, as arrays over scans and labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...config import VALUE_METHODS
from ..regions import NUM_LABELS
from ..tables import CELL_KEYS, Cell, cells
from .moments import Floats, Moments, stored_moments

SUMS = ("sum", "sum_sq", "sum_abs", "sum_pos", "min", "max")


class ScanHistogram(NamedTuple):
    """label, bin (numbers of `quantify.bins`) and number of voxels of every bin that holds voxels."""

    label: NDArray[np.int64]
    bin: NDArray[np.int64]
    voxels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Slices:
    """moments (slices of all scans, 7); scan: the scan of each slice."""

    axis: str
    moments: Moments
    scan: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StoredMaps:
    """One cell of layers.parquet and what else is kept of its maps. subject: a number per scan. channels: whether the
    maps of single channels are in the table beside their sum. histograms: by scan_id, empty where none are kept."""

    cell: Cell
    moments: Moments
    subject: NDArray[np.int64]
    channels: bool
    slices: Slices | None
    histograms: dict[str, ScanHistogram]

    @property
    def scan_ids(self) -> tuple[str, ...]:
        return self.cell.scan_ids


def stored_maps(layers: Any, histograms: Any = None, slices: Any = None) -> Iterator[StoredMaps]:
    """The cells of map methods, sorted by key. layers, histograms, slices: tables of docs/tables.md (pyarrow); None:
    not kept. Raises ValueError for a cell without exactly eleven regions a scan, and for labels that are missing."""
    found = cells(layers)
    by_histogram, by_slices = _by_cell(histograms), _by_cell(slices)
    several = {_without_channel(cell) for cell in found if cell.key["channel"]}
    for cell in found:
        if cell.key["method"] in VALUE_METHODS:
            continue
        columns = (cell.matrix(name)[:, :NUM_LABELS] for name in ("n_voxels", *SUMS))
        _, subject = np.unique(np.array(cell.per_scan("subject"), dtype=object).astype(str), return_inverse=True)
        key = tuple(cell.key[name] for name in CELL_KEYS)
        yield StoredMaps(
            cell, stored_moments(*columns), subject.astype(np.int64), _without_channel(cell) in several,
            _slices(by_slices.get(key), cell), _histograms(by_histogram.get(key)),
        )  # fmt: skip


def _without_channel(cell: Cell) -> tuple[str, ...]:
    return tuple(cell.key[name] for name in CELL_KEYS if name != "channel")


def _by_cell(table: Any) -> dict[tuple[str, ...], Any]:
    """The rows of each cell as a pyarrow table, in their order."""
    if table is None or not table.num_rows:
        return {}
    import pyarrow.compute as compute

    keys = compute.binary_join_element_wise(*(table.column(n).cast("string").fill_null("") for n in CELL_KEYS), "\x1f")
    coded = keys.combine_chunks().dictionary_encode()
    codes = coded.indices.to_numpy(zero_copy_only=False)
    return {tuple(text.split("\x1f")): table.take(np.flatnonzero(codes == i))
            for i, text in enumerate(coded.dictionary.to_pylist())}  # fmt: skip


def _lists(column: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The values of a list column one after another, and the length of each row's list."""
    import pyarrow.compute as compute

    values = compute.list_flatten(column).to_numpy()
    return np.asarray(values), np.asarray(compute.list_value_length(column).to_numpy(), dtype=np.int64)


def _histograms(table: Any) -> dict[str, ScanHistogram]:
    if table is None:
        return {}
    bins, lengths = _lists(table.column("bins"))
    counts, _ = _lists(table.column("counts"))
    labels = np.repeat(np.asarray(table.column("label_value").to_numpy(), np.int64), lengths)
    scans = table.column("scan_id").to_pylist()
    ends = np.concatenate([[0], np.cumsum(lengths)])
    starts = [i for i, scan in enumerate(scans) if i == 0 or scans[i - 1] != scan]
    out = {}
    for first, last in zip(starts, [*starts[1:], len(scans)], strict=True):
        part = slice(ends[first], ends[last])
        out[scans[first]] = ScanHistogram(labels[part], bins[part].astype(np.int64), counts[part].astype(np.int64))
    return out


def _slices(table: Any, cell: Cell) -> Slices | None:
    if table is None:
        return None
    position = {scan: i for i, scan in enumerate(cell.scan_ids)}
    scans = table.column("scan_id").to_pylist()
    labels = table.column("label_value").to_pylist()
    if labels != list(range(NUM_LABELS)) * (len(labels) // NUM_LABELS):
        raise ValueError(f"[slices] expected rows of the labels 0..{NUM_LABELS - 1} per scan, in their order")
    if missing := set(position) - set(scans):
        raise ValueError(f"[slices] expected every scan of layers.parquet, missing: {min(missing)}")
    blocks: dict[str, list[Floats]] = {}
    number: list[NDArray[np.int64]] = []
    for name in ("count", *SUMS):
        values, lengths = _lists(table.column(name))
        ends = np.concatenate([[0], np.cumsum(lengths)])
        heads = range(0, len(scans), NUM_LABELS)
        blocks[name] = [values[ends[i] : ends[i + NUM_LABELS]].reshape(NUM_LABELS, -1).T for i in heads]
        if name == "count":
            number = [np.full(len(block), position[scans[i]]) for i, block in zip(heads, blocks[name], strict=True)]
    columns = (np.concatenate(blocks[name]).astype(np.float64) for name in ("count", *SUMS))
    return Slices(str(table.column("axis")[0]), stored_moments(*columns), np.concatenate(number))
