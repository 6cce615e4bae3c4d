#!/bin/bash
# Fuzzes every target: first the seeds and what once failed, then new inputs for a while, two targets
# at once; then the storm. Ends with a table and one line: N passed, N failed.
#
#     tests/fuzz/run.sh [-t SECONDS] [-j JOBS] [-s SEED] [TARGET...]
#
# SECONDS per target, default 20 (an hour: -t 3600). Inputs that fail lie in build/fuzz/found/TARGET;
# run one again: HORUS_DIR=$(mktemp -d /dev/shm/x.XXXX) FUZZ_TARGET=live build/fuzz/fuzz FILE
# -w writes the seeds anew (after a change of the harness) and ends. -p PROGRAM runs what is known, and
# the storm, by a fuzz.c that was built without libFuzzer (tests/run.sh, for coverage), and ends.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=20 jobs=2 seed=$RANDOM write=0 program=
while getopts t:j:s:wp: option; do
    case $option in
    t) seconds=$OPTARG ;;
    j) jobs=$OPTARG ;;
    s) seed=$OPTARG ;;
    w) write=1 ;;
    p) program=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
targets=${*:-attach live descriptors dlpack names views figures recording decode infer storm}
out=build/fuzz
mkdir -p "$out"
passed=0
failed=0
# a namespace's place for each target, gone in the end whatever happens; and what a killed run left
for old in /dev/shm/horus-fuzz.*; do
    [ -d "$old" ] && ! kill -0 "$(basename "$old" | cut -d. -f2)" 2>/dev/null && rm -rf "$old"
done
shm=/dev/shm/horus-fuzz.$$
mkdir -m 700 "$shm" || exit 1
trap 'rm -rf "$shm"' EXIT
trap 'kill $(jobs -p) 2>/dev/null; exit 1' INT TERM
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 ASAN_OPTIONS=detect_leaks=1:handle_abort=1
if [ -n "$program" ]; then
    export FUZZ_SECONDS=$seconds FUZZ_SEED=$seed
    for t in $targets; do
        mkdir -p "$shm/$t"
        known=$(find "tests/fuzz/seeds/$t" "tests/fuzz/regressions/$t" -type f 2>/dev/null | sort)
        if HORUS_DIR=$shm/$t FUZZ_TARGET=$t "$program" $known; then
            passed=$((passed + 1))
        else
            echo "$t FAILED"
            failed=$((failed + 1))
        fi
    done
    echo "$passed passed, $failed failed"
    exit $((failed > 0))
fi
command -v clang >/dev/null || { echo "clang is missing: apt-get install -y clang"; exit 1; }

build() {
    clang -std=gnu11 -O1 -gline-tables-only -Wall -Wextra -Werror -I. -pthread \
        -fsanitize=fuzzer,address,undefined,float-cast-overflow -fno-sanitize-recover=all \
        -fno-omit-frame-pointer ${FUZZ_CFLAGS:-} tests/fuzz/fuzz.c -o "$out/fuzz" >"$out/build.log" 2>&1
}
if [ ! "$out/fuzz" -nt horus.h ] || [ -n "$(find tests/fuzz -maxdepth 1 -newer "$out/fuzz" -name '*.[ch]')" ]; then
    build || { head -n 20 "$out/build.log"; echo "0 passed, 1 failed"; exit 1; }
fi
if [ $write = 1 ]; then
    for t in $targets; do
        [ "$t" = storm ] && continue
        rm -rf "tests/fuzz/seeds/$t"
        mkdir -p "tests/fuzz/seeds/$t" "$shm/$t"
        HORUS_DIR=$shm/$t FUZZ_TARGET=$t FUZZ_MAKE_SEEDS=tests/fuzz/seeds/$t "$out/fuzz" || exit 1
    done
    exit 0
fi

