"""The ops by pytest-benchmark, on small sizes: for a look at one op while it is being written.

    python -m pytest benchmarks/bench_ops.py --benchmark-group-by=group

The page's numbers come from run_ops.py, in turns with the rivals and on full sizes.
"""

from __future__ import annotations

from typing import Any

import pytest

from cases import all_cases
from inputs import QUICK
from measuring.verify import difference


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", all_cases())
def test_op(benchmark: Any, name: str, threads: int) -> None:
    """Compared with the oracle before it is timed."""
    case = all_cases()[name]
    work = case.build(QUICK)
    apart, lacking = difference(work.ours(threads), work.oracle(), case.measure)
    assert apart <= case.tolerance and not lacking
    benchmark.group = name
    benchmark.pedantic(work.ours, (threads,), rounds=5, warmup_rounds=1)
