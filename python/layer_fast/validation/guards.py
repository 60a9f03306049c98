"""How often every guard fires on planted failures and on what is sound: at least 90 %, and at most 10 %.

    python -m layer_fast.validation.guards --out benchmarks/results/validation_guards.json

guards -> name -> planted | sound -> case -> {fired, of, share, lower, upper}; the limits are exact and one-sided, 95 %
each (Clopper and Pearson 1934). Thresholds were set on other seeds than those used here. Resumable: a case that is in
the file with as many draws is not run again. About twenty minutes on one core; quick: half a minute.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from .._version import __version__
from ..files import write_atomic
from .guard_maps import border_case, leakage_case, null_case, other_masks_fires
from .guard_masks import READERS, mask_fires
from .guard_models import BLIND, SETUPS, SOUND, inversion_fires, randomisation_fires
from .guard_tables import CONFOUNDED, GENUINE, geometry_fires

FIRST_SEED = 500_000  # thresholds were looked at below 10,000
SIZES = ((20, 3.0), (40, 2.5), (130, 2.0))  # subjects, SD between the classes


class Case(NamedTuple):
    """fires: seed -> whether the guard fired; None where the draw is neither a failure nor sound."""

    guard: str
    planted: bool
    name: str
    draws: int
    fires: Callable[[int], bool | None]


def run(out: Path, quick: bool = False) -> dict[str, Any]:
    """Run every case and write the rates to `out` after each; quick: few draws, of one cohort size."""
    known = json.loads(out.read_text(encoding="utf-8"))["guards"] if out.is_file() else {}
    found: dict[str, Any] = {}
    document = {"layer_fast": __version__, "quick": quick, "first_seed": FIRST_SEED, "guards": found}
    missing = []
    for case in cases(quick):  # first what is there, so that stopping loses none of it
        held = known.get(case.guard, {}).get(_kind(case), {}).get(case.name)
        if held is None or held["draws"] != case.draws:
            missing.append(case)
        else:
            found.setdefault(case.guard, {}).setdefault(_kind(case), {})[case.name] = held
    _write(out, document)
    for case in missing:
        found.setdefault(case.guard, {}).setdefault(_kind(case), {})[case.name] = _measure(case)
        _write(out, document)
    return document


def _write(out: Path, document: dict[str, Any]) -> None:
    write_atomic(out, (json.dumps(document, indent=1, sort_keys=True) + "\n").encode())


def _kind(case: Case) -> str:
    return "planted" if case.planted else "sound"


def failures(document: dict[str, Any]) -> list[str]:
    """The cases that miss their goal: a planted failure caught in < 90 %, a sound case stopped in > 10 %."""
    missed = []
    for guard, kinds in document["guards"].items():
        for kind, found in kinds.items():
            for name, rate in found.items():
                good = rate["of"] > 0 and (rate["share"] >= 0.9 if kind == "planted" else rate["share"] <= 0.1)
                missed += [] if good else [f"{guard} {kind} {name}: {rate['fired']} of {rate['of']}"]
    return missed


def cases(quick: bool) -> Iterator[Case]:
    """Every case of every guard. Functions of the seed: the same seeds, the same rates."""
    few = 6 if quick else 60
    for subjects, effect in ((40, 2.5),) if quick else SIZES:
        for name in (*CONFOUNDED, *GENUINE):
            fires = partial(geometry_fires, name, subjects, effect)
            yield Case("geometry_and_confounders", name in CONFOUNDED, f"{name}, {subjects} subjects", few, fires)
    for subjects in (40,) if quick else (20, 40, 130):
        for name, reader in READERS.items():
            for layer in reader.layers[-1:] if quick else reader.layers:
                fires = partial(mask_fires, name, layer, subjects)
                case = f"{name}, layer {layer}, {subjects} subjects"
                yield Case("mask_sensitivity", reader.planted, case, few // 2, fires)
    for planted in (True, False):
        many = 60 if quick else 1200
        yield Case("leakage", planted, "a neighbour responds", many, partial(_leak, planted))
        yield Case("border", planted, "thick layers", many // 4, partial(border_case, planted))
        yield Case("null_depth", planted, "thick layers", many // 4, partial(null_case, planted))
        case = "thick layers, 20 subjects"
        yield Case("null_other_masks", planted, case, few // 2, partial(other_masks_fires, planted))
    for setup in ("bmode",) if quick else SETUPS:
        for name in (*SOUND, *BLIND):
            fires = partial(randomisation_fires, name, setup)
            yield Case("randomisation", name in BLIND, f"{name}, {setup}", 2 if quick else 10, fires)
        for turned in (True, False):
            yield Case("inversion", turned, f"Grad-CAM, {setup}", 4 if quick else 60, partial(_inverted, setup, turned))


def _leak(planted: bool, seed: int) -> bool | None:
    found = leakage_case(seed)
    return None if found is None or (found[0] == "planted") != planted else found[1]


def _inverted(setup: str, turned: bool, seed: int) -> bool:
    """Four scans of one phantom cohort after another."""
    step = seed - FIRST_SEED
    return inversion_fires(setup, turned, FIRST_SEED + step // 4, step % 4)


def _measure(case: Case) -> dict[str, Any]:
    from scipy.stats import binomtest

    said = [case.fires(FIRST_SEED + i) for i in range(case.draws)]
    judged = [one for one in said if one is not None]
    fired, n = sum(judged), len(judged)
    if n == 0:
        return {"draws": case.draws, "fired": 0, "of": 0, "share": None, "lower": None, "upper": None}
    low = binomtest(fired, n, alternative="greater").proportion_ci(0.95, method="exact").low
    high = binomtest(fired, n, alternative="less").proportion_ci(0.95, method="exact").high
    return {"draws": case.draws, "fired": fired, "of": n, "share": fired / n, "lower": float(low), "upper": float(high)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    missed = failures(run(given.out, given.quick))
    raise SystemExit("\n".join(missed) if missed else 0)


if __name__ == "__main__":
    main()
