/* A lane: its rings come and go, the publisher overwrites, a reader counts exactly what it lost.

   What horus.h does, step for step: horusi_out_open, horusi_write_entry, horus_topic_close with horusi_out_end,
   horusi_lane_end, the part of horusi_reclaim_topic that keeps or ends a lane, and of the reader
   horus_topic_open, horusi_refresh with horusi_lane_look, horusi_ring_newest, horusi_look_on with
   horusi_newest_known and horusi_tell_lost, horusi_get. One step is one access to shared memory. A publisher
   that opens ring after ring in the lane, a reader that opens the topic at any time, a sweeper; the publisher and
   the sweeper may be killed between any two steps, and a new publisher (a new incarnation) takes the lane up.

   Assumed: sequential consistency; a ring that has ended stays readable while a reader has it, and may be gone
   for one that comes later. Not modelled: several lanes (their counts only add up), claims, cursors, frames.

   Checked: what is received is what was sent, in order; received and lost together are exactly what was sent
   after the opening (no less than what was sent after it returned, no more than what was sent after it began).
   Result: no error. MUT_LOOK and MUT_OPEN_HEAD are what the code did first: a lane whose ring was replaced
   while a reader opened gave it the other ring's place, or a count of messages that were never its to lose. */
#ifndef CAP
#define CAP 1 /* entries */
#endif
#ifndef RINGS
#define RINGS 2 /* one after the other in the lane */
#endif
#ifndef MSGS
#define MSGS 2 /* of each ring, at most */
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef LOOKS
#define LOOKS 1 /* of the reader, before the last */
#endif
#define CLAIMED 1 /* the lane's states */
#define ENDING 2
#define LIVE 3
#define CLOSED 4
#define ORPHAN 5
#define WORD(state) (inc * 8 + (state)) /* the row is always the same */
#define STATE(w) ((w) % 8)
#define AT(r, n) ((r) * CAP + ((n) - 1) % CAP)

byte word, ring, ended, ending, head;  /* lane->... ; ring 0: none */
byte version;                          /* topic->version */
byte seq[(RINGS + 1) * CAP], msg[(RINGS + 1) * CAP];
byte inc = 1;                          /* rows[].word: the incarnation */
bool row_dead, locked = true;          /* rows[].word; the kernel's */
bool over[RINGS + 1];                  /* ghost: nobody holds that ring's memory but readers */
byte made, sent, returned;             /* ghost: rings; messages to be seen; sends that are over */
byte kills;
bool pub_over, all_over;

#define DIE atomic { kills < KILLS -> kills++; goto died }
#define STEP(x) if :: atomic { x } :: DIE fi
#define SAFE(x) atomic { x }           /* a step of the reader, who does not die here */

inline newest_of(r) { /* horusi_ring_newest; the ring is over, so one step does */
    newest = seq[r * CAP] / 2;
    if :: CAP > 1 && seq[r * CAP + CAP - 1] / 2 > newest -> newest = seq[r * CAP + CAP - 1] / 2 :: else fi
}
inline lane_end(w) { /* horusi_lane_end, `newest` messages */
    if
    :: STATE(w) != ENDING ->
#ifdef MUT_ONE_STEP
        STEP(ended = ended + newest);
#else
        STEP(ending = ended + newest);
#endif
        STEP(if :: word == w -> word = (w / 8) * 8 + ENDING :: else assert(false) fi)
    :: else
    fi;
#ifdef MUT_FREE_FIRST
    STEP(word = 0);
    STEP(ended = ending);
    STEP(version++);
#else
#ifndef MUT_ONE_STEP
    STEP(ended = ending);
#endif
    STEP(version++);
    STEP(if :: STATE(word) == ENDING -> word = 0 :: else fi);
#endif
    newest = 0
}

