"""The lanes of a run: one on the CPU, where the others follow when they are needed; on a GPU as many as it holds."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..engines.device_arrays import give_back_unused
from ..engines.reasons import DeviceFull, says_full, short
from ..models import ModelPackage
from .lane import Lane
from .probe import rehearsal

_log = logging.getLogger("layer_fast.steps")


def open_lanes(
    make: Callable[[], Lane], count: int, segmenter: ModelPackage | None, classifiers: list[ModelPackage]
) -> list[Lane]:
    """Lanes whose engines are open, so that a graph that cannot run is refused before the first scan.

    On a GPU all `count` of them, each after a call of every graph with the run's batch: a lane that finds the GPU full
    is left out and the run goes on with those before it, instead of with scans that it has no room for. Which lane
    computes a scan moves no number. Raises EngineError; DeviceFull where there is no room for one lane.
    """
    first = make()
    first.open_all(segmenter, classifiers)
    if first.device == "cpu":
        return [first]
    used = [*([segmenter] if segmenter is not None else []), *classifiers]
    ready = [first]
    if said := _no_room(first, used):
        raise DeviceFull("one lane", "call every graph once", said)
    while len(ready) < count:
        lane = make()
        if said := _no_room(lane, used):
            _log.warning("the GPU has room for %d of %d lanes: %s", len(ready), count, said)
            del lane
            give_back_unused()
            break
        ready.append(lane)
    return ready


def _no_room(lane: Lane, used: list[ModelPackage]) -> str:
    """Call every graph of a lane once; what it says where the GPU is full, "" where it is not."""
    try:
        with lane.place.active():
            for package in used:
                for kind, feeds, outputs in rehearsal(package, lane.config):
                    engine = lane.opened(package, kind)
                    engine.run({name: lane.place.put(array) for name, array in feeds.items()}, outputs)
    except Exception as error:
        if not says_full(error):
            raise
        return short(error)
    return ""
