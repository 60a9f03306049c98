"""From a path to the models of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError
from ..types import SETUPS
from .package import MANIFEST_FILE, ModelPackage, load_package
from .subjects import Exposure

REFERENCE = "reference"
SHIPPED = (REFERENCE, "reference_2d")  # folders beside this file


@dataclass(frozen=True)
class Models:
    """The models of a run. classifiers: setup -> ensemble members, ordered by member name; setups in fixed order."""

    segmenter: ModelPackage | None
    classifiers: dict[str, tuple[ModelPackage, ...]]

    @property
    def packages(self) -> tuple[ModelPackage, ...]:
        """Every package: the segmenter first, then the classifiers by setup and member."""
        first = (self.segmenter,) if self.segmenter else ()
        return first + tuple(member for members in self.classifiers.values() for member in members)

    def exposure(self, subject: str) -> Exposure:
        """The worst over the classifiers: "seen" by any, else "unknown" to any or no classifier, else "unseen"."""
        found = {member.exposure(subject) for members in self.classifiers.values() for member in members}
        if "seen" in found:
            return "seen"
        return "unseen" if found == {"unseen"} else "unknown"


def load_models(path: str | Path) -> Models:
    """One package folder, a folder of package folders, or a word: "reference" or "reference_2d", the packages shipped
    with the library, of 3D and of 2D models.

    Raises ModelError: no package found, a package refused (load_package), two segmenters, two classifiers of the same
    setup and member, or members of one setup with different classes or targets.
    """
    if is_fold_map(path):
        raise ModelError(
            f"{path}: expected a model package or a folder of packages, found a file; a fold map goes to "
            "`layer-fast run --models` or run_cohort(models=...), and load_folds(...).models(FOLD) gives one fold's"
        )
    return gather(read_packages(Path(__file__).parent / str(path) if str(path) in SHIPPED else Path(path)))


def is_fold_map(path: str | Path) -> bool:
    """Whether a path means a fold map (models.folds): a YAML file, by its name."""
    return Path(path).suffix.lower() in (".yaml", ".yml") and not Path(path).is_dir()


def read_packages(folder: Path) -> list[ModelPackage]:
    """The package of a folder, or those of its sub-folders by name. Raises ModelError."""
    if (folder / MANIFEST_FILE).is_file():
        folders = [folder]
    elif folder.is_dir():
        folders = sorted(entry for entry in folder.iterdir() if (entry / MANIFEST_FILE).is_file())
    else:
        raise ModelError(
            f"{folder}: expected a model package, a folder of packages or one of {SHIPPED}, found no such folder"
        )
    if not folders:
        raise ModelError(f"{folder}: expected at least one folder with {MANIFEST_FILE}, found none")
    return [load_package(entry) for entry in folders]


def gather(packages: list[ModelPackage]) -> Models:
    """Packages by what they are for. Raises ModelError for those that cannot be in one run (`load_models`)."""
    segmenters = [p for p in packages if p.manifest.role == "segmenter"]
    if len(segmenters) > 1:
        raise ModelError(f"expected one segmenter at most, found {[str(p.path) for p in segmenters]}")
    classifiers: dict[str, tuple[ModelPackage, ...]] = {}
    for setup in SETUPS:
        members = [p for p in packages if p.manifest.role == "classifier" and p.manifest.setup == setup]
        if members:
            classifiers[setup] = _ensemble(setup, members)
    return Models(segmenters[0] if segmenters else None, classifiers)


def _ensemble(setup: str, members: list[ModelPackage]) -> tuple[ModelPackage, ...]:
    names = [p.manifest.member for p in members]
    if len(set(names)) != len(names):
        raise ModelError(f"setup {setup}: expected one package per member, found members {sorted(names)}")
    first = members[0].manifest
    for package in members[1:]:
        other = package.manifest
        if (other.classes, other.ordinal, other.target) != (first.classes, first.ordinal, first.target):
            raise ModelError(
                f"{package.path}: expected classes {first.classes} and target {first.target} as in {members[0].path}, "
                f"found {other.classes} and {other.target}"
            )
    return tuple(sorted(members, key=lambda p: p.manifest.member))
