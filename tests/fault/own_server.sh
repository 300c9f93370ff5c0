#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a test with servers that nobody else uses, and which it may kill by the two variables it is
# given: own_server.sh SERVICES "NAME..." COMMAND... Skips (77) where they cannot run.
set -euo pipefail
services=$1
read -ra names <<<"$2"
shift 2
folder=$(mktemp -d)
state=$folder/state.json
clean_up() {
  "$services" down --state "$state" >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap clean_up EXIT
"$services" up --state "$state" --allow-missing "${names[@]}"
export ARTCACHE_TEST_SERVICES=$services ARTCACHE_TEST_SERVICES_STATE=$state
needs=()
for name in "${names[@]}"; do needs+=(--need "$name"); done
"$services" run --state "$state" "${needs[@]}" -- "$@"
