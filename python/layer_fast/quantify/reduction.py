"""A reduction: how a map becomes one number per region, as data that can be written down, hashed and run.

The order of the steps is fixed: the map is brought onto the mask's grid, inverted, its sign taken, clipped, normalised;
then the statistic is taken per region, groups are pooled, and scans become subjects by the hierarchy. YAML or JSON in,
the same object out; unknown keys are refused. docs/guides/definitions.md explains every field.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..errors import ConfigError
from ..files import read_yaml
from ..types import GROUPS, REGIONS
from .hierarchy import PLAIN, QUOTIENTS, Hierarchy
from .statistics import REQUIRED, STATISTICS, StatisticFacts, StatisticName, facts_dict

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$")]
Member = Annotated[str, Field(pattern=r"^(group:)?[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$")]
Part = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
VoxelSet = Literal["all", "labelled"]
Pooling = Literal["union", "mean_of_means", "sum_of_shares", "max", "weights"]
Inversion = Literal["none", "negate", "one_minus"]
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Clip(_Strict):
    """Values below and above two percentiles of `voxels` of the volume take the percentile's value."""

    percentiles: Annotated[list[Annotated[float, Field(ge=0, le=100)]], Field(min_length=2, max_length=2)]
    voxels: VoxelSet = "all"

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.percentiles[0] < self.percentiles[1]:
            raise ValueError(f"percentiles: expected low < high, found {self.percentiles}")
        return self


class Normalise(_Strict):
    """none; min_max (t - m) / (M - m); max t / M; sum t / sum; z_score (t - mean) / std; rank: the mid-distribution
    function (voxels below + half of those equal) / n. m, M, ... are those of `voxels` in every slice or the volume."""

    kind: Literal["none", "min_max", "max", "sum", "z_score", "rank"] = "none"
    scope: Literal["slice", "volume", "subject", "cohort"] = "volume"
    axis: Literal["z", "y", "x"] | None = None  # the axis along which slices are stacked
    voxels: VoxelSet = "all"

    @model_validator(mode="after")
    def _axis_of_slices(self) -> Self:
        if (self.scope == "slice") != (self.axis is not None):
            found = "none" if self.axis is None else f"{self.axis!r} with scope {self.scope!r}"
            raise ValueError(f"axis: expected z, y or x with scope 'slice' and none without it, found {found}")
        if self.kind == "none" and (self.scope, self.voxels) != ("volume", "all"):
            raise ValueError("kind 'none' takes no scope, axis or voxels")
        return self


class MaskUse(_Strict):
    """hard: labels. soft: a weight per voxel and layer. eroded: labels whose distance to every other label is more
    than `mm`; totals and normalisation keep the whole mask."""

    kind: Literal["hard", "soft", "eroded"] = "hard"
    mm: Annotated[float, Field(gt=0, le=100)] | None = None

    @model_validator(mode="after")
    def _mm_of_erosion(self) -> Self:
        if (self.kind == "eroded") != (self.mm is not None):
            raise ValueError(f"mm: expected a length with kind 'eroded' and none without it, found {self.mm}")
        return self


class Statistic(_Strict):
    """A statistic of `STATISTICS` and its parameters; those it does not take are refused. Its name alone will do."""

    name: StatisticName
    total: VoxelSet | None = None
    weighted: bool | None = None
    q: Part | None = None
    k: Annotated[int, Field(ge=1)] | None = None
    fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    base_threshold: Part | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, given: Any) -> Any:
        fields = {"name": given} if isinstance(given, str) else given
        if not isinstance(fields, dict) or fields.get("name") not in STATISTICS:
            return fields  # the field's own check says what is wrong
        takes = STATISTICS[fields["name"]].parameters
        if stray := sorted(set(fields) - {"name"} - set(takes)):
            raise ValueError(f"{fields['name']} takes {', '.join(takes) or 'no parameters'}, found {', '.join(stray)}")
        missing = [name for name, default in takes.items() if default == REQUIRED and name not in fields]
        if missing:
            raise ValueError(f"{fields['name']} needs {', '.join(missing)}")
        return {**{name: value for name, value in takes.items() if value is not None}, **fields}

    @model_validator(mode="after")
    def _one_size_of_top(self) -> Self:
        if "k" in STATISTICS[self.name].parameters and (self.k is None) == (self.fraction is None):
            found = "neither" if self.k is None else "both"
            raise ValueError(f"{self.name} needs either k or fraction, found {found}")
        return self

    @property
    def facts(self) -> StatisticFacts:
        return STATISTICS[self.name]

    @property
    def needs(self) -> str:
        """What the transformed map must be in the total: "", "t >= 0" or "0 <= t <= 1"."""
        weighted_otsu = self.name == "intersection_over_attention" and self.weighted
        return "t >= 0" if weighted_otsu else self.facts.needs