# one TARGET: its line of the table goes to TARGET.line, its verdicts to TARGET.verdict
one() {
    local t=$1 found=$out/found/$1 corpus=$out/corpus/$1 log=$out/$1.log again runs
    mkdir -p "$found" "$corpus" "$shm/$t"
    rm -f "${found:?}"/* "$out/$t.line" "$log" "$log.known"
    export HORUS_DIR=$shm/$t FUZZ_TARGET=$t
    : >"$out/$t.verdict"
    if [ "$t" = storm ]; then
        FUZZ_SECONDS=$seconds FUZZ_SEED=$seed "$out/fuzz" >"$log" 2>&1
        [ $? = 0 ] && echo pass >>"$out/$t.verdict" || echo fail >>"$out/$t.verdict"
        grep '^storm: [0-9]' "$log" >"$out/$t.line"
        return
    fi
    # what is known; each file once
    local known
    known=$(find "tests/fuzz/seeds/$t" "tests/fuzz/regressions/$t" -type f 2>/dev/null | sort)
    "$out/fuzz" -timeout=20 -rss_limit_mb=1024 -artifact_prefix="$found/known-" $known >"$log.known" 2>&1
    [ $? = 0 ] && echo pass >>"$out/$t.verdict" || echo fail >>"$out/$t.verdict"
    local code=0 slow="" runs=0 more again round=0 end=$((SECONDS + seconds))
    while [ $((end - SECONDS)) -gt 0 ]; do
        "$out/fuzz" -seed=$((seed + round)) -max_total_time=$((end - SECONDS)) -timeout=5 -rss_limit_mb=1024 \
            -max_len=1024 -print_final_stats=1 -artifact_prefix="$found/" "$corpus" "tests/fuzz/seeds/$t" >"$log" 2>&1
        code=$?
        more=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
        [ -n "$more" ] || more=$(grep -oP '^#[0-9]+(?=\t)' "$log" | tail -n 1 | tr -d '#')
        runs=$((runs + ${more:-0})) round=$((round + 1)) again=0
        [ $code = 0 ] && break
        for f in "$found"/timeout-*; do # on a busy machine all is slow: alone, and with four times as long
            [ -e "$f" ] || continue
            if "$out/fuzz" -timeout=20 "$f" >"$log.again" 2>&1; then
                slow=", slow once: $(basename "$f")"
                code=0 again=1
                mv "$f" "$found/../$t-slow"
            fi
        done
        [ $again = 1 ] || break # what was found is no matter of time
    done
    [ $code = 0 ] && [ "$runs" -gt 0 ] && echo pass >>"$out/$t.verdict" || echo fail >>"$out/$t.verdict"
    printf '%-12s %9s runs, coverage %s -> %s edges, %s found%s\n' "$t" "$runs" \
        "$(grep -m 1 INITED "$log" | grep -o 'cov: [0-9]*' | cut -d' ' -f2)" \
        "$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2)" \
        "$(find "$found" -type f | wc -l)" "$slow" >"$out/$t.line"
}

echo "fuzz: seed $seed (-s), $seconds s for each target"
rm -f "$out"/*.verdict "$out"/*.line
for t in $targets; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
    one "$t" &
done
wait
for t in $targets; do
    cat "$out/$t.line" 2>/dev/null
    p=$(grep -cs pass "$out/$t.verdict")
    f=$(grep -cs fail "$out/$t.verdict")
    all=2 # what is known, and what is new
    [ "$t" = storm ] && all=1
    if [ $((p + f)) -lt $all ]; then
        echo "$t: $((p + f)) results, not $all: it ended early"
        f=$((f + 1))
    fi
    passed=$((passed + p))
    failed=$((failed + f))
    [ "$f" = 0 ] && continue
    echo "$t FAILED:"
    grep -hE 'runtime error|ERROR|not so|did not come back|FAILED|SUMMARY|#[0-9]+ 0x.*horus|Test unit written' \
        "$out/$t.log" "$out/$t.log.known" 2>/dev/null | head -n 30
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
