/* Joining, leaving and removal: rows, the gate, the file.

   What horus.h does, step for step: horusi_try_join (open or make the file, the gate shared, the look whether the
   file still has its name, the replacing of a file that nobody is in, the row's lock, horusi_mark_dead, the sweep,
   horusi_row_begin, the name for a new file), horusi_depart, horusi_sweep_row. One step is one system call or one
   access to shared memory. Processes join, stay, leave, may be killed anywhere (the kernel then drops their
   locks), and come again; whoever is in may sweep. A file is a number that never comes again.

   Assumed: sequential consistency; locks of open file descriptions end with their process; nobody else removes
   the file. Not modelled: the directory, named pools, what a sweep gives back (slots.pml), giving up after a
   second.

   Checked: whoever is in, is in the file that has the name, and nobody removes it; two processes never have one
   row; a row that is marked live or swept is so by the owner of its lock; an incarnation never comes again; what
   a dead incarnation left is swept before the row is used. When all have left and none was killed the file is gone.
   Result: no error. */
#ifndef NP
#define NP 2 /* processes */
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef JOINS
#define JOINS 2 /* of each process */
#endif
#define ROWS NP
#define FILES 5 /* that may be made, in all */
#define ROW_FREE 0
#define ROW_LIVE 1
#define ROW_DEAD 2
#define DIE atomic { kills < KILLS -> kills++; goto died }
#define STEP(x) if :: atomic { x } :: DIE fi
#define R(f, r) ((f) * ROWS + (r))

byte name, made;                /* the file that has the name (0: none); files made */
byte gate_read[FILES + 1];      /* the kernel's: who holds the gate shared, a bit each */
byte gate_write[FILES + 1];     /* ... or alone */
byte owner[(FILES + 1) * ROWS]; /* the kernel's: process + 1 that has the row's lock */
byte row[(FILES + 1) * ROWS], inc[(FILES + 1) * ROWS]; /* rows[].word */
bool dirty[(FILES + 1) * ROWS]; /* ghost: something in the row's name */
byte in[NP];                    /* ghost: the file that process is in */
byte kills, ended;

inline locked_by_others(f, r) { /* horusi_is_locked */
    busy = (owner[R(f, r)] != 0 && owner[R(f, r)] != me + 1)
}
inline anybody(f) {             /* a lock on any row of another description */
    busy = false; k = 0;
    do :: k < ROWS -> busy = busy || (owner[R(f, k)] != 0 && owner[R(f, k)] != me + 1); k++ :: else -> break od;
    k = 0
}
inline remove(f) {              /* horusi_remove */
    STEP(
        if :: name == f -> name = 0 :: else fi;
        k = 0; do :: k < NP -> assert(k == me || in[k] != f); k++ :: else -> break od; k = 0)
}
inline drop(f) {                /* the description closes: the gate and the row */
    atomic {
        gate_read[f] = gate_read[f] & ~(1 << me);
        if :: gate_write[f] == me + 1 -> gate_write[f] = 0 :: else fi;
        k = 0; do :: k < ROWS -> if :: owner[R(f, k)] == me + 1 -> owner[R(f, k)] = 0 :: else fi; k++ :: else -> break od; k = 0
    }
}
inline sweep(f, r) {            /* horusi_mark_dead, horusi_reclaim */
    STEP(assert(owner[R(f, r)] == me + 1); if :: row[R(f, r)] == ROW_LIVE -> row[R(f, r)] = ROW_DEAD :: else fi);
    STEP(assert(owner[R(f, r)] == me + 1); dirty[R(f, r)] = false);
    STEP(row[R(f, r)] = ROW_FREE)
}

