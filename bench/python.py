"""The Python rows of the benchmark: the module against NumPy, PyTorch, JAX, msgpack, pickle, shared memory with a
queue, and the package whose programs run on it.

Each of ours and the package's has a process of its own, both pinned to one core (OpenCV, NumPy and the session have
that one, too); their calls take turns, window by window. A figure is the median over the windows of a window's best
repetition, an empty call taken off; a ratio is the median over the windows of the ratio within a window. A hop is
half of a round trip between two pinned processes that look without a pause; a tick at 1000 Hz is all processor time
that the process takes, a node's share of each sleep with it; over its sleep: less that of a bare clock_nanosleep()
of a period, which any loop needs. What is not installed is named, and its rows left out."""
import math
import os
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(ROOT, "tests"))
import python_test as setup

PACKAGE = "horus-robotics 0.4.1"
DICTS = ('{"v": 1.0}', '{"x", "y", "z"}', "dict of 100 ints")
SIZES = ("160x120", "640x480", "1920x1080", "3840x2160")
ROWS = [  # a call of ours, what it is compared with, its budget ("slow": times the slowness of this machine)
    ("to_numpy()", "ndarray.view()", "ratio <= 2"),
    ("to_numpy() of 1920x1080", "to_numpy()", None),
    ("np.asarray(image)", "np.from_dlpack(ndarray)", None),
    ("np.from_dlpack(image)", "np.from_dlpack(ndarray)", "ratio <= 1.5"),
    ("as_tensor()", None, None),
    ("to_torch()", "torch.from_numpy(ndarray)", "value <= 1200 slow"),
    ("to_jax()", "jax.device_put(ndarray)", None),
    *((f"from_numpy() of {size}", f"ndarray.copy() of {size}", None) for size in SIZES),
    ("send + recv: CmdVel", None, "value <= 160 slow"),
    ("send + recv: 640x480 image", "send + recv: CmdVel", None),
    (f"send + recv: {DICTS[0]}", None, "value <= 300 slow"), (f"send + recv: {DICTS[1]}", None, "value <= 420 slow"),
    (f"send + recv: {DICTS[2]}", None, None),
    ("hop: CmdVel", None, None), ("hop: 640x480 image", None, None),
    *((f"tick, deterministic: of {n}", None, "value <= 300 slow" if n == 100 else None) for n in (1, 10, 100, 1000)),
    *((f"tick, 1000 Hz: of {n}", None, None) for n in (1, 10, 100))]
FASTER = [  # how many times as fast: a call of ours, the other (PACKAGE: its same call), the budget
    ("to_numpy()", "__array_interface__ round trip", "ratio >= 10"),
    ("to_numpy()", "ndarray.copy() of 640x480", None),
    ("to_numpy() of 1920x1080", "ndarray.copy() of 1920x1080", None),
    ("to_torch()", "torch.from_numpy(ndarray)", "ratio >= 1"),
    *((f"send + recv: {what}", f"{codec}: {what}", None) for what in DICTS for codec in ("msgpack", "pickle")),
    *(("hop: 640x480 image", f"shared_memory and {kind}: hop", None) for kind in ("Queue", "SimpleQueue")),
    *((call, PACKAGE, None) for call in ("to_numpy()", "np.asarray(image)", "as_tensor()", "from_numpy() of 640x480",
                                         "send + recv: 640x480 image")),
    ("send + recv: CmdVel", PACKAGE, "ratio >= 2"),
    *((f"send + recv: {what}", PACKAGE, "ratio >= 5") for what in DICTS),
    ("hop: CmdVel", PACKAGE, "ratio >= 1.5"), ("hop: 640x480 image", PACKAGE, "ratio >= 1.5"),
    *((f"tick, 1000 Hz: of {n}", PACKAGE, None) for n in (1, 10, 100)),
    *((f"tick over its sleep, 1000 Hz: of {n}", PACKAGE, "ratio >= 2") for n in (1, 10, 100)),
    *((f"preprocess() of {size}", who + f": preprocess() of {size}", None)
      for size in ("1920x1080", "640x480") for who in ("OpenCV", "OpenCV and NumPy", "NumPy")),
    ("yolo_decode() of (1, 84, 8400)", "OpenCV and NumPy: yolo_decode() of (1, 84, 8400)", None)]
OVER = [(f"infer(): {what}", f"session.run(): {what}", "value <= 2000 slow") for what in ("small", "640x640x3")]
PAGES = [  # what the reference pages say, on an i9-14900K, and our call: ns
    ("to_numpy(), 640x480", 3000, "to_numpy()"), ("to_numpy(), 1920x1080", 3000, "to_numpy() of 1920x1080"),
    ("to_torch()", 3000, "to_torch()"), ("to_jax()", 3000, "to_jax()"), ("as_tensor()", 3000, "as_tensor()"),
    ("np.from_dlpack(), 640x480", 1100, "np.from_dlpack(image)"), ("np.from_dlpack()", 979, "np.from_dlpack(image)"),
    ("np.copy(), 640x480", 14000, "ndarray.copy() of 640x480"),
    ("a copy of 1920x1080", 178000, "ndarray.copy() of 1920x1080"),
    ("CmdVel, send + recv", 1700, "send + recv: CmdVel"),
    ("a small dict, send + recv", 6200, 'send + recv: {"v": 1.0}')]


