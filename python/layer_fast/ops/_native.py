"""The only importer of the native module."""

from __future__ import annotations

try:
    import layer_fast._core as core
except ImportError as error:  # the two causes seen in practice, and the loader's own words
    raise ImportError(
        "the native module layer_fast._core cannot be loaded: the package was not built (pip install .), "
        f"or it was built for another Python; the loader says: {error}"
    ) from error

__all__ = ["core"]
