/* Slots: who holds one, who may take it, and what a sweep gives back.

   What horus.h does, step for step: horusi_take, horusi_acquire, horusi_release, horusi_publish with
   horusi_out_hold, horusi_out_evict, horusi_reclaim (with horusi_mark_dead and horusi_lane_end as one step
   each), and the join into a row that was swept or has to be. One step is one access to shared memory. A
   publisher P with a ring, a subscriber S, another allocator A and a sweeper W; each may be killed between any
   two steps, also while it sweeps, and P, S and A are then started again in the same row. The holders of a slot
   are two words, as in a slot header: P's bit is in one, the others' in the other.

   Assumed: sequential consistency. Not modelled: counts within a process (private.pml), the memory of rings and
   topics themselves, which are slots like any other; shapes and sizes (sizes.pml); the search order of alloc.

   Checked: nobody takes a slot that somebody uses, nor one that a ring offers; what a reader holds has the bytes
   that were sent; a publisher's frame is its own until it is sent; when all is over and swept no bit is left.
   Result: no error. */
#ifndef NS
#define NS 2 /* slots */
#endif
#ifndef CAP
#define CAP 1 /* entries of the ring */
#endif
#ifndef MSGS
#define MSGS 1 /* messages of each publisher */
#endif
#ifndef READS
#define READS 1 /* frames that the subscriber tries to get */
#endif
#ifndef TAKES
#define TAKES 1 /* frames that the allocator makes */
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef STARTS
#define STARTS 1 /* processes that are started again, in all */
#endif
#define P 0
#define S 1
#define A 2
#define HELD(s, r) held[(s) * 3 + (r)]
#define TRULY(s, r) truly[(s) * 3 + (r)]
#define ROW_FREE 0
#define ROW_LIVE 1
#define ROW_DEAD 2
#define LANE_FREE 0
#define LANE_LIVE 1
#define LANE_ORPHAN 2

byte gen[NS], epoch[NS];                           /* slot->word */
bit held[NS * 3];                                  /* slot->holders */
byte payload[NS];                                  /* the slot's memory */
byte row[3] = ROW_LIVE;                            /* rows[].word, its state */
bool locked[3] = true;                             /* the kernel's: the row's byte */
byte lane = LANE_LIVE;                             /* lane->word, its state */
byte seq[CAP], e_slot[CAP], e_gen[CAP], e_msg[CAP]; /* the ring's entries */
bit truly[NS * 3];                                 /* ghost: this row really uses that slot */
byte sent;                                         /* ghost: sequences go on in the next ring */
byte kills, starts, ended;

#define DIE atomic { kills < KILLS -> kills++; goto died }
#define STEP(x) if :: atomic { x } :: DIE fi

inline offered(s) { /* ghost: no ring offers the present use of slot s */
    k = 0;
    do
    :: k < CAP -> assert(!(lane != LANE_FREE && seq[k] != 0 && seq[k] % 2 == 0 && e_slot[k] == s &&
                           e_gen[k] == gen[s])); k++
    :: else -> break
    od;
    k = 0
}

inline take(s, r) { /* horusi_take: ok */
#ifdef MUT_SCAN_FIRST
    STEP(ok = !HELD(s, P));
    if :: ok -> STEP(ok = !HELD(s, S) && !HELD(s, A)) :: else fi;
    STEP(g = gen[s]; e = epoch[s]);
#else
    STEP(g = gen[s]; e = epoch[s]); /* slot->word */
    STEP(ok = !HELD(s, P));         /* horusi_is_held: holders[0] */
    if :: ok -> STEP(ok = !HELD(s, S) && !HELD(s, A)) :: else fi; /* holders[1] */
#endif
    if
    :: ok ->
#ifndef MUT_BIT_LATE
        STEP(HELD(s, r) = 1);
#endif
        STEP(                       /* the swap (g,e) -> (g+1,e+1) */
            if
#ifdef MUT_NO_EPOCH
            :: gen[s] == g ->
#else
            :: gen[s] == g && epoch[s] == e ->
#endif
                assert((r == P || !TRULY(s, P)) && (r == S || !TRULY(s, S)) && (r == A || !TRULY(s, A)));
                offered(s);
                gen[s] = gen[s] + 1; epoch[s] = epoch[s] + 1; TRULY(s, r) = 1
            :: else -> ok = false
            fi);
#ifdef MUT_BIT_LATE
        if :: ok -> STEP(HELD(s, r) = 1) :: else fi
#else
        if :: !ok -> STEP(HELD(s, r) = 0) :: else fi
#endif
    :: else
    fi;
    g = 0; e = 0
}
inline release(s, r) { STEP(HELD(s, r) = 0; TRULY(s, r) = 0) }

