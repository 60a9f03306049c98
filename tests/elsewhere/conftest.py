"""Makes the helpers of this folder importable as `map_lines`, `map_files` and `oracle_maps`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
