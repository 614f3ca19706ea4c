# SPDX-License-Identifier: MIT
"""The Cadenza ICASSP 2024 Grand Challenge: music remixed and amplified for a listener.

From the folders as they are downloaded to the one that is handed in: :mod:`.metadata` and
:mod:`.layout` read them, :mod:`.scenes` and :mod:`.at_mic` make training data as the official
generators do, :mod:`.evaluate` gives the official score and :mod:`.package` the submission.
"""
