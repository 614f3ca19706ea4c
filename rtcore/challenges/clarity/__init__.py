# SPDX-License-Identifier: MIT
"""The Clarity Enhancement Challenges from end to end: scenes, hearing aids, HASPI, submissions.

The second one (CEC2) in full; of the first and the third, what they share with it.
"""
