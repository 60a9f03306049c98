"""fields.yaml: what of a manifest only a person can state. Everything else is found in the graph."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ..errors import ConfigError
from ..files import read_yaml
from ..models.manifest import Channel, Name, Positive, Size, SlicePooling, Target, Text
from ..types import LAYERS

Lengths = Annotated[list[Positive | None], Field(min_length=3, max_length=3)]


def _one_line(value: object) -> object:
    return " ".join(value.split()) if isinstance(value, str) else value


Prose = Annotated[Text, BeforeValidator(_one_line)]  # YAML folds long texts over several lines; a manifest has one


class Fields(BaseModel):
    """What a person states of a model. `grid`, `spacing_mm`, `fov_mm` in order (z, y, x), null at a 2D model's
    `slice_axis`; of the two lengths one is enough, and `grid` is only needed where the graph leaves its sizes open.

    channels: modality, window [lo, hi] and missing_value of each input channel, B-mode first. input, output: names in
    the graph, where it has several. profile_bins: relative-depth bins of the fill profile made from --cohort.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Name
    role: Literal["segmenter", "classifier"]
    member: Name = "0"
    setup: Literal["bmode", "swe", "both"]
    channels: Annotated[list[Channel], Field(min_length=1)]
    grid: Annotated[list[Size | None], Field(min_length=3, max_length=3)] | None = None
    spacing_mm: Lengths | None = None
    fov_mm: Lengths | None = None
    antialias: bool
    depth_axis: Literal["z", "y", "x"]
    layer_names: list[str] = Field(default_factory=lambda: list(LAYERS))
    classes: list[Text] | None = None
    ordinal: bool = False
    target: Target | None = None
    slice_axis: Literal["z", "y", "x"] | None = None
    slice_pooling: SlicePooling | None = None
    input: str | None = None
    output: str | None = None
    profile_bins: Annotated[int, Field(ge=1, le=256)] = 16
    training_data: Prose
    licence: Prose
    intended_use: Prose


def read_fields(path: str | Path) -> Fields:
    """Read fields.yaml (safe loader: data only). Raises ConfigError that names every key at fault."""
    return make_fields(read_mapping(path), str(path))


def read_mapping(path: str | Path) -> dict[str, Any]:
    """A YAML file that holds one mapping. Raises ConfigError."""
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of names to values, found {type(values).__name__}")
    return values


def make_fields(values: Fields | Mapping[str, Any] | str | Path, where: str = "fields") -> Fields:
    """Fields as they are, from a mapping, or from the file at a path. Raises ConfigError naming every key at fault."""
    if isinstance(values, Fields):
        return values
    if isinstance(values, str | Path):
        return read_fields(values)
    faults = [_unknown(str(key)) for key in values if key not in Fields.model_fields]
    known = {str(key): value for key, value in values.items() if key in Fields.model_fields}
    try:
        fields = Fields(**known)
    except ValidationError as error:
        for fault in error.errors():
            key = ".".join(str(part) for part in fault["loc"])
            faults.append(f"{key}: missing" if fault["type"] == "missing" else f"{key}: {fault['msg']}")
        fields = None
    if faults or fields is None:
        raise ConfigError(f"{where}: " + "; ".join(faults))
    return fields


def _unknown(key: str) -> str:
    near = difflib.get_close_matches(key[:80], Fields.model_fields, n=1)
    return f"{key[:80]}: unknown key" + (f", did you mean {near[0]!r}?" if near else "")
