#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` put somewhere is found, linked and run by a project that knows no more.
# shellcheck source=tests/install/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

install_and_move
(cd "$SOURCE/include" && find artcache -name '*.h*' | sort) >wanted
(cd prefix/include && find artcache -type f | sort) >installed
diff wanted installed || fail "the installed headers are not those of include/"

configure "$SOURCE/tests/install/find_package" host -DCMAKE_PREFIX_PATH="$WORK/prefix"
"$CMAKE" --build host
host/host

if [[ -e $BUILD/bin/artcache ]]; then
  prefix/bin/artcache --version
  for file in artcached.1 _artcached artcached.toml artcached.service; do
    folder_of "$file" >>folders.log
  done
fi
