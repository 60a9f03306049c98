"""The schema of manifest.json. Unknown keys are refused, so that a misspelt one cannot pass unread."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from ..types import LAYERS, SETUP_CHANNELS

MODEL_FILE = "model.onnx"
FOV_RELATIVE = 1e-3  # grid * spacing against the field of view: room for lengths that were rounded
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Size = Annotated[int, Field(ge=1, le=4096)]
SlicePooling = Literal["mean_logit", "max_logit", "mean_probability"]
GraphKind = Literal["gradient", "gradcam", "hirescam"]


def _printable(value: str) -> str:
    """Manifests come from elsewhere and their texts go to terminals, tables and pages: no control characters, no line
    breaks, no halves of surrogate pairs."""
    for character in value:
        if not character.isprintable():
            raise ValueError(f"expected printable characters on one line, found {character!a}")
    return value


def _not_empty(value: str) -> str:
    if not value.strip():
        raise ValueError("expected some text, found none")
    return value


Note = Annotated[str, AfterValidator(_printable)]
Text = Annotated[Note, AfterValidator(_not_empty)]


class Strict(BaseModel):
    """Base of all parts: no unknown keys, no silent conversion of types, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Channel(Strict):
    """One input channel: clip((v - lo)/(hi - lo), 0, 1); `window` [lo, hi] is in the modality's unit (grey value, m/s).

    `missing_value`, in the same unit, replaces NaN before resampling; null where the modality has no holes.
    """

    modality: Literal["bmode", "swe"]
    window: Annotated[list[Finite], Field(min_length=2, max_length=2)]
    missing_value: Finite | None = None

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.window[0] < self.window[1]:
            raise ValueError(f"window: expected lo < hi, found {self.window}")
        if self.modality == "swe" and self.missing_value is None:
            raise ValueError("missing_value: expected a number in m/s for the channel swe, found null")
        return self


class Target(Strict):
    """The explained margin: logit[positive] - logit[negative]; where `negative` is null, of several classes, the log
    odds of `positive` against all the others, logit[positive] - log(sum of exp(logit) over the others).

    at_or_above: of ordered classes `positive` is a threshold, and the margin is the log odds of the classes at or above
    it against those below: log(sum of exp(logit) at or above) - log(sum of exp(logit) below)."""

    positive: Text
    negative: Text | None = None
    at_or_above: bool = False


class FillProfile(Strict):
    """Where the fill profile lies and its number of relative-depth bins."""

    file: str
    bins: Annotated[int, Field(ge=1, le=256)]


class TrainingSubjects(Strict):
    """Salted hashes of every subject that the training, or a choice made with it, has seen."""

    salt: Annotated[str, Field(min_length=8)]
    hashes: Annotated[list[Sha256], Field(min_length=1)]


class Parity(Strict):
    """How far a graph of the package was from the network it was made from, on `inputs` drawn inputs."""

    value: Finite
    against: Text  # what it was compared with, with its version
    inputs: Annotated[int, Field(ge=1)]
    note: Note = ""


class Figure(Strict):
    """One measured number of the model card, with the command that measures it."""

    value: Finite
    subjects: Annotated[int, Field(ge=1)]
    command: Text
    note: Note = ""


