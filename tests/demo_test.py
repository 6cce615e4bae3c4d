#!/usr/bin/env python3
"""Runs the demo as a user would and looks at what it does: the counters, the processes, the pictures'
pixels, what stays in shared memory.

    python3 tests/demo_test.py [--build build] [--venv .venv]

Standard library only; Pillow in the venv decodes pictures faster, and scikit-learn there brings two
real photographs. Ends with the line "N passed, N failed"."""

import argparse
import glob
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BAR = 56  # px of the legend at the bottom of a picture
WIDTH, HEIGHT = 960, 540
CHILDREN = ("camera", "detector", "recorder")

passed = failed = 0
skipped = []


def check(ok, what, detail=""):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
    print(("ok    " if ok else "FAIL  ") + what + (f": {detail}" if detail and not ok else ""), flush=True)
    return ok


def skip(what, why):
    skipped.append(what)
    print(f"skipped: {what}: {why}", flush=True)


# ---- pictures


def decode_png(path):
    """Returns width, height, rows of RGB bytes. Raises on anything that is not a sound 8-bit RGB PNG."""
    data = open(path, "rb").read()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("no PNG signature")
    at, packed, ended = 8, b"", False
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] != zlib.crc32(kind + body):
            raise ValueError("wrong checksum")
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", body)
            if (depth, colour, interlace) != (8, 2, 0):
                raise ValueError("not 8-bit RGB")
        elif kind == b"IDAT":
            packed += body
        ended = kind == b"IEND"
        at += 12 + length
    raw = zlib.decompress(packed)
    if not ended or len(raw) != height * (width * 3 + 1):
        raise ValueError("cut short")
    rows, before = [], bytes(width * 3)
    for y in range(height):
        start = y * (width * 3 + 1)
        how, line = raw[start], bytearray(raw[start + 1 : start + 1 + width * 3])
        if how == 2:
            line = bytearray((a + b) & 255 for a, b in zip(line, before))
        for k in range(3) if how in (1, 3, 4) else ():
            a = c = 0
            done = []
            for v, b in zip(line[k::3], before[k::3]):
                if how == 1:
                    a = (v + a) & 255
                elif how == 3:
                    a = (v + (a + b) // 2) & 255
                else:
                    pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - c - c)
                    a = (v + (a if pa <= pb and pa <= pc else b if pb <= pc else c)) & 255
                    c = b
                done.append(a)
            line[k::3] = bytes(done)
        before = bytes(line)
        rows.append(before)
    return width, height, rows


def load(path):
    """A picture's width, height and rows, by Pillow where there is one: it is faster."""
    try:
        from PIL import Image
    except ImportError:
        return decode_png(path)
    with Image.open(path) as img:
        if img.mode != "RGB":
            raise ValueError("not RGB")
        width, height = img.size
        data = img.tobytes()
    return width, height, [data[y * width * 3 : (y + 1) * width * 3] for y in range(height)]


def pixel(rows, x, y):
    return tuple(rows[y][x * 3 : x * 3 + 3])


def read_boxes(out):
    """detections.csv: picture -> [(time, class, (x, y, w, h), colour)]"""
    boxes = {}
    path = os.path.join(out, "detections.csv")
    for line in open(path) if os.path.exists(path) else []:
        f = line.strip().split(",")
        if len(f) == 10:
            colour = tuple(int(f[9][i : i + 2], 16) for i in (0, 2, 4))
            boxes.setdefault(f[0], []).append((int(f[1]), f[2], tuple(map(float, f[5:9])), colour))
    return boxes


def read_truth(out):
    truth = {}
    for line in open(os.path.join(out, "truth.csv")):
        f = line.strip().split(",")
        if len(f) == 6:  # a killed camera may leave half a line
            truth.setdefault(int(f[0]), {})[f[1]] = tuple(map(float, f[2:6]))
    return truth


def overlap(a, b):
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def apart(a, b, gap=14):
    return (a[0] + a[2] + gap < b[0] or b[0] + b[2] + gap < a[0] or
            a[1] + a[3] + gap < b[1] or b[1] + b[3] + gap < a[1])


