#!/usr/bin/env python3
"""The codec of the Python module: every boundary of the format, bad input, and values that fight back.

    PYTHONPATH=<folder of the built module> python3 tests/py_codec_test.py [unittest arguments]

SEED=n repeats a run; ROUNDS=n sets the random messages per test (default 10000)."""
import collections
import enum
import gc
import math
import os
import random
import struct
import sys
import sysconfig
import threading
import time
import tracemalloc
import unittest

import horus

try:
    import msgpack
except ImportError:
    msgpack = None
try:
    import numpy
except ImportError:
    numpy = None
try:
    import ml_dtypes
except ImportError:
    ml_dtypes = None
try:
    import hypothesis
    from hypothesis import strategies
except ImportError:
    hypothesis = None
try:
    import _testcapi
    _testcapi.set_nomemory
except (ImportError, AttributeError):
    _testcapi = None

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
ROUNDS = int(os.environ.get("ROUNDS") or 10000)
DEPTH = 128
pack, unpack = horus._pack, horus._unpack
figures = collections.Counter()


def same(a, b):
    """Equal, with the same types all the way down; NaN is NaN, and 0.0 is not -0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b) or (math.isnan(a) and math.isnan(b))
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(x, y) for i, j in zip(a.items(), b.items()) for x, y in zip(i, j))
    return a == b


def head(n, fix, limit, *codes):
    """The head of n bytes or elements by the format's table: one byte below limit, else a code and its width."""
    if n < limit:
        return bytes([fix | n])
    for code, form, most in codes:
        if n <= most:
            return bytes([code]) + struct.pack(form, n)
    raise ValueError(n)


def model(v):
    """MessagePack as its specification says, shortest forms, floats in 64 bits."""
    if v is None:
        return b"\xc0"
    if v is True or v is False:
        return b"\xc3" if v else b"\xc2"
    if isinstance(v, int):
        if -32 <= v < 128:
            return struct.pack(">b" if v < 0 else ">B", v)
        for code, form, least, most in ((0xcc, ">B", 0, 2**8), (0xcd, ">H", 0, 2**16), (0xce, ">I", 0, 2**32),
                                        (0xcf, ">Q", 0, 2**64), (0xd0, ">b", -2**7, 0), (0xd1, ">h", -2**15, 0),
                                        (0xd2, ">i", -2**31, 0), (0xd3, ">q", -2**63, 0)):
            if least <= v < most:
                return bytes([code]) + struct.pack(form, v)
        raise OverflowError(v)
    if isinstance(v, float):
        return b"\xcb" + struct.pack(">d", v)
    if isinstance(v, str):
        b = v.encode()
        return head(len(b), 0xa0, 32, (0xd9, ">B", 255), (0xda, ">H", 65535), (0xdb, ">I", 2**32 - 1)) + b
    if isinstance(v, bytes):
        return head(len(v), 0, 0, (0xc4, ">B", 255), (0xc5, ">H", 65535), (0xc6, ">I", 2**32 - 1)) + v
    if isinstance(v, (list, tuple)):
        return head(len(v), 0x90, 16, (0xdc, ">H", 65535), (0xdd, ">I", 2**32 - 1)) + b"".join(map(model, v))
    return head(len(v), 0x80, 16, (0xde, ">H", 65535), (0xdf, ">I", 2**32 - 1)) + b"".join(
        model(x) for i in v.items() for x in i)


INTS = sorted({s * (1 << b) + d for b in range(65) for s in (1, -1) for d in (-1, 0, 1)
               if -2**63 <= s * (1 << b) + d < 2**64} | {0, -32, -33, 100, 1000})
FLOATS = [0.0, -0.0, 1.5, -1e300, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan, math.pi]
LENGTHS = [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 30, 31, 32, 33, 255, 256, 257, 501, 502, 503, 504, 65535, 65536]
SMALL = [None, True, False, 0, -1, 127, 128, 70000, -70000, 2**63, 1.5, math.inf, "", "a", "\u00e9\u20ac\U0001f916",
         b"", b"ab\0", [], [1, [2, [3]]], {}, {"x": 1.0, "y": 2.0, "z": 3.0},
         {"data": list(range(100)), "label": "lidar"}, {1: None, None: 1, 2.5: "f", b"k": b"v", True: 2, "k" * 40: []},
         {"a": {"b": {"c": [{"d": "e"}, {"d": "f" * 300}]}}, "n": b"x" * 300}, ["s" * 32, list(range(16)), 1e10]]


