"""Makes the helper of this folder importable as `coarse_maps`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
