"""The numbers that compare puts side by side: every definition in one cell, of scans or of subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from .cohort import Subjects, region_values
from .families import family_of
from .folds import compares_scans, reduced_per_sd
from .hierarchies import hierarchies_for_values, relatives, value_hash
from .hierarchy import PLAIN, Level
from .nesting import nesting_of
from .reduction import Reduction
from .regions import REGION_ORDER
from .stored import HISTOGRAM, NEEDS_VOLUMES, Evaluated, OnSubjects, StoredMaps, evaluate, on_subjects
from .tables import Cell

Skipped = list[dict[str, str]]
_HOUSE = [r.key for r in REGION_ORDER]


@dataclass(frozen=True, slots=True)
class Compared:
    """facts: what compare.json says of it. values: (scans, 11), or (subjects, 11) under another hierarchy than the
    plain one, which `hierarchy` puts in words. bases: the same definition under the plain one, by name. empty: level ->
    scans without a value there."""

    facts: dict[str, Any]
    values: NDArray[np.float64]
    family: str
    hierarchy: str = ""
    bases: Sequence[str] = ()
    empty: dict[Level, int] = field(default_factory=dict)


class Chosen:
    """The definitions that are asked for. strict: a level without its column is an error, else it is not compared."""

    def __init__(self, definitions: Sequence[Reduction], *, strict: bool) -> None:
        self.definitions, self.strict = list(definitions), strict
        self.kin = relatives(self.definitions)
        self.for_values = [PLAIN, *hierarchies_for_values(self.definitions)]


def of_cell(cell: Cell, maps: StoredMaps | None, who: Subjects, chosen: Chosen) -> tuple[list[Compared], Skipped]:
    """What can be compared, and why the rest cannot. maps None: a value method, by its own number under every hierarchy
    that has no slices and no ratio. ConfigError for a level without its column, where `chosen` is strict."""
    done: list[Compared] = []
    skipped: Skipped = []
    for i in range(len(chosen.for_values if maps is None else chosen.definitions)):
        try:
            found = _value(cell, who, chosen, i) if maps is None else _map(maps, who, chosen, chosen.definitions[i])
        except _NotCompared as why:
            skipped.append({"definition": why.name, "why": str(why)})
        else:
            done.append(found)
    return done, skipped


class _NotCompared(Exception):
    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name


def _value(cell: Cell, who: Subjects, chosen: Chosen, i: int) -> Compared:
    method, hierarchy = cell.key["method"], chosen.for_values[i]
    name = method if hierarchy.is_plain else f"{method}_{hierarchy.label}"
    facts = {"definition": name, "definition_sha256": value_hash(method, hierarchy), "how": "exact", "units": "target"}
    values = region_values(cell, method)
    if hierarchy.is_plain:
        return Compared(facts, values, family_of(method))
    try:
        nest = nesting_of(hierarchy, cell.scan_ids, who, f"definition {name!r}")
    except ConfigError as error:
        raise (error if chosen.strict else _NotCompared(name, _short(error))) from None
    return Compared(facts, nest.reduce(values), family_of(method), hierarchy.words, [method], nest.empty)


def _map(maps: StoredMaps, who: Subjects, chosen: Chosen, one: Reduction) -> Compared:
    if one.statistic.facts.cohort:
        raise _NotCompared(one.name, "a number of the cohort has no subjects to compare")
    if maps.cell.folds is not None and compares_scans(one):
        raise _NotCompared(one.name, "maps of each fold's own model have no common extremes")
    plain = one.hierarchy.is_plain
    found: Evaluated | OnSubjects
    try:
        found = evaluate(maps, one) if plain else on_subjects(maps, one, who)
    except ConfigError as error:
        if chosen.strict or plain:
            raise
        raise _NotCompared(one.name, _short(error)) from None
    keys = [f"{r.kind}:{r.name}" for r in found.regions]
    if (found.how == NEEDS_VOLUMES).any():
        raise _NotCompared(one.name, found.why)
    if missing := [key for key in _HOUSE if key not in keys]:
        raise _NotCompared(one.name, f"it has no {missing[0]}")
    how = "histogram" if (found.how == HISTOGRAM).any() else "exact"
    facts = {"definition": one.name, "definition_sha256": one.sha256_short, "how": how, "units": one.units}
    values = found.value[:, [keys.index(key) for key in _HOUSE]]
    family = chosen.kin.family(one)
    if isinstance(found, Evaluated):
        return Compared(facts, reduced_per_sd(maps.cell, values, one), family)
    # A subject's scans are of one fold, and every level keeps a common factor.
    values = reduced_per_sd(maps.cell, values, one, [scans[0] for scans in who.scans])
    return Compared(facts, values, family, one.hierarchy.words, chosen.kin.bases(one), found.empty)


def _short(error: ConfigError) -> str:
    """Without the name of the definition, which stands beside it."""
    return str(error).partition(": ")[2]
