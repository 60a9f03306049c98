"""Salted hashes of training subjects: a package can say "seen" without listing who was seen.

The salt travels with the package, so a short list of known identifiers can be tried against it: the hashes keep
identifiers out of sight, they do not make them secret.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal

Exposure = Literal["unseen", "seen", "unknown"]


def new_salt() -> str:
    """32 random hexadecimal digits."""
    return secrets.token_hex(16)


def subject_hash(salt: str, subject: str) -> str:
    """SHA-256, in hexadecimal, of the salt, a zero byte and the subject's identifier in UTF-8, exactly as written."""
    return hashlib.sha256(salt.encode("utf-8") + b"\0" + subject.encode("utf-8")).hexdigest()
