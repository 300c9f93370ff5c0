#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a test with one server that nobody else uses: own_server.sh SERVICES NAME COMMAND...
# Skips (77) where it cannot run.
set -euo pipefail
services=$1 name=$2
shift 2
folder=$(mktemp -d)
state=$folder/state.json
clean_up() {
  "$services" down --state "$state" >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap clean_up EXIT
"$services" up --state "$state" --allow-missing "$name"
"$services" run --state "$state" --need "$name" -- "$@"
