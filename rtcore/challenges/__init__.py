# SPDX-License-Identifier: MIT
"""Challenges from end to end: their folders, file names and formats, read and written as they are.

Each challenge has a package of its own here; what all of them need (jobs that run in parallel and
are not done twice) lies in :mod:`rtcore.batch`.
"""
