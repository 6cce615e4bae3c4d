#!/bin/bash
# Runs every test and ends with one line: N passed, N failed. SANITIZE=address (and undefined
# behaviour), thread or coverage runs the C suite so built, with smaller storms. ONLY=word runs the parts whose name has it.
set -u
cd "$(dirname "$0")/.." || exit 1
mode=${SANITIZE:-plain}
out=build/$mode
mkdir -p "$out"
passed=0
failed=0
times=()
skips=() # what this machine cannot run: named at the end
failures=() # said once more at the end, which is all that some readers of a log see
parts=()
lanes=${LANES:-$(($(nproc) + 1))} # so many parts at once
. tests/left.sh
trap 'kill $(jobs -p) 2>/dev/null; exit 143' INT TERM HUP
before=$(lie) # of programs that have nothing to do with us

# ---- what is needed, installed or named
need=()
want() { command -v "$1" >/dev/null 2>&1 || need+=("$2"); }
want gcc gcc
want g++ g++
want python3 python3
if [ "$mode" = plain ]; then
    want clang clang
    want clang-format clang-format
    want spin spin
    want i686-linux-gnu-gcc gcc-i686-linux-gnu
    want arm-none-eabi-gcc gcc-arm-none-eabi
    want aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
    want arm-linux-gnueabihf-gcc gcc-arm-linux-gnueabihf
    want qemu-aarch64 qemu-user
    want qemu-system-arm qemu-system-arm
    want musl-gcc musl-tools
    ls /usr/i686-linux-gnu/lib/libc.a >/dev/null 2>&1 || need+=(libc6-dev-i386-cross)
    ls /usr/aarch64-linux-gnu/lib/libc.a >/dev/null 2>&1 || need+=(libc6-dev-arm64-cross)
    ls /usr/arm-linux-gnueabihf/lib/libc.a >/dev/null 2>&1 || need+=(libc6-dev-armhf-cross)
    [ -e /usr/include/stb/stb_image_write.h ] || need+=(libstb-dev)
    [ -e /usr/include/dlpack/dlpack.h ] || need+=(libdlpack-dev)
    ls /usr/lib/arm-none-eabi/include/stdio.h >/dev/null 2>&1 || need+=(libnewlib-arm-none-eabi)
    python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || need+=(python3-venv)
    python3 -c 'import os, sysconfig as s; exit(not os.path.exists(s.get_path("include") + "/Python.h"))' ||
        need+=(python3-dev)
elif [ "$mode" != coverage ]; then
    want clang clang
fi
if [ "$mode" != coverage ] && ! ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-* >/dev/null 2>&1; then
    clang=$(apt-cache depends clang 2>/dev/null | grep -o 'clang-[0-9]*' | head -n 1)
    clang=${clang#clang-}
    need+=("libclang-rt-${clang:-14}-dev") # the sanitizers, which clang only recommends
fi
if [ ${#need[@]} -gt 0 ]; then
    install="apt-get install -y --no-install-recommends ${need[*]}"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing: ${need[*]}"
        (apt-get update -qq && DEBIAN_FRONTEND=noninteractive $install -qq) >"$out/install.log" 2>&1 ||
            { echo "could not install; see $out/install.log"; tail -n 5 "$out/install.log"; exit 1; }
    elif [ "${INSTALL:-0}" = 1 ]; then
        (sudo apt-get update -qq && sudo $install -qq) || exit 1
    else
        echo "missing: run    sudo apt-get update && sudo $install"
        exit 1
    fi
fi

# part NAME COMMAND...: begins it as soon as a processor is free, beside the one before. `parts` tells them apart;
# each writes how it ended into NAME.result: from its last "N passed, N failed" line, else from its exit status
part() {
    case $1 in *"${ONLY:-}"*) ;; *) return ;; esac
    while [ "$(jobs -rp | wc -l)" -ge "$lanes" ]; do wait -n; done
    parts+=("$1")
    rm -f "$out/$1.result"
    one "$@" &
}
one() {
    local name=$1 log="$out/$1.log" begin=$EPOCHSECONDS code line good=0 bad=0 text
    shift
    timeout "${LIMIT:-900}" "$@" >"$log" 2>&1 </dev/null &
    trap "kill $!" TERM
    wait $!
    code=$?
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
    if [ -n "$line" ]; then
        set -- $line
        good=$1 bad=$3
        [ $code -ne 0 ] && [ "$bad" = 0 ] && { bad=1; line="$line, but it ended with $code"; }
    elif [ $code -eq 0 ]; then
        good=1 line=ok
    else
        bad=1 line="FAILED (status $code)"
    fi
    text=$(printf '%5d s  %-22s %s' $((EPOCHSECONDS - begin)) "$name" "$line")
    printf '%s\n' "$good $bad" "$text" >"$out/$name.result"
    [ "$bad" = 0 ] || text+=$(echo && complaints "$name" && echo "    the end of $log:" && tail -n 60 "$log" | sed 's/^/    | /')
    echo "$text" # at once: another part may print meanwhile
}
complaints() {
    grep -E "^tests/[^ ]*:[0-9]+: |FAIL|ERROR|Error: |SEED=|not so: |Sanitizer|WARNING: Thread" "$out/$1.log" |
        grep -v "skipped: " | head -n 20 |
        cut -c 1-300 | sed "s/^/$1: /"
}
tally() { # once all have ended
    local name good bad text
    wait
    for name in "${parts[@]}"; do
        { read -r good bad && IFS= read -r text; } <"$out/$name.result" || good=0 bad=1 text="$name: no result"
        passed=$((passed + good)) failed=$((failed + bad))
        times+=("$text")
        while read -r skip; do skips+=("$name: $skip"); done < <(grep 'skipped: ' "$out/$name.log")
        [ "$bad" = 0 ] || mapfile -t -O ${#failures[@]} failures < <(echo "$text"; complaints "$name")
    done
}

flags="-std=gnu11 -g -Wall -Wextra -I. -pthread"
case $mode in
plain) cc="gcc -O1 -Werror" ;;
address)
    cc="clang -O1 -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all -fno-omit-frame-pointer"
    export ASAN_OPTIONS=detect_leaks=1
    ;;
