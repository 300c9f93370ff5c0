# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by the tests here. CMakeLists.txt sets SOURCE and BUILD (the trees), WORK (a folder of the
# test's own, emptied here), CMAKE, CXX, CXXFLAGS and LAUNCHER.
set -euo pipefail

rm -rf "$WORK"
mkdir -p "$WORK"
cd "$WORK"
# A user's shell knows nothing of the build that this runs in.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES CMAKE_PREFIX_PATH

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}

configure() {  # SOURCE FOLDER [OPTION...]
  "$CMAKE" -G Ninja -S "$1" -B "$2" -DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_CXX_FLAGS="$CXXFLAGS" \
    -DCMAKE_CXX_COMPILER_LAUNCHER="$LAUNCHER" "${@:3}"
}

# Installs into $WORK/prefix by way of another folder: what is installed must not mind being moved,
# and must not need the trees it came from.
install_and_move() {
  "$CMAKE" --install "$BUILD" --prefix "$WORK/first" >install.log ||
    fail "cmake --install: $(tail -n 3 install.log)"
  mv first prefix
  local leaks
  leaks=$(grep -rIlF -e "$SOURCE" -e "$BUILD" -e "$WORK/first" prefix || true)
  [[ -z $leaks ]] || fail "these installed files name the tree they came from: $leaks"
}

# The folder below prefix/ in which a file was installed: lib/ here, lib/x86_64-linux-gnu/ there.
folder_of() {  # FILE
  local found
  found=$(find "$WORK/prefix" -name "$1" -print -quit)
  [[ -n $found ]] || fail "$1 was not installed"
  dirname "$found"
}

must_say() {  # TEXT FILE
  # cmake breaks its messages into lines, so line breaks do not count.
  tr -s ' \n' '  ' <"$2" | grep -qF -e "$1" || fail "expected \"$1\" in: $(cat "$2")"
}
