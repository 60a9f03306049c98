"""Options of a run: one object, every default in one place, unknown keys refused."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import reprlib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .errors import ConfigError
from .files import read_yaml
from .fills import DEFAULT_FILLS, FILLS
from .types import MODALITIES, SETUPS

RESULT_VERSION = 5  # raise it with every change that moves a number; records of other versions are redone

CAM_METHODS: tuple[str, ...] = ("gradcam", "hirescam")
GRADIENT_METHODS: tuple[str, ...] = ("gradient", "input_x_gradient", "integrated_gradients", "smoothgrad")
VALUE_METHODS: tuple[str, ...] = ("layer_ablation", "layer_shapley")
METHODS = CAM_METHODS + GRADIENT_METHODS + VALUE_METHODS
DEFAULT_METHODS = ("gradcam", *VALUE_METHODS)
STORED: tuple[str, ...] = ("histograms", "slices")
# leakage, border: from the mask and the maps that are there. nulls: moved masks. mask_perturbation: 512 passes more.
# randomisation: of the models, once, on a few scans, so it is in no record and in no key.
GUARDS: tuple[str, ...] = ("leakage", "border", "nulls", "mask_perturbation", "randomisation")
DEFAULT_GUARDS = ("leakage", "border")

RESOLUTION_MM = {"bmode": 0.3, "swe": 1.5}

# Not part of a record's key: they choose where and how fast, or what is shown, never a number.
# (Engine, device, threads and precision are in the key as facts: what "auto" chose, not the word.)
_EXECUTION = (
    "lanes", "pictures", "max_bad_share", "engine", "device", "engine_threads", "precision", "engine_cache",
    "gpus",
    "donors",  # their content is in the key, not where they lie
)  # fmt: skip


class RunConfig(BaseModel):
    """What a run computes and how. Lengths in millimetres. Extra keys are errors that name the nearest option."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    setups: tuple[str, ...] = SETUPS  # those without a model or a volume are skipped
    methods: tuple[str, ...] = DEFAULT_METHODS  # how layer values are made
    guards: tuple[str, ...] = DEFAULT_GUARDS  # checks of maps and masks, written to guards.parquet
    target: Literal["margin", "logit", "probability"] = "margin"  # what is explained, of the manifest's positive class
    fills: tuple[str, ...] = DEFAULT_FILLS  # what replaces a removed layer; each asks for 127 forwards more a scan
    donors: str | None = None  # cohort table of the scans that the fill `donor` takes layers from, with masks
    ig_steps: int = Field(32, ge=1, le=1024)  # Gauss-Legendre nodes of integrated_gradients
    ig_baseline: Literal["zero", "cohort_profile"] = "zero"  # where its path starts; zero: lower end of each window
    smoothgrad_samples: int = Field(16, ge=1, le=1024)  # noisy copies that smoothgrad averages over
    smoothgrad_sigma: float = Field(0.1, gt=0, le=1)  # SD of their normal noise, in parts of each channel's window
    gradient_memory_mb: int = Field(1024, ge=16)  # of activations in one gradient call: sets its batch size
    mask: Literal["auto", "given", "model"] = "auto"  # auto: the given mask where there is one, else the segmenter's
    geometry: Literal["refuse", "resample"] = "refuse"  # what to do when the grids of one scan differ
    tolerance_mm: float = Field(0.05, gt=0, le=1)  # largest distance between corresponding voxels of one grid
    fov_tolerance: float = Field(0.15, gt=0)  # relative difference to the model's field of view that is flagged
    resolution_mm: dict[str, float] = RESOLUTION_MM  # thinner layers are `unresolved`; what is left out stays
    scan_batch: int = Field(4, ge=1, le=256)  # scans in one engine batch; short batches are padded
    coalition_batch: int = Field(32, ge=1, le=128)  # composed inputs in one engine batch

    engine: Literal["auto", "onnxruntime", "openvino", "torch", "tensorrt"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: LAYER_FAST_DEVICE, else a GPU where one is
    # auto: mixed in TensorRT, float32 elsewhere. mixed: half precision but for gradients. bfloat16: OpenVINO only.
    precision: Literal["auto", "float32", "mixed", "bfloat16"] = "auto"
    engine_cache: str = ""  # folder of built TensorRT engines; empty: LAYER_FAST_CACHE, else the user's cache folder
    engine_threads: int = Field(1, ge=1)  # inside one engine call; in the key, because it may move low bits
    lanes: int = Field(0, ge=0)  # batches at work at once; 0: as many as the thread budget allows
    gpus: int = Field(1, ge=1, le=64)  # GPUs at work, each in a process of its own; 1: this process
    store: tuple[str, ...] = ()  # of each map beside its sums: histograms, slices (what they cost: docs/decisions.md)
    slice_axis: Literal["z", "y", "x"] = "z"  # the axis of the slices
    pictures: int = Field(15, ge=0)  # example scans, at most, whose middle slice is kept for the report; 0: no images
    max_bad_share: float = Field(1.0, ge=0, le=1)  # stop early when more than this share of the scans is bad

    @field_validator("setups")
    @classmethod
    def _known_setups(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known("setup", value, SETUPS)

    @field_validator("methods")
    @classmethod
    def _known_methods(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known("method", value, METHODS)

    @field_validator("fills")
    @classmethod
    def _known_fills(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError(f"expected at least one fill; known: {', '.join(FILLS)}")
        return _known("fill", value, FILLS)

    @field_validator("store")
    @classmethod
    def _known_stored(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known("table", value, STORED)

    @field_validator("guards")
    @classmethod
    def _known_guards(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known("guard", value, GUARDS)

    @field_validator("resolution_mm")
    @classmethod
    def _every_modality(cls, value: dict[str, float]) -> dict[str, float]:
        _known("modality", tuple(value), MODALITIES)
        if not all(mm >= 0 for mm in value.values()):
            raise ValueError("expected millimetres of 0 or more")
        return {**RESOLUTION_MM, **value}

    def result_part(self) -> dict[str, Any]:
        """The options that can move a number: part of every record's key."""
        part = {k: v for k, v in self.model_dump(mode="json").items() if k not in _EXECUTION}
        return {**part, "guards": [name for name in self.guards if name != "randomisation"]}

    def sha256(self) -> str:
        return hashlib.sha256(json.dumps(self.result_part(), sort_keys=True).encode()).hexdigest()


def _known(what: str, given: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    for name in given:
        if name not in known:
            raise ValueError(f"unknown {what} {name!r}; known: {', '.join(known)}")
    return tuple(name for name in known if name in given)


def make_config(values: RunConfig | dict[str, Any] | None = None) -> RunConfig:
    """Check options and return them as a `RunConfig`. Raises ConfigError that names the option at fault."""
    if isinstance(values, RunConfig):
        return values
    values = dict(values or {})
    for key in map(str, values):
        if key not in RunConfig.model_fields:
            near = difflib.get_close_matches(key[:80], RunConfig.model_fields, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"unknown option {_short(key)}{hint}")
    try:
        return RunConfig(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"option {where!r}: {first['msg'][:400]}, got {_short(first['input'])}") from None


def _short(value: object) -> str:
    """repr of a value, cut in depth, breadth and length."""
    brief = reprlib.Repr()
    brief.maxlevel, brief.maxstring, brief.maxother = 3, 80, 80
    return brief.repr(value)[:200]


def read_config(path: str | Path) -> RunConfig:
    """Read options from a YAML file (safe loader: data only, no aliases). Raises ConfigError."""
    values = read_yaml(path) or {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of options, found {type(values).__name__}")
    return make_config(values)


def as_yaml(config: RunConfig) -> bytes:
    """The options as the YAML file that `read_config` takes."""
    import yaml

    return bytes(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=True), "utf-8")


def thread_budget() -> int:
    """Threads this process may use: LAYER_FAST_THREADS, else the smaller of affinity and cgroup quota."""
    given = os.environ.get("LAYER_FAST_THREADS", "")
    if given:
        if not given.isdigit() or int(given) < 1:
            raise ConfigError(f"LAYER_FAST_THREADS: expected a number of 1 or more, got {given!r}")
        return int(given)
    return max(1, min(len(os.sched_getaffinity(0)), _cgroup_cpus()))


def _cgroup_cpus() -> int:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return 1 << 30
    return 1 << 30 if quota == "max" else max(1, int(quota) // int(period))
