#!/usr/bin/env python3
"""Builds and runs the benchmarks, and says which budgets hold.

    make bench              about fifteen minutes; writes bench/results.json, results.svg, latency.svg and .png
    make bench QUICK=1      seconds, for a smoke test; writes below build/bench
    make bench INSTALL=1    installs the peers that are missing (as root: always, unless QUICK)

Every subject alternates with its floor, window by window, in one pair of pinned processes. A row's
ratio is the median over all windows of (p50 of the window / mean p50 of the floor's windows just
before and after it): it survives a machine whose speed drifts. Peers, and images of different sizes, are
compared within each round of windows. The percentiles are those of all samples of all windows; nothing is left out. A group of windows during which other programs
took more than 5 % of a CPU is run again, whatever it measured.

A tick's cost is measured twice. In a deterministic run: the time of a pass over all nodes, the clock not
read, less what their empty callbacks take. In a run that sleeps from tick to tick at 1 kHz: the processor
time of its thread, less that of a bare loop that sleeps as often; each divided by the number of nodes.
"late" is how late a 1 kHz loop begins; loaded: while stress-ng runs (LOAD). "beside" is that of a node
beside a detector that computes 60 ms at a time, compared with that of the node alone. The inference
operator runs models.py's models, beside ONNX Runtime's own call with the same tensors; "over session.run"
is the median over all windows of the difference. The rows that begin with "Python" are python.py's, which
says how they come about.

A row of results.json is

    name, value, unit    value: the p50, or what the name says
    reference            the row that ratio compares with, or null
    ratio                value / reference, unless `budget` says ">=": then how many times faster;
                         in a row whose name ends in p99, of the windows' p99s
    budget, ok           what ratio (or, without a reference, value) must be; null: no budget
    p99, p999, max, samples   or null
"""
import bisect
import contextlib
import glob
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter

import models
import plot
import python

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests"))
import python_test  # noqa: E402: finds interpreters and builds the module

BUILD = os.path.join(os.path.dirname(HERE), "build", "bench")
QUICK = os.environ.get("QUICK", "0") not in ("", "0")
INSTALL = os.environ.get("INSTALL", "0") not in ("", "0") or (os.geteuid() == 0 and not QUICK)
CC = os.environ.get("CC", "gcc").split()
CXX = os.environ.get("CXX", "g++").split()
FLAGS = ["-O2"]
REPEATS = 1 if QUICK else 3
LATE = {", idle": "idle", ", loaded": "while stress-ng runs", ", FIFO, idle": "SCHED_FIFO, idle",
        ", FIFO, loaded": "SCHED_FIFO, while stress-ng runs"}
LOAD = ["stress-ng", "--quiet", "--timeout", "300", "--cpu", "2", "--switch", "1", "--vm", "1",
        "--vm-bytes", "64M"]
PACKAGES = {  # a header, or a program, and the Debian packages that have it
    "boost/lockfree/spsc_queue.hpp": ["libboost-dev"],
    "ck_ring.h": ["libck-dev"],
    "readerwriterqueue/readerwriterqueue.h": ["libreaderwriterqueue-dev"],
    "atomic_queue/atomic_queue.h": ["libatomic-queue-dev"],
    "iceoryx_binding_c/api.h": ["iceoryx", "libiceoryx-binding-c-dev"],
    "cyclictest": ["rt-tests"],
    "stress-ng": ["stress-ng"],
}
ROUDI_CONFIG = """[general]
version = 1
[[segment]]
""" + "".join("[[segment.mempool]]\nsize = %d\ncount = 32\n" % n
              for n in (1024, 65536, 1048576, 8388608))


