"""From sufficient statistics and coalition values to layer tables, contrasts and claims. Tables in, tables out."""

from .auc import Auc, subject_auc
from .claims import Claim, Gate, decide
from .cohort import CellStatistics, Settings, analyse
from .definitions import PRESETS, Definition, definition
from .inference import Interval, difference_interval, holm, mean_interval, permutation_p
from .regions import LAYER_ROWS, NUM_REGIONS, REGION_ORDER, Region
from .rows import derive, join_flags, map_region_rows, value_region_rows
from .shapley import ablation, interactions, shapley
from .summary import CAPTION, DISCLAIMER, claims_json, summary
from .tables import Cell, cells, columns

__all__ = [
    "CAPTION", "DISCLAIMER", "LAYER_ROWS", "NUM_REGIONS", "PRESETS", "REGION_ORDER", "Auc", "Cell", "CellStatistics",
    "Claim", "Definition", "Gate", "Interval", "Region", "Settings", "ablation", "analyse", "cells", "claims_json",
    "columns", "decide", "definition", "derive", "difference_interval", "holm", "interactions", "join_flags",
    "map_region_rows", "mean_interval", "permutation_p", "shapley", "subject_auc", "summary", "value_region_rows",
]
