#!/bin/bash
# Checks the models of the protocol, each configuration exhaustively, and that each mutant of a model is
# caught. Needs spin and gcc. Limits: 2 GB and 60 s of
# the processor for each. Ends with N passed, N failed.
#
#     run.sh [-l] [word]     -l: the large configurations too (up to 12 GB, an hour); word: only such models
#
# A configuration passes if the search found no error, was cut short by nothing, and saw states; a mutant if
# the search found an assertion that does not hold, or a state where nobody can go on.
set -u
here=$(cd "$(dirname "$0")" && pwd)
large=0
[ "${1:-}" = -l ] && { large=1; shift; }
only=${1:-}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT INT TERM

if [ -z "$only" ]; then # each model by itself, two at once
    flag=$([ $large = 1 ] && echo -l)
    printf '%s\n' slots ring queue reliable waits rows private sizes |
        xargs -P 2 -I MODEL sh -c "$here/run.sh $flag MODEL >$work/MODEL.log 2>&1"
    grep -hv -e '^spin: ' -e '^[0-9]* passed, ' "$work"/*.log
    awk -v seconds=$SECONDS '
        /^spin: / { m += $2; c += $4; s += $9; k += $11; n += $13 }
        /^[0-9]+ passed, / { p += $1; f += $3 }
        END {
            if (m < 8) { print "a model is missing"; f++ }
            printf "spin: %d models, %d configurations without error in %d states, %d of %d mutants caught, in %d s\n",
                m, c, s, k, n, seconds
            printf "%d passed, %d failed\n", p, f
            exit f > 0
        }' "$work"/*.log
    exit
fi
passed=0 failed=0 configurations=0 mutants=0 caught=0 states=0
declare -A models=()

# check KIND MODEL DEFINITION...: KIND is run, large or mutant
check() {
    local kind=$1 model=$2 mem=2000 limit=60 optimize=-O2 ends n seconds errors result=ok
    shift 2
    case $model in *"$only"*) ;; *) return ;; esac
    [ "$kind" = large ] && { [ $large = 1 ] || return; mem=12000 limit=3600; }
    models[$model]=1
    [ "$kind" = mutant ] && optimize=-O0 # is soon caught: the compiler would take longer
    cd "$work" && rm -f "$work"/* || exit 1
    if ! { spin -a "$@" "$here/$model.pml" && gcc $optimize -w -DSAFETY -DCOLLAPSE -DVECTORSZ=1024 \
        -DMEMLIM=$mem -o pan pan.c; } >log 2>&1; then
        result="cannot build: $(tail -n 1 log)"
    else
        [ "$model" = sizes ] && ends=-E || ends= # its dead stand still where they died
        (ulimit -t $limit && exec ./pan -m500000 -w22 -n $ends) >log 2>&1 ||
            result="stopped after $limit s"
    fi
    n=$(awk '/states, stored/ { print $1; exit }' log)
    seconds=$(awk '/elapsed time/ { print $4; exit }' log)
    errors=$(sed -n 's/.*errors: \([0-9]*\)$/\1/p' log)
    if [ "$result" = ok ]; then
        if grep -q -e 'max search depth too small' -e 'out of memory' -e 'reached -DMEMLIM' \
            -e 'Search not completed' -e 'VECTORSZ too small' log &&
            ! { [ "$kind" = mutant ] && [ "${errors:-0}" -gt 0 ]; }; then
            result="not exhaustive"
        elif [ "${n:-0}" -eq 0 ] || [ -z "$errors" ]; then
            result="no states"
        elif [ "$kind" = mutant ]; then
            if [ "$errors" = 0 ]; then
                result="NOT CAUGHT"
            elif grep -qE '^pan:1: (assertion violated|invalid end state)' log; then
                result=caught
            else # out of its own bounds, say
                result="ERROR: $(grep -m 1 '^pan:1:' log)"
            fi
        elif [ "$errors" -gt 0 ]; then
            result="ERROR: $(grep -m 1 '^pan:1:' log)"
        fi
    fi
    if [ "$kind" = mutant ]; then
        mutants=$((mutants + 1))
        [ "$result" = caught ] && caught=$((caught + 1))
    else
        configurations=$((configurations + 1))
        states=$((states + ${n:-0}))
    fi
    case $result in ok | caught) passed=$((passed + 1)) ;; *) failed=$((failed + 1)) ;; esac
    printf '%-9s %-52s %11s %7s s  %s\n' "$model" "$*" "${n:-?}" "${seconds:-?}" "$result"
}
printf '%-9s %-52s %11s %9s  %s\n' model configuration states seconds result

check run slots -DNS=1 -DSTARTS=0
check run slots -DNS=1 -DSTARTS=1 -DREADS=0
check run slots -DNS=1 -DSTARTS=0 -DREADS=0 -DMSGS=2
check large slots -DNS=1 -DSTARTS=0 -DKILLS=2
check large slots -DNS=1 -DSTARTS=1 -DKILLS=2
check large slots -DNS=2 -DSTARTS=1
for m in NO_EPOCH NO_ACQUIRE NO_GENERATION BIT_LATE SCAN_FIRST CLEAR_ALL FREE_FIRST; do
    check mutant slots -DNS=1 -DSTARTS=0 -DMUT_$m
done
check mutant slots -DNS=1 -DSTARTS=0 -DREADS=0 -DMSGS=2 -DMUT_EVICT_ORDER

check run ring -DMSGS=1 -DLOOKS=0 -DKILLS=0
check run ring -DMSGS=1 -DLOOKS=0 -DRINGS=1
check large ring -DMSGS=1 -DLOOKS=0
check large ring -DMSGS=1 -DLOOKS=1
check large ring -DMSGS=2 -DLOOKS=0
for m in ONE_STEP FREE_FIRST; do check mutant ring -DMSGS=1 -DLOOKS=0 -DMUT_$m; done
for m in NO_ENDING LOOK OPEN_HEAD; do check mutant ring -DMSGS=1 -DLOOKS=0 -DKILLS=0 -DMUT_$m; done

check run queue
check run queue -DONCE
check large queue -DCAP=2 -DSTARTS=0
check large queue -DCAP=2 -DMSGS=3
check large queue -DKILLS=2
for m in PUT_BACK TELL_FIRST NO_BACK CLAIM_LATE NO_NUMBER ANY_ROW; do check mutant queue -DMUT_$m; done

check run reliable
check run reliable -DLATER -DCAP=2 -DMSGS=4 -DREADS=1 -DKILLS=0
check large reliable -DLATER -DCAP=2 -DMSGS=4
check large reliable -DKILLS=2 -DSTARTS=2
for m in NO_SECOND TELL_FIRST DEAD_COUNTS; do check mutant reliable -DMUT_$m; done

check run waits -DSAME_ROW
check run waits -DPUBS=1 -DMSGS=2 -DKILLS=0
check large waits -DKILLS=0
check large waits
check large waits -DTHREE
for m in RING_FIRST SEEN_LATE LOOK_FIRST NO_LOOK; do check mutant waits -DMUT_$m; done
check mutant waits -DSAME_ROW -DKILLS=0 -DMUT_ASK_FIRST

check run rows -DJOINS=1
check run rows -DKILLS=0
check large rows
check large rows -DNP=3 -DJOINS=1
for m in NO_GATE NO_NAME NO_SWEEP NO_LOCK NO_GATE_OUT; do check mutant rows -DMUT_$m; done

check run private -DROUNDS=1
check large private
for m in LOSER NO_BARRIER NO_WAIT NO_SECOND_LOOK BARE TENTATIVE; do check mutant private -DMUT_$m; done

check run sizes -DNP=2 -DROUNDS=1 -DG=2
check large sizes -DNP=2 -DROUNDS=1
check large sizes -DNP=3 -DROUNDS=1 -DG=2
for m in ORDER DISSOLVE; do check mutant sizes -DNP=3 -DROUNDS=1 -DG=2 -DMUT_$m; done

[ $((configurations + mutants)) -gt 0 ] || { echo "no such model"; exit 1; }
echo "spin: ${#models[@]} models, $configurations configurations without error in $states states," \
    "$caught of $mutants mutants caught, in $SECONDS s"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