def say(text=""):
    print(text, flush=True)


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def cpu_name():
    try:
        with open("/proc/cpuinfo") as f:
            for line in f:
                if line.lower().startswith(("model name", "hardware")):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def two_cpus():
    """Two allowed CPUs, on different cores if there are such."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        sys.exit("bench: needs two CPUs, may use only %s" % cpus)

    def core(cpu):
        try:
            with open("/sys/devices/system/cpu/cpu%d/topology/thread_siblings" % cpu) as f:
                return f.read().strip()
        except OSError:
            return str(cpu)
    return cpus[0], next((c for c in cpus[1:] if core(c) != core(cpus[0])), cpus[1])


def iceoryx_include():  # Debian puts the version into the path
    return (sorted(glob.glob("/usr/include/iceoryx/v*")) or ["/usr/include/iceoryx/v2"])[-1]


def have(header):
    if not header.endswith((".h", ".hpp")):
        return shutil.which(header) is not None
    test = subprocess.run(CXX + ["-isystem", iceoryx_include(), "-xc++", "-E", "-o", os.devnull, "-"],
                          input="#include <%s>\n" % header, text=True, stderr=subprocess.DEVNULL)
    return test.returncode == 0


def find_peers():
    missing = [h for h in PACKAGES if not have(h)]
    packages = sum((PACKAGES[h] for h in missing), [])
    if packages and INSTALL and shutil.which("apt-get"):
        sudo = [] if os.geteuid() == 0 else ["sudo"]
        say("installing " + " ".join(packages))
        install = sudo + ["apt-get", "install", "-y", "-qq"] + packages
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        if subprocess.run(install, **quiet).returncode != 0:
            subprocess.run(sudo + ["apt-get", "update", "-qq"], **quiet)
            subprocess.run(install, **quiet)
        missing = [h for h in PACKAGES if not have(h)]
    for h in missing:
        say("skipped, not installed: %s   (apt-get install -y %s)" % (h, " ".join(PACKAGES[h])))
    return [h for h in PACKAGES if h not in missing]


def compile_seconds(command):
    start = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - start


def build(peers):
    """Compiles everything; returns the compile times, which are results themselves."""
    os.makedirs(BUILD, exist_ok=True)

    def path(name):
        return os.path.join(BUILD, name)
    std = "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n"
    for name, text in (("std.c", std + "int x;\n"),
                       ("api.c", std + '#include "../../horus.h"\nint x;\n'),
                       ("horus.c", '#define HORUS_IMPLEMENTATION\n#include "../../horus.h"\n')):
        with open(path(name), "w") as f:
            f.write(text)
    c = CC + ["-std=c11"] + FLAGS + ["-c", "-o"]
    times = {"std": [], "api": [], "implementation": []}
    for i in range(3 if QUICK else 15):
        times["std"].append(compile_seconds(c + [path("std.o"), path("std.c")]))
        times["api"].append(compile_seconds(c + [path("api.o"), path("api.c")]))
    for i in range(1 if QUICK else 3):
        times["implementation"].append(compile_seconds(c + [path("horus.o"), path("horus.c")]))
    iceoryx = any("iceoryx" in h for h in peers)
    subprocess.run(c + [path("bench.o"), os.path.join(HERE, "bench.c")]
                   + (["-DWITH_ICEORYX"] if iceoryx else []), check=True)
    subprocess.run(CXX + ["-std=c++17"] + FLAGS
                   + ["-c", "-o", path("peers.o"), os.path.join(HERE, "peers.cpp")], check=True)
    objects = [path(o) for o in ("bench.o", "horus.o", "peers.o")]
    if iceoryx:
        subprocess.run(c + [path("peers_iceoryx.o"), os.path.join(HERE, "peers_iceoryx.c"),
                            "-isystem", iceoryx_include()], check=True)
        objects += [path("peers_iceoryx.o"), "-liceoryx_binding_c"]
    subprocess.run(CXX + ["-o", path("bench")] + objects + ["-pthread", "-ldl"], check=True)
    return times


def build_module():
    """The Python module, for an interpreter that has its headers: that interpreter, or None."""
    found = python_test.interpreters()
    interpreter = found[python_test.home_of(found)] if found else None
    folder = os.path.join(BUILD, "python")
    if interpreter is None or python_test.build(interpreter, folder, ["-O0"] if QUICK else []) != 0:
        say("skipped, %s: the Python module" % ("not built, see %s.build.log" % folder if interpreter
                                                else "no CPython with its headers"))
        return None
    os.environ["PYTHONPATH"] = folder
    return interpreter


def find_runtime():
    """Points ORT_DYLIB_PATH to ONNX Runtime's library, as tests/run.sh does. False: there is none."""
    if os.environ.get("ORT_DYLIB_PATH"):
        return True
    root = os.path.dirname(HERE)
    places = ["build/python/frameworks", "build/onnxrt", ".venv"]

    def found():
        return [f for place in places for f in sorted(glob.glob(os.path.join(
            root, place, "lib/python*/site-packages/onnxruntime/capi/libonnxruntime.so.1*")))]
    if not found() and INSTALL:
        venv, quiet = os.path.join(root, "build", "onnxrt"), {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([sys.executable, "-m", "venv", venv], **quiet)
        subprocess.run([os.path.join(venv, "bin", "pip"), "install", "-q", "--no-deps", "onnxruntime"], **quiet)
    if not found():
        say("skipped, not installed: ONNX Runtime   (ORT_DYLIB_PATH, or pip install onnxruntime into .venv)")
        return False
    os.environ["ORT_DYLIB_PATH"] = found()[0]
    return True


def may_be_realtime():
    """As bench.c and HORUS_REALTIME_OR_FAIL ask for it."""
    ask = ("import os, ctypes as c; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(80)); "
           "exit(c.CDLL(None).mlockall(7))")
    may = subprocess.run([sys.executable, "-c", ask], stderr=subprocess.DEVNULL).returncode == 0
    if not may:
        say("skipped, not permitted: SCHED_FIFO and locked memory   (ulimit -r 99 -l unlimited)")
    return may


class Load:
    """How busy the machine was with other things."""

    def __init__(self):
        self.jiffies, self.ours, self.when = self.read(), self.used(), time.monotonic()

    @staticmethod
    def read():
        try:
            with open("/proc/stat") as f:
                return [int(x) for x in f.readline().split()[1:9]]
        except OSError:
            return [0] * 8

    @staticmethod
    def used():
        t = os.times()
        return t.user + t.system + t.children_user + t.children_system

    def report(self):
        busy = [b - a for a, b in zip(self.jiffies, self.read())]
        hz = os.sysconf("SC_CLK_TCK")
        seconds = time.monotonic() - self.when
        others = (sum(busy[:3]) + sum(busy[5:7])) / hz - (self.used() - self.ours)
        return 100 * max(0.0, others) / seconds, 100 * busy[7] / hz / seconds


def wait_for_quiet():
    for i in range(60):
        load = Load()
        time.sleep(0.5)
        if load.report()[0] <= 5:
            return
        time.sleep(0.5)


@contextlib.contextmanager
def iceoryx_daemon():
    config = os.path.join(BUILD, "roudi.toml")
    with open(config, "w") as f:
        f.write(ROUDI_CONFIG)
    roudi = subprocess.Popen(["iox-roudi", "-c", config], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True)
    try:
        if not any("ready" in line for line in roudi.stdout):
            raise OSError("iox-roudi does not start")
        yield
    finally:
        roudi.terminate()
        roudi.wait()


@contextlib.contextmanager
def stress():
    load = subprocess.Popen(LOAD, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=BUILD)
    try:
        time.sleep(0.2 if QUICK else 1)
        yield
        if load.poll() is not None:
            raise OSError("stress-ng has ended")
    finally:
        load.terminate()
        load.wait()


class Samples:
    """All windows of one subject."""

    def __init__(self):
        self.counts, self.windows, self.ratios, self.received = Counter(), [], [], []
        self.tails, self.tail_ratios = [], []  # p99
        self.over = []  # more than the floor

    @staticmethod
    def percentile(pairs, p):
        total, sums = 0, []
        for _, count in pairs:
            total += count
            sums.append(total)
        return pairs[bisect.bisect_left(sums, p * total)][0]

    def add(self, line):
        for ticks, count in line["hist"]:
            self.counts[ticks * line["unit_ns"]] += count
        value = line.get("value")
        if value is None:
            value = self.percentile(line["hist"], 0.5) * line["unit_ns"]
        self.windows.append(value)
        self.tails.append(self.percentile(line["hist"], 0.99) * line["unit_ns"])
        if "received" in line:
            self.received.append(line["received"])
        return value, self.tails[-1]

    def summary(self):
        pairs = sorted(self.counts.items())
        if not pairs:
            return {}
        return {"p50": self.percentile(pairs, 0.5), "p99": self.percentile(pairs, 0.99),
                "p999": self.percentile(pairs, 0.999), "max": pairs[-1][0],
                "samples": sum(self.counts.values())}


class Bench:
    def __init__(self, cpus):
        self.cpus = [str(c) for c in cpus]
        self.samples, self.pairs, self.rss = {}, {}, {}
        self.failed, self.loads, self.disturbed = [], [], 0

    def quietly(self, what, run):
        """What `run` returns when nothing else ran; during what did, it is run again. None: it failed."""
        for attempt in range(1 if QUICK else 4):
            if not QUICK:
                wait_for_quiet()
            load = Load()
            try:
                result = run()
            except (subprocess.SubprocessError, OSError, ValueError) as e:
                self.failed.append("%s: %s" % (what, e))
                return None
            others, stolen = load.report()
            if others <= 5:
                break
            self.disturbed += 1
        self.loads.append((others, stolen))
        return result

    def measure(self, group, windows, scale, label="", around=None, command=None):
        """Runs a group. label: added to its names; around: what runs meanwhile; command: instead of bench."""
        command = command or [os.path.join(BUILD, "bench"), group, str(windows), str(scale)] + self.cpus

        def run():
            with around() if around else contextlib.nullcontext():
                done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                done.returncode and sys.stderr.write(done.stderr)
                done.check_returncode()
            return [json.loads(line) for line in done.stdout.splitlines()]
        lines = self.quietly(group + label, run)
        for line in lines or []:
            line["name"] += label
        if lines:
            self.take(lines, group)

    def take(self, lines, group):
        """A subject's window is compared with the floors around it."""
        if group == "idle":
            self.rss.setdefault(lines[0]["name"], []).append(lines[0]["rss_kb"])
            return
        values, tails = zip(*[self.samples.setdefault(x["name"], Samples()).add(x) for x in lines])
        floors = [i for i, x in enumerate(lines) if x["name"].startswith("floor")]
        for i, x in enumerate(lines):
            if floors and i not in floors:
                around = bisect.bisect(floors, i)
                floor = [values[k] for k in floors[max(0, around - 1):around + 1]]
                self.samples[x["name"]].ratios.append(values[i] / statistics.mean(floor))
                self.samples[x["name"]].over.append(values[i] - statistics.mean(floor))
                floor = [tails[k] for k in floors[max(0, around - 1):around + 1]]
                self.samples[x["name"]].tail_ratios.append(tails[i] / statistics.mean(floor))
        if group in ("image", "iceoryx", "stream"):  # each against every other of the same round
            size = len(lines) // sum(x["name"] == lines[1]["name"] for x in lines)
            for first in range(0, len(lines) - 1, size):
                these = [i for i in range(first, first + size) if group == "stream" or i not in floors]
                for i in these:
                    for k in these:
                        pair = self.pairs.setdefault((lines[k]["name"], lines[i]["name"]), [])
                        pair.append(values[k] / values[i])
        if group == "alloc":  # fresh and worn take turns
            for i, x in enumerate(lines):
                if "worn" in x["name"]:
                    self.samples[x["name"]].ratios.append(values[i] / values[i - 1])


def rounded(x):
    return float("%.5g" % x) if isinstance(x, float) else x


def rows_of(b, times, machine, module):
    rows = []
    get = b.samples.get

    def holds(value, budget):
        bound = float(budget.split()[2])
        return value >= bound if budget.split()[1] == ">=" else value <= bound

    def row(name, value, unit, reference=None, ratio=None, budget=None, more=None):
        more = more or {}
        if value is None:
            return
        measured = ratio if budget and budget.startswith("ratio") else value
        value, ratio = rounded(value), rounded(ratio)
        more = {k: rounded(v) for k, v in more.items()}
        rows.append({"name": name, "value": value, "unit": unit, "reference": reference,
                     "ratio": ratio, "budget": budget,
                     "ok": holds(measured, budget) if budget and measured is not None else None,
                     "p99": more.get("p99"), "p999": more.get("p999"), "max": more.get("max"),
                     "samples": more.get("samples")})

    def timed(name, reference=None, budget=None, unit="ns", divide=1, value=None, less=0):
        s = get(name)
        if s is None:
            return None
        m = {k: v if k == "samples" else v / divide - less for k, v in s.summary().items()}
        ratio = statistics.median(s.ratios) if reference and s.ratios else None
        row(name, m["p50"] if value is None else value, unit, reference, ratio, budget, m)
        return m["p50"]

    row("machine", machine, "")
    floor = timed("floor: one line")
    # bare times are budgeted for a machine whose floor is 70 ns, and scale with it
    slow = max(1, floor / 70) if floor else 1
    for size, budget in ((8, "ratio <= 1.25"), (40, "ratio <= 1.25"), (64, None)):
        timed("hop: %d bytes" % size, "floor: one line", budget)
    sizes = ("64 KB", "1 MB", "8 MB")
    for size in sizes:
        timed("image: " + size, "floor: one line", "ratio <= 3")
    if all(get("image: " + s) for s in sizes):
        spread = max(statistics.median(b.pairs["image: " + x, "image: " + y]) for x in sizes for y in sizes)
        row("image: spread of the sizes", 100 * (spread - 1), "%", budget="value <= 5")
    for size in sizes:
        timed("iceoryx: " + size, "floor: one line")
        if get("iceoryx: " + size):
            faster = statistics.median(b.pairs["iceoryx: " + size, "image: " + size])
            row("image: %s, times as fast as iceoryx" % size, faster, "x", "iceoryx: " + size,
                faster, "ratio >= 4")

    streams = ["floor: stream", "stream: reliable", "stream: overwrite"]
    peers = sorted({a for a, other in b.pairs if other == streams[0]} - set(streams))
    for name in streams + peers:
        if get(name):
            timed(name, None if name == streams[0] else streams[0],
                  value=statistics.median(get(name).windows))
    if peers and get(streams[1]):
        best = min(peers, key=lambda p: statistics.median(get(p).windows))
        for name, budget in ((streams[1], "ratio >= 3"), (streams[2], None)):
            faster = statistics.median(b.pairs[best, name])
            row(name + ", times as fast as the best peer", faster, "x", best, faster, budget)
        row("stream: overwrite, part received", 100 * statistics.mean(get(streams[2]).received), "%")

    timed("floor: futex")
    timed("wake-up", "floor: futex", "ratio <= 1.2")

    callback = timed("floor: a callback")
    asleep = get("floor: a sleep, processor time")
    if callback and asleep:
        timed("floor: a sleep, processor time")
        for nodes in (1, 10, 100, 1000):
            name = "tick: %d node%s" % (nodes, "s" if nodes > 1 else "")
            budget = "value <= %.1f" % (100 * slow) if nodes == 100 else None
            timed(name, None, budget, less=callback)
            name += ", processor time"
            net = [a - f / nodes for a, f in zip(get(name).windows, asleep.windows)]
            row(name, statistics.median(net), "ns", budget=budget, more={"samples": len(net)})

    def late(name, floor=None, budget=None):
        """A row of all, and one that compares the windows' p99s."""
        s = get(name)
        if s is None or floor and not s.ratios:
            return
        timed(name, floor, None, "us", 1e3)
        row(name + ", p99", s.summary()["p99"] / 1e3, "us", floor and floor + ", p99",
            statistics.median(s.tail_ratios) if floor else None, budget)

    for label in LATE:
        late("floor: sleep" + label)
        late("late: 1 kHz node" + label, "floor: sleep" + label, "ratio <= 1.1")
        late("late: cyclictest" + label, "floor: sleep" + label)
    for label in ("", ", FIFO"):
        late("floor: C node alone" + label)
        late("beside: C node, compute node" + label, "floor: C node alone" + label, "ratio <= 1.2")
    late("floor: Python node alone")
    for name, budget in (("detector's process", "ratio <= 1.2"),
                         ("compute node without the GIL", "ratio <= 1.2"),
                         ("compute node in pure Python", None)):
        late("beside: Python node, " + name, "floor: Python node alone", budget)

    for size in ("small", "640x640x3"):
        bare = "floor: session.run, " + size
        timed(bare)
        for how, budget in (("set and execute", "value <= %.0f" % (2000 * slow)), ("over topics", None)):
            name = "infer: %s, %s" % (how, size)
            timed(name, bare)
            if get(name):
                row(name + ", over session.run", statistics.median(get(name).over), "ns", budget=budget,
                    more={"samples": len(get(name).over)})
    if get("infer: two models, parallel"):
        timed("floor: two models, in sequence", unit="us", divide=1e3)
        timed("infer: two models, parallel", "floor: two models, in sequence", unit="us", divide=1e3)
        faster = 1 / statistics.median(get("infer: two models, parallel").ratios)
        row("infer: two models, parallel, times as fast as in sequence", faster, "x",
            "floor: two models, in sequence", faster)

    if floor:
        for size in ("4 KB", "900 KB"):
            fresh = "alloc+release: " + size
            timed(fresh, None, "value <= %.1f" % (60 * slow))
            # 5 %: what two equal pools differ by
            timed(fresh + ", worn pool", fresh, "ratio <= 1.05")

    for name in ("open: first into a namespace", "open: joining", "open: a topic",
                 "open: a named pool"):
        timed(name, None, "value <= %.1f" % slow, "ms", 1e6)
    if len(b.rss) == 2:
        grown = statistics.median(b.rss["idle"]) - statistics.median(b.rss["bare"])
        row("memory of an idle participant", grown / 1024, "MB", budget="value <= 2")
    module.rows(row, slow)
    median = {k: statistics.median(v) for k, v in times.items()}
    row("compile: the API over the std headers", 1e3 * (median["api"] - median["std"]), "ms",
        budget="value <= %.1f" % (10 * slow), more={"samples": len(times["api"])})
    row("compile: the implementation at -O2", median["implementation"], "s",
        budget="value <= %.1f" % (4 * slow), more={"samples": len(times["implementation"])})
    return rows


def number(x):
    if x is None:
        return "-"
    if x != x or isinstance(x, int):
        return str(x)
    return "%.0f" % x if abs(x) >= 1000 else "%.1f" % x if abs(x) >= 10 else "%.2f" % x


def table(rows):
    line = "%-78s %8s %8s %8s %9s  %-3s %9s  %6s  %-14s %s"
    say(line % ("", "p50", "p99", "p99.9", "max", "", "samples", "ratio", "budget", ""))
    for r in rows:
        if r["name"] == "machine":
            continue
        say(line % (r["name"], number(r["value"]), number(r["p99"]), number(r["p999"]),
                    number(r["max"]), r["unit"], number(r["samples"]), number(r["ratio"]),
                    r["budget"] or "", {True: "ok", False: "MISSED", None: ""}[r["ok"]]))


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def svg(rows):
    """Bars of ratios, a panel per comparison, on a card of their own in light and dark."""
    by_name = {r["name"]: r for r in rows}
    peers = sorted((r for r in rows if r["reference"] == "floor: stream"
                    and not r["name"].startswith("stream")), key=lambda r: r["value"])
    marks = {r["name"]: float(r["budget"].split()[2]) for r in rows
             if (r["budget"] or "").startswith("ratio <=")}
    if peers and peers[0]["ratio"]:
        marks["stream: reliable"] = peers[0]["ratio"] / 3
    panels = [
        ("One message, one way between two processes", "times a bare cache-line ping-pong",
         ["floor: one line", "hop: 8 bytes", "hop: 40 bytes", "hop: 64 bytes"]),
        ("One image, one way: alloc, send, receive, release", "times the same ping-pong",
         ["floor: one line"] + [kind + size for size in ("64 KB", "1 MB", "8 MB")
                                for kind in ("image: ", "iceoryx: ")]),
        ("64-byte messages, streaming", "times a bare ring of cache lines",
         ["floor: stream", "stream: reliable", "stream: overwrite"] + [r["name"] for r in peers]),
        ("Waking a blocked subscriber", "times a bare futex", ["floor: futex", "wake-up"]),
    ] + [("How late a 1 kHz node begins, p99, %s" % title, "times a bare sleeping loop",
          [kind + label + ", p99" for kind in ("floor: sleep", "late: 1 kHz node", "late: cyclictest")])
         for label, title in LATE.items()]
    out, y, width, left, bar = [], 64, 760, 210, 340
    for title, unit, names in panels:
        shown = [by_name[n] for n in names if n in by_name]
        if len(shown) < 2:
            continue
        top = max([r["ratio"] or 1 for r in shown] + [marks.get(r["name"], 0) for r in shown])
        out.append('<text x="24" y="%d" class="h">%s</text>' % (y, escape(title)))
        out.append('<text x="%d" y="%d" class="s" text-anchor="end">%s</text>'
                   % (width - 24, y, escape(unit)))
        y += 12
        for r in shown:
            ratio = r["ratio"] or 1.0
            kind = ("f" if r["name"].startswith("floor") else
                    "o" if r["name"].startswith(("hop", "image", "stream", "wake", "late: 1")) else "p")
            label = r["name"].replace("floor: ", "").replace("image: ", "horus, ")
            for ending in sorted(LATE, key=len, reverse=True):
                label = label.replace(ending + ", p99", "")
            label = label.replace("hop: ", "horus, ").replace("stream: ", "horus, ")
            label = {"one line": "bare ping-pong", "stream": "bare ring", "futex": "bare futex",
                     "wake-up": "horus", "sleep": "bare loop", "late: 1 kHz node": "horus",
                     "late: cyclictest": "cyclictest"}.get(label, label).replace("iceoryx: ", "iceoryx, ")
            out.append('<text x="%d" y="%d" text-anchor="end">%s</text>'
                       % (left - 10, y + 13, escape(label)))
            length = max(2.0, bar * ratio / top)
            out.append('<rect x="%d" y="%d" width="%.1f" height="14" rx="2" class="%s"/>'
                       % (left, y + 2, length, kind))
            end = left + length
            if r["name"] in marks:
                at = left + bar * marks[r["name"]] / top
                out.append('<path d="M%.1f %dv18" class="b"/>' % (at, y))
                end = max(end, at)
            out.append('<text x="%.1f" y="%d" class="v">%s</text>'
                       % (end + 8, y + 13, "%s\u00d7 \u00b7 %s %s" % (
                           number(ratio), number(r["value"]), r["unit"])))
            y += 20
        y += 26
    machine = by_name["machine"]["value"]
    head = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" '
        'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" '
        'font-size="13">' % (width, y + 14, width, y + 14),
        '<style>.c{fill:#fff;stroke:#d0d7de}text{fill:#1f2328}.h{font-weight:600;font-size:14px}'
        '.s,.v{fill:#59636e}.s{font-size:12px}.o{fill:#0f6fc5}.p{fill:#b6bec8}.f{fill:#7d8794}'
        '.b{stroke:#d1242f;stroke-width:2}'
        '@media(prefers-color-scheme:dark){.c{fill:#0d1117;stroke:#3d444d}text{fill:#f0f6fc}'
        '.s,.v{fill:#9198a1}.o{fill:#4493f8}.p{fill:#4b535d}.f{fill:#828b96}.b{stroke:#f85149}}'
        '</style>',
        '<rect x=".5" y=".5" width="%d" height="%d" rx="8" class="c"/>' % (width - 1, y + 13),
        '<text x="24" y="32" class="s">p50, or what the title says; shorter is better. The red mark is '
        'the budget.</text>']
    tail = ['<text x="24" y="%d" class="s">%s</text>' % (y - 4, escape(machine)), "</svg>"]
    return "\n".join(head + out + tail) + "\n"