proctype Process(byte me) {
    byte f, r, s, k, joins; bool busy, created, mine;
again:
    do
    :: joins < JOINS ->
        STEP(f = name);                             /* horusi_open_file */
        created = false;
        if
        :: f == 0 -> STEP(if :: made < FILES -> made++; f = made :: else -> goto out fi); created = true
        :: else
        fi;
#ifndef MUT_NO_GATE
        STEP(                                       /* the gate, shared; a held one: try again */
            if :: gate_write[f] == 0 -> gate_read[f] = gate_read[f] | (1 << me); mine = true :: else -> mine = false fi);
        if :: !mine -> f = 0; goto next :: else fi;
        mine = false;
#endif
        if
        :: !created ->
#ifndef MUT_NO_NAME
            STEP(mine = (name == f));
            if :: !mine -> drop(f); f = 0; goto next :: else fi;
            mine = false;
#endif
            STEP(anybody(f));
            if
            :: !busy ->                             /* leftovers of a crash are replaced */
                STEP(if :: (gate_read[f] & ~(1 << me)) == 0 && gate_write[f] == 0 ->
                           gate_write[f] = me + 1; gate_read[f] = 0; mine = true
                        :: else -> mine = false fi);
                if
                :: mine ->
                    STEP(mine = (name == f));
                    STEP(anybody(f));
                    if :: mine && !busy -> remove(f); drop(f); f = 0; mine = false; goto next :: else fi;
                    mine = false
                :: else
                fi
            :: else
            fi;
            busy = false
        :: else
        fi;
        r = 0;
        do                                          /* a row: all are tried, the free ones first */
        :: r < 2 * ROWS ->
            s = r % ROWS;
            STEP(mine = ((row[R(f, s)] == ROW_FREE) == (r < ROWS)); locked_by_others(f, s));
            if
            :: mine && !busy ->
#ifdef MUT_NO_LOCK
                STEP(owner[R(f, s)] = me + 1);
#else
                STEP(if :: owner[R(f, s)] == 0 -> owner[R(f, s)] = me + 1 :: else -> mine = false fi);
#endif
                if
                :: mine ->
                    if
#ifdef MUT_NO_SWEEP
                    :: false
#else
                    :: row[R(f, s)] != ROW_FREE -> sweep(f, s) /* only the lock's owner changes it */
#endif
                    :: else
                    fi;
                    break
                :: else
                fi
            :: else
            fi;
            mine = false; busy = false; r++
        :: else -> break
        od;
        mine = false; busy = false; r = 0;
        if :: owner[R(f, s)] == me + 1 :: else -> drop(f); f = 0; s = 0; goto next fi; /* no row now */
        STEP(                                       /* horusi_row_begin */
            assert(owner[R(f, s)] == me + 1 && !dirty[R(f, s)]);
            inc[R(f, s)] = inc[R(f, s)] + 1; row[R(f, s)] = ROW_LIVE);
        if
        :: created ->
            STEP(if :: name == 0 -> name = f; mine = true :: else -> mine = false fi); /* linkat */
            if :: !mine -> drop(f); f = 0; s = 0; goto next :: else fi;
            mine = false
        :: else
        fi;
        STEP(in[me] = f; assert(name == f);
             gate_read[f] = gate_read[f] & ~(1 << me);
             if :: gate_write[f] == me + 1 -> gate_write[f] = 0 :: else fi);
        joins++;
        STEP(assert(name == f && owner[R(f, s)] == me + 1 && row[R(f, s)] == ROW_LIVE); dirty[R(f, s)] = true);
        r = 0;
        do                                          /* horusi_sweep */
        :: r < ROWS ->
            STEP(locked_by_others(f, r); mine = (r != s && row[R(f, r)] != ROW_FREE && !busy)); /* horusi_row_is_dead */
            if
            :: mine ->
                STEP(if :: owner[R(f, r)] == 0 -> owner[R(f, r)] = me + 1 :: else -> mine = false fi);
                if :: mine -> sweep(f, r); STEP(owner[R(f, r)] = 0) :: else fi
            :: else
            fi;
            mine = false; busy = false; r++
        :: else -> break
        od;
        r = 0;
        STEP(assert(name == f && owner[R(f, s)] == me + 1 && row[R(f, s)] == ROW_LIVE));
        STEP(in[me] = 0; row[R(f, s)] = ROW_DEAD);  /* horusi_depart */
        STEP(dirty[R(f, s)] = false);
        STEP(row[R(f, s)] = ROW_FREE);
#ifndef MUT_NO_GATE_OUT
        do
        :: atomic { gate_read[f] == 0 && gate_write[f] == 0 -> gate_write[f] = me + 1; break }
        :: DIE
        od;
#endif
        STEP(mine = (name == f));                   /* horusi_is_named */
        STEP(anybody(f));
        if :: mine && !busy -> remove(f) :: else fi;
        drop(f);
        f = 0; s = 0; mine = false; busy = false
    :: else -> break
next: skip
    od;
    goto out;
died:
    atomic {
        in[me] = 0;
        k = 1;
        do
        :: k <= FILES ->
            gate_read[k] = gate_read[k] & ~(1 << me);
            if :: gate_write[k] == me + 1 -> gate_write[k] = 0 :: else fi;
            r = 0; do :: r < ROWS -> if :: owner[R(k, r)] == me + 1 -> owner[R(k, r)] = 0 :: else fi; r++ :: else -> break od;
            k++
        :: else -> break
        od;
        k = 0; f = 0; r = 0; s = 0; busy = false; created = false; mine = false
    }
    goto again;
out:
    atomic {
        ended++;
        assert(ended < NP || kills > 0 || made == FILES || name == 0)
    }
}

init { atomic { run Process(0); run Process(1);
#if NP > 2
    run Process(2)
#endif
} }
