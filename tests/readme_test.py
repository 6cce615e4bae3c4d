#!/usr/bin/env python3
"""README's programs are the example files, word for word; its shell lines build and run them; its
two commands exist; its figures are those of bench/results.json."""
import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
results = []


def check(name, good, why=""):
    results.append(bool(good))
    print("%s %s%s" % ("ok    " if good else "FAILED", name, "" if good else ": " + str(why)))


def read(*path):
    with open(os.path.join(ROOT, *path)) as f:
        return f.read()


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
    make = read("Makefile") + read("examples", "demo.mk")
    commands = re.findall(r"^    make (\w+)", readme, re.M)
    check("README shows exactly two commands", sorted(set(commands)) == ["demo", "test"], commands)
    for c in commands:
        check("make %s exists" % c, re.search(r"^%s:" % c, make, re.M))
    rows = {r["name"]: r for r in json.loads(read("bench", "results.json"))}
    for label, name in (("**the floor**", "floor: one line"), ("64-byte message", "hop: 64 bytes")):
        shown = re.search(r"\| %s[^|]*\| (\d+) ns" % re.escape(label), readme)
        check("README's figure of %s is the script's" % name,
              shown and int(shown.group(1)) == round(rows[name]["value"]), shown)
    print("%d passed, %d failed" % (sum(results), len(results) - sum(results)))
    return 0 if all(results) else 1


sys.exit(main())
