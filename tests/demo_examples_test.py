#!/usr/bin/env python3
"""Builds every example by the line that its first comment prints, in a copy of the directory, with
warnings on, runs it and looks at what it says.

    python3 tests/demo_examples_test.py

Standard library only. Ends with the line "N passed, N failed"."""

import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WARN = "-Wall -Wextra -Wshadow -Wconversion"

passed = failed = 0
skipped = []


def skip(what, why):
    skipped.append(what)
    print(f"skipped: {what}: {why}", flush=True)


def check(ok, what, detail=""):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
    print(("ok    " if ok else "FAIL  ") + what + (f": {detail}" if detail and not ok else ""),
          flush=True)
    return ok


def lines_of(path):
    """The compiler lines in the first comment, continued ones joined."""
    text = open(path).read()
    comment = re.match(r"(/\*.*?\*/|(//[^\n]*\n)+)", text, re.S).group(0)
    comment = re.sub(r"\\\n[ */]*", " ", comment)
    lines = re.findall(r"(?:arm-none-eabi-)?(?:gcc|g\+\+) -[^\n]*", comment)
    return [re.split(r"\s{3,}|\s*\*/|\s+&&|$", line)[0] for line in lines]


def build(job):
    name, lines, where = job
    said = ""
    for line in lines:
        compiler, rest = line.split(" ", 1)
        if shutil.which(compiler) is None:
            continue
        if name in ("camera.c", "detector.c", "recorder.c", "demo.c"):
            rest = rest.replace("-O2", "-O0")  # the demo's own test builds and runs them at -O2
        strict = WARN if compiler == "gcc" and " -x c " not in line else "-Wall -Wextra"
        r = subprocess.run(f"{compiler} {strict} {rest}", shell=True, cwd=where,
                           capture_output=True, text=True)
        said += r.stdout + r.stderr + (f"exit status {r.returncode}\n" if r.returncode else "")
    return name, said


def run(command, background=(), seconds=15):
    """Runs programs in the background, then the command. Returns its status and what it said."""
    others = [subprocess.Popen(c, shell=True, cwd=WHERE, env=ENV, stdout=subprocess.DEVNULL,
                               start_new_session=True) for c in background]
    started.extend(others)
    main = subprocess.Popen(command, shell=True, cwd=WHERE, env=ENV, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, start_new_session=True)
    started.append(main)
    try:
        said = main.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        os.killpg(main.pid, signal.SIGKILL)
        said = main.communicate()[0] + b" (stopped: it took too long)"
    for other in others:
        try:
            other.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(other.pid, signal.SIGKILL)
            other.wait()
    return main.returncode, said.decode(errors="replace")


def onnx_identity():
    """An ONNX model that gives the uint8 48 x 64 x 3 that it takes, byte by byte."""
    def field(number, data):
        data = data.encode() if isinstance(data, str) else data
        return bytes([number << 3 | 2, len(data)]) + data
    shape = b"".join(field(1, bytes([8, n])) for n in (48, 64, 3))
    kind = field(2, field(1, b"\x08\x02" + field(2, shape)))
    graph = (field(1, field(1, "x") + field(2, "z") + field(4, "Identity")) + field(2, "g") +
             field(11, field(1, "x") + kind) + field(12, field(1, "z") + kind))
    return b"\x08\x08" + field(7, graph) + field(8, b"\x10\x0d")


started = []


