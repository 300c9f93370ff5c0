# SPDX-License-Identifier: Apache-2.0
# A short name for each thing one does here; the recipes are in scripts/, one file each.

.DEFAULT_GOAL := help
SHELL := /bin/bash

JOBS ?= $(shell nproc)
PRESET ?= release
export JOBS PRESET

.PHONY: help setup demo test acceptance bench bench-peers soak contend lint format coverage clean

help:  ## show this
	@echo 'usage: make TARGET [JOBS=N] [PRESET=NAME] [ARGS="..."]'
	@sed -nE 's/^([a-z-]+):.*  ## (.*)/\1|\2/p' $(MAKEFILE_LIST) | \
	  while IFS='|' read -r name text; do printf '  make %-11s %s\n' "$$name" "$$text"; done
	@echo 'demo and test need nothing first: each installs what is missing and builds what it runs.'

setup:  ## install the packages it needs (ARGS=--check only tells what is missing)
	@scripts/setup $(ARGS)

demo:  ## install what is missing, build, and show what artcache does
	@scripts/demo $(ARGS)

test:  ## install what is missing, build, run every test (ARGS="-R name" goes to ctest)
	@scripts/test $(ARGS)

acceptance:  ## run the documents of the specification on real servers, every role a process
	@scripts/acceptance $(ARGS)

bench:  ## measure: each figure beside its floor from the same run
	@scripts/bench $(ARGS)

bench-peers:  ## measure a first rebuild beside the original's loop, and DuckDB (ARTCACHE_DUCKDB)
	@scripts/bench-peers $(ARGS)

soak:  ## mixed traffic on artcached for MINUTES (60): memory, descriptors, latency stay flat
	@scripts/soak $(or $(MINUTES),60)

contend:  ## 16 processes want one element's locks for TIME seconds (60), on every backend
	@scripts/contend $(or $(TIME),60)

lint:  ## check include rules, headers, format, scripts and both compilers' warnings
	@scripts/lint $(ARGS)

format:  ## lay out the C++ files (ARGS=--check changes nothing)
	@scripts/format $(ARGS)

coverage:  ## unit and conformance tests with line coverage, in build/coverage/html
	@scripts/coverage $(ARGS)

clean:  ## remove everything that was built
	rm -rf build
