"""Paired contrasts on subject level: layers against layers, muscle against non-muscle, fascia against fat."""

from __future__ import annotations

from typing import Any

import numpy as np

from .classes import interval_dict
from .columns import PAIR_FAMILIES, PAIRS, differences_of, pair_facts
from .effects import paired_g, rank_biserial, wilcoxon_p
from .multiple import adjusted
from .resample import Float, Plan, means, patterns, sign_flip_p


def paired(subject_means: Float, plan: Plan) -> list[list[dict[str, Any]]]:
    """Per analysis the 17 contrasts of `columns.PAIRS`, from equal-subject means (subjects, analyses, regions).

    A subject without one of the two regions is left out of that pair. "p": sign flips, two-sided; "p_wilcoxon" beside
    it; "p_holm" and "p_bh" correct "p" inside the family.
    """
    many, analyses = subject_means.shape[:2]
    x = differences_of(subject_means).reshape(many, analyses * len(PAIRS))
    interval, n = means(x, plan)
    nothing = np.full((6, x.shape[1]), np.nan)
    p, wilcoxon, rank, g, low, high = nothing
    for rows, columns in patterns(x):
        part = x[np.ix_(rows, columns)]
        p[columns], wilcoxon[columns], rank[columns] = sign_flip_p(part, plan), wilcoxon_p(part), rank_biserial(part)
        g[columns], low[columns], high[columns] = paired_g(part, plan.confidence)
    out = []
    for a in range(analyses):
        some = []
        for family, members in PAIR_FAMILIES.items():
            at = a * len(PAIRS) + np.array(members)
            holm, bh = adjusted(p[at])
            some += [
                {
                    **pair_facts(i), "family": family, "n": int(n[c]), **interval_dict(interval, c), "p": p[c],
                    "p_holm": holm[k], "p_bh": bh[k], "p_wilcoxon": wilcoxon[c],
                    "hedges_g": {"estimate": g[c], "low": low[c], "high": high[c]}, "rank_biserial": rank[c],
                }
                for k, (i, c) in enumerate(zip(members, at, strict=True))
            ]  # fmt: skip
        out.append(some)
    return out
