"""Measures calls of a module named horus, ours or the package's: a line with a name in, a line with the nanoseconds of
each repetition out (per call, the loop and an empty call taken off). "?" lists the names.

    python_worker.py CORE SCALE     SCALE 1; 0.1: a smoke test"""
import ctypes
import multiprocessing
import os
import pickle
import statistics
import subprocess
import sys
import time
from multiprocessing import shared_memory

import horus
import numpy as np

import models

OURS = hasattr(horus, "audit")
CORE, SCALE = int(sys.argv[1]), float(sys.argv[2])
OTHER = min(os.sched_getaffinity(0) - {CORE}, default=CORE)
os.sched_setaffinity(0, {CORE})
answers = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the package tells stories there
FRAME = (480, 640, 3)
VALUES = {'{"v": 1.0}': {"v": 1.0}, '{"x", "y", "z"}': {"x": 1.0, "y": 2.0, "z": 3.0},
          "dict of 100 ints": {str(i): i for i in range(100)}}
HOPS = {"CmdVel": (lambda: horus.CmdVel, lambda: horus.CmdVel(1.0, 2.0)),
        "640x480 image": (lambda: horus.Image, lambda: horus.Image.from_numpy(np.zeros(FRAME, np.uint8), "rgb8"))}
calls = {}  # name -> function
runs = {}  # measured as a whole: name -> function that gives nanoseconds
pairs = set()  # of the calls: those of two calls each
nothing = object().__init_subclass__  # a C method with no body


def empty_pair():
    nothing()
    nothing()


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


def make_calls():
    image = horus.Image.from_numpy(np.zeros(FRAME, np.uint8), "rgb8")
    array = np.zeros(FRAME, np.uint8)
    calls["ndarray.view()"] = array.view
    calls["to_numpy()"] = image.to_numpy
    calls["np.asarray(image)"] = lambda: np.asarray(image)
    calls["__array_interface__ round trip"] = lambda: np.asarray(Interface(image.__array_interface__))
    calls["as_tensor()"] = image.as_tensor
    big = horus.Image.from_numpy(np.zeros((1080, 1920, 3), np.uint8), "rgb8")
    calls["to_numpy() of 1920x1080"] = big.to_numpy
    name = f"bench.{os.getpid()}."
    calls["send + recv: CmdVel"] = pair(horus.Topic(horus.CmdVel, endpoint=name + "typed"), horus.CmdVel(1.0, 2.0))
    calls["send + recv: 640x480 image"] = pair(horus.Topic(horus.Image, endpoint=name + "image"), image)
    for i, (label, value) in enumerate(VALUES.items()):
        calls["send + recv: " + label] = pair(horus.Topic(f"{name}{i}"), value)
    for h, w in ((120, 160), (480, 640), (1080, 1920), (2160, 3840)):
        source = np.zeros((h, w, 3), np.uint8)
        calls[f"from_numpy() of {w}x{h}"] = lambda source=source: horus.Image.from_numpy(source, "rgb8")
        if OURS:
            calls[f"ndarray.copy() of {w}x{h}"] = source.copy
    if not OURS:
        return
    calls["np.from_dlpack(image)"] = lambda: np.from_dlpack(image)
    calls["np.from_dlpack(ndarray)"] = lambda: np.from_dlpack(array)
    for label, value in VALUES.items():
        calls["pickle: " + label] = lambda value=value: pickle.loads(pickle.dumps(value, 5))
    try:
        import msgpack
        packer = msgpack.Packer()
        for label, value in VALUES.items():
            calls["msgpack: " + label] = lambda value=value: msgpack.unpackb(packer.pack(value))
    except ImportError:
        pass
    try:
        import torch
        calls["torch.from_numpy(ndarray)"] = lambda: torch.from_numpy(array)
        calls["to_torch()"] = image.to_torch
    except ImportError:
        pass
    try:
        import jax
        calls["jax.device_put(ndarray)"] = lambda: jax.device_put(array)
        calls["to_jax()"] = image.to_jax
    except ImportError:
        pass
    make_vision_calls()
    make_inference_calls()