def check_pictures(out, name, least, most_decoded=8):
    """Every picture is whole, of the right size, no blank, and shows its boxes. Returns rough views."""
    paths = sorted(glob.glob(os.path.join(out, "picture_*.png")))
    check(len(paths) >= least, f"{name}: at least {least} pictures", f"{len(paths)}")
    boxes = read_boxes(out)
    with_boxes = [p for p in paths if os.path.basename(p) in boxes]
    check(2 * len(with_boxes) >= len(paths) > 0, f"{name}: half of the pictures have boxes",
          f"{len(with_boxes)} of {len(paths)}")
    if "PIL" not in sys.modules:
        most_decoded = min(most_decoded, 3)
    step = -(-len(with_boxes) // most_decoded)
    sizes, dull, hits, tried, whole, broken, digests, views = set(), [], 0, 0, 0, [], set(), set()
    for path in paths[:1] + with_boxes[:: max(1, step)]:
        try:
            width, height, rows = load(path)
        except Exception as e:  # any damage counts
            broken.append(f"{os.path.basename(path)}: {e}")
            continue
        sizes.add((width, height))
        digests.add(zlib.crc32(b"".join(rows)))
        views.add(tuple(v // 32 for x in range(100, width, 200) for v in pixel(rows, x, 40)))
        scene = rows[: height - BAR]
        sample = [pixel(scene, x, y) for y in range(3, len(scene), 12) for x in range(3, width, 12)]
        if sum(map(sum, sample)) / len(sample) / 3 < 25 or len(set(sample)) < 300:
            dull.append(os.path.basename(path))
        for _, _, (x, y, w, h), colour in boxes.get(os.path.basename(path), []):
            edge = [(x + w * k / 8, y) for k in range(1, 8)] + [(x + w * k / 8, y + h - 1) for k in range(1, 8)]
            edge += [(x, y + h * k / 8) for k in range(1, 8)] + [(x + w - 1, y + h * k / 8) for k in range(1, 8)]
            edge = [(int(a), int(b)) for a, b in edge if 0 <= a < width and 0 <= b < height - BAR]
            here = sum(pixel(rows, a, b) == colour for a, b in edge)
            hits, tried, whole = hits + here, tried + len(edge), whole + (edge != [] and here == len(edge))
    check(not broken, f"{name}: every PNG decodes", "; ".join(broken))
    check(sizes == {(WIDTH, HEIGHT)}, f"{name}: pictures have the frame's size", str(sizes))
    check(not dull, f"{name}: no picture is black or blank", ", ".join(dull))
    check(len(digests) > 2, f"{name}: the pictures differ", f"{len(digests)} different")
    check(tried > 0 and hits >= 0.85 * tried and whole > 0,
          f"{name}: box colour at the detections' edges", f"{hits} of {tried} pixels, {whole} whole boxes")
    return views


def check_truth(out, name):
    """The boxes lie where the rendered objects were, and say their colour."""
    truth, boxes = read_truth(out), read_boxes(out)
    alone = found = named = extra = total = 0
    for picture, rows in boxes.items():
        objects = truth.get(rows[0][0])
        if not objects:
            continue
        total += len(rows)
        extra += sum(all(overlap(r[2], o) < 0.1 for o in objects.values()) for r in rows)
        for colour, box in objects.items():
            if any(not apart(box, other) for c, other in objects.items() if c != colour):
                continue  # two that touch are one to a detector of motion
            alone += 1
            best = max(rows, key=lambda r: overlap(r[2], box))
            if overlap(best[2], box) > 0.5:
                found += 1
                named += best[1] == colour
    check(alone >= 8 and found >= 0.85 * alone, f"{name}: boxes overlap the true objects",
          f"{found} of {alone} found")
    check(found > 0 and named >= 0.9 * found, f"{name}: they are named by their colour",
          f"{named} of {found}")
    check(total > 0 and extra <= 0.1 * total, f"{name}: no box where there is nothing",
          f"{extra} of {total} boxes")


# ---- the demo


class Demo:
    """A running demo: its lines as they come, its latest counters."""

    def __init__(self, *args, directory=None, terminal=False, prefix=()):
        self.out = tempfile.mkdtemp(prefix="demo_out_", dir=WORK)
        self.dir = directory
        self.text = b""
        self.lines = []
        self.state = {}  # the newest plain line, parsed
        env = {k: v for k, v in os.environ.items() if not k.startswith(("HORUS_", "DEMO_"))}
        env.update(LANG="C.UTF-8", TERM="xterm")
        if directory:
            env["HORUS_DIR"] = directory
        command = [*prefix, PROGRAM, "--out", self.out, *args]
        if terminal:
            self.read, other = pty.openpty()
        else:
            self.read, other = os.pipe()
        self.process = subprocess.Popen(command, stdout=other, stderr=subprocess.STDOUT, env=env,
                                        stdin=subprocess.DEVNULL, start_new_session=True)
        os.close(other)
        started.append(self.process)

    def pump(self, seconds):
        """Reads for so long, or until the end. False: it has ended."""
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.read], [], [], left)[0]:
                return True
            try:
                data = os.read(self.read, 65536)
            except OSError:  # what a closed terminal gives
                data = b""
            if not data:
                return False
            self.text += data
            *whole, rest = self.text[sum(len(l) + 1 for l in self.lines) :].split(b"\n")
            for line in whole:
                self.lines.append(line)
                self.parse(line.decode(errors="replace"))

    def parse(self, line):
        found = {m[0]: (int(m[1]), int(m[2])) for m in re.findall(r"(\w+)\[(\d+)\] (\d+)", line)}
        if set(found) == set(CHILDREN):
            m = re.search(r"camera (\d+) \(([\d.]+) Hz, hop p50 ([\d.]+) us p99 ([\d.]+) us, lost (\d+), "
                          r"frames (\d+)\)  detections (\d+) \(([\d.]+) Hz.*pictures (\d+)  "
                          r"pool ([\d.]+)/(\d+) MiB", line)
            keys = ("frames", "rate", "p50", "p99", "lost", "alive", "detections", "detection_rate",
                    "pictures", "used", "pool")
            self.state = dict(zip(keys, map(float, m.groups())), pids={k: v[0] for k, v in found.items()},
                              done={k: v[1] for k, v in found.items()})

    def until(self, condition, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.state and condition(self.state):
                return True
            if not self.pump(0.05):
                return bool(self.state and condition(self.state))
        return False

    def said(self):
        return self.text.decode(errors="replace")

    def end(self, seconds=20):
        """Waits for its end. Returns the exit status, None if it does not come."""
        end = time.monotonic() + seconds
        while self.pump(0.1) and time.monotonic() < end:
            pass
        try:
            return self.process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            return None


started = []
places = []  # to be cleared should the demo fail to


def check_gone(demo, name):
    """The demo says so, and it is true: its directory in shared memory is gone."""
    m = re.search(r"they share (\S+)/horus", demo.said())
    if m and not demo.dir:
        places.append(m.group(1))
    check("nothing is left in shared memory" in demo.said() and m is not None and
          not os.path.exists(m.group(1)), f"{name}: nothing is left in shared memory",
          demo.said()[-300:])
    if demo.dir:
        left = os.listdir(demo.dir) if os.path.isdir(demo.dir) else []
        check(left == [], f"{name}: the shared directory is empty", str(left))


def check_nodes(demo, name):
    """The figures of every node, read by the demo from the other processes' schedulers, are told and true:
    each of the camera's ticks was a frame that came here, was lost, or found no room."""
    said = demo.said()
    nodes = {m[0]: (int(m[1]), int(m[2]), float(m[3])) for m in re.findall(
        r"node +(\w+) +(\d+) ticks, (\d+) skipped, begun late by p99 ([\d.]+) us", said)}
    check(set(nodes) == {*CHILDREN, "encoder"} and all(t > 0 and p99 > 0 for t, _, p99 in nodes.values()),
          f"{name}: ticks, skipped and p99 of every node", str(nodes) + said[-600:])
    m = re.search(r"camera +(\d+) frames of .*\n.*lost +(\d+) frames", said, re.S)
    if check(m is not None and "camera" in nodes, f"{name}: the summary counts the frames"):
        frames, lost = int(m[1]), int(m[2])
        with open(os.path.join(demo.out, "camera.log")) as f:
            dropped = f.read().count("dropped a frame")
        check(frames <= nodes["camera"][0] - dropped <= frames + lost, f"{name}: a tick of the camera is a frame",
              f"{nodes['camera'][0]} ticks, {frames} frames, {lost} lost, {dropped} dropped")


def alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_kills(shm):
    """The rendered scene; each of the three is killed in turn."""
    demo = Demo("--seconds", "0", "--scene", "--truth", directory=shm)
    name = "scene"
    check(demo.until(lambda s: s["rate"] > 15 and s["detections"] > 20 and s["pictures"] >= 4, 15),
          f"{name}: frames, detections and pictures flow", str(demo.state))
    check(0 < demo.state.get("p50", 0) < 20000, f"{name}: the hop's latency is measured", str(demo.state))
    for victim in CHILDREN:
        before = demo.state
        pids = dict(before["pids"])
        if not check(pids[victim] > 0, f"{name}: {victim} runs"):
            continue
        os.kill(pids[victim], signal.SIGKILL)
        down = demo.until(lambda s: s["pids"][victim] == 0, 5)
        at_death = demo.state
        others = [c for c in CHILDREN if c != victim]
        # Without frames the others can only wait; then they must go on when the frames come back.
        moving = [] if victim == "camera" else others
        went_on = demo.until(lambda s: all(s["done"][c] > at_death["done"][c] + 3 for c in moving), 5)
        check(down and went_on and all(alive(pids[c]) for c in others),
              f"{name}: kill -9 of {victim} leaves the others running", str(demo.state))
        back = demo.until(lambda s: s["pids"][victim] not in (0, pids[victim]) and
                          s["done"][victim] > 0, 8)
        after = demo.state
        resumed = demo.until(lambda s: all(s["done"][c] > after["done"][c] + 3 for c in CHILDREN) and
                             s["detections"] > after["detections"] + 3 and
                             s["pictures"] > at_death["pictures"], 8)
        check(back and resumed and all(demo.state["pids"][c] == pids[c] for c in others),
              f"{name}: {victim} is restarted and the pipeline resumes", str(demo.state))
        check(f"{victim} ({pids[victim]}) was killed by signal 9" in demo.said() and
              f"{victim} works again" in demo.said(), f"{name}: the demo says so")
    demo.pump(1.5)
    begin = time.monotonic()
    os.killpg(demo.process.pid, signal.SIGINT)  # what a terminal does at Ctrl-C
    status = demo.end(10)
    took = time.monotonic() - begin
    check(status == 0 and took < 2, f"{name}: Ctrl-C ends it within 2 s", f"{took:.1f} s, status {status}")
    check(not any(alive(p) for p in demo.state["pids"].values() if p), f"{name}: no process is left")
    check(demo.state["pool"] > 100, f"{name}: a large tmpfs gives a large pool", str(demo.state))
    check_gone(demo, name)
    check("node        encoder" in demo.said(), f"{name}: the nodes' figures are told after kills, too")
    check_pictures(demo.out, name, 8)
    check_truth(demo.out, name)


def test_photos(directory):
    """Real photographs, the default place in shared memory; a restart by hand."""
    name = "photos"
    demo = Demo("--seconds", "0", "--images", directory, "--no-restart")
    check(demo.until(lambda s: s["rate"] > 10 and s["pictures"] >= 4, 15), f"{name}: frames flow",
          str(demo.state) + demo.said()[-300:])
    pids = dict(demo.state["pids"])
    os.kill(pids["recorder"], signal.SIGKILL)
    check(demo.until(lambda s: s["pids"]["recorder"] == 0, 5), f"{name}: a killed recorder is noticed")
    m = re.search(r"start it by hand: (.*)", demo.said())
    if check(m is not None, f"{name}: the demo says how to start it by hand"):
        had = demo.state["pictures"]
        by_hand = subprocess.Popen(m.group(1).strip(), shell=True, start_new_session=True)
        started.append(by_hand)
        check(demo.until(lambda s: s["pids"]["recorder"] not in (0, pids["recorder"]) and
                         s["pictures"] > had + 1, 8), f"{name}: started by hand, it resumes",
              str(demo.state))
    demo.until(lambda s: s["pictures"] >= 9, 10)
    os.killpg(demo.process.pid, signal.SIGINT)
    check(demo.end(10) == 0, f"{name}: it ends well", demo.said()[-300:])
    check_gone(demo, name)
    views = check_pictures(demo.out, name, 9)
    check(len(views) > 1, f"{name}: the pictures show more than one view", str(views))


def test_small(mount_point):
    """A /dev/shm of 64 MB, as containers have it: a tmpfs that only this demo sees."""
    name = "64 MB"
    prefix = ("unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=64m tmpfs {mount_point} && "
              f'"$@"; r=$?; ls -A {mount_point} | sed s/^/LEFT\\ /; exit $r', "sh")
    demo = Demo("--seconds", "4", "--scene", directory=mount_point, prefix=prefix)
    status = demo.end(15)
    s = demo.state
    check(status == 0, f"{name}: the demo runs", demo.said()[-500:])
    check(bool(s) and 30 < s["pool"] < 64, f"{name}: the pool takes what is there", str(s))
    check(bool(s) and s["frames"] > 40 and s["pictures"] > 2, f"{name}: frames and pictures flow", str(s))
    check("nothing is left in shared memory" in demo.said() and "LEFT" not in demo.said(),
          f"{name}: nothing is left in it", demo.said()[-300:])
    check_pictures(demo.out, name, 4, 3)


def test_terminal(shm):
    """On a terminal: a table, redrawn in place."""
    name = "terminal"
    demo = Demo("--seconds", "2.5", "--scene", directory=shm, terminal=True)
    status = demo.end(15)
    text = demo.said()
    ups = re.findall(r"\x1b\[(\d+)A", text)
    check(status == 0, f"{name}: the demo runs", text[-500:])
    check(len(ups) >= 5 and set(ups) == {ups[0]}, f"{name}: the table is redrawn in place", str(ups))
    tables = text.split("\x1b[J")
    lines = tables[-1].split("\r\n")[: int(ups[0]) if ups else 0]
    plain = [re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", line) for line in lines]
    words = ("topic", "rate", "hop p50", "hop p99", "lost", "frames", "pool", *CHILDREN,
             "node", "ticks", "skipped", "late p99", "encoder")
    check(all(any(w in line for line in plain) for w in words), f"{name}: it shows what it should",
          "\n".join(plain))
    counted = [re.search(name + r" +(?:on topic|[\d.]+ Hz) +(\d+) ", "\n".join(plain)) for name in (*CHILDREN, "encoder")]
    check(all(m and int(m[1]) > 0 for m in counted), f"{name}: the nodes' ticks are counted while they run",
          "\n".join(plain))
    check(plain != [] and max(map(len, plain)) <= 80 and len(plain) <= 22, f"{name}: it fits into 80 columns and 24 lines",
          f"{max(map(len, plain), default=0)}, {len(plain)}")
    check("\x1b[?25l" in text and text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l") and
          text.count("\x1b[?7l") == text.count("\x1b[?7h"), f"{name}: cursor and wrapping are given back")
    check_nodes(demo, name)
    check_gone(demo, name)


def test_launcher_killed(shm):
    """kill -9 of the demo itself: its processes end, and the last one clears up."""
    name = "launcher"
    demo = Demo("--seconds", "0", "--scene", directory=shm)
    demo.until(lambda s: s["frames"] > 5, 10)
    pids = list(demo.state["pids"].values())
    check(os.listdir(shm) != [], f"{name}: while it runs, something is in shared memory")
    demo.process.kill()
    demo.process.wait()
    end = time.monotonic() + 4
    while time.monotonic() < end and (any(map(alive, pids)) or os.listdir(shm)):
        time.sleep(0.05)
    check(not any(map(alive, pids)), f"{name}: kill -9 of the demo ends its processes")
    check(os.listdir(shm) == [], f"{name}: and nothing is left", str(os.listdir(shm)))
    os.close(demo.read)


def test_refusals(shm):
    name = "refusals"
    empty = os.path.join(WORK, "no_pictures")
    os.makedirs(empty, exist_ok=True)
    open(os.path.join(empty, "broken.png"), "wb").write(b"\x89PNG\r\n\x1a\n, or not")
    demo = Demo("--seconds", "5", "--images", empty, directory=shm)
    begin = time.monotonic()
    status = demo.end(10)
    check(status == 1 and time.monotonic() - begin < 4 and "no readable PNG or JPG" in demo.said() and
          "broken.png" in demo.said(), f"{name}: a directory without pictures", demo.said())
    check_gone(demo, name)
    r = subprocess.run([PROGRAM, "--seconds", "soon"], capture_output=True, text=True)
    check(r.returncode == 2 and "usage" in r.stderr, f"{name}: a wrong option")
    before = set(os.listdir(WORK))
    r = subprocess.run(["make", "-s", "-f", "examples/demo.mk", "demo-need", "CC=no-such-compiler", "INSTALL=0"],
                       cwd=ROOT, capture_output=True, text=True)
    check(r.returncode != 0 and "C compiler" in r.stderr and "gcc" in r.stderr and
          set(os.listdir(WORK)) == before, f"{name}: without a compiler it names the command", r.stderr)
    r = subprocess.run(["make", "-s", "-f", "examples/demo.mk", "demo-need", "INSTALL=0"], cwd=ROOT,
                       capture_output=True, text=True)
    check(r.returncode == 0, f"{name}: with all there it asks for nothing", r.stderr)


def main():
    global PROGRAM, WORK
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--venv", default=".venv")
    args = parser.parse_args()
    packages = glob.glob(os.path.join(ROOT, args.venv, "lib", "python3*", "site-packages"))
    sys.path += packages
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        pass
    r = subprocess.run(["make", "-s", "-j4", "-f", "examples/demo.mk", f"BUILD={args.build}", "demo-build"], cwd=ROOT)
    if r.returncode != 0:
        print("0 passed, 1 failed (the demo does not build)")
        return 1
    PROGRAM = os.path.join(os.path.join(ROOT, args.build), "examples", "demo")
    WORK = tempfile.mkdtemp(prefix="horus_demo_test_")
    shm = tempfile.mkdtemp(prefix="horus_demo_test_", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    begin = time.monotonic()
    try:
        test_kills(shm)
        photos = [d for p in packages for d in glob.glob(os.path.join(p, "sklearn", "datasets", "images"))
                  if glob.glob(os.path.join(d, "*.jpg"))]
        if photos:
            test_photos(photos[0])
        else:
            skip("photos", f"no scikit-learn in {args.venv} (pip install scikit-learn)")
        can = subprocess.run(["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=1m tmpfs {shm}"],
                             capture_output=True) if shutil.which("unshare") else None
        if can and can.returncode == 0:
            test_small(shm)
        else:
            skip("64 MB", "mounting a tmpfs takes root")
        test_terminal(shm)
        test_launcher_killed(shm)
        test_refusals(shm)
    finally:
        for process in started:  # each has a group of its own; all are gone if all went well
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for place in places:
            shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(WORK, ignore_errors=True)
        shutil.rmtree(shm, ignore_errors=True)
    print(f"demo: {time.monotonic() - begin:.0f} s" + (f", {len(skipped)} skipped" if skipped else ""))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
