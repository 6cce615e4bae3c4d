"""The message classes of the module `horus`. SEED=n repeats a run; LARGE=1 runs longer."""
import copy
import gc
import inspect
import math
import os
import pickle
import random
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

import horus

try:
    import numpy as np
except ImportError:
    np = None

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(2 ** 31)))
LARGE = 10 if os.environ.get("LARGE") else 1
CLASSES = [c for name, c in vars(horus).items() if hasattr(c, "__type_tag__") and c.__name__ == name]

INTEGERS = {"uint8": (0, 2 ** 8 - 1), "int8": (-2 ** 7, 2 ** 7 - 1), "uint16": (0, 2 ** 16 - 1),
            "int16": (-2 ** 15, 2 ** 15 - 1), "uint32": (0, 2 ** 32 - 1),
            "int32": (-2 ** 31, 2 ** 31 - 1), "uint64": (0, 2 ** 64 - 1),
            "int64": (-2 ** 63, 2 ** 63 - 1)}

# every kind of field, for the tests of values
All = horus.message(
    "All", u8="uint8", i8="int8", u16="uint16", i16="int16", u32="uint32", i32="int32",
    u64="uint64", i64="int64", f32="float32", f64="float64", flag="bool", four="float32[4]",
    three="uint8[3]", flags="bool[2]", text="text[10]", pose=horus.Pose2D, samples="float32[]",
    raw="uint8[]", big="int64[]", poses=[horus.Pose2D], truths="bool[]")


def fields(cls):
    """(name, type) of each, as the documentation says."""
    lines = cls.__doc__.split("\n\n")[-1].split("\n")
    return [line.strip().split(None, 1) for line in lines if line.strip()]


