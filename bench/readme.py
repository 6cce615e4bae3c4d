#!/usr/bin/env python3
"""Writes the figures of bench/results.json into README.md, between its markers: those of C, and where Python is told of, those of Python."""
import json
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = [("one-line message, process to process", "hop: 8 bytes"),
        ("64-byte message", "hop: 64 bytes"),
        ("image, 64 KB (alloc, publish, receive, release)", "image: 64 KB"),
        ("image, 8 MB", "image: 8 MB"),
        ("the same hand-off with iceoryx, 64 KB", "iceoryx: 64 KB"),
        ("sleeping subscriber wakes up", "wake-up"),
        ("bare futex ping-pong", "floor: futex"),
        ("alloc + release", "alloc+release: 4 KB"),
        ("scheduler, per tick of 100 nodes, processor time", "tick: 100 nodes, processor time"),
        ("inference operator, more than ONNX Runtime's own call", "infer: set and execute, 640x640x3, over session.run"),
        ("1 kHz node, SCHED_FIFO, begins late by", "late: 1 kHz node, FIFO, idle"),
        ("bare clock_nanosleep loop, the same", "floor: sleep, FIFO, idle")]
PYTHON = [("`to_numpy()`, any size", "Python: to_numpy()", "`ndarray.view()`", "Python: ndarray.view()"),
          ("`np.from_dlpack(image)`", "Python: np.from_dlpack(image)", "`np.from_dlpack(ndarray)`",
           "Python: np.from_dlpack(ndarray)"),
          ("`to_torch()`", "Python: to_torch()", "`torch.from_numpy(ndarray)`", "Python: torch.from_numpy(ndarray)"),
          ("send + receive, a CmdVel", "Python: send + recv: CmdVel", "the same with horus-robotics 0.4.1",
           "horus-robotics 0.4.1: send + recv: CmdVel"),
          ('send + receive, `{"v": 1.0}`', 'Python: send + recv: {"v": 1.0}', "msgpack, packed and unpacked",
           'Python: msgpack: {"v": 1.0}'),
          ("a 640x480 image, process to process", "Python: hop: 640x480 image",
           "`multiprocessing.shared_memory` and a Queue", "Python: shared_memory and Queue: hop")]


def shown(value, unit):
    return "" if value is None else ("%.0f %s" if unit == "ns" else "%.1f %s") % (value, unit)


def main():
    with open(os.path.join(HERE, "results.json")) as f:
        rows = {r["name"]: r for r in json.load(f)}
    floor = rows["floor: one line"]
    lines = ["| one way, busy polling unless said | p50 | p99 | of the hardware's floor |",
             "| --- | --- | --- | --- |",
             "| **the floor**: a raw one-cache-line ping-pong | %.0f ns | %.0f ns | 1 |"
             % (floor["value"], floor["p99"])]
    for label, name in ROWS:
        r = rows.get(name)
        if r:
            ratio = "%.2f" % r["ratio"] if r["reference"] == "floor: one line" else ""
            lines.append("| %s | %s | %s | %s |" % (label, shown(r["value"], r["unit"]),
                                                    shown(r["p99"], r["unit"]), ratio))
    lines += ["", "![figures](bench/results.svg)", ""]
    if os.path.exists(os.path.join(HERE, "latency.svg")):
        lines += ["![how late a 1 kHz node begins](bench/latency.svg)", ""]
    lines.append("`make bench` on: %s. Two processes pinned to two cores, nothing trimmed. A ratio is to the floor that was "
                 "measured in turns with its row: the floor itself moves from row to row, so rows compare by their ratios."
                 % rows["machine"]["value"])
    python = [(label, rows[name], beside, rows[other]) for label, name, beside, other in PYTHON
              if name in rows and other in rows]
    table = ["| by `make bench`, on the machine above | | beside it | |", "| --- | --- | --- | --- |"]
    table += ["| %s | %.0f ns | %s | %.0f ns |" % (label, r["value"], beside, other["value"])
              for label, r, beside, other in python]
    path = os.path.join(HERE, "..", "README.md")
    with open(path) as f:
        text = f.read()
    for place, content in (("bench", lines), ("bench python", table if python else [])):
        begin, end = "<!-- %s -->\n" % place, "<!-- /%s -->" % place
        text = re.sub(begin + ".*?" + end, lambda m: begin + "".join(l + "\n" for l in content) + end, text, flags=re.S)
    with open(path, "w") as f:
        f.write(text)


main()