class Round(unittest.TestCase):
    def trip(self, v, want=None):
        want = v if want is None else want
        data = pack(v)
        self.assertEqual(data, model(want))
        self.assertTrue(same(unpack(data), want), repr(v)[:80])
        if msgpack:
            self.assertEqual(data, msgpack.packb(v))
            self.assertTrue(same(msgpack.unpackb(data, strict_map_key=False), want))
        figures["round trips"] += 1

    def test_ints(self):
        for v in INTS:
            self.trip(v)
            self.trip([v])
            self.trip({v: v})

    def test_other_int_widths_are_read(self):
        for code, form, values in ((0xcc, ">B", (0, 255)), (0xcd, ">H", (0, 65535)), (0xce, ">I", (0, 2**32 - 1)),
                                   (0xcf, ">Q", (0, 2**64 - 1)), (0xd0, ">b", (-128, 127)),
                                   (0xd1, ">h", (-2**15, 2**15 - 1)), (0xd2, ">i", (-2**31, 2**31 - 1)),
                                   (0xd3, ">q", (-2**63, 2**63 - 1))):
            for v in values:
                self.assertTrue(same(unpack(bytes([code]) + struct.pack(form, v)), v))

    def test_floats(self):
        for v in FLOATS:
            self.trip(v)
            self.trip([v])
            data = unpack(b"\xca" + struct.pack(">f", v if abs(v) < 1e30 or not math.isfinite(v) else 0.5))
            self.assertIs(type(data), float)
        self.assertEqual(unpack(b"\xca\x3f\xc0\0\0"), 1.5)
        self.assertTrue(same(unpack(pack({math.inf: math.nan})), {math.inf: math.nan}))

    def test_constants(self):
        for v in (None, True, False):
            self.trip(v)
            self.assertIs(unpack(pack(v)), v)

    def test_text_lengths(self):
        for n in LENGTHS:
            self.trip("a" * n)
            self.trip("".join(chr(33 + i % 90) for i in range(n)))
            self.trip("\u00e9" * n)
            self.trip("a" * n + "\U0001f916")
            if n:
                self.trip({"k" * n: "v"})
                self.trip({"\u20ac" * n: "v"})
        self.trip("\0")
        self.trip("\x7f\x80\u07ff\u0800\uffff\U0010ffff")

    def test_long_texts_do_not_keep_their_utf8(self):
        v = "\u00e9" * 100000
        before = sys.getsizeof(v)
        self.trip(v)
        self.assertEqual(sys.getsizeof(v) if not msgpack else before, before)

    def test_bytes_lengths(self):
        for n in LENGTHS:
            b = bytes(i % 256 for i in range(n))
            self.trip(b)
            self.assertEqual(pack(bytearray(b)), pack(b))
            self.assertEqual(pack(memoryview(b)), pack(b))
            self.assertIs(type(unpack(pack(bytearray(b)))), bytes)
        m = memoryview(bytes(range(100)))
        self.assertEqual(unpack(pack(m[::-3])), bytes(m[::-3]))
        self.assertEqual(unpack(pack(m.cast("B", (10, 10)))), bytes(m))
        with self.assertRaises(ValueError):
            m.release()
            pack([m])

    def test_list_lengths(self):
        for n in LENGTHS:
            self.trip(list(range(n)))
            self.trip([None] * n)
            self.trip([1.5] * n)
            self.trip(tuple("x" * (i % 40) for i in range(n)), ["x" * (i % 40) for i in range(n)])

    def test_dict_lengths(self):
        for n in LENGTHS:
            self.trip({"k%d" % i: i for i in range(n)})
            self.trip({i: None for i in range(n)})

    def test_every_length_around_the_first_buffer(self):
        for n in range(480, 530):
            for v in ("a" * n, ["a" * n, 1], [1] * n, [1.0] * (n // 9), {"k": b"b" * n, "l": 2**40}):
                self.trip(v)

    def test_nested(self):
        for v in SMALL:
            self.trip(v)
            self.trip([v, {"v": v}, [v, v]])

    def test_large(self):
        v = [{"i": i, "name": "n%d" % i, "f": i * 0.5} for i in range(20000)]
        self.trip(v)
        self.trip("x" * (1 << 24))

    def test_order_and_duplicate_keys(self):
        self.assertEqual(list(unpack(pack({"b": 1, "a": 2, "c": 3}))), ["b", "a", "c"])
        self.assertEqual(unpack(b"\x82\xa1a\x01\xa1a\x02"), {"a": 2})

    def test_shared_is_no_cycle(self):
        a = [1]
        self.trip([a, a, {"x": a, "y": a}])

    def test_hypothesis(self):
        if not hypothesis:
            self.skipTest("no hypothesis")
        s = strategies
        keys = s.one_of(s.none(), s.booleans(), s.integers(-2**63, 2**64 - 1), s.floats(allow_nan=False),
                        s.text(), s.binary())
        scalars = s.one_of(keys, s.floats())
        values = s.recursive(scalars, lambda c: s.one_of(s.lists(c), s.dictionaries(keys, c)), max_leaves=50)

        @hypothesis.seed(SEED)
        @hypothesis.settings(max_examples=min(300, ROUNDS), deadline=None, database=None)
        @hypothesis.given(values)
        def check(v):
            self.trip(v)
        check()


class Types(unittest.TestCase):
    def as_plain(self, v, want):
        self.assertEqual(pack(v), pack(want))
        self.assertEqual(pack([v]), pack([want]))
        self.assertEqual(pack({"k": v}), pack({"k": want}))

    def test_subclasses(self):
        class I(int): pass
        class F(float): pass
        class S(str): pass
        class B(bytes): pass
        class A(bytearray): pass
        class L(list): pass
        class T(tuple): pass
        class D(dict): pass
        class E(enum.IntEnum):
            X = 300
        P = collections.namedtuple("P", "x y")
        for v, want in ((I(7), 7), (I(2**64 - 1), 2**64 - 1), (F(1.5), 1.5), (S("ab"), "ab"), (S("\u00e9"), "\u00e9"),
                        (B(b"ab"), b"ab"), (A(b"ab"), b"ab"), (L([1, 2]), [1, 2]), (T((1, 2)), [1, 2]),
                        (D(a=1), {"a": 1}), (E.X, 300), (P(1, 2.5), [1, 2.5]),
                        (collections.defaultdict(int, a=1), {"a": 1}), (collections.Counter("aab"), {"a": 2, "b": 1})):
            self.as_plain(v, want)
        for k, want in ((I(7), 7), (F(1.5), 1.5), (S("ab"), "ab"), (B(b"ab"), b"ab"), (E.X, 300)):
            self.assertEqual(pack({k: 1}), pack({want: 1}))

    def test_ordered_dict_order(self):
        d = collections.OrderedDict(a=1, b=2, c=3)
        d.move_to_end("a")
        self.assertEqual(list(unpack(pack(d))), ["b", "c", "a"])

    def test_items_of_a_dict_subclass(self):
        class D(dict):
            def items(self):
                return self.what
        d = D(a=1)
        d.what = [("x", 1), ("y", [2])]
        self.assertEqual(unpack(pack(d)), {"x": 1, "y": [2]})
        for bad in ([1], [(1,)], [(1, 2, 3)], [[1, 2]], 5):
            d.what = bad
            with self.assertRaises(TypeError):
                pack([d])
        d.what = [([], 1)]
        with self.assertRaisesRegex(TypeError, r"a list \(as a key of value\[0\]\)"):
            pack([d])

    def test_index(self):
        class N:
            def __init__(self, v): self.v = v
            def __index__(self): return self.v
        self.as_plain(N(7), 7)
        self.as_plain(N(2**64 - 1), 2**64 - 1)
        self.assertEqual(pack({N(7): N(8)}), pack({7: 8}))
        with self.assertRaises(OverflowError):
            pack([N(2**64)])
        with self.assertRaises(TypeError):
            pack([N("x")])

    def test_numpy(self):
        if not numpy:
            self.skipTest("no numpy")
        n = numpy
        for v, want in ((n.int8(-5), -5), (n.uint64(2**64 - 1), 2**64 - 1), (n.int64(-2**63), -2**63),
                        (n.float16(1.5), 1.5), (n.float32(0.25), 0.25), (n.float64(math.pi), math.pi),
                        (n.longdouble(2.5), 2.5), (n.bool_(True), True), (n.bool_(False), False), (n.str_("ab"), "ab"),
                        (n.bytes_(b"ab"), b"ab"), (n.float32(math.inf), math.inf)):
            self.as_plain(v, want)
            self.assertEqual(pack({v: 1}), pack({want: 1}))
        if ml_dtypes:
            self.as_plain(ml_dtypes.bfloat16(1.5), 1.5)
            self.as_plain(ml_dtypes.int4(3), 3)
        for v in (n.zeros(3), n.zeros(1), n.array(3), n.array(3.5), n.complex64(1), n.datetime64(3, "ns"),
                  n.timedelta64(3, "s"), n.void(b"ab"), n.zeros(1, [("a", int)])[0], n.int8, n.clongdouble(1)):
            with self.assertRaisesRegex(TypeError, r"cannot send an? [\w.]+ \(at value\['a'\]\[1\]\)"):
                pack({"a": [0, v]})

    def test_refused(self):
        import array, datetime, decimal, fractions, types
        class C: pass
        for v in (set(), frozenset(), 1j, object(), C(), C, len, range(3), iter([]), decimal.Decimal(1), ...,
                  fractions.Fraction(1, 2), datetime.datetime(2000, 1, 1), array.array("b", b"a"),
                  types.MappingProxyType({}), collections.deque(), collections.UserDict(), {}.keys(), self):
            with self.assertRaises(TypeError, msg=repr(v)):
                pack(v)
            with self.assertRaisesRegex(TypeError, r"\(at value\[0\]\): "):
                pack([v])


class Errors(unittest.TestCase):
    def told(self, kind, text, v):
        with self.assertRaises(kind) as caught:
            pack(v)
        said = str(caught.exception)
        if kind is TypeError:  # what was expected stands behind it
            said, _, wanted = said.partition(": ")
            self.assertIn("key is" if "as a key" in text else "inside of" if "(at" in text else "an array", wanted)
            self.assertTrue("str" in wanted and ("dict" in wanted) == ("as a key" not in text), wanted)
        self.assertEqual(said, text)
        self.assertIsInstance(caught.exception, horus.Error)

    def test_types(self):
        self.told(TypeError, "cannot send a set", set())
        self.told(TypeError, "cannot send a set (at value['a'][3])", {"a": [0, 1, 2, {1}]})
        self.told(TypeError, "cannot send an object (at value[1]['x'][2.5][None][b'k'][True][-1])",
                  (0, {"x": {2.5: {None: {b"k": {True: {-1: object()}}}}}}))
        self.told(TypeError, "cannot send a decimal.Decimal (at value[0])", [__import__("decimal").Decimal(1)])
        self.told(TypeError, "cannot send a tuple (as a key of value)", {(1, 2): 3})
        self.told(TypeError, "cannot send a frozenset (as a key of value['a'][1])", {"a": [0, {frozenset(): 3}]})
        od = collections.OrderedDict(k=[set()])
        self.told(TypeError, "cannot send a set (at value['k'][0])", od)

    def test_long_keys_are_cut(self):
        with self.assertRaises(TypeError) as caught:
            pack({"k" * 10000: set()})
        self.assertLess(len(str(caught.exception)), 250)

    def test_ints(self):
        for v in (2**64, -2**63 - 1, 10**5000, -10**5000):
            self.told(OverflowError, "cannot send an int beyond 64 bits", v)
            self.told(OverflowError, "cannot send an int beyond 64 bits (at value['a'])", {"a": v})
            self.told(OverflowError, "cannot send an int beyond 64 bits (as a key of value[0])", [{v: 1}])

    def test_surrogates(self):
        text = "'utf-8' codec can't encode character '\\ud800' in position 2: surrogates not allowed"
        self.told(UnicodeEncodeError, text, "ab\ud800")
        self.told(UnicodeEncodeError, text + " (at value['a'][1])", {"a": [0, "ab\ud800\udfff"]})
        self.told(UnicodeEncodeError, text + " (as a key of value)", {"ab\ud800": 1})
        self.told(UnicodeEncodeError, text.replace("2:", "5000:") + " (at value[0])", ["\u00e9" * 5000 + "\ud800"])

    def test_depth(self):
        text = "cannot send a value of more than 128 levels, or that contains itself"
        for make in (lambda v: [v], lambda v: (v,), lambda v: {"k": v}, lambda v: collections.OrderedDict(k=v),
                     lambda v: [{"a": 1, "k": [v]}]):
            v = 1
            while True:
                data = None
                try:
                    data = pack(v)
                except ValueError as e:
                    self.assertIn(text, str(e))
                    self.assertLess(len(str(e)), 200)
                    break
                self.assertEqual(pack(unpack(data)), data)
                v = make(v)
        deep = 1
        for _ in range(DEPTH):
            deep = [deep]
        self.assertEqual(unpack(pack(deep)), deep)
        self.told(ValueError, text + " (at value[0][0][0][0]...)", [deep])
        self.told(ValueError, text + " (at value['a'][1][0][0]...)", {"a": [0, deep]})

    def test_cycles(self):
        text = "cannot send a value of more than 128 levels, or that contains itself"
        a = []
        a += [1, a, a, a]
        self.told(ValueError, text + " (at value[1][1][1][1]...)", a)
        d = {}
        d["d"] = d
        self.told(ValueError, text + " (at value['d']['d']['d']['d']...)", d)

    def test_limit(self):
        for v in ("x" * 700, b"x" * 700, ["x" * 500, 1, 2, 3], [1] * 700, [1.5] * 100, {"k": "\u00e9" * 5000}, 1, "", [], [[]],
                  ["x" * 499, 1], {"a" * 500: 2**64 - 1}):
            n = len(pack(v))
            for more in (0, 1, 5, 100, 100000):
                self.assertEqual(pack(v, n + more), pack(v))
            for less in (1, 2, 8, 9, 10, 300):
                if n > less:
                    with self.assertRaisesRegex(ValueError, "cannot send more than %d bytes" % (n - less)):
                        pack(v, n - less)

    def test_what_python_raises_passes(self):
        class Bad:
            def __index__(self): raise KeyError("mine")
        with self.assertRaisesRegex(KeyError, "mine"):
            pack({"a": [Bad()]})

        class Key(str):
            def __repr__(self): raise KeyError("repr")
        with self.assertRaisesRegex(KeyError, "repr"):
            pack({Key("k"): set()})

    def test_recursion_in_the_middle(self):
        class Again:
            def __index__(self):
                v = self
                for _ in range(100):
                    v = [v]
                pack(v)
        with self.assertRaises(RecursionError):
            pack(Again())
        self.assertEqual(unpack(pack([1])), [1])

    def test_nothing_leaks(self):
        marks = [object(), [set()], {"k": [set()]}, {"\ud800": 1}, {(1,): 2}, [2**64], "x" * 600 + "\ud800",
                 ["y" * 600, set()], {"a": "\u00e9" * 5000 + "\ud800"}]
        def all_once():
            for v in marks:
                try:
                    pack(v)
                except (TypeError, ValueError, OverflowError):
                    pass
            for data in (b"\x92\x01", b"\x82\xa1a\x01\xa1", b"\x81\x91\x01\x01", b"\xa2\xff\xff", b"\x01\x01", b"\x91\xc1"):
                try:
                    unpack(data)
                except ValueError:
                    pass
            for v in SMALL:
                unpack(pack(v))
        for _ in range(50):
            all_once()
        gc.collect()
        blocks, counts = sys.getallocatedblocks(), [sys.getrefcount(v) for v in marks + SMALL]
        for _ in range(1000):
            all_once()
        gc.collect()
        self.assertLess(sys.getallocatedblocks() - blocks, 300)
        after = [sys.getrefcount(v) for v in marks + SMALL]
        self.assertLess(max(abs(a - b) for a, b in zip(counts, after)), 400)


class Fight(unittest.TestCase):
    """Python code that runs in the middle and changes what is being written."""

    def runs(self, make):
        """Calls make(act) -> (value, change) where value holds an object that runs change; only the end counts."""
        class Act:
            def __index__(self):
                self.change()
                gc.collect()
                junk = [bytes(n) for n in range(1, 600, 7)] + [[i] * 3 for i in range(50)]
                return len(junk) and 5
            def __hash__(self): return 5
        act = Act()
        value, act.change = make(act)
        try:
            unpack(pack(value))
            return None
        except Exception as e:
            return e

    def test_list_changes(self):
        for fill in (lambda: [object() for _ in range(3)], lambda: [[i] for i in range(40)], list):
            def make(act):
                v = [act] + fill()
                return v, v.clear
            self.assertIsInstance(self.runs(make), RuntimeError)
        def make(act):
            v = [act, 1]
            return v, lambda: v.append(1)
        e = self.runs(make)
        self.assertEqual((type(e), str(e)), (horus.BusyError, "list changed size while it was sent"))
        def make(act):
            v = [1, act]
            return {"k": v}, lambda: v.pop()
        e = self.runs(make)
        self.assertEqual(str(e), "list changed size while it was sent (at value['k'])")
        def make(act):
            v = [act, [[1]], [2]]
            return v, lambda: v.__setitem__(slice(None), [7, 8, 9])
        self.assertIsNone(self.runs(make))

    def test_dict_changes(self):
        def keys(n):
            return {"key%d" % i: [i] for i in range(n)}
        for n in (1, 3, 50):
            for change in (lambda v: v.clear(), lambda v: v.update(keys(200)), lambda v: v.pop("act"),
                           lambda v: (v.clear(), v.update(keys(300)))):
                def make(act):
                    v = dict(keys(n), act=act, **{"last%d" % i: [i] for i in range(n)})
                    return {"d": v}, lambda: change(v)
                e = self.runs(make)
                self.assertEqual((type(e), str(e)),
                                 (horus.BusyError, "dictionary changed size while it was sent (at value['d'])"))
        def make(act):
            v = {"a": act, "b": [1], "c": [2]}
            return v, lambda: [v.__setitem__(k, i) for i, k in enumerate(list(v))]
        self.assertIsNone(self.runs(make))
        def make(act):  # as many as before, other ones: the message is whole, whatever it holds
            v = {"a": act, "b": [1], "c": [2]}
            return v, lambda: (v.clear(), v.update(x=1, y=2, z=3))
        self.assertIn(type(self.runs(make)), (type(None), RuntimeError))

    def test_key_runs_code(self):
        def make(act):
            v = {act: [object()], "b": [1]}
            return v, v.clear
        self.assertIsInstance(self.runs(make), (RuntimeError, TypeError))

    def test_a_container_loses_its_holder(self):
        def make(act):
            v = {"outer": [[[act, "x" * 100], 1], 2]}
            return v, lambda: (v["outer"][0].clear(), v["outer"].clear(), v.clear())
        self.assertIsInstance(self.runs(make), RuntimeError)
        def make(act):
            v = [collections.OrderedDict(a=[act], b=[object])]
            return v, lambda: (v[0].clear(), v.clear())
        self.assertIsInstance(self.runs(make), (RuntimeError, TypeError))
        def make(act):
            v = [{"a": act, "b": "x" * 100}]
            return v, v.clear
        self.assertIsInstance(self.runs(make), RuntimeError)

    def test_a_dict_that_grows_and_shrinks(self):
        v = {}
        class Act:
            def __init__(self, change): self.change = change
            def __index__(self):
                self.change()
                return 5
        v.update(a=Act(lambda: v.update(z=1)), b=Act(lambda: v.pop("a")), c=3)
        try:
            self.assertEqual(len(unpack(pack(v))), 3)
        except RuntimeError:
            pass

    def test_a_scalar_that_is_refused_after_it_ran(self):
        if not numpy:
            self.skipTest("no numpy")
        v = []
        class Odd(numpy.float32):
            def item(self):
                v.clear()
                gc.collect()
                [str(i) * 50 for i in range(100)]
                return "text"
        v.append(Odd(1))
        with self.assertRaisesRegex(TypeError, r"cannot send an Odd \(at value\[0\]\)"):
            pack(v)

    def test_a_failing_value_loses_its_key(self):
        class Bad:
            def __init__(self, holder): self.holder = holder
            def __index__(self):
                self.holder.clear()
                gc.collect()
                [str(i) * 50 for i in range(100)]
                return 2**70
        v = {}
        v["key" + str(SEED)] = [Bad(v)]
        with self.assertRaisesRegex(OverflowError, r"\(at value\['key\d+'\]\[0\]\)"):
            pack(v)

    def test_buffers_are_held(self):
        b = bytearray(b"abc" * 1000)
        self.assertEqual(unpack(pack([b, memoryview(b), b])), [bytes(b)] * 3)
        b += b"x"  # nobody holds it any more

    def test_finalizers_use_the_codec(self):
        calls = []
        class Loop:
            def __init__(self): self.me = self
            def __del__(self):
                calls.append(unpack(pack({"k%d" % (len(calls) % 600): [1, {"x": 2}], "x": self.me is None})))
        v = [{"k%d" % (i % 300): [i, {"x": {"y": [i]}}]} for i in range(300)]
        data = pack(v)
        old = gc.get_threshold()
        gc.set_threshold(3, 2, 2)
        try:
            for _ in range(20):
                for _ in range(20):
                    Loop()
                self.assertEqual(unpack(data), v)
        finally:
            gc.set_threshold(*old)
        gc.collect()  # a build without the lock has its own idea of thresholds
        self.assertTrue(calls)

    def test_half_built_lists_are_not_seen(self):
        seen = []
        class Loop:
            def __init__(self): self.me = self
            def __del__(self):
                for o in gc.get_objects():
                    if type(o) is list and len(o) == 777:
                        seen.append(sum(type(x) is dict for x in o))
        data = pack([{"a": {"b": 1}}] * 777)
        old = gc.get_threshold()
        gc.set_threshold(50, 2, 2)
        try:
            for _ in range(5):
                for _ in range(5):
                    Loop()
                got = unpack(data)
                self.assertTrue(gc.is_tracked(got))
                del got
        finally:
            gc.set_threshold(*old)
        self.assertEqual(set(seen) - {777}, set())

    def test_threads(self):
        wrong, rounds = [], max(20, ROUNDS // 100)
        shared = {"k%d" % i: [i, {"x": i}] for i in range(50)}
        def work(n):
            mine = [{"t%d_%d" % (n, i % 400): i, "x": [1.5] * n} for i in range(100)]
            for _ in range(rounds):
                if unpack(pack(mine)) != mine:
                    wrong.append(n)
                try:
                    unpack(pack(shared))
                except RuntimeError:
                    pass  # another thread changed its size
                shared["k%d" % n] = [n] * n
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        self.assertEqual(wrong, [])


class Keys(unittest.TestCase):
    def test_alike_keys(self):
        for n in range(1, 40):
            keys = {("a" * i + c + "a" * (n - i - 1)) for i in range(n) for c in "bcd\0\x7f\u00e9"}
            for _ in range(3):
                for k in keys:
                    self.assertEqual(unpack(pack({k: 1})), {k: 1})

    def test_many_keys(self):
        names = ["%s%d" % (c * (i % 30), i) for c in "pq" for i in range(3000)]
        for _ in range(2):
            v = {k: i for i, k in enumerate(names)}
            self.assertEqual(unpack(pack(v)), v)

    def test_keys_are_kept_and_then_interned(self):
        if sysconfig.get_config_var("Py_GIL_DISABLED"):
            self.skipTest("free-threaded builds keep no keys")
        for k in ("twelve bytes", "a key of twenty bytes", "k" * 31, "q"):
            k = "".join(list(k))  # not the constant itself
            data = pack({k: 1})
            got = [next(iter(unpack(data))) for _ in range(40)]
            self.assertIs(got[1], got[2])
            self.assertIs(got[39], sys.intern("".join(list(k))))
        data = pack({"k" * 32: 1})
        self.assertIsNot(next(iter(unpack(data))), next(iter(unpack(data))))

    def test_rare_keys_are_freed(self):
        def use(first):
            for i in range(first, first + 20000):
                unpack(pack({"rare%d" % i: i}))
        use(0)
        blocks = sys.getallocatedblocks()
        use(20000)
        self.assertLess(sys.getallocatedblocks() - blocks, 1000)


class Bad(unittest.TestCase):
    def refused(self, data, text=""):
        with self.assertRaises(ValueError, msg=data[:40].hex()) as caught:
            unpack(data)
        self.assertIn(text, str(caught.exception))
        figures["bad messages"] += 1

    def test_truncations(self):
        for v in SMALL + INTS + [{"a": v} for v in SMALL] + ["x" * 256, "x" * 65536, b"x" * 65536, [0] * 65536,
                                                              list("ab") * 10, {i: i for i in range(20)}]:
            data = pack(v)
            step = max(1, len(data) // 300)
            for n in set(range(0, len(data), step)) | set(range(min(10, len(data)))):
                self.refused(data[:n])
            self.refused(data + b"\xc0", "more bytes than the value has")

    def test_codes_that_are_refused(self):
        self.refused(b"\xc1", "an unknown code")
        self.refused(b"")
        for c in (0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8):
            self.refused(bytes([c]) + b"\1" * 300, "an extension type at byte 0")
            self.refused(b"\x92\1" + bytes([c]) + b"\1" * 300, "an extension type at byte 2")

    def test_counts_beyond_the_message(self):
        self.refused(b"\xdf\xff\xff\xff\xff\1\1", "a dict that is longer than the message at byte 5")
        self.refused(b"\x91\x82\1\1\1", "a dict that is longer than the message at byte 2")
        for data in (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff",
                     b"\xdc\xff\xff", b"\xde\xff\xff", b"\xda\xff\xff", b"\xc5\xff\xff", b"\xd9\xff", b"\xc4\xff", b"\x9f",
                     b"\x8f", b"\xbf", b"\xdf\x80\0\0\0", b"\xdd\x80\0\0\0", b"\xdb\x7f\xff\xff\xff"):
            for tail in (b"", b"\0", b"\0" * 10):
                if len(data) > 1 or not tail:
                    self.refused(data + tail)
                    self.refused(b"\x91" + data + tail)
                    self.refused(b"\x81\xa1k" + data + tail)

    def test_counts_are_not_paid_twice(self):
        size = 200000  # each list claims all bytes that are left: 128 times the message, were it believed
        data = b"".join(b"\xdd" + struct.pack(">I", size - 5 * (i + 1)) for i in range(120))
        data += bytes(size - len(data))
        tracemalloc.start()
        try:
            self.refused(data, "longer than the message")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.assertLess(peak, 12 * size)

    def test_text(self):
        for bad in (b"\xff", b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"abcdefgh\x80",
                    b"abcdefghi\xc3"):
            for n in (0, 1, 20, 40, 300):
                text = b"z" * n + bad
                data = head(len(text), 0xa0, 32, (0xd9, ">B", 255), (0xda, ">H", 65535)) + text
                self.refused(data)
                self.refused(b"\x81" + data + b"\1")

    def test_keys(self):
        for key in (b"\x90", b"\x80", b"\x91\x01", b"\xdc\0\0", b"\xdd\0\0\0\0", b"\xde\0\0", b"\xdf\0\0\0\0"):
            self.refused(b"\x81" + key + b"\x01\x01\x01\x01", "as a key")

    def test_depth(self):
        for one in (b"\x91", b"\x81\xa1k", b"\xdc\0\1", b"\xdd\0\0\0\1", b"\x81\1"):
            self.assertIsNotNone(unpack(one * DEPTH + b"\1"))
            self.refused(one * (DEPTH + 1) + b"\1", "too many levels")
            self.refused(one * 100000 + b"\1", "too many levels")
        self.refused(b"\x91" * 1000000)

    def test_not_bytes(self):
        for v in ("a", None, 5, [1]):
            with self.assertRaises(TypeError):
                unpack(v)

    def check(self, data):
        """Whatever comes: a value or ValueError; where msgpack reads it too, the same value."""
        figures["random messages"] += 1
        try:
            got = unpack(data)
        except ValueError as e:
            if msgpack and not any(w in str(e) for w in ("extension", "as a key", "levels")):
                try:
                    other = msgpack.unpackb(data, strict_map_key=False)
                except Exception:
                    return
                self.fail("%s: msgpack reads %r, we say %s" % (data.hex(), other, e))
            return
        figures["random messages that were read"] += 1
        if msgpack:
            self.assertTrue(same(got, msgpack.unpackb(data, strict_map_key=False)), data.hex())
        self.assertTrue(same(unpack(pack(got)), got), data.hex())

    def test_random_bytes(self):
        rnd = random.Random(SEED)
        for _ in range(ROUNDS):
            self.check(rnd.getrandbits(8 * 24).to_bytes(24, "little")[:rnd.randrange(24)])

    def test_random_codes(self):
        rnd = random.Random(SEED + 1)
        codes = [b"\x80", b"\x81", b"\x82", b"\x90", b"\x91", b"\x93", b"\xa0", b"\xa1k", b"\xa3key", b"\xc0", b"\xc2",
                 b"\xc4\1a", b"\xca\0\0\0\0", b"\xcb" + b"\x7f" * 8, b"\xcc\xff", b"\xcf" + b"\xff" * 8, b"\xd3" + b"\x80" * 8,
                 b"\xd9\2hi", b"\xdc\0\2", b"\xde\0\1", b"\xdd\0\0\0\1", b"\xdf\0\0\0\1", b"\1", b"\xff", b"\xa2\xc3\xa9"]
        for _ in range(ROUNDS):
            self.check(b"".join(rnd.choices(codes, k=rnd.randrange(1, 9))))

    def test_damaged_messages(self):
        rnd = random.Random(SEED + 2)
        good = [pack(v) for v in SMALL]
        for _ in range(ROUNDS):
            data = bytearray(rnd.choice(good))
            for _ in range(rnd.randrange(1, 4)):
                i = rnd.randrange(len(data))
                what = rnd.randrange(4)
                if what == 0:
                    data[i] ^= 1 << rnd.randrange(8)
                elif what == 1:
                    data[i] = rnd.randrange(256)
                elif what == 2:
                    data[i:i] = rnd.choice(good)[:rnd.randrange(20)]
                else:
                    del data[i:i + rnd.randrange(1, 4)]
                data = data or bytearray(b"\xc0")
            self.check(bytes(data))


class Memory(unittest.TestCase):
    """The n-th allocation fails, for each n: MemoryError or a right result, and nothing is lost."""

    def setUp(self):
        if not _testcapi:
            self.skipTest("no _testcapi.set_nomemory")

    def every(self, call, good, *errors):
        set_nomemory, back, n = _testcapi.set_nomemory, _testcapi.remove_mem_hooks, 0
        failed = clean = 0
        while clean < 5:  # past the last allocation
            for stop in (n + 1, 0):
                got = error = None
                try:
                    set_nomemory(n, stop)
                    try:
                        got = call()
                    finally:
                        back()
                except (MemoryError,) + errors as e:
                    error = type(e)
                if error is MemoryError:
                    failed += 1
                elif error is None:
                    self.assertTrue(good is not None and same(got, good), n)
            clean = 0 if error is MemoryError else clean + 1
            n += 1
            self.assertLess(n, 10000)
        figures["allocations that failed"] += failed
        return failed

    def test_pack(self):
        for v in (["x" * 600, {"a": 1.5}], collections.OrderedDict(a=[1], b="\u00e9" * 5000), {"k": "\u00e9" + str(SEED)},
                  [1] * 3000, {"b": bytearray(700)}):
            data = pack(v)
            self.assertGreater(self.every(lambda: pack(v), data), 0)

    def test_pack_errors(self):
        for v, kind in (({"a": [1, set()]}, TypeError), ([{"k": "\ud800"}], UnicodeEncodeError), ([{2**64: 1}], OverflowError),
                        ([[[[[[set()]]]]]], TypeError)):
            self.assertGreater(self.every(lambda: pack(v), None, kind), 0)

    def test_unpack(self):
        for v in ({"x": 1.5, "y%d" % SEED: [1000, 2.5, "text", b"bytes", {}]}, ["\u00e9" * 40, 2**40, -2**40],
                  [{"k%d" % i: float(i)} for i in range(30)]):
            data = pack(v)
            self.assertGreater(self.every(lambda: unpack(data), v), 0)

    def test_unpack_errors(self):
        for data in (b"\x92\xa2ab\xc1", b"\xa2\xff\xff", b"\x81\x90\x01", b"\x92\x01\x91\x01\x01"):
            self.assertGreater(self.every(lambda: unpack(data), None, ValueError), 0)

    def test_interning(self):
        for i in range(30):
            k = "fresh key %d" % i
            data = pack({k: 1})
            for _ in range(14):
                unpack(data)
            self.every(lambda: unpack(data), {k: 1})



def main():
    begin = time.monotonic()
    print("codec: SEED=%d ROUNDS=%d" % (SEED, ROUNDS), flush=True)
    test = unittest.main(exit=False, testRunner=unittest.TextTestRunner).result
    skipped = sorted("%s (%s)" % (t.id().split(".")[-1], why) for t, why in test.skipped)
    absent = [n for n, m in (("msgpack", msgpack), ("numpy", numpy), ("ml_dtypes", ml_dtypes)) if not m]
    failed = len(test.failures) + len(test.errors)
    print("codec: Python %s, %s, %.0f s%s%s" % (
        sys.version.split()[0], ", ".join("%d %s" % (n, what) for what, n in sorted(figures.items())),
        time.monotonic() - begin, "; not there to compare: " + ", ".join(absent) if absent else "",
        "; skipped: " + ", ".join(skipped) if skipped else ""))
    print("%d passed, %d failed" % (test.testsRun - failed - len(skipped), failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
