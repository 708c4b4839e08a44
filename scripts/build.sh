# SPDX-License-Identifier: Apache-2.0
# Configure and build one preset. Each preset has its own folder below build/, so they never rebuild each other.
# shellcheck shell=bash

# build PRESET [TARGET…]
build() {
  local preset=$1 started=$SECONDS
  shift
  configure "$preset"
  progress "building ($preset)"
  if [ $# -eq 0 ]; then
    cmake --build --preset "$preset" >&2 || fatal "the build failed; the first error is above"
  else
    cmake --build --preset "$preset" --target "$@" >&2 || fatal "the build failed; the first error is above"
  fi
  progress "built in $((SECONDS - started)) s"
}

configure() {
  local preset=$1 log
  # ninja configures again by itself when a CMakeLists.txt changes, and knows nothing of presets.
  if [ -f "build/$preset/build.ninja" ] && [ "build/$preset/configure.log" -nt CMakePresets.json ]; then return; fi
  progress "configuring ($preset)"
  mkdir -p "build/$preset"
  log=build/$preset/configure.log
  cmake --preset "$preset" >"$log" 2>&1 || {
    cat "$log" >&2
    fatal "CMake could not configure; why is above. Where it is a missing library: docs/building.md says how they are called"
  }
}
