"""Progress on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Tick = Callable[..., None]
_PLAIN_SECONDS = 2.0  # at most one plain line in this time


@contextmanager
def progress(title: str) -> Iterator[Tick]:
    """Give a function `tick(done, total, ...)`; further arguments are ignored, so it serves every callback."""
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(title, total=None)

            def tick(done: int, total: int, *_: Any) -> None:
                bar.update(task, completed=done, total=total)

            yield tick
        return
    last = [time.monotonic()]

    def line(done: int, total: int, *_: Any) -> None:
        if done == total or time.monotonic() - last[0] >= _PLAIN_SECONDS:
            last[0] = time.monotonic()
            print(f"{title} {done}/{total}", file=sys.stderr, flush=True)

    yield line
