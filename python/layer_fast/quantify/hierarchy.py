"""The way from a subject's scans to the subject's number, as data: which levels lie between, how the units of each are
joined, and whether a ratio is formed before or after. Part of a definition; docs/definitions.md, "Hierarchies"."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Level = Literal["repeat", "side", "visit", "site"]
Unit = Literal["slice", "scan", "repeat", "side", "visit", "site"]
Joining = Literal["mean", "median"]
LEVELS: tuple[Level, ...] = ("repeat", "side", "visit", "site")  # columns of the cohort table
QUOTIENTS = ("mean", "part_of_total_mean", "share", "energy_pointing_game", "inside_total_ratio", "enrichment", "gain")


class Hierarchy(BaseModel):
    """slices: the statistic is taken in every slice along this axis, as if it were a map of its own, and joined to the
    scan's number. levels: columns of the cohort table between scan and subject, the innermost first: scans that agree
    in all of them are joined, then the units of the first level within those that agree in the rest, and so on.
    over: how the slices, the scans and the units of each level are joined, "mean" where nothing is said.
    ratio: mean_of_ratios forms a quotient where its sums are and joins it; ratio_of_means joins the parts of the
    quotient, each by itself, and divides at the subject. Subjects always have equal weight in the cohort's mean."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    slices: Literal["z", "y", "x"] | None = None
    levels: list[Level] = Field(default_factory=list)
    over: dict[Unit, Joining] = Field(default_factory=dict)
    ratio: Literal["mean_of_ratios", "ratio_of_means"] = "mean_of_ratios"

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        levels, over = given.get("levels", []), given.get("over", {})
        readable = isinstance(levels, list) and all(isinstance(one, str) for one in levels) and isinstance(over, dict)
        if not readable:
            return given  # the field's own check says what is wrong
        units = [*(["slice"] if given.get("slices") is not None else []), "scan", *levels]
        if stray := [unit for unit in over if unit not in units]:
            more = "; subjects are averaged: intervals and tests are of that mean" if stray[0] == "subject" else ""
            raise ValueError(f"over: expected units of this hierarchy, {', '.join(units)}, found {stray[0]!r}{more}")
        return {**given, "over": {unit: over.get(unit, "mean") for unit in units}}

    @model_validator(mode="after")
    def _each_level_once(self) -> Self:
        if len(set(self.levels)) != len(self.levels):
            raise ValueError(f"levels: expected each once, found {self.levels}")
        return self

    @property
    def is_plain(self) -> bool:
        """Whether it is the one that a definition has where nothing is said: the equal mean over a subject's scans."""
        return self == PLAIN

    @property
    def label(self) -> str:
        """A short name for it, "" where plain: by_side_visit, median_of_scans, ratio_of_means, average_of_slices_z."""
        slices = [] if self.slices is None else [f"average_of_slices_{self.slices}"]
        levels = ["by_" + "_".join(self.levels)] if self.levels else []
        medians = [f"median_of_{unit}s" for unit, how in self.over.items() if how == "median"]
        ratio = ["ratio_of_means"] if self.ratio == "ratio_of_means" else []
        return "_".join([*slices, *levels, *medians, *ratio])

    @property
    def words(self) -> str:
        """What is done, step by step: "mean over scans, median over sides; a ratio of means"."""
        along = "" if self.slices is None else f" along {self.slices}"
        steps = [f"{how} over {unit}s{along if unit == 'slice' else ''}" for unit, how in self.over.items()]
        return ", ".join(steps) + ("; a ratio of means" if self.ratio == "ratio_of_means" else "")


PLAIN = Hierarchy()
