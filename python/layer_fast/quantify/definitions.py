"""How a map, or a set of coalition values, becomes one number per region: definitions as data.

Notation: s_i the map at voxel i, s+ its positive part, L the region's voxels, V all voxels of the volume
(background included), F the labelled voxels (labels 1..6), n_X the voxel count of X. There is no preset that claims
to be a publication's definition: the published texts at hand do not state theirs.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Definition:
    """One way to get a number per region. `column` is the column of layers.parquet that holds it, or "" where the
    number is derived from other columns when the cohort is summarised."""

    name: str
    kind: Literal["map", "value"]
    formula: str
    sign_transform: str
    pooling: str  # how a group's number follows from its members
    units: str
    range: str
    source: str
    column: str
    cap: str = ""
    notes: str = ""

    @property
    def sha256_short(self) -> str:
        """First 12 hex digits of the SHA-256 of the definition written as JSON with sorted keys."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]

    def as_dict(self) -> dict[str, str]:
        """JSON-ready, with the hash."""
        return {**asdict(self), "sha256": self.sha256_short}


_SIGNED = "none: the map's values are summed with their sign (a map that went through a ReLU has no negative ones)"
_POSITIVE = "positive part: max(s, 0) per voxel after upsampling; changes nothing for a map that went through a ReLU"
_UNION = "union of voxels: counts and sums of the members are added"

PRESETS: dict[str, Definition] = {
    d.name: d
    for d in (
        Definition(
            "mean", "map", "sum_L(s) / n_L", _SIGNED, _UNION, "units of the map", "min(s)..max(s)",
            "size-corrected summed relevance (Boehle et al. 2019, doi 10.3389/fnagi.2019.00194)", "mean",
            notes="Size-free. A layer thinner than the map's cell borrows the value of its neighbours.",
        ),
        Definition(
            "mean_minmax_volume", "map", "(mean_L(s) - min_V(s)) / (max_V(s) - min_V(s))", _SIGNED, _UNION, "1",
            "0..1; NaN for a constant map", "mean of the map scaled to 0..1 over the whole volume",
            "mean_minmax_volume",
            notes="Depends on the map's own extremes: one hot voxel lowers every layer. "
            "Scans are not comparable in size.",
        ),
        Definition(
            "share_of_labelled", "map", "sum_L(s+) / sum_F(s+)", _POSITIVE, _UNION, "1",
            "0..1; NaN when the labelled voxels sum to 0; not defined for background",
            "relevance mass accuracy (Arras et al. 2022, arXiv 2003.07258), labelled voxels as the total",
            "share_of_labelled", notes="Grows with the size of the layer.",
        ),
        Definition(
            "share_of_all", "map", "sum_L(s+) / sum_V(s+)", _POSITIVE, _UNION, "1", "0..1; NaN for an all-zero map",
            "relevance mass accuracy (Arras et al. 2022, arXiv 2003.07258)", "share_of_all",
            notes="Grows with the size of the layer.",
        ),
        Definition(
            "enrichment", "map", "(sum_L(s+) / n_L) / (sum_V(s+) / n_V)", _POSITIVE, _UNION, "1",
            "0..n_V / n_L; 1 for a map without structure; NaN for an all-zero map",
            "area-normalised inside-total ratio (after Kohlbrenner et al. 2020, arXiv 1910.09840)", "enrichment",
            cap="n_V / n_L",
            notes="The cap differs between layers (2.5 for a 40 % muscle, 100 for a 1 % fascia): "
            "never compare averages of it across layers bare.",
        ),
        Definition(
            "part_of_volume_mean", "map", "sum_L(s) / n_V", _SIGNED, _UNION, "units of the map", "unbounded",
            "additive split of the map's mean over the volume; for an unrectified Grad-CAM behind global average "
            "pooling and one linear layer it splits the target's logit less its bias", "",
            notes="The regions add up to the map's mean. Grows with the size of the layer.",
        ),
        Definition(
            "mean_abs", "map", "sum_L(|s|) / n_L", "absolute value per voxel after upsampling", _UNION,
            "units of the map", "0..max(|s|)", "mean of the absolute map, as gradient maps are mostly shown", "",
            notes="Reliance without direction: evidence for and against count alike. Noise does not average out.",
        ),
        Definition(
            "share_of_all_abs", "map", "sum_L(|s|) / sum_V(|s|)", "absolute value per voxel after upsampling", _UNION,
            "1", "0..1; NaN for an all-zero map", "relevance mass accuracy (Arras et al. 2022, arXiv 2003.07258) "
            "of the absolute map", "", notes="Grows with the size of the layer.",
        ),
        Definition(
            "layer_ablation", "value", "v(all) - v(all without the region's layers)", "none: signed",
            "the group's layers are removed together", "units of the target", "unbounded",
            "occlusion of whole layers (after Zeiler and Fergus 2014, arXiv 1311.2901)", "value",
            notes="Not additive over layers; redundant layers may each read 0. Depends on the fill.",
        ),
        Definition(
            "layer_shapley", "value",
            "phi_k = sum over T without k of |T|! (p - |T| - 1)! / p! * (v(T + k) - v(T)), p = 7 with background",
            "none: signed", "sum of the members' values", "units of the target", "unbounded",
            "Shapley 1953, A value for n-person games; exact over all 2^p coalitions", "value",
            notes="Sums to v(all) - v(none). Says: this layer's content, given this geometry and this fill.",
        ),
    )
}

MAP_COLUMNS: tuple[str, ...] = ("mean", "std", "mean_minmax_volume", "share_of_labelled", "share_of_all", "enrichment")


def definition(name: str) -> Definition:
    """The preset of that name; KeyError names the presets there are."""
    if name not in PRESETS:
        raise KeyError(f"[definition] expected one of {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name]
