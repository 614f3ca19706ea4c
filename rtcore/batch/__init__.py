# SPDX-License-Identifier: MIT
"""Many jobs that each make a file or a few: on all cores or a cluster, and none of them twice.

::

    ledger = Ledger(folder)
    with ledger.writing():
        for outcome in run_jobs(jobs, work, ledger, workers=usable_cores()):
            print(outcome.name, outcome.status, outcome.error)
"""

from __future__ import annotations

from rtcore.batch.jobs import run_jobs, usable_cores
from rtcore.batch.ledger import Job, Ledger, Outcome, fingerprint
from rtcore.batch.named import named_job, run_named
from rtcore.batch.shards import Shard

__all__ = [
    "Job",
    "Ledger",
    "Outcome",
    "Shard",
    "fingerprint",
    "named_job",
    "run_jobs",
    "run_named",
    "usable_cores",
]
