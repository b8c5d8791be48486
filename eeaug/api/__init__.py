"""All that from Python: bundles that are there, and runs that make them.

From first to last:

    report  a bundle that is there, its report, and several side by side
    runs    the commands as functions
"""

from __future__ import annotations

from eeaug.api.report import Exit, Report, compare, open
from eeaug.api.runs import augment, certify, dry_run, retarget

__all__ = ["Exit", "Report", "augment", "certify", "compare", "dry_run", "open", "retarget"]
