"""Ctrl-C once drains: scans at work are finished and kept. Twice stops at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop(threading.Event):
    """Set by the first SIGINT or SIGTERM; `code` is then the exit code a shell expects."""

    code = 0


@contextmanager
def draining() -> Iterator[Stop]:
    stop = Stop()

    def handle(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)  # records are written whole or not at all, so nothing can tear
        stop.code = 128 + number
        stop.set()
        print("layer-fast: finishing the scans at work; once more to stop at once", file=sys.stderr)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, old in before.items():
            signal.signal(number, old)
