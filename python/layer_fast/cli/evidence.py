"""The verbs that read the tables of a run and no volume: requantify, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..errors import LayerFastError
from .app import Json, app

Definitions = Annotated[tuple[str, ...] | None, Parameter(consume_multiple=True)]


@app.command
def requantify(
    results: Path,
    *,
    definition: Definitions = None,
    target: str | None = None,
    out: Path | None = None,
    json: Json = False,
) -> int:
    """Recompute numbers of a run from its stored statistics and coalition values; no volume is opened.

    Without --definition: says whether all that follows in layers.parquet is the same bit by bit, else writes it anew.

    Parameters
    ----------
    results
        Folder of a run.
    definition
        Names of definitions, or YAML files of them: writes a long table that says of every number whether it is exact,
        bounded by a histogram, or needs the volumes.
    target
        Another margin of the stored logits, margin:A-B, margin:A-rest, or margin:>=A of ordered classes: writes the
        rows of layer_shapley and layer_ablation for it.
    out
        .parquet or .csv for that table; left out: definitions.parquet or target.parquet in the results.
    """
    from .requantify import run_requantify
    from .retarget import run_retarget

    if target is not None and definition is not None:
        raise LayerFastError("--target, --definition: expected one of them, found both")
    if target is not None:
        return run_retarget(results, target, out, as_json=json)
    return run_requantify(results, definition, out, as_json=json)


@app.command
def compare(results: Path, *, definition: Definitions = None, json: Json = False) -> int:
    """Answer three questions by every definition and show where the answers differ; writes compare.json.

    Definitions that rank layers alike count as one family: agreement inside a family confirms nothing.

    Parameters
    ----------
    results
        Folder of a run.
    definition
        Names of definitions, or YAML files of them; left out: all presets that need no histograms.
    """
    from .compare import run_compare

    return run_compare(results, definition, as_json=json)
