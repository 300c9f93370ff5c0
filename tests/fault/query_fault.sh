#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a test with a Redis and a PostgreSQL of its own, which it may kill. Skips (77) without them.
set -euo pipefail
services=$1
shift
folder=$(mktemp -d)
state=$folder/state.json
clean_up() {
  "$services" down --state "$state" >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap clean_up EXIT
"$services" up --state "$state" --allow-missing redis postgres-nofsync
export ARTCACHE_TEST_SERVICES=$services ARTCACHE_TEST_SERVICES_STATE=$state
"$services" run --state "$state" --need redis --need postgres-nofsync -- "$@"