def make_vision_calls():
    """Before and behind a network, as OpenCV and NumPy do it too."""
    try:
        import vision
        vision.cv2.setNumThreads(1)  # as many as horus has
    except (ImportError, AttributeError):
        return
    for what, subjects in vision.subjects(horus, ("1920x1080", "640x480")).items():
        for who, call in subjects.items():
            calls[what if who == "horus" else f"{who}: {what}"] = call


def make_inference_calls():
    """The operator, and the session by itself."""
    folder = os.environ.get("BENCH_MODELS", "")
    try:
        import onnxruntime
    except ImportError:
        return
    for name in ("small", "image"):
        path, label = os.path.join(folder, name + ".onnx"), "640x640x3" if name == "image" else name
        if not os.path.exists(path):
            return
        x, options = {"x": np.zeros(models.SHAPES[name], np.float32)}, onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        calls["session.run(): " + label] = lambda session=session, x=x: session.run(None, x)
        if not hasattr(horus, "InferenceOp"):
            continue
        op = horus.InferenceOp({"backend": "onnxrt", "model_path_map": {"m": path}, "pre_processor_map": {"m": ["x"]},
                                "inference_map": {"m": ["y"]}, "infer_on_cpu": True}, threads=1)
        op.infer(x)
        calls["infer(): " + label] = lambda op=op, x=x: op.infer(x)


def echo(kind, name):
    """The other process of a hop: sends back what it gets, until its parent is gone."""
    there = horus.Topic(HOPS[kind][0](), endpoint=name + ".there")
    back = horus.Topic(HOPS[kind][0](), endpoint=name + ".back")
    parent, recv, send = os.getppid(), there.recv, back.send
    say("ready")
    while os.getppid() == parent:
        for _ in range(100000):
            message = recv()
            if message is not None:
                send(message)


