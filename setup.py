# SPDX-License-Identifier: MIT
# Everything but the list of packages stands in pyproject.toml. The two folders that a user's own
# plugins and models look like live beside rtcore/ and are installed inside it.
from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["rtcore", "rtcore.*"]), "rtcore._plugins", "rtcore._models"]
)
