"""Scans on their way into memory: read by the lane that works on them, or by threads ahead of the lanes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Protocol

from ..timing import StageTimes
from ..types import Scan, ScanRef
from .guarded import Work, advance
from .lane import Lane
from .read import align, read

Item = Scan | ScanRef
MOST_READERS = 16
"""Threads that read ahead for one GPU; more would hold more scans in memory than a card can work off."""


def arrived(item: Item, lane: Lane) -> Work:
    """Read one scan, or hold one that is in memory to the geometry policy; a failure is the work's. One by one: a file
    that cannot be read must not cost its neighbours a second read."""

    def put(work: Work, scan: Scan) -> None:
        work.scan = scan
        work.flag(*scan.flags)

    if isinstance(item, Scan):
        work = Work(item.ref, scan=item)
        advance("read", [work], lane, take=Work.need_scan, verb=lambda scans: align(scans, lane, lane.config), put=put)
    else:
        work = Work(item)
        advance("read", [work], lane, take=lambda w: w.ref, verb=lambda refs: read(refs, lane, lane.config), put=put)
    return work


class Arrivals(Protocol):
    """How the scans of a stream arrive. `begin` may start to read a batch, `take` gives it to a lane."""

    def ahead(self, batch: int) -> int:
        """How many batches of this size are begun beside those that the lanes work on."""
        ...

    def begin(self, items: Sequence[Item]) -> list[Any]: ...

    def take(self, begun: list[Any], lane: Lane) -> list[Work]: ...

    def close(self) -> StageTimes:
        """Nothing is read any more. Seconds that no lane counts."""
        ...


class ByLanes:
    """Each lane reads its own: where lanes compute on the processors, these have nothing to spare."""

    def ahead(self, batch: int) -> int:
        return 0

    def begin(self, items: Sequence[Item]) -> list[Any]:
        return list(items)

    def take(self, begun: list[Any], lane: Lane) -> list[Work]:
        return [arrived(item, lane) for item in begun]

    def close(self) -> StageTimes:
        return StageTimes()


class ByReaders:
    """Threads that read ahead of the lanes: where these compute on a GPU, inflating files is what the processors do,
    and a lane would wait longer for its files than for the card.

    count: threads, each with a lane of native operations that `make_lane` makes. Of the lanes' time, stage "read" is
    what they waited; what the threads spent is "read.ahead".
    """

    def __init__(self, count: int, make_lane: Callable[[], Lane]) -> None:
        self._lanes = [make_lane() for _ in range(count)]
        self._idle: SimpleQueue[Lane] = SimpleQueue()
        for lane in self._lanes:
            self._idle.put(lane)
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="reader")

    def ahead(self, batch: int) -> int:
        return -(-len(self._lanes) // batch)

    def begin(self, items: Sequence[Item]) -> list[Any]:
        return [self._pool.submit(self._read, item) for item in items]

    def take(self, begun: list[Future[Work]], lane: Lane) -> list[Work]:
        with lane.times.stage("read"):
            return [future.result() for future in begun]

    def close(self) -> StageTimes:
        self._pool.shutdown(wait=True, cancel_futures=True)
        return StageTimes({"read.ahead": sum(lane.times.seconds.get("read", 0.0) for lane in self._lanes)})

    def _read(self, item: Item) -> Work:
        lane = self._idle.get()
        try:
            return arrived(item, lane)
        finally:
            self._idle.put(lane)
