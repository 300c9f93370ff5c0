#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The servers of the fixture, asked by their own clients under the addresses that tests are given.
set -euo pipefail

expect() {  # WHAT EXPECTED ACTUAL
  if [[ $2 != "$3" ]]; then
    printf 'FAILED: %s: expected "%s", got "%s"\n' "$1" "$2" "$3" >&2
    exit 1
  fi
  printf '%s: %s\n' "$1" "$3"
}

expect "postgres answers" 42 "$(psql "$ARTCACHE_TEST_POSTGRES" -Atc 'select 6 * 7')"
expect "redis answers" PONG "$(redis-cli -u "$ARTCACHE_TEST_REDIS" ping)"
# redis-cli 7.0 takes `redis://:password@` for an account without a name.
named() { printf '%s' "${1/:\/\/:/:\/\/default:}"; }
expect "redis with a password answers" PONG \
  "$(redis-cli --no-auth-warning -u "$(named "$ARTCACHE_TEST_REDIS_AUTH")" ping)"
expect "redis over TLS answers" PONG "$(redis-cli --no-auth-warning \
  --cacert "$ARTCACHE_TEST_REDIS_TLS_CA" -u "$(named "$ARTCACHE_TEST_REDIS_TLS")" ping)"
expect "radosgw refuses strangers" 403 "$(curl -s -o /dev/null -w '%{http_code}' \
  "$ARTCACHE_TEST_S3_ENDPOINT/$ARTCACHE_TEST_S3_BUCKET/")"
