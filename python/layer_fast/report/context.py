"""What the report shows, as plain data: sections/ makes it, templates/ lays it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..types import LAYERS
from .primary import primary
from .sections.answers import answers, gate_tables
from .sections.classes import class_names
from .sections.comparisons import comparisons, not_made
from .sections.definitions import definitions
from .sections.examples import examples
from .sections.fills import fills
from .sections.folds import folds, margins_per_sd
from .sections.games import games
from .sections.guards import guards
from .sections.layers import beside, methods
from .sections.quality import calibration, geometry, quality, strips
from .sections.record import about, banner, failures, provenance
from .sections.statistics import statistics
from .sections.words import named
from .slices import Panel
from .style import COLOURS, cell_order, region_title

# Files beside claims.json that a section is made of, with the schema versions that this one reads.
FURTHER = {"games": (1,), "stats": (1,), "guards": (1,), "compare": (1,), "examples": (1,)}


def build(
    claims: dict[str, Any],
    run: dict[str, Any],
    scans: list[dict[str, Any]],
    pictures: Mapping[str, tuple[Panel, ...]],
    further: Mapping[str, dict[str, Any] | None] | None = None,
) -> dict[str, Any]:
    """The template's context from claims.json, run.json, the rows of scans.parquet and the panels of example scans.

    further: the contents of the files of `FURTHER` by name, None or left out for one that is not there.
    """
    more = dict.fromkeys(FURTHER) | dict(further or {})
    raw = sorted(primary(claims["cells"]), key=cell_order)
    cells = [named(c) for c in raw]
    cards = answers(claims)
    scans = margins_per_sd(scans, run)
    return {
        "caption": claims["caption"],
        "disclaimer": claims["disclaimer"],
        "totals": claims["scans"],
        "about": about(cells),
        "banner": banner(run, scans),
        "answers": cards,
        "classes": class_names(raw),
        "gate_tables": gate_tables(cards),
        "comparisons": comparisons(claims),
        "not_made": not_made(claims),
        "beside": beside(cells),
        "methods": methods(cells, claims["definitions"]),
        "fills": fills(claims),
        "games": _if_there(more["games"], games),
        "compared": _if_there(more["compare"], definitions),
        "guards": _if_there(more["guards"], guards),
        "statistics": _if_there(more["stats"], statistics),
        "calibration": _if_there(more["stats"], calibration),
        "legend": [(region_title("layer", name), COLOURS[name]) for name in LAYERS],
        "examples": _if_there(more["examples"], lambda found: examples(found, pictures)),
        "quality": quality(cells),
        "folds": folds(cells, run),
        "strips": strips(scans, raw),
        "geometry": geometry(cells),
        "failures": failures(claims, scans, cells),
        "definitions": list(claims["definitions"].values()),
        **provenance(claims, run),
    }


def _if_there(found: dict[str, Any] | None, make: Callable[[dict[str, Any]], Any]) -> Any:
    return None if found is None else make(found)
