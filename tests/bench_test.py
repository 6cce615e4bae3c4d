#!/usr/bin/env python3
"""Runs the benchmark for seconds (QUICK=1) and looks at what it writes: not how fast anything was, but that every
figure is there, that nothing was left out, and that the pictures show it. Ends with "N passed, N failed"."""
import json
import os
import subprocess
import sys
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
OUT = os.path.join(ROOT, "build", "bench")
sys.path[:0] = [HERE, os.path.join(ROOT, "bench")]
import demo_test  # noqa: E402: reads PNG
import plot  # noqa: E402
import python  # noqa: E402

KEYS = ["name", "value", "unit", "reference", "ratio", "budget", "ok", "p99", "p999", "max", "samples"]
WINDOWS, TICKS = 2, 200  # of QUICK: of a subject, of a window at 1 kHz
results = []


def check(what, good, why=""):
    results.append(bool(good))
    print("%s %s%s" % ("ok    " if good else "FAILED", what, "" if good else ": " + str(why)), flush=True)


def check_late(rows, name, windows, ticks, budget=None, floor=None):
    """A row of all samples and one of the p99s, none left out."""
    r, tail = rows.get(name), rows.get(name + ", p99")
    check("%s: each tick is a sample" % name, r and r["samples"] == windows * ticks, r)
    check("%s: p50, p99, p99.9 and max" % name, r and 0 < r["value"] <= r["p99"] <= r["p999"] <= r["max"], r)
    check("%s: its p99 has a row of its own" % name, r and tail and tail["value"] == r["p99"] and tail["unit"] == "us" and
          tail["budget"] == budget and (floor is None or tail["ratio"] > 0 and tail["reference"] == floor + ", p99"), tail)


def main():
    for name in ("results.json", "results.svg", "latency.svg", "latency.png"):
        if os.path.exists(os.path.join(OUT, name)):
            os.unlink(os.path.join(OUT, name))
    done = subprocess.run([sys.executable, os.path.join(ROOT, "bench", "run.py")], env=dict(os.environ, QUICK="1"),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout)
    check("the benchmark runs", done.returncode == 0, done.stdout[-500:])
    with open(os.path.join(OUT, "results.json")) as f:
        listed = json.load(f)
    rows = {r["name"]: r for r in listed}
    check("rows have one format and different names", len(rows) == len(listed) and all(list(r) == KEYS for r in listed),
          [r for r in listed if list(r) != KEYS])
    check("what has a budget is judged", all((r["ok"] is None) == (r["budget"] is None) for r in listed),
          [r["name"] for r in listed if (r["ok"] is None) != (r["budget"] is None)])

    for nodes in ("1 node", "10 nodes", "100 nodes", "1000 nodes"):
        for kind in ("", ", processor time"):
            r = rows.get("tick: " + nodes + kind)
            check("tick: %s%s" % (nodes, kind), r and r["unit"] == "ns" and r["samples"] >= WINDOWS and
                  (r["budget"] or "").startswith("value <=") == (nodes == "100 nodes"), r)
    said = done.stdout

    def absent(what):
        return "skipped, not installed: %s " % what in said
    for size in () if absent("ONNX Runtime") else ("small", "640x640x3"):
        for name in ("floor: session.run, ", "infer: set and execute, ", "infer: over topics, "):
            r = rows.get(name + size)
            check(name + size, r and r["unit"] == "ns" and r["value"] > 0 and r["samples"] >= WINDOWS, r)
        r = rows.get("infer: set and execute, %s, over session.run" % size)
        check("infer: %s, over session.run" % size, r and r["samples"] == WINDOWS and
              r["budget"].startswith("value <="), r)
    r = rows.get("infer: two models, parallel, times as fast as in sequence")
    check("infer: two models", absent("ONNX Runtime") or r and r["value"] > 0 and r["reference"] in rows, r)
    fifo = "skipped, not permitted: SCHED_FIFO" not in said
    for line in said.splitlines():
        if line.startswith(("skipped, not permitted", "skipped, not installed: cyclictest",
                            "skipped, not installed: stress-ng", "skipped, not installed: Python",
                            "skipped, not installed: ONNX Runtime")):
            print("skipped: " + line[len("skipped, "):])
    panels = 0
    for label in [p + w for p in ("", ", FIFO")[:1 + fifo] for w in (", idle", ", loaded")[:2 - absent("stress-ng")]]:
        panels += 1
        floor = "floor: sleep" + label
        check_late(rows, floor, WINDOWS + 1, TICKS)
        check_late(rows, "late: 1 kHz node" + label, WINDOWS, TICKS, "ratio <= 1.1", floor)
        if not absent("cyclictest"):
            check_late(rows, "late: cyclictest" + label, WINDOWS, TICKS, None, floor)
    for label in ("", ", FIFO")[:1 + fifo]:
        check_late(rows, "floor: C node alone" + label, WINDOWS + 1, TICKS)
        check_late(rows, "beside: C node, compute node" + label, WINDOWS, TICKS, "ratio <= 1.2",
                   "floor: C node alone" + label)
    if "the Python module" not in said:
        floor, kept = "floor: Python node alone", TICKS - TICKS // 50
        check_late(rows, floor, 3 * WINDOWS + 1, kept)
        for kind, budget in (("detector's process", "ratio <= 1.2"), ("compute node without the GIL", "ratio <= 1.2"),
                             ("compute node in pure Python", None)):
            check_late(rows, "beside: Python node, " + kind, WINDOWS, kept, budget, floor)
    else:
        print("skipped: Python node: no module")

    if "the Python module" not in said and "skipped, not installed: Python rows:" not in said:
        module = python.Python(None, 0, True)
        module.rows(None, 1)
        optional = ("torch", "jax", "msgpack", python.PACKAGE, "1000 Hz", "preprocess", "yolo_decode", "infer")
        for label in module.unmeasured:
            there = label in rows or label in said and any(word in label for word in optional)
            check("%s is there, or its absence is said" % label, there)
        for r in listed:
            if r["name"].startswith(("Python: ", python.PACKAGE)):
                check("%s: what it is compared with is a row" % r["name"], r["reference"] is None or
                      r["reference"] in rows and r["ratio"] is not None, r)

    for name in ("results.svg", "latency.svg"):
        svg = xml.etree.ElementTree.parse(os.path.join(OUT, name)).getroot()
        check("%s is one" % name, svg.tag.endswith("svg"), svg.tag)
    curves = [c.get("d").count("L") for c in svg.iter() if c.get("class") == "o" and c.tag.endswith("path")]
    check("latency.svg: a legend and a curve of horus in each panel", len(curves) == 2 * panels and
          sum(n >= 3 for n in curves) == panels, curves)
    try:
        width, height, pixels = demo_test.decode_png(os.path.join(OUT, "latency.png"))
        seen = {c: sum(row[i:i + 3] == bytes(plot.COLOURS[c]) for row in pixels for i in range(0, 3 * width, 3))
                for c in "foth"}
        check("latency.png is as large as the SVG, twice", (width, height) == (2 * plot.WIDTH, 2 * int(svg.get("height"))),
              (width, height))
        check("latency.png shows curves and text", min(seen.values()) > 300, seen)
    except Exception as e:  # any damage counts
        check("latency.png decodes", False, e)
    print("%d passed, %d failed" % (sum(results), len(results) - sum(results)))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
