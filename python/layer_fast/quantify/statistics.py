"""The statistics that a reduction may ask for, as data: formula, range, cap, what they may be compared across, source.

Notation: t the map after the definition's transforms, L the region, T the total (all voxels, or the labelled ones), n_X
the voxels of X, sums over a soft mask weighted by it. Statistics of mass need t >= 0, those of
thresholds mostly 0 <= t <= 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

StatisticName = Literal[
    "sum", "mean", "part_of_total_mean", "gain",
    "share", "energy_pointing_game", "inside_total_ratio", "enrichment",
    "rank_accuracy", "rank_overlap", "top_k_intersection", "concept_influence", "pointing_game",
    "effective_heat_ratio", "intersection_over_attention", "auc_iou",
    "std", "variance", "min", "max", "median", "quantile",
]  # fmt: skip
REQUIRED = "required"  # in place of a default: the definition must say it


@dataclass(frozen=True, slots=True)
class StatisticFacts:
    """What is known of a statistic. parameters: name -> default, or REQUIRED. needs: what t must be in T.
    chance: its value for a map without structure. across_layers: why layers cannot be compared by it, or ""."""

    formula: str
    range: str
    source: str
    units: Literal["map", "map^2", "1"] = "1"
    parameters: dict[str, Any] = field(default_factory=dict)
    needs: Literal["", "t >= 0", "0 <= t <= 1"] = ""
    cap: str = ""
    chance: Literal["", "n_L / n_T", "1"] = ""
    across_layers: str = ""
    additive: bool = False  # over disjoint regions: a group's number is the sum of its members'
    soft: bool = False  # defined for a mask of weights
    cohort: bool = False  # compares groups of subjects: a single map has no such number


_TOTAL = {"total": "all"}
_GROWS = "grows with the size of the layer"
_CAPPED = "the cap differs between layers: never compare averages of it across layers bare"
_RANKS = "K is the layer's own size, so layers are measured with different rulers"
_ARRAS = "Arras et al. 2022, arXiv 2003.07258"
_RELATIVE: dict[str, Any] = {"parameters": _TOTAL, "needs": "t >= 0", "chance": "n_L / n_T", "additive": True,
                             "soft": True, "across_layers": _GROWS}  # fmt: skip
_TOP: dict[str, Any] = {"total": "all", "k": None, "fraction": None}

STATISTICS: dict[StatisticName, StatisticFacts] = {
    "sum": StatisticFacts("sum_L(t)", "unbounded", "nilearn NiftiLabelsMasker, strategy sum", "map", additive=True,
                          soft=True, across_layers=_GROWS),
    "mean": StatisticFacts("sum_L(t) / n_L", "min(t)..max(t)", "relevance density, Boehle et al. 2019, "
                           "doi 10.3389/fnagi.2019.00194", "map", soft=True),
    "part_of_total_mean": StatisticFacts("sum_L(t) / n_T", "unbounded", "additive split of the map's mean", "map",
                                         _TOTAL, additive=True, soft=True, across_layers=_GROWS),
    "gain": StatisticFacts("mean over patients of mean_L(t) / mean over controls of mean_L(t)", "unbounded",
                           "Boehle et al. 2019, doi 10.3389/fnagi.2019.00194; on densities, for with sums the "
                           "thickness of a patient's layer poses as relevance", cohort=True),
    "share": StatisticFacts("sum_L(t) / sum_T(t)", "0..1", f"relevance mass accuracy, {_ARRAS}", **_RELATIVE),
    "energy_pointing_game": StatisticFacts(
        "sum_L(t) / (sum_L(t) + sum_{V without L}(t))", "0..1",
        "Wang et al. 2020 (Score-CAM), arXiv 1910.01279; the weighting game, arXiv 2208.06175; equals share of all",
        **{**_RELATIVE, "parameters": {}}),
    "inside_total_ratio": StatisticFacts(
        "sum_L(t) / sum_T(t); weighted: times n_T / n_L", "0..1; weighted: 0..n_T / n_L",
        "Kohlbrenner et al. 2020, arXiv 1910.09840; plain it equals share, weighted enrichment",
        parameters={"total": "all", "weighted": False}, needs="t >= 0", cap="weighted: n_T / n_L",
        chance="n_L / n_T", across_layers=f"plain: {_GROWS}; weighted: {_CAPPED}", soft=True),
    "enrichment": StatisticFacts("(sum_L(t) / n_L) / (sum_T(t) / n_T)", "0..n_T / n_L",
                                 "area-normalised inside-total ratio, after Kohlbrenner et al. 2020, arXiv 1910.09840",
                                 parameters=_TOTAL, needs="t >= 0", cap="n_T / n_L", chance="1",
                                 across_layers=_CAPPED, soft=True),
    "rank_accuracy": StatisticFacts("|top-K of T in L| / K, K = n_L; NaN where a tie at the K-th value decides", "0..1",
                                    f"relevance rank accuracy, {_ARRAS}", parameters=_TOTAL, chance="n_L / n_T",
                                    across_layers=_RANKS),
    "rank_overlap": StatisticFacts("E|top-K of T in L| / K, K = n_L, expected over random orders of ties", "0..1",
                                   f"relevance rank accuracy, {_ARRAS}, with ties as an expected value",
                                   parameters=_TOTAL, chance="n_L / n_T", across_layers=_RANKS),
    "top_k_intersection": StatisticFacts(
        "E|top-k of T in L| / k, expected over random orders of ties", "0..min(1, n_L / k)",
        "Theiner et al. 2021, arXiv 2104.14995", parameters=_TOP, cap="min(1, n_L / k)", chance="n_L / n_T",
        across_layers=_GROWS, additive=True),
    "concept_influence": StatisticFacts(
        "(E|top-k of T in L| / k) * n_T / n_L", "0..n_T / max(k, n_L)", "Theiner et al. 2021, arXiv 2104.14995",
        parameters=_TOP, cap="n_T / max(k, n_L)", chance="1", across_layers=_CAPPED),
    "pointing_game": StatisticFacts(
        "share of the voxels that hold the maximum of T that lie in L (1 or 0 where it is one voxel); weighted: times "
        "1 - n_L / n_T", "0..1", "Zhang et al. 2018, arXiv 1608.00507; weighted as in Quantus",
        parameters={"total": "all", "weighted": False}, cap="weighted: 1 - n_L / n_T", chance="n_L / n_T",
        across_layers="thin layers almost never hold the maximum"),
    "effective_heat_ratio": StatisticFacts(
        "voxels below base_threshold become 0; q = 0, 0.1 .. 1: tau_q = min(quantile_q(t of the rest), 0.99 max t), "
        "B = {t >= tau_q}, r(q) = |B in L| / |B|, weighted: sum_{B in L}(t) / |B|; area under r(q) by trapezoids",
        "0..1", "Zhang et al. 2021 (InputIBA), arXiv 2110.01471 and its code, without the 1e-8 in its denominator",
        parameters={"total": "all", "weighted": False, "base_threshold": 0.1}, needs="0 <= t <= 1", chance="n_L / n_T",
        across_layers=f"{_GROWS}; weighted it also depends on the scale of the map", additive=True),
    "intersection_over_attention": StatisticFacts(
        "A = {t >= Otsu's threshold of T, 256 bins}: |A in L| / |A|; weighted: sum_{A in L}(t) / sum_A(t)", "0..1",
        "Gotkowski et al. 2020 (M3d-Cam), arXiv 2007.00453 and its code",
        parameters={"total": "all", "weighted": False}, chance="n_L / n_T", across_layers=_GROWS, additive=True),
    "auc_iou": StatisticFacts(
        "integral over tau in 0..1 of |{t > tau} in L| / |{t > tau} or L|, both within T; exact: a step at every value",
        "0..1", "after Aksoy 2025, arXiv 2509.03176, whose grid of thresholds is not stated at hand",
        parameters=_TOTAL, needs="0 <= t <= 1", across_layers="a layer smaller than the lit area cannot reach 1"),
    "std": StatisticFacts("sqrt(variance)", ">= 0", "nilearn NiftiLabelsMasker, strategy standard_deviation; ddof 0",
                          "map", soft=True),
    "variance": StatisticFacts("sum_L((t - mean_L)^2) / n_L", ">= 0", "nilearn NiftiLabelsMasker, variance; ddof 0",
                               "map^2", soft=True),
    "min": StatisticFacts("min_L(t)", "min(t)..max(t)", "nilearn NiftiLabelsMasker, strategy minimum", "map"),
    "max": StatisticFacts("max_L(t)", "min(t)..max(t)", "nilearn NiftiLabelsMasker, strategy maximum", "map",
                          across_layers="the largest of more voxels is larger"),
    "median": StatisticFacts("quantile 0.5 of t in L", "min(t)..max(t)", "nilearn NiftiLabelsMasker, strategy median",
                             "map"),
    "quantile": StatisticFacts("quantile q of t in L, numpy's linear definition", "min(t)..max(t)",
                               "Hyndman and Fan 1996, definition 7", "map", {"q": REQUIRED}),
}  # fmt: skip


def facts_dict(name: StatisticName) -> dict[str, Any]:
    """The entry as JSON-ready data, parameters apart."""
    out = asdict(STATISTICS[name])
    del out["parameters"]
    return out
