#!/bin/sh
# SPDX-License-Identifier: MPL-2.0

# For meson.build: lets cargo build one product, and copies it out of cargo's target directory.
#
#   cargo.sh CARGO MANIFEST TARGET_DIRECTORY CARGO_TARGET FEATURES plugin OUTPUT
#   cargo.sh CARGO MANIFEST TARGET_DIRECTORY CARGO_TARGET FEATURES static OUTPUT PKG_CONFIG_TEMPLATE PKG_CONFIG_OUTPUT
#
# A CARGO_TARGET_DIR in the environment goes before TARGET_DIRECTORY, so what is built there already is not built again.
# The argument CARGO_TARGET goes before CARGO_BUILD_TARGET. With either, cargo has a directory for that target.
set -eu

cargo=$1 manifest=$2 target=${CARGO_TARGET_DIR:-$3} cargo_target=${4:-${CARGO_BUILD_TARGET-}} features=$5 product=$6 output=$7
shift 7

run_cargo() {
    subcommand=$1
    shift
    "$cargo" "$subcommand" --release --lib --locked --manifest-path "$manifest" --target-dir "$target" \
        --features "$features" ${cargo_target:+--target "$cargo_target"} "$@"
}

# With rlib beside it, the dependencies are compiled as they are for the plugin, and so only once.
build_static() {
    run_cargo rustc --crate-type rlib,staticlib "$@" -- --print native-static-libs
}

# Leaves what the two functions that a program calls reach, in one object: 13 MB, where bitcode, debug information and all
# of the dependencies are 70 MB. Linkers other than GNU's cannot do that; then only debug information goes.
slim() {
    reachable=$1.o
    if "${LD:-ld}" -r --gc-sections --strip-debug -u gst_plugin_wmspush_register -u gst_plugin_wmspush_get_desc \
        --whole-archive "$1" -o "$reachable" 2>/dev/null; then
        "${OBJCOPY:-objcopy}" --remove-section .llvmbc --remove-section .llvmcmd "$reachable"
        rm "$1"
        "${AR:-ar}" crs "$1" "$reachable"
        rm "$reachable"
    else
        "${STRIP:-strip}" -S "$1"
    fi
}

case $product in
plugin)
    run_cargo build
    ;;
static)
    build_static
    # Now that there is nothing left to build, cargo only says again what rustc said.
    libraries=$(build_static --color never 2>&1 | sed -n 's/^note: native-static-libs: //p')
    if [ -z "$libraries" ]; then
        echo "$0: rustc does not tell what the static library needs" >&2
        exit 1
    fi
    sed "s|@native_static_libs@|$libraries|" "$1" >"$2"
    ;;
esac
cp "$target/${cargo_target:+$cargo_target/}release/${output##*/}" "$output"
if [ "$product" = static ]; then
    slim "$output"
fi
