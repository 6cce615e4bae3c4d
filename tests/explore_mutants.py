"""Breaks horus.h on purpose, one step at a time, and expects the explorer to object each time.

    python3 tests/explore_mutants.py [-j jobs] [-t seconds for each scene] [word ...]

Each mutant is a copy of horus.h with one step left out, or two in another order, and the scene that
must notice it: a property fails there, or it goes on for ever. A mutant that cannot be built, a crash
or a scene that cannot be explored is an error: it says nothing of the explorer."""
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

OBJECTS, HANGS = 3, 4  # exit statuses of explore: see x_verdict in explore.h
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# name, scene, what the code says (white space does not matter), what it says instead
MUTANTS = [
    ("acquire does not move the epoch on", "slot: release",
     "horusi_cas64_acqrel(S1, &p->slot[s].word, &w, horusi_pair(g, horusi_low(w) + 1))",
     "horusi_cas64_acqrel(S1, &p->slot[s].word, &w, horusi_pair(g, horusi_low(w)))"),
    ("acquire checks the generation without a swap", "slot: release",
     "if (horusi_cas64_acqrel(S1, &p->slot[s].word, &w, horusi_pair(g, horusi_low(w) + 1))) {",
     "if (horusi_high(w) == g) {"),
    ("take reads the word after it has looked at the holders", "slot: three",
     "uint64_t w = horusi_ld64_acq(S2, &p->slot[s].word); if (horusi_is_held(p, s)) return false;"
     " bool mine = false,",
     "if (horusi_is_held(p, s)) return false; uint64_t w = horusi_ld64_acq(S2, &p->slot[s].word);"
     " bool mine = false,"),
    ("take does not look at the holders", "slot: release",
     "if (horusi_is_held(p, s)) return false; bool mine = false,", "bool mine = false,"),
    ("take sets its bit after the swap", "slot: three",
     "(void)horusi_or64_rlx(S1, horusi_mask(p, s), p->context->mask_bit);"
     " mine = horusi_cas64_acqrel(S1, &p->slot[s].word, &w,"
     " horusi_pair(horusi_high(w) + 1, horusi_low(w) + 1));",
     "mine = horusi_cas64_acqrel(S1, &p->slot[s].word, &w,"
     " horusi_pair(horusi_high(w) + 1, horusi_low(w) + 1));"
     " (void)horusi_or64_rlx(S1, horusi_mask(p, s), p->context->mask_bit);"),
    ("the count of holds goes up before the bit is set", "threads: acquire",
     "if (n == 0) /* the bit first: others trust a count above 0 */"
     " (void)horusi_or64_rlx(S1, horusi_mask(p, s), p->context->mask_bit);"
     " if (n == 0 || alone) horusi_st32_rel(N1, &r->count, n + 1);",
     "if (n == 0 || alone) horusi_st32_rel(N1, &r->count, n + 1);"
     " if (n == 0) (void)horusi_or64_rlx(S1, horusi_mask(p, s), p->context->mask_bit);"),
    ("a failed acquire clears the bit past the count", "threads: acquire",
     "} (void)horusi_leave(p, s); return false; }",
     "} horusi_st32_rlx(N1, &p->rec[s].count, 0);"
     " (void)horusi_and64_rel(S3, horusi_mask(p, s), ~p->context->mask_bit); return false; }"),
    ("the loser of the race for being alone does not end it", "threads: the first",
     "if (solo != HORUSI_SHARED && solo != HORUSI_REVOKING && solo != me &&", "if (false &&"),
    ("being alone ends without a barrier", "threads: the first",
     "horusi_cas32_acqrel(N2, &a->solo, &solo, HORUSI_REVOKING)) { horusi_barrier();",
     "horusi_cas32_acqrel(N2, &a->solo, &solo, HORUSI_REVOKING)) {"),
    ("being alone ends without waiting for who is inside", "threads: the first",
     "for (uint32_t tries = 0; horusi_ld32_acq(N2, &a->inside) != 0; tries++)"
     " horusi_give_way(tries);", ""),
    ("a message is overwritten without a mark", "overwrite: lapped",
     "horusi_st64_rlx(P2, &e->seq, n > o->capacity ? 2 * (n - o->capacity) + 1 : 1);", ""),
    ("a reader does not look a second time", "overwrite: lapped",
     "if (horusi_rarely(horusi_ld64_rlx(C2, &e->seq) != 2 * n)) return HORUS_E_NOT_FOUND;", ""),
    ("the number is written before the payload", "overwrite: lapped",
     "horusi_payload_put(e, payload, bytes); if (queue)",
     "horusi_st64_rel(P1, &e->seq, 2 * n); horusi_payload_put(e, payload, bytes); if (queue)"),
    ("a sleeper does not look again after it has said so", "sleep: two",
     "for (size_t i = 0; i < count && !found; i++)"
     " if (horusi_find(topics[i], true, true, &k, &again)) {",
     "for (size_t i = 0; i < 0 && !found; i++)"
     " if (horusi_find(topics[i], true, true, &k, &again)) {"),
    ("a sleeper says so after it has looked", "sleep: two",
     "(void)horusi_or64_seq(W, &topics[i]->shm->sleepers[c->mask_word], c->mask_bit);"
     " for (size_t i = 0; i < count && !found; i++)"
     " if (horusi_find(topics[i], true, true, &k, &again)) {"
     " topics[i]->turn = k; *ready = i; found = true; }",
     "{} for (size_t i = 0; i < count && !found; i++)"
     " if (horusi_find(topics[i], true, true, &k, &again)) {"
     " topics[i]->turn = k; *ready = i; found = true; }"
     " for (size_t i = 0; i < count; i++)"
     " (void)horusi_or64_seq(W, &topics[i]->shm->sleepers[c->mask_word], c->mask_bit);"),
    ("a publisher looks for sleepers before it has written", "sleep: two",
     "(void)horusi_xchg64_seq(W, &e->seq, 2 * (o->next - 1));", ""),
    ("a doorbell is not turned before the wake", "sleep: two",
     "(void)horusi_add32_acqrel(W, &r->doorbell, 1);", ""),
    ("a first sleep is as long as the others", "sleep: for the first",
     "known ? HORUSI_SLICE_NS : HORUSI_FIRST_SLICE_NS", "known ? HORUSI_SLICE_NS : HORUSI_SLICE_NS"),
    ("a reader wakes nobody who waits for room", "reliable: a slow",
     "horusi_st64_seq(W, &in->ring.cursors[t->sub_index], in->next);"
     " horusi_ring_rows(t->context, t->shm->waiters);",
     "horusi_st64_seq(W, &in->ring.cursors[t->sub_index], in->next);"),
    ("a new reader does not read the heads again once it counts", "reliable: a reader comes",
     "horusi_st64_seq(W, &t->sub->word, t->sub_word); horusi_refresh(t, true);",
     "horusi_st64_seq(W, &t->sub->word, t->sub_word);"),
    ("the number of handles is raised with acquire-release", "reliable: a reader comes",
     "horusi_cas32_seq(W, &shm->subs_used, &used, i + 1)",
     "horusi_cas32_acqrel(W, &shm->subs_used, &used, i + 1)"),
    ("a publisher does not see who has just opened with history", "small: history",
     "if (n >= o->passed || openings != o->openings) {", "if (n >= o->passed) {"),
    ("a claim is taken without a swap", "queue: at least",
     "if (horusi_cas64_acqrel(K1, claim, &w, taken)) {", "{ horusi_st64_rel(K1, claim, taken);"),
    ("a dead consumer's claim is not given back", "queue: at least",
     "if (horusi_claim_state(claim) == HORUSI_CLAIM_TAKEN) back |=",
     "if (horusi_claim_state(claim) == HORUSI_CLAIM_READY) back |="),
    ("nobody is told that a claim came back", "queue: at least",
     "if (back) (void)horusi_add32_seq(W, &t->redeliver, 1);", ""),
    ("at most once is forgotten", "queue: at most", "(drop_claims ? HORUSI_CLAIM_DONE : HORUSI_CLAIM_AGAIN)",
     "HORUSI_CLAIM_AGAIN"),
    ("a consumer that is done wakes nobody who waits for room", "queue: full",
     "if (done) horusi_ring_rows(t->context, t->shm->waiters);", "(void)done;"),
    ("a frame goes before its message is withdrawn", "threads: send and evict",
     "horusi_st64_rel(P1, &horusi_entry_at(o->entries, o->stride, index)->seq, 2 * n + 1);"
     " horusi_out_drop(o, index);",
     "horusi_out_drop(o, index);"
     " horusi_st64_rel(P1, &horusi_entry_at(o->entries, o->stride, index)->seq, 2 * n + 1);"),
    ("a sweep clears what rings still offer", "dead: sweep and read",
     "if ((horusi_ld64_rlx(S4, mask) & bit) && !horusi_is_marked(p, s)) {",
     "if (horusi_ld64_rlx(S4, mask) & bit) {"),
    ("a row is swept although its lock is held", "dead: its row",
     "if (fd >= 0 && horusi_lock_byte(fd, F_WRLCK, byte) != 0)",
     "if (fd >= 0 && horusi_lock_byte(fd, F_WRLCK, byte) != 0 && byte == HORUSI_GATE)"),
    ("a lane that ends counts its messages only afterwards", "ring: ends",
     "horusi_st64_rel(L1, &lane->ended, horusi_ld64_rlx(L2, &lane->ending));"
     " (void)horusi_add32_acqrel(L1, &t->version, 1);"
     " (void)horusi_cas64_acqrel(L1, &lane->word, &ending, 0);",
     "(void)horusi_cas64_acqrel(L1, &lane->word, &ending, 0);"
     " (void)horusi_add32_acqrel(L1, &t->version, 1);"
     " horusi_st64_rel(L1, &lane->ended, horusi_ld64_rlx(L2, &lane->ending));"),
    ("nobody is told of a new ring", "overwrite: a publisher",
     "horusi_owner(c->incarnation, c->row, HORUSI_LANE_LIVE));"
     " (void)horusi_add32_seq(W, &t->shm->version, 1);",
     "horusi_owner(c->incarnation, c->row, HORUSI_LANE_LIVE));"),
    ("a handle that becomes a sender wakes nobody who waits for room", "reliable: a reader sends",
     "horusi_st64_seq(W, &t->sub->word, t->sub_word); horusi_ring_rows(t->context, t->shm->waiters);",
     "horusi_st64_seq(W, &t->sub->word, t->sub_word);"),
    ("a run is claimed without looking whether a neighbour is free", "memory",
     "ready = horusi_dissolve(p, up ? g - i : g + i, false);", "ready = true;"),
    ("a run that its claimer left half claimed is taken for whole", "memory: a run left",
     "for (uint32_t i = 1; whole && i < class_; i++)"
     " whole = horusi_shape(p, g + i) == horusi_own(HORUSI_BODY, g);", ""),
    ("a slot used last is not compared again once it is taken", "memory: blocks become",
     "found = same && horusi_ld32_rlx(N2, &p->rec[s].generation) == u->item[i].generation + 1;",
     "found = same;"),
    ("the shape of a block is not compared again once it is taken", "memory: blocks become",
     "if (horusi_shape(p, g) == shape) { horusi_st32_rlx(hint, &p->hint[class_], g);",
     "{ horusi_st32_rlx(hint, &p->hint[class_], g);"),
    ("a lane's ring is not compared again once it is held", "ring: a larger one",
     "if (horusi_ld64_acq(L2, &lane->ring) == ref && horusi_ring_at(", "if (horusi_ring_at("),
    ("a ring's capacity is read after its lane was compared", "ring: a larger one",
     "horusi_ring_at(p, r->slot, horusi_ld32_acq(L2, &t->policy), capacity,",
     "horusi_ring_at(p, r->slot, horusi_ld32_acq(L2, &t->policy), horusi_ld32_acq(L2, &lane->capacity),"),
    ("a lane names its old ring while the new one's capacity is written", "ring: a larger one",
     "horusi_st64_rel(L1, &lane->ring, 0);", ""),
    ("the ring that is held is not compared with the one that was looked at", "ring: a larger one",
     "if (have && horusi_pair(ring.slot, ring.generation) != ref) {", "if (false) {"),
    ("another ring's place is taken at opening", "ring: as a reader opens",
     "if (horusi_ld64_acq(L2, &lane->ring) != in->ref)", "if (false)"),
    ("a topic ends although somebody else holds it", "a topic ends", "if (others) return;", ""),
    ("an episode may end before it has begun", "node: a watchdog",
     "if (!horusi_cas32_acqrel(J1, &n->safe, &none, HORUSI_ENTERS)) break;",
     "if (!horusi_cas32_acqrel(J1, &n->safe, &none, HORUSI_SAFE)) break;"),
    ("a tick's end does not look whether it was judged", "node: a watchdog",
     "bool judged = watched && (horusi_xchg64_seq(J2, &n->run, 0) & HORUSI_JUDGED) != 0;",
     "bool judged = false; horusi_st64_rel(J1, &n->run, 0);"),
    ("the watchdog judges without a swap", "node: a watchdog",
     "if ((!over && !late) || !horusi_cas64_acqrel(J1, &n->run, &run, run | HORUSI_JUDGED)) continue;",
     "if (!over && !late) continue; horusi_st64_rel(J1, &n->run, run | HORUSI_JUDGED);"),
    ("when a tick was due is written after it can be seen", "small: a deadline",
     "horusi_st64_rlx(own, &n->run_due, due); horusi_st64_rlx(own, &n->run_budget, budget);"
     " horusi_st64_rel(J1, &n->run, now << 2 | HORUSI_RUNS);",
     "horusi_st64_rlx(own, &n->run_budget, budget); horusi_st64_rel(J1, &n->run, now << 2 | HORUSI_RUNS);"
     " horusi_st64_rlx(own, &n->run_due, due);"),
    ("a node does not look at stop once its message is there", "node: stop",
     "if (r != HORUS_OK || horusi_halts(s)) return; uint64_t skipped = 0,",
     "if (r != HORUS_OK) return; uint64_t skipped = 0,"),
    ("figures move under who logs in them", "node: a line",
     "for (uint32_t tries = 0; horusi_ld32_seq(B, &s->looking) != 0; tries++) horusi_give_way(tries);", ""),
    ("a rate is counted before it is there", "node: its rate",
     "horusi_st64_rlx(own, &n->wanted, horusi_pair(num, den));"
     " (void)horusi_add32_acqrel(Q1, &s->changes, 1);",
     "(void)horusi_add32_acqrel(Q1, &s->changes, 1);"
     " horusi_st64_rlx(own, &n->wanted, horusi_pair(num, den));"),
    ("a loop counts changes after it has looked for them", "node: its rate",
     "l->changes = horusi_ld32_acq(Q2, &s->changes); for (uint32_t i = 0; i < l->count; i++) {"
     " if (!l->nodes[i]->over) horusi_change_rate(l->nodes[i], &l->due[i]); }",
     "for (uint32_t i = 0; i < l->count; i++) {"
     " if (!l->nodes[i]->over) horusi_change_rate(l->nodes[i], &l->due[i]); }"
     " l->changes = horusi_ld32_acq(Q2, &s->changes);"),
]


