# SPDX-License-Identifier: MIT
"""The Audio Deep Packet Loss Concealment challenges of 2022 (INTERSPEECH) and 2024 (ICASSP).

Sound comes in packets of 20 ms; a *trace* tells which of them never came.

* :mod:`~rtcore.challenges.plc.traces`: trace files (2022), :mod:`~.meta`: traces in a csv (2024)
* :mod:`~rtcore.challenges.plc.layout`: find the clips of a set, in either layout
* :mod:`~rtcore.challenges.plc.bursts`: what a trace is like: loss rate, bursts, strata, cells
* :mod:`~rtcore.challenges.plc.loss_models`: models of loss; :mod:`~.fitting`: fitted to traces
* :mod:`~rtcore.challenges.plc.make`: make a set; :mod:`~.conceal`: play one through a chain
"""
