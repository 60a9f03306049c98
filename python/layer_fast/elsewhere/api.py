"""`quantify_map`: definitions on a map that was made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from ..errors import ConfigError
from ..quantify import CAPTION, DEFAULT_REDUCTIONS, DISCLAIMER, REDUCTIONS, Group, Reduction, make_reduction
from ..quantify.definition_regions import DefinitionRegion, regions_of
from ..quantify.reduction import Inversion, distinct
from .anatomy import Layers, label_names
from .field import Field, Masked
from .inputs import Case, load_case
from .inverted import inversions
from .rows import Row, rows_of
from .transform import pool_channels

GiveDefinition = str | Mapping[str, Any] | Reduction


@dataclass(frozen=True, slots=True)
class MapTable:
    """rows: one per definition, channel and region (docs/guides/definitions.md). facts: JSON-ready, what they are of:
    files with their hashes, labels, interpolation, flags, every definition with its hash, formula, range and cap."""

    rows: list[Row]
    facts: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; a number that does not exist is None."""
        rows = [{k: None if isinstance(v, float) and v != v else v for k, v in row.items()} for row in self.rows]
        return {**self.facts, "rows": rows}


def quantify_map(
    map: Any,
    mask: Any,
    *,
    definitions: GiveDefinition | Sequence[GiveDefinition] = DEFAULT_REDUCTIONS,
    layers: Layers | None = None,
    groups: Mapping[str, Group | Mapping[str, Any]] | None = None,
    invert: Inversion | None = None,
    spacing_mm: Sequence[float] | None = None,
    threads: int | None = None,
) -> MapTable:
    """Reduce a saliency map made elsewhere (Captum, MONAI, medcam, ...) to numbers per layer.

    map: a NIfTI file, a Volume, or an array (z, y, x) or (channel, z, y, x), float32 or turned into it. mask: the same
    with labels, or weights (label, z, y, x) for definitions with a soft mask. Files and Volumes have a place: a
    coarser map is brought to the mask's grid by the affines, linearly, edges clamped, and one that does not cover the
    mask, or is finer, is refused. Arrays without a place are taken to fill the same field of view (half-pixel rule).
    definitions: names of `layer_fast.quantify.REDUCTIONS`, mappings of fields, or Reductions. layers: what the labels
    are called, names of 1, 2, ... or name -> label; default the six layers. groups, invert: instead of those of every
    definition (and so in its hash); with layers of one's own the default groups do not fit: give others, or {}.
    invert: "one_minus" for maps of MONAI's default, which turns 0..1 over. spacing_mm: (z, y, x) of arrays.
    Raises ReadError (a file), StepFailure (another place), ConfigError (a definition that is wrong, does not fit the
    map or needs a cohort), TypeError and ValueError (arrays).
    """
    chosen = [_overridden(one, groups, invert) for one in _definitions(definitions)]
    names = label_names(layers)
    regions = {one.name: regions_of(names, one) for one in chosen}
    for one in chosen:
        _refuse_cohort(one)
    case = load_case(map, mask, names, spacing_mm)
    for one in chosen:
        _check_mask(one, case)
    return MapTable(_rows(chosen, regions, case, threads), _facts(chosen, case))


def _definitions(given: GiveDefinition | Sequence[GiveDefinition]) -> list[Reduction]:
    several = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    if not several:
        raise ConfigError("[quantify_map] expected a definition, found none")
    found = []
    for one in several:
        if isinstance(one, str) and one not in REDUCTIONS:
            raise ConfigError(f"[quantify_map] unknown definition {one!r:.80}; known: {', '.join(REDUCTIONS)}")
        if isinstance(one, str):
            found.append(REDUCTIONS[one])
        else:
            found.append(make_reduction(dict(one) if isinstance(one, Mapping) else one))
    return distinct(found, "[quantify_map]")


def _overridden(
    one: Reduction, groups: Mapping[str, Group | Mapping[str, Any]] | None, invert: Inversion | None
) -> Reduction:
    fields = one.model_dump(exclude_none=True)
    if groups is not None:
        given = {name: g.model_dump(exclude_none=True) if isinstance(g, Group) else g for name, g in groups.items()}
        fields["groups"] = given
    if invert is not None:
        fields["invert"] = invert
    return make_reduction(fields, f"definition {one.name!r}")


def _refuse_cohort(one: Reduction) -> None:
    if one.statistic.facts.cohort:
        raise ConfigError(f"definition {one.name!r}: {one.statistic.name} compares patients with controls and needs a "
                          "cohort; of a single map take its mean, and compare the means of the subjects")  # fmt: skip
    if one.normalise.scope in ("subject", "cohort"):
        raise ConfigError(f"definition {one.name!r}: normalise scope {one.normalise.scope!r} needs the maps of a "
                          f"{one.normalise.scope}; a single map has the scopes slice and volume")  # fmt: skip
    if not one.hierarchy.is_plain:
        raise ConfigError(f"definition {one.name!r}: its hierarchy ({one.hierarchy.words}) joins the numbers of a "
                          "run's tables (layer-fast requantify, compare); leave it out for a single map")  # fmt: skip


def _check_mask(one: Reduction, case: Case) -> None:
    kind = one.mask.kind
    if (kind == "soft") != (case.weights is not None):
        wanted, found = ("weights", "labels") if kind == "soft" else ("labels", "weights")
        source = case.sources["mask"]
        raise ConfigError(f"definition {one.name!r}: mask kind {kind!r} expects {wanted}, {source} holds {found}")
    if kind == "eroded" and (case.spacing_mm is None or not all(map(isfinite, case.spacing_mm))):
        raise ConfigError(f"definition {one.name!r}: erosion by mm needs the mask's spacing: give spacing_mm")


def _rows(
    chosen: list[Reduction], regions: Mapping[str, list[DefinitionRegion]], case: Case, threads: int | None
) -> list[Row]:
    """By definition as given, then channel, then region. Definitions with the same transforms share their voxels."""
    together: dict[str, list[Reduction]] = {}
    for one in chosen:
        same = one.model_dump_json(include={"channels", "invert", "sign", "clip", "normalise", "mask"})
        together.setdefault(same, []).append(one)
    masks: dict[str, Masked] = {}
    rows: dict[str, list[Row]] = {one.name: [] for one in chosen}
    for alike in together.values():
        handling = alike[0].mask.model_dump_json()
        if handling not in masks:
            masks[handling] = Masked(case, alike[0])
        maps, channels = pool_channels(case.maps, alike[0].channels)
        for source, channel in zip(maps, channels, strict=True):
            field = Field(masks[handling], source, alike[0], threads)
            for one in alike:
                rows[one.name] += rows_of(field, regions[one.name], one, case, channel)
    return [row for one in chosen for row in rows[one.name]]


def _facts(chosen: list[Reduction], case: Case) -> dict[str, Any]:
    z, y, x = case.shape
    return {
        "map": case.sources["map"], "mask": case.sources["mask"], "sha256": case.sha256,
        "labels": {str(value): name for value, name in case.names.items()}, "channels": len(case.maps),
        "shape": [z, y, x], "map_shape": list(case.maps.shape[1:]),
        "spacing_mm": None if case.spacing_mm is None else list(case.spacing_mm),
        "interpolation": "linear, edges clamped, before every transform" if case.interpolated else "none: one grid",
        **inversions(case.maps, case.flags, [one.invert != "none" for one in chosen]),
        "definitions": [one.as_dict() for one in chosen],
        "caption": CAPTION, "disclaimer": DISCLAIMER,
    }  # fmt: skip
