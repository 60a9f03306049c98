"""One case in one process: memory of first calls, agreement, then turns. run_ops starts it as a child.

python -m measuring.one_case NAME --out row.json [--quick] [--threads 1,2] [--no-oracle], in benchmarks/
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import rivals
from cases import Case, Work, all_cases
from inputs import FULL, QUICK, Size
from measuring import machine
from measuring.turns import minor_faults, peak_megabytes, summary, take_turns
from measuring.verify import difference
from rivals import Method, Rival

OURS = "layer_fast"
Row = dict[str, Any]
Call = Callable[[], Any]


def contestants(kind: str) -> Iterator[tuple[str, Rival, Method]]:
    """(label, adapter, method) of everyone who does this kind of work and is there."""
    for name, kinds in rivals.NAMES.items():
        if kind not in kinds.split():
            continue
        rival = rivals.load(name)
        for label, method in rival.methods.get(kind, {}).items():
            yield label, rival, method


def measure(case: Case, size: Size, threads: Sequence[int], rounds: int, seconds: float, *, oracle: bool = True) -> Row:
    """The row of a case: verification, memory, bandwidth and results by thread count. oracle=False: a second run of
    what was verified already; rivals are still compared with ours."""
    known = list(contestants(case.kind))
    _warm_up(case, known)
    speed = {str(count): machine.bandwidth(count, size is QUICK) for count in threads}
    work = case.build(size)
    row: Row = {"title": case.title, "convention": case.convention, "measure": case.measure, "note": case.note}
    row |= {"headline": case.headline, "goals": dict(case.goals), "bandwidth": speed}
    row |= {"moved_bytes": work.moved, "result_mb": round(work.allocates / 1e6, 1)}
    checked, calls, first, memory = _verify(case, work, known, threads[-1], oracle)
    row |= {"verification": checked, "extra_mb": memory, "threads": {}}
    if oracle and not checked["oracle"]["agrees"]:
        return row | {"failed": f"differs from the oracle by {checked['oracle']['difference']:.3g}; nothing was timed"}
    for count in threads:
        _set_threads(known, count)
        ours = {OURS: lambda count=count: work.ours(count)}
        also = {label: lambda count=count, call=call: call(count) for label, call in work.also.items()}
        faults = minor_faults(ours[OURS])  # not its first call: that one verified it
        found = summary(take_turns(ours | calls | also, rounds, seconds, first), OURS)
        found[OURS] |= {"minor_faults": faults, **_reached(work.moved, found[OURS]["ms"]["median"], speed[str(count)])}
        row["threads"][str(count)] = found
    return row


def _warm_up(case: Case, known: Sequence[tuple[str, Rival, Method]]) -> None:
    """Imports, compilers and thread pools, on the small size, so that they are in nobody's memory or time."""
    work = case.build(QUICK)
    work.ours(1)
    for _, _, method in known:
        with contextlib.suppress(Exception):  # said where it is verified
            method.prepare(work.inputs)()


def _verify(
    case: Case, work: Work, known: Sequence[tuple[str, Rival, Method]], threads: int, oracle: bool
) -> tuple[Row, dict[str, Call], dict[str, float], Row]:
    """(verdicts, calls, seconds and extra MB of the first call): ours against the oracle, each rival against ours.

    Who disagrees, or fails, gets no call, hence no time.
    """
    ours, extra, seconds = peak_megabytes(lambda: work.ours(threads))
    memory, first, calls, checked = {OURS: extra}, {OURS: seconds}, {}, {}
    if oracle:
        apart, lacking = difference(ours, work.oracle(), case.measure)
        checked["oracle"] = _verdict(apart, case.tolerance, lacking, "float64, from the definition")
    for label, rival, method in known:
        rival.set_threads(threads)
        try:
            call = method.prepare(work.inputs)
            result, memory[label], first[label] = peak_megabytes(call)
            checked[label] = _against_ours(case, work, method, result, ours)
            del result
        except Exception as error:  # a rival's trouble with its version or memory is a line on the page, not our end
            why = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            checked[label] = _verdict(float("inf"), 0.0, [], method.convention) | {"failed": why}
        checked[label] |= {"library": rival.name, "threaded": rival.threaded, "note": method.note}
        if checked[label]["agrees"]:
            calls[label] = call
    for label, also in work.also.items():
        same = case.kind == "weights"
        apart = difference(also(threads), ours, case.measure)[0] if same else 0.0
        checked[label] = _verdict(apart, case.rivals, [], "our own, for scale") | {"threaded": True}
    return checked, calls, first, {k: None if v is None else round(v, 1) for k, v in memory.items()}


def _against_ours(case: Case, work: Work, method: Method, result: Any, ours: Any) -> Row:
    result = method.convert(result) if method.convert else result
    wanted = method.expected(work.inputs, ours) if method.expected else ours
    apart, lacking = difference(result, wanted, case.measure, method.crop)
    limit = case.rivals if method.tolerance is None else method.tolerance
    return _verdict(apart, limit, lacking, method.convention) | {"border_left_out": method.crop}


def _verdict(apart: float, limit: float, lacking: list[str], convention: str) -> Row:
    number = float(f"{apart:.2g}") if math.isfinite(apart) else 1e300  # JSON knows neither NaN nor infinity
    verdict = {"difference": number, "tolerance": limit, "agrees": bool(apart <= limit)}
    return verdict | {"convention": convention, "lacks": lacking}


def _reached(moved: int, milliseconds: float, speed: dict[str, float]) -> Row:
    """Bytes that must move over the time, and as a part of the copy's speed in the same process."""
    rate = moved / milliseconds / 1e6
    parts = {f"of_{name}": round(rate / value, 3) for name, value in speed.items()}
    return {"gb_per_s": round(rate, 2)} | parts


def _set_threads(known: Sequence[tuple[str, Rival, Method]], count: int) -> None:
    for rival in {id(rival): rival for _, rival, _ in known}.values():
        rival.set_threads(count)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=list(all_cases()))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--no-oracle", action="store_true")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore")  # the rivals' own; ours are errors in the tests
    threads = [int(n) for n in options.threads.split(",")]
    size = QUICK if options.quick else FULL
    case = all_cases()[options.name]
    row = measure(case, size, threads, options.rounds, options.seconds, oracle=not options.no_oracle)
    options.out.write_text(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main()