inline reclaim(r, all) { /* horusi_mark_dead, horusi_reclaim: the row's lock is ours */
    STEP(if :: row[r] == ROW_LIVE -> row[r] = ROW_DEAD :: else fi);
    marks = 0; stays = false;
#ifdef MUT_FREE_FIRST
    STEP(row[r] = ROW_FREE);
#endif
    if
    :: r == P ->
        if :: !all -> stays = true :: true fi; /* horusi_superseded, the victim of an allocation */
        if
        :: stays ->
            STEP(if :: lane == LANE_FREE -> stays = false :: else -> lane = LANE_ORPHAN fi);
            k = 0;
            do
            :: stays && k < CAP ->
                STEP(                               /* the dead write no entries */
                    if
                    :: seq[k] != 0 && seq[k] % 2 == 0 && e_gen[k] == gen[e_slot[k]] ->
                        marks = marks | (1 << e_slot[k])
                    :: else
                    fi);
                k++
            :: else -> break
            od;
            k = 0
        :: else -> STEP(lane = LANE_FREE)           /* horusi_lane_end */
        fi
    :: else
    fi;
#ifdef MUT_CLEAR_ALL
    marks = 0;
#endif
    k = 0;
    do
    :: k < NS -> if :: (marks >> k) & 1 :: else -> STEP(HELD(k, r) = 0) fi; k++
    :: else -> break
    od;
    k = 0; marks = 0;
    if :: !stays -> STEP(row[r] = ROW_FREE) :: else fi;
    stays = false
}

/* A dead process is nowhere; its successor joins in the same row, once the lock is to be had. */
inline dead(r) {
    atomic {
        k = 0; do :: k < NS -> TRULY(k, r) = 0; k++ :: else -> break od;
        k = 0; s = 0; g = 0; e = 0; ok = false; marks = 0; stays = false; locked[r] = false
    }
}
inline join(r) {
    STEP(!locked[r] -> locked[r] = true);
    if :: row[r] != ROW_FREE -> reclaim(r, true) :: else fi; /* only the lock's owner changes it */
    STEP(row[r] = ROW_LIVE)
}
inline again(r) { dead(r); if :: atomic { starts < STARTS -> starts++ } join(r); goto begin :: skip fi }

active proctype Publisher() {
    byte s, g, e, k, marks, m, n, old, new; bool ok, stays;
    byte refs[CAP] = 255;                           /* o->refs: slots that the entries hold */
begin:
    STEP(                                           /* horusi_out_open: a new ring */
        k = 0; do :: k < CAP -> seq[k] = 0; k++ :: else -> break od;
        k = 0; lane = LANE_LIVE);
    do
    :: m < MSGS ->
        m++; s = 0; ok = false;
        do
        :: !ok && s < NS -> take(s, P); if :: !ok -> s++ :: else fi
        :: else -> break
        od;
        if
        :: !ok ->                                   /* horusi_make_room: our oldest frame */
            n = 0; do :: n < CAP && refs[n] == 255 -> n++ :: else -> break od;
            if
            :: n < CAP ->
                old = refs[n];
#ifdef MUT_EVICT_ORDER
                release(old, P);
#endif
                STEP(seq[n] = seq[n] + 1);          /* horusi_out_evict: 2n+1 */
#ifndef MUT_EVICT_ORDER
                release(old, P);
#endif
                refs[n] = 255;
                take(old, P); s = old               /* the search finds it first, or another's */
            :: else
            fi;
            old = 0; n = 0
        :: else
        fi;
        if
        :: ok ->
            new = sent + 1;
            STEP(payload[s] = 99);                  /* half-written */
            STEP(payload[s] = new);
            assert(TRULY(s, P) && payload[s] == new);
            n = (new - 1) % CAP; old = refs[n];
            STEP(seq[n] = (new > CAP -> 2 * (new - CAP) + 1 : 1)); /* horusi_write_entry */
            STEP(e_slot[n] = s; e_gen[n] = gen[s]; e_msg[n] = new); /* half an entry: ring.pml */
            STEP(seq[n] = 2 * new; sent = new; TRULY(s, P) = 0);
            refs[n] = s;
            if :: old != 255 -> release(old, P) :: else fi; /* horusi_out_hold drops the old */
            old = 0; n = 0; new = 0; ok = false
        :: else
        fi;
        s = 0
    :: else -> break
    od;
    reclaim(P, false);                              /* horusi_depart */
    atomic { locked[P] = false; ended++ }
    goto gone;
died:
    atomic { n = 0; do :: n < CAP -> refs[n] = 255; n++ :: else -> break od; n = 0; old = 0; new = 0; m = 0 }
    again(P);
    ended++;
gone: skip
}

