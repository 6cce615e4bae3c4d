"""Python processes killed after every instruction of a send, a receive, a release and an alloc.

A child of fork joins, stops itself, is brought by ptrace to instruction N of one operation and killed. The
survivor then finds whole messages or none, can go on, and after a sweep the books balance. One child is stepped
through the whole operation, and each place that it comes to is noted; in the others a breakpoint at the last new
place before N brings it near, single steps bring it there, and where it came to is looked at, not assumed.
POINTS=100 instructions of each operation are tried, spread evenly from a random start (SEED); LARGE=1: every one.

The namespace is a small one, of 16 topics, as the C harness has it: close() looks at the place of each topic that there
could be, and with 1024 of them that loop, in which no breakpoint is near, would be nineteen twentieths of all steps."""
import ctypes
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import horus
import numpy as np

POINTS = int(os.environ.get("POINTS", "100"))
SEED = int(os.environ.get("SEED", time.time_ns() % 2**32))
LARGE = bool(os.environ.get("LARGE"))
PTRACE_TRACEME, PTRACE_PEEKTEXT, PTRACE_PEEKUSER, PTRACE_POKETEXT, PTRACE_POKEUSER = 0, 1, 3, 4, 6
PTRACE_CONT, PTRACE_SINGLESTEP, PTRACE_SETOPTIONS, EXITKILL = 7, 9, 0x4200, 0x100000
PC = 16 * 8  # of struct user: rip
libc = ctypes.CDLL(None, use_errno=True)
ptrace = libc.ptrace
ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
ptrace.restype = ctypes.c_long
NAME = f"pykill.{os.getpid()}"
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIRST = """
#define HORUS_IMPLEMENTATION
#include "horus.h"
int main(void)
{
    horus_context *c;
    if (horus_context_open(&c, &(horus_context_desc){.pool_bytes = 16 << 20, .max_topics = 16}) != 0)
        return 1;
    puts("ready");
    fflush(stdout);
    (void)getchar();
    horus_context_close(c);
    return 0;
}
"""


def child(operation):
    """Prepares, stops, works, stops."""
    frames = horus.Topic(horus.Image, name=NAME + ".frames", capacity=2, history=1)
    values = horus.Topic(NAME + ".values", capacity=4, history=1)
    typed = horus.Topic(horus.CmdVel, name=NAME + ".typed", capacity=4)
    image = horus.Image(16, 16)
    image.fill(5)
    value = {"n": 77, "list": [1.5, "text"], "b": b"x" * 40}
    command = horus.CmdVel(3.0, 4.0)
    spare = horus.Image(16, 16)
    view = spare.to_numpy()
    work = {
        "send frame": lambda: frames.send(image),
        "receive frame": lambda: frames.recv(),
        "send value": lambda: values.send(value),
        "receive value": lambda: values.recv(),
        "send message": lambda: typed.send(command),
        "alloc": lambda: horus.Image(16, 16),
        "release": lambda: spare.release(),
        "export": lambda: image.__dlpack__(),
        "close": lambda: frames.close(),
    }[operation]
    gc.disable()
    pid = os.getpid()
    stop = signal.SIGSTOP
    kill = os.kill
    kill(pid, stop)
    work()
    kill(pid, stop)
    os._exit(0)


