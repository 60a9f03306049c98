"""Null of masks of other subjects, once a run on few of its scans: does it matter whose mask a map is read under?

A record may not depend on other scans, so this is no step of a scan. The scans are read twice: for their masks, which
are kept packed, and for their maps, each batch of which is reduced under its own masks and all others.
"""

from __future__ import annotations

import hashlib
import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..config import VALUE_METHODS
from ..steps.guarded import Work
from ..steps.lane import Lane
from ..steps.record import RunFacts
from ..types import Scan, ScanRef
from .nulls import NullResult, in_less_out
from .stage import maps_on_host, on_host
from .step import Rows, each_map, label_counts, null_rows

VARIANT = "null:other_masks"
SCANS = 40  # with as many p can be as small as 1 / 40, as in the other nulls
Labels = NDArray[np.uint8]
Masked = Callable[[list[Scan | ScanRef], Lane], list[Work]]
Explained = Callable[[list[Work], Lane], None]


def few_of_many(refs: Sequence[ScanRef]) -> list[ScanRef]:
    """At most `SCANS` scans of as many subjects: of each the scan, and of all the subjects, whose scan_id has the
    smallest SHA-256, so that the table's order decides nothing."""
    first: dict[str, tuple[str, ScanRef]] = {}
    for ref in refs:
        drawn = hashlib.sha256(ref.scan_id.encode()).hexdigest()
        if ref.subject not in first or drawn < first[ref.subject][0]:
            first[ref.subject] = (drawn, ref)
    return [ref for _, ref in sorted(first.values(), key=lambda one: one[0])[:SCANS]]


def other_mask_rows(
    refs: Sequence[ScanRef], lane: Lane, facts: RunFacts, masked: Masked, explained: Explained
) -> dict[str, Rows]:
    """scan_id -> its rows of guards.parquet, for each of these scans that does not fail.

    refs: one scan a subject. masked: reads scans and gives them masks; explained: adds the maps of every classifier.
    In memory: a batch of scans as in the run, and the masks packed, less than a byte for tens of voxels.
    """
    methods = tuple(method for method in lane.config.methods if method not in VALUE_METHODS)
    if not methods:
        return {}
    light = replace(lane, config=lane.config.model_copy(update={"methods": methods}))  # the same engines and buffers
    packed: dict[str, _Packed] = {}
    for batch in _batches(refs, lane.config.scan_batch):
        for work in masked(batch, light):
            if work.failure is None:
                packed[work.ref.scan_id] = _Packed(on_host(work.need_mask(), lane).labels)
    out: dict[str, Rows] = {}
    for batch in _batches([ref for ref in refs if ref.scan_id in packed], lane.config.scan_batch):
        works = masked(batch, light)
        explained(works, light)
        for work in (one for one in works if one.failure is None):
            others = [mask for scan_id, mask in packed.items() if scan_id != work.ref.scan_id]
            out[work.ref.scan_id] = list(_rows(work, others, light, facts))
    return out


class _Packed:
    """A mask as compressed bytes: labels are long runs."""

    def __init__(self, labels: Labels) -> None:
        self._shape, self._bytes = labels.shape, zlib.compress(labels.tobytes(), 1)

    def labels(self) -> Labels:
        return np.frombuffer(zlib.decompress(self._bytes), np.uint8).reshape(self._shape)


def _rows(work: Work, others: Sequence[_Packed], lane: Lane, facts: RunFacts) -> Iterator[dict[str, Any]]:
    """Every mask is unpacked once, for all maps, and never two at a time."""
    mask = on_host(work.need_mask(), lane)
    maps = list(each_map(maps_on_host(work.explanations, lane), mask, facts))
    for grid in sorted({values.shape for _, values in maps}):
        keys = [key for key, values in maps if values.shape == grid]
        stack = np.stack([values for _, values in maps if values.shape == grid])
        seen = itertools.chain([mask.labels], _like(mask.labels, others, lane.op_threads))
        found = np.array([in_less_out(stack, labels, threads=lane.op_threads) for labels in seen])
        for key, (own, *null) in zip(keys, found.transpose(1, 0, 2), strict=True):
            drawn = NullResult(own, np.array(null, np.float64).reshape(-1, len(own)))
            yield from null_rows(key, VARIANT, drawn, label_counts(mask))


def _like(own: Labels, others: Sequence[_Packed], threads: int) -> Iterator[Labels]:
    """The other masks on the grid of `own`, both taken to show the same field of view, that hold all of its labels."""
    held = set(np.unique(own).tolist())
    for other in others:
        labels = other.labels()
        if labels.shape != own.shape:
            labels = ops.resample_labels(labels, own.shape, mode="nearest", threads=threads)
        if held <= set(np.unique(labels).tolist()):
            yield labels


def _batches(refs: Sequence[ScanRef], size: int) -> Iterator[list[Scan | ScanRef]]:
    for start in range(0, len(refs), size):
        yield list(refs[start : start + size])
