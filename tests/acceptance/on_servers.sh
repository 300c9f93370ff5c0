#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a test with a PostgreSQL, a Redis and a radosgw of its own, which it may empty and kill.
# usage: on_servers.sh TEST [ARGUMENT...]; {services} and {state} in arguments are replaced.
set -euo pipefail

services=$(dirname "${BASH_SOURCE[0]}")/../services/services
folder=$(mktemp -d)
trap '"$services" down --state "$folder/state.json" >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT
servers=(postgres-nofsync redis radosgw)
"$services" up --state "$folder/state.json" --allow-missing "${servers[@]}"
arguments=()
for argument in "$@"; do
  argument=${argument//\{services\}/$services}
  arguments+=("${argument//\{state\}/$folder/state.json}")
done
needs=()
for server in "${servers[@]}"; do needs+=(--need "$server"); done
"$services" run --state "$folder/state.json" "${needs[@]}" -- "${arguments[@]}"
