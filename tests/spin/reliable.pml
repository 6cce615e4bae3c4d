/* A reliable topic: the publisher passes no live reader, and no dead one stops it.

   What horus.h does, step for step: horusi_make_place with horusi_is_passed and horusi_slowest of the publisher;
   horus_topic_open, horusi_refresh (the cursor), horusi_look, horusi_step and horus_topic_close of two readers,
   with -DLATER horusi_count_in too (a handle that sent first, and counts from its first receive on);
   horusi_mark_dead and the handles' part of horusi_reclaim_topic. One step is one access to shared memory. Readers
   open, read, close, and may be killed anywhere, also while the publisher waits for room; the sweeper too. A new
   process takes the dead one's row and its place among the handles.

   Assumed: sequential consistency. Not modelled: the wake-up (waits.pml), several rings, history.

   Checked: nothing that a reader was promised is overwritten before it has read it; the publisher never waits for
   ever. Result: no error. */
#ifndef CAP
#define CAP 1
#endif
#ifndef MSGS
#define MSGS 3
#endif
#ifndef READS
#define READS 2 /* of each reader, at most */
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef STARTS
#define STARTS 1
#endif
#define ROW_FREE 0
#define ROW_LIVE 1
#define ROW_DEAD 2
#define IDLE 1
#define ACTIVE 2
#define AT(n) (((n) - 1) % CAP)
#define DIE atomic { kills < KILLS -> kills++; goto died }
#define STEP(x) if :: atomic { x } :: DIE fi
#define LIVE(i) (row[i] == ROW_LIVE && inc[i] == sub_inc[i]) /* horusi_is_live */

byte seq[CAP], head, openings; /* entries, lane->head, topic->openings */
byte sub[2], sub_inc[2];       /* subs[].word: state and incarnation; reader i has row i and handle i */
byte cursor[2];                /* ring.cursors */
byte row[2], inc[2];
bool locked[2];
byte kills, starts, ended;
byte promise[2];               /* ghost: what is not to be overwritten; 0: nothing */

active proctype Publisher() {
    byte n = 1, passed = 1, seen, i, at, slowest; bool counts;
    do
    :: n <= MSGS ->
        do
        :: n > CAP ->
            STEP(at = openings);                   /* horusi_is_passed */
            if
            :: n - CAP >= passed || at != seen ->
                seen = at; slowest = n; i = 0;
                STEP(head = n - 1);                /* horusi_slowest */
                do
                :: i < 2 ->
#ifdef MUT_DEAD_COUNTS
                    STEP(counts = (sub[i] == ACTIVE));
#else
                    STEP(counts = (sub[i] == ACTIVE && LIVE(i)));
#endif
                    if
                    :: counts -> STEP(at = (cursor[i] == 0 -> 1 : cursor[i])); if :: at < slowest -> slowest = at :: else fi
                    :: else
                    fi;
                    i++
                :: else -> break
                od;
                passed = slowest; i = 0; slowest = 0; counts = false
            :: else
            fi;
            at = 0;
            if
            :: n - CAP < passed -> break
            :: else ->                             /* horusi_wait_room: until anything is different */
#ifdef MUT_DEAD_COUNTS
                (sub[0] != ACTIVE || cursor[0] > n - CAP) && (sub[1] != ACTIVE || cursor[1] > n - CAP)
#else
                (sub[0] != ACTIVE || !LIVE(0) || cursor[0] > n - CAP) && (sub[1] != ACTIVE || !LIVE(1) || cursor[1] > n - CAP)
#endif
            fi
        :: else -> break
        od;
        assert(n <= CAP || ((promise[0] == 0 || promise[0] > n - CAP) && (promise[1] == 0 || promise[1] > n - CAP)));
        STEP(seq[AT(n)] = (n > CAP -> 2 * (n - CAP) + 1 : 1)); /* horusi_write_entry */
        STEP(seq[AT(n)] = 2 * n);
        STEP(head = n);
        n++
    :: else -> break
    od;
    goto gone;
died: atomic { n = 0; passed = 0; seen = 0; i = 0; at = 0; slowest = 0; counts = false }
gone: ended++
}

proctype Reader(byte me) {
    byte next, reads, q;
begin:
    STEP(!locked[me] && row[me] == ROW_FREE -> locked[me] = true); /* horusi_try_join */
    STEP(inc[me] = inc[me] + 1; row[me] = ROW_LIVE);
    STEP(sub[me] = IDLE; sub_inc[me] = inc[me]);   /* horus_topic_open */
    STEP(next = head + 1);
    STEP(cursor[me] = next);
    STEP(sub[me] = ACTIVE);
#ifndef MUT_NO_SECOND
    STEP(next = head + 1);                         /* once more now that we count */
    STEP(cursor[me] = next; promise[me] = next);
#else
    promise[me] = next;
#endif
#ifdef LATER
    STEP(sub[me] = IDLE; promise[me] = 0);         /* horusi_prepare: a handle that only sends */
    STEP(cursor[me] = next);                       /* horusi_count_in */
    STEP(sub[me] = ACTIVE);
#ifndef MUT_NO_OPENINGS
    STEP(openings++);
#endif
    STEP(promise[me] = (head + 1 > next -> head + 1 : next)); /* what was sent before may be lost */
#endif
    do
    :: reads < READS && (seq[AT(next)] >= 2 * next || ended > 0) ->
        reads++;
        STEP(q = seq[AT(next)]);
        if
        :: q == 2 * next ->
#ifdef MUT_TELL_FIRST
            STEP(cursor[me] = next + 1; promise[me] = (promise[me] > next + 1 -> promise[me] : next + 1));
            STEP(assert(seq[AT(next)] == 2 * next));
            next++
#else
            STEP(q = seq[AT(next)]);               /* the payload, and a second look */
            if
            :: q == 2 * next ->
                next++;
                STEP(cursor[me] = next; promise[me] = (promise[me] > next -> promise[me] : next)) /* horusi_step */
            :: else
            fi
#endif
        :: q > 2 * next ->
            assert(promise[me] > next);            /* lost: only what was sent before it counted */
            next++;
            STEP(cursor[me] = next)
        :: else
        fi;
        q = 0
    :: reads > 0 || ended > 0 -> break
    :: DIE
    od;
    STEP(sub[me] = 0; promise[me] = 0);            /* horus_topic_close */
    STEP(row[me] = ROW_FREE; locked[me] = false);
    goto gone;
died:
    atomic {
        next = 0; reads = 0; q = 0; promise[me] = 0; locked[me] = false;
        if :: starts < STARTS -> starts++; goto begin :: skip fi
    }
gone: ended = ended + 4
}

active proctype Sweeper() {
    byte r; bool has;
    atomic { run Reader(0); run Reader(1) }
begin:
    do
    :: atomic { row[0] != ROW_FREE && !locked[0] -> r = 0; has = true; locked[0] = true } goto sweep
    :: atomic { row[1] != ROW_FREE && !locked[1] -> r = 1; has = true; locked[1] = true } goto sweep
    :: ended == 9 && row[0] == ROW_FREE && row[1] == ROW_FREE -> goto gone
    od;
sweep:
    STEP(row[r] = ROW_DEAD);                       /* from now on it does not count */
#ifndef MUT_DEAD_COUNTS
    STEP(sub[r] = 0);
#endif
    STEP(row[r] = ROW_FREE);
died:
    atomic { if :: has -> locked[r] = false :: else fi; has = false; r = 0 }
    goto begin;
gone: skip
}