class Manifest(Strict):
    """manifest.json. `grid`, `spacing_mm`, `fov_mm` are in order (z, y, x); lengths in millimetres.

    A 2D model (spatial_dims 2) runs over the slices along `slice_axis`, where `grid`, `spacing_mm` and `fov_mm` are
    null: the scan's own slices, none interpolated. A classifier's slice outputs become the scan's by `slice_pooling`.
    """

    schema_version: Literal[1]
    name: Name
    role: Literal["segmenter", "classifier"]
    member: Name = "0"
    files: dict[str, Sha256]
    spatial_dims: Literal[2, 3]
    slice_axis: Literal["z", "y", "x"] | None = None
    slice_pooling: SlicePooling | None = None
    coverage: Literal["whole"] = "whole"
    setup: Literal["bmode", "swe", "both"]
    channels: Annotated[list[Channel], Field(min_length=1)]
    grid: Annotated[list[Size | None], Field(min_length=3, max_length=3)]
    spacing_mm: Annotated[list[Positive | None], Field(min_length=3, max_length=3)]
    fov_mm: Annotated[list[Positive | None], Field(min_length=3, max_length=3)]
    antialias: bool
    depth_axis: Literal["z", "y", "x"]
    layer_names: list[str]
    classes: list[Text] | None = None
    ordinal: bool = False  # the classes are levels, from lowest to highest
    target: Target | None = None
    input: str
    output: str
    cam_tensor: str | None = None
    cam_candidates: list[str] = Field(default_factory=list)
    fill_profile: FillProfile | None = None
    logit_sd_train: Positive | None = None
    training_subjects: TrainingSubjects | None = None
    training_data: Text
    licence: Text
    intended_use: Text
    graphs: dict[GraphKind, str] = Field(default_factory=dict)
    parity: dict[Text, Parity] = Field(default_factory=dict)
    card: dict[Text, Figure] = Field(default_factory=dict)

    def grid_for(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """The model's grid for a scan of this shape (z, y, x): the scan's own number where the manifest has null."""
        z, y, x = (own if n is None else n for n, own in zip(self.grid, shape, strict=True))
        return z, y, x

    @field_validator("coverage", mode="before")
    @classmethod
    def _no_windows(cls, value: object) -> object:
        if value != "whole":
            raise ValueError(
                f"expected 'whole': overlapping windows are not run yet, a model sees its whole grid in one pass "
                f"(resample to a smaller grid, or export the network for it); found {value!r}"
            )
        return value

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        self._check_files()
        self._check_slices()
        self._check_lengths()
        modalities = tuple(channel.modality for channel in self.channels)
        if modalities != SETUP_CHANNELS[self.setup]:
            raise ValueError(f"channels: setup {self.setup} expects {SETUP_CHANNELS[self.setup]}, found {modalities}")
        if tuple(self.layer_names) != LAYERS:
            raise ValueError(f"layer_names: expected {list(LAYERS)}, found {self.layer_names}")
        if self.role == "classifier":
            self._check_classifier()
        else:
            self._check_segmenter()
        return self

    def _check_files(self) -> None:
        for name in self.files:
            if not _PLAIN_NAME.fullmatch(name) or name == "manifest.json":
                raise ValueError(f"files: expected plain file names inside the package, found {name!r}")
        wanted = {MODEL_FILE, *self.graphs.values()} | ({self.fill_profile.file} if self.fill_profile else set())
        if set(self.files) != wanted:
            raise ValueError(f"files: expected {sorted(wanted)}, found {sorted(self.files)}")

    def _check_slices(self) -> None:
        free = [axis for axis, n in zip("zyx", self.grid, strict=True) if n is None]
        wanted = [self.slice_axis] if self.spatial_dims == 2 else []
        if free != wanted or (self.spatial_dims == 3 and self.slice_axis is not None):
            raise ValueError(f"grid: expected null on the slice axis of a 2D model only, found {self.grid} with "
                             f"spatial_dims {self.spatial_dims} and slice_axis {self.slice_axis!r}")  # fmt: skip
        for key in ("spacing_mm", "fov_mm"):
            values = getattr(self, key)
            if [v is None for v in values] != [n is None for n in self.grid]:
                raise ValueError(f"{key}: expected null where the grid has it, {self.grid}, found {values}")
        pools = self.spatial_dims == 2 and self.role == "classifier"
        if pools != (self.slice_pooling is not None):
            raise ValueError(f"slice_pooling: expected for a 2D classifier only, found {self.slice_pooling!r}")

    def _check_lengths(self) -> None:
        for axis, n, step, whole in zip("zyx", self.grid, self.spacing_mm, self.fov_mm, strict=True):
            if n is None or step is None or whole is None:  # the slice axis of a 2D model
                continue
            if abs(n * step - whole) > FOV_RELATIVE * whole:
                raise ValueError(f"fov_mm: {n} voxels of {step:g} mm along {axis} are {n * step:g} mm, "
                                 f"found {whole:g}")  # fmt: skip

    def _check_classifier(self) -> None:
        for key in ("classes", "target"):
            if getattr(self, key) is None:
                raise ValueError(f"{key}: expected for a classifier, found null")
        if self.classes is None or self.target is None:  # tested just above; this line tells the type checker
            return
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes) or "rest" in self.classes:
            raise ValueError(f"classes: expected at least two different names, none of them 'rest', which stands for "
                             f"all the others, found {self.classes}")  # fmt: skip
        pair = [name for name in (self.target.positive, self.target.negative) if name is not None]
        if len(set(pair)) != len(pair) or not set(pair) <= set(self.classes):
            raise ValueError(f"target: expected different names out of {self.classes}, found {pair}")
        if self.target.at_or_above:
            self._check_threshold(self.classes, self.target)
        if (self.fill_profile is None) != (self.logit_sd_train is None):
            raise ValueError("fill_profile, logit_sd_train: expected both (from the training cohort) or neither")

    def _check_threshold(self, classes: list[str], target: Target) -> None:
        if not self.ordinal:
            raise ValueError("target: at_or_above expects ordered classes, from lowest to highest, said by `ordinal`: "
                             "true; found false")  # fmt: skip
        if target.negative is not None or target.positive == classes[0]:
            raise ValueError(f"target: with at_or_above expected `positive` out of {classes[1:]}, with classes below "
                             f"it, and no `negative`, found {target.positive!r} and {target.negative!r}")

    def _check_segmenter(self) -> None:
        if self.ordinal:
            raise ValueError("ordinal: expected false for a segmenter, found true")
        for key in ("classes", "target", "cam_tensor", "fill_profile", "logit_sd_train"):
            if getattr(self, key) is not None:
                raise ValueError(f"{key}: expected null for a segmenter, found {getattr(self, key)!r}")
