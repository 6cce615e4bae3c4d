#!/bin/bash
# One run, recorded by a gcc build and by an aarch64 one, and replayed by gcc, clang, aarch64 and armv7
# builds: all hashes are equal, and a planted divergence of one bit is named exactly by each. Ends with
# "N passed, N failed".
set -u
cd "$(dirname "$0")/.." || exit 1
out=$PWD/build/replay
rm -rf "$out"
mkdir -p "$out"
flags="-std=gnu11 -Wall -Wextra -Werror -pthread -ffp-contract=off"
passed=0
failed=0
check() { # NAME WANTED GOT
    if [ -n "$2" ] && [ "$2" = "$3" ]; then
        passed=$((passed + 1))
        echo "$1: $3"
    else
        failed=$((failed + 1))
        echo "$1: FAILED: $3, not $2"
    fi
}
declare -A emulator=([gcc]='' [clang]='' [aarch64]=qemu-aarch64 [armv7]=qemu-arm)
build() { # NAME COMPILER...
    local name=$1
    shift
    "$@" $flags tests/replay.c -o "$out/$name" -lm >"$out/$name.log" 2>&1 ||
        { failed=$((failed + 1)); echo "$name: FAILED to build"; head -n 20 "$out/$name.log"; }
}
run() { # NAME ARGUMENTS...: in a namespace of its own
    local name=$1
    shift
    HORUS_NAMESPACE="replay-$$" timeout 120 ${emulator[$name]} "$out/$name" "$@" 2>&1
}
build gcc gcc -O2
build clang clang -O3
build aarch64 aarch64-linux-gnu-gcc -O2 -static
build armv7 arm-linux-gnueabihf-gcc -march=armv7-a+fp -O2 -static
for recorder in gcc aarch64; do
    file=$out/$recorder.recording
    hash=$(run $recorder record "$file")
    case $hash in *' inputs, '*) ;; *) check "recorded by $recorder" "a hash" "$hash" ;; esac
    for name in gcc clang aarch64 armv7; do
        check "recorded by $recorder, replayed by $name" "$hash" "$(run $name "$file")"
        check "planted in $name" "diverged: tick 137, node filter, topic estimates" \
            "$(run $name "$file" 137)"
    done
done
[ "$(run gcc record "$out/other.recording")" != "$(run gcc "$out/gcc.recording")" ]
check "another run is another one" 0 $?
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
