#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a suite for the PostgreSQL server that `services run` has put into the environment.
set -euo pipefail
ARTCACHE_TEST_INDEXES=$ARTCACHE_TEST_POSTGRES exec "$@"
