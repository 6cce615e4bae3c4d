# What tests may leave behind, for tests/run.sh and tests/soak.sh: `lie` lists what lies there now, and
# `left_behind BEFORE` what came since and stays. Other programs' things are told apart only by when
# they came: what goes within a few seconds, and another run's directory, is somebody's who is still
# at work. Programs that heed TMPDIR get a directory of their own, in which nothing at all may stay.
mine=$(mktemp -d /tmp/horus-run.XXXXXX) || exit 1
export TMPDIR=$mine
trap 'rm -rf "$mine"' EXIT
trap 'exit 143' INT TERM HUP
lie() {
    {
        ls -d /dev/shm/horus* /dev/shm/*test* /tmp/horus* /tmp/demo_out* /tmp/never.png 2>/dev/null | grep -v '^/tmp/horus-run\.'
        # not ONNX Runtime's (at each import) and ensurepip's, which are left in the best of cases
        find "$mine" -mindepth 1 -maxdepth 1 -not -name .ses -not -name 'tmp*cacert.pem'
    } | while read -r path; do # horus.<word><number of a process that lives>...: it is still at work
        pid=$(sed -n 's/^.*\/horus[-.][a-z.]*\([0-9][0-9]*\).*/\1/p' <<<"$path")
        [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null || echo "$path"
    done | sort
}
left_behind() {
    local before=$1 left tries
    for tries in 1 2 3 4 5 6; do
        left=$(comm -13 <(echo "$before") <(lie) | tr '\n' ' ')
        [ -n "$left" ] || return
        [ "$tries" = 6 ] || sleep 1
    done
    echo "$left"
}
