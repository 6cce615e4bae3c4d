"""One process publishes 1080p frames, others take them as torch, JAX and OpenCV inputs, hold some for as long
as they live, and are killed and started again. Checksums stay right, and in the end the books balance.
SECONDS=20 says how long."""
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

SECONDS = float(os.environ.get("SECONDS", "20"))
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


def sum_of(framework, image):
    if framework == "torch":
        import torch
        return int(image.to_torch().sum(dtype=torch.int64))
    if framework == "jax":
        import jax.numpy as jnp
        return int(np.asarray(jnp.sum(image.to_jax(), axis=(1, 2), dtype=jnp.uint32), np.uint64).sum())
    import cv2
    return int(sum(cv2.sumElems(image.to_numpy())))


def consume(framework):
    """Checks each frame; keeps a view of every fourth one, up to ten, and looks at them again and again."""
    topic = horus.Topic(horus.Image, name="together.frames")
    report = horus.Topic("together.report", policy="reliable")
    held = []
    seen = 0
    while True:
        image = topic.recv(timeout=5)
        if image is None:
            continue
        number, total = map(int, image.frame_id.split(":"))
        right = sum_of(framework, image) == total
        seen += 1
        if seen % 4 == 0 and len(held) < 10:
            view = image.to_torch() if framework == "torch" else image.to_jax() if framework == "jax" else \
                image.to_numpy()
            held.append((view, number))
        for view, old in held:  # any row tells which frame it is
            right = right and int(np.asarray(view[7])[0, 0]) == (7 * old + old) % 251
        report.send({"framework": framework, "right": right, "held": len(held), "pid": os.getpid()}, timeout=1)


class Together(unittest.TestCase):
    def test_frameworks_that_are_killed_and_started_again(self):
        print(f"SEED={SEED} SECONDS={SECONDS}", file=sys.stderr)
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
        children = {name: start(name) for name in frameworks}
        publisher = start("publish")
        counts, held, kills, most = {name: 0 for name in frameworks}, {}, 0, 0
        try:
            end = time.monotonic() + SECONDS + 30
            enough = time.monotonic() + SECONDS
            next_kill = time.monotonic() + 8
            while time.monotonic() < end:
                message = report.recv(timeout=1)
                if message:
                    self.assertTrue(message["right"], message)
                    counts[message["framework"]] += 1
                    held[message["pid"]] = message["held"]
                    most = max(most, message["held"])
                if time.monotonic() > next_kill:
                    name = rng.choice(frameworks + ["publisher"])
                    child = publisher if name == "publisher" else children[name]
                    child.send_signal(signal.SIGKILL)
                    child.wait()
                    kills += 1
                    if name == "publisher":
                        publisher = start("publish")
                    else:
                        children[name] = start(name)
                    next_kill = time.monotonic() + rng.uniform(2, 5)
                if time.monotonic() > enough and all(n >= 5 for n in counts.values()) and kills >= 3:
                    break
        finally:
            for child in [publisher, *children.values()]:
                child.kill()
                child.wait()
        print(f"frames checked {counts}, held at most {most} at a time by one, {kills} kills", file=sys.stderr)
        self.assertTrue(all(n >= 5 for n in counts.values()), counts)
        self.assertGreaterEqual(most, 1)
        self.assertGreaterEqual(kills, 3)
        report.close()
        horus.sweep()
        with horus.Topic(horus.Image, name="together.frames", history=100) as topic:
            topic.recv_all()  # what the rings still had
        audit = horus.audit()
        self.assertTrue(audit["balanced"], audit)
        blocks = [horus.Image(HEIGHT, WIDTH) for _ in range(100)]  # nothing of theirs is lost to us
        self.assertEqual(len(blocks), 100)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "publish":
        publish()
    elif len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        consume(sys.argv[1])
    else:
        unittest.main()
