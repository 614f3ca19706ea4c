# SPDX-License-Identifier: MIT
"""Many jobs that each make one file: on all cores or a cluster, not done twice, with a ledger."""

from __future__ import annotations

from rtcore.batch.jobs import run_jobs, usable_cores
from rtcore.batch.ledger import Job, Ledger, Outcome, fingerprint
from rtcore.batch.shards import Shard

__all__ = ["Job", "Ledger", "Outcome", "Shard", "fingerprint", "run_jobs", "usable_cores"]
