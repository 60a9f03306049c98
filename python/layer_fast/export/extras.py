"""What is said where a package of an extra is missing."""

from __future__ import annotations

from ..errors import ConfigError


def missing_extra(package: str, extra: str) -> ConfigError:
    """The error to raise, with what to type."""
    return ConfigError(f"{package} is missing: pip install 'layer_fast[{extra}]'")
