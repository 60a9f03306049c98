"""A fold map: which packages explain which fold of a cohort, so that no subject is explained by a model that saw it.

    common: packages/segmenter      # optional: package, or folder of packages, that every fold uses
    folds:
      a: packages/fold_a            # the scans whose column `fold` is a; these packages were trained without them
      b: packages/fold_b
    name: resnet10                  # optional: what the tables call models whose names differ between folds

Paths are relative to the file. docs/guides/folds.md tells how to write one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from ..errors import ConfigError, ModelError
from ..files import read_regular, read_yaml
from .loading import Models, gather, read_packages
from .manifest import Name, Text
from .package import ModelPackage

_MAX_BYTES = 1 << 20
_WHOLE = re.compile(r"(-?\d+)\.0+")
# What makes one cell of the tables one thing. Windows may differ: they may be fitted to the training subjects.
_AGREE = ("spatial_dims", "slice_axis", "slice_pooling", "grid", "spacing_mm", "fov_mm", "antialias", "depth_axis",
          "classes", "ordinal", "target", "cam_tensor")  # fmt: skip
Slot = tuple[str, str, str]  # role, setup, member: what a package is in a run


def fold_name(value: object) -> str:
    """The name of a fold as text: 1, 1.0 and "1.0", which a table program makes of a 1, are "1"; "01" is not."""
    text = str(value).strip()
    found = _WHOLE.fullmatch(text)
    return found.group(1) if found else text


def _paths(value: object) -> object:
    return [value] if isinstance(value, str) else value


Paths = Annotated[list[Text], BeforeValidator(_paths)]


class FoldFile(BaseModel):
    """The content of a fold map. A path is of a package or of a folder of packages; several are a list."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    common: Paths = Field(default_factory=list)
    folds: Annotated[dict[str, Annotated[Paths, Field(min_length=1)]], Field(min_length=1)]
    name: Name | None = None

    @field_validator("folds", mode="before")
    @classmethod
    def _named(cls, given: object) -> object:
        """Names as text; whole numbers may stand without quotes."""
        if not isinstance(given, dict):
            return given
        out: dict[str, object] = {}
        for key, value in given.items():
            if not isinstance(key, (str, int, float)) or isinstance(key, bool):
                said = "true or false in YAML" if isinstance(key, bool) else f"a {type(key).__name__} in YAML"
                raise ValueError(f"expected names of folds, found {key!r}, which is {said}: put the name in quotes")
            name = fold_name(key)
            if not name or not name.isprintable():
                raise ValueError(f"expected names of folds, found {name!a}")
            if name in out:
                raise ValueError(f"expected every fold once, found {name!r} twice")
            out[name] = value
        return out


