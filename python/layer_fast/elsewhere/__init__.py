"""Maps made elsewhere (Captum, MONAI, medcam, ...): from a file or array and a mask to numbers per layer."""

from __future__ import annotations

from .api import MapTable, quantify_map
from .table import MAP_COLUMNS, write_table

__all__ = ["MAP_COLUMNS", "MapTable", "quantify_map", "write_table"]
