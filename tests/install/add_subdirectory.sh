#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The source tree inside another project: the library and nothing else, no test, no program, no
# install rule, and none of the packages that only these need.
# shellcheck source=tests/install/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

configure "$SOURCE/tests/install/add_subdirectory" host -DARTCACHE_SOURCE="$SOURCE" \
  -DCMAKE_DISABLE_FIND_PACKAGE_doctest=ON -DCMAKE_DISABLE_FIND_PACKAGE_CLI11=ON \
  -DCMAKE_DISABLE_FIND_PACKAGE_Python3=ON

"$CMAKE" --build host --target help >targets
if grep -E '^(artcache_|example|test_)[a-z0-9_]*:' targets; then
  fail "these targets are of no use to a host"
fi
ctest --test-dir host -N >tests
must_say "Total Tests: 0" tests

"$CMAKE" --build host -j "${JOBS:-2}"
host/host

"$CMAKE" --install host --prefix "$WORK/prefix" >install.log
if find prefix -type f 2>/dev/null | grep .; then fail "artcache installed itself with the host"; fi
