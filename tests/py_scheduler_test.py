"""Node, Scheduler, run(), the clock and Rate: phases, order, policies, threads, signals, bad input."""
import asyncio
import gc
import inspect
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import unittest
import warnings
import weakref

import horus
import numpy  # not in the first tick

from timely import timely

logging.getLogger("horus").addHandler(logging.NullHandler())
LARGE = os.environ.get("LARGE") == "1"
HANG = 120  # seconds after which a child hangs


def nothing(node):
    pass


def heeds_ctrl_c():
    """A shell's background job ignores it, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def program(text, expect=0):
    """Runs a Python program; what it printed."""
    done = subprocess.run([sys.executable, "-X", "dev", "-c", text], capture_output=True, text=True, timeout=HANG,
                          preexec_fn=heeds_ctrl_c)
    if done.returncode != expect:
        raise AssertionError(f"{done.returncode}, not {expect}: {done.stdout}{done.stderr}")
    return done.stdout


class Phases(unittest.TestCase):
    def test_real_time_gives_exact_counts(self):
        seconds = 60 if LARGE else 2
        rates = (1000, 700, 400, 60, 30)
        ticks = dict.fromkeys(rates, 0)

        def count(rate):
            def tick(node):
                ticks[rate] += 1
            return tick

        s = horus.Scheduler()
        for rate in rates:
            s.add(horus.Node(f"r{rate}", tick=count(rate), rate=rate))
        s.run(duration=seconds)
        for rate in rates:
            stats = s.get_node_stats(f"r{rate}")
            self.assertEqual(stats["total_ticks"], ticks[rate])
            self.assertEqual(stats["total_ticks"] + stats["skipped"], rate * seconds, stats)
            self.assertEqual(stats["wake_latency"]["count"], ticks[rate])
        self.assertEqual(s.current_tick(), 1000 * seconds)

    def test_a_deterministic_run_is_the_same_each_time(self):
        def once(seed=0):
            log = []
            nodes = [horus.Node(name, rate=rate, tick=lambda n: log.append(
                (n.name, horus.tick(), horus.now(), horus.dt(), horus.elapsed(), horus.rng_float())))
                for name, rate in (("a", 30), ("b", 59.94), ("c", 700))]
            horus.run(*nodes, duration=10, deterministic=True)
            return log

        first, second = once(), once()
        self.assertEqual(first, second)
        self.assertEqual({n: sum(e[0] == n for e in first) for n in "abc"}, {"a": 300, "b": 600, "c": 7000})
        self.assertEqual(len({e[5] for e in first}), len(first))
        self.assertTrue(all(0 <= e[5] < 1 for e in first))
        a = [e for e in first if e[0] == "a"]
        self.assertEqual([e[1] for e in a], list(range(300)))
        self.assertAlmostEqual(a[299][4], 299 / 30, places=8)
        self.assertAlmostEqual(a[299][3], 1 / 30, places=8)

    @timely
    def test_steps(self):
        log = []
        s = horus.Scheduler(tick_rate=100)
        slow = horus.Node("slow", rate=10, tick=lambda n: log.append("slow"), init=lambda n: log.append("init"),
                          shutdown=lambda n: log.append("shutdown"))
        fast = horus.Node("fast", rate=200, tick=lambda n: time.sleep(0.012) if n.info.tick_count() == 2 else None)
        s.add(slow).add(fast)
        self.assertEqual(s.status(), "idle")
        begin = time.monotonic()
        for i in range(20):
            self.assertEqual(s.current_tick(), i)
            s.tick_once()
        self.assertLess(time.monotonic() - begin, 0.15)  # it takes 0.2 s in real time
        self.assertEqual(log, ["init", "slow", "slow"])
        self.assertEqual(s.get_node_stats("fast")["total_ticks"], 39)  # one gave way to the slow tick
        self.assertEqual(s.get_node_stats("fast")["skipped"], 1)
        s.tick_once(["fast"])
        self.assertEqual(len(log), 3)
        s.stop()
        self.assertEqual(log[-1], "shutdown")
        with horus.Scheduler() as t:
            t.add(horus.Node("x", tick=nothing, shutdown=lambda n: log.append("x")))
            t.tick_once()
            self.assertEqual(log[-1], "shutdown")
        self.assertEqual(log[-1], "x")
        self.assertRaises(horus.HorusNotFoundError, t.tick_for, 0.05, node_names=["nobody"])
        t.add(horus.Node("xy", nothing, rate=100))
        t.tick_for(0.015, "xy")
        self.assertEqual([t.get_node_stats(n)["total_ticks"] for n in ("x", "xy")], [1, 2])

    def test_a_scheduler_that_is_dropped_ends_what_steps_began(self):
        log = []

        class Mine(horus.Node):
            async def shutdown(self):
                log.append(self.info.name)

        s = horus.Scheduler()
        s.add(Mine("m"))
        s.tick_once()
        del s
        gc.collect()
        self.assertEqual(log, ["m"])

    def test_rates_and_budgets_change_while_it_runs(self):
        due = []
        s = horus.Scheduler(deterministic=True)

        def tick(node):
            due.append(horus.elapsed())
            if len(due) == 10:
                s.set_node_rate("n", 100)
                s.set_tick_budget("n", 2500)
            if len(due) == 11:
                due.append(horus.budget_remaining())

        s.add(horus.Node("n", tick, rate=10))
        s.run(duration=1)
        self.assertEqual(len(due), 10 + 1 + 9)
        self.assertAlmostEqual(due[9], 0.9)
        self.assertAlmostEqual(due[10], 0.91)
        self.assertAlmostEqual(due[11], 0.0025)
        self.assertEqual(s.get_node_stats("n")["rate_hz"], 100)
        s.set_node_rate("n", 59.94)
        self.assertEqual(s.get_node_stats("n")["rate_hz"], 59.94)

    def test_order(self):
        log = []

        def node(name, order):
            return horus.Node(name, rate=10, order=order, tick=lambda n: log.append(n.name),
                              init=lambda n: log.append("init " + n.name),
                              shutdown=lambda n: log.append("end " + n.name))

        s = horus.Scheduler(deterministic=True)
        s.add(node("late", 5)).add(node("b", 0)).add(node("c", 0)).add(node("first", 7), order=-1)
        s.run(duration=0.2)
        names = ["first", "b", "c", "late"]
        self.assertEqual(log, ["init " + n for n in names] + names + names + ["end " + n for n in names[::-1]])
        self.assertEqual([s.get_node_info(n) for n in ("first", "late", "none")], [-1, 5, None])

    @timely
    def test_rate(self):
        rate = horus.Rate(200)
        begin = time.monotonic()
        for _ in range(20):
            rate.sleep()
        self.assertGreaterEqual(time.monotonic() - begin, 0.0999)
        self.assertEqual((rate.target_hz(), rate.period(), rate.is_late()), (200.0, 0.005, False))
        self.assertGreater(rate.actual_hz(), 20)
        time.sleep(0.03)
        self.assertTrue(rate.is_late())
        begin = time.monotonic()
        for _ in range(3):  # what was missed is left out: the first returns at once, the others wait for phases
            rate.sleep()
        self.assertGreaterEqual(time.monotonic() - begin, 0.005)
        rate.reset()
        self.assertFalse(rate.is_late())
        for bad in (0, -1, float("nan"), float("inf")):
            self.assertRaises(ValueError, horus.Rate, bad)
        self.assertRaises(TypeError, horus.Rate, "x")

    def test_the_clock_outside_of_ticks(self):
        self.assertEqual((horus.dt(), horus.elapsed(), horus.tick()), (0.0, 0.0, 0))
        self.assertEqual(horus.budget_remaining(), float("inf"))
        self.assertNotEqual(horus.rng_float(), horus.rng_float())
        a = horus.now()
        time.sleep(0.01)
        self.assertGreaterEqual(horus.now() - a, 0.0099)


class Ages(unittest.TestCase):
    def test_what_a_tick_receives_has_an_age(self):
        for receive in ("recv", "recv_all"):
            topic, got = horus.Topic(f"ages.{receive}"), []

            def tick(node):
                if node.info.tick_count() % 2 == 0:
                    topic.send({"a": 1})
                    time.sleep(0.03)
                    topic.send({"a": 2})
                    got.append(getattr(node, receive)(topic.name))

            s = horus.Scheduler()
            s.add(horus.Node("n", tick, rate=20, subs=topic.name))
            s.run(duration=0.5)
            self.assertTrue(got)
            age = s.get_node_stats("n")["age"]
            self.assertEqual(age["count"], len(got))
            self.assertGreater(age["p50_ns"], 29e6)

    def test_what_is_received_in_logical_time_has_none(self):
        topic = horus.Topic("ages.logical")
        s = horus.Scheduler(deterministic=True)

        def tick(node):
            topic.send({"a": 1})
            self.assertEqual(node.recv("ages.logical"), {"a": 1})

        s.add(horus.Node("n", tick, rate=100, subs="ages.logical"))
        s.run(duration=0.1)
        self.assertEqual(s.get_node_stats("n")["age"]["count"], 0)


class Arguments(unittest.TestCase):
    def test_figures_of_many_nodes_are_read_once_each(self):
        took = {}
        for count in (100, 1000):
            s = horus.Scheduler(deterministic=True)
            for i in range(count):
                s.add(horus.Node(f"n{i}", nothing, rate=1 + i))
            s.run(duration=1)
            times = []
            for _ in range(3):
                begin = time.thread_time()  # of this thread, however busy the machine is
                nodes = s.get_all_nodes()
                self.assertEqual(s.safety_stats()["budget_overruns"], 0)
                times.append(time.thread_time() - begin)
            took[count] = min(times)
            self.assertEqual([(n["name"], n["total_ticks"]) for n in nodes], [(f"n{i}", 1 + i) for i in range(count)])
            self.assertEqual([n["execution"]["count"] for n in nodes], [n["total_ticks"] for n in nodes])
        self.assertLess(took[1000], 30 * took[100])  # not with the square

    def test_all_read_back(self):
        def error(node, exc):
            pass

        given = dict(name="n", tick=nothing, rate=12.5, pubs=["p", horus.CmdVel], subs={"s": horus.Imu}, init=nothing,
                     shutdown=nothing, on_error=error, order=3, budget=5 * horus.ms, deadline=8 * horus.ms,
                     on_miss="skip", failure_policy="restart", compute=True, on=None, priority=5, core=0,
                     watchdog=0.5, default_capacity=64)
        n = horus.Node(**given)
        for key, value in given.items():
            self.assertEqual(getattr(n, key), value, key)
        self.assertEqual(n.publishers(), ["p", "cmd_vel"])
        self.assertEqual(n.subscribers(), ["s"])
        usual = horus.Node("u", nothing)
        self.assertEqual((usual.rate, usual.order, usual.compute, usual.default_capacity), (30, 0, False, 1024))
        for key in ("pubs", "subs", "init", "shutdown", "on_error", "budget", "deadline", "on_miss",
                    "failure_policy", "on", "priority", "core", "watchdog", "info"):
            self.assertIsNone(getattr(usual, key), key)
        self.assertNotEqual(horus.Node(tick=nothing).name, horus.Node(tick=nothing).name)
        usual.mine = 1  # as any object
        self.assertEqual(repr(usual), "horus.Node(name='u')")

    def test_bad_ones(self):
        async def coroutine(node):
            pass

        nan, inf = float("nan"), float("inf")
        for kw, kind in ((dict(rate=0), ValueError), (dict(rate=-1), ValueError), (dict(rate=nan), ValueError),
                         (dict(rate=inf), ValueError), (dict(rate="x"), TypeError), (dict(budget=0), ValueError),
                         (dict(budget=-1), ValueError), (dict(budget=nan), ValueError), (dict(budget=1.1), ValueError),
                         (dict(deadline=5.1), ValueError), (dict(deadline=0), ValueError),
                         (dict(on_miss="x"), ValueError), (dict(failure_policy="log"), ValueError),
                         (dict(compute=True, on="x"), ValueError), (dict(compute=True, tick=coroutine), ValueError),
                         (dict(on="x", tick=coroutine), ValueError), (dict(order=1.5), TypeError),
                         (dict(priority=100), ValueError), (dict(priority=-1), ValueError),
                         (dict(core=-1), ValueError), (dict(watchdog=0), ValueError), (dict(watchdog=nan), ValueError),
                         (dict(tick=3), TypeError), (dict(init="x"), TypeError), (dict(on_error=3), TypeError),
                         (dict(name=""), ValueError), (dict(name=3), TypeError), (dict(name="x" * 97), ValueError),
                         (dict(pubs=3), TypeError), (dict(pubs=[3]), TypeError), (dict(subs=int), TypeError),
                         (dict(pubs=[None]), TypeError), (dict(subs=(None,)), TypeError),
                         (dict(subs="no spaces"), ValueError), (dict(default_capacity=0), ValueError),
                         (dict(nonsense=1), TypeError)):
            with self.assertRaises(kind, msg=str(kw)):
                horus.Node(**{"name": "n", "tick": nothing, **kw})
        for kw, kind in ((dict(tick_rate=0), ValueError), (dict(tick_rate=nan), ValueError),
                         (dict(watchdog_ms=-1), ValueError), (dict(blackbox_mb=2000), ValueError),
                         (dict(cores=[64]), ValueError), (dict(cores=3), TypeError), (dict(name="a b"), ValueError),
                         (dict(name=3), TypeError), (dict(max_deadline_misses=0), ValueError)):
            with self.assertRaises(kind, msg=str(kw)):
                horus.Scheduler(**kw)
        s = horus.Scheduler()
        n = horus.Node("n", nothing)
        self.assertIs(s.add(n), s)
        for bad, kind in ((n, ValueError), (horus.Node("n", nothing), ValueError), (3, TypeError),
                          (horus.Node, TypeError)):
            self.assertRaises(kind, s.add, bad)
        m = horus.Node("m", nothing)
        m.rate = -3  # attributes are read, and judged, at add()
        self.assertRaises(ValueError, s.add, m)
        for bad in (-1, nan):
            self.assertRaises(ValueError, s.run, bad)
        self.assertRaises(ValueError, s.set_node_rate, "n", 0)
        self.assertRaises(FileNotFoundError, s.set_node_rate, "x", 5)
        self.assertRaises(horus.HorusNotFoundError, s.get_node_stats, "x")
        self.assertRaises(TypeError, horus.run, 3, duration=0.1)
        self.assertRaises(horus.UnsupportedError, horus.Scheduler(deterministic=True).add,
                          horus.Node("o", nothing, on="x"))

    def test_many_nodes_and_none(self):
        begin = time.monotonic()
        horus.run(duration=0.1)
        self.assertGreaterEqual(time.monotonic() - begin, 0.0999)
        count = [0]

        def tick(node):
            count[0] += 1

        s = horus.Scheduler(deterministic=True)
        for i in range(1000):
            s.add(horus.Node(f"n{i}", tick, rate=10))
        s.run(duration=1)
        self.assertEqual(count, [10000])
        self.assertEqual((s.get_node_count(), s.get_node_names()[999], s.has_node("n7"), s.has_node("x")),
                         (1000, "n999", True, False))

    def test_names_of_topics(self):
        got = []

        def tick(node):
            node.send("CmdVel", {"linear": 1.0, "angular": 2.0})
            node.send(horus.Imu, horus.Imu())
            node.send("free", {"x": 1})
            got.extend([node.recv(horus.CmdVel), node.recv("imu"), node.recv("free"), node.recv("free")])
            got.extend([node.has_msg("free"), node.recv_all("free")])
            for i in range(3):
                node.send(topic="q", data=i)
            got.append(node.recv_all(topic="q"))

        n = horus.Node("n", tick, rate=1, pubs=["free"], subs=[horus.Sub("q", capacity=2)])
        s = horus.Scheduler(deterministic=True)
        s.add(n).run(duration=1)
        self.assertEqual(got[0], horus.CmdVel(1.0, 2.0))
        self.assertIsInstance(got[1], horus.Imu)
        self.assertEqual(got[2:], [{"x": 1}, None, False, [], [1, 2]])
        self.assertEqual(n.publishers(), ["free", "cmd_vel", "imu"])
        stats = s.get_node_stats("n")
        self.assertEqual((stats["messages_sent"], stats["messages_received"]), (6, 5))
        pub = horus.Pub("a", horus.CmdVel, 4, policy="reliable", history=2)
        self.assertEqual((pub.topic, pub.msg_type, pub.capacity, pub.policy, pub.history),
                         ("a", horus.CmdVel, 4, "reliable", 2))
        self.assertRaises(ValueError, horus.Pub, "a", policy="x")
        full = horus.Node("f", nothing, pubs=horus.Pub("full", capacity=2, policy="reliable"), subs="full")
        full.has_msg("full")
        self.assertEqual([full.send("full", i) for i in range(3)], [True, True, False])


    def test_what_is_declared_may_change_while_it_is_read(self):
        program('''
import horus
class Meta(type):
    def __getattribute__(cls, name):
        if name == "__topic_name__":
            spec.clear()
        return type.__getattribute__(cls, name)
class C(metaclass=Meta):
    pass
for spec in ({"".join(["ke", "yname"]): C}, {"first": horus.Pub("".join(["to", "pic"]), C, capacity=777777)},
             ["".join(["to", "pic2"]), C, "after"], {"a" * 40: C, "b" * 40: "c" * 40}):
    names = horus.Node(pubs=spec).publishers()
    assert names in (["keyname"], ["first"], ["topic2", "c", "after"], ["a" * 40, "b" * 40]), names
    assert not spec
''')

    def test_cycles_are_collected(self):
        class Marked:  # a class cannot be told from others of its name
            pass

        def pub():
            class C:
                mark = Marked()
            C.x = horus.Pub("x", C)
            return weakref.ref(C.mark)

        def sub():
            class C:
                mark = Marked()
            C.x = [horus.Sub(C)]
            return weakref.ref(C.mark)

        def topic():
            class C:
                mark = Marked()
            C.x = horus.Topic(C, name="cycle.topic")
            return weakref.ref(C.mark)

        def node():
            n = horus.Node("cycle", tick=nothing, on="cycle.on")
            n.me = n
            horus.Scheduler().add(n)
            return weakref.ref(n)

        def node_on_class():
            class C:
                pass
            C.n = horus.Node("cycle.class", tick=nothing, on=C, subs=C)
            horus.Scheduler().add(C.n)
            return weakref.ref(C.n)

        def node_of_pubs():
            class C:
                pass
            C.n = horus.Node("cycle.pubs", pubs={"p": horus.Pub(C)}, subs=[horus.Sub("s", C)])
            return weakref.ref(C.n)
        for make in (pub, sub, topic, node, node_on_class, node_of_pubs):
            with self.subTest(make.__name__):
                seen = make()
                gc.collect()
                self.assertIsNone(seen())


class Callbacks(unittest.TestCase):
    def test_subclasses(self):
        log = []

        class WithInfo(horus.Node):
            def init(self, info=None):
                super().init(info)
                log.append(("init", info.name))

            def tick(self, info):
                log.append(("tick", info.tick_count(), self.info.name))

            def shutdown(self):
                log.append("shutdown")

        class Without(horus.Node):
            rate = 5

            def tick(self):
                log.append("without")

        horus.run(WithInfo("w", rate=5), Without("o"), duration=0.4, deterministic=True)
        self.assertEqual(log, [("init", "w"), ("tick", 0, "w"), "without", ("tick", 1, "w"), "without", "shutdown"])
        self.assertTrue(inspect.ismethod(WithInfo("x").tick))
        log.clear()
        horus.run(horus.Node("none", tick=lambda: log.append(1), rate=2), duration=1, deterministic=True)
        self.assertEqual(log, [1, 1])

    def test_info_and_logs(self):
        seen = []

        def tick(node):
            i = node.info
            seen.append((i.tick_count(), i.error_count(), i.name, str(i.state), i.state == horus.NodeState.RUNNING))
            i.set_custom_data("k", i.tick_count())
            node.log_info(f"tick {i.tick_count()}")
            node.log_error("bad")
            if i.tick_count() == 2:
                seen.append((sorted(i.get_metrics()), i.avg_tick_duration_ms() >= 0, i.get_uptime() >= 0,
                             i.get_custom_data("k"), i.get_custom_data("x"), i.custom_data_keys(),
                             i.remove_custom_data("k"), i.remove_custom_data("k")))
                node.request_stop()

        n = horus.Node("talker", tick, rate=100)
        with self.assertLogs("horus.talker", "INFO") as logs:
            horus.run(n, duration=5)
        self.assertEqual([r.getMessage() for r in logs.records], ["tick 0", "bad", "tick 1", "bad", "tick 2", "bad"])
        self.assertEqual([r.levelname for r in logs.records[:2]], ["INFO", "ERROR"])
        self.assertEqual(seen[:3], [(i, 0, "talker", "running", True) for i in range(3)])
        self.assertEqual(seen[3][1:], (True, True, 2, None, ["k"], True, False))
        self.assertIn("avg_tick_duration_ms", seen[3][0])
        self.assertIsNone(n.info)
        for f in (n.request_stop, lambda: n.log_info("x")):
            with self.assertWarns(RuntimeWarning):
                f()

    def test_failures(self):
        def fails(node):
            ticks.append(node.info.tick_count())
            if node.info.tick_count() in (1, 2):
                raise ValueError("planned")

        for policy, expected, errors in ((None, 10, 2), ("ignore", 10, 2), ("skip", 10, 2), ("fatal", 2, 1)):
            ticks, told = [], []
            s = horus.Scheduler(deterministic=True)
            s.add(horus.Node("f", fails, rate=10, failure_policy=policy, shutdown=lambda n: told.append("shutdown"),
                             on_error=lambda n, e: told.append((n.name, str(e)))))
            s.add(horus.Node("other", nothing, rate=10))
            s.run(duration=1)
            self.assertEqual(len(ticks), expected, policy)
            self.assertEqual(told, [("f", "planned")] * errors + ["shutdown"])
            self.assertEqual(s.get_node_stats("f")["errors_count"], errors)
            self.assertEqual(s.get_node_stats("other")["errors_count"], 0)
        begun = []
        ticks = []
        s = horus.Scheduler(deterministic=True)
        s.add(horus.Node("r", fails, rate=10, failure_policy="restart", init=begun.append))
        s.run(duration=2)
        self.assertEqual((len(begun), s.get_node_stats("r")["restarts"]), (3, 2))
        with self.assertLogs("horus.f", "ERROR") as logs:
            ticks = []
            horus.run(horus.Node("f", fails, rate=10), duration=0.3, deterministic=True)
        self.assertIn("planned", str(logs.records[0].exc_info[1]))

    def test_on_error_is_a_callback(self):
        seen = []

        def bad(node):
            raise ValueError("planned")

        async def bad_later(node):
            raise ValueError("planned")

        def told(node, error):
            seen.append((node.info.name, str(error)))
            node.log_error("told")
            node.request_stop()

        for tick, kw in ((bad, {}), (bad, {"compute": True}), (bad_later, {})):
            seen.clear()
            begin = time.monotonic()
            with self.assertLogs("horus.f", "ERROR") as logs:
                horus.run(horus.Node("f", tick, rate=10, on_error=told, **kw), duration=60)
            self.assertLess(time.monotonic() - begin, 30)
            self.assertEqual(seen, [("f", "planned")])
            self.assertIn("told", [r.getMessage() for r in logs.records])
        with self.assertLogs("horus.f", "ERROR") as logs:  # both errors, with where they come from
            horus.run(horus.Node("f", bad, rate=10, on_error=lambda n, e: 1 / 0), duration=0.1, deterministic=True)
        self.assertEqual([str(r.exc_info[1]) for r in logs.records], ["planned", "division by zero"])
        self.assertTrue(all(r.exc_info[1].__traceback__ for r in logs.records))

    def test_an_init_that_fails(self):
        log = []

        def bad(node):
            raise OSError("no camera")

        s = horus.Scheduler(deterministic=True)
        s.add(horus.Node("bad", lambda n: log.append("tick"), rate=10, init=bad,
                         shutdown=lambda n: log.append("shutdown"), on_error=lambda n, e: log.append(str(e))))
        s.add(horus.Node("good", lambda n: log.append("good"), rate=2))
        s.run(duration=1)
        self.assertEqual(log, ["no camera", "good", "good"])
        self.assertEqual(s.get_node_stats("bad")["state"], "failed")
        self.assertEqual(s.safety_stats()["state"], "Degraded")

    def test_what_is_no_exception_ends_the_run(self):
        log = []
        for error in (SystemExit(3), KeyboardInterrupt()):
            def tick(node):
                raise error

            with self.assertRaises(type(error)):
                horus.run(horus.Node("n", tick, shutdown=lambda n: log.append(1)), duration=9)
        self.assertEqual(log, [1, 1])

    @timely
    def test_misses(self):
        def slow(node):
            ticks.append(node.info.tick_count())
            if node.info.tick_count() == 1:
                time.sleep(0.03)
            remaining.append(horus.budget_remaining())

        class Safe(horus.Node):
            def enter_safe_state(self):
                safe.append(1)

        for on_miss, expected in (("warn", 0), ("skip", 1), ("safe_mode", 0), ("stop", 0)):
            ticks, safe, remaining = [], [], []
            s = horus.Scheduler(tick_rate=50)
            s.add(Safe("s", tick=slow, rate=50, budget=10 * horus.ms, on_miss=on_miss))
            with self.assertLogs("horus", "WARNING") as logs:
                for _ in range(10):  # steps: no other program's load counts
                    if on_miss != "stop" or s.get_node_stats("s")["budget_misses"] == 0:
                        s.tick_once()
            stats = s.get_node_stats("s")
            self.assertEqual(stats["budget_misses"], 1)
            self.assertEqual(len(ticks), 2 if on_miss == "stop" else 10 - expected)
            self.assertEqual(stats["skipped"], expected)
            self.assertEqual(len(safe), on_miss == "safe_mode")
            self.assertEqual((stats["safe_entries"], stats["recoveries"]), (len(safe), len(safe)))
            self.assertIn("over its budget", logs.records[0].getMessage())
            self.assertLess(remaining[1], 0)
            self.assertGreater(remaining[0], 0)
            self.assertEqual(s.safety_stats()["budget_overruns"], 1)
            s.stop()

    def test_the_watchdog_acts_while_a_tick_runs(self):
        entered = threading.Event()
        seen = []

        class Hangs(horus.Node):
            def enter_safe_state(self):
                entered.set()

            def tick(self):
                seen.append(entered.wait(20))
                self.request_stop()

        s = horus.Scheduler()
        s.add(Hangs("h", watchdog=20 * horus.ms, on_miss="safe_mode"))
        s.run(duration=30)
        self.assertEqual(seen, [True])
        self.assertEqual(s.safety_stats()["watchdog_expirations"], 1)


class Threads(unittest.TestCase):
    def test_the_wait_for_the_lock_is_latency_and_not_of_the_budget(self):
        over, numbers, took = threading.Event(), 10 ** 5, 0
        while took < 0.2:  # one call that lets nobody in
            numbers *= 2
            began = time.monotonic()
            sum(range(numbers))
            took = time.monotonic() - began

        def hold():
            while not over.is_set():
                sum(range(numbers))

        thread = threading.Thread(target=hold)
        thread.start()
        try:
            s = horus.Scheduler()
            s.add(horus.Node("waits", nothing, rate=7, budget=0.05, compute=True))
            s.run(duration=2)
        finally:
            over.set()
            thread.join()
        stats = s.get_node_stats("waits")
        self.assertEqual(stats["budget_misses"], 0, stats)
        self.assertGreater(stats["wake_latency"]["max_ns"], 50e6, stats)

    @timely
    def test_compute_nodes_do_not_delay_the_others(self):
        threads = set()

        def detect(node):
            threads.add(threading.get_ident())
            time.sleep(0.1)

        s = horus.Scheduler()
        s.add(horus.Node("control", nothing, rate=100))
        s.add(horus.Node("detect", detect, rate=30, compute=True, order=-1))
        s.run(duration=1)
        self.assertNotIn(threading.get_ident(), threads)
        self.assertEqual(len(threads), 1)  # one thread, one state
        stats = s.get_node_stats("detect")
        self.assertEqual(stats["total_ticks"] + stats["skipped"], 30)
        self.assertGreater(s.get_node_stats("control")["total_ticks"], 60)

    @timely  # a sink that stands still for 160 ms loses frames
    def test_a_topic_wakes_a_node(self):
        got, outside = [], []

        def source(node):
            frame = horus.Image(4, 4)
            frame.fill(node.info.tick_count())
            node.send("frames", frame)
            try:
                woken.recv("frames")
            except horus.BusyError as e:
                outside.append(str(e))

        def sink(node):
            got.append(int(numpy.asarray(node.recv("frames"))[0, 0, 0]))

        woken = horus.Node("sink", sink, on="frames")
        s = horus.Scheduler()
        s.add(horus.Node("source", source, rate=50, pubs="frames")).add(woken)
        s.run(duration=1)
        source = s.get_node_stats("source")
        self.assertEqual(source["total_ticks"] + source["skipped"], 50)
        self.assertEqual(got, list(range(len(got))))
        self.assertLessEqual(source["total_ticks"] - len(got), 1)  # the last may come too late
        self.assertEqual(len(outside), source["total_ticks"])
        self.assertEqual(woken.subscribers(), ["frames"])
        self.assertIsNone(woken.recv("frames"))  # afterwards it is anybody's

    def test_a_late_node_on_a_topic_skips_to_the_newest_message(self):
        got = []

        def sink(node):
            got.append(node.recv("numbers"))
            time.sleep(0.001)  # over its budget each time

        s, out = horus.Scheduler(), horus.Topic("numbers")
        s.add(horus.Node("sink", sink, on="numbers", budget=horus.us, on_miss="skip"))
        s.tick_once()  # from now on it gets all
        for numbers in ((1,), (2, 3, 4, 5), (6,)):  # a lone one is the newest, and ticked
            for n in numbers:
                out.send(n)
            s.tick_once()
        self.assertEqual(got, [1, 5, 6])
        self.assertEqual(s.get_node_stats("sink")["skipped"], 3)
        s.stop()

    @timely
    def test_async_nodes_share_a_loop(self):
        loops, log = set(), []

        class Fetch(horus.Node):
            async def init(self):
                log.append("init")

            async def tick(self):
                loops.add(asyncio.get_running_loop())
                await asyncio.sleep(0.05)
                self.send("fetched", self.name)

            async def shutdown(self):
                log.append("shutdown")

        async def forever(node):
            loops.add(asyncio.get_running_loop())
            await asyncio.sleep(1000)

        async def bad(node):
            raise ValueError("async")

        reader = horus.Topic("fetched")
        begin = time.monotonic()
        horus.run(*[Fetch(f"f{i}", rate=10) for i in range(4)], horus.Node("never", forever),
                  horus.Node("bad", bad, rate=1, on_error=lambda n, e: log.append(str(e))), duration=0.5)
        self.assertLess(time.monotonic() - begin, 5)
        self.assertEqual(sorted(log), ["async"] + ["init"] * 4 + ["shutdown"] * 4)
        self.assertEqual(len(loops), 1)
        got = reader.recv_all()
        self.assertGreaterEqual(len(got), 8)
        self.assertEqual(set(got), {"f0", "f1", "f2", "f3"})
        self.assertEqual([t for t in threading.enumerate() if t.name == "horus-async"], [])

    def test_async_ticks_know_their_tick(self):
        log, after = [], []

        def clock():
            return (horus.tick(), round(horus.dt(), 9), horus.elapsed() > 0, horus.budget_remaining() < 1)

        async def later():
            await asyncio.sleep(0.03)  # the tick that made this task is over
            after.append(clock())

        async def part():
            return clock()

        async def tick(node):
            first = clock()
            await asyncio.sleep(0.001)
            numbers = (horus.rng_float(), horus.rng_float())
            log.append((node.name, first, clock(), await part(), await asyncio.create_task(part()), numbers))
            asyncio.create_task(later())
            self.assertLess(horus.budget_remaining(), 0.5 - 0.001)

        def told():
            self.assertEqual((horus.tick(), horus.dt(), horus.elapsed()), (0, 0, 0))
            self.assertEqual(horus.budget_remaining(), float("inf"))

        nodes = [horus.Node(f"n{i}", tick, rate=20, budget=0.5) for i in range(2)]
        horus.run(*nodes, horus.Node("plain", lambda n: log.append((n.name, clock())), rate=20), duration=0.5)
        told()
        for name in ("n0", "n1"):
            mine = [e for e in log if e[0] == name]
            self.assertEqual([e[1][0] for e in mine], list(range(len(mine))))
            for e in mine:
                self.assertEqual(e[1][2:], (True, True))
                self.assertEqual({e[1], e[2], e[3], e[4]}, {e[1]})
            self.assertGreater(len(mine), 5)
            self.assertTrue(all(abs(e[1][1] * 20 - round(e[1][1] * 20)) < 1e-6 and e[1][1] > 0 for e in mine))
        self.assertEqual(len({n for e in log if e[0] != "plain" for n in e[5]}), 2 * sum(e[0] != "plain" for e in log))
        self.assertTrue(after and all(t in {e[1] for e in log if e[0] != "plain"} for t in after))
        self.assertTrue(all(not e[1][3] for e in log if e[0] == "plain"))  # it has no budget

    def test_async_callbacks_are_not_deterministic(self):
        async def tick(node):
            pass

        s = horus.Scheduler(deterministic=True)
        for what in ("tick", "init", "shutdown"):
            self.assertRaisesRegex(horus.UnsupportedError, "deterministic", s.add, horus.Node("a", **{what: tick}))
        errors = []
        s.add(horus.Node("b", lambda n: tick(n), rate=10, on_error=lambda n, e: errors.append(e)))
        s.run(duration=0.2)
        self.assertEqual([type(e) for e in errors], [horus.UnsupportedError] * 2)

    def test_stop_from_a_thread(self):
        s = horus.Scheduler()
        s.add(horus.Node("n", nothing, rate=1000, init=lambda n: threading.Timer(0.1, s.stop).start()))
        begin = time.monotonic()
        s.run()
        self.assertLess(time.monotonic() - begin, 20)
        self.assertEqual(s.status(), "stopped")

    @timely
    def test_run_within_run_and_beside_it(self):
        log = []

        def tick(node):
            self.assertRaises(RuntimeError, s.run)
            self.assertRaises(RuntimeError, s.add, horus.Node("late", nothing))
            self.assertTrue(s.is_running())
            horus.run(horus.Node("inner", lambda n: log.append(n.info.name), rate=10), duration=0.05)
            log.append(node.info.name)
            node.request_stop()

        s = horus.Scheduler()
        s.add(horus.Node("outer", tick))
        s.run(duration=20)
        self.assertEqual(log, ["inner", "outer"])
        counts = [0, 0]

        def work(i):
            def tick(node):
                counts[i] += 1
            horus.run(horus.Node(f"n{i}", tick, rate=100), duration=0.5, name=f"beside{i}")

        threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertTrue(min(counts) > 20, counts)

    def test_two_threads_that_run_one_scheduler(self):
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for _ in range(30):
                s = horus.Scheduler()
                barrier, results = threading.Barrier(2), []

                def go():
                    barrier.wait()
                    try:
                        s.run(0.002)
                        results.append("ran")
                    except horus.BusyError:
                        results.append("busy")

                threads = [threading.Thread(target=go) for _ in range(2)]
                for t in threads:
                    t.start()
                for t in threads:
                    t.join()
                self.assertIn(sorted(results), (["busy", "ran"], ["ran", "ran"]))
                self.assertFalse(s.is_running())
        finally:
            sys.setswitchinterval(interval)

    def test_what_ends_an_async_node_ends_the_run(self):
        async def leaves(node):
            raise SystemExit(3)

        with self.assertRaises(SystemExit):
            horus.run(horus.Node("a", leaves), duration=60)

        async def late(node):
            await asyncio.sleep(0.02)  # as long as the scheduler waits at once

        failed = []
        horus.run(*[horus.Node(f"l{i}", late, rate=40, on_error=lambda n, e: failed.append(e)) for i in range(6)],
                  duration=0.5)
        self.assertEqual(failed, [])
        log = []
        horus.run(horus.Node("lambda", lambda node: late(node), rate=20, on_error=lambda n, e: failed.append(e)),
                  horus.Node("x", lambda n: log.append(1), rate=20), duration=0.2)  # a function that gives a coroutine
        self.assertEqual(failed, [])

    def test_nodes_in_use_are_not_made_anew(self):
        n = horus.Node("n", nothing)
        s = horus.Scheduler()
        s.add(n)
        self.assertRaises(horus.BusyError, n.__init__, "n", None)

        class Driver(horus.Node):
            name = "driver"

        self.assertEqual(Driver().name, "driver")

        class Broken(horus.Node):
            @property
            def tick(self):
                raise OSError("no port")

        self.assertRaises(OSError, Broken, "b")

    def test_odd_ends(self):
        async def waits(node):
            pass

        def steps():
            s = horus.Scheduler()
            s.add(horus.Node("a", waits, rate=1000))
            s.tick_once()
            return s

        def generator():
            yield steps()
            raise ValueError("mine")

        self.assertRaisesRegex(ValueError, "mine", lambda: tuple(generator()))  # the scheduler goes meanwhile
        kept = []
        outside = horus.Node("outside", lambda n: kept.append(n.info), rate=100)
        s = horus.Scheduler()
        inside = horus.Node("inside", nothing)
        inside.scheduler = s
        s.add(outside).add(inside)
        s.run(0.05)
        del s, inside
        gc.collect()
        self.assertEqual(kept[0].avg_tick_duration_ms(), 0)  # it belongs to none
        horus.Scheduler().add(outside)

        class Mine(horus.Node):
            def tick(self, info):
                self.my = info

        n = Mine("mine", rate=100)
        horus.run(n, duration=0.02)
        gone = weakref.ref(n)
        del n
        gc.collect()
        self.assertIsNone(gone())
        saved = []
        s = steps()
        back = horus.Node("back", nothing, shutdown=lambda n: saved.append(n.s))
        back.s = s
        s.add(back)
        s.tick_once()
        del s, back
        gc.collect()
        gc.collect()  # where there is no lock a task goes first, and with it the tick that it has kept
        saved[0].tick_once()
        saved.clear()
        gc.collect()

    def test_nothing_is_kept(self):
        def make():
            class Mine(horus.Node):
                def tick(self):
                    self.me = self

            s = horus.Scheduler()
            n = Mine("n", rate=100)
            n.scheduler = s  # a cycle
            s.add(n)
            s.run(duration=0.05)
            return weakref.ref(s), weakref.ref(n)

        refs = make()
        gc.collect()
        self.assertEqual([r() for r in refs], [None, None])
        n = horus.Node("n", nothing)
        horus.Scheduler().add(n)
        horus.Scheduler().add(n)  # the first is gone
        before = len(threading.enumerate())
        for _ in range(20):
            horus.run(horus.Node("c", nothing, rate=100, compute=True), duration=0.01)
        self.assertEqual(len(threading.enumerate()), before)


    def test_values_that_are_no_rates_and_no_cores(self):
        for call, name in ((lambda: horus.Node(rate=True), "rate"), (lambda: horus.Node(budget=True), "budget"),
                           (lambda: horus.Node(deadline=True), "deadline"), (lambda: horus.Node(watchdog=False), "watchdog"),
                           (lambda: horus.Scheduler(tick_rate=True), "tick_rate"),
                           (lambda: horus.Rate(False), "hz"), (lambda: horus.Scheduler(cores=5), "cores"),
                           (lambda: horus.Scheduler(cores="a"), "cores"), (lambda: horus.Scheduler(cores=[None]), "cores")):
            with self.assertRaises(horus.MessageTypeError) as caught:
                call()
            self.assertIn(name, str(caught.exception))
        s = horus.Scheduler(cores=range(2)).add(horus.Node("n", nothing))
        self.assertRaises(TypeError, s.set_node_rate, "n", True)

    def test_names_with_control_characters_are_refused_at_once(self):
        for name in ("a\nb", "\x7f", "a\0b", ""):
            with self.assertRaises(horus.NameSyntaxError) as caught:
                horus.Node(name)
            self.assertIn("1 to 96 bytes", str(caught.exception))

    def test_what_a_step_leaves_out_is_counted_nowhere(self):
        for kind in (False, True):
            with horus.Scheduler(tick_rate=100, deterministic=kind) as s:
                seen = []
                s.add(horus.Node("out", lambda n: seen.append((horus.tick(), n.info.tick_count())), rate=100))
                s.add(horus.Node("in", nothing, rate=100))
                for _ in range(5):
                    s.tick_once(["in"])
                figures = s.get_node_stats("out")
                self.assertEqual([figures[k] for k in ("total_ticks", "skipped", "overruns")], [0, 0, 0])
                self.assertEqual([figures[k]["count"] for k in ("execution", "wake_latency")], [0, 0])
                self.assertEqual(figures["avg_tick_duration_ms"], 0)
                self.assertEqual(s.get_node_stats("in")["execution"]["count"], 5)
                s.tick_once("out")
                self.assertEqual(seen, [(0, 0)])
                self.assertEqual(s.get_node_stats("out")["execution"]["count"], 1)
                self.assertEqual(s.get_node_stats("in")["execution"]["count"], 5)

    def test_uptime_is_the_nodes(self):
        def run(n):
            times.append(n.info.get_uptime())
        for step in (False, True):
            times = []
            s = horus.Scheduler(tick_rate=100).add(horus.Node("up", run, rate=100, init=run, shutdown=run))
            time.sleep(0.1)
            begin = time.monotonic()
            if step:
                for _ in range(5):
                    s.tick_once()
                s.stop()
            else:
                s.run(duration=0.1)
            took = time.monotonic() - begin
            self.assertGreater(len(times), 3)
            self.assertEqual(times, sorted(times))
            self.assertGreater(times[0], 0.09) # since it was added, as with the package
            self.assertLess(times[-1] - times[0], took)
            self.assertLess(times[0], 60) # and not since the machine was started
        times = [] # by its own clock: the same in each run
        horus.run(horus.Node("up", run, rate=10, init=run, shutdown=run), duration=0.5, deterministic=True)
        self.assertEqual([round(t, 6) for t in times], [0, 0, 0.1, 0.2, 0.3, 0.4, 0.5])

    def test_every_allocation_may_fail(self):
        try:
            import _testcapi
        except ImportError:
            self.skipTest("skipped: this Python has no _testcapi")
        if sys.version_info >= (3, 12):
            self.skipTest("skipped: 3.12.1 and 3.13.0 crash by themselves: inspect.signature() in a generator is enough")

        class Sub(horus.Node):
            def tick(self, info):
                pass

        def node():
            return horus.Node("no.memory", nothing, rate=10, init=nothing, pubs=["no.a", horus.CmdVel],
                              subs={"no.b": horus.CmdVel}, budget=0.1)
        operations = [node, lambda: Sub("no.sub"), lambda: horus.Scheduler(name="no.s", cores=[0]),
                      lambda: horus.Scheduler().add(node()), lambda: horus.Pub("no.a", horus.CmdVel, 5)]
        unraisable, sys.unraisablehook = sys.unraisablehook, lambda *a: None  # of Python's own generators
        try:
            for i, f in enumerate(operations):
                made, failed = f(), 0
                for n in range(300):
                    _testcapi.set_nomemory(n, n + 1)
                    try:
                        made = f()
                    except MemoryError:
                        failed += 1
                    finally:
                        _testcapi.remove_mem_hooks()
                    if i == 0:
                        self.assertEqual((made.tick, made.init, made.shutdown), (nothing, nothing, None))
                self.assertGreater(failed, 0, i)
        finally:
            sys.unraisablehook = unraisable


class Processes(unittest.TestCase):
    @unittest.skipUnless("fork" in multiprocessing.get_all_start_methods(), "no fork here")
    def test_a_process_that_a_callback_starts_can_be_terminated(self):
        ended = []

        def init(node):
            node.child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(HANG,))
            node.child.start()

        def shutdown(node):
            node.child.terminate()
            node.child.join(10)
            ended.append(node.child.exitcode)
            node.child.kill()
            node.child.join()

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of fork() beside threads
            horus.run(horus.Node("n", nothing, rate=50, init=init, shutdown=shutdown), duration=0.2)
        self.assertEqual(ended, [-signal.SIGTERM])

    def test_a_process_that_a_threads_tick_starts_can_be_terminated(self):
        ended = []

        def tick(node):
            node.request_stop()
            child = subprocess.Popen(["sleep", str(HANG)])
            child.terminate()
            try:
                ended.append(child.wait(10))
            finally:
                child.kill()
                child.wait()

        horus.run(horus.Node("n", tick, compute=True), duration=HANG)
        self.assertEqual(ended, [-signal.SIGTERM])

    def test_signals_of_a_run_in_another_thread(self):
        text = """
