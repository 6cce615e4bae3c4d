"""Scheduler(recording=) and Scheduler(replay=): the same again without anybody who sends, and what differs
is named."""
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

import horus
import numpy as np

HANG = 120


def listener(log):
    """A node that asks its topics in every way, and remembers all."""
    class Listener(horus.Node):
        def init(self):
            self.camera, self.jobs = horus.Topic("rec.camera"), horus.Topic("rec.jobs", policy="queue")
            self.full = horus.Topic("rec.full", 1, policy="reliable")
            self.deaf = horus.Topic("rec.full")  # reads nothing, and keeps it full
            log.append((self.recv("rec.values"), self.deaf.has_msg()))

        def tick(self):
            found = horus.wait([self.camera, self.jobs], 0.001)
            log.append((horus.tick(), horus.now(), horus.rng_float(), found and found.name))
            log.append((self.jobs.pending_count(), self.jobs.recv(), self.jobs.ack()))
            frame = self.camera.recv(timeout=0.0005)
            if isinstance(frame, horus.Image):
                log.append((frame.encoding, frame.frame_id, frame.timestamp_ns, frame.to_numpy().tolist()))
            elif frame is not None:
                log.append(frame.tolist() if isinstance(frame, np.ndarray) else repr(frame))
            values = self.recv_all("rec.values")
            log.append((self.has_msg("rec.values"), values, horus.Topic("rec.values").read_latest()))
            speed = self.recv("cmd_vel")
            log.append(speed)
            self.send("rec.said", {"values": values, "n": horus.tick()})
            self.send("rec.speeds", horus.CmdVel(len(values) / 3, speed.linear if speed else 0.0, timestamp_ns=0))
            image = horus.Image(2, 3, "mono8")
            image.fill([len(values) % 256])
            log.append(self.send("rec.picture", image))
            log.append((image.readonly, self.full.send(1, timeout=0.002)))

        def shutdown(self):
            self.send("rec.said", None)

    return Listener("listener", rate=100, subs=["rec.values", horus.CmdVel], pubs=["rec.said", "rec.picture"])


def sender(stop):
    camera, values, speeds = (horus.Topic(x) for x in ("rec.camera", "rec.values", horus.CmdVel))
    jobs = horus.Topic("rec.jobs", policy="queue")  # whoever is first says so
    n, big = 0, np.arange(12, dtype="float32").reshape(3, 4)
    while not stop.wait(0.0007):
        n += 1
        values.send({"n": n, "text": "x" * (n % 300), "bytes": os.urandom(8)})
        jobs.send(n)
        speeds.send(horus.CmdVel(n * 0.1, os.urandom(1)[0] / 7))
        if n % 3 == 0:
            image = horus.Image(2, 3, "rgb8")
            image.to_numpy()[:] = n % 256
            image.set_frame_id(f"camera {n}")
            image.set_timestamp_ns(n)
            camera.send(image)
        elif n % 3 == 1:
            camera.send(big[:, ::2] * n)
        else:
            camera.send(["no", "frame", n])


