"""Every operation again in slow, obvious float64 NumPy. Written from the definitions, not from the C++."""

from __future__ import annotations

# Oracles by family are in files of their own, so that each stays short; tests import them from here.
from oracle_layers import *  # noqa: F403
from oracle_resampling import *  # noqa: F403
