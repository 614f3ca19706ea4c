# SPDX-License-Identifier: MIT
"""Show what every shipped chain costs when it is paced like audio, and whether it is in time.

The same as ``rtcore bench``: the engine plays each chain for ten seconds on a native thread that
wakes for every block of 64 frames, and counts how long each block took, per chain and per plugin.
The latency that a chain declares stands beside the one that is measured; where they differ, the
exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from _common import table, write_json

from rtcore.latency.timing import suite


def main() -> int:
    """Measure, print, write, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="rows; all by default")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each row (%(default)s)")
    parser.add_argument("--block", type=int, default=64, help="frames (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here as well")
    options = parser.parse_args()
    rows = [
        suite.measure_row(name, block_samples=options.block, seconds=options.seconds)
        for name in suite.chosen(options.names)
    ]
    table([suite.cells(row) for row in rows], "paced like audio")
    write_json(options.json, {"shows": (__doc__ or "").splitlines()[0], "rows": rows})
    wrong = suite.disagreements(rows)
    for sentence in wrong:
        print(sentence)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
