#!/bin/bash
# The large configurations of the harnesses, for MINUTES (default 30): every instruction a place to die
# and storms on one core; interleavings, weakened orders, broken protocols and fuzzing on the other.
# Ends with the figures of each and N passed, N failed. The logs are in build/soak.
set -u
cd "$(dirname "$0")/.." || exit 1
minutes=${MINUTES:-30}
out=build/soak
end=$(($(date +%s) + minutes * 60))
mkdir -p "$out"
rm -f "$out"/*.log "$out"/*.result
for name in kill storm explore; do
    gcc -O1 -std=gnu11 -g -I. -pthread "tests/$name.c" -o "$out/$name" || exit 1
done
left() { echo $((end - $(date +%s))); }

# run NAME SECONDS COMMAND...: notes how it ended; 124 (time is up) is named, and is no success
run() {
    local name=$1 seconds=$2 code
    shift 2
    timeout --foreground -k 10 "$seconds" "$@" >"$out/$name.log" 2>&1 </dev/null
    code=$?
    if [ $code = 124 ]; then
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
    storms 1001 2
} &
{
    part=$((minutes * 60 / 4))
    run explore $((3 * part + 60)) "$out/explore" -t "$(echo "scale=1; $part / 40" | bc)"
    run mutants $((2 * part + 300)) python3 tests/explore_mutants.py -j 1
    run fuzz $((3 * part + 300)) tests/fuzz/run.sh -j 1 -t $((part / 7))
    storms 1002 2
} &
wait
passed=0 failed=0
echo "---- soak, $minutes minutes"
for result in "$out"/*.result; do
    name=$(basename "$result" .result)
    ended=$(cat "$result")
    if [ "$ended" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$name: FAILED ($ended)"
    fi
    tail -n 2 "$out/$name.log" | sed "s/^/$name: /"
done
ls -d /dev/shm/horus* 2>/dev/null && { echo "left behind in /dev/shm"; failed=$((failed + 1)); }
echo "$passed passed, $failed failed"
[ $failed = 0 ]
