/* Sleeping and waking: nobody sleeps on while there is something for him.

   What horus.h does, step for step: horusi_wait and horusi_wait_room (may_sleep or may_wait, the row's `sleepers`,
   the doorbell, the topic's bitmap of rows, the last look, the futex), horusi_publish or horusi_tell_place, and
   horusi_ring_rows. One step is one access to shared memory; the futex sleeps only if the doorbell still is what
   was seen. Two threads of one row (SAME_ROW), of two rows, or three threads (THREE) wait for messages of two publishers; publishers may die
   anywhere. A slice ends by itself only once a publisher has died.

   Assumed: sequential consistency (the code's look at may_sleep may come before its message is to be seen, for
   as long as a store is on its way: a first slice of 1 ms is for that). Not modelled: what a message is (a
   counter), several topics in one wait.

   Checked: no sleeper sleeps for ever though there is a message that he has not seen. Result: no error. MUT_ASK_FIRST is what
   the code did first: a publisher that had looked at may_sleep before it was set, and a reader that was woken in
   its first slice by another publisher, slept its next slice through though there was a message. */
#ifndef MSGS
#define MSGS 1 /* of each publisher */
#endif
#ifndef PUBS
#define PUBS 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#define ROW(t) ((t) == 2) /* threads 0 and 1 are of row 0, thread 2 is of row 1 */
#define DIE atomic { kills < KILLS -> kills++; goto died }
#define STEP(x) if :: atomic { x } :: DIE fi

#ifdef MUT_ASK_FIRST
#define MAY_END (first && early == 0) /* a first slice outlasts who was about to publish */
#else
#define MAY_END false
#endif

byte message;                 /* the newest: seq of the entries */
bool may_sleep;               /* topic->may_sleep */
bool bits[2];                 /* topic->sleepers: one word */
byte doorbell[2], sleepers[2]; /* rows[] */
bool asleep[3], woken[3];     /* the kernel's: the futex queue */
byte kills, over, early;      /* early: publishers between look and message, with MUT_ASK_FIRST */

inline ring_rows() { /* horusi_ring_rows */
    STEP(r = bits[0] | bits[1] << 1);
    if
    :: r != 0 ->
        STEP(r = bits[0] | bits[1] << 1; bits[0] = false; bits[1] = false); /* the swap with 0 */
        i = 0;
        do
        :: i < 2 ->
            if
            :: (r >> i) & 1 ->
                STEP(doorbell[i] = doorbell[i] + 1);
                STEP(ok = (sleepers[i] != 0));
                if
                :: ok -> STEP(                                             /* horusi_wake: all of the row */
                       if :: i == 0 && asleep[0] -> asleep[0] = false; woken[0] = true :: else fi;
                       if :: i == 0 && asleep[1] -> asleep[1] = false; woken[1] = true :: else fi;
                       if :: i == 1 && asleep[2] -> asleep[2] = false; woken[2] = true :: else fi)
                :: else
                fi
            :: else
            fi;
            i++
        :: else -> break
        od
    :: else
    fi;
    i = 0; r = 0; ok = false
}

active [PUBS] proctype Publisher() {
    byte n, i, r; bool ok, wake;
    do
    :: n < MSGS ->
        n++;
#ifdef MUT_RING_FIRST
        STEP(wake = may_sleep);
        if :: wake -> ring_rows() :: else fi;
        STEP(message++)
#else
#ifdef MUT_ASK_FIRST
        STEP(wake = may_sleep; if :: !wake -> early++ :: else fi);
        STEP(message++; if :: !wake -> early-- :: else fi);
#else
        STEP(message++);           /* horusi_write_entry */
        STEP(wake = may_sleep);
#endif
        if :: wake -> ring_rows() :: else fi;
#endif
        wake = false
    :: else -> break
    od;
    goto gone;
died:
    atomic { if :: n > 0 && !wake && early > 0 -> early-- :: else fi; n = 0; i = 0; r = 0; ok = false; wake = false }
gone:
    over++
}

proctype Reader(byte me) {
    byte seen, got; bool first, slept;
    got = 0;
    do
    :: got < message -> got = message       /* a receive without waiting, in steps of its own */
    :: over == PUBS && got == message -> break
    :: got == message && over < PUBS ->     /* horusi_wait */
        first = !slept;
        if :: first -> slept = true; may_sleep = true :: else fi;
        sleepers[ROW(me)] = sleepers[ROW(me)] + 1;
        do
        :: true ->
#ifdef MUT_SEEN_LATE
            bits[ROW(me)] = true;
            if :: got < message -> break :: else fi;
            seen = doorbell[ROW(me)];
#else
            seen = doorbell[ROW(me)];
#ifdef MUT_NO_LOOK
            if :: first && got < message -> break :: else fi;
            bits[ROW(me)] = true;
#else
#ifdef MUT_LOOK_FIRST
            if :: got < message -> break :: else fi;
            bits[ROW(me)] = true;
#else
            bits[ROW(me)] = true;
            if :: got < message -> break :: else fi;
#endif
#endif
#endif
            atomic { if :: doorbell[ROW(me)] == seen -> asleep[me] = true :: else -> woken[me] = true fi }
            if
            :: atomic { woken[me] -> woken[me] = false }
            :: atomic { asleep[me] && (kills > 0 || MAY_END) -> asleep[me] = false }
            :: atomic { asleep[me] && over == PUBS && got == message -> asleep[me] = false; break } /* it times out */
            fi;
            first = false
        od;
        sleepers[ROW(me)] = sleepers[ROW(me)] - 1;
        seen = 0; first = false
    od
}

#ifdef SAME_ROW
init { atomic { run Reader(0); run Reader(1) } }
#else
#ifdef THREE
init { atomic { run Reader(0); run Reader(1); run Reader(2) } }
#else
init { atomic { run Reader(0); run Reader(2) } }
#endif
#endif
