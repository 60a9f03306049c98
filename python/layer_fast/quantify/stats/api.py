"""Cohort statistics as one JSON-ready dict (stats.json): same tables and settings, same bytes.

What each number is: docs/guides/statistics.md.

{
 "schema_version", "caption", "disclaimer",
 "settings": {"seed", "replicates", "replicates_calibration", "confidence", "unit", "label_unit", "site_column", "by",
              "interval", "tests", "effect_sizes", "min_subjects", "min_per_class"},
 "families": {name: which p values are corrected together}, "multiplicity": text,
 "scans": {"used", "not_ok", "subjects", "units"},
 "analyses": [per definition of a cell: {
    "setup", "method", "model", "member", "fill", "target", "mask", "channel", "definition", "definition_sha256",
    "units", "across_layers", "positive", "negative",
    "paired": [17 rows: {"first", "second", "pair_kind", "family", "n", "estimate", "low", "high", "p", "p_holm",
        "p_bh", "p_wilcoxon", "hedges_g": {"estimate", "low", "high"}, "rank_biserial"}],
    "classes": {"n_units", "n_case", "n_control", "n_both", "excluded", "rows": [28 rows: {"region", "region_kind" or
        "first", "second", "pair_kind"; "family", "basis", "estimate", "low", "high", "p", "p_holm", "p_bh",
        "between": {"n_case", "n_control", "estimate", "low", "high", "p", "p_welch", "estimate_within_site",
            "hedges_g", "cliffs_delta"}, "within": {"n", "estimate", "low", "high", "p", "hedges_g"}}]},
    "strata": [{"by", "level", "n_scans", "n_subjects", "n_case", "n_control", "withheld", "regions": [{"region",
        "region_kind", "n", "mean": {"estimate", "low", "high"}, "contrast": the same}]}]}],
 "calibration": [per classifier: {"setup", "model", "member", "mask", "target", ..., "auc", "auc_units", "brier",
    "log_loss", "intercept", "slope"}]
}
Numbers are floats; None where there is none or where it is withheld.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..beside_tables import classifier_of, logit_sds_of, pairs_of, scans_by_id
from ..definitions import PRESETS
from ..folds import LogitSd, folded, one_sd
from ..inference import MIN_PER_CLASS, MIN_SUBJECTS
from ..regions import NUM_REGIONS
from ..summary import CAPTION, DISCLAIMER, clean
from ..tables import Cell, cells
from .calibration import REPLICATES, calibrations
from .contrast_rows import class_contrasts
from .frame import Analysis, Frame, analyses_of, grouped_mean, make_frame
from .multiple import FAMILIES, NOTE
from .paired import paired
from .resample import Plan
from .strata import stratified

SCHEMA_VERSION = 1
MAP_DEFINITIONS = ("mean_minmax_volume", "part_of_volume_mean")


def cohort_statistics(
    layers: Any,
    scans: Any,
    *,
    by: Sequence[str] = (),
    site: str | None = None,
    logit_sd: LogitSd = None,
    positive: str | None = None,
    negative: str | None = None,
    targets: Mapping[str, tuple[str, str | None]] | None = None,
    seed: int = 0,
    replicates: int = 1999,
    confidence: float = 0.95,
    map_definitions: Sequence[str] = MAP_DEFINITIONS,
) -> dict[str, Any]:
    """Paired contrasts, class contrasts at the label's own unit, strata and calibration of every analysis.

    layers, scans, logit_sd, positive, negative, targets, seed, replicates: as for `summary`; layers may also be its
    cells. by: columns of the scans to stratify by, beside class and correctness. site: the column inside whose values
    labels are permuted; None for the first of centre, center, site that holds two values, "" for none.
    map_definitions: what a map is reduced by, each an analysis of its own.
    Raises ValueError as `summary` does, for columns that are not there, and for a stratum column of over 20 values;
    KeyError for an unknown definition.
    """
    frame = frame_of(
        layers, scans, site=site, logit_sd=logit_sd, positive=positive, negative=negative, targets=targets,
        map_definitions=map_definitions,
    )  # fmt: skip
    plan = Plan(seed, replicates, confidence)
    return statistics_of(frame, by, plan)


def statistics_of(frame: Frame, by: Sequence[str], plan: Plan) -> dict[str, Any]:
    """The dict of `cohort_statistics` from its frame."""
    scans, many, width = len(frame.scan_ids), len(frame.subjects), len(frame.analyses)
    means = grouped_mean(frame.values.reshape(scans, width * NUM_REGIONS), frame.subject, many)
    pairs = paired(means.reshape(many, width, NUM_REGIONS), plan)
    contrasts, strata = class_contrasts(frame, plan), stratified(frame, by, plan)
    out = {
        "schema_version": SCHEMA_VERSION, "caption": CAPTION, "disclaimer": DISCLAIMER,
        "settings": _settings(frame, by, plan), "families": FAMILIES, "multiplicity": NOTE,
        "scans": {"used": len(frame.scan_ids), "not_ok": frame.not_usable, "subjects": many, "units": frame.units},
        "analyses": [
            {**_head(one), "paired": a, "classes": b, "strata": c}
            for one, a, b, c in zip(frame.analyses, pairs, contrasts, strata, strict=True)
        ],
        "calibration": calibrations(frame, plan),
    }  # fmt: skip
    return {name: clean(part) for name, part in out.items()}


def frame_of(
    layers: Any,
    scans: Any,
    *,
    site: str | None = None,
    logit_sd: LogitSd = None,
    positive: str | None = None,
    negative: str | None = None,
    targets: Mapping[str, tuple[str, str | None]] | None = None,
    map_definitions: Sequence[str] = MAP_DEFINITIONS,
) -> Frame:
    """The array that statistics are made from; arguments and errors as for `cohort_statistics`."""
    if wrong := [name for name in map_definitions if PRESETS[name].kind != "map"]:
        raise ValueError(f"[stats] map_definitions: expected definitions of maps, got {', '.join(wrong)}")
    given = isinstance(layers, list) and layers and isinstance(layers[0], Cell)
    found: list[Cell] = layers if given else cells(layers)
    pairs = pairs_of(found, positive, negative, targets)
    spread, by_scan = logit_sds_of(found, logit_sd), scans_by_id(scans)
    found = folded(found, by_scan, spread, classifier_of)
    analyses = [
        analyses_of(cell, pairs[cell.key["target"]], one_sd(spread[classifier_of(cell)]), map_definitions)
        for cell in found
    ]
    return make_frame(found, by_scan, analyses, site)


def _head(one: Analysis) -> dict[str, Any]:
    d = PRESETS[one.definition]
    return {
        **one.key, "definition": d.name, "definition_sha256": d.sha256_short, "units": one.units,
        "across_layers": f"{d.notes} Cap: {d.cap}." if d.cap else d.notes,
        "positive": one.positive, "negative": one.negative,
    }  # fmt: skip


def _settings(frame: Frame, by: Sequence[str], plan: Plan) -> dict[str, Any]:
    place = f"within values of {frame.site_column}" if frame.site_column else "over the whole cohort"
    return {
        "seed": plan.seed, "replicates": plan.replicates, "replicates_calibration": min(plan.replicates, REPLICATES),
        "confidence": plan.confidence, "unit": "subject, equal weight; conditional on the frozen models",
        "label_unit": sorted(frame.units), "site_column": frame.site_column, "by": list(dict.fromkeys(by)),
        "interval": "studentised bootstrap over subjects (contrasts: within class)",
        "tests": {
            "paired": "two-sided sign flips of subjects' differences; Wilcoxon's signed-rank test beside them",
            "classes": f"two-sided studentised permutation: subjects of one class {place}, the units of a subject of "
            f"both classes within the subject; Welch's t test beside it",
        },
        "effect_sizes": "Hedges' g with limits by the noncentral t, Cliff's delta with limits by Newcombe's method 5, "
        "rank-biserial correlation",
        "min_subjects": MIN_SUBJECTS, "min_per_class": MIN_PER_CLASS,
    }  # fmt: skip
