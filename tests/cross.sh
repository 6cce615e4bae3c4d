#!/bin/bash
# The C unit tests and a small storm on other processors, by qemu-user, and with another C library:
# aarch64, armv7 (32 bits), and musl (on this processor). Ends with "N passed, N failed". What an
# emulator cannot do is probed by the test itself, and printed as "skipped"; what is not built for
# these at all is named here.
#     cross.sh [-l] [aarch64|armv7|musl ...]      -l: nothing shortened, and a large storm
set -u
cd "$(dirname "$0")/.." || exit 1
out=$PWD/build/cross
mkdir -p "$out"
short=-DTEST_EMULATED=1 kills=40 stops=10 pause=300000
if [ "${1:-}" = -l ]; then
    short='' kills=1000 stops=100
    shift
fi
[ $# -gt 0 ] || set -- aarch64 armv7 musl
flags="-std=gnu11 -g -Wall -Wextra -pthread -static"
passed=0
failed=0

# one TARGET EMULATOR COMPILER...
one() {
    local target=$1 emulator=$2 bin log line t code bad o
    shift 2
    echo "$target: skipped: faults: fails each system call in turn in a process of its own:" \
        "too slow in an emulator, and it names errors by glibc's strerrorname_np"
    echo "$target: skipped: kill, explore: step by x86-64 instructions, and on a machine of their own"
    for t in tests/test_*.c storm; do
        t=$(basename "$t" .c)
        bin=$out/$t.$target log=$out/$t.$target.log
        case $target/$t in # what compiles longer than it runs is not optimised
        */test_model | a*/test_pool | a*/test_topic | a*/storm) o=-O1 ;;
        *) o=-O0 ;;
        esac
        if ! "$@" $flags $o tests/$t.c -o "$bin" -lm >"$log" 2>&1; then
            echo "$target: $t FAILED to build"
            head -n 20 "$log"
            failed=$((failed + 1))
            continue
        fi
        if [ $t = storm ]; then # without binfmt_misc an emulated program cannot start another one
            printf '#!/bin/sh\nexec %s %s "$@"\n' "$emulator" "$bin" >"$bin.sh"
            chmod +x "$bin.sh"
            timeout 600 $emulator "$bin" -x "$bin.sh" -k $kills -s $stops -w 4 -m 32 -p $pause >"$log" 2>&1
            code=$?
        else
            HORUS_TEST_SECONDS=120 timeout 900 $emulator "$bin" >"$log" 2>&1
            code=$?
        fi
        line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
        echo "$target: $t: ${line:-FAILED: no result, it ended with $code}"
        grep 'skipped: ' "$log" | sed "s/^/$target: /"
        if [ -z "$line" ]; then
            failed=$((failed + 1))
            tail -n 20 "$log"
            continue
        fi
        passed=$((passed + ${line%% passed*}))
        line=${line#*, }
        bad=${line%% failed*}
        failed=$((failed + bad))
        if [ "$bad" = 0 ] && [ $code != 0 ]; then
            echo "$target: $t: FAILED: no test failed, but it ended with $code"
            failed=$((failed + 1)) bad=1
        fi
        [ "$bad" = 0 ] || grep -vE 'core dumped' "$log" | head -n 40
    done
}
check() { # in a process of its own, which tells its counts in a file
    case $1 in
    aarch64) one aarch64 qemu-aarch64 aarch64-linux-gnu-gcc $short ;;
    armv7) one armv7 qemu-arm arm-linux-gnueabihf-gcc -march=armv7-a+fp $short ;;
    musl) one musl '' musl-gcc ;;
    *) echo "no such target: $1"; failed=1 ;;
    esac
    echo "$passed $failed" >"$out/$1.counts"
}
rm -f "$out"/*.counts
for target in "$@"; do # two at once
    check "$target" >"$out/$target.out" 2>&1 &
    [ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n
done
wait
for target in "$@"; do
    cat "$out/$target.out"
    read -r p f <"$out/$target.counts" || { p=0 f=1; }
    passed=$((passed + p)) failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