def late_panels(b):
    """Of plot.py."""
    panels = []
    for label, title in LATE.items():
        found = [(name, kind, b.samples.get(s + label)) for name, kind, s in (
            ("bare loop", "f", "floor: sleep"), ("cyclictest", "p", "late: cyclictest"),
            ("horus", "o", "late: 1 kHz node"))]
        curves = [(name, kind, s.counts, s.summary()["p99"]) for name, kind, s in found if s]
        if curves:
            panels.append((title[0].upper() + title[1:], curves))
    return panels


def main():
    os.environ.pop("HORUS_DIR", None)
    os.environ.pop("HORUS_GROUP", None)
    cpus = two_cpus()
    peers = find_peers()
    compiler = output(*CC, "--version").splitlines()[0]
    machine = "%s; Linux %s; %s; %s" % (cpu_name(), platform.release(), compiler, " ".join(FLAGS))
    say("horus benchmark" + (" (QUICK: too short to judge by)" if QUICK else ""))
    say("CPU       %s, cores %d and %d" % (cpu_name(), *cpus))
    say("kernel    %s" % platform.release())
    say("compiler  %s" % compiler)
    say("streams   two processes; two threads where a row says so")
    say("flags     %s; horus.h in a file of its own, no link-time optimisation" % " ".join(FLAGS))
    os.sched_setaffinity(0, cpus)
    times = build(peers)
    interpreter, realtime, runtime = build_module(), may_be_realtime(), find_runtime()
    os.environ["BENCH_MODELS"] = BUILD
    models.write(BUILD)
    b = Bench(cpus)
    module = python.Python(interpreter, cpus[1], QUICK)
    scale, n = (0.1, 2) if QUICK else (1, 7)
    for i in range(REPEATS):
        for group in ("hop", "stream", "wake", "alloc", "open"):
            b.measure(group, n, scale)
        b.measure("idle", 0, scale)
        b.measure("idle", 1, scale)
        if any("iceoryx" in h for h in peers) and shutil.which("iox-roudi"):
            b.measure("iceoryx", n, scale, around=iceoryx_daemon)
        else:
            b.measure("image", n, scale)
        if module.ours:
            module.take(b.quietly("python", lambda: module.measure(1 if QUICK else 3)))
    b.measure("tick", n, scale)
    for group in ("infer_small", "infer_image", "infer_two") if runtime else ():
        b.measure(group, n, scale)
    for fifo in ("", "_fifo") if realtime else ("",):
        label = ", FIFO" if fifo else ""
        b.measure("late" + fifo, n, scale, label + ", idle")
        if "stress-ng" in peers:
            b.measure("late" + fifo, n, scale, label + ", loaded", stress)
        b.measure("beside" + fifo, n, scale, label)
    if interpreter:
        b.measure("Python beside", n, scale,
                  command=[interpreter, os.path.join(HERE, "beside.py"), str(n), str(2 * scale)])
    if b.loads:
        say("load      at most %.1f %% of a CPU by other programs, %.1f %% taken by the host;"
            " %d groups run again" % (*map(max, zip(*b.loads)), b.disturbed))
    say()
    rows = rows_of(b, times, machine, module)
    for what in module.missing:
        say("skipped, not installed: " + what)
    if module.ours and module.unmeasured:
        say("not measured: " + "; ".join(module.unmeasured))
    table(rows)
    held = [r["ok"] for r in rows if r["ok"] is not None]
    say("\n%d of %d budgets hold" % (sum(held), len(held)))
    for group in b.failed:
        say("FAILED: " + group)
    where = BUILD if QUICK else HERE
    late = late_panels(b)
    for name, text in (("results.json", "[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n"),
                       ("results.svg", svg(rows)), ("latency.svg", plot.svg(late, machine)),
                       ("latency.png", plot.png(late, machine))):
        with open(os.path.join(where, name), "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        say("wrote " + os.path.relpath(os.path.join(where, name), os.getcwd()))
    return 1 if b.failed else 0


if __name__ == "__main__":
    sys.exit(main())