thread) cc="clang -O1 -fsanitize=thread"; export TSAN_OPTIONS=halt_on_error=1 ;;
coverage) cc="gcc -O0 --coverage -fprofile-update=atomic -Dalways_inline=unused -DTEST_COVERAGE" ;; # a branch counts once
*) echo "SANITIZE: address, thread or coverage"; exit 2 ;;
esac
kills=1000 stops=100
[ "$mode" = plain ] || { kills=60 stops=10; }
[ "$mode" = coverage ] && export HORUS_TEST_SECONDS=600
[ "$mode" = coverage ] && rm -f "$out"/*.gcda "$out"/*.gcno # of another day's code

sources=(tests/test_*.c tests/storm.c)
[ "$mode" = plain ] && sources+=(tests/kill.c tests/explore.c tests/faults.c)
[ "$mode" = coverage ] && sources+=(tests/explore.c tests/faults.c tests/fuzz/fuzz.c)
wanted() { case $1 in *"${ONLY:-}"*) ;; *) case ${ONLY:-} in *"$1"*) ;; *) false ;; esac ;; esac }
# library PACKAGE FILE: the path of a library that the operator's tests load, from a Python environment that is
# here, or from one of its own that is made now
library() {
    local try
    for try in 1 2; do
        ls -d "$PWD"/{"build/$1",.venv,build/python/frameworks}/lib/python*/site-packages/$2 2>/dev/null | head -n 1 | grep . && return
        [ $try = 2 ] || { python3 -m venv "build/$1" && timeout 180 "build/$1/bin/pip" install -q --no-deps "$1"; } \
            >"build/$1.log" 2>&1
    done
}
if [ -z "${ORT_DYLIB_PATH:-}" ] && { wanted test_infer || wanted examples; }; then
    ORT_DYLIB_PATH=$(library onnxruntime 'onnxruntime/capi/libonnxruntime.so.1*')
    export ORT_DYLIB_PATH
fi
if [ -z "${OPENVINO_DYLIB_PATH:-}" ] && wanted test_infer && [ "$mode" != address ] && [ "$mode" != thread ]; then
    OPENVINO_DYLIB_PATH=$(library openvino 'openvino/libs/libopenvino_c.so*')
    export OPENVINO_DYLIB_PATH
fi
for source in "${sources[@]}"; do # as many at once as there are processors
    name=$(basename "$source" .c)
    wanted "$name" || continue
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
    rm -f "$out/$name"
    $cc $flags "$source" -o "$out/$name" >"$out/$name.build" 2>&1 &
done
wait
for source in "${sources[@]}"; do
    name=$(basename "$source" .c)
    wanted "$name" || continue
    [ -x "$out/$name" ] && continue
    failures+=("$name: cannot be built") failed=$((failed + 1))
    echo "cannot build $source:"
    head -n 20 "$out/$name.build"
