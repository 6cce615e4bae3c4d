/* A queue: each message is done by one consumer; what a dead one had is delivered again, or dropped.

   What horus.h does, step for step: horusi_make_place and horusi_write_entry of the publisher, horusi_find with
   horusi_catch_up and horusi_claim_next, horusi_unclaim and horusi_put_back of the consumers, and the part of
   horusi_reclaim_topic that sees to claims. One step is one access to shared memory. A publisher, two consumers
   in rows 0 and 1, a sweeper; each may be killed between any two steps, and consumers are started again in the
   same row with a new incarnation (they sweep it themselves if nobody did). CAP small: entries are reused.

   Assumed: sequential consistency. Not modelled: sleeping (waits.pml), rings that end (ring.pml), several rings.

   Checked: no message is overwritten before it is done; nobody else has a message that a live consumer has; with
   ONCE (at_most_once) none is delivered twice; no consumer waits for ever while a message is not done; the
   publisher does not wait for ever while there are consumers.
   Result: no error. MUT_PUT_BACK is what the code did first: a claim put back by a process that died before it
   said so was found by nobody who had gone past it. */
#ifndef CAP
#define CAP 1 /* entries */
#endif
#ifndef MSGS
#define MSGS 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef STARTS
#define STARTS 1 /* consumers that are started again */
#endif
#ifndef BACKS
#define BACKS 1 /* messages that are put back: the buffer was too small */
#endif
#define ROW_FREE 0
#define ROW_LIVE 1
#define ROW_DEAD 2
#define NONE 0
#define READY 1
#define AGAIN 2
#define TAKEN 3
#define DONE 4
#define AT(n) (((n) - 1) % CAP)

typedef claim { byte n, inc, row, state };
claim claims[CAP];         /* ring.claims: one word each */
byte seq[CAP], msg[CAP];   /* the entries */
byte tail = 1;             /* lane->tail */
byte redeliver;            /* topic->redeliver */
byte row[2], inc[2];       /* rows[].word */
bool locked[2];            /* the kernel's */
byte sent, pub_next = 1;   /* ghost: messages that were sent */
bool done[MSGS + 2];       /* ghost */
byte owner[MSGS + 2];      /* ghost: row + 1 of the live consumer that has it */
byte told[MSGS + 2];       /* ghost: deliveries that were not put back */
byte kills, starts, backs, consumers = 2, ended;
bool pub_over;

#define DIE atomic { kills < KILLS -> kills++; goto died }
#define STEP(x) if :: atomic { x } :: DIE fi
#define ALL_DONE (pub_over && (sent < 1 || done[1]) && (sent < 2 || done[2]) && (sent < 3 || done[3]))

inline reclaim(r) { /* horusi_mark_dead, horusi_reclaim_topic: the row's lock is ours */
    STEP(if :: row[r] == ROW_LIVE -> row[r] = ROW_DEAD :: else fi);
    k = 0; back = false;
#ifdef MUT_TELL_FIRST
    STEP(redeliver++);
#endif
    do
    :: k < CAP ->
        STEP(c.n = claims[k].n; c.inc = claims[k].inc; c.row = claims[k].row; c.state = claims[k].state);
        if
#ifdef MUT_ANY_ROW
        :: true ->
#else
        :: c.row == r ->
#endif
#ifndef MUT_NO_BACK
            if :: c.state == AGAIN || c.state == READY -> back = true :: else fi;
#endif
            if
            :: c.state == TAKEN ->
                STEP(
                    if
                    :: claims[k].n == c.n && claims[k].inc == c.inc && claims[k].row == c.row && claims[k].state == TAKEN ->
                        assert(owner[c.n] == 0);
#ifdef ONCE
                        claims[k].state = DONE; done[c.n] = true;
#else
                        claims[k].state = AGAIN;
#endif
                        back = true
                    :: else
                    fi)
            :: else
            fi
        :: else
        fi;
        k++
    :: else -> break
    od;
    c.n = 0; c.inc = 0; c.row = 0; c.state = 0; k = 0;
#ifndef MUT_TELL_FIRST
    if :: back -> STEP(redeliver++) :: else fi;
#endif
    back = false;
    STEP(row[r] = ROW_FREE)
}

active proctype Publisher() {
    byte n = 1, t = 1; claim c; bool ok;
    do
    :: n <= MSGS ->
        do                                        /* horusi_make_place */
        :: t < n ->
            STEP(ok = (claims[AT(t)].n != t || claims[AT(t)].state == DONE)); /* horusi_is_passed */
            if
            :: ok -> assert(done[t]); t++; STEP(tail = t)
            :: else -> if
                       :: n - t < CAP -> break
                       :: else ->                 /* full: waits */
                           if
                           :: claims[AT(t)].state == DONE
                           :: consumers == 0 && (locked[0] || row[0] == ROW_FREE) && (locked[1] || row[1] == ROW_FREE) -> goto over
                           :: DIE
                           fi
                       fi
            fi
        :: else -> break
        od;
        assert(n <= CAP || done[n - CAP]);
        STEP(seq[AT(n)] = (n > CAP -> 2 * (n - CAP) + 1 : 1)); /* horusi_write_entry */
        STEP(msg[AT(n)] = n);
#ifdef MUT_CLAIM_LATE
        STEP(seq[AT(n)] = 2 * n; sent = n);
#endif
        STEP(claims[AT(n)].n = n; claims[AT(n)].inc = 0; claims[AT(n)].row = 0; claims[AT(n)].state = READY);
#ifndef MUT_CLAIM_LATE
        STEP(seq[AT(n)] = 2 * n; sent = n);
#endif
        n++
    :: else -> break
    od;
    goto over;
died: skip;
over: atomic { n = 0; t = 0; pub_over = true; ended++ }
}