active proctype Subscriber() {
    byte s, g, e, k, marks, q, n, m, tries; bool ok, stays;
begin:
    do
    :: tries < READS ->
        tries++;
        if :: n = 0 :: CAP > 1 -> n = CAP - 1 fi;
        STEP(q = seq[n]);
        if
        :: q != 0 && q % 2 == 0 ->                  /* horusi_get */
            STEP(s = e_slot[n]; g = e_gen[n]; m = e_msg[n]);
            STEP(ok = (seq[n] == q));
            if
            :: ok ->
                STEP(HELD(s, S) = 1);               /* horusi_acquire: horusi_enter */
#ifdef MUT_NO_GENERATION
                STEP(epoch[s] = epoch[s] + 1; TRULY(s, S) = 1);
#else
                STEP(e = epoch[s]; ok = (gen[s] == g));
                do                                  /* the swap (g,e) -> (g,e+1) */
                :: ok ->
                    STEP(
                        if
                        :: gen[s] == g && epoch[s] == e ->
#ifndef MUT_NO_ACQUIRE
                            epoch[s] = epoch[s] + 1;
#endif
                            TRULY(s, S) = 1
                        :: else -> ok = (gen[s] == g); e = epoch[s]
                        fi);
                    if :: TRULY(s, S) -> break :: else fi
                :: else -> break
                od;
#endif
                if
                :: ok -> assert(payload[s] == m); STEP(skip); assert(payload[s] == m); release(s, S)
                :: else -> STEP(HELD(s, S) = 0)     /* that use of it is over: lapped */
                fi
            :: else
            fi
        :: else
        fi;
        q = 0; n = 0; m = 0; s = 0; g = 0; e = 0; ok = false
    :: else -> break
    od;
    reclaim(S, true);
    atomic { locked[S] = false; ended++ }
    goto gone;
died:
    q = 0; n = 0; m = 0; tries = 0;
    again(S);
    ended++;
gone: skip
}

active proctype Allocator() {
    byte s, g, e, k, marks, n; bool ok, stays;
begin:
    do
    :: n < TAKES ->
        n++;
        if :: s = 0 :: s = NS - 1 fi;               /* rows begin in different places */
        take(s, A);
        if :: ok -> STEP(payload[s] = 77); assert(payload[s] == 77); release(s, A) :: else fi;
        s = 0; ok = false
    :: else -> break
    od;
    reclaim(A, true);
    atomic { locked[A] = false; ended++ }
    goto gone;
died:
    n = 0;
    again(A);
    ended++;
gone: skip
}

active proctype Sweeper() { /* horusi_sweep_row, by whoever comes along */
    byte r, k, marks; bool stays, mine, has;
begin:
    do
    :: atomic { ended < 3 -> if :: r = P :: r = S :: r = A fi }
        STEP(mine = (row[r] != ROW_FREE && !locked[r])); /* horusi_row_is_dead */
        if :: mine -> STEP(if :: locked[r] -> mine = false :: else -> locked[r] = true; has = true fi) :: else fi;
        if :: mine -> reclaim(r, false); STEP(locked[r] = false; has = false; mine = false) :: else fi;
        r = 0
    :: atomic { ended == 3 -> break }
    od;
    atomic { /* all quiet: what is left goes, and the books must balance */
        do
        :: r < 3 ->
            assert(!locked[r]);
            if
            :: row[r] == ROW_FREE && !(r == P && lane != LANE_FREE) -> k = 0; do :: k < NS -> assert(!HELD(k, r)); k++ :: else -> break od
            :: else
            fi;
            r++
        :: else -> break
        od
    }
    goto gone;
died:
    atomic { if :: has -> locked[r] = false :: else fi; has = false; mine = false; stays = false; marks = 0; k = 0; r = 0 }
    goto begin;
gone: skip
}
