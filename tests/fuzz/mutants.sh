#!/bin/bash
# Takes one check at a time out of a copy of horus.h and sees that its fuzz target finds it: a sanitizer
# or the target itself must say what is wrong. A mutant that cannot be made or built, and a fuzzer that
# ends otherwise, is an error. Ends with one line: N passed, N failed. (tests/test_hostile.c has the loops that only a member who strikes at
# the right moment makes endless.)
#
#     tests/fuzz/mutants.sh [-t SECONDS per mutant, default 60] [NUMBER...]
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=60
while getopts t: option; do
    case $option in
    t) seconds=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
work=build/fuzz/mutants
shm=/dev/shm/horus-fuzz.$$
mkdir -p "$work/tests/fuzz"
mkdir -m 700 "$shm" || exit 1
trap 'rm -rf "$shm"' EXIT
export HORUS_DIR=$shm
passed=0 failed=0 errors=0 number=0
chosen=" $* "

broken() {
    failed=$((failed + 1)) errors=$((errors + 1))
    echo "mutant $number, $target: ERROR: $what: $1"
}
# mutant TARGET 'WHAT' 'PYTHON that edits s' : the text before must be there once
mutant() {
    local target=$1 what=$2 before=$3 after=$4 begin code why
    number=$((number + 1))
    [ "$chosen" = "  " ] || case $chosen in *" $number "*) ;; *) return ;; esac
    cp tests/fuzz/*.[ch] "$work/tests/fuzz/"
    BEFORE=$before AFTER=$after python3 - "$work/horus.h" <<'P' || { broken "it cannot be made"; return; }
import os, sys
s = open('horus.h').read()
before, after = os.environ['BEFORE'], os.environ['AFTER']
if s.count(before) != 1:
    sys.exit('mutant: found %d times: %s' % (s.count(before), before))
open(sys.argv[1], 'w').write(s.replace(before, after))
P
    (cd "$work" && clang -std=gnu11 -O1 -gline-tables-only -I. -pthread -w \
        -fsanitize=fuzzer,address,undefined,float-cast-overflow -fno-sanitize-recover=all \
        tests/fuzz/fuzz.c -o fuzz) || { broken "it does not compile"; return; }
    rm -rf "${work:?}/corpus"
    mkdir -p "$work/corpus"
    begin=$(date +%s)
    FUZZ_TARGET=$target FUZZ_SECONDS=$seconds timeout -k 10 $((seconds + 60)) "$work/fuzz" -seed=1 \
        -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=1024 \
        -artifact_prefix="$work/" "$work/corpus" $([ "$target" = storm ] || echo "tests/fuzz/seeds/$target") \
        >"$work/$number.log" 2>&1
    code=$?
    why=$(grep -aohE 'runtime error: .*|not so: [^(]*|ERROR: AddressSanitizer: [^ ]*|ERROR: libFuzzer: [a-z -]*|did not come back' \
        "$work/$number.log" | head -n 1 | cut -c1-90)
    if [ $code = 0 ]; then
        failed=$((failed + 1))
        echo "mutant $number, $target: NOT FOUND: $what"
    elif [ $code = 124 ] || [ $code = 137 ] || [ -z "$why" ]; then
        broken "the fuzzer ended with $code: $(tail -n 1 "$work/$number.log")"
    else
        passed=$((passed + 1))
        echo "mutant $number, $target: found in $(($(date +%s) - begin)) s: $what: $why"
    fi
    find "$shm" -mindepth 1 -delete
}

mutant attach "the geometry is not held against the file's size" \
    'h->file_bytes > file_bytes ||' ''
mutant attach "a run may be longer than the pool" \
    'b == 0 && v >= 1 && v <= p->granules - g)' 'b == 0 && v >= 1)'
mutant live "a directory word's slot is not checked" \
    '    if (!horusi_has_header(p, *slot))
        return false;
    uint32_t g = ' '    uint32_t g = '
mutant live "a ring is not held against its slot" \
    'capacity == 0 || horusi_ring_bytes(policy, capacity, stride, subs) > room' 'capacity == 0'
mutant live "an open waits for a lane that changes for ever" \
    'if (opening && again > 0 && horusi_ld64_seq' 'if (opening && horusi_ld64_seq'
mutant descriptors "a view is not held against its slot" \
    'if (w->offset_bytes > room || span > room - w->offset_bytes)' 'if (false)'
mutant descriptors "a tensor's number of dimensions is not checked" \
    'if (t->ndim > HORUS_MAX_DIMS || bytes < sizeof d->head + t->ndim * 16)' 'if (false)'
mutant dlpack "lanes are not checked" \
    'd.bits == source->dtype.bits &&
            source->dtype.lanes == 1)' 'd.bits == source->dtype.bits)'
mutant dlpack "a size that overflows, or a negative dimension, is not refused" \
    'if (t->shape[i] && n > (uint64_t)INT64_MAX / (uint64_t)t->shape[i])' 'if (t->shape[i] && n == 0)'
mutant names "a double slash is allowed" \
    "name[n + 1] == '/' || name[n + 1] == 0" 'name[n + 1] == 0'
mutant names "a colon is not escaped" \
    "if (*name == '/' || *name == ':')" "if (*name == '/')"
mutant views "a rectangle may leave its image" \
    'width > m->width_px - x || height > m->height_px - y' 'width > m->width_px || height > m->height_px'
mutant views "a slice does not stop at the last row" \
    'end = end < 0 ? (end < -rows ? 0 : end + rows) : end > rows ? rows : end;' \
    'end = end < 0 ? (end < -rows ? 0 : end + rows) : end;'
mutant figures "a block is not held against its frame" \
    'return n != UINT32_MAX && bytes >= horusi_sched_bytes(n) ? n : UINT32_MAX;' 'return n;'
mutant figures "a black box is not held against its frame" \
    'bytes < horusi_sched_bytes(nodes) + horusi_box_bytes(rooms[0], rooms[1]))' \
    'bytes < horusi_sched_bytes(nodes))'
mutant figures "the index of a record is not checked" \
    'if (index < nodes)
            memcpy(to->node' 'if (true)
            memcpy(to->node'
mutant figures "a record waits for a number that never stands still" \
    'tries < 1000 && !horusi_cas64_acqrel(box' '!horusi_cas64_acqrel(box'
mutant recording "the words of an entry are not counted" \
    'e->words > HORUSI_DEED_WORDS || ' ''
mutant recording "a name's length is not checked" \
    'e->name_bytes >= HORUS_NAME_BYTES ||
        ' ''
mutant recording "a frame's descriptor is not held against its room" \
    'got->bytes > sizeof got->wire ||' ''
mutant recording "a message is not held against the buffer" \
    'if (p->left > d->room) {' 'if (false) {'
mutant recording "a frame whose entry is cut off stays held" \
    '            horusi_release(d->got->frame.pool, d->got->frame.slot);
    }
    if (p->result < 0) {' '            (void)0;
    }
    if (p->result < 0) {'
[ $((passed + failed)) -gt 0 ] || { echo "no such mutant:$chosen"; failed=1; }
echo "mutants of checks: $passed found, $((failed - errors)) survive, $errors errors"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
