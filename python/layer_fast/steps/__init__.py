"""The verbs of the flow, one file each, in order: read, prepare, segment, explain, reduce, record.

A step is `verb(items, lane) -> list[Result | Failure]`: lists, so that engines see batches across scans.
Steps know nothing of cohorts, ledgers or threads; a lane tells them where to run.
"""

from __future__ import annotations
