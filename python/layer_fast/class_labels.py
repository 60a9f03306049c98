"""The labels of a cohort table against the classes of the models that will explain it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .models import ModelPackage, Models
from .types import ScanRef

_NAMED = 8  # labels of the table that a sentence names


def strange_labels(refs: Iterable[ScanRef], models: Models, setups: Iterable[str]) -> list[str]:
    """A sentence for the classifiers that compare a class of which no scan of the table has a label, so that there will
    be no contrast and no claim: mostly labels that are spelled otherwise. Nothing for a table without any label.

    It is no error: means need no classes, and labels can be mended later without running a scan again.
    """
    counts = Counter(ref.label for ref in refs if ref.label)
    if not counts:
        return []
    found: dict[str, list[str]] = {}
    for setup in setups:
        for package in models.classifiers.get(setup, ())[:1]:  # the members of a setup have the same classes
            if said := _sentence(package, counts):
                found.setdefault(said, []).append(setup)
    names = ", ".join(f"{name!r} ({n})" for name, n in counts.most_common(_NAMED))
    more = ", ..." if len(counts) > _NAMED else ""
    return [
        f"setup {', '.join(own)}: {said}; labels of the table, with their scans: {names}{more}. The classes cannot be "
        "compared like this: correct the column label and run the same command, no scan is run again for it"
        for said, own in found.items()
    ]


def _sentence(package: ModelPackage, counts: Counter[str]) -> str:
    """Which class no scan belongs to, "" where both have scans."""
    classes, target = package.manifest.classes, package.manifest.target
    if classes is None or target is None:
        return ""
    _, positive, negative = package.target_classes()
    ours = [classes[k] for k in positive]
    # Without a negative class every other label is one, also a label that the model does not know.
    rest = target.negative is None and not target.at_or_above
    theirs = [name for name in counts if name not in ours] if rest else [classes[k] for k in negative]
    lacking = [side for side, names in ((ours, ours), (["any other"] if rest else theirs, theirs))
               if not any(counts[name] for name in names)]  # fmt: skip
    if not lacking:
        return ""
    return f"expected scans labelled {' and '.join(_any_of(side) for side in lacking)}, found none"


def _any_of(names: list[str]) -> str:
    return " or ".join(map(repr, names)) if names != ["any other"] else "otherwise"
