# SPDX-License-Identifier: MIT
"""Published limits on latency, one TOML file each, and what they say of a system.

>>> from rtcore.latency.rules import find_rule, judge
>>> verdict = judge(find_rule("cec2"), measurement)  # doctest: +SKIP
>>> verdict.verdict  # doctest: +SKIP
'pass'

Rules of your own have the same form::

    name = "my-limit"
    title = "What my device allows"
    convention = "frame + look-ahead"   # see Convention
    definition = "Frame and look-ahead are at most 8 ms."
    source = ["our own requirements"]
    status = "primary"

    [limit]
    value = 8
    unit = "ms"
"""

from rtcore.latency.rules.judge import judge, judge_all
from rtcore.latency.rules.schema import (
    EVERY,
    ComputeLimit,
    Limit,
    Rule,
    find_rule,
    find_rules,
    load_rule,
    load_rules,
)
from rtcore.latency.rules.verdict import (
    COLUMNS,
    TERM_COLUMNS,
    Criterion,
    Term,
    Verdict,
    table_rows,
    term_rows,
)

__all__ = [
    "COLUMNS",
    "EVERY",
    "TERM_COLUMNS",
    "ComputeLimit",
    "Criterion",
    "Limit",
    "Rule",
    "Term",
    "Verdict",
    "find_rule",
    "find_rules",
    "judge",
    "judge_all",
    "load_rule",
    "load_rules",
    "table_rows",
    "term_rows",
]
