#!/usr/bin/env python3
"""Measures the Python module against NumPy, PyTorch, msgpack, pickle and the package whose programs run on it.

    python3 bench/python.py         a minute, once the environments of tests/python_test.py are there
    QUICK=1                         seconds

Ours and the package's calls alternate, window by window, on one core, each in a process of its own. A figure is
the median of the windows' minima; a ratio is the median over the windows of the two minima of a window."""
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(ROOT, "tests"))
import python_test as setup

WINDOWS = 3 if os.environ.get("QUICK") else 9
BUDGETS = [  # row, what it is compared with (None: the package's same call), the ratio that it must not exceed
    ("to_numpy", "array.view()", 2.0), ("np.from_dlpack(image)", "np.from_dlpack(array)", 1.5),
    ("to_torch", "torch.from_numpy", 1.0), ("to_numpy", "array interface", 0.1), ("typed", None, 0.5),
    ("dict v", None, 0.2), ("dict xyz", None, 0.2), ("dict 100", None, 0.2), ("image", None, None),
    ("to_numpy", None, None), ("np.asarray(image)", "np.from_dlpack(array)", None),
    ("dict v", "msgpack v", None), ("dict xyz", "msgpack xyz", None), ("dict 100", "msgpack 100", None),
    ("dict v", "pickle v", None), ("dict xyz", "pickle xyz", None), ("dict 100", "pickle 100", None),
    ("to_numpy", "np.copy 640x480", None), ("from_numpy 160x120", "np.copy 160x120", None),
    ("from_numpy 640x480", "np.copy 640x480", None), ("from_numpy 1920x1080", "np.copy 1920x1080", None),
    ("from_numpy 3840x2160", "np.copy 3840x2160", None), ("hop typed", None, 1 / 1.5), ("hop image", None, 1 / 1.5),
    ("tick, 1 real", None, 0.5), ("tick, 10 real", None, 0.5), ("tick, 100 real", None, 0.5), ("tick, 1", "tick, 100", None),
    ("tick, 10", "tick, 100", None), ("tick, 1000", "tick, 100", None), ("tick, 100", "tick, 100", None)]
ABSOLUTE = {"to_torch": 1200, "typed": 160, "dict v": 300, "dict xyz": 420, "tick, 100": 300}


class Worker:
    def __init__(self, python, core, **env):
        self.process = subprocess.Popen([python, os.path.join(HERE, "python_worker.py"), str(core)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        env=dict(os.environ, HORUS_NAMESPACE=f"bench.{os.getpid()}", **env))
        while self.process.stdout.readline() not in ("ready\n", ""):
            pass
        self.names = self.ask("?").strip().split("\t")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def measure(self, name):
        values = [float(n) for n in self.ask(name).split()] if name in self.names else []
        return min((v for v in values if v == v), default=None)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    found = setup.interpreters()
    home = found.get((3, 11, 0)) or next(iter(found.values()))
    os.makedirs(setup.BUILD, exist_ok=True)
    folder = os.path.join(setup.BUILD, "bench")
    if setup.build(home, folder) != 0:
        print("the module cannot be built; see", folder + ".build.log")
        return 1
    ours_python = os.path.join(setup.BUILD, "frameworks", "bin", "python")
    if not os.path.exists(ours_python):
        ours_python = setup.environment(home, os.path.join(setup.BUILD, "venv3.11"), ["numpy"])
    theirs_python = setup.environment(home, os.path.join(setup.BUILD, "package"), ["horus-robotics==0.4.1", "numpy"])
    core = max(os.sched_getaffinity(0))
    ours = Worker(ours_python, core, PYTHONPATH=folder)
    theirs = Worker(theirs_python, core) if theirs_python else None
    wanted = sorted({r for r, _, _ in BUDGETS} | {r for _, r, _ in BUDGETS if r})
    seen = {}
    for _ in range(WINDOWS):
        for name in wanted:
            a = ours.measure(name)
            b = theirs.measure(name) if theirs and any(r == name and o is None for r, o, _ in BUDGETS) else None
            seen.setdefault(name, []).append((a, b))
    ours.end()
    if theirs:
        theirs.end()
    rows = []
    print(f"{'call':24} {'ns':>9}   {'compared with':28} {'ns':>9} {'ratio':>7}  budget")
    for name, other, budget in BUDGETS:
        mine = [a for a, _ in seen[name]]
        against = [b for _, b in seen[name]] if other is None else [a for a, _ in seen[other]]
        if None in mine or None in against:
            print(f"{name:24} not measured: {other or 'the package'} is not there")
            continue
        ratio = statistics.median(a / b for a, b in zip(mine, against))
        ns, ref = statistics.median(mine), statistics.median(against)
        ok = budget is None or ratio <= budget
        label = other or "horus-robotics 0.4.1"
        print(f"{name:24} {ns:9.0f}   {label:28} {ref:9.0f} {ratio:7.3f}  " +
              ("" if budget is None else f"{budget:g} {'ok' if ok else 'MISSED'}") +
              (f"   at most {ABSOLUTE[name]} ns" if name in ABSOLUTE and (other is None or name in ("to_torch", "tick, 100")) else ""))
        rows.append({"name": name, "value": ns, "unit": "ns", "reference": label, "ratio": ratio, "budget": budget, "ok": ok})
    out = os.path.join(setup.BUILD, "bench.json")
    with open(out, "w") as file:
        json.dump(rows, file, indent=1)
    print("written:", os.path.relpath(out, ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
