"""Running a step over a batch so that one scan's trouble stays its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..engines.reasons import says_full, short
from ..errors import ReadError, StepFailure
from ..types import Failure, LayerMask, Scan, ScanRef
from .lane import Lane

_log = logging.getLogger("layer_fast.steps")
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class Work:
    """One scan on its way through the steps: what each step has added so far, or the failure that ended it."""

    ref: ScanRef
    scan: Scan | None = None
    model_input: Any = None  # ModelInput of the model that runs next; Any: prepare stands above this file
    shared: Any = None  # Shared of prepare
    mask: LayerMask | None = None
    explanations: list[Any] = field(default_factory=list)  # Explanation, in the order of the classifiers
    layers: list[dict[str, Any]] = field(default_factory=list)
    histograms: list[dict[str, Any]] = field(default_factory=list)
    slices: list[dict[str, Any]] = field(default_factory=list)
    guards: list[dict[str, Any]] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    failure: Failure | None = None

    def flag(self, *names: str) -> None:
        self.flags.extend(name for name in names if name not in self.flags)

    def need_scan(self) -> Scan:
        """The scan, which every step after `read` may count on."""
        if self.scan is None:
            raise RuntimeError(f"{self.ref.scan_id}: a step ran before the scan was read")
        return self.scan

    def need_mask(self) -> LayerMask:
        """The mask, which every step after `segment` may count on."""
        if self.mask is None:
            raise RuntimeError(f"{self.ref.scan_id}: a step ran before the scan was segmented")
        return self.mask


def advance(
    step: str,
    works: list[Work],
    lane: Lane,
    *,
    take: Callable[[Work], Item],
    verb: Callable[[list[Item]], list[Result]],
    put: Callable[[Work, Result], None],
) -> None:
    """Run `verb` on what `take` takes from every scan that has not failed, and `put` the results back.

    A batch that raises is retried scan by scan, so that the one at fault is found and the others go on;
    its failure is kept as a value. Where the GPU was full, what pools hold unused is given back first, and a scan alone
    has one more try too. KeyboardInterrupt and SystemExit pass.
    """
    alive = [work for work in works if work.failure is None]
    with lane.times.stage(step):
        results = _run(step, verb, [take(work) for work in alive], lane)
    for work, result in zip(alive, results, strict=True):
        if isinstance(result, Failure):
            work.failure = result
        else:
            put(work, result)


def _run(
    step: str, verb: Callable[[list[Item]], list[Result]], items: list[Item], lane: Lane, retried: bool = False
) -> list[Result | Failure]:
    if not items:
        return []
    try:
        results = verb(items)
        if len(results) != len(items):
            raise RuntimeError(f"[{step}] expected {len(items)} results, got {len(results)}")
        return list(results)
    except Exception as error:
        full = lane.device == "cuda" and says_full(error) and not retried
        if len(items) == 1 and not full:
            return [as_failure(step, error)]
        said = short(error)
    if full:  # behind the handler: within it the error's frames hold the arrays of the failed call
        _log.warning("[%s] the GPU was full (%s); tried again scan by scan", step, said)
        lane.place.release()
    return [_run(step, verb, [item], lane, retried=len(items) == 1)[0] for item in items]


def as_failure(step: str, error: Exception) -> Failure:
    """The value that stands for a scan whose step raised `error`."""
    if isinstance(error, StepFailure):
        return Failure(step, error.code, str(error), error.input_at_fault)
    if isinstance(error, ReadError):
        return Failure(step, error.code, str(error), input_at_fault=True)
    code = "out_of_memory" if says_full(error) else f"internal:{type(error).__name__}"
    return Failure(step, code, str(error)[:500], input_at_fault=False)


def refuse_unexplained(works: list[Work], setups: tuple[str, ...]) -> None:
    """A scan that no classifier could take has no numbers, so it is not ok."""
    for work in works:
        if work.failure is None and not work.explanations:
            has = ", ".join(work.need_scan().volumes)
            message = f"the scan has {has}; no classifier of setups {', '.join(setups)} takes that"
            work.failure = Failure("explain", "no_setup", message, input_at_fault=True)