def run(mutant, source, directory, index, seconds):
    """How it ended: "caught", "caught: it hangs", "NOT CAUGHT...", or what went wrong."""
    name, scene, old, new = mutant
    old = re.sub(r"/\*.*?\*/", " ", old)
    tokens = re.findall(r"\w+|[^\w\s]", old)
    gap = r"(?:\s|/\*(?:[^*]|\*(?!/))*\*/)*"
    pattern = gap.join(re.escape(token) for token in tokens)
    found = list(re.finditer(pattern, source))
    if len(found) != 1:
        return f"ERROR: stands {len(found)} times in horus.h, not once"
    where = os.path.join(directory, str(index))
    os.makedirs(where)
    mutated = source[: found[0].start()] + new + source[found[0].end():]
    with open(os.path.join(where, "horus.h"), "w") as f:
        f.write(mutated)
    program = os.path.join(where, "explore")
    try:  # -O0: it is built for a second's work
        built = subprocess.run(
            ["gcc", "-std=gnu11", "-O0", "-w", "-pthread", f'-DEXPLORE_HORUS="{where}/horus.h"', "-I", ROOT,
             os.path.join(ROOT, "tests", "explore.c"), "-o", program],
            capture_output=True, text=True, timeout=300)
        if built.returncode:
            return "ERROR: does not compile: " + (built.stderr.strip().splitlines() or ["?"])[0]
        done = subprocess.run([program, "-t", str(seconds), scene], capture_output=True, text=True, timeout=600)
    except subprocess.TimeoutExpired as e:
        return f"ERROR: {os.path.basename(e.cmd[0])} took over {e.timeout:.0f} s"
    if done.returncode == OBJECTS:
        return "caught"
    if done.returncode == HANGS:
        return "caught: it hangs"
    if done.returncode == 0:
        return f"NOT CAUGHT: no scene of '{scene}' objects"
    return f"ERROR: explore ended with {done.returncode}:\n" + (done.stdout + done.stderr)[-1500:]


def main():
    words, jobs, seconds = [], 2, 3.0
    args = sys.argv[1:]
    while args:
        a = args.pop(0)
        if a == "-j":
            jobs = int(args.pop(0))
        elif a == "-t":
            seconds = float(args.pop(0))
        else:
            words.append(a)
    wanted = [m for m in MUTANTS if not words or any(w in m[0] for w in words)]
    with open(os.path.join(ROOT, "horus.h")) as f:
        source = f.read()
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(lambda i: run(wanted[i], source, directory, i, seconds), range(len(wanted))))
    caught = sum(r.startswith("caught") for r in results)
    hung = sum(r.endswith("hangs") for r in results)
    survive = sum(r.startswith("NOT") for r in results)
    errors = len(results) - caught - survive
    for mutant, result in zip(wanted, results):
        word, _, rest = result.partition(": ")
        print(f"  {word}: {mutant[0]}" + (f": {rest}" if rest else ""))
    print(f"{len(wanted)} mutants of the protocol, {caught} caught ({hung} of them hang), {survive} survive, "
          f"{errors} errors")
    if not wanted:
        print(f"FAILED: no mutant is called so: {' '.join(words)}")
    failed = survive + errors + (not wanted)
    print(f"{caught} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