@dataclass(frozen=True)
class FoldMap:
    """A checked fold map. sha256: of its bytes. folds: name -> its models, of which only the manifests and fill
    profiles are in memory; `models` reads the graphs of one fold. name: as in the file."""

    path: Path
    sha256: str
    folds: dict[str, Models]
    name: str | None
    sources: dict[str, tuple[Path, ...]]  # fold -> folders, those of `common` first

    def models(self, fold: str) -> Models:
        """The models of one fold, graphs included, read again. Raises ModelError for a fold that is none, and where a
        package is not what it was when the map was checked."""
        if fold not in self.folds:
            raise ModelError(f"{self.path}: expected one of the folds {', '.join(self.folds)}, found {fold!r}")
        found = _models(self.path, fold, self.sources[fold])
        before = [p.sha256 for p in self.folds[fold].packages]
        if [p.sha256 for p in found.packages] != before:
            raise ModelError(f"{self.path}: fold {fold!r}: its packages have changed since the map was checked")
        return found

    def shown_name(self, package: ModelPackage) -> str:
        """What the tables call a package: its own name where all folds have it, else that of the map."""
        wanted = _slot(package)
        names = {p.manifest.name for m in self.folds.values() for p in m.packages if _slot(p) == wanted}
        return self.name if len(names) > 1 and self.name is not None else package.manifest.name

    def facts(self) -> dict[str, Any]:
        """Fold -> packages by role, setup, member, own name and sha256, for run.json."""
        folds = {
            fold: [{"role": p.manifest.role, "setup": p.manifest.setup, "member": p.manifest.member,
                    "name": p.manifest.name, "sha256": p.sha256} for p in models.packages]
            for fold, models in self.folds.items()
        }  # fmt: skip
        return {"sha256": self.sha256, "name": self.name, "folds": folds}

    def seen(self, subjects: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
        """Fold -> those of its subjects that one of its own classifiers was trained on; a right map has none."""
        found = {f: [s for s in names if self.folds[f].exposure(s) == "seen"] for f, names in subjects.items()}
        return {fold: names for fold, names in found.items() if names}


def load_folds(path: str | Path) -> FoldMap:
    """Read a fold map, verify every package of it, and hold the folds against each other.

    Two folds may use one package: a model that saw the subjects of neither. Raises ModelError: no such file or another
    content, a package that is missing or refused, folds that hold different setups, members, grids, classes, targets
    or activations for Grad-CAM, logit SDs in some folds only, and names that differ where the map has none.
    """
    file = Path(path)
    raw = read_regular(file, _MAX_BYTES)
    try:
        content = FoldFile.model_validate(read_yaml(file))
    except ConfigError as error:
        raise ModelError(str(error)) from error
    except ValidationError as error:
        raise ModelError(f"{file}: expected a fold map (docs/guides/folds.md), found: {_faults(error)}") from error
    base = file.resolve().parent
    common = tuple(base / part for part in content.common)
    sources = {name: (*common, *(base / part for part in parts)) for name, parts in content.folds.items()}
    folds = {name: _light(_models(file, name, folders)) for name, folders in sources.items()}
    found = FoldMap(file, hashlib.sha256(raw).hexdigest(), folds, content.name, sources)
    _check_alike(found)
    return found


def _models(file: Path, fold: str, folders: Iterable[Path]) -> Models:
    try:
        models = gather([package for folder in folders for package in read_packages(folder)])
    except (ModelError, ValueError) as error:  # ValueError: a NUL in a path
        raise ModelError(f"{file}: fold {fold!r}: {error}") from error
    if not models.classifiers:
        raise ModelError(f"{file}: fold {fold!r}: expected a classifier at least, found none")
    return models


def _light(models: Models) -> Models:
    """Without the graphs, which are nearly all of a package's memory."""
    first = models.segmenter
    kept = {s: tuple(replace(p, model_bytes=b"") for p in members) for s, members in models.classifiers.items()}
    return Models(None if first is None else replace(first, model_bytes=b""), kept)


def _faults(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(str(p) for p in e['loc']) or 'the file'}: {e['msg']}" for e in error.errors())


def _slot(package: ModelPackage) -> Slot:
    m = package.manifest
    return m.role, "" if m.role == "segmenter" else m.setup, "" if m.role == "segmenter" else m.member


def _check_alike(found: FoldMap) -> None:
    (first, models), *others = found.folds.items()
    expected = {_slot(p): p for p in models.packages}
    for fold, other in others:
        own = {_slot(p): p for p in other.packages}
        if set(own) != set(expected):
            raise ModelError(f"{found.path}: expected the same setups and members in every fold, found "
                             f"{_slots(expected)} in fold {first!r} and {_slots(own)} in fold {fold!r}")  # fmt: skip
        for slot, package in own.items():
            _check_pair(found, first, expected[slot], fold, package)


def _check_pair(found: FoldMap, first: str, a: ModelPackage, fold: str, b: ModelPackage) -> None:
    for key in _AGREE:
        x, y = getattr(a.manifest, key), getattr(b.manifest, key)
        if x != y:
            raise ModelError(f"{b.path}: {key}: expected {x} as in fold {first!r} ({a.path}), found {y} in fold "
                             f"{fold!r}: one column of the tables would hold two things")  # fmt: skip
    if (a.manifest.logit_sd_train is None) != (b.manifest.logit_sd_train is None):
        without = first if a.manifest.logit_sd_train is None else fold
        raise ModelError(f"{found.path}: expected logit_sd_train of every fold's {a.manifest.setup} or of none, found "
                         f"none in fold {without!r}; values of several models cannot be averaged so")  # fmt: skip
    if a.manifest.name != b.manifest.name and found.name is None:
        raise ModelError(f"{found.path}: expected one name for the models of all folds, found {a.manifest.name!r} in "
                         f"fold {first!r} and {b.manifest.name!r} in fold {fold!r}; write one that the tables shall "
                         f"use into the map, e.g. name: {_common_name(a, b)}")  # fmt: skip


def _common_name(a: ModelPackage, b: ModelPackage) -> str:
    """A name to propose: what both names begin with."""
    first, second = a.manifest.name, b.manifest.name
    same = 0
    while first[same : same + 1] and first[same : same + 1] == second[same : same + 1]:
        same += 1
    return first[:same].rstrip("._-") or "model"


def _slots(packages: Mapping[Slot, ModelPackage]) -> str:
    return ", ".join("/".join(part for part in slot if part) for slot in sorted(packages))
