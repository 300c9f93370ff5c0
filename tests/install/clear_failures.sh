#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a newcomer gets wrong first ends in one clear message and leaves nothing behind.
# shellcheck source=tests/install/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for package in OpenSSL CLI11 doctest; do
  if configure "$SOURCE" build -DCMAKE_DISABLE_FIND_PACKAGE_"$package"=ON >said 2>&1; then
    fail "configured although $package is missing"
  fi
  must_say "artcache: $package" said
  must_say "is missing" said
  must_say "Run scripts/setup, which installs everything" said
  (($(grep -c 'CMake Error' said) == 1)) || fail "more than one error: $(cat said)"
  echo "missing $package: told"
  rm -rf build
done

if (cd "$SOURCE" && "$CMAKE" --preset nosuch) >said 2>&1; then fail "there is no preset nosuch"; fi
must_say "nosuch" said
echo "cmake --preset nosuch: told"

status=0
PRESET=nosuch "$SOURCE/scripts/test" >said 2>&1 || status=$?
((status == 2)) || fail "scripts/test exited $status instead of 2: $(cat said)"
must_say "there is no preset 'nosuch'; the presets are dev release" said
(($(wc -l <said) == 1)) || fail "more than one line: $(cat said)"
echo "make test PRESET=nosuch: told"

[[ ! -e $SOURCE/build/nosuch ]] || fail "build/nosuch was left behind"
