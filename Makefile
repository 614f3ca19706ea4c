# SPDX-License-Identifier: MIT
# make demo    hear a hearing aid: ten seconds through nalr, compressor and limiter, no sound card
# make test    build the wheel, install it into a fresh environment, test it there
# make bench   every benchmark, one table each
# make check   ruff, mypy, codespell
# make clean   remove the environments and everything built
#
# Each does its own set-up; Python 3.11 or newer with its venv module is all that is needed.
# More words for pytest: make test ARGS="-k limiter -x". Another Python: make test PYTHON=python3.12

PYTHON ?= python3
ARGS ?=
PIP = -m pip --quiet --disable-pip-version-check install
ORACLE = pyclarity==0.9.0
# Tests that start sound servers stay in one process.
SIDE_BY_SIDE = --numprocesses=auto --maxprocesses=4 --dist=loadgroup

export PIP_NO_INPUT = 1

.PHONY: demo test bench check clean python portaudio
.DELETE_ON_ERROR:

demo: .venv/rtcore portaudio
	.venv/bin/rtcore demo

# PYTHONSAFEPATH keeps the checkout's rtcore off the path of pytest and of every process it starts.
test: .venv-test/ready portaudio
	rm -rf build dist
	.venv-test/bin/python -m pip --quiet --disable-pip-version-check wheel --no-deps --wheel-dir dist .
	.venv-test/bin/python $(PIP) --no-deps --force-reinstall dist/rtcore-*.whl
	PYTHONSAFEPATH=1 RTCORE_TEST_WHEEL=1 .venv-test/bin/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

bench: .venv/bench
	@for script in bench/[a-z]*.py; do echo "== $$script"; .venv/bin/python $$script || exit 1; done

check: .venv/dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/codespell

clean:
	rm -rf .venv .venv-test build dist *.egg-info

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "rtcore needs Python 3.11 or newer; name one with: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python lacks its venv module; on Debian: apt-get install python3-venv"; exit 1; }

portaudio: | python
	@$(PYTHON) -c 'import ctypes.util as u, sys; sys.exit(not u.find_library("portaudio"))' || \
		echo "No PortAudio: only sound cards without JACK need it; on Debian: apt-get install libportaudio2"

# The files below are empty: each tells when its environment was last made ready.
.venv/rtcore: pyproject.toml setup.py | python
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) --editable .
	@touch $@

.venv/dev: .venv/rtcore
	.venv/bin/python $(PIP) --editable '.[dev]'
	@touch $@

.venv/bench: .venv/rtcore
	.venv/bin/python $(PIP) --editable '.[bench,oracle]'
	.venv/bin/python $(PIP) --no-deps $(ORACLE)
	@touch $@

# Dependencies only: the wheel itself is built and installed anew by every `make test`.
.venv-test/ready: pyproject.toml setup.py | python
	rm -rf .venv-test
	$(PYTHON) -m venv .venv-test
	.venv-test/bin/python $(PIP) '.[test,oracle]'
	.venv-test/bin/python $(PIP) --no-deps $(ORACLE)
	.venv-test/bin/python $(PIP) '.[plc]' || \
		echo "pesq was not built, so tests of scores are skipped; on Debian: apt-get install gcc python3-dev"
	@touch $@
