#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The same program without CMake: pkg-config tells everything the compiler must know.
# shellcheck source=tests/install/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

install_and_move
PKG_CONFIG_PATH=$(folder_of artcache.pc)
export PKG_CONFIG_PATH
pkg-config --validate artcache
flags=$(pkg-config --cflags --libs artcache)
echo "artcache $(pkg-config --modversion artcache): $flags"
# shellcheck disable=SC2086  # flags are words
"$CXX" -std=c++20 $CXXFLAGS "$SOURCE/tests/install/main.cpp" $flags -o host
./host
