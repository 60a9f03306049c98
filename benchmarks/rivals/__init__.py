"""What people call today, one small adapter per library.

An adapter is a module NAME.py with PACKAGE (the distribution), THREADED (whether it uses `set_threads`), and METHODS:
kind of work -> {label: Method}. Importing it imports the library, so a library that is missing is an adapter that
cannot be imported: `load` says so, and the page repeats it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

# Which kinds of work each adapter does, so that a case imports only those it needs. A test holds it against METHODS.
NAMES = {
    "memory": "reduce compose",
    "numpy": "reduce quantiles zscore clip clip_u8 stats compose",
    "scipy": "linear nearest bspline oblique argmax reduce",
    "torch": "linear nearest antialias oblique argmax cam",
    "numba": "linear reduce",
    "opencv": "linear cubic",
    "simpleitk": "linear nearest bspline oblique reduce read",
    "vtk": "linear cubic",
    "skimage": "linear antialias clip clip_u8 reduce",
    "monai": "linear antialias zscore clip clip_u8",
    "torchio": "linear zscore clip clip_u8",
    "nnunet": "linear nearest bspline",
    "nibabel": "read",
    "libdeflate": "read",
}
Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Method:
    """One way to do a kind of work.

    prepare: the case's inputs -> a call without arguments. What a user holds already (a tensor that shares the array's
    memory, an itk image) is made in `prepare` and not timed, in the rival's favour.
    expected: (inputs, our result) -> what the rival should give, where its convention differs from ours; None: ours.
    crop: voxels at each face of the result that are left out of the comparison, where borders are treated otherwise.
    tolerance: largest difference, as the case measures it; None: the case's own for rivals.
    convert: the library's result as arrays, made for the comparison only and not timed (a view costs nothing).
    """

    prepare: Callable[[Inputs], Callable[[], Any]]
    convention: str = "the same"
    expected: Callable[[Inputs, Any], Any] | None = None
    crop: int = 0
    tolerance: float | None = None
    note: str = ""
    convert: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Rival:
    """A library that is there, or why it is not."""

    name: str
    version: str
    methods: Mapping[str, Mapping[str, Method]]
    set_threads: Callable[[int], None]
    threaded: bool = False
    missing: str = ""


def load(name: str) -> Rival:
    """The adapter NAME; `missing` holds the reason where its library cannot be imported."""
    try:
        module = importlib.import_module(f"rivals.{name}")
    except Exception as error:  # a broken installation raises anything; the benchmark goes on and says so
        return Rival(name, "", {}, lambda _: None, missing=f"{type(error).__name__}: {error}".splitlines()[0][:200])
    setter = getattr(module, "set_threads", lambda _: None)
    return Rival(name, _version(module.PACKAGE), module.METHODS, setter, module.THREADED)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