class Killed(unittest.TestCase):
    def setUp(self):
        """Somebody is in the namespace first, and makes it small."""
        compiler = shutil.which(os.environ.get("CC", "gcc"))
        if not compiler:
            return
        with tempfile.TemporaryDirectory(prefix="horus-kill.") as folder:
            source, program = os.path.join(folder, "first.c"), os.path.join(folder, "first")
            with open(source, "w") as file:
                file.write(FIRST)
            subprocess.run([compiler, "-I" + ROOT, source, "-o", program], check=True)
            first = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(first.communicate, b"\n")
        self.assertEqual(first.stdout.readline(), b"ready\n")

    def start(self, operation):
        pid = os.fork()
        if pid == 0:
            try:
                ptrace(PTRACE_TRACEME, 0, None, None)
                child(operation)
            finally:
                os._exit(3)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            self.fail(f"{operation}: the child could not prepare")
        ptrace(PTRACE_SETOPTIONS, pid, None, EXITKILL)
        return pid

    def go(self, pid, how):
        """Goes on until the next stop. Returns its signal."""
        if ptrace(how, pid, None, None) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            self.fail(f"the child ended, status {status:x}")
        return os.WSTOPSIG(status)

    def place(self, pid):
        return ptrace(PTRACE_PEEKUSER, pid, PC, None)

    def trace(self, pid):
        """Steps until the child stops itself again. Returns where it was before each step."""
        places = []
        while True:
            places.append(self.place(pid))
            if self.go(pid, PTRACE_SINGLESTEP) == signal.SIGSTOP:
                return places

    def bring(self, pid, places, n):
        """Brings the child to its n-th instruction. Returns whether it is where the first one was."""
        anchor = self.anchors[n]
        if anchor:
            place = places[anchor]
            word = ptrace(PTRACE_PEEKTEXT, pid, place, None)
            trap = word & ~0xff | 0xcc
            if ptrace(PTRACE_POKETEXT, pid, place, trap) != 0 or self.go(pid, PTRACE_CONT) != signal.SIGTRAP:
                return False
            ptrace(PTRACE_POKETEXT, pid, place, word)
            ptrace(PTRACE_POKEUSER, pid, PC, place)
        for _ in range(n - anchor):
            if self.go(pid, PTRACE_SINGLESTEP) != signal.SIGTRAP:
                return False
        return self.place(pid) == places[n]

    def kill(self, pid):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def look(self, where):
        """What a survivor sees."""
        horus.sweep()
        while True:
            frame = self.frames.recv()
            if frame is None:
                break
            self.assertTrue((frame.to_numpy() == 5).all(), where)
        frame = None
        for value in self.values.recv_all():
            self.assertIn(value, ({"n": 77, "list": [1.5, "text"], "b": b"x" * 40}, {"n": 1}), where)
        for command in self.typed.recv_all():
            self.assertEqual((command.linear, command.angular), (3.0, 4.0), where)
        audit = horus.audit()
        self.assertTrue(audit["balanced"], (where, audit))
        self.assertEqual(audit["leaked"], 0, where)
        mine = horus.Image(16, 16)
        mine.fill(5)
        for _ in range(self.frames.capacity):  # as many newer messages let go of what the dead had sent
            self.assertTrue(self.frames.send(mine), where)
            self.assertIsNotNone(self.frames.recv(), where)
        for _ in range(self.values.capacity):
            self.values.send({"n": 1})
        for _ in range(self.typed.capacity):
            self.typed.send(horus.CmdVel(3.0, 4.0))
        mine = None
        horus.sweep()
        for topic in (self.frames, self.values, self.typed):
            topic.recv_all()  # a reader lets go of the rings that are over when it next looks
        used = horus.audit()["slots"]
        self.used = self.used or used
        self.assertEqual(used, self.used, (where, "slots are lost"))

    def test_killed_at_every_instruction(self):
        self.frames = horus.Topic(horus.Image, name=NAME + ".frames", capacity=2)
        self.values = horus.Topic(NAME + ".values", capacity=4)
        self.typed = horus.Topic(horus.CmdVel, name=NAME + ".typed", capacity=4)
        self.used = 0  # slots in use, known from the first look on
        self.look("before")
        np.zeros(1)
        deaths, strays, counts = 0, 0, {}
        for index, operation in enumerate(("send frame", "receive frame", "send value", "receive value", "send message",
                                           "alloc", "release", "export", "close")):
            pid = self.start(operation)
            places = self.trace(pid)
            steps = len(places)
            self.kill(pid)
            known, self.anchors = set(), []  # of each step: the last one before it, to a place that was new
            for n, place in enumerate(places):
                self.anchors.append(self.anchors[-1] if place in known else n)
                known.add(place)
            self.look((operation, "all"))
            counts[operation] = steps
            self.assertGreater(steps, 200, operation)
            stride = 1 if LARGE else max(1, steps // POINTS)
            for n in range((SEED + index) % stride, steps, stride):
                for _ in range(3):  # the heap may differ, and so the way
                    pid = self.start(operation)
                    there = self.bring(pid, places, n)
                    self.kill(pid)
                    deaths += 1
                    if there:
                        break
                strays += not there
                self.look((operation, n, "SEED", SEED))
            self.values.recv_all()
        print(f"kills: SEED={SEED}: {len(counts)} operations, {sum(counts.values())} instructions, {deaths} deaths, "
              f"{strays} places not reached: {counts}",
              file=sys.stderr)
        self.assertLess(strays, 10 + deaths // 50)
        for topic in (self.frames, self.values, self.typed):
            topic.close()
        horus.sweep()
        gc.collect()
        self.assertTrue(horus.audit()["balanced"])


if __name__ == "__main__":
    unittest.main()