class Group(_Strict):
    """Members: names of layers, "background", or "group:NAME". weights: one per member, with pooling "weights" only."""

    members: Annotated[list[Member], Field(min_length=1)]
    pooling: Pooling = "union"
    weights: Annotated[list[Annotated[float, Field(gt=0, allow_inf_nan=False)]], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _weights_of_members(self) -> Self:
        if len(set(self.members)) != len(self.members):
            raise ValueError(f"members: expected each once, found {self.members}")
        if (self.pooling == "weights") != (self.weights is not None):
            raise ValueError("weights: expected with pooling 'weights', and only there")
        if self.weights is not None and len(self.weights) != len(self.members):
            raise ValueError(f"weights: expected {len(self.members)}, one per member, found {len(self.weights)}")
        return self


def house_groups(pooling: Literal["union", "mean_of_means", "sum_of_shares", "max"] = "union") -> dict[str, Group]:
    """muscle, non_muscle, fascia and fat, pooled in one way."""
    return {n: Group(members=[REGIONS[k] for k in members], pooling=pooling) for n, members in GROUPS.items()}


class Reduction(_Strict):
    """One definition. `sha256_short` is the hash of all its fields, defaults written out: it says what was computed."""

    schema_version: Literal[1] = 1
    name: Name
    channels: Literal["each", "sum", "mean", "max", "l2"] = "each"  # of a 4D map: rows per channel, or pooled first
    invert: Inversion = "none"
    sign: Literal["none", "positive", "negative", "absolute"] = "none"
    clip: Clip | None = None
    normalise: Normalise = Normalise()
    mask: MaskUse = MaskUse()
    statistic: Statistic
    groups: dict[str, Group] = Field(default_factory=house_groups)
    hierarchy: Hierarchy = PLAIN  # no part of the hash while it is the plain one, which definitions had before it

    @field_validator("groups")
    @classmethod
    def _group_names(cls, groups: dict[str, Group]) -> dict[str, Group]:
        if bad := [name for name in groups if not _KEY.fullmatch(name)]:
            raise ValueError(f"expected names of letters, digits and ._+-, found {bad[0]!r}")
        return groups

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        name, facts = self.statistic.name, self.statistic.facts
        if self.statistic.needs and self.normalise.kind == "z_score":
            raise ValueError(f"{name} needs {self.statistic.needs}, and a z-score has negative values")
        if self.mask.kind == "soft":
            if not facts.soft:
                raise ValueError(f"{name} is not defined for a soft mask")
            sets = {self.normalise.voxels, self.clip.voxels if self.clip else "all"}
            if "labelled" in sets:
                raise ValueError("a soft mask has no set of labelled voxels to clip or normalise by: use voxels 'all'")
        for group, spec in self.groups.items():
            if spec.pooling == "sum_of_shares" and not facts.additive:
                raise ValueError(f"groups.{group}: sum_of_shares adds parts of one total, and {name} is none")
        return self

    @model_validator(mode="after")
    def _hierarchy_fits(self) -> Self:
        name, spec = self.statistic.name, self.hierarchy
        if spec.ratio == "ratio_of_means" and name not in QUOTIENTS:
            raise ValueError(f"hierarchy.ratio: {name} is no quotient; ratio_of_means goes with {', '.join(QUOTIENTS)}")
        if spec.slices is not None and self.normalise.axis not in (None, spec.slices):
            raise ValueError(f"hierarchy.slices: expected {self.normalise.axis}, the axis of normalise, since a run "
                             f"keeps slices along one axis, found {spec.slices}")  # fmt: skip
        return self

    @property
    def fields(self) -> dict[str, Any]:
        """JSON-ready: defaults written out, what does not apply left out, and so is the plain hierarchy."""
        plain = {"hierarchy"} if self.hierarchy.is_plain else None
        return self.model_dump(mode="json", exclude_none=True, exclude=plain)

    @property
    def canonical(self) -> str:
        """`fields` as JSON with sorted keys."""
        return json.dumps(self.fields, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)

    @property
    def sha256_short(self) -> str:
        """First 12 hex digits of the SHA-256 of `canonical`."""
        return hashlib.sha256(self.canonical.encode("ascii")).hexdigest()[:12]

    @property
    def units(self) -> str:
        """ "map" and "map^2": those of the map. A normalised map has none."""
        kind = self.statistic.facts.units
        return kind if self.normalise.kind == "none" else "1"

    @property
    def steps(self) -> str:
        """What makes t of the map s, in words."""
        signs = {"positive": "max(t, 0)", "negative": "max(-t, 0)", "absolute": "|t|"}
        spec, clip = self.normalise, self.clip
        place = "the volume" if spec.axis is None else f"each slice along {spec.axis}"
        said = [
            "" if self.channels == "each" else f"{self.channels} over channels",
            {"none": "", "negate": "-s", "one_minus": "1 - s"}[self.invert],
            signs.get(self.sign, ""),
            f"clipped to percentiles {clip.percentiles[0]:g} and {clip.percentiles[1]:g} of {clip.voxels}"
            if clip
            else "",
            "" if spec.kind == "none" else f"{spec.kind} over {place}, voxels {spec.voxels}",
            f"layers eroded by {self.mask.mm:g} mm" if self.mask.mm else "",
            "weights of a soft mask" if self.mask.kind == "soft" else "",
        ]
        return ", ".join(part for part in said if part) or "t = s"

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: the fields, the hash, and what is known of the statistic (formula, range, cap, ...)."""
        fields = json.loads(self.canonical)
        known = {"steps": self.steps, "units": self.units, "facts": facts_dict(self.statistic.name)}
        return {**fields, "sha256": self.sha256_short, **known}


def make_reduction(fields: Any, where: str = "definition") -> Reduction:
    """Check fields and return them as a `Reduction`. Raises ConfigError that names `where` and the field at fault."""
    if isinstance(fields, Reduction):
        return fields
    if not isinstance(fields, dict):
        raise ConfigError(f"{where}: expected a mapping of fields, found {type(fields).__name__}")
    try:
        return Reduction(**{str(key): value for key, value in fields.items()})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        what = first["msg"].removeprefix("Value error, ")[:400]
        found = "" if first["type"] in ("value_error", "missing") else f", found {first['input']!r:.80}"
        raise ConfigError(f"{where}: {f'{place}: ' if place else ''}{what}{found}") from None


def read_reductions(path: str | os.PathLike[str]) -> list[Reduction]:
    """The definitions of a YAML (or JSON) file: one mapping, or a list of them. Raises ConfigError naming the file."""
    content = read_yaml(os.fspath(path))
    items = content if isinstance(content, list) else [content]
    if not items:
        raise ConfigError(f"{path}: expected a definition, found none")
    found = [make_reduction(item, f"{path}" if len(items) == 1 else f"{path}: definition {i + 1}")
             for i, item in enumerate(items)]  # fmt: skip
    return distinct(found, str(path))


def distinct(found: list[Reduction], where: str) -> list[Reduction]:
    """The definitions, each once. Two different ones of one name would be one in a table: ConfigError."""
    by_name: dict[str, Reduction] = {}
    for one in found:
        if by_name.setdefault(one.name, one) != one:
            raise ConfigError(f"{where}: two different definitions are called {one.name!r}")
    return list(by_name.values())


def reductions_yaml(found: list[Reduction]) -> bytes:
    """The definitions as the YAML file that `read_reductions` takes."""
    import yaml

    fields = [one.fields for one in found]  # groups keep their order
    return bytes(yaml.safe_dump(fields, sort_keys=False), "utf-8")