proctype Consumer(byte r) {
    byte next, seen, k, q, v, n; bool back, again, mine; claim c;
begin:
    STEP(!locked[r] -> locked[r] = true);         /* horusi_try_join */
    if :: row[r] != ROW_FREE -> reclaim(r) :: else fi;
    STEP(inc[r] = inc[r] + 1; row[r] = ROW_LIVE); /* horusi_row_begin */
    STEP(seen = redeliver);                       /* horus_topic_open */
    STEP(next = tail);                            /* horusi_refresh, opening */
    do
    :: redeliver != seen || seq[AT(next)] >= 2 * next -> /* else: it would find nothing */
        STEP(v = redeliver);                      /* horusi_find */
        if
        :: v != seen -> seen = v; STEP(if :: tail < next -> next = tail :: else fi) /* horusi_catch_up */
        :: else
        fi;
        v = 0; mine = false;
        do                                        /* horusi_claim_next */
        :: !mine ->
            k = AT(next); n = next;
            STEP(q = seq[k]);
            if :: q < 2 * n -> break :: else fi;
            STEP(c.n = claims[k].n; c.inc = claims[k].inc; c.row = claims[k].row; c.state = claims[k].state);
            if
            :: q == 2 * n &&
#ifndef MUT_NO_NUMBER
               c.n == n &&
#endif
               (c.state == READY || c.state == AGAIN) ->
                again = (c.state == AGAIN);
                STEP(
                    if
                    :: claims[k].n == c.n && claims[k].inc == c.inc && claims[k].row == c.row && claims[k].state == c.state ->
                        claims[k].n = n; claims[k].inc = inc[r]; claims[k].row = r; claims[k].state = TAKEN;
                        assert(owner[n] == 0 && !done[n]);
                        owner[n] = r + 1; told[n] = told[n] + 1;
#ifdef ONCE
                        assert(told[n] == 1);
#endif
                        mine = true; next = n + 1
                    :: else
                    fi)
            :: else ->
                next = (q / 2 > n && (q / 2 - n) % CAP == 0 -> q / 2 - CAP + 1 : n + 1)
            fi
        :: else -> break
        od;
        q = 0; c.n = 0; c.inc = 0; c.row = 0; c.state = 0;
        if
        :: mine ->
            assert(msg[k] == n && owner[n] == r + 1 && seq[k] == 2 * n);
            if
            :: atomic { backs < BACKS -> backs++ }  /* horusi_put_back */
#ifdef MUT_PUT_BACK
                STEP(claims[k].inc = 0; claims[k].row = 0; claims[k].state = (again -> AGAIN : READY);
                     owner[n] = 0; told[n] = told[n] - 1);
#else
                STEP(claims[k].state = (again -> AGAIN : READY); owner[n] = 0; told[n] = told[n] - 1);
#endif
                next = n;
                STEP(redeliver++)
            :: STEP(assert(msg[k] == n && claims[k].n == n && claims[k].inc == inc[r] && claims[k].row == r && claims[k].state == TAKEN);
                    claims[k].state = DONE; owner[n] = 0; done[n] = true)  /* horusi_unclaim */
            fi
        :: else
        fi;
        k = 0; n = 0; mine = false; again = false
    :: atomic { ALL_DONE -> consumers--; row[r] = ROW_FREE; locked[r] = false; break }
    :: DIE
    od;
    goto gone;
died:
    atomic {
        k = 1; do :: k <= MSGS -> if :: owner[k] == r + 1 -> owner[k] = 0 :: else fi; k++ :: else -> break od;
        next = 0; seen = 0; k = 0; q = 0; v = 0; n = 0; back = false; again = false; mine = false;
        c.n = 0; c.inc = 0; c.row = 0; c.state = 0;
        locked[r] = false;
        if :: starts < STARTS -> starts++; goto begin :: consumers-- fi
    }
gone:
    ended++
}

active proctype Sweeper() { /* horusi_sweep_row, by whoever comes along */
    byte r, k; bool back, has; claim c;
    atomic { run Consumer(0); run Consumer(1) }
begin:
    do
    :: atomic { row[0] != ROW_FREE && !locked[0] -> r = 0 } goto sweep
    :: atomic { row[1] != ROW_FREE && !locked[1] -> r = 1 } goto sweep
    :: ended == 3 && (row[0] == ROW_FREE && row[1] == ROW_FREE) -> goto gone
    od;
sweep:
    STEP(if :: locked[r] -> has = false :: else -> locked[r] = true; has = true fi);
    if :: has -> reclaim(r); STEP(locked[r] = false; has = false) :: else fi;
    r = 0;
    goto begin;
died:
    atomic { if :: has -> locked[r] = false :: else fi; has = false; r = 0; k = 0; back = false; c.n = 0; c.inc = 0; c.row = 0; c.state = 0 }
    goto begin;
gone: skip
}
