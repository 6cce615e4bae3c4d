"""@timely: what a test expects of the machine, and not of horus alone.

A test so marked that fails while a processor stood still (a process on each one that only sleeps woke
late) is run again, and skipped by name if that happens each time; on a machine that did run, its failure
is one as any other."""
import functools
import os
import subprocess
import sys

STANDSTILL = 0.005  # seconds
TRIES = 8
WATCH = """
import os, select, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
longest, before = 0.0, time.monotonic()
while not select.select([0], [], [], 0.001)[0]:
    now = time.monotonic()
    longest, before = max(longest, now - before - 0.001), now
print(longest)
"""


class Witness:
    def __enter__(self):
        self.processes = [subprocess.Popen([sys.executable, "-I", "-S", "-c", WATCH, str(cpu)], text=True,
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={})
                          for cpu in os.sched_getaffinity(0)]
        return self

    def __exit__(self, *error):
        self.longest = max(float(p.communicate()[0] or 0) for p in self.processes)


def timely(test):
    @functools.wraps(test)
    def tries(self):
        for _ in range(TRIES):
            with Witness() as seen:
                try:
                    return test(self)
                except AssertionError as error:
                    failure = error
            if seen.longest < STANDSTILL:
                raise failure
            print(f"{test.__name__}: a processor stood still for {seen.longest * 1e3:.0f} ms: {failure}")
        self.skipTest(f"each time in {TRIES} a processor stood still")
    return tries
