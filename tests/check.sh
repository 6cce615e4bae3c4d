#!/bin/bash
# The quick gate: both compilers, every opt-out, symbols, contents list, format. Under a minute.
set -u
cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT INT TERM
W="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes
   -Wmissing-prototypes -Wcast-qual -Wundef -Wvla -Wswitch-enum -Werror"
WXX="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
failed=0
total=0

# try NAME COMMAND...: runs it quietly, beside others; finish waits for all and says what failed
try() {
    total=$((total + 1))
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
    {
        name=$1 job=$total
        shift
        "$@" >"$work/log.$job" 2>&1 || echo "check: $name: FAILED: $*" >"$work/failed.$job"
    } &
}
finish() {
    wait
    for f in "$work"/failed.*; do
        [ -e "$f" ] || continue
        failed=$((failed + 1))
        cat "$f"
        head -n 20 "$work/log.${f##*.}"
        rm "$f"
    done
}

cat >"$work/impl.c" <<'C'
#define HORUS_IMPLEMENTATION
#include "horus.h"
#include "horus.h"
#define HORUS_IMPLEMENTATION
#include "horus.h"
C
cat >"$work/api_first.c" <<'C'
#include "horus.h"
#include <stdio.h>
#define HORUS_IMPLEMENTATION
#include "horus.h"
C
cat >"$work/late.c" <<'C'
#include <stdio.h>
#include <stdlib.h>
#define HORUS_IMPLEMENTATION
#include "horus.h"
C
cat >"$work/static.c" <<'C'
#define HORUS_STATIC
#define HORUS_IMPLEMENTATION
#include "horus.h"
int main(void) { return horus_now_ns() == 0; }
C
cat >"$work/no_os.c" <<'C'
#include <stdint.h>
extern uint64_t board_ns(void);
extern void board_lock(void), board_unlock(void);
#define HORUS_NO_OS
#define HORUS_NOW_NS() board_ns()
#define HORUS_CRITICAL_ENTER() board_lock()
#define HORUS_CRITICAL_LEAVE() board_unlock()
#define HORUS_IMPLEMENTATION
#include "horus.h"
C
cat >"$work/api.cpp" <<'C'
#include "horus.h"
#define WHEEL_FIELDS(F, A, S, N, V, W)                                                             \
    F(u64, timestamp_ns) A(f32, slip, 4) S(name, 16) N(vector3, force) V(f32, samples)
HORUS_MESSAGE(wheel, "Wheel", "wheel", WHEEL_FIELDS)
int main()
{
    horus_topic_desc d = horus_topic_desc();
    d.type = &horus_wheel_type;
    horus_wheel w = horus_wheel();
    return d.policy == HORUS_POLICY_ANY && w.samples.count == 0 ? 0 : 1;
}
C

for cc in gcc clang; do
    command -v $cc >/dev/null || { echo "check: $cc is missing: apt-get install -y $cc"; exit 1; }
    # code is made where a warning may need it (gcc's do, at -O2, -Og and -O1; clang's need none) or the
    # result is looked at; what only the front end sees is only parsed
    [ $cc = gcc ] && make_code=-c || make_code=-fsyntax-only
    try "$cc c11" $cc -std=c11 -O2 $W -I. -c "$work/impl.c" -o "$work/$cc.c11.o"
    try "$cc -Og" $cc -std=c11 -Og $W -I. $make_code "$work/impl.c" -o "$work/$cc.c.o"
    try "$cc static" $cc -std=c11 -O1 $W -Wno-unused-function -I. "$work/static.c" -o "$work/static.$cc"
    try "$cc without views" $cc -std=c11 -O1 $W -DHORUS_NO_VIEWS -I. $make_code "$work/impl.c" -o "$work/$cc.d.o"
    try "$cc without the scheduler" $cc -std=c11 -O1 $W -DHORUS_NO_SCHEDULER -I. $make_code "$work/impl.c" -o "$work/$cc.f.o"
    try "$cc without vision" $cc -std=c11 -O1 $W -DHORUS_NO_VISION -I. $make_code "$work/impl.c" -o "$work/$cc.g.o"
    try "$cc without the inference operator" $cc -std=c11 -O1 $W -DHORUS_NO_INFER -I. $make_code "$work/impl.c" -o "$work/$cc.h.o"
    try "$cc without an OS" $cc -std=c11 -O1 $W -I. $make_code "$work/no_os.c" -o "$work/$cc.e.o"
    try "$cc c17" $cc -std=c17 $W -I. -fsyntax-only "$work/impl.c"
    try "$cc gnu11, API first" $cc -std=gnu11 $W -I. -fsyntax-only "$work/api_first.c"
    try "$cc gnu11, after system headers" $cc -std=gnu11 $W -I. -fsyntax-only "$work/late.c"
done
if python3 -c 'import os, sysconfig as s; exit(not os.path.exists(s.get_path("include") + "/Python.h"))'; then
    include=$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')
    for cc in gcc clang; do
        try "$cc the Python module" $cc -std=gnu11 -O0 $W -fsyntax-only -DHORUS_PYTHON_IMPLEMENTATION \
            -isystem "$include" -x c horus_python.h
    done
else
    echo "check: no Python.h: the Python module is not compiled here"
fi
for cxx in g++ clang++; do
    try "$cxx API as C++11" $cxx -std=c++11 $WXX -fsyntax-only -I. "$work/api.cpp"
done

finish

# every external symbol starts with horus_
try "symbols" sh -c "! nm -g --defined-only '$work/gcc.c11.o' | awk '{print \$3}' | grep -v '^horus_'"
try "no symbols when static" sh -c "! nm -g --defined-only '$work/static.gcc' | grep ' horus'"
# strict C after a system header cannot work: one clear error, not hundreds
try "one error for a late include" sh -c \
    "! gcc -std=c11 -I. -c '$work/late.c' -o '$work/x.o' 2>'$work/err'; [ \$(grep -c '#error' '$work/err') -ge 1 ]"

# nothing but the C library: no -lm
try "no libm" sh -c "! nm -u '$work/gcc.c11.o' | grep -wE 'expf?|logf?|powf?|sqrtf?|floorf?|ceilf?|roundf?|rintf?|lrintf?|fmaxf?|fminf?'"

# the contents list: each tag once there and once as a section
for tag in $(sed -n '1,13p' horus.h | grep -o '>>[a-z]*' | sort -u); do
    try "contents $tag" sh -c "[ \$(grep -c -- '--- $tag\b' horus.h) -eq 1 ]"
done
for header in horus.h horus_python.h; do
    there=$(grep -o -- '--- >>[a-z]*' $header | cut -c5- | sort)
    told=$(sed -n '1,18p' $header | grep -v -- '---' | grep -o '>>[a-z]*' | sort -u)
    # what is told elsewhere in those lines, as a cross reference, is a section as well
    try "$header: every section is in the contents list" [ "$there" = "$told" ]
done

if command -v clang-format >/dev/null; then
    try "format" sh -c "clang-format --dry-run -Werror horus.h horus_python.h \$(ls tests/*.c tests/*.h tests/fuzz/*.[ch] examples/*.c bench/*.c 2>/dev/null)"
else
    echo "check: clang-format is missing: apt-get install -y clang-format"
    exit 1
fi
finish
echo "check: $((total - failed)) passed, $failed failed"
[ $failed -eq 0 ]