def random_value(kind, rng):
    base = kind.split("[")[0]
    if kind.startswith("str of at most"):
        n = rng.randrange(int(kind.split()[4]) // 4 + 1)
        return "".join(rng.choice("abcXYZ 09_é漢😀") for _ in range(n))
    if kind == "list of str":
        return [rng.choice(["a", "joint_1", "", "é", "x" * 40]) for _ in range(rng.randrange(20))]
    if "[" in kind:
        count = kind.split("[")[1][:-1]
        n = int(count) if count else rng.choice([0, 1, 2, 7, 50, 400])
        values = [random_value(base, rng) for _ in range(n)]
        return bytes(values) if kind == "uint8[]" else values
    if base in INTEGERS:
        low, high = INTEGERS[base]
        return rng.choice([low, high, 0, rng.randint(low, high)])
    if base == "bool":
        return rng.random() < 0.5
    if base == "float32":
        return struct.unpack("f", struct.pack("f", rng.choice([0.0, -0.0, math.inf, -math.inf, 1.5e-44,
                                                               rng.gauss(0, 1e6)])))[0]
    if base == "float64":
        return rng.choice([0.0, -0.0, math.inf, -math.inf, 5e-324, 1.7e308, rng.gauss(0, 1e6)])
    return random_message(getattr(horus, base), rng)


def random_message(cls, rng):
    m = cls()
    for name, kind in fields(cls):
        if name in ("force",) and cls.__name__ == "HapticFeedback" or rng.random() < 0.9:
            setattr(m, name, random_value(kind, rng))
    return m


def values(m):
    """All values, timestamps too, as plain Python."""
    if type(m) in CLASSES or type(m) is All:
        return [values(getattr(m, name)) for name, _ in fields(type(m))]
    if isinstance(m, (list, tuple)):
        return [values(x) for x in m]
    return m


class Values(unittest.TestCase):
    def test_integers_are_checked_by_their_range(self):
        m = All()
        for name, (low, high) in (("u8", INTEGERS["uint8"]), ("i8", INTEGERS["int8"]),
                                  ("u16", INTEGERS["uint16"]), ("i16", INTEGERS["int16"]),
                                  ("u32", INTEGERS["uint32"]), ("i32", INTEGERS["int32"]),
                                  ("u64", INTEGERS["uint64"]), ("i64", INTEGERS["int64"])):
            for good in (low, high, 0, 1, True):
                setattr(m, name, good)
                self.assertEqual(getattr(m, name), good)
            for bad in (low - 1, high + 1, 10 ** 30, -10 ** 30):
                with self.assertRaises(OverflowError) as e:
                    setattr(m, name, bad)
                self.assertIn("All." + name, str(e.exception))
                self.assertIn(str(high), str(e.exception))
                self.assertEqual(getattr(m, name), 1)
            for bad in (1.0, "1", None, [1], 1j):
                with self.assertRaises(TypeError) as e:
                    setattr(m, name, bad)
                self.assertIn("All." + name, str(e.exception))

    def test_floats(self):
        class Float:
            def __float__(self):
                return 2.5
        m = All()
        for name in ("f32", "f64"):
            for good in (0.5, 3, True, Float(), -0.0, math.inf):
                setattr(m, name, good)
                self.assertEqual(getattr(m, name), float(good))
            setattr(m, name, math.nan)
            self.assertTrue(math.isnan(getattr(m, name)))
            for bad in ("1", None, [1], 1j):
                with self.assertRaises(TypeError) as e:
                    setattr(m, name, bad)
                self.assertIn("All." + name, str(e.exception))
        largest = struct.unpack("f", struct.pack("I", 0x7f7fffff))[0]
        m.f32 = largest
        self.assertEqual(m.f32, largest)
        m.f32 = math.nextafter(largest + 2.0 ** 103, 0) # rounds to the largest
        self.assertEqual(m.f32, largest)
        for bad in (largest + 2.0 ** 103, 1e39, -1e39):
            with self.assertRaises(OverflowError):
                m.f32 = bad
        with self.assertRaises(OverflowError):
            m.f64 = 10 ** 400

    def test_errors_of_a_value_pass_through(self):
        class Odd:
            def __float__(self):
                raise KeyError("mine")
            __index__ = __float__
        for name in ("f64", "i32"):
            with self.assertRaises(KeyError):
                setattr(All(), name, Odd())

    def test_texts_are_never_cut(self):
        m = All()
        for good in ("", "123456789", "é" * 4, "漢字漢"):
            m.text = good
            self.assertEqual(m.text, good)
        for bad in ("1234567890", "é" * 5, "a\0b"):
            with self.assertRaises(ValueError) as e:
                m.text = bad
            self.assertIn("All.text", str(e.exception))
            self.assertEqual(m.text, "漢字漢")
        with self.assertRaises(ValueError): # UnicodeEncodeError
            m.text = "\ud800"
        for bad in (b"abc", 1, None):
            with self.assertRaises(TypeError):
                m.text = bad
        m.text = "ab" # nothing of the longer one stays behind
        self.assertEqual(m.to_bytes(), All(text="ab").to_bytes())

    def test_bools(self):
        m = All()
        for good in (True, False):
            m.flag = good
            self.assertIs(m.flag, good)
        for bad in (1, 0, 0.0, "x", None):
            with self.assertRaises(TypeError):
                m.flag = bad
        m.flags = [True, False]
        self.assertEqual(m.flags, [True, False])

    def test_arrays_want_their_number_of_values(self):
        m = All(four=[1, 2, 3, 4])
        for bad in ([1, 2, 3], [1, 2, 3, 4, 5], []):
            with self.assertRaises(ValueError) as e:
                m.four = bad
            self.assertIn("All.four wants 4 values", str(e.exception))
        for bad in ([1, 2, 3, "x"], 5, "abcd", {1: 2}, None):
            with self.assertRaises(TypeError):
                m.four = bad
        with self.assertRaises(OverflowError):
            m.three = [1, 2, 256]
        self.assertEqual(m.four, [1.0, 2.0, 3.0, 4.0]) # a failure changes nothing
        m.four[0] = 9.0 # a copy
        self.assertEqual(m.four[0], 1.0)
        m.four = (4, 3, 2, 1)
        m.four = iter([4, 3, 2, 1])
        self.assertEqual(m.four, [4.0, 3.0, 2.0, 1.0])
        m.raw = b"abc"
        self.assertEqual(m.raw, b"abc")
        m.raw = [1, 2, 255]
        self.assertEqual(m.raw, b"\1\2\xff")
        with self.assertRaises(TypeError):
            m.samples = b"abcd" # bytes are no floats
        m.samples = range(1000)
        self.assertEqual(m.samples, [float(i) for i in range(1000)])
        m.samples = []
        self.assertEqual(m.samples, [])

    @unittest.skipUnless(np, "skipped: NumPy")
    def test_buffers_of_any_number_type(self):
        m = All()
        for dtype in "bBhHiIlLqQfd":
            a = np.arange(100, dtype=dtype)
            for b in (a, a[::3], a[::-1], a.reshape(10, 10), a.reshape(10, 10).T,
                      a.astype(a.dtype.newbyteorder())):
                m.samples = b.tolist() if b.dtype.byteorder == ">" and b.ndim > 1 else b
                self.assertEqual(m.samples, [float(x) for x in b.ravel().tolist()])
                if dtype in "fd":
                    if b.dtype.isnative:
                        with self.assertRaises(TypeError):
                            m.big = b
                else:
                    m.big = b
                    self.assertEqual(m.big, b.ravel().tolist())
        m.big = np.array([2 ** 63 - 1], dtype=np.uint64)
        with self.assertRaises(OverflowError):
            m.big = np.array([2 ** 63], dtype=np.uint64)
        with self.assertRaises(OverflowError):
            m.samples = np.array([1e39])
        with self.assertRaises(TypeError):
            m.samples = np.array([1j])
        with self.assertRaises(TypeError):
            m.samples = np.array([True])
        m.truths = np.array([True, False])
        self.assertEqual(m.truths, [True, False])
        with self.assertRaises(TypeError):
            m.truths = np.array([1, 0])
        with self.assertRaises(ValueError):
            m.four = np.zeros(5)
        m.f64, m.u8, m.flag = np.float32(0.5), np.int64(7), np.bool_(True)
        self.assertEqual((m.f64, m.u8, m.flag), (0.5, 7, True))
        p = horus.PoseWithCovariance(covariance=np.eye(6))
        self.assertEqual(np.reshape(p.covariance, (6, 6)).trace(), 6)

    def test_a_list_that_changes_while_it_is_read(self):
        m, items = All(), []

        class Evil:
            def __float__(self):
                items.clear()
                gc.collect()
                return 1.0
        items += [Evil(), 2.0, 3.0] * 100
        with self.assertRaises(RuntimeError):
            m.samples = items

        class Setter:
            def __float__(self):
                m.samples = [7.0] * 5000
                m.poses = []
                return 1.0
        m.samples = [Setter(), 2.0]
        self.assertEqual(m.samples, [1.0, 2.0])
        m._append("samples", Setter())
        self.assertEqual(len(m.samples), 5001)

        class Index:
            def __index__(self):
                m.big = []
                return 5
        m.big = [1, 2, 3]
        with self.assertRaises(IndexError):
            m._put("big", 2, Index())


class Objects(unittest.TestCase):
    def test_bytes_that_follow_are_refused(self):
        for m in [cls() for cls in CLASSES] + [horus.LaserScan(ranges=range(20)), horus.JointState(["a", "bc"], [1, 2]),
                                               horus.NavPath(waypoints=[horus.Waypoint(1, 2, 3)] * 3)]:
            data = m.to_bytes()
            self.assertEqual(type(m).from_bytes(data), m)
            for more in (b"\0", b"\0" * 8, b"more"):
                self.assertRaises(horus.ArgumentError, type(m).from_bytes, data + more)
            self.assertEqual(pickle.loads(pickle.dumps(m)), m)

    def test_constructors(self):
        for cls in CLASSES:
            m = cls()
            self.assertEqual(m, cls())
            self.assertTrue(m) # empty ones too
            parameters = inspect.signature(cls).parameters
            for name, kind in fields(cls):
                self.assertIn(name, [*parameters] + ["force"], cls.__name__)
                self.assertIsNotNone(getattr(cls, name).__doc__)
            self.assertIn("timestamp_ns", parameters)
            self.assertEqual(cls(timestamp_ns=5).timestamp_ns, 5)
            with self.assertRaises(TypeError):
                cls(*[0] * 100)
            with self.assertRaisesRegex(TypeError, "no argument 'nonsense'"):
                cls(nonsense=1)
            with self.assertRaises(AttributeError):
                m.nonsense = 1
            with self.assertRaises(AttributeError):
                del m.timestamp_ns
            with self.assertRaises(TypeError):
                hash(m)
            with self.assertRaises(TypeError):
                m < m
            self.assertNotEqual(m, 5)
            self.assertFalse(m == None)
            with self.assertRaises(TypeError): # final
                type("Sub", (cls,), {})
        self.assertGreaterEqual(len(CLASSES), 76)
        with self.assertRaisesRegex(TypeError, "two values for 'linear'"):
            horus.CmdVel(1, linear=2)
        self.assertEqual(horus.CmdVel(*[1], **{"angular": 2}).angular, 2)
        self.assertEqual(horus.CmdVel.__new__(horus.CmdVel, 1, angular=2).angular, 2)
        key = "".join(["an", "gular"]) # not the same object
        self.assertEqual(horus.CmdVel(1, **{key: 2}).angular, 2)

    def test_both_ways_to_make_boxes_and_detections(self):
        b = horus.BoundingBox2D(x_min=10, y_min=20, x_max=30, y_max=60)
        self.assertEqual(b, horus.BoundingBox2D(10, 20, 20, 40))
        self.assertEqual((b.x_min, b.y_min, b.x_max, b.y_max), (10, 20, 30, 60))
        b.x_min = 15
        self.assertEqual(b.as_xyxy(), (15, 20, 30, 60))
        self.assertEqual(horus.Detection(class_id=3, class_name="cat", confidence=0.5, bbox=b),
                         horus.Detection("cat", 0.5, 15, 20, 15, 40, 3))

    def test_lengths_of_any_size(self):
        """Squares would be infinite, or 0, long before the length is: a limit is exceeded then too."""
        for k in (1e-300, 1e-160, 1.0, 1e160, 1e300):
            v = horus.Vector3(3 * k, 0, 4 * k)
            self.assertAlmostEqual(v.magnitude() / k, 5)
            self.assertAlmostEqual(v.normalized().z, 0.8)
            q = horus.Quaternion(3 * k, 0, 0, 4 * k)
            q.normalize()
            self.assertAlmostEqual(q.w, 0.8)
            t = horus.TransformStamped(rx=3 * k, rw=4 * k)
            self.assertFalse(t.is_valid())
            t.normalize_rotation()
            self.assertTrue(t.is_valid())
            w = horus.WrenchStamped(3 * k, 0, 4 * k, 3 * k, 0, 4 * k)
            self.assertEqual(w.exceeds_limits(1, math.inf), k >= 1)
            self.assertEqual(w.exceeds_limits(math.inf, 1), k >= 1)
        self.assertEqual(horus.Vector3().normalized(), horus.Vector3())

    def test_half_a_globe_away(self):
        half = math.pi * 6371000
        for i in range(2000):
            a, b = i * 0.045 - 45, i * 0.09 - 180
            here, there = horus.NavSatFix(a, b), horus.NavSatFix(-a, b + 180)
            self.assertAlmostEqual(here.distance_to(there) / half, 1)

    def test_stamps(self):
        now = horus.timestamp_ns()
        for cls in (horus.EmergencyStop, horus.Heartbeat, horus.KeyboardInput):
            self.assertLess(abs(cls().timestamp_ns - now), 60 * 10 ** 9)
            self.assertEqual(cls(timestamp_ns=7).timestamp_ns, 7)
        self.assertEqual(horus.CmdVel(1, 2).timestamp_ns, 0)

    def test_equality(self):
        rng = random.Random(SEED)
        for cls in CLASSES:
            m = random_message(cls, rng)
            self.assertTrue(m == m.copy() and not m != m.copy())
            for name, kind in fields(cls):
                if name == "timestamp_ns":
                    continue
                other, old = m.copy(), getattr(m, name)
                for _ in range(100):
                    new = random_value(kind, rng)
                    if values(new) != values(old) and not (kind == "bool" and new == old):
                        break
                if values(new) == values(old):
                    continue
                setattr(other, name, new)
                old = list(old) if isinstance(old, tuple) else old
                differ = not (new == old)
                self.assertEqual(m != other, differ, (cls, name))
        self.assertEqual(horus.CmdVel(1, 2, 3), horus.CmdVel(1, 2, 4)) # timestamps do not count
        self.assertNotEqual(horus.Vector3(math.nan), horus.Vector3(math.nan))
        self.assertEqual(horus.Vector3(0.0), horus.Vector3(-0.0))
        self.assertNotEqual(horus.Vector3(), horus.Point3())

    def test_repr_can_be_evaluated(self):
        names = dict(vars(horus), inf=math.inf, nan=math.nan)
        for cls in CLASSES:
            if "..." in repr(cls()) or "bytes>" in repr(cls()):
                continue
            self.assertEqual(eval(repr(cls()), names), cls(), cls)
        self.assertEqual(repr(horus.CmdVel(0.5, -1)),
                         "CmdVel(linear=0.5, angular=-1.0, timestamp_ns=0)")
        r = repr(horus.LaserScan(ranges=range(10 ** 6)))
        self.assertIn("ranges=[0.0, 1.0, 2.0, ... 1000000 values]", r)

    def test_signatures_and_docs(self):
        for cls in CLASSES:
            self.assertNotIn("%", cls.__doc__.split("\n\n")[1])
            self.assertTrue(inspect.signature(cls))
            self.assertEqual(cls.__module__, "horus")
            for name in dir(cls):
                if not name.startswith("_") and callable(getattr(cls, name)):
                    self.assertTrue(inspect.signature(getattr(cls, name)) is not None)
                    self.assertTrue(getattr(cls, name).__doc__, (cls, name))

    def test_nested_messages_write_through(self):
        w = horus.Waypoint(1, 2, 3)
        pose = w.pose
        pose.x = 10
        self.assertEqual(w.pose.x, 10)
        w.pose = horus.Pose2D(4, 5, 6) # copies, and the view sees it
        self.assertEqual(pose.x, 4)
        other = horus.Pose2D(7, 8, 9)
        w.pose = other
        other.x = 0
        self.assertEqual(w.pose.x, 7)
        w.pose = {"x": 1.5, "theta": 2}
        self.assertEqual((w.pose.x, w.pose.y, w.pose.theta), (1.5, 0, 2))
        for bad in (horus.Pose3D(), None, 5, [1, 2, 3]):
            with self.assertRaises(TypeError):
                w.pose = bad
        with self.assertRaises(TypeError):
            w.pose = {"nonsense": 1}
        s = horus.StereoInfo()
        s.left_camera = s.left_camera # onto itself
        s.right_camera = horus.CameraInfo(640, 480, 1, 2, 3, 4)
        s.left_camera = s.right_camera
        self.assertEqual(s.left_camera, s.right_camera)

    def test_a_view_keeps_its_message_alive(self):
        def view():
            return horus.Waypoint(1, 2, 3).pose
        views = [view() for _ in range(1000)]
        gc.collect()
        junk = [horus.Waypoint(9, 9, 9) for _ in range(1000)]
        self.assertTrue(all(v.x == 1 and v.theta == 3 for v in views) and junk)
        items = [horus.DetectionList(items=[horus.Detection("a", 0.5, i)]).items[0].bbox
                 for i in range(1000)]
        gc.collect()
        self.assertEqual([b.x for b in items], list(range(1000)))

    def test_elements_write_through_until_the_field_is_replaced(self):
        p = horus.NavPath()
        for i in range(10):
            p.add_waypoint(horus.Waypoint(i, 0, 0))
        w = p.waypoints[3]
        w.pose.y = 5
        self.assertEqual(p.waypoints[3].pose.y, 5)
        for i in range(1000): # moves on; the view keeps what it had
            p.add_waypoint(horus.Waypoint(i, 0, 0))
        w.pose.y = 6
        self.assertEqual(w.pose.y, 6)
        self.assertEqual(p.waypoint_count, 1010)
        p.waypoints = []
        self.assertEqual(w.pose.x, 3)
        p.waypoints = [w, {"pose": {"x": 2}}, w]
        self.assertEqual([x.pose.x for x in p.waypoints], [3, 2, 3])
        with self.assertRaises(TypeError):
            p.waypoints = [horus.Pose2D()]

    def test_growing_one_field_of_a_received_message_leaves_the_others(self):
        c = horus.JointCommand(["a", "b"], [1, 2], [3, 4], [5, 6], [0, 1])
        c = horus.JointCommand.from_bytes(c.to_bytes())
        c._put("positions", 1, 20)
        c.add_velocity("c", 7)
        self.assertEqual((c.names, c.positions, c.velocities, c.efforts, c.modes),
                         (["a", "b", "c"], [1, 20, 0], [3, 4, 7], [5, 6, 0], b"\0\1\1"))

    def test_copies_are_independent(self):
        rng = random.Random(SEED)
        for cls in CLASSES + [All]:
            m = random_message(cls, rng)
            before = repr(values(m))
            for c in (m.copy(), copy.copy(m), copy.deepcopy(m)):
                self.assertEqual(repr(values(c)), before)
                for name, kind in fields(cls):
                    setattr(c, name, random_value(kind, rng))
            self.assertEqual(repr(values(m)), before)
        w = horus.Waypoint(1, 2, 3)
        c = w.pose.copy() # of a view: a message of its own
        c.x = 9
        self.assertEqual(w.pose.x, 1)

    def test_defaults_of_joints_and_grids(self):
        j = horus.JointState(["a", "b"], [1, 2])
        self.assertEqual((j.velocities, j.efforts), ([0, 0], [0, 0]))
        self.assertEqual(horus.JointState(["a"], velocities=[]).velocities, [])
        self.assertEqual(horus.OccupancyGrid(3, 2).data, [-1] * 6)
        self.assertEqual(horus.OccupancyGrid(3, 2, data=[0] * 6).data, [0] * 6)
        self.assertEqual(horus.TactileArray(2, 2).forces, [0.0] * 4)
        with self.assertRaises(OverflowError):
            horus.OccupancyGrid(2 ** 32 - 1, 2 ** 32 - 1)

    def test_threads(self):
        scan, errors = horus.LaserScan(ranges=range(100)), []

        def work(n):
            try:
                for i in range(2000 * LARGE):
                    scan.ranges = range(n)
                    len(scan.ranges), scan.to_bytes(), scan.copy()
                    scan._append("ranges", 1.0)
            except Exception as e:
                errors.append(e)
        threads = [threading.Thread(target=work, args=(n,)) for n in (10, 100, 1000)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(errors, [])


class Travel(unittest.TestCase):
    def test_every_class_comes_back_whole(self):
        rng = random.Random(SEED)
        for _ in range(6 * LARGE):
            for cls in CLASSES + [All]:
                m = random_message(cls, rng)
                b = m.to_bytes()
                n = cls.from_bytes(b)
                self.assertEqual(repr(values(n)), repr(values(m)), (cls, SEED))
                self.assertEqual(n.to_bytes(), b)
                self.assertEqual(repr(values(pickle.loads(pickle.dumps(m)))), repr(values(m)))

    def test_pickles_of_every_protocol(self):
        m = random_message(horus.DetectionList, random.Random(SEED))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            self.assertEqual(pickle.loads(pickle.dumps(m, protocol)), m)
        w = pickle.loads(pickle.dumps(horus.Waypoint(1, 2, 3).pose))
        self.assertEqual(w, horus.Pose2D(1, 2, 3))
        make, (tag, data) = m.__reduce__()
        with self.assertRaises(ValueError):
            make(tag ^ 1, data)

    def test_wrong_sizes(self):
        for cls in CLASSES:
            b = cls().to_bytes()
            for bad in (b"", b[:-1], b[:len(b) // 2]):
                with self.assertRaises(ValueError):
                    cls.from_bytes(bad)
        for bad in (horus.CmdVel(1, 2).to_bytes() + b"x",):
            with self.assertRaises(ValueError):
                horus.CmdVel.from_bytes(bad)
        for bad in (None, 5, "text"):
            with self.assertRaises(TypeError):
                horus.CmdVel.from_bytes(bad)

    def test_hostile_bytes(self):
        rng = random.Random(SEED)
        taken = refused = 0
        for _ in range(60 * LARGE):
            for cls in CLASSES + [All]:
                b = bytearray(random_message(cls, rng).to_bytes())
                for _ in range(rng.choice([1, 1, 2, 8])):
                    how = rng.randrange(4)
                    at = rng.randrange(len(b)) if b else 0
                    if how == 0 and b:
                        b[at] = rng.choice([0, 1, 2, 127, 128, 255, rng.randrange(256)])
                    elif how == 1:
                        at &= ~3
                        b[at:at + 4] = struct.pack("I", rng.choice(
                            [0, 1, 8, len(b), len(b) // 2, 2 ** 31, 2 ** 32 - 1, 2 ** 32 - 8]))
                    elif how == 2:
                        del b[rng.randrange(len(b) + 1):]
                    else:
                        b += bytes(rng.randrange(64))
                try:
                    m = cls.from_bytes(bytes(b))
                except ValueError:
                    refused += 1
                    continue
                taken += 1
                values(m), repr(m), m == m.copy(), m.to_bytes()
        self.assertGreater(taken, 500)
        self.assertGreater(refused, 500)

    def test_hostile_values_are_named(self):
        m = bytearray(horus.MotorCommand().to_bytes())
        m[m.index(1)] = 2 # enable
        with self.assertRaisesRegex(ValueError, "neither 0 nor 1"):
            horus.MotorCommand.from_bytes(m)
        h = horus.Heartbeat("x" * 63).to_bytes().replace(b"x\0", b"xx", 1)
        with self.assertRaisesRegex(ValueError, "without its NUL"):
            horus.Heartbeat.from_bytes(h)
        d = horus.DetectionList(items=[horus.Detection("y" * 63)]).to_bytes()
        with self.assertRaisesRegex(ValueError, "without its NUL"): # in an element
            horus.DetectionList.from_bytes(d.replace(b"y\0", b"yy", 1))
        j = horus.JointState(["zz"]).to_bytes()
        with self.assertRaisesRegex(ValueError, "name without"):
            horus.JointState.from_bytes(j.replace(b"zz\0", b"zzz", 1))
        s = bytearray(horus.LaserScan(ranges=[1, 2]).to_bytes())
        s[32:36] = struct.pack("I", 3) # the count
        with self.assertRaisesRegex(ValueError, "outside"):
            horus.LaserScan.from_bytes(s)
        t = bytearray(horus.Heartbeat("abc").to_bytes())
        at = t.index(b"abc")
        t[at:at + 2] = b"\xff\xfe" # no UTF-8: replaced when read, kept when it travels on
        m = horus.Heartbeat.from_bytes(t)
        self.assertEqual(m.node_name, "\ufffd\ufffdc")
        self.assertEqual(m.to_bytes(), bytes(t))

    def test_overlapping_and_unaligned_arrays(self):
        n = horus.NavPath(waypoints=[horus.Waypoint(1, 2, 3)] * 3).to_bytes()
        at = n.index(struct.pack("II", len(horus.NavPath().to_bytes()), 3))
        moved = n[:at] + struct.pack("II", 3, 2) + n[at + 8:]
        try:
            p = horus.NavPath.from_bytes(moved) # over the fixed part, at an odd place
        except ValueError:
            return
        for w in p.waypoints:
            w.pose.x = 1.0
            repr(w)


class UserTypes(unittest.TestCase):
    def test_a_type_of_the_user(self):
        m = All(f32=0.5, pose=horus.Pose2D(1, 2, 3), poses=[horus.Pose2D(4, 5, 6)], text="hello")
        self.assertEqual((m.f32, m.pose.y, m.poses[0].theta, m.text), (0.5, 2, 6, "hello"))
        self.assertEqual(All.__topic_name__, "all")
        self.assertEqual(All.__module__, __name__)
        Wheel = horus.message("PyWheel", speed=float, count=int, on=bool, slip="f32[4]", pose=All
                              if False else horus.Quaternion, cells=["u16"])
        self.assertEqual(Wheel().pose.w, 1.0) # as a new Quaternion
        self.assertEqual(Wheel(1.5, 2, True).count, 2)
        self.assertIs(Wheel, horus.message("PyWheel", speed=float, count=int, on=bool, slip="f32[4]",
                                           pose=horus.Quaternion, cells="uint16[]"))
        self.assertIsNot(Wheel, horus.message("PyWheel", speed=float))
        Outer = horus.message("PyOuter", a="int8", wheel=horus.message("PyInner", x="float64"))
        o = Outer()
        o.wheel.x = 3
        self.assertEqual(o.wheel.x, 3)

    def test_wrong_definitions(self):
        for bad in ({"x": "float31"}, {"x": "float32[0]"}, {"x": "float32[-1]"}, {"x": "text"},
                    {"x": "text[]"}, {"x": "float32[3"}, {"x": "float32]"}, {"x": None}, {"x": dict},
                    {"x": [horus.Pose2D, horus.Pose2D]}, {"x": horus.LaserScan},
                    {"x": ["float32[3]"]}, {"x": "float64[99999999999999999999]"}, {"_x": "float32"},
                    {"copy": "float32"}, {"to_bytes": "float32"}, {"a b": "float32"}, {"é": "float32"},
                    {"x" * 64: "float32"}, {}, {"a": "float64[2000000]", "b": "float64[2000000]"},
                    {"f%d" % i: "uint8" for i in range(200)}):
            with self.assertRaises(ValueError, msg=bad):
                horus.message("PyBad", **bad)
        for bad in ("", "1x", "a b", "x" * 64, "é"):
            with self.assertRaises(ValueError):
                horus.message(bad, x="float32")
        with self.assertRaises(TypeError):
            horus.message(5, x="float32")
        many = horus.message("PyMany", **{"f%d" % i: "uint8" for i in range(150)})
        self.assertEqual(many(*range(150)).f149, 149)

    def test_every_message_has_a_timestamp(self):
        Stamped = horus.message("PyStamped", speed="float32", count="int8")
        m = Stamped(0.5, 2, timestamp_ns=77)
        self.assertEqual((m.speed, m.count, m.timestamp_ns), (0.5, 2, 77))
        self.assertEqual(Stamped(0.5, 2, 77).timestamp_ns, 77) # last, as in the module's own
        self.assertEqual(m, Stamped(0.5, 2, timestamp_ns=78))
        self.assertIs(horus.message("PyStamped", timestamp_ns="uint64", speed="float32", count="int8"), Stamped)
        Bare = horus.message("PyBare", timestamp_ns=None, speed="float32")
        self.assertFalse(hasattr(Bare, "timestamp_ns"))
        self.assertEqual(len(Bare(1).to_bytes()), 4)
        Last = horus.message("PyLast", speed="float32", timestamp_ns="uint64")
        self.assertEqual(Last(1.0, 5).timestamp_ns, 5)
        for cls in CLASSES:
            self.assertTrue(hasattr(cls, "timestamp_ns"), cls)

    def test_names_of_the_module_are_taken(self):
        for name in ("CmdVel", "LaserScan", "Image", "PointCloud", "DepthImage", "Tensor", "Range", "Plane"):
            with self.assertRaisesRegex(ValueError, "class of that name"):
                horus.message(name, x="float32")
        self.assertEqual(horus.Topic("CmdVel").name, "cmd_vel")

    def test_short_names(self):
        for name, cls, topic in (("Range", horus.RangeSensor, "range"), ("Wrench", horus.WrenchStamped, "wrench"),
                                 ("Plane", horus.PlaneDetection, None), ("Joystick", horus.JoystickInput, "joystick"),
                                 ("Diagnostic", horus.DiagnosticStatus, "diagnostics")):
            self.assertIs(getattr(horus, name), cls)
            with horus.Topic(name) as t:
                self.assertEqual(t.name, topic or cls.__topic_name__)
                self.assertFalse(t.is_generic())

    def test_is_valid_everywhere(self):
        nan, inf = math.nan, math.inf
        for cls in CLASSES:
            self.assertIs(type(cls().is_valid()), bool, cls)
        for good, bad in ((horus.CmdVel(1, 2), horus.CmdVel(1, nan)), (horus.Vector3(1, 2, 3), horus.Vector3(1, inf, 3)),
                          (horus.LaserScan(ranges=[inf, 1]), horus.LaserScan(angle_min=nan)),
                          (horus.PoseStamped(1, 2, 3), horus.PoseStamped(1, 2, -inf)),
                          (horus.BatteryState(12), horus.BatteryState(nan))):
            self.assertEqual((good.is_valid(), bad.is_valid()), (True, False), bad)
        Mine = horus.message("PyValid", pose=horus.Pose2D, pair="float32[2]")
        self.assertTrue(Mine().is_valid())
        self.assertFalse(Mine(pair=[0, nan]).is_valid())
        self.assertFalse(Mine(pose=horus.Pose2D(nan, 0, 0)).is_valid())
        self.assertEqual(horus.message("PyField", is_valid="float32")(2).is_valid, 2)

    def test_classes_of_functions_are_pickled(self):
        Inner = horus.message("PyLocalInner", timestamp_ns=None, a="int16", name="text[9]")
        Local = horus.message("PyLocal", x="float32[3]", y="uint8[]", inner=Inner, many=[Inner], pose=horus.Pose2D,
                              poses=[horus.Pose2D], on=bool)
        m = Local([1, 2, 3], b"abc", Inner(4, "four"), [Inner(5, "five")], horus.Pose2D(6, 7, 8),
                  [horus.Pose2D(9)], True, timestamp_ns=77)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            again = pickle.loads(pickle.dumps(m, protocol))
            self.assertIs(type(again), Local)
            self.assertEqual((again, again.timestamp_ns), (m, 77))
        code = ("import pickle, sys, horus\nm = pickle.loads(sys.stdin.buffer.read())\n"
                "print(type(m).__name__, type(m).__type_tag__, m.inner.name, m.many[0].a, m.poses[0].x, m.y, "
                "m.timestamp_ns, type(m)([1, 2, 3], b'').x)\n"
                "sys.stdout.flush(); sys.stdout.buffer.write(pickle.dumps(m))")
        done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(m), stdout=subprocess.PIPE, check=True)
        said, back = done.stdout.split(b"\n", 1)
        self.assertEqual(said.decode(), "PyLocal %d four 5 9.0 b'abc' 77 [1.0, 2.0, 3.0]" % Local.__type_tag__)
        self.assertEqual(pickle.loads(back), m)
        self.assertIs(type(pickle.loads(back)), Local)
        self.assertEqual(pickle.loads(pickle.dumps(All(f32=1))), All(f32=1)) # of this module, by its name

    def test_hostile_definitions(self):
        remake = horus._remake
        for bad in ((), ("A",), ("A", ()), ("A", (1,)), ("A", (("x", "float31", False),)), ("A", (("x", "=None", False),)),
                    ("A", (("x", "=", False),)), ("A", (("x", ("B", ()), False),)), ("CmdVel", (("x", "uint8", False),)),
                    (5, ()), ("A", (("x", "uint8"),)), ("A", (("x", 5, True),)), ("A", ((5, "uint8", True),)),
                    ("A", (("x", "=LaserScan", False),))):
            with self.subTest(bad=bad), self.assertRaises((ValueError, TypeError)):
                remake(bad, 1, b"")
        deep = ("PyHostile", (("x", "uint8", False),))
        for _ in range(100_000):
            deep = ("PyHostile", (("x", deep, False),))
        with self.assertRaises((RecursionError, ValueError)):
            remake(deep, 1, b"")
        while len(deep[1][0]) == 3 and isinstance(deep[1][0][1], tuple): # undone step by step: tuples free by recursion
            deep = deep[1][0][1]
        good = horus.message("PyGoodOne", x="uint8")
        with self.assertRaisesRegex(ValueError, "other fields"):
            remake(("PyOther", (("x", "uint8", False),)), 12345, b"")
        with self.assertRaises(ValueError):
            remake(("PyGoodOne", (("x", "uint8", False),)), good.__type_tag__, b"short")

    def test_deep_nesting_ends(self):
        inner = horus.message("PyDeep0", x="float32")
        with self.assertRaisesRegex(ValueError, "too deep"):
            for i in range(1, 30):
                inner = horus.message("PyDeep%d" % i, inner=inner)
        m = inner()
        self.assertEqual(m, inner.from_bytes(m.to_bytes()))

    def test_layout_and_tag_are_those_of_c(self):
        source = r"""
#define HORUS_IMPLEMENTATION
#include "horus.h"
#include <stdio.h>
#define INNER_FIELDS(F, A, S, N, V, W) F(u8, a) F(f64, b)
HORUS_MESSAGE(inner, "CInner", "cinner", INNER_FIELDS)
#define OUTER_FIELDS(F, A, S, N, V, W) \
    F(u64, timestamp_ns) F(u8, u8) F(i8, i8) F(u16, u16) F(i16, i16) F(u32, u32) F(i32, i32) F(u64, u64) F(i64, i64) \
    F(f32, f32) F(f64, f64) F(bool8, flag) A(f32, four, 4) A(u8, three, 3) S(text, 10) \
    N(inner, nested) V(f32, samples) V(u8, raw) W(inner, many) F(bool8, last)
HORUS_MESSAGE(outer, "COuter", "couter", OUTER_FIELDS)
int main(void)
{
    static union { horus_outer m; uint8_t room[4096]; } u;
    float samples[3] = {1, 2, 3};
    horus_inner many[2];
    memset(many, 0, sizeof many);
    many[0].a = 5; many[0].b = 0.5; many[1].a = 6; many[1].b = 1.5;
    size_t n = sizeof u.m;
    u.m.timestamp_ns = 12; u.m.u8 = 1; u.m.i8 = -2; u.m.u16 = 3; u.m.i16 = -4; u.m.u32 = 5; u.m.i32 = -6; u.m.u64 = 7;
    u.m.i64 = -8; u.m.f32 = 9.5f; u.m.f64 = 10.5; u.m.flag = 1; u.m.four[2] = 4; u.m.three[1] = 9;
    strcpy(u.m.text, "hello"); u.m.nested.a = 3; u.m.nested.b = 2.5; u.m.last = 1;
    if (horus_message_append(&u, sizeof u, &n, &u.m.samples, samples, 3, 4) ||
        horus_message_append(&u, sizeof u, &n, &u.m.raw, "abc", 3, 1) ||
        horus_message_append(&u, sizeof u, &n, &u.m.many, many, 2, sizeof many[0]))
        return 1;
    printf("%u %u ", (unsigned)horus_type_tag(&horus_inner_type), (unsigned)horus_type_tag(&horus_outer_type));
    for (size_t i = 0; i < n; i++)
        printf("%02x", u.room[i]);
    printf("\n");
#define X(snake, name, topic) printf("%s %u\n", #name, (unsigned)horus_type_tag(&horus_##snake##_type));
    HORUS_MESSAGES(X)
    HORUS_INFER_MESSAGES(X)
    return 0;
}
"""
        with tempfile.TemporaryDirectory(prefix="horus_pymsg_") as work:
            with open(work + "/m.c", "w") as f:
                f.write(source)
            subprocess.run([os.environ.get("CC", "gcc"), "-std=gnu11", "-I", os.path.dirname(HERE),
                            work + "/m.c", "-o", work + "/m", "-pthread"], check=True)
            lines = subprocess.run([work + "/m"], stdout=subprocess.PIPE, check=True, text=True).stdout
        first, *others = lines.strip().split("\n")
        inner_tag, outer_tag, data = first.split()
        Inner = horus.message("CInner", timestamp_ns=None, a="uint8", b="float64")
        Outer = horus.message(
            "COuter", u8="uint8", i8="int8", u16="uint16", i16="int16", u32="uint32", i32="int32",
            u64="uint64", i64="int64", f32="float32", f64="float64", flag="bool", four="float32[4]",
            three="uint8[3]", text="text[10]", nested=Inner, samples="float32[]", raw="uint8[]",
            many=[Inner], last="bool")
        self.assertEqual((Inner.__type_tag__, Outer.__type_tag__), (int(inner_tag), int(outer_tag)))
        m = Outer(1, -2, 3, -4, 5, -6, 7, -8, 9.5, 10.5, True, [0, 0, 4, 0], [0, 9, 0], "hello",
                  Inner(3, 2.5), [1, 2, 3], b"abc", [Inner(5, 0.5), Inner(6, 1.5)], True, 12)
        self.assertEqual(m.to_bytes().hex(), data)
        self.assertEqual(Outer.from_bytes(bytes.fromhex(data)), m)
        for line in others:
            name, tag = line.split()
            self.assertEqual(getattr(horus, name).__type_tag__, int(tag))
        self.assertEqual(len(others), len(CLASSES))


class Limit(unittest.TestCase):
    def test_a_name_whose_lower_makes_messages(self):
        code = """
import horus
class Name(str):
    def lower(self):
        horus.message("Inner%d" % len(made), x="float32")
        return str.lower(self)
made = []
try:
    while True:
        made.append(horus.message(Name("Outer%d" % len(made)), y="int8"))
except horus.LimitError as error:
    assert "256 types" in str(error), error
assert len(made) == 256, len(made)  # a str's own lower() is called
assert made[255].__topic_name__ == "outer255" and type(made[255].__name__) is str
assert horus.Topic(made[255]).send(made[255](y=3))
try:
    horus.message("OneMore", y="int8")
except horus.LimitError:
    pass
else:
    raise AssertionError("more than 256")
assert made[0](y=-5).y == -5 and made[255](y=7).y == 7
"""
        subprocess.run([sys.executable, "-X", "dev", "-c", code], check=True, timeout=120)

    def test_a_key_that_passes_for_another(self):
        class Key(str):
            def __hash__(self):
                return hash("timestamp_ns")
            def __eq__(self, other):
                return True
        for n in (1, 7, 30):
            names = {**{f"a{i}": "uint8" for i in range(n)}, Key("zzz"): None}
            with self.assertRaises((ValueError, TypeError)):
                horus.message("Passes", **names)


@unittest.skipIf("libasan" in os.environ.get("LD_PRELOAD", ""), "AddressSanitizer keeps what is freed")
class Leaks(unittest.TestCase):
    def test_memory_stays_flat(self):
        def rss():
            with open("/proc/self/statm") as f:
                return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

        def attempt(f):
            try:
                f()
            except (TypeError, ValueError, OverflowError, IndexError, AttributeError):
                pass
        data = random_message(All, random.Random(SEED)).to_bytes()
        scan = horus.LaserScan(ranges=range(50))
        path = horus.NavPath(waypoints=[horus.Waypoint(1, 2, 3)] * 3)
        operations = [
            lambda: horus.CmdVel(1.0, angular=2.0), lambda: horus.Waypoint(1, 2, 3).pose.x,
            lambda: scan.ranges, lambda: setattr(scan, "ranges", [1.0] * 50),
            lambda: setattr(scan, "ranges", range(50)), scan.copy, scan.to_bytes,
            lambda: All.from_bytes(data), lambda: All.from_bytes(data[:-9]), lambda: repr(path),
            lambda: path == path.copy(), lambda: [w.pose.x for w in path.waypoints],
            lambda: pickle.loads(pickle.dumps(path)), lambda: horus.CmdVel("x"),
            lambda: horus.CmdVel(nonsense=1), lambda: setattr(path, "waypoints", [{"pose": {"x": 1}}]),
            lambda: setattr(path, "waypoints", [1]), lambda: horus.Heartbeat("x" * 100),
            lambda: horus.JointState(["a", "b"], [1, 2]).names, lambda: horus.CostMap(horus.OccupancyGrid(2, 2)),
            lambda: scan._append("ranges", 1.0), lambda: horus.message("All", x="float31"),
            lambda: horus.BoundingBox2D(x_min=1, x_max=3), lambda: setattr(scan, "ranges", "abc"),
            lambda: horus.DetectionList.from_list([horus.Detection("a", 0.5)]).to_dicts(),
        ]
        if np:
            a = np.arange(50.0)
            operations += [lambda: setattr(scan, "ranges", a), lambda: setattr(scan, "ranges", a[::2]),
                           lambda: setattr(scan, "ranges", a.astype(complex))]
        for f in operations:
            for _ in range(300):
                attempt(f)
        gc.collect()
        types = [sys.getrefcount(c) for c in CLASSES]
        for f in operations:
            before = rss()
            for _ in range(2000 * LARGE):
                attempt(f)
            scan.ranges = []
            gc.collect()
            grown = rss() - before
            self.assertLess(grown, 400000, operations.index(f))
        self.assertEqual([sys.getrefcount(c) for c in CLASSES], types)


class Memory(unittest.TestCase):
    def test_every_allocation_may_fail(self):
        try:
            import _testcapi
        except ImportError:
            self.skipTest("skipped: this Python has no _testcapi")
        scan = horus.LaserScan(ranges=range(20))
        path = horus.NavPath(waypoints=[horus.Waypoint(1, 2, 3)] * 3)
        joints, data, made = horus.JointState(["a", "b"], [1, 2]), path.to_bytes(), []

        def define():
            made.append(None)
            horus.message("NoMemory%d" % (len(made) % 150), a="float32", b=horus.Pose2D, c="uint8[]")
        operations = [
            lambda: horus.CmdVel(1.0, angular=2.0), lambda: horus.Waypoint(1, 2, 3).pose,
            lambda: scan.ranges, lambda: setattr(scan, "ranges", [1.0] * 20),
            lambda: setattr(scan, "ranges", range(9)), scan.copy, scan.to_bytes, joints.copy,
            lambda: horus.NavPath.from_bytes(data), lambda: horus.NavPath.from_bytes(data[:-3]),
            lambda: path.waypoints, lambda: pickle.dumps(path), lambda: horus.CmdVel("x"),
            lambda: joints.names, lambda: setattr(path, "waypoints", [{"pose": {"x": 1}}]),
            lambda: path.add_waypoint(horus.Waypoint()), lambda: scan._append("ranges", 1.0),
            lambda: horus.CmdVel(nonsense=1), lambda: horus.Heartbeat("x" * 99),
            lambda: horus.JointState(["a", "b"], [1]), lambda: repr(horus.Waypoint()),
            lambda: horus.CostMap(horus.OccupancyGrid(2, 2))]
        if sys.version_info < (3, 13): # 3.13.0 crashes by itself here: type("X", (), {}) is enough
            operations.append(define)
        for i, f in enumerate(operations):
            failed = n = 0
            while n < 150:
                _testcapi.set_nomemory(n, n + 1)
                try:
                    f()
                except MemoryError:
                    failed += 1
                except (TypeError, ValueError):
                    pass # a SystemError would be ours
                finally:
                    _testcapi.remove_mem_hooks()
                n += 1
            self.assertGreater(failed, 0, i)


if __name__ == "__main__":
    print("seed %d" % SEED)
    program = unittest.main(exit=False)
    result = program.result
    bad = len(result.failures) + len(result.errors)
    print("seed %d, %d classes, %d tests skipped" % (SEED, len(CLASSES), len(result.skipped)))
    print("%d passed, %d failed" % (result.testsRun - bad - len(result.skipped), bad))
    sys.exit(bad != 0)