def main():
    global WHERE, ENV
    work = tempfile.mkdtemp(prefix="horus_examples_test_")
    shm = tempfile.mkdtemp(prefix="horus_examples_test_",
                           dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    WHERE = os.path.join(work, "examples")
    ENV = {k: v for k, v in os.environ.items() if not k.startswith("HORUS_")}
    ENV.update(HORUS_DIR=shm, HORUS_NAMESPACE="examples")
    begin = time.monotonic()
    try:
        os.mkdir(WHERE)
        shutil.copy(os.path.join(ROOT, "horus.h"), work)
        sources = sorted(glob.glob(os.path.join(ROOT, "examples", "*.c*")))
        jobs = []
        for path in sources:
            shutil.copy(path, WHERE)
            jobs.append((os.path.basename(path), lines_of(path), WHERE))
        check(len(jobs) >= 12 and all(j[1] for j in jobs), "every example says how to build it",
              str([j[0] for j in jobs if not j[1]]))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for name, said in pool.map(build, jobs):
                check(said == "", f"{name}: builds by its own line, without a warning", said[:600])
        for name in ("hello_pub.c", "hello_sub.c"):
            count = len(open(os.path.join(WHERE, name)).read().splitlines())
            check(count <= 20, f"{name}: at most 20 lines", str(count))

        elf = os.path.join(WHERE, "firmware.elf")
        runs = {  # all at once: they meet on no topic but the first two, which share a camera
            "hello": ("./hello_sub", ["sleep 0.5; ./hello_pub"]),
            "consumer": ("./consumer", []),
            "work_queue": ("./work_queue", []),
            "reliable_command": ("./reliable_command", []),
            "cloud_filter": ("./cloud_filter", ["sleep 0.5; ./cloud_filter sensor"]),
            "depth_stop": ("./depth_stop", ["sleep 0.5; ./depth_stop sensor"]),
            "firmware": ("./firmware", []),
            "infer": ("./infer", []),
            "infer by onnxrt": ("./infer model.onnx", []),
            "custom_infer": ("./custom_infer", []),
            "elf": ("qemu-system-arm -M mps2-an385 -nographic -semihosting -kernel firmware.elf", []),
        }
        if not os.path.exists(os.path.join(WHERE, "consumer")):
            skip("consumer", "it was not built: no g++")
            del runs["consumer"]
        if not os.path.exists(elf) or not shutil.which("qemu-system-arm"):
            skip("firmware on a Cortex-M3", "no arm-none-eabi-gcc, or no qemu-system-arm")
            del runs["elf"]
        with open(os.path.join(WHERE, "model.onnx"), "wb") as f:
            f.write(onnx_identity())
        if not os.environ.get("ORT_DYLIB_PATH"):
            skip("infer by onnxrt", "ORT_DYLIB_PATH names no ONNX Runtime")
            del runs["infer by onnxrt"]
        else:  # apart from the other one: the same topics
            runs["infer by onnxrt"] = ("HORUS_NAMESPACE=onnxrt ./infer model.onnx", [])
        with ThreadPoolExecutor(len(runs)) as pool:
            results = dict(zip(runs, pool.map(lambda r: run(*r, seconds=30), runs.values())))

        status, said = results["hello"]
        frames = re.findall(r"frame (\d+): 640 x 480 pixels of (\d+)", said)
        check(status == 0 and len(frames) == 300 and
              all(int(v) == (int(n) - 1) % 256 for n, v in frames), "hello: 300 frames, each intact",
              f"{len(frames)} {said[-300:]}")
        status, said = results.get("consumer", (None, ""))
        if status is not None:
            check(status == 0 and len(re.findall("^frame", said, re.M)) == 300 and
                  "the brightest had a mean of 255.0" in said,
                  "consumer: C++ keeps a frame over 300 receives", said[-300:])
        status, said = results["work_queue"]
        check(status == 0 and "12 of 12 jobs done, 1 redelivered, 1 worker killed" in said,
              "work_queue: the dead worker's job is done by another", said)
        status, said = results["reliable_command"]
        full = re.search(r"100 answered, 100 in order; the channel was full (\d+)", said)
        check(status == 0 and full and int(full.group(1)) > 0 and "20 of 20 accepted" in said,
              "reliable_command: all arrive in order, a dead reader holds nobody back", said)
        status, said = results["cloud_filter"]
        counts = [(int(a), int(b)) for a, b in re.findall(r"(\d+) points -> (\d+) in", said)]
        check(status == 0 and len(counts) == 50 and
              all(a == 28800 and a / 4 < b < a for a, b in counts),
              "cloud_filter: thins each of 50 clouds", said[-300:])
        status, said = results["depth_stop"]
        check(status == 0 and re.findall("^(STOP|go)", said, re.M) == ["STOP", "go", "STOP"] and
              "no depth image" in said, "depth_stop: stops, goes on, and stops when blind", said)
        for name, by in (("infer", "identity"), ("infer by onnxrt", "onnxrt")):
            status, said = results.get(name, (None, ""))
            if status is not None:
                lamps = re.findall(r"^lamp (\d+) at (\d+), 16 \(0\.78\)$", said, re.M)  # a busy machine may lose frames
                picture = b""
                if os.path.exists(os.path.join(WHERE, "found.png")):
                    with open(os.path.join(WHERE, "found.png"), "rb") as f:
                        picture = f.read(8)
                check(status == 0 and f"finder by {by} on the CPU: 50 runs" in said and
                      [int(n) for n, _ in lamps] == [1, 11, 21, 31, 41] and
                      len({x for _, x in lamps}) > 1 and all(int(x) % 8 == 0 and int(x) < 64 for _, x in lamps) and
                      "the last one is in found.png" in said and picture == b"\x89PNG\r\n\x1a\n",
                      f"{name}: the lamp is found in each picture", said)
        status, said = results["custom_infer"]
        check(status == 0 and 'did you mean "top"' in said and "invalid file path for model best" in said and
              said.count("not sure") == 1 and said.endswith(
                  "top = 0.70\nplace = 1.00\ntop = 0.80\nplace = 2.00\n"),
              "custom_infer: says what is wrong, and sends what it is sure of", said)
        expected = "500 samples, 0 lost, heading 22489 urad"
        status, said = results["firmware"]
        check(status == 0 and expected in said, "firmware: runs on the desk", said)
        status, said = results.get("elf", (None, ""))
        if status is not None:
            check(status == 0 and expected in said, "firmware: runs on a Cortex-M3", said)
        check(os.listdir(shm) == [], "nothing is left in shared memory", str(os.listdir(shm)))
    finally:
        for process in started:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(shm, ignore_errors=True)
    print(f"examples: {time.monotonic() - begin:.0f} s" +
          (f", {len(skipped)} skipped" if skipped else ""))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
