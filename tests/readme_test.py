#!/usr/bin/env python3
"""README's C programs are the example files, word for word; its shell lines build and run them; the module that its
gcc line makes runs its Python programs; its two commands exist; its figures are those of bench/results.json."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import python_test as setup

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
results = []


def check(name, good, why=""):
    results.append(bool(good))
    print("%s %s%s" % ("ok    " if good else "FAILED", name, "" if good else ": " + str(why)))


def read(*path):
    with open(os.path.join(ROOT, *path)) as f:
        return f.read()


def python_programs(readme, work):
    """The gcc line makes the module for a Python that has NumPy, and each program runs on it."""
    found = setup.interpreters()
    check("a CPython with its headers is there", found)
    if not found:
        return
    home = setup.home_of(found)
    os.makedirs(setup.BUILD, exist_ok=True)
    python = setup.environment(found[home], os.path.join(setup.BUILD, "venv%d.%d" % home[:2]), ["numpy"])
    check("NumPy is installed for it", python)
    line = re.search(r"^    (gcc [^\n]*PYTHON[^\n]*\\\n[^\n]*)$", readme, re.M).group(1)
    config = os.path.join(os.path.dirname(os.path.realpath(found[home])), "python3-config")
    line = line.replace("python3-config", config if os.path.exists(config) else "python3-config")
    os.symlink(os.path.join(ROOT, "horus_python.h"), os.path.join(work, "horus_python.h"))
    built = subprocess.run(line, shell=True, cwd=work, capture_output=True, text=True)
    check("the gcc line makes the module", built.returncode == 0, built.stderr[:500])
    programs = re.findall(r"```python\n(.*?)```", readme, re.S)
    check("README shows Python programs", len(programs) >= 2, len(programs))
    said = [r"Image\(height=480, width=640, .*\) 0\.0", r"\d+ ticks, \d+ skipped, p99 \d+ us late"]
    for i, (program, wanted) in enumerate(zip(programs, said)):
        run = subprocess.run([python, "-c", program], cwd=work, capture_output=True, text=True, timeout=120,
                             env=dict(os.environ, HORUS_NAMESPACE="readme-%d.%d" % (os.getpid(), i), PYTHONPATH=work))
        check("Python program %d runs" % (i + 1), run.returncode == 0, run.stderr[-500:])
        check("it prints what it should", re.fullmatch(wanted, run.stdout.strip()), run.stdout)


def figures(readme):
    """bench/readme.py finds nothing to change, and writes Python's rows where Python is told of."""
    with tempfile.TemporaryDirectory() as work:
        shutil.copytree(os.path.join(ROOT, "bench"), os.path.join(work, "bench"))
        with open(os.path.join(work, "README.md"), "w") as f:
            f.write(readme)

        def written():
            subprocess.run([sys.executable, os.path.join(work, "bench", "readme.py")], check=True)
            with open(os.path.join(work, "README.md")) as f:
                return f.read()
        check("README's figures are those of results.json, all of them", written() == readme)
        rows = [r for r in json.loads(read("bench", "results.json")) if not r["name"].startswith("Python")]
        for name, value in (("Python: to_numpy()", 1234.4), ("Python: ndarray.view()", 4321.4)):
            rows.append({"name": name, "value": value, "unit": "ns", "p99": None, "ratio": None, "reference": None})
        with open(os.path.join(work, "bench", "results.json"), "w") as f:
            json.dump(rows, f)
        text = written()
        place = text.split("<!-- bench python -->")[1].split("<!-- /bench python -->")[0]
        check("Python's rows have their place", re.search(r"^\| `to_numpy\(\)`[^|]*\| 1234 ns \|[^|]*\| 4321 ns \|$",
                                                        place, re.M) and text.count("1234 ns") == 1, place)


def main():
    readme = read("README.md")
    programs = re.findall(r"`(\w+\.c)`:\n\n```c\n(.*?)```", readme, re.S)
    check("README shows two programs", [p for p, _ in programs] == ["hello_pub.c", "hello_sub.c"], programs)
    for name, text in programs:
        example = read("examples", name).split("\n", 1)[1]
        check("%s is the example" % name, text == example)
        check("%s has at most 20 lines" % name, text.count("\n") <= 20, text.count("\n"))
    with tempfile.TemporaryDirectory() as work:
        for name, text in programs:
            with open(os.path.join(work, name), "w") as f:
                f.write(text)
        os.symlink(os.path.join(ROOT, "horus.h"), os.path.join(work, "horus.h"))
        lines = re.findall(r"^    (gcc [^\n]*|\./[^\n]*)$", readme, re.M)
        check("README has a gcc line and a run line", len(lines) >= 2, lines)
        env = dict(os.environ, HORUS_NAMESPACE="readme-%d" % os.getpid())
        built = subprocess.run(lines[0], shell=True, cwd=work, capture_output=True, text=True)
        check("the gcc line builds them", built.returncode == 0, built.stderr[:500])
        run = subprocess.run(lines[1] + "; wait", shell=True, cwd=work, env=env, capture_output=True,
                             text=True, timeout=60, executable="/bin/bash")
        got = re.findall(r"^frame (\d+): 640 x 480 pixels of (\d+)", run.stdout, re.M)
        check("frames arrive", len(got) >= 290, (len(got), run.stderr[:300]))
        numbers = [int(n) for n, _ in got]
        check("in order, none missing", numbers == list(range(numbers[0], numbers[0] + len(numbers)))
              if numbers else False, numbers[:10])
        check("with the right pixels", got and all(int(p) == (int(n) - 1) % 256 for n, p in got))
        python_programs(readme, work)
    make = read("Makefile") + read("examples", "demo.mk")
    commands = re.findall(r"^    make (\w+)", readme, re.M)
    check("README shows exactly two commands", sorted(set(commands)) == ["demo", "test"], commands)
    for c in commands:
        check("make %s exists" % c, re.search(r"^%s:" % c, make, re.M))
    figures(readme)
    rows = {r["name"]: r for r in json.loads(read("bench", "results.json"))}
    for label, name in (("**the floor**", "floor: one line"), ("64-byte message", "hop: 64 bytes")):
        shown = re.search(r"\| %s[^|]*\| (\d+) ns" % re.escape(label), readme)
        check("README's figure of %s is the script's" % name,
              shown and int(shown.group(1)) == round(rows[name]["value"]), shown)
    print("%d passed, %d failed" % (sum(results), len(results) - sum(results)))
    return 0 if all(results) else 1


sys.exit(main())
