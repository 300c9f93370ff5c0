#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a suite for the Redis server that `services run` has put into the environment.
set -euo pipefail
ARTCACHE_TEST_LOCKS=$ARTCACHE_TEST_REDIS exec "$@"
