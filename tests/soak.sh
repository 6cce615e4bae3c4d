#!/bin/bash
# The large configurations of the harnesses, for about MINUTES (default 30): every instruction a place
# to die, coverage and storms on one core; interleavings, weakened orders, broken protocols and fuzzing
# on the other, and Python: frameworks that hold frames and are killed, a million of each operation, every
# instruction of a send, a receive and a release. What must be whole is not cut to MINUTES: all deaths, all
# weakened orders, all mutants, coverage, the Python tests. Ends with the figures of each and N passed, N failed. The logs are in build/soak.
set -u
cd "$(dirname "$0")/.." || exit 1
minutes=${MINUTES:-30}
out=build/soak
end=$(($(date +%s) + minutes * 60))
. tests/left.sh
before=$(lie)
mkdir -p "$out"
rm -f "$out"/*.log "$out"/*.result
for name in kill storm explore test_scheduler; do
    gcc -O1 -std=gnu11 -g -I. -pthread "tests/$name.c" -o "$out/$name" || exit 1
done
export LARGE=1 # to the tests: rates for a minute, frames held for minutes, a million of each operation, every instruction
left() { echo $((end - $(date +%s))); }

# run NAME SECONDS COMMAND...: notes how it ended; 124 (time is up) is named, and is no success
run() {
    local name=$1 seconds=$2 code
    shift 2
    echo "did not come to an end" >"$out/$name.result"
    timeout -k 10 "$seconds" "$@" >"$out/$name.log" 2>&1 </dev/null
    code=$?
    if [ $code = 124 ] || [ $code = 137 ]; then
        echo "cut off after $seconds s" >"$out/$name.result"
    else
        echo "$code" >"$out/$name.result"
    fi
}
storms() { # until the time is up, with a new seed each
    local seed=$1 step=$2 n=0
    while [ "$(left)" -gt 150 ] || [ $n = 0 ]; do
        run "storm$seed" 600 "$out/storm" -k 1000 -s 100 -r "$seed"
        seed=$((seed + step)) n=$((n + 1))
    done
}
{
    run kill $((minutes * 60 + 1800)) "$out/kill" -n 200000
    run rates 300 env HORUS_TEST_SECONDS=240 "$out/test_scheduler" real_rates
    run py_rates 1200 python3 tests/python_test.py "py_scheduler_test Phases.test_real_time_gives_exact_counts"
    run coverage 2400 env SANITIZE=coverage tests/run.sh
    run checks 2400 tests/fuzz/mutants.sh -t 60
    run py_together 3600 python3 tests/python_test.py py_together_test # it may install the frameworks
    storms 1001 2
} &
{
    part=$((minutes * 60 / 6))
    run explore $((3 * part + 60)) "$out/explore" -t "$(echo "scale=1; $part / 70" | bc)"
    run orders 5400 "$out/explore" -m -t 0.2 -j 1
    run mutants $((2 * part + 900)) python3 tests/explore_mutants.py -j 1
    run py_leaks 5400 python3 tests/python_test.py py_leaks_test
    run py_kill 5400 python3 tests/python_test.py py_kill_test
    run fuzz $((3 * part + 600)) tests/fuzz/run.sh -j 1 -t $((part / 8))
    run py_fuzz 5400 env FUZZ_SECONDS=$((part / 8)) python3 tests/python_test.py py_fuzz_test
    storms 1002 2
} &
wait
passed=0 failed=0
echo "---- soak, $minutes minutes"
for name in kill rates py_rates explore orders mutants checks fuzz coverage py_together py_leaks py_kill py_fuzz storm1001 storm1002; do
    [ -e "$out/$name.result" ] || echo "was not run" >"$out/$name.result"
done
for result in "$out"/*.result; do
    name=$(basename "$result" .result)
    ended=$(cat "$result")
    lines=2
    if [ "$ended" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1)) lines=20
        echo "$name: FAILED ($ended)"
    fi
    case $name in orders | coverage | py_*) lines=$((lines + 2)) ;; esac
    [ -e "$out/$name.log" ] && tail -n $lines "$out/$name.log" | sed "s/^/$name: /"
done
[ -e build/coverage/coverage.log ] && sed -n 's/^\(lines\|branches\): /coverage: &/p' build/coverage/coverage.log
remain=$(left_behind "$before")
[ -n "$remain" ] && { echo "left behind: $remain"; failed=$((failed + 1)); }
echo "$passed passed, $failed failed"
[ $failed = 0 ]
