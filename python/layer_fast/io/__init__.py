"""Files in and out: readers that refuse what they cannot trust, the cohort table, the geometry policy, writers.

Format libraries (nibabel, pydicom, pyarrow) are imported when a file of theirs is read, not before.
"""

from __future__ import annotations

from .reading import read, read_labels
from .scan import READING_COLUMNS, read_scan
from .series import read_maps, read_mask
from .table import load_table
from .writing import write_nifti

__all__ = ["READING_COLUMNS", "load_table", "read", "read_labels", "read_maps", "read_mask", "read_scan",
           "write_nifti"]  # fmt: skip
