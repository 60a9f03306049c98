"""Which TensorRT is installed: `tensorrt` (10, 11) or `tensorrt_rtx`. One code path serves both."""

from __future__ import annotations

import importlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..reasons import Unusable, short

MODULES = {"tensorrt": "tensorrt", "tensorrt_rtx": "tensorrt-rtx-cu13", "tensorrt_rtx_bindings": "tensorrt-rtx-cu13"}
"""Module -> package to install. NVIDIA's source package gives `tensorrt_rtx`, its bare wheels the last name."""
_OLDEST = (10, 1)  # of full TensorRT: the first that takes memory for activations with its size
_KEPT_LINES = 20


@dataclass(frozen=True)
class Library:
    """module: the loaded bindings. name: "tensorrt" or "tensorrt_rtx". rtx: whether it is TensorRT-RTX."""

    module: Any
    name: str
    version: str

    @property
    def rtx(self) -> bool:
        return self.name == "tensorrt_rtx"

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The targets that this library names, "8.6"; empty where it names none (full TensorRT builds for the GPU
        that is there)."""
        known = getattr(getattr(self.module, "ComputeCapability", None), "__members__", {})
        return tuple(f"{name[2:-1]}.{name[-1]}" for name in known if re.fullmatch(r"SM\d+", name))


def installed() -> str:
    """The module that would be loaded, "" if there is none. Nothing is imported."""
    return next((name for name in MODULES if importlib.util.find_spec(name) is not None), "")


def installed_version() -> str:
    """Its version as its own file says it, "" if that cannot be told without importing it."""
    spec = importlib.util.find_spec(installed()) if installed() else None
    if spec is None or spec.origin is None:
        return ""
    for file in (Path(spec.origin), *Path(spec.origin).parent.parent.glob("tensorrt_rtx_bindings/__init__.py")):
        found = re.search(r"^__version__ = [\"']([\w.+-]+)[\"']", file.read_text(errors="replace"), re.M)
        if found:
            return found.group(1)
    return ""


def find() -> Library:
    """Load the bindings. Raises Unusable: none installed, too old, or they cannot be loaded."""
    name = installed()
    if not name:
        raise Unusable("no_library")
    try:
        module = importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as error:
        raise Unusable("broken_library", module=name, package=MODULES[name], why=short(error)) from error
    found = Library(module, "tensorrt" if name == "tensorrt" else "tensorrt_rtx", str(module.__version__))
    if not found.rtx and _release(found.version) < _OLDEST:
        raise Unusable("old_library", version=found.version, oldest="{}.{}".format(*_OLDEST))
    return found


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", version)[:2])


def new_log(library: Library) -> Any:
    """A logger that keeps the last errors and warnings: `take()` gives them as one line and forgets them."""
    interface = library.module.ILogger

    class Log(interface):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            interface.__init__(self)
            self._lines: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if int(severity) <= int(interface.Severity.WARNING):
                self._lines = [*self._lines[1 - _KEPT_LINES :], f"{severity.name}: {message}"]

        def take(self) -> str:
            lines, self._lines = self._lines, []
            errors = [line for line in lines if "ERROR" in line.partition(":")[0]]
            return short("; ".join(errors or lines), 600)

    return Log()
