"""Gate `geometry_and_confounders`: could thickness, mask, shear-wave holes, person or scanner have said the same?

Two questions. Does the model separate the classes better than every set of confounders does, out of sample, by more
than `NOT_SEPARABLE`? And is the candidate layer's contrast still above 0 once the layer's thickness, its depth and the
body mass index are held fixed? Both must be yes. The rule, in full: docs/definitions.md.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..auc import Auc, subject_auc
from ..cohort import CellStatistics, Settings, is_margin, margins_of
from ..inference import ENOUGH, enough
from ..regions import REGION_ORDER
from ..tables import Cell
from .confounders import Rows, adjusting_columns, confounder_sets
from .gate import CLAIM_METHOD, ELSEWHERE, NOT_CHECKED, Gate
from .out_of_fold import auc_difference, out_of_fold_scores, standardised, with_missing
from .top import top_layer

NAME = "geometry_and_confounders"
NOT_SEPARABLE = 0.05  # a confounder AUC within so much of the image's explains the image's as well
_THRESHOLD = f"AUC of the image > {NOT_SEPARABLE:g} above that of every set of confounders, and adjusted D > 0"


@dataclass(frozen=True, slots=True)
class ConfounderAuc:
    """One set of confounders. lead: AUC of the image less that of the set, with its 95 % limits."""

    name: str
    columns: tuple[str, ...]
    auc: Auc
    lead: float
    lead_low: float
    lead_high: float


@dataclass(frozen=True, slots=True)
class AdjustedContrast:
    """D of a layer with `adjusted_for` held fixed, in the units of D. p: one-sided, D > 0; NaN where it has none."""

    layer: str
    adjusted_for: tuple[str, ...]
    estimate: float
    se: float
    p: float
    n_subjects: int


@dataclass(frozen=True, slots=True)
class Confounding:
    """What the gate found in one cell. image: AUC of the model's margin on the same subjects.
"""

    image: Auc
    sets: tuple[ConfounderAuc, ...]
    adjusted: AdjustedContrast | None

    @property
    def closest(self) -> ConfounderAuc | None:
        """The set that comes nearest to the image, or passes it."""
        return min(self.sets, key=lambda one: one.lead) if self.sets else None

    def as_dict(self) -> dict[str, Any]:
        sets = [{**asdict(one), "auc": one.auc._asdict()} for one in self.sets]
        adjusted = None if self.adjusted is None else asdict(self.adjusted)
        return {"image": self.image._asdict(), "sets": sets, "adjusted": adjusted}


def geometry_gate(stats: CellStatistics, settings: Settings, scans: Rows) -> dict[str, Gate]:
    """The gate by its name; empty where the tables hold no thickness or nothing to judge."""
    found = confounding(stats, settings, scans)
    if found is None:
        return {}
    case, control = found.image.n_case, found.image.n_control
    if not bool(enough(case, control)):
        reason = f"{NOT_CHECKED}: {ENOUGH}, found {case} case and {control} control"
        return {NAME: Gate(NAME, None, ELSEWHERE[NAME], None, reason)}
    return {NAME: _judged(found, settings.alpha)}


def confounding(stats: CellStatistics, settings: Settings, scans: Rows) -> Confounding | None:
    """The numbers of the gate for one cell of a margin; None where the tables hold no thickness or no layer a D."""
    cell, who, top = stats.cell, stats.subjects, top_layer(stats)
    if top is None or not is_margin(cell) or cell.key["method"] != CLAIM_METHOD or not _has_thickness(cell):
        return None
    margin = margins_of(cell, who)
    use = who.in_class & ~np.isnan(margin)
    is_case = who.is_case[use]
    image = subject_auc(margin[use][is_case], margin[use][~is_case])
    if not bool(enough(image.n_case, image.n_control)):
        return Confounding(image, (), None)
    sets = []
    for name, (columns, x) in confounder_sets(cell, who, scans).items():
        score = out_of_fold_scores(x[use], is_case, settings.seed, name)
        lead = auc_difference(margin[use], score, is_case)
        sets.append(ConfounderAuc(name, columns, subject_auc(score[is_case], score[~is_case]), *lead))
    return Confounding(image, tuple(sets), adjusted_contrast(stats, scans, top))


def _has_thickness(cell: Cell) -> bool:
    return "thickness_mm" in cell.table and bool(np.isfinite(cell.matrix("thickness_mm")).any())


def confounding_dict(stats: CellStatistics, settings: Settings, scans: Rows) -> dict[str, Any] | None:
    """`confounding` as plain data for claims.json, where enough subjects are there."""
    found = confounding(stats, settings, scans)
    return found.as_dict() if found is not None and found.sets else None


def adjusted_contrast(stats: CellStatistics, scans: Rows, layer: int) -> AdjustedContrast:
    """The class coefficient of the layer's value in a linear model over subjects: class, thickness of the layer, its
    depth, body mass index (what is missing: the mean, beside an indicator). Ordinary least squares with HC3 standard
    errors (MacKinnon and White 1985, Journal of Econometrics 29:305) and Student's t, one-sided."""
    from scipy.stats import t
    from statsmodels.api import OLS

    names, x = adjusting_columns(stats.cell, stats.subjects, scans, layer)
    y = stats.per_subject[:, layer]
    use = stats.subjects.in_class & ~np.isnan(y)
    design = np.column_stack([stats.subjects.is_case[use], np.ones(int(use.sum())), standardised(with_missing(x[use]))])
    estimate, se, p = np.nan, np.nan, np.nan
    rank, rest = (int(np.linalg.matrix_rank(part)) for part in (design, design[:, 1:]))
    free = len(design) - rank
    if free > 0 and rank > rest:  # else the class follows from what is held fixed, and has no coefficient of its own
        fit = OLS(y[use], design).fit(cov_type="HC3")
        estimate, se = float(fit.params[0]), float(fit.bse[0])
        p = float(t.sf(estimate / se, free)) if se > 0 else np.nan
    return AdjustedContrast(REGION_ORDER[layer].name, names, estimate, se, p, int(use.sum()))


def _judged(found: Confounding, alpha: float) -> Gate:
    closest, adjusted = found.closest, found.adjusted
    if closest is None or adjusted is None:
        return Gate(NAME, None, _THRESHOLD, None, f"{NOT_CHECKED}: no set of confounders")
    apart, holds = closest.lead > NOT_SEPARABLE, adjusted.p < alpha
    nearest = f"{closest.name.replace('_', ' ')} alone: AUC {closest.auc.auc:.2f}, the image {found.image.auc:.2f}"
    lead = f"difference {closest.lead:+.2f} ({_range(closest)})"
    layer, held = adjusted.layer.replace("_", " "), " and ".join(adjusted.adjusted_for)
    said = f"{adjusted.estimate:+.3g}, p = {adjusted.p:.2g}" if adjusted.p == adjusted.p else "not to be had"
    fixed = f"D of {layer} with {held} held fixed: {said}"
    if apart and holds:
        reason = f"not explained by geometry or confounders ({nearest}, {lead}; {fixed})"
    elif not apart:
        reason = f"not separable from geometry and confounders ({nearest}, {lead})"
    else:
        reason = f"the contrast does not hold with geometry adjusted ({fixed})"
    return Gate(NAME, closest.lead, _THRESHOLD, apart and holds, reason)


def _range(one: ConfounderAuc) -> str:
    return "no limits" if np.isnan(one.lead_low) else f"{one.lead_low:+.2f} to {one.lead_high:+.2f}"