done
for source in tests/test_*.c; do
    name=$(basename "$source" .c)
    [ -x "$out/$name" ] && part "$name" "$out/$name"
done
gcc -std=gnu11 -O0 -DHORUS_IMPLEMENTATION -x c -c horus.h -o "$out/horus.o" && nm -u "$out/horus.o" >"$out/horus.names" ||
    failures+=("faults: nm finds no names")
faults() { part faults env HORUS_FAULTS_NAMES="$PWD/$out/horus.names" HORUS_TEST_SECONDS=300 "$out/faults"; }
storm() { part storm "$out/storm" -k $kills -s $stops; }
case $mode in
plain) # the longest first
    LIMIT=1800 part python python3 tests/python_test.py # it installs the frameworks, too
    part coverage env -u ONLY SANITIZE=coverage LANES=1 BESIDE=1 tests/run.sh # the C tests once more, and what they reach
    part cross tests/cross.sh
    part fuzz tests/fuzz/run.sh -t "${FUZZ_SECONDS:-20}"
    # all scenes; then all orders weakened that a scene must catch, and of those that orders.txt explains
    # as many as 40 s leave time for, others in each run (SEED=n: the same)
    part explore "$out/explore" -t 1 -m -T 0.2 -b "${ORDERS_SECONDS:-40}" -r "${SEED:-$RANDOM}"
    part kill "$out/kill" # -n 300000: every step of every operation
    part spin tests/spin/run.sh
    part explore_mutants python3 tests/explore_mutants.py -t 1
    part examples python3 tests/demo_examples_test.py
    part readme python3 tests/readme_test.py
    part bench_smoke python3 tests/bench_test.py
    storm
    faults
    part replay tests/replay.sh
    if i686-linux-gnu-gcc -static -O1 $flags tests/storm.c -o "$out/storm32" >"$out/storm32.build" 2>&1; then
        part storm_32_and_64 "$out/storm" -k 200 -s 20 -o "$PWD/$out/storm32"
    else
        failed=$((failed + 1))
        failures+=("storm32: cannot be built")
        head "$out/storm32.build"
    fi
    if wanted demo && [ ! -e .venv/ready ]; then
        python3 -m venv .venv >"$out/venv.log" 2>&1 &&
            .venv/bin/pip install -q scikit-learn pillow >>"$out/venv.log" 2>&1 && touch .venv/ready
    fi
    wait # its pipeline has rates to keep
    part demo "$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)" tests/demo_test.py
    ;;
coverage) # not the kill harness: it takes no branch that these do not
    faults
    storm
    part explore "$out/explore" -t "${EXPLORE_SECONDS:-1}"
    part fuzz tests/fuzz/run.sh -p "$out/fuzz" -t "${FUZZ_SECONDS:-20}"
    wait
    part coverage python3 tests/coverage.py "$out" 95 "${UNEXPLAINED:-4}"
    ;;
*) storm ;;
esac
tally
if [ ${#parts[@]} = 0 ]; then
    failures+=("no part is called so: ${ONLY:-}")
    failed=$((failed + 1))
fi
if [ "$mode" = plain ]; then
    for name in explore explore_mutants spin kill coverage; do # what these have to tell
        figures=$(grep -hE '^[0-9]+ (scenes|weakened|sets|of [0-9]+ weakenings|of all those|mutants|operations)|^(spin|lines|branches): ' \
            "$out/$name.log" 2>/dev/null)
        case $name in *"${ONLY:-}"*) [ -n "$figures" ] && echo "$figures" | sed "s/^/    $name: /" ;; esac
    done
fi
[ "$mode" = coverage ] && [ -e "$out/coverage.log" ] && grep -E '^(lines|branches): ' "$out/coverage.log"
if [ -z "${BESIDE:-}" ]; then # else who runs this beside others looks after all
    left=$(left_behind "$before")
    [ -z "$left" ] || failures+=("left behind: $left")
    [ -z "$left" ] && passed=$((passed + 1)) || failed=$((failed + 1))
fi
echo "---- seconds by part ($mode)"
printf '%s\n' "${times[@]}"
if [ ${#skips[@]} -gt 0 ]; then
    echo "---- not run here"
    printf '%s\n' "${skips[@]}"
fi
if [ ${#failures[@]} -gt 0 ]; then
    echo "---- FAILED"
    printf '%s\n' "${failures[@]}"
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ ${#failures[@]} -eq 0 ]
