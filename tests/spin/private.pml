/* Threads that share a row: the private count of a slot, and the time of one thread alone.

   What horus.h does, step for step: horusi_enter, horusi_leave, horusi_acquire and horusi_take of two threads of
   one process on one slot, horusi_alone_begin, horusi_alone_slowly, horusi_alone_end, and horusi_take of another
   process. While a thread is alone its stores are plain: they go through a buffer of its own and reach the others
   later, in order; a swap or a locked instruction of that thread, and horusi_barrier of another, empty it.

   Assumed: total store order (as on x86; elsewhere the barrier does the same to plain stores). Not modelled:
   signal handlers that nest, systems without the barrier (they lock from the start), deaths (slots.pml).

   Checked: whoever uses the slot has the row's bit set and nobody else takes it; two threads are never inside the
   private record at once; nobody waits for ever. Result: no error. MUT_LOSER is what the code did once: whoever
   lost the race for being alone went on under locks beside the winner, who did without them. */
#ifndef ROUNDS
#define ROUNDS 2
#endif
#define REVOKING 8
#define SHARED 9
#define ME (_pid + 1)
#define INSIDE 1 /* what a buffered store is to */
#define COUNT 2

byte gen = 1, epoch;             /* slot->word */
bit mine, other;                 /* slot->holders: our row's bit, the other process' */
byte solo, inside, count;        /* horusi_alone and horusi_rec: private to the process */
byte lock;                       /* rec->lock */
chan buffer[2] = [4] of { byte, byte };
byte using, within;              /* ghost: who uses the slot; threads in the record with nothing to part them */

inline put(what, value) { atomic { if :: nfull(buffer[_pid]) -> buffer[_pid] ! what, value fi } }
inline drain(t) { /* all that thread t has stored is to be seen */
    do
    :: buffer[t] ? what_, value_ -> if :: what_ == INSIDE -> inside = value_ :: else -> count = value_ fi
    :: empty(buffer[t]) -> break
    od;
    what_ = 0; value_ = 0
}

inline alone_begin() { /* horusi_alone_begin, horusi_alone_slowly: alone */
    alone = false;
    if
    :: solo == ME ->
        put(INSIDE, 1);
#ifdef MUT_NO_SECOND_LOOK
        alone = true
#else
        if :: solo == ME -> alone = true :: else -> put(INSIDE, 0) fi
#endif
    :: else
    fi;
    if
    :: !alone ->
#ifdef MUT_LOSER
        old = solo;
        if
        :: old == 0 -> atomic { drain(_pid); if :: solo == 0 -> solo = ME :: else fi }; old = 0
        :: else
        fi;
#else
        atomic { drain(_pid); old = solo; if :: old == 0 -> solo = ME :: else fi };
#endif
        if
        :: old != 0 && old != ME && old != SHARED && old != REVOKING ->
            atomic { drain(_pid); if :: solo == old -> solo = REVOKING :: else -> old = 0 fi };
            if
            :: old != 0 ->
#ifndef MUT_NO_BARRIER
                atomic { drain(0); drain(1) };              /* horusi_barrier */
#endif
#ifndef MUT_NO_WAIT
                inside == 0;
#endif
                solo = SHARED
            :: else
            fi
        :: else
        fi;
        if :: old != 0 -> solo != REVOKING :: else fi;
        old = 0
    :: else
    fi
}
inline alone_end() { put(INSIDE, 0) }
inline take_lock() { atomic { lock == 0 -> lock = ME; drain(_pid) } }
inline in_record() { atomic { within++; assert(within == 1) } }
inline enter() { /* horusi_enter */
    alone_begin();
    n = count;
    if
    :: alone -> atomic { drain(_pid); n = count } /* its own stores a thread sees at once */
    :: else ->
        do
        :: n > 0 -> atomic { drain(_pid); if :: count == n -> count = n + 1; goto_done = true :: else -> n = count fi }; if :: goto_done -> break :: else fi
        :: else -> break
        od
    fi;
    if
    :: !goto_done ->
#ifndef MUT_BARE
        if :: !alone -> take_lock(); n = count :: else fi;
        in_record();
#endif
        if :: n == 0 -> atomic { drain(_pid); mine = 1 } :: else fi;
        if
        :: alone -> put(COUNT, n + 1)
        :: !alone && n == 0 -> count = 1
        :: else -> atomic { drain(_pid); count = count + 1 }
        fi;
#ifndef MUT_BARE
        within--;
#endif
        if :: alone -> alone_end() :: else -> if :: lock == ME -> lock = 0 :: else fi fi
    :: else
    fi;
    goto_done = false; n = 0; alone = false
}
inline leave() { /* horusi_leave */
    alone_begin();
    n = count;
    if
    :: alone -> atomic { drain(_pid); n = count } /* its own stores a thread sees at once */; in_record(); last = (n == 1); put(COUNT, n - 1)
    :: else ->
        do
        :: n > 1 -> atomic { drain(_pid); if :: count == n -> count = n - 1; goto_done = true :: else -> n = count fi }; if :: goto_done -> break :: else fi
        :: else -> break
        od;
        if
        :: !goto_done ->
#ifndef MUT_BARE
            take_lock(); in_record();
#endif
            atomic { drain(_pid); last = (count == 1); count = count - 1 }
        :: else
        fi
    fi;
    if :: last -> atomic { drain(_pid); mine = 0 } :: else fi;
    if
    :: !goto_done ->
#ifdef MUT_BARE
        if :: alone -> within-- :: else fi;
#else
        within--;
#endif
        if :: alone -> alone_end() :: else -> if :: lock == ME -> lock = 0 :: else fi fi
    :: else
    fi;
    goto_done = false; last = false; n = 0; alone = false
}

active [2] proctype Thread() {
    byte rounds, n, old, g, what_, value_; bool alone, goto_done, last, ok;
    do
    :: rounds < ROUNDS ->
        rounds++;
        if :: g = gen :: g = 0 fi;                          /* a live descriptor, or a stale one */
        enter();                                            /* horusi_acquire */
        atomic { drain(_pid); ok = (gen == g); if :: ok -> epoch++; using++; assert(mine) :: else fi };
        if
        :: ok -> assert(mine && gen == g); atomic { using--; assert(mine) }; leave()
        :: else ->
#ifdef MUT_TENTATIVE
            atomic { count--; mine = 0 }
#else
            leave()
#endif
        fi;
        g = 0; ok = false
    :: else -> break
    od;
    atomic { drain(_pid) }
}

active proctype Other() { /* horusi_take of another process */
    byte n, g, e;
    do
    :: n < ROUNDS ->
        n++;
        atomic { g = gen; e = epoch };
        if
        :: !mine && !other ->
            other = 1;
            atomic { if :: gen == g && epoch == e -> assert(using == 0); gen++; epoch++ :: else fi };
            other = 0
        :: else
        fi;
        g = 0; e = 0
    :: else -> break
    od
}

active [1] proctype Memory() { /* stores arrive when they like */
    byte what_, value_;
end:
    do
    :: atomic { buffer[0] ? what_, value_ -> if :: what_ == INSIDE -> inside = value_ :: else -> count = value_ fi; what_ = 0; value_ = 0 }
    :: atomic { buffer[1] ? what_, value_ -> if :: what_ == INSIDE -> inside = value_ :: else -> count = value_ fi; what_ = 0; value_ = 0 }
    od
}
