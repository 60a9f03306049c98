"""Seconds per stage: counters that add up over scans and lanes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class StageTimes:
    """Wall seconds by stage name. `a += b` joins two lanes."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - start)

    def add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def __iadd__(self, other: StageTimes) -> StageTimes:
        for name, seconds in other.seconds.items():
            self.add(name, seconds)
        return self

    @property
    def bottleneck(self) -> str:
        """The stage that took longest, or "" before anything ran."""
        return max(self.seconds, key=lambda name: self.seconds[name], default="")

    def shares(self) -> dict[str, float]:
        """Share of the summed time by stage, largest first."""
        total = sum(self.seconds.values())
        ordered = sorted(self.seconds.items(), key=lambda item: -item[1])
        return {name: seconds / total for name, seconds in ordered} if total > 0 else {}
