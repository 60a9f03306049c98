"""Cohort statistics on subject level, by SciPy and statsmodels where they have it. Tables in, tables out."""

from .api import MAP_DEFINITIONS, cohort_statistics
from .long_table import LONG_COLUMNS, long_table, write_long

__all__ = ["LONG_COLUMNS", "MAP_DEFINITIONS", "cohort_statistics", "long_table", "write_long"]
