"""One process publishes 1080p frames, others take them as torch, JAX and OpenCV inputs, hold some for as long as
they live, and are killed and started again. Checksums stay right, and in the end the books balance.
SECONDS=20 says how long; each framework's process is once left alive until it has held a frame for 0.4 of that.
LARGE=1: five minutes, so held for two."""
import os
import random
import signal
import subprocess
import sys
import time
import unittest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
import horus
import numpy as np

SECONDS = float(os.environ.get("SECONDS") or (300 if os.environ.get("LARGE") else 20))
HOLD = 0.4 * SECONDS
SEED = int(os.environ.get("SEED", time.time_ns() % 2**32))
HEIGHT, WIDTH = 1080, 1920


def publish():
    topic = horus.Topic(horus.Image, capacity=4, name="together.frames")
    rows = np.arange(HEIGHT, dtype=np.uint32)[:, None, None]
    n = 0
    while True:
        n += 1
        image = horus.Image.empty(HEIGHT, WIDTH, "rgb8")
        view = image.to_numpy()
        view[:] = (rows * n + n) % 251
        image.frame_id = f"{n}:{int(view.sum(dtype=np.uint64))}"
        topic.send(image)
        time.sleep(0.03)


def sum_of(framework, view):
    if framework == "torch":
        import torch
        return int(view.sum(dtype=torch.int64))
    if framework == "jax":
        import jax.numpy as jnp
        return int(np.asarray(jnp.sum(view, axis=(1, 2), dtype=jnp.uint32), np.uint64).sum())
    import cv2
    return int(sum(cv2.sumElems(view)))


def consume(framework):
    """Checks each frame; keeps a view of every fourth one, up to ten, and looks at them again and again. The first
    five stay for as long as it lives, the others make room for newer ones."""
    topic = horus.Topic(horus.Image, name="together.frames")
    report = horus.Topic("together.report", policy="reliable")
    held = []
    seen = 0
    while True:
        image = topic.recv(timeout=5)
        if image is None:
            continue
        number, total = map(int, image.frame_id.split(":"))
        view = image.to_torch() if framework == "torch" else image.to_jax() if framework == "jax" else image.to_numpy()
        right = sum_of(framework, view) == total
        seen += 1
        if seen % 4 == 0:
            held.append((view, number, total, time.monotonic()))
            if len(held) > 10:
                del held[5]
        del image, view
        for view, old, _, _ in held:  # any row tells which frame it is
            right = right and int(np.asarray(view[7])[0, 0]) == (7 * old + old) % 251
        if held:  # one of them is added up again, each in its turn
            view, _, total, _ = held[seen % len(held)]
            right = right and sum_of(framework, view) == total
        report.send({"framework": framework, "right": right, "held": len(held), "pid": os.getpid(),
                     "seconds": time.monotonic() - held[0][3] if held else 0.0}, timeout=1)


class Together(unittest.TestCase):
    def test_frameworks_that_are_killed_and_started_again(self):
        print(f"SEED={SEED} SECONDS={SECONDS:g}", file=sys.stderr)
        rng = random.Random(SEED)
        frameworks = []
        for name, module in (("torch", "torch"), ("jax", "jax"), ("cv2", "cv2")):
            try:
                __import__(module)
                frameworks.append(name)
            except ImportError:
                print(f"not run here: {name}", file=sys.stderr)
        if not frameworks:
            self.skipTest("no framework is installed")
        report = horus.Topic("together.report", policy="reliable", capacity=1000)
        report.recv()
        start = lambda *args: subprocess.Popen([sys.executable, __file__, *args])
        children = {name: start(name) for name in frameworks + ["publish"]}
        lives = {name: 0 for name in frameworks}  # each of the frameworks' first, third, ... is to hold for HOLD
        counts, oldest, holders = {name: 0 for name in frameworks}, {name: 0.0 for name in frameworks}, 0
        most, kills, ends, last = 0, 0, {"publish": time.monotonic() + 8}, {}

        def kill(name):
            nonlocal kills, holders
            children[name].send_signal(signal.SIGKILL)
            children[name].wait()
            kills += 1
            message = last.get(children[name].pid)
            holders += bool(message and message["seconds"] >= HOLD)
            ends.pop(name)
            if name in lives:
                lives[name] += 1
            children[name] = start(name)
        try:
            begin = time.monotonic()
            while time.monotonic() < begin + 2 * SECONDS + 120:
                message = report.recv(timeout=1)
                now = time.monotonic()
                if message:
                    name = message["framework"]
                    self.assertTrue(message["right"], message)
                    counts[name] += 1
                    last[message["pid"]] = message
                    most = max(most, message["held"])
                    oldest[name] = max(oldest[name], message["seconds"])
                    short = lives[name] % 2 == 1  # from its first frame on, the others once they have held one so long
                    if name not in ends and message["pid"] == children[name].pid and (short or message["seconds"] >= HOLD):
                        ends[name] = now + rng.uniform(0.2, 0.8) + rng.uniform(0, SECONDS / 10)
                for name in [n for n, end in ends.items() if now > end]:
                    kill(name)
                    if name == "publish":
                        ends[name] = now + rng.uniform(3, 8)
                if now > begin + SECONDS and holders >= len(frameworks) and kills >= 3 and all(
                        n >= 5 and oldest[name] >= HOLD for name, n in counts.items()):
                    break
        finally:
            for child in children.values():
                child.kill()
                child.wait()
        said = ", ".join(f"{name} {counts[name]} ({oldest[name]:.0f} s)" for name in frameworks)
        print(f"frames checked, and how long one was held: {said}; at most {most} at a time by one; {kills} kills in "
              f"{time.monotonic() - begin:.0f} s, {holders} of holders for {HOLD:.0f} s", file=sys.stderr)
        for name in frameworks:
            self.assertGreaterEqual(counts[name], 5, counts)
            self.assertGreaterEqual(oldest[name], HOLD, oldest)
        self.assertGreaterEqual(most, 6)
        self.assertGreaterEqual(holders, len(frameworks))
        report.close()
        horus.sweep()
        with horus.Topic(horus.Image, name="together.frames", history=100) as topic:
            topic.recv_all()  # what the rings still had
        audit = horus.audit()
        self.assertTrue(audit["balanced"], audit)
        self.assertEqual(audit["leaked"], 0, audit)
        blocks = [horus.Image(HEIGHT, WIDTH) for _ in range(100)]  # nothing of theirs is lost to us
        self.assertEqual(len(blocks), 100)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "publish":
        publish()
    elif len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        consume(sys.argv[1])
    else:
        unittest.main()