class Recordings(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        self.path = os.path.join(self.dir.name, "run")

    def record(self, nodes, seconds=0.5, **more):
        s = horus.Scheduler(deterministic=True, recording=self.path, **more)
        for n in nodes:
            s.add(n)
        s.run(duration=seconds)
        return s.get_recording()

    def replay(self, nodes):
        s = horus.Scheduler(replay=self.path)
        for n in nodes:
            s.add(n)
        try:
            s.run()
        finally:
            told = s.get_recording()
        return told

    def test_a_replay_is_the_same(self):
        first, second, stop = [], [], threading.Event()
        thread = threading.Thread(target=sender, args=(stop,))
        thread.start()
        try:
            told = self.record([listener(first)])
        finally:
            stop.set()
            thread.join()
        self.assertGreater(sum(e is not None for e in first), 300)
        self.assertTrue(any(isinstance(e, list) for e in first) and any(isinstance(e, str) for e in first))
        ear = horus.Topic("rec.said")
        again = self.replay([listener(second)])
        self.assertEqual(first, second)
        self.assertIsNone(ear.recv())  # a replay sends nothing
        self.assertEqual((told["replay"], again["replay"]), (False, True))
        for key in ("path", "calls", "inputs", "outputs", "hash", "divergence"):
            self.assertEqual(told[key], again[key], key)
        self.assertEqual((told["calls"], told["divergence"], told["path"]), (52, None, self.path))

    def test_a_divergence_is_named(self):
        odd = []

        def tick(node):
            node.recv("rec.in")
            node.send("rec.out", [horus.tick(), 1.0 if horus.tick() in odd else 1])

        def other(node):
            node.send("rec.other", "x" if (horus.tick(), "other") in odd else "y")

        nodes = lambda: [horus.Node("other", other, rate=100), horus.Node("odd", tick, rate=50, order=1)]
        told = self.record(nodes())
        self.assertEqual(self.replay(nodes())["hash"], told["hash"])
        for odd, where in (([11], (11, "odd", "rec.out")), ([(40, "other"), 21], (40, "other", "rec.other"))):
            s = horus.Scheduler(replay=self.path)
            for n in nodes():
                s.add(n)
            with self.assertRaisesRegex(horus.DivergedError, f"tick {where[0]} of node {where[1]}, topic {where[2]}"):
                s.run()
            self.assertEqual(s.get_recording()["divergence"], where)

    def test_a_killed_run(self):
        text = """
import horus, os, signal, sys
t = horus.Topic("rec.fatal")
seen = []
def tick(node):
    seen.append(t.recv())
    if seen[-1] == "poison" and len(sys.argv) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
if len(sys.argv) == 2:
    for m in (1, 2, "poison", 3):
        t.send(m)
    s = horus.Scheduler(deterministic=True, recording=sys.argv[1])
else:
    s = horus.Scheduler(replay=sys.argv[1])
try:
    s.add(horus.Node("n", tick)).run(duration=1)
except horus.CorruptError as e:
    print(seen, "tick 2 of node n" in str(e))
"""
        run = [sys.executable, "-c", text, self.path]
        self.assertEqual(subprocess.run(run, timeout=HANG).returncode, -signal.SIGKILL)
        done = subprocess.run(run + ["replay"], capture_output=True, text=True, timeout=HANG)
        self.assertEqual(done.stdout, "[1, 2, 'poison'] True\n", done.stderr)

    def test_arguments(self):
        self.assertRaises(horus.UnsupportedError, horus.Scheduler, recording=True)
        self.assertRaises(horus.UnsupportedError, horus.Scheduler, recording=self.path, replay=self.path)
        self.assertRaises(FileNotFoundError, horus.Scheduler, replay=self.path)
        self.assertRaises(TypeError, horus.Scheduler, replay=3)
        self.assertRaises(TypeError, horus.Scheduler, deterministic=True, recording=3.5)
        self.assertRaises(ValueError, horus.Scheduler, deterministic=True, recording="a\0b")
        self.assertRaises(OSError, horus.Scheduler, deterministic=True, recording="/dev/full")
        self.assertRaises(OSError, horus.Scheduler, deterministic=True, recording=self.dir.name)
        with open(self.path, "wb") as f:
            f.write(b"no recording, certainly not")
        self.assertRaises(horus.CorruptError, horus.Scheduler, replay=self.path)
        self.assertIsNone(horus.Scheduler(deterministic=True, recording=False).get_recording())
        with into(self.dir.name):
            s = horus.Scheduler(deterministic=True, recording=True, name="arm/left:1")
            s.add(horus.Node("n", rate=10)).run(duration=1)
            self.assertEqual(s.get_recording()["path"], "arm_left_1.recording")
            self.assertGreater(os.path.getsize("arm_left_1.recording"), 100)
            horus.run(horus.Node("n", rate=10), replay="arm_left_1.recording")

    def test_a_full_disk(self):
        done = subprocess.run([sys.executable, "-c", FULL, self.path], capture_output=True, text=True,
                              timeout=HANG)
        self.assertEqual(done.stdout, "True True\n", done.stderr)

    def test_a_forked_child_does_not_write_to_it(self):
        s = horus.Scheduler(deterministic=True, recording=self.path)
        s.add(horus.Node("n", lambda n: n.send("rec.child", 1), rate=10))
        s.run(duration=1)
        size = os.path.getsize(self.path)
        pid = os.fork()
        if pid == 0:
            s.run(duration=1)
            os._exit(0 if s.get_recording() is None else 1)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(os.path.getsize(self.path), size)


FULL = """
import horus, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
s = horus.Scheduler(deterministic=True, recording=sys.argv[1])
s.add(horus.Node("n", lambda n: n.send("rec.much", "x" * 100), rate=1000))
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
try:
    s.run(duration=10)
except horus.SystemError as e:
    print("cannot write" in str(e), s.get_recording()["calls"] < 100)
"""


@contextlib.contextmanager
def into(path):  # contextlib.chdir is of 3.11
    old = os.getcwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(old)


if __name__ == "__main__":
    unittest.main()