import horus, os, signal, threading, time
s = horus.Scheduler()
s.add(horus.Node("n", lambda n: began.set(), rate=100, shutdown=lambda n: print("shutdown", flush=True)))
began = threading.Event()
%s
thread = threading.Thread(target=s.run, daemon=True)
thread.start()
began.wait(60)
try:
    os.kill(os.getpid(), signal.%s)
    thread.join(60)
except KeyboardInterrupt:
    print("interrupted")
    s.stop()
    thread.join(60)
print("after", thread.is_alive())
"""
        program(text % ("", "SIGTERM"), expect=-signal.SIGTERM)
        self.assertEqual(program(text % ("signal.signal(signal.SIGTERM, lambda *a: s.stop())", "SIGTERM")),
                         "shutdown\nafter False\n")
        self.assertEqual(program(text % ("", "SIGINT")), "interrupted\nshutdown\nafter False\n")

    def test_signals(self):
        text = """
import horus, os, signal, sys, threading
def tick(node):
    if node.info.tick_count() == 3:
        os.kill(os.getpid(), signal.%s)
    if node.info.tick_count() > 200:
        print("still there")
horus.run(horus.Node("n", tick, rate=100, shutdown=lambda n: print("shutdown")), duration=%d)
print("after", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
        for name in ("SIGINT", "SIGTERM"):
            self.assertEqual(program(text % (name, 60)), "shutdown\nafter True\n")
        own = """
import horus, os, signal
signal.signal(signal.SIGTERM, lambda *a: print("mine"))
def tick(node):
    if node.info.tick_count() == 3:
        os.kill(os.getpid(), signal.SIGTERM)
horus.run(horus.Node("n", tick, rate=100), duration=0.2)
print("after")
"""
        self.assertEqual(program(own), "mine\nafter\n")
        beside = """
import horus, os, signal, threading
s = horus.Scheduler()
def init(node): # it runs by now
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
s.add(horus.Node("n", lambda n: None, rate=100, compute=True, init=init))
signal.signal(signal.SIGINT, lambda *a: s.stop())
s.run()
print("after")
"""
        self.assertEqual(program(beside), "after\n")
        waiting = """
import asyncio, horus, os, signal, threading
async def init(node):
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    await asyncio.sleep(1000)
horus.run(horus.Node("n", lambda n: None, init=init))
print("after")
"""
        self.assertEqual(program(waiting), "after\n")

    def test_the_interpreter_ends_while_a_thread_runs(self):
        self.assertEqual(program("""
import horus, threading, time
threading.Thread(target=horus.run, args=(horus.Node("n", lambda n: None, rate=1000, compute=True),),
                 daemon=True).start()
time.sleep(0.2)
print("end")
"""), "end\n")

    @timely
    def test_a_forked_child_runs_what_it_inherited(self):
        ticks = []
        s = horus.Scheduler()
        s.add(horus.Node("n", lambda n: ticks.append(n.send("forked", 1)), rate=100))
        s.run(duration=0.05)

        def child():
            s.run(duration=0.2)
            os._exit(0 if len(ticks) > 10 else 1)

        p = multiprocessing.get_context("fork").Process(target=child)
        p.start()
        p.join(HANG)
        self.assertEqual(p.exitcode, 0)
        s.run(duration=0.05)
        self.assertLess(float(program("""
import horus, os, threading, time
threading.Thread(target=horus.run, args=(horus.Node("n"),), daemon=True).start()
time.sleep(0.1)
begin = time.monotonic()
pid = os.fork()
if pid == 0:
    raise SystemExit # the interpreter's end in a child has nothing to wait for
os.waitpid(pid, 0)
print(time.monotonic() - begin)
""")), 0.9)

    def test_a_child_forked_within_a_tick_is_in_none(self):
        seen = []

        def tick(node):
            if horus.tick() != 3:
                return
            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    told = (node.info, horus.tick(), horus.dt(), horus.elapsed(), horus.budget_remaining())
                    with warnings.catch_warnings(record=True) as said:
                        node.log_info("out of place")
                    told += (len(said),)
                    os.write(write, repr(told).encode())
                finally:
                    os._exit(0)
            os.close(write)
            with os.fdopen(read) as f:
                seen.append((f.read(), os.waitpid(pid, 0)[1], horus.tick(), node.info is not None))

        horus.run(horus.Node("n", tick, rate=100, budget=1), duration=0.1)
        self.assertEqual(seen, [("(None, 0, 0.0, 0.0, inf, 1)", 0, 3, True)])

    def test_a_child_that_returns_from_its_tick_ends_its_run(self):
        self.assertEqual(program("""
import horus, os, sys
here, pids = os.getpid(), []
def tick(node):
    if os.getpid() != here:
        print("a tick in the child")
    elif not pids:
        pids.append(os.fork() or 0)
    elif horus.tick() > 5:
        node.request_stop()
def shutdown(node):
    if os.getpid() != here:
        print("a shutdown in the child")
s = horus.Scheduler()
s.add(horus.Node("n", tick, rate=100, shutdown=shutdown))
try:
    s.run(duration=30)
except horus.DetachedError:
    sys.stdout.flush()
    os._exit(7)
print(os.WEXITSTATUS(os.waitpid(pids[0], 0)[1]), s.get_node_stats("n")["total_ticks"] > 1)
""").strip(), "7 True")

    def test_a_killed_scheduler(self):
        child = subprocess.Popen([sys.executable, "-c", """
import horus
def tick(node):
    if node.info.tick_count() == 10:
        print("there", flush=True)
horus.run(horus.Node("n", tick, rate=100, pubs=horus.Image, compute=True), name="victim", blackbox_mb=1)
"""], stdout=subprocess.PIPE)
        self.assertEqual(child.stdout.readline(), b"there\n")
        child.kill()
        child.wait()
        child.stdout.close()
        horus.sweep()
        gc.collect()
        self.assertTrue(horus.audit()["balanced"])

    def test_real_time_says_what_it_obtained(self):
        s = horus.Scheduler(rt=True, cores=[0])
        s.add(horus.Node("n", nothing, rate=100))
        self.assertTrue(s.has_full_rt())  # nothing was refused yet
        s.run(duration=0.05)
        can = s.capabilities()
        self.assertEqual(set(can["wanted"]), {"fifo", "locked_memory", "timers", "cores", "shared_figures"})
        refused = set(can["wanted"]) - set(can["obtained"])
        self.assertEqual(s.has_full_rt(), not refused)
        self.assertEqual(len(s.degradations()), len(refused))
        s = horus.Scheduler(rt="deadline")
        s.add(horus.Node("n", nothing, rate=100, budget=1 * horus.ms)).run(duration=0.05)
        self.assertIn("deadline", s.capabilities()["wanted"])
        self.assertEqual("deadline" not in s.capabilities()["obtained"], "fifo" in s.capabilities()["wanted"])
        s = horus.Scheduler(rt="deadline")
        s.add(horus.Node("n", nothing, rate=100)).run(duration=0.05)
        self.assertNotIn("deadline", s.capabilities()["obtained"])
        self.assertIn("SCHED_DEADLINE for the ordered nodes", s.degradations()[0])
        self.assertRaises(ValueError, horus.Scheduler, rt="fast")


if __name__ == "__main__":
    unittest.main()
