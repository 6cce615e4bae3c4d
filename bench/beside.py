#!/usr/bin/env python3
"""How late a 1 kHz node in Python begins alone and beside a slow detector, window by window.

    beside.py WINDOWS SECONDS       with the module horus; run.py calls it, and prints what it says

The detector computes for 60 ms where 50 are its budget (on_miss "skip"): in a process of its own; as a compute
node beside it in calls that release the GIL; as one in pure Python, which holds the GIL. A window prints one line
as bench.c does. Lateness is taken in the node's first line, so that the wait for the GIL is in it; of a tick
that was left out it is the time from when that was due to the begin of the one that ran in its place."""
import hashlib
import json
import os
import subprocess
import sys
import time
from collections import Counter

os.environ.setdefault("HORUS_NAMESPACE", "bench-%d" % os.getpid())  # the detector's, too
import horus

RATE, WORK = 1000, 0.060


def in_python(node):
    end = time.monotonic() + WORK
    while time.monotonic() < end:
        sum(range(500))


def without_the_gil(node, data=bytes(4 << 20)):
    end = time.monotonic() + WORK
    while time.monotonic() < end:
        hashlib.sha256(data).digest()


def detector(tick, **kw):
    return horus.Node("detector", tick, rate=30, budget=50 * horus.ms, on_miss="skip", **kw)


def late_ns(seconds, *others):
    seen, first = [], []  # left out before the first tick, whose dt is a period whatever was left out
    note, elapsed, dt = seen.append, horus.elapsed, horus.dt

    def control(node):
        if not first:
            first.append(s.get_node_stats("control")["skipped"])
        note((elapsed(), dt()))
    s = horus.Scheduler()
    for node in (horus.Node("control", control, rate=RATE), *others):
        s.add(node)
    s.run(duration=seconds)
    late, due = [], (first[0] - 1) / RATE
    for at, step in seen:
        due += step
        late += [at - due + i / RATE for i in range(round(step * RATE))]
    left = round(seconds * RATE) - len(late)  # those left out at the end would have begun then at the earliest
    late += [max(seconds, seen[-1][0]) - due - (i + 1) / RATE for i in range(left)]
    return [round(1e9 * x) for x in late[len(late) // 50:]]


def beside_process(seconds):
    child = subprocess.Popen([sys.executable, os.path.abspath(__file__), "detector"], stdout=subprocess.PIPE)
    try:
        if child.stdout.readline() != b"ready\n":
            sys.exit("beside.py: the detector does not start")
        return late_ns(seconds)
    finally:
        child.terminate()
        child.wait()
        child.stdout.close()


def main():
    if sys.argv[1:] == ["detector"]:
        print("ready", flush=True)
        horus.run(detector(in_python))
        return
    windows, seconds = int(sys.argv[1]), float(sys.argv[2])
    cases = [("beside: Python node, detector's process", beside_process),
             ("beside: Python node, compute node without the GIL",
              lambda s: late_ns(s, detector(without_the_gil, compute=True))),
             ("beside: Python node, compute node in pure Python",
              lambda s: late_ns(s, detector(in_python, compute=True)))]
    floor = ("floor: Python node alone", late_ns)
    number = 0
    for name, window in [c for _ in range(windows) for case in cases for c in (floor, case)] + [floor]:
        counts = Counter(window(seconds))
        print(json.dumps({"name": name, "window": number, "unit_ns": 1, "hist": sorted(counts.items())}))
        number += 1


main()