class Worker:
    def __init__(self, python, core, scale, **env):
        self.namespace = f"bench.{os.getpid()}"
        self.process = subprocess.Popen(
            [python, os.path.join(HERE, "python_worker.py"), str(core), str(scale)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=dict(os.environ, HORUS_NAMESPACE=self.namespace, **env))
        while self.process.stdout.readline() not in ("ready\n", ""):
            pass
        self.names = self.ask("?").rstrip("\n").split("\t")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise OSError(f"python_worker.py ended with {self.process.wait()} at {line!r}")
        return answer

    def measure(self, name):
        values = [float(n) for n in self.ask(name).split()] if name in self.names else []
        return min((v for v in values if v == v), default=None)

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree("/dev/shm/horus_" + self.namespace.replace(".", "_"), ignore_errors=True)  # the package's


class Python:
    """Both modules, ready to be measured. `missing` says what is not there; `unmeasured`, which rows that costs."""

    def __init__(self, interpreter, core, quick):
        self.core, self.scale, self.seen, self.ours = core, 0.1 if quick else 1, {}, None
        self.missing, self.unmeasured = [], []
        if interpreter is None:
            return
        os.makedirs(setup.BUILD, exist_ok=True)

        def environment(name, packages):
            folder = os.path.join(setup.BUILD, name)
            if os.path.exists(os.path.join(folder, "ready")):
                return os.path.join(folder, "bin", "python")
            return packages and not quick and setup.environment(interpreter, folder, packages)
        self.ours = environment("frameworks", None) or environment("benchvenv", ["numpy", "msgpack"])
        if not self.ours:
            self.missing.append("Python rows: no build/python/frameworks   (make test makes it)")
            return
        self.theirs = environment("package", ["horus-robotics==0.4.1", "numpy"])
        if not self.theirs:
            self.missing.append(f"Python rows of {PACKAGE}: no build/python/package   (make test makes it)")

    def measure(self, windows):
        """Each call of both, that often: {name: [(ours, theirs)]}."""
        wanted = [name for row in ROWS + FASTER + OVER for name in row[:2] if name not in (None, PACKAGE)]
        both = {name for name, other, _ in FASTER if other == PACKAGE}
        seen, workers = {}, []
        try:
            workers.append(Worker(self.ours, self.core, self.scale))
            if self.theirs:
                workers.append(Worker(self.theirs, self.core, self.scale, PYTHONPATH=""))
            for _ in range(windows):
                for name in dict.fromkeys(wanted):
                    theirs = workers[1].measure(name) if self.theirs and name in both else None
                    seen.setdefault(name, []).append((workers[0].measure(name), theirs))
        finally:
            for worker in workers:
                worker.end()
        return seen

    def take(self, seen):
        for name, pairs in (seen or {}).items():
            self.seen.setdefault(name, []).extend(pairs)

    def rows(self, row, slow):
        """Gives `row` a name, a value, its unit, reference, ratio and budget for each row."""
        told = {}

        def values(name, whose):
            """One per window; NaN where a window gave none. Nothing if none did."""
            found = [math.nan if pair[whose] is None else pair[whose] for pair in self.seen.get(name, [])]
            return [] if all(math.isnan(v) for v in found) else found

        def middle(numbers):
            there = [n for n in numbers if not math.isnan(n)]
            return statistics.median(there) if there else None

        def once(name, whose=0):
            """What a row is compared with is a row itself."""
            label = f"{PACKAGE}: {name}" if whose else "Python: " + name
            if label not in told:
                told[label] = True
                row(label, middle(values(name, whose)), "ns")
            return label
        for name, other, budget in ROWS:
            mine, against = values(name, 0), values(other, 0) if other else []
            if not mine:
                self.unmeasured.append("Python: " + name)
                continue
            reference = once(other) if against else None
            told["Python: " + name] = True
            budget = budget and (f"value <= {float(budget.split()[2]) * slow:.0f}" if "slow" in budget else budget)
            ratio = middle([a / b for a, b in zip(mine, against)]) if against else None
            if ratio is None and budget and budget.startswith("ratio"):
                budget = None
            row("Python: " + name, middle(mine), "ns", reference, ratio, budget)
        for name, other, budget in FASTER:
            whose = int(other == PACKAGE)
            mine, against = values(name, 0), values(name if whose else other, whose)
            label = f"Python: {name}, times as fast as {other.split(': ')[0]}"
            if not mine or not against:
                self.unmeasured.append(label)
                continue
            faster = middle([b / a for a, b in zip(mine, against)])
            once(name)
            row(label, faster, "x", once(name if whose else other, whose), faster, budget)
        for name, other, budget in OVER:
            mine, against = values(name, 0), values(other, 0)
            label = f"Python: {name}, over {other.split(': ')[0]}"
            if not mine or not against:
                self.unmeasured.append(label)
                continue
            once(name)
            row(label, middle([a - b for a, b in zip(mine, against)]), "ns", once(other), middle(
                [a / b for a, b in zip(mine, against)]), f"value <= {float(budget.split()[2]) * slow:.0f}")
        for name, ns, ours in PAGES:
            label, mine = "the reference pages say: " + name, values(ours, 0)
            if mine:
                row(label, ns, "ns", once(ours), ns / middle(mine))
            else:
                self.unmeasured.append(label)
