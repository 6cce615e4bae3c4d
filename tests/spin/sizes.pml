/* Mixed sizes: the map of granules, each free, split into K blocks, the head of a run, or the body of one.

   What horus.h does: horusi_claim, horusi_undo_run, horusi_dissolve, and the looks of horusi_find_shaped and
   horusi_find_granules at memory that has a shape already. There is a header for every block, at a fixed place;
   taking one (horusi_take, slots.pml) is one step here, and so is each swap of a granule's word. Processes allocate
   blocks and runs, use them, release them and are killed anywhere; a sweep clears the dead one's headers.

   Assumed: sequential consistency. Not modelled: backing and punching of memory, classes of several sizes, and the
   order in which granules are tried (any is tried here).

   Checked: no two live users ever overlap; once all is quiet, everything can be made free again.
   Result: no error. */
#ifndef G
#define G 3                      /* granules */
#endif
#define K 2                      /* blocks of a split granule */
#ifndef NP
#define NP 2                     /* processes, 2 or 3 */
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#define FREE 0
#define SPLIT 1
#define HEAD(n) (10 + (n))       /* own word of a run's first granule: its length */
#define BODY(s) (20 + (s))       /* own word of its others: where it starts */

byte own[G];                     /* shared: the map */
byte holder[G * K];              /* shared: who holds each header, 0 for nobody */
byte user[G * K];                /* ghost: who really uses each block */
bool dead[4], done[4];

inline take(h) { atomic { ok = (holder[h] == 0); if :: ok -> holder[h] = me :: else fi } }
inline cas(g, a, b) { atomic { ok = (own[g] == a); if :: ok -> own[g] = b :: else fi } }
inline use(first, n) {           /* the ghost: nobody else may be there */
    atomic { i = 0; do :: i < n -> assert(user[first + i] == 0); user[first + i] = me; i++ :: else -> break od }
    atomic { i = 0; do :: i < n -> assert(user[first + i] == me); user[first + i] = 0; i++ :: else -> break od }
}
inline undo(s, n) { /* horusi_undo_run, by the holder of the run's header: bodies first, the head last */
    i = 1;
    do :: i < n -> atomic { if :: own[s + i] == BODY(s) -> own[s + i] = FREE :: else fi } i++ :: else -> break od;
    own[s] = FREE
}

inline block() {
    if :: g = 0 :: g = 1 :: G > 2 -> g = 2 fi;
    if :: b = 0 :: b = 1 fi;
    take(g * K + b);
    if
    :: ok ->
        if :: own[g] == FREE -> cas(g, FREE, SPLIT) :: else fi;
        if :: own[g] == SPLIT -> use(g * K + b, 1) :: else fi;
        holder[g * K + b] = 0
    :: else
    fi
}

inline extent() {
    if :: n = 1 :: n = 2 fi;
    if :: g = 0 :: 1 + n <= G -> g = 1 :: 2 + n <= G -> g = 2 fi;
    take(g * K);
    if
    :: ok ->
        whole = false;
        if
        :: own[g] == SPLIT ->                           /* free it: all its blocks must be ours */
#ifdef MUT_DISSOLVE
            own[g] = FREE
#else
            take(g * K + 1);
            if :: ok -> own[g] = FREE; holder[g * K + 1] = 0 :: else fi
#endif
        :: own[g] > HEAD(0) && own[g] < BODY(0) ->      /* a free run: reuse it if whole and fitting, else take it apart */
            b = own[g] - HEAD(0);
            whole = (b == n);
#ifndef MUT_TRUST
            if :: n == 2 && own[g + 1] != BODY(g) -> whole = false :: else fi;
#endif
            if :: !whole -> undo(g, b) :: else fi
        :: else
        fi;
        if
        :: !whole ->
#ifdef MUT_ORDER
            if :: n == 2 -> cas(g + 1, FREE, BODY(g)) :: else -> ok = true fi;
            if :: ok -> cas(g, FREE, HEAD(n)); if :: ok -> whole = true :: n == 2 && !ok -> own[g + 1] = FREE :: else fi
               :: else fi
#else
            cas(g, FREE, HEAD(n));                      /* intent first */
            if
            :: ok && n == 2 -> cas(g + 1, FREE, BODY(g)); if :: ok -> whole = true :: else -> undo(g, 2) fi
            :: ok && n == 1 -> whole = true
            :: else
            fi
#endif
        :: else
        fi;
        if :: whole -> use(g * K, n * K) :: else fi;
        holder[g * K] = 0
    :: else
    fi
}

proctype Process(byte me) provided (!dead[me]) {
    byte r, g, b, n, i; bool ok, whole;
    do
    :: r < ROUNDS -> r++; if :: block() :: extent() fi
    :: else -> break
    od;
    done[me] = true
}

active proctype Killer() {
    byte kills, me, g, i, n;
    atomic { run Process(1); run Process(2); if :: NP > 2 -> run Process(3) :: else -> done[3] = true fi }
    do
    :: kills < KILLS ->
        kills++;
        if :: me = 1 :: me = 2 :: NP > 2 -> me = 3 :: break fi;
        atomic { dead[me] = true; i = 0; do :: i < G * K -> if :: user[i] == me -> user[i] = 0 :: else fi; i++ :: else -> break od }
        i = 0; do :: i < G * K -> atomic { if :: holder[i] == me -> holder[i] = 0 :: else fi } i++ :: else -> break od
    :: else -> break
    od;
    (done[1] || dead[1]) && (done[2] || dead[2]) && (done[3] || dead[3]);
    atomic {                                            /* all quiet: whoever comes next can free everything */
        i = 0; do :: i < G * K -> assert(holder[i] == 0); i++ :: else -> break od;
        g = 0;
        do
        :: g < G ->
            if
            :: own[g] == SPLIT -> own[g] = FREE
            :: own[g] > HEAD(0) && own[g] < BODY(0) -> n = own[g] - HEAD(0); undo(g, n)
            :: else
            fi;
            g++
        :: else -> break
        od;
        g = 0; do :: g < G -> assert(own[g] == FREE); g++ :: else -> break od
    }
}
