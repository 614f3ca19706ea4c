# SPDX-License-Identifier: MIT
"""The latency lab: measures look-ahead, delay and computing time, and judges them by rules.

A *system* is anything that turns sound into sound: a chain, a Python function, a command that
reads and writes files, an ONNX model (:mod:`rtcore.latency.systems`). What is measured of it is
kept in a :class:`~rtcore.latency.result.Measurement`, and the published limits of challenges, one
TOML file each, say whether that is good enough (:mod:`rtcore.latency.rules`).

::

    signals, probes              the sounds
    prober, scan, lookahead      look-ahead by perturbation; difference and whole_file help
    delay, response              how late the output is
    timing/                      computing time
    roundtrip/                   devices
    rules/                       limits and verdicts
    systems/, pairs/             what is measured
    report/                      the page for a browser
"""
