"""The parts of the validation, in the order in which they run. Each is a module with `run(out, quick)`; out: its
file."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple


class Part(NamedTuple):
    """minutes: what the full part takes about on two cores (quick: seconds). usual: run without being asked for."""

    name: str
    asks: str
    minutes: float
    quick_seconds: float
    usual: bool = True


PARTS = (
    Part("tool", "networks with a known dependence on one layer", 4, 30),
    Part("trained", "trained classifiers on planted cohorts: power of the claim rule", 20, 60),
    Part("nulls", "cohorts without a driver", 12, 15),
    Part("guards", "planted failures and successes of the guards", 20, 30),
    Part("intervals", "coverage of the subject intervals", 45, 140),
    Part("reference", "the shipped models on rendered phantoms", 15, 40, usual=False),
)


def there(part: Part) -> bool:
    """Whether the module of a part is installed."""
    return find_spec(f"{__package__}.{part.name}") is not None


def runner(part: Part) -> Callable[[Path, bool], Any]:
    """The part's `run(out, quick)`."""
    found: Callable[[Path, bool], Any] = import_module(f"{__package__}.{part.name}").run
    return found
