#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a suite on the bucket of the fixture; its keys go into the address.
set -euo pipefail

keys=$ARTCACHE_TEST_S3_ACCESS_KEY:$ARTCACHE_TEST_S3_SECRET_KEY
ARTCACHE_TEST_STORAGES=${ARTCACHE_TEST_S3/:\/\//:\/\/$keys@} exec "$@"