active proctype Publisher() {
    byte n, r, newest, w;
begin:
    do
    :: made < RINGS && word == 0 ->
        STEP(word = WORD(CLAIMED); made++; r = made);     /* horusi_out_open */
        STEP(ring = 0);
        STEP(head = 0);
        STEP(ring = r);
        STEP(word = WORD(LIVE));
        STEP(version++);
        n = 1;
        do
        :: n <= MSGS ->                                   /* horusi_write_entry */
            STEP(seq[AT(r, n)] = (n > CAP -> 2 * (n - CAP) + 1 : 1));
            STEP(msg[AT(r, n)] = r * 16 + n);
            STEP(seq[AT(r, n)] = 2 * n; sent++);
            STEP(head = n; returned++);
            n++
        :: n > 1 -> break
        od;
        STEP(if :: word == WORD(LIVE) -> word = WORD(CLOSED) :: else fi); /* horus_topic_close */
        if
        :: newest = n - 1; w = WORD(CLOSED); n = 0; lane_end(w); w = 0; STEP(over[r] = true) /* horusi_out_end */
        :: n = 0; r = 0; break                            /* it lingers */
        fi;
        r = 0
    :: else -> break
    od;
died:
    atomic { n = 0; r = 0; w = 0; newest = 0; locked = false }
    do
    :: atomic { !locked && row_dead && word == 0 && made < RINGS -> inc++; row_dead = false; locked = true } goto begin
    :: !locked && word == 0 && made == RINGS -> break
    :: !locked && row_dead && kills == KILLS && word != 0 -> break /* it lingers for good */
    od;
    pub_over = true
}

active proctype Sweeper() {
    byte w, r, newest; bool mine, have;
begin:
    do
    :: !pub_over && !locked && (!row_dead || word != 0) ->
        STEP(mine = !locked; if :: mine -> locked = true :: else fi);
        if
        :: mine ->
            STEP(row_dead = true);                        /* horusi_mark_dead */
            STEP(w = word);                               /* horusi_reclaim_topic */
            if
            :: w == 0
            :: w != 0 ->
                have = (STATE(w) >= LIVE);
                if
                :: have -> STEP(word = (w / 8) * 8 + ORPHAN) /* it stays, for now */
                :: true ->                                /* superseded, or its memory is needed */
                    r = ring;
                    if :: have -> STEP(newest_of(r)) :: else newest = 0 fi;
                    lane_end(w);
                    STEP(over[r] = true)                  /* its bits go after that */
                fi
            fi;
            atomic { w = 0; r = 0; newest = 0; have = false; mine = false; locked = false }
        :: else
        fi
    :: pub_over -> break
    od;
    all_over = true;
    goto gone;
died:
    atomic { if :: mine -> locked = false :: else fi; w = 0; r = 0; newest = 0; have = false; mine = false }
    goto begin;
gone: skip
}