def hop(kind):
    """Nanoseconds from one pinned process to another: half of a round trip, both looking without a pause."""
    name = f"bench.{os.getpid()}.hop{list(HOPS).index(kind)}"
    there = horus.Topic(HOPS[kind][0](), endpoint=name + ".there")
    back = horus.Topic(HOPS[kind][0](), endpoint=name + ".back")
    child = subprocess.Popen([sys.executable, os.path.abspath(__file__), str(OTHER), str(SCALE), "echo", kind, name],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        child.stdout.readline()
        message, send, recv, n = HOPS[kind][1](), there.send, back.recv, int(20000 * SCALE)
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


def queue_echo(memory, there, back):
    os.sched_setaffinity(0, {OTHER})
    array = None
    for name in iter(there.get, None):
        array = np.ndarray(FRAME, np.uint8, memory[name].buf)
        back.put(name)
    del array


def queue_hop(kind):
    """The same with what Python has: a frame in shared memory, its name in a queue. Two frames, in turns."""
    context = multiprocessing.get_context("fork")
    memory = {m.name: m for m in [shared_memory.SharedMemory(create=True, size=int(np.prod(FRAME))) for _ in range(2)]}
    there, back = getattr(context, kind)(), getattr(context, kind)()
    child = context.Process(target=queue_echo, args=(memory, there, back), daemon=True)
    child.start()
    try:
        names, n, array = list(memory), int(2000 * SCALE), None
        for count in (50, n):
            begin = time.perf_counter_ns()
            for i in range(count):
                there.put(names[i & 1])
                array = np.ndarray(FRAME, np.uint8, memory[back.get(timeout=20) if kind == "Queue" else back.get()].buf)
        took = (time.perf_counter_ns() - begin) / n / 2
        del array
        there.put(None)
        child.join(10)
        return took
    finally:
        child.kill()
        child.join()
        for m in memory.values():
            m.close()
            m.unlink()


class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


def stretches(marks, n):
    """What one of n takes, where a clock was read after every n: the median. NaN: it was not read twice."""
    return statistics.median(after - before for before, after in zip(marks, marks[1:])) / n if marks[1:] else float("nan")


def bare_sleep(seconds):
    """Processor time of a clock_nanosleep() until the next millisecond, that of calling it taken off."""
    sleep, until, took = ctypes.CDLL(None).clock_nanosleep, Timespec(), []
    for works in (True, False):
        due, marks = time.monotonic_ns(), []
        for i in range(int(1000 * seconds)):
            if i % 10 == 0:
                marks.append(time.process_time_ns())
            due += 1000000
            until.seconds, until.nanoseconds = divmod(due, 1000000000)
            if not works:
                until.nanoseconds = -1  # refused at once
            sleep(time.CLOCK_MONOTONIC, 1, ctypes.byref(until), None)  # TIMER_ABSTIME
        took.append(stretches(marks, 10))
    return took[0] - took[1]


def over_its_sleep(nodes):
    """Nanoseconds of processor time of a tick at 1000 Hz, without the sleep that any loop needs: a bare one's, before
    and after. Ours is no less than in a run that does not sleep, for the noise of a sleep is more than a tick."""
    before = bare_sleep(0.3 * SCALE)
    tick = ticks(nodes, True)
    net = tick - (before + bare_sleep(0.3 * SCALE)) / 2 / nodes
    return max(net, ticks(nodes, False)) if OURS else net


def ticks(nodes, real):
    """Nanoseconds of a tick, an empty call taken off: the process's processor time at 1000 Hz, its sleeps' with it, or
    a deterministic run's. The median over stretches of ten rounds of all nodes, so that neither starting nor stopping is in it."""
    clock = time.process_time_ns if real else time.perf_counter_ns
    stretch, marks, done = 10 * nodes, [], 0

    def tick(node):
        nonlocal done
        done += 1
        if not done % stretch:
            marks.append(clock())

    horus.run(*(horus.Node(name=f"n{i}", tick=tick, rate=1000) for i in range(nodes)),
              duration=(0.6 if real else max(1, 200 // nodes)) * SCALE, **({} if real else {"deterministic": True}))
    took = stretches(marks, stretch)  # before its callback is called for itself, and leaves more
    empty = min(per_call(lambda: tick(None), 5000) - per_call(lambda: None, 5000) for _ in range(5))
    return took - empty


def make_runs():
    for kind in HOPS:
        runs["hop: " + kind] = lambda kind=kind: hop(kind)
    for n in (1, 10, 100):
        runs[f"tick, 1000 Hz: of {n}"] = lambda n=n: ticks(n, True)
        runs[f"tick over its sleep, 1000 Hz: of {n}"] = lambda n=n: over_its_sleep(n)
    if OURS:
        for kind in ("Queue", "SimpleQueue"):
            runs[f"shared_memory and {kind}: hop"] = lambda kind=kind: queue_hop(kind)
        for n in (1, 10, 100, 1000):
            runs[f"tick, deterministic: of {n}"] = lambda n=n: ticks(n, False)


def per_call(f, n):
    loop = range(n)
    begin = time.perf_counter_ns()
    for _ in loop:
        f()
    return (time.perf_counter_ns() - begin) / n


def repeated(f):
    same = empty_pair if f in pairs else (lambda: None) if type(f).__name__ == "function" else nothing
    f()
    n, most = 1, int(20000 * SCALE)
    while per_call(f, n) * n < 2e6 * SCALE and n < most:
        n *= 2
    empty = min(per_call(same, most) for _ in range(3))
    return [per_call(f, n) - empty for _ in range(max(3, int(9 * SCALE)))]


def say(line):
    answers.write(line + "\n")
    answers.flush()


def main():
    if sys.argv[3:4] == ["echo"]:
        return echo(*sys.argv[4:])
    make_calls()
    make_runs()
    say("ready")
    for line in sys.stdin:
        name = line.rstrip("\n")
        if name == "?":
            say("\t".join([*calls, *runs]))
        elif name in runs:
            say(str(runs[name]()))
        else:
            say(" ".join(str(n) for n in repeated(calls[name])))


if __name__ == "__main__":
    main()
