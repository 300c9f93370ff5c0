#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# With every optional backend off it builds without their libraries, and says what is left out.
# shellcheck source=tests/install/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

configure "$SOURCE" build \
  -DARTCACHE_WITH_S3=OFF -DARTCACHE_WITH_POSTGRES=OFF -DARTCACHE_WITH_REDIS=OFF \
  -DARTCACHE_WITH_HTTP=OFF \
  -DARTCACHE_BUILD_TESTS=OFF -DARTCACHE_BUILD_PROGRAMS=OFF -DARTCACHE_BUILD_EXAMPLES=ON \
  -DCMAKE_DISABLE_FIND_PACKAGE_CURL=ON -DCMAKE_DISABLE_FIND_PACKAGE_PostgreSQL=ON
"$CMAKE" --build build -j "${JOBS:-2}" --target example_01_addresses_and_errors

build/bin/examples/01_addresses_and_errors s3://bucket postgresql://db redis://cache >said
cat said
for option in S3 POSTGRES REDIS; do
  must_say "is not compiled in; build artcache with -DARTCACHE_WITH_$option=ON" said
done