inline refresh(opening) { /* horusi_refresh */
    SAFE(v = version);
look:
    SAFE(w = word);                                       /* horusi_lane_look */
    do
    :: true ->
#ifndef MUT_LOOK
        SAFE(ref = ring);
#endif
#ifdef MUT_NO_ENDING
        SAFE(past = ended);
#else
        SAFE(past = (STATE(w) == ENDING -> ending : ended));
#endif
        SAFE(q = word);
#ifdef MUT_LOOK
        ok = true;
#else
        SAFE(ok = (ring == ref));                         /* last: no other ring has its number */
#endif
        if :: q == w && ok -> break :: else -> w = q fi
    od;
    q = 0;
#ifdef MUT_LOOK
    SAFE(ref = ring);
#endif
    if
    :: in_ref != 0 && (STATE(w) < LIVE || ref != in_ref) -> /* over, and read to its end, so not lost */
        SAFE(newest_of(in_ref); unseen = unseen - newest; newest = 0;
             old_ref = in_ref; old_next = in_next; old_begin = in_begin; in_ref = 0; in_next = 0; in_begin = 0);
    :: else
    fi;
    if
    :: STATE(w) >= LIVE && in_ref == 0 ->
        SAFE(if :: ref == 0 -> ok = false :: else -> if :: ok = true :: over[ref] -> ok = false fi fi); /* horusi_acquire */
        if :: ok -> SAFE(ok = (ring == ref)) :: else fi;  /* horusi_ring_acquire */
        if
        :: !ok ->
            if
            :: opening ->                                 /* it ended as we looked */
                SAFE(ok = (word != w));
                if :: ok -> ok = false; past = 0; goto look :: else fi
            :: else
            fi;
            v--                                           /* look again next time */
        :: else -> in_ref = ref; in_next = 1; in_begin = 0
        fi
    :: else -> ok = true
    fi;
    ended_now = past;
    if
    :: opening && ok && in_ref != 0 ->
        SAFE(in_next = head + 1);
#ifndef MUT_OPEN_HEAD
        SAFE(ok = (ring == in_ref));
        if :: !ok -> SAFE(newest_of(in_ref); in_next = newest + 1; newest = 0) :: else fi;
#endif
        in_begin = in_next
    :: else
    fi;
    d_step {
        unseen = unseen + ended_now - t_ended;
        t_ended = ended_now; t_version = v;
        if :: !opening && unseen > 0 -> lost = lost + unseen :: else fi;
        if :: opening || unseen > 0 -> unseen = 0 :: else fi;
        v = 0; w = 0; past = 0; ref = 0; ended_now = 0; ok = false
    }
}

/* horusi_look and horusi_get: all that is to be had of one ring; the lane's head may be another ring's */
inline read(r, next, begin_) {
    do
    :: true ->
        SAFE(q = seq[AT(r, next)]);
        if
        :: q < 2 * next -> break
        :: q == 2 * next ->
            SAFE(w = msg[AT(r, next)]);
            SAFE(q = seq[AT(r, next)]);
            if
            :: q == 2 * next -> d_step { assert(w == r * 16 + next); next++; got++ }
            :: else                                       /* overwritten as we read */
            fi
        :: else ->
            newest = q / 2; past = next + 1;              /* past: the oldest that is left */
            if
            :: newest > next && (newest - next) % CAP == 0 ->
                SAFE(v = head);                           /* horusi_newest_known */
                if :: v > newest -> SAFE(if :: seq[AT(r, v)] == 2 * v -> newest = v :: else fi) :: else fi;
                past = newest - CAP + 1
            :: else
            fi;
            if :: past <= next -> past = next + 1 :: else fi;
            d_step {                                      /* horusi_tell_lost, horusi_advance */
                v = (next > begin_ -> next : begin_);
                if :: past > v -> lost = lost + past - v :: else fi;
                next = past; v = 0
            }
        fi;
        q = 0; w = 0; past = 0; newest = 0
    od;
    q = 0; w = 0; past = 0; newest = 0; v = 0
}

active proctype Reader() {
    byte in_ref, in_next, in_begin, old_ref, old_next, old_begin, looks;
    byte v, w, q, ref, past, ended_now, newest, t_ended, t_version, got, lost, from, to;
    short unseen; bool ok;
    atomic { from = returned }
    refresh(true);                                        /* horus_topic_open */
    refresh(true);
    to = sent;
    do
    :: looks <= LOOKS ->
        if
        :: atomic { looks < LOOKS -> looks++ }
        :: atomic { all_over -> looks = LOOKS + 1 }
        fi;
        do
        :: old_ref != 0 -> read(old_ref, old_next, old_begin); old_ref = 0; old_next = 0; old_begin = 0
        :: old_ref == 0 ->
            SAFE(ok = (version != t_version));
            if :: ok -> refresh(false) :: else -> ok = false fi;
            if :: in_ref != 0 -> read(in_ref, in_next, in_begin) :: else fi;
            if :: old_ref == 0 -> SAFE(ok = (version == t_version)); if :: ok || looks <= LOOKS -> break :: else fi :: else fi
        od;
        ok = false
    :: else -> break
    od;
    assert(got + lost <= sent - from);
    assert(got + lost >= sent - to)
}
