"""From sufficient statistics and coalition values to layer tables, contrasts and claims. Tables in, tables out."""

from .auc import Auc, subject_auc
from .bins import bin_edges
from .claim.gate import Gate
from .claim.rule import Claim, decide
from .cohort import CellStatistics, Settings, analyse
from .compare import compare
from .definitions import PRESETS, Definition, definition
from .families import FAMILIES, Family, family_of
from .games_file import games
from .guard_summary import guard_summary, guards_json
from .hierarchies import HIERARCHY_PRESETS
from .hierarchy import Hierarchy
from .inference import Interval, difference_interval, holm, mean_interval, permutation_p
from .margins import target_of_logits
from .ordinal import Levels, rank_correlation, split_at
from .reduction import Group, Reduction, house_groups, make_reduction, read_reductions, reductions_yaml
from .reductions import DEFAULT_REDUCTIONS, REDUCTIONS, reduction
from .regions import LAYER_ROWS, NUM_REGIONS, REGION_ORDER, Region
from .rows import derive, join_flags, map_region_rows, value_region_rows
from .shapley import ablation, interactions, shapley
from .statistics import STATISTICS, StatisticFacts
from .stats import cohort_statistics
from .summary import CAPTION, DISCLAIMER, claims_json, summary
from .tables import Cell, cells, columns

__all__ = [
    "CAPTION", "DEFAULT_REDUCTIONS", "DISCLAIMER", "FAMILIES",
    "HIERARCHY_PRESETS", "LAYER_ROWS", "NUM_REGIONS", "PRESETS", "REDUCTIONS",
    "REGION_ORDER", "STATISTICS", "Auc", "Cell", "CellStatistics", "Claim", "Definition", "Family", "Gate", "Group",
    "Hierarchy",
    "Interval", "Levels", "Reduction", "Region", "Settings", "StatisticFacts", "ablation", "analyse", "bin_edges",
    "cells", "claims_json", "cohort_statistics", "columns", "compare", "decide", "definition", "derive",
    "difference_interval", "family_of", "games", "guard_summary", "guards_json", "holm", "house_groups", "interactions",
    "join_flags", "make_reduction", "map_region_rows", "mean_interval", "permutation_p", "rank_correlation",
    "read_reductions", "reduction", "reductions_yaml", "shapley", "split_at", "subject_auc", "summary",
    "target_of_logits", "value_region_rows",
]  # fmt: skip
