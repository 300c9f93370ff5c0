# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by every script here: where the tree is, steps that tell their time, failures of one line.
# Up to "Building" it needs bash and coreutils only: scripts/setup runs before the rest exists.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly ROOT
readonly PRESETS=(dev release asan tsan clang fuzz)  # the names in CMakePresets.json
readonly PROGRAM=${0##*/}
cd "$ROOT"

# A closed standard input would hand its number to the next file that some tool opens.
if ! { : <&0; } 2>/dev/null; then exec </dev/null; fi

# Projects that the tests build with a make of their own must not inherit this one's jobs and flags.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

say() { printf '==> %s\n' "$*"; }

die() {  # EXIT_CODE MESSAGE...
  local code=$1
  shift
  printf '%s: %s\n' "$PROGRAM" "$*" >&2
  exit "$code"
}

elapsed() {  # SECONDS, as a person reads them
  if (($1 < 100)); then
    printf '%d s' "$1"
  else
    printf '%d min %02d s' $(($1 / 60)) $(($1 % 60))
  fi
}

# Announces a step, runs it and tells how long it took; its exit status is the step's.
run_step() {  # NAME COMMAND...
  local name=$1 began=$SECONDS status=0
  shift
  say "$name ..."
  "$@" || status=$?
  if ((status == 0)); then
    say "$name: done ($(elapsed $((SECONDS - began))))"
  else
    say "$name: FAILED ($(elapsed $((SECONDS - began))))"
  fi
  return "$status"
}

need_disk() {  # FOLDER MEGABYTES PURPOSE; the folder need not exist yet
  local folder=$1 free
  until [[ -e $folder ]]; do folder=$(dirname "$folder"); done
  free=$(df --output=avail -BM "$folder" | tail -n 1 | tr -dc 0-9)
  ((free >= $2)) || die 1 "no disk space: $3 needs about $2 MB, $folder has $free MB;" \
    "free some and run this again"
}

# --- Building -------------------------------------------------------------------------------------

# Everything a caller can get wrong is refused here, before anything is installed or built.
check_settings() {  # PRESET
  [[ " ${PRESETS[*]} " == *" $1 "* ]] ||
    die 2 "there is no preset '$1'; the presets are ${PRESETS[*]}"
  : "${JOBS:=$(nproc)}"
  [[ $JOBS =~ ^[1-9][0-9]{0,3}$ ]] || die 2 "JOBS must be a number from 1 to 9999, not '$JOBS'"
}

# ARTCACHE_SETUP=skip is for machines that setup does not know, or whose packages others look after.
ensure_setup() {  # GROUP...
  if [[ ${ARTCACHE_SETUP:-} != skip ]]; then "$ROOT/scripts/setup" "$@"; fi
}

need_tool() {  # COMMAND...
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || die 1 "'$tool' is missing: run scripts/setup"
  done
}

# A newer compiler has warnings that nobody here has seen, and they must not stop a user's build.
# So they are errors only with the compilers the project is checked with, or when WERROR says so.
warnings_as_errors() {  # PRESET
  local version
  case $1 in
    clang | fuzz) version=clang-$(clang++ -dumpversion 2>/dev/null || true) ;;
    *) version=g++-$(g++ -dumpversion 2>/dev/null || true) ;;
  esac
  case ${WERROR:-auto}:$version in
    1:* | auto:g++-12* | auto:clang-14*) echo ON ;;
    *) echo OFF ;;
  esac
}

configure() {  # PRESET [CMAKE OPTION...]
  local preset=$1
  shift
  need_tool cmake ninja g++
  need_disk "build/$preset" 2000 "a build"
  # Written each time, so that a value from an earlier run does not stay in the cache.
  run_step "configure $preset" cmake --preset "$preset" --log-level=NOTICE \
    -DARTCACHE_WERROR="$(warnings_as_errors "$preset")" "$@" ||
    die 1 "cmake could not configure preset $preset: see its message above"
}

build() {  # PRESET [OPTION of cmake --build...]
  local preset=$1
  shift
  run_step "build $preset" cmake --build --preset "$preset" -j "$JOBS" "$@" ||
    die 1 "preset $preset does not build: see the first error above"
}

# The C++ files of the work tree, new ones too, each ended by a NUL.
cpp_files() {
  local file
  git ls-files -z --cached --others --exclude-standard -- '*.cpp' '*.hpp' |
    sort -zu | while IFS= read -r -d '' file; do
      # A file that is deleted and not yet committed is still listed.
      if [[ -f $file ]]; then printf '%s\0' "$file"; fi
    done
}
