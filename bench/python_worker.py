"""Measures calls of a module named horus, ours or the package's, on request: a line with a name in, a line with the
nanoseconds of each repetition out (per call, the loop and an empty call taken off). "?" lists the names."""
import os
import pickle
import subprocess
import sys
import time

import horus
import numpy as np

OURS = hasattr(horus, "audit")
CORE = int(sys.argv[1])
OTHER = min(os.sched_getaffinity(0) - {CORE}, default=CORE)
os.sched_setaffinity(0, {CORE})
answers = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the package tells stories there
calls = {}
runs = {}  # measured as a whole: name -> function that gives nanoseconds
HOPS = {"hop typed": (lambda: horus.CmdVel, lambda: horus.CmdVel(1.0, 2.0)),
        "hop image": (lambda: horus.Image, lambda: horus.Image.from_numpy(np.zeros((480, 640, 3), np.uint8), "rgb8"))}


nothing = object().__init_subclass__  # a C method with no body
pairs = set()


def empty_pair():
    nothing()
    nothing()


def make():
    image = horus.Image.from_numpy(np.zeros((480, 640, 3), np.uint8), "rgb8")
    array = np.zeros((480, 640, 3), np.uint8)
    calls["array.view()"] = array.view
    calls["to_numpy"] = image.to_numpy
    calls["array interface"] = lambda: np.asarray(Interface(image.__array_interface__))

    class Interface:
        def __init__(self, what):
            self.__array_interface__ = what

    def pair(topic, message):
        send, recv = topic.send, topic.recv

        def both():
            send(message)
            recv()
        pairs.add(both)
        return both
    name = f"bench.{os.getpid()}."
    calls["typed"] = pair(horus.Topic(horus.CmdVel, endpoint=name + "typed"), horus.CmdVel(1.0, 2.0))
    for label, value in (("dict v", {"v": 1.0}), ("dict xyz", {"x": 1.0, "y": 2.0, "z": 3.0}),
                         ("dict 100", {str(i): i for i in range(100)})):
        calls[label] = pair(horus.Topic(name + label.replace(" ", ".")), value)
    calls["image"] = pair(horus.Topic(horus.Image, endpoint=name + "image"), image)
    try:
        np.from_dlpack(image)
        calls["np.from_dlpack(image)"] = lambda: np.from_dlpack(image)
    except Exception:
        pass
    if OURS:
        calls["np.from_dlpack(array)"] = lambda: np.from_dlpack(array)
        calls["np.asarray(image)"] = lambda: np.asarray(image)
        for h, w in ((120, 160), (480, 640), (1080, 1920), (2160, 3840)):
            big = np.zeros((h, w, 3), np.uint8)
            calls[f"np.copy {w}x{h}"] = big.copy
            calls[f"from_numpy {w}x{h}"] = lambda big=big: horus.Image.from_numpy(big)
        try:
            import torch
            calls["torch.from_numpy"] = lambda: torch.from_numpy(array)
            calls["to_torch"] = image.to_torch
        except ImportError:
            pass
        for label, value in (("v", {"v": 1.0}), ("xyz", {"x": 1.0, "y": 2.0, "z": 3.0}),
                             ("100", {str(i): i for i in range(100)})):
            try:
                import msgpack
                packer, unpack = msgpack.Packer(), msgpack.unpackb
                calls["msgpack " + label] = lambda p=packer.pack, v=value, u=unpack: u(p(v))
            except ImportError:
                pass
            calls["pickle " + label] = lambda v=value: pickle.loads(pickle.dumps(v, 5))


def echo(kind, name):
    """The other process of a hop: sends back what it gets, until its parent is gone."""
    there = horus.Topic(HOPS[kind][0](), endpoint=name + ".there")
    back = horus.Topic(HOPS[kind][0](), endpoint=name + ".back")
    parent, recv, send = os.getppid(), there.recv, back.send
    answers.write("ready\n")
    answers.flush()
    while os.getppid() == parent:
        for _ in range(100000):
            message = recv()
            if message is not None:
                send(message)


def hop(kind):
    """Nanoseconds from one pinned process to another: half of a round trip, both looking without a pause."""
    name = f"bench.{os.getpid()}." + kind.replace(" ", ".")
    there = horus.Topic(HOPS[kind][0](), endpoint=name + ".there")
    back = horus.Topic(HOPS[kind][0](), endpoint=name + ".back")
    child = subprocess.Popen([sys.executable, os.path.abspath(__file__), str(OTHER), "echo", kind, name],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        child.stdout.readline()
        message, send, recv, n = HOPS[kind][1](), there.send, back.recv, 2000
        for count in (200, n):
            begin = time.perf_counter_ns()
            for _ in range(count):
                send(message)
                limit = 0
                while recv() is None:
                    limit += 1
                    if limit > 50000000:
                        return float("nan")
        return (time.perf_counter_ns() - begin) / n / 2
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def nothing_to_do(node):
    pass


def ticks(nodes, real):
    """Nanoseconds of a tick, an empty call taken off. real: processor time at 1000 Hz; else a deterministic run.
    Two runs, one twice as long: what starting costs is in both."""
    clock = time.process_time_ns if real else time.perf_counter_ns
    rate, seconds = 1000, 0.3 if real else max(1, 200 // nodes)
    took, done = [], []
    for duration in (seconds, 2 * seconds):
        count = [0]

        def tick(node):
            count[0] += 1

        kw = {} if real else {"deterministic": True}
        made = [horus.Node(name=f"n{i}", tick=tick, rate=rate) for i in range(nodes)]
        begin = clock()
        horus.run(*made, duration=duration, **kw)
        took.append(clock() - begin)
        done.append(count[0])
    if done[1] <= done[0]:
        return float("nan")
    count = [0]

    def alone(node):
        count[0] += 1

    begin = time.perf_counter_ns()
    for _ in range(20000):
        alone(None)
    return (took[1] - took[0]) / (done[1] - done[0]) - (time.perf_counter_ns() - begin) / 20000


def per_call(f, n):
    loop = range(n)
    begin = time.perf_counter_ns()
    for _ in loop:
        f()
    return (time.perf_counter_ns() - begin) / n


def say(line):
    answers.write(line + "\n")
    answers.flush()


def main():
    if sys.argv[2:3] == ["echo"]:
        return echo(*sys.argv[3:])
    make()
    for kind in HOPS:
        runs[kind] = lambda kind=kind: hop(kind)
    for n in (1, 10, 100):
        runs[f"tick, {n} real"] = lambda n=n: ticks(n, True)
    if OURS:
        for n in (1, 10, 100, 1000):
            runs[f"tick, {n}"] = lambda n=n: ticks(n, False)
    say("ready")
    for line in sys.stdin:
        name = line.strip()
        if name == "?":
            say("\t".join(list(calls) + list(runs)))
            continue
        if name in runs:
            say(" ".join(str(runs[name]()) for _ in range(3)))
            continue
        f = calls[name]
        same = empty_pair if f in pairs else (lambda: None) if type(f).__name__ == "function" else nothing
        n = 20
        while per_call(f, n) * n < 2e6 and n < 20000:
            n *= 2
        empty = min(per_call(same, 20000) for _ in range(3))
        say(" ".join(str(per_call(f, n) - empty) for _ in range(9)))


main()
