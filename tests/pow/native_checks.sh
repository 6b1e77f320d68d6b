#!/bin/sh
# The checks of the C core that need other compilers than the installation does.
#
#   native_checks.sh warnings         gcc and clang, every warning an error            gcc, clang
#   native_checks.sh sanitize         ASan and UBSan over check_kernels                gcc or clang
#   native_checks.sh fuzz [seconds]   libFuzzer over the entry points, default 120,     clang
#                                     shared by the nonce search and the proofs; a seed
#                                     of its own gives the same inputs each time
#   native_checks.sh arm              AArch64 cross build, run under qemu              gcc-aarch64-linux-gnu,
#                                                                                      qemu-user
#   native_checks.sh avx512           the AVX-512 kernel with its instructions written gcc, x86 with AVX2
#                                     out in C; and under Intel's emulator, if there   SDE=/path/to/sde64
#   native_checks.sh limits           cycles of instructions and of kernels            any C compiler
#   native_checks.sh all [seconds]    every one of these that this machine can run
#
# On Debian: apt-get install gcc clang gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
set -eu

here=$(cd "$(dirname "$0")" && pwd)
csrc=$here/../../csrc
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strict="-std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wundef -Wno-overlength-strings -Werror"

# The sanitizers of older compilers find no place for their memory where a kernel spreads addresses wider.
plain_addresses="setarch $(uname -m) -R"
$plain_addresses true 2>/dev/null || plain_addresses=""

have() {
    command -v "$1" >/dev/null 2>&1
}

need() {
    have "$1" || {
        echo "native_checks.sh: $1 is not installed; see the top of this script" >&2
        exit 2
    }
}

warnings() {
    for compiler in gcc clang; do
        have "$compiler" || continue
        for optimise in -O0 -O3; do
            for file in "$csrc"/*.c "$here/c/check_kernels.c" "$here/c/fuzz_pow.c" "$here/c/fuzz_proofs.c" "$csrc"/tools/*.c; do
                # shellcheck disable=SC2086
                "$compiler" $strict $optimise -I"$csrc" -c "$file" -o "$work/object.o"
            done
        done
        echo "warnings: $compiler finds nothing"
    done
}

sanitize() {
    compiler=clang
    have clang || compiler=gcc
    need "$compiler"
    "$compiler" -std=c11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
        -fno-omit-frame-pointer -I"$csrc" "$csrc"/*.c "$here/c/check_kernels.c" -o "$work/check_kernels"
    $plain_addresses "$work/check_kernels" 2000
}

fuzz() {
    need clang
    for target in pow proofs; do
        clang -std=c11 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
            -I"$csrc" "$csrc"/*.c "$here/c/fuzz_$target.c" -o "$work/fuzz_$target"
    done
    mkdir -p "$work/corpus_pow" "$work/corpus_proofs"
    head -c 118 /dev/zero >"$work/corpus_pow/search"
    head -c 240 /dev/zero >"$work/corpus_pow/headers"
    { printf '\1' && head -c 256 /dev/zero | tr '\0' '\1'; } >"$work/corpus_proofs/terms"
    { printf '\0\2\3' && head -c 31 /dev/zero && printf '\5' && head -c 63 /dev/zero; } >"$work/corpus_proofs/pairs"
    for target in pow proofs; do
        (cd "$work" && $plain_addresses "./fuzz_$target" -seed=1301 -max_total_time="$(($1 / 2))" -max_len=480 -print_final_stats=1 \
            -verbosity=0 "corpus_$target")
    done
}

arm() {
    need aarch64-linux-gnu-gcc
    need qemu-aarch64
    aarch64-linux-gnu-gcc -std=c11 -O3 -static -I"$csrc" "$csrc"/*.c "$here/c/check_kernels.c" \
        -o "$work/check_kernels"
    qemu-aarch64 -cpu max "$work/check_kernels" 100
}

avx512() {
    need gcc
    gcc -std=c11 -O1 -mavx2 -I"$csrc" "$here/c/check_avx512.c" "$csrc/pow_search.c" "$csrc/sha256_generic.c" \
        "$csrc/dispatch.c" "$csrc/kernel_selftest.c" "$csrc/cpu_features.c" "$csrc/sha256_shani.c" "$csrc/sha256_lanes_vector.c" \
        -o "$work/check_avx512"
    "$work/check_avx512"
    if [ -n "${SDE:-}" ]; then
        gcc -std=c11 -O3 -I"$csrc" "$csrc"/*.c "$here/c/check_kernels.c" -o "$work/check_kernels"
        "$SDE" -skx -- "$work/check_kernels" 100
    fi
}

limits() {
    "${CC:-cc}" -std=c11 -O3 -I"$csrc" "$csrc"/*.c "$csrc/tools/instruction_limits.c" -o "$work/limits"
    "$work/limits"
}

case "${1:-}" in
warnings | sanitize | arm | avx512 | limits) "$1" ;;
fuzz) fuzz "${2:-120}" ;;
all)
    warnings
    sanitize
    if have clang; then fuzz "${2:-120}"; fi
    if have qemu-aarch64 && have aarch64-linux-gnu-gcc; then arm; fi
    if grep -q avx2 /proc/cpuinfo; then avx512; fi
    ;;
*)
    sed -n '2,15s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
