"""Images, clouds, depth images and tensors: values, shapes, lifetimes, read-only rules, DLPack, errors."""
import copy
import ctypes
import errno
import gc
import importlib.util
import inspect
import math
import os
import pathlib
import pickle
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import unittest
import weakref

import horus
import numpy as np
import py_exchange as x

ENCODINGS = {
    "mono8": (1, np.uint8), "mono16": (1, np.uint16), "rgb8": (3, np.uint8), "bgr8": (3, np.uint8),
    "rgba8": (4, np.uint8), "bgra8": (4, np.uint8), "yuv422": (2, np.uint8), "mono32f": (1, np.float32),
    "rgb32f": (3, np.float32), "bayer_rggb8": (1, np.uint8), "depth16": (1, np.uint16)}
DTYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16",
          "float32", "float64"]
NUMPY = tuple(int(n) for n in np.__version__.split(".")[:2])


def pattern(shape, dtype):
    n = int(np.prod(shape))
    return (np.arange(n) % 97).astype(dtype).reshape(shape)


def address(array):
    return array.__array_interface__["data"][0]


class Images(unittest.TestCase):
    def test_every_encoding_keeps_values_shape_and_dtype(self):
        for name, (channels, dtype) in ENCODINGS.items():
            shape = (5, 8) if channels == 1 else (5, 8, channels)
            source = pattern(shape, dtype)
            image = horus.Image.from_numpy(source, name)
            view = image.to_numpy()
            self.assertEqual((image.height, image.width, image.channels, image.encoding),
                             (5, 8, channels, name))
            self.assertEqual((view.shape, view.dtype), (shape, np.dtype(dtype)))
            self.assertTrue((view == source).all())
            self.assertEqual(image.nbytes, source.nbytes)
            self.assertEqual(image.step, source.strides[0])
            self.assertEqual(address(view) % 64, 0)
            self.assertEqual(image.roi(x=2, y=1, w=3, h=2), source[1:3, 2:5].tobytes())
            self.assertEqual(image.pixel(3, 2), source[2, 3].reshape(-1).tolist())
            again = horus.Image.from_bytes(source.tobytes(), 5, 8, name.upper())
            self.assertTrue((again.to_numpy() == source).all())

    def test_what_is_guessed_from_an_array(self):
        for shape, dtype, name in (((2, 3), "uint8", "mono8"), ((2, 3), "uint16", "mono16"),
                                   ((2, 3), "float32", "mono32f"), ((2, 3, 3), "uint8", "rgb8"),
                                   ((2, 3, 3), "float32", "rgb32f"), ((2, 3, 4), "uint8", "rgba8"),
                                   ((2, 3, 1), "uint8", "mono8")):
            self.assertEqual(horus.Image.from_numpy(np.zeros(shape, dtype)).encoding, name)
        for shape, dtype in (((2, 3), "int32"), ((2, 3, 5), "uint8"), ((3,), "uint8"), ((2, 3, 3), "float64")):
            with self.assertRaises(ValueError) as caught:
                horus.Image.from_numpy(np.zeros(shape, dtype))
            self.assertIn("(H,W", str(caught.exception))
        self.assertEqual(horus.Image(1, 1, "bgr").encoding, "bgr8")
        self.assertEqual(horus.Image(1, 1, "GRAY").encoding, "mono8")

    def test_new_images_are_zero(self):
        for _ in range(3):
            image = horus.Image(64, 64)
            self.assertFalse(image.to_numpy().any())
            image.fill(255)
            image.release()

    def test_pixels(self):
        image = horus.Image(height=4, width=6, encoding="rgb8")
        image.set_pixel(5, 3, [1, 2, 3])
        self.assertEqual(image.pixel(5, 3), [1, 2, 3])
        self.assertEqual(image.to_numpy()[3, 5].tolist(), [1, 2, 3])
        image.fill([9, 8, 7])
        self.assertTrue((image.to_numpy() == [9, 8, 7]).all())
        image.copy_from(bytes(range(72)))
        self.assertEqual(image.to_numpy().tobytes(), bytes(range(72)))
        for bad in (lambda: image.pixel(6, 0), lambda: image.pixel(-1, 0),
                    lambda: image.set_pixel(0, 0, [1, 2]), lambda: image.set_pixel(0, 0, [256, 0, 0]),
                    lambda: image.copy_from(b"short"), lambda: image.roi(4, 0, 3, 1),
                    lambda: image.roi(0, 0, 0, 1), lambda: horus.Image(0, 4), lambda: horus.Image(4, -1),
                    lambda: horus.Image(4, 4, "jpeg"), lambda: horus.Image.from_bytes(b"x", 4, 4)):
            with self.assertRaises(ValueError) as caught:
                bad()
            self.assertIsInstance(caught.exception, horus.Error)
        for bad in (lambda: horus.Image("4", 4), lambda: horus.Image(4), lambda: horus.Image(4, 4, depth=3),
                    lambda: horus.Image(4, 4, 5), lambda: image.set_pixel(0, 0, "red"),
                    lambda: image.fill(None), lambda: image.copy_from("text")):
            with self.assertRaises(TypeError):
                bad()

    def test_from_every_layout(self):
        base = pattern((6, 8, 3), np.uint8)
        fortran = np.asfortranarray(base)
        read_only = base.copy()
        read_only.setflags(write=False)
        for source in (base[::2], base[:, ::-1], base[1:5, 2:7], fortran, base.transpose(1, 0, 2), read_only):
            self.assertTrue((horus.Image.from_numpy(source).to_numpy() == source).all())
        swapped = pattern((4, 5), ">u2")
        self.assertTrue((horus.Image.from_numpy(swapped).to_numpy() == swapped).all())
        with self.assertRaises(TypeError):  # a list of ints is int64
            horus.Image.from_numpy([[1, 2], [3, 4]], "mono8")
        with self.assertRaises(ValueError):
            horus.Image.from_numpy(np.zeros((0, 4), np.uint8))

    def test_a_picture_for_notebooks_goes_by_way_of_tmpdir(self):
        image, old = horus.Image(2, 2), os.environ.get("TMPDIR")
        try:
            image._repr_png_()
        except RuntimeError as error:  # built without stb_image_write
            self.assertIn("stb_image_write", str(error))
            return
        with tempfile.TemporaryDirectory() as folder:
            os.utime(folder, ns=(0, 0))
            try:
                os.environ["TMPDIR"] = folder
                self.assertEqual(image._repr_png_()[:4], b"\x89PNG")
                self.assertNotEqual(os.stat(folder).st_mtime_ns, 0)  # a file came
                self.assertEqual(os.listdir(folder), [])  # and went
                for other in (os.path.join(folder, "none"), "/" + "a" * 5000, ""):
                    os.environ["TMPDIR"] = other
                    self.assertEqual(image._repr_png_()[:4], b"\x89PNG")
            finally:
                os.environ.pop("TMPDIR")
                if old is not None:
                    os.environ["TMPDIR"] = old

    def test_pictures(self):
        import tempfile
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a.png")
            try:
                horus.Image.from_numpy(pattern((8, 9, 3), np.uint8)).save(path)
            except RuntimeError as error:  # built without stb_image_write
                self.assertIn("stb_image_write", str(error))
                return
            with open(path, "rb") as file:
                self.assertEqual(file.read(8), b"\x89PNG\r\n\x1a\n")
            self.assertEqual(horus.Image(4, 4)._repr_png_()[:4], b"\x89PNG")
            horus.DepthImage(4, 4).save(path)
            cloud = os.path.join(folder, "a.ply")
            horus.PointCloud.from_numpy(pattern((5, 3), np.float32)).save(cloud)
            with open(cloud, "rb") as file:
                data = file.read()
            self.assertTrue(data.startswith(b"ply\n") and data.endswith(pattern((5, 3), "f4").tobytes()))
            with self.assertRaises(OSError):
                horus.Image(4, 4).save(os.path.join(folder, "none", "a.png"))


class CloudsAndDepth(unittest.TestCase):
    def test_clouds(self):
        for fields, xyz, intensity, color in ((3, True, False, False), (4, False, True, False),
                                              (6, False, True, True)):
            source = pattern((10, fields), np.float32)
            cloud = horus.PointCloud.from_numpy(source)
            self.assertEqual((cloud.is_xyz(), cloud.has_intensity(), cloud.has_color()),
                             (xyz, intensity, color))
            self.assertEqual((cloud.point_count, cloud.fields_per_point, len(cloud)), (10, fields, 10))
            self.assertEqual(cloud.point_at(4), source[4].tolist())
            self.assertEqual(cloud[4].tolist(), source[4].tolist())
            self.assertEqual(cloud[-1].tolist(), source[-1].tolist())
        self.assertEqual(horus.PointCloud(num_points=7, fields=4, dtype="uint8").dtype, "uint8")
        with self.assertRaises(TypeError):
            horus.PointCloud(3, 3, "int32").point_at(0)
        for bad in (lambda: horus.PointCloud(-1), lambda: horus.PointCloud(1, 0),
                    lambda: horus.PointCloud.from_numpy(np.zeros(3)), lambda: cloud.point_at(10)):
            with self.assertRaises(ValueError):
                bad()

    def test_depth(self):
        depth = horus.DepthImage(4, 6)
        self.assertIsNone(depth.depth_statistics())
        depth.set_depth(5, 3, 1.5)
        depth.set_depth(0, 0, 0.5)
        view = depth.to_numpy()
        view[1, 1], view[1, 2] = np.nan, np.inf
        self.assertEqual(depth.get_depth(5, 3), 1.5)
        self.assertEqual(depth.depth_statistics(), (0.5, 1.5, 1.0))
        self.assertEqual((depth.is_meters(), depth.is_millimeters(), depth.depth_scale), (True, False, 1.0))
        short = horus.DepthImage(4, 6, "mm")
        short.set_depth(1, 2, 1.2344)
        self.assertEqual(short.to_numpy()[2, 1], 1234)
        self.assertEqual((short.get_depth(1, 2), short.depth_scale), (1.234, 0.001))
        self.assertEqual((short.dtype, short.is_millimeters()), ("uint16", True))
        self.assertEqual(horus.DepthImage.from_numpy(np.ones((2, 3))).dtype, "float32")
        for bad in (lambda: horus.DepthImage(0, 1), lambda: horus.DepthImage(2, 2, "int8"),
                    lambda: depth.get_depth(6, 0), lambda: short.set_depth(0, 0, -1),
                    lambda: horus.DepthImage.from_numpy(np.zeros((2, 2, 2), "f4"))):
            with self.assertRaises(ValueError):
                bad()
        with self.assertRaises(TypeError):
            horus.DepthImage.from_numpy(np.zeros((2, 2), "i4"))


    def test_the_traps_of_the_manual(self):
        a, frame = np.zeros(4), horus.Tensor.from_numpy(np.ones(4))
        mine = a
        a += frame
        self.assertEqual((type(a), mine.tolist()), (horus.Tensor, [0] * 4))
        np.add(mine, frame, out=mine)
        mine += frame.to_numpy()
        self.assertEqual(mine.tolist(), [2] * 4)
        other = horus.Tensor([4])
        self.assertTrue(frame == other)
        self.assertFalse(np.array_equal(frame, other))
        self.assertTrue(np.array_equal(frame, frame.copy()))
        part = frame.slice(1, 4)
        self.assertEqual((address(frame.to_numpy()) % 64, address(part.to_numpy()) % 64), (0, 8))
        self.assertEqual(address(part.copy().to_numpy()) % 64, 0)

    def test_what_float32_cannot_hold_is_refused(self):
        depth, image, colour = horus.DepthImage(2, 2), horus.Image(2, 2, "mono32f"), horus.Image(2, 2, "rgb32f")
        most = float(np.finfo("f4").max)
        ways = {"set_depth": lambda v: depth.set_depth(0, 0, v), "set_pixel": lambda v: image.set_pixel(0, 0, v),
                "fill": image.fill, "a channel": lambda v: colour.set_pixel(1, 1, [0, v, 0])}
        for name, way in ways.items():
            for value in (1e39, -1e39, 3.4028235677973366e38, 1e308, 10**39):
                with self.subTest(name, value=value), self.assertRaises(OverflowError) as caught:
                    way(value)
                self.assertIsInstance(caught.exception, horus.Error)
            for value in (most, -most, 3.4028235677973362e38, math.inf, -math.inf, math.nan, 1e-60):
                way(value)
        image.fill(math.inf)
        depth.set_depth(1, 1, most)
        self.assertEqual((image.pixel(1, 1), depth.get_depth(1, 1)), ([math.inf], most))
        with np.errstate(over="ignore"):  # arrays follow NumPy's own rule
            self.assertEqual(horus.DepthImage.from_numpy(np.full((1, 1), 1e300)).get_depth(0, 0), math.inf)
        if NUMPY >= (1, 24):  # which says so from then on
            with self.assertWarnsRegex(RuntimeWarning, "overflow"):
                horus.DepthImage.from_numpy(np.full((1, 1), 1e300))


class Common(unittest.TestCase):
    def frames(self):
        return [horus.Image(3, 4), horus.PointCloud(5), horus.DepthImage(3, 4), horus.Tensor([3, 4])]

    def test_metadata(self):
        for frame in self.frames():
            frame.set_frame_id("camera_front")
            frame.set_timestamp_ns(1234567890)
            self.assertEqual((frame.frame_id, frame.timestamp_ns), ("camera_front", 1234567890))
            frame.frame_id, frame.timestamp_ns = "é" * 31, 2**64 - 1
            self.assertEqual((frame.frame_id, frame.timestamp_ns), ("é" * 31, 2**64 - 1))
            for bad in ("x" * 64, "é" * 32, "a\0b"):
                with self.assertRaises(ValueError):
                    frame.frame_id = bad
            with self.assertRaises(TypeError):
                frame.frame_id = 5
            with self.assertRaises(OverflowError):
                frame.timestamp_ns = -1
            self.assertEqual((frame.is_cpu(), frame.is_cuda(), frame.device, frame.readonly),
                             (True, False, "cpu", False))
            self.assertFalse(hasattr(frame, "__cuda_array_interface__"))
            self.assertTrue(frame)
            self.assertIn(type(frame).__name__, repr(frame))

    def test_released(self):
        for frame in self.frames():
            view = frame.to_numpy()
            frame.release()
            frame.release()
            self.assertEqual(repr(frame), type(frame).__name__ + "(released)")
            for use in (lambda: frame.to_numpy(), lambda: frame.nbytes, lambda: frame.frame_id, lambda: len(frame),
                        lambda: frame.__dlpack__(), lambda: memoryview(frame), lambda: frame.as_tensor(),
                        lambda: frame + 1, lambda: frame[0], lambda: bool(frame), lambda: pickle.dumps(frame),
                        lambda: frame.copy(), lambda: frame.__array_interface__):
                with self.assertRaises(RuntimeError) as caught:
                    use()
                self.assertIn("released", str(caught.exception))
            view[:] = 1  # still ours

    def test_context_manager_weak_reference_copy_pickle(self):
        frames = self.frames()
        while frames:
            frame = frames.pop()
            frame.frame_id = "here"
            frame.to_numpy()[:] = 3
            for other in (frame.copy(), copy.copy(frame), copy.deepcopy(frame),
                          pickle.loads(pickle.dumps(frame))):
                self.assertIs(type(other), type(frame))
                self.assertEqual(other.frame_id, "here")
                self.assertTrue((other.to_numpy() == 3).all())
                self.assertNotEqual(address(other.to_numpy()), address(frame.to_numpy()))
            reference = weakref.ref(frame)
            with frame as same:
                self.assertIs(same, frame)
            with self.assertRaises(RuntimeError):
                frame.nbytes
            del frame, same
            gc.collect()
            self.assertIsNone(reference())

    def test_as_tensor_shares(self):
        for frame in self.frames():
            tensor = frame.as_tensor()
            tensor[:] = 5
            self.assertTrue((frame.to_numpy() == 5).all())
            self.assertEqual(address(tensor.to_numpy()), address(frame.to_numpy()))

    def test_array_routes_share_one_address(self):
        for frame in self.frames():
            want = address(frame.to_numpy())
            routes = [np.asarray(frame), np.asarray(memoryview(frame)), frame.__array__()]
            if NUMPY >= (1, 23):
                routes.append(np.from_dlpack(frame))

            class Interface:
                __array_interface__ = frame.__array_interface__
            routes.append(np.asarray(Interface()))
            for array in routes:
                self.assertEqual(address(array), want)
                self.assertEqual(array.dtype.name, frame.dtype)
            self.assertNotEqual(address(np.array(frame)), want)
            self.assertNotEqual(address(frame.to_numpy(copy=True)), want)
            self.assertTrue(frame.to_numpy(copy=True).flags.owndata)

    def test_buffer_refuses_raw_bytes(self):
        with self.assertRaises(BufferError):
            bytes_of = ctypes.pythonapi.PyObject_GetBuffer
            bytes_of.argtypes = [ctypes.py_object, ctypes.c_void_p, ctypes.c_int]
            room = ctypes.create_string_buffer(512)
            if bytes_of(horus.Tensor([3, 4]), room, 0) == 0:
                ctypes.pythonapi.PyBuffer_Release(room)
        self.assertEqual(bytes(memoryview(horus.Tensor([5], "uint8"))), bytes(5))
        image = horus.Image(2, 3)
        with tempfile.TemporaryFile() as file:
            for wrong in (image, horus.Tensor([3], "int16")):
                with self.assertRaisesRegex(BufferError, r"memoryview\(frame\) or to_numpy\(\)"):
                    file.write(wrong)
            self.assertEqual([file.write(right) for right in (memoryview(image), image.to_numpy(), bytes(image),
                                                              horus.Tensor([18], "uint8"))], [18] * 4)

    def test_signatures_are_shown(self):
        for function, text in ((horus.Image.from_numpy, "(array, encoding=None)"),
                               (horus.Image.to_numpy, "(self, copy=False)"),
                               (horus.Topic.send, "(self, message, timeout=None, node=None)"),
                               (horus.Image.from_bytes, "(data, height, width, encoding='rgb8')")):
            self.assertEqual(str(inspect.signature(function)).replace(", /", ""), text)
        for kind in (horus.Image, horus.PointCloud, horus.DepthImage, horus.Tensor, horus.TensorPool, horus.Topic):
            inspect.signature(kind)
            for name in dir(kind):
                if not name.startswith("_"):
                    self.assertTrue(getattr(kind, name).__doc__, f"{kind.__name__}.{name} has no docstring")

    def test_exceptions_derive_from_builtins(self):
        self.assertTrue(issubclass(horus.PoolFullError, MemoryError))
        for name in dir(horus):
            value = getattr(horus, name)
            if isinstance(value, type) and issubclass(value, Exception):
                self.assertTrue(issubclass(value, horus.Error))

    def test_errors_are_those_that_programs_for_the_package_catch(self):
        for bad in (lambda: horus.Image(-1, 4), lambda: horus.Image(2**64, 4), lambda: horus.Tensor([-1]),
                    lambda: horus.TensorPool(-1), lambda: horus.Image(2, 2).set_pixel(0, 0, [1, 2, 256]),
                    lambda: horus.Image(2, 2).fill([1, 2, -1])):
            with self.assertRaises(OverflowError) as caught: # and of horus.Error and ValueError, as ever
                bad()
            self.assertIsInstance(caught.exception, (horus.OverflowError, horus.ArgumentError))
        for bad in (lambda: horus.DepthImage.from_numpy(np.zeros((2, 2), "u1")),
                    lambda: horus.Image.from_numpy(np.zeros((2, 2, 3)), "rgb8"),
                    lambda: horus.Tensor.from_numpy(np.array(["text"]))):
            for error in (TypeError, ValueError, horus.DTypeError):
                self.assertRaises(error, bad)
        pool = horus.TensorPool()
        self.assertEqual(pool.alloc([2], device="CPU").device, "cpu")
        for device, error in (("cuda", RuntimeError), ("cuda:1", RuntimeError), ("metal", ValueError),
                              ("cuda:", ValueError), ("cuda:1x", ValueError), (0, TypeError)):
            self.assertRaises(error, pool.alloc, [2], "float32", device)
            if device != 0:
                self.assertRaises(error, pool.alloc([2]).cuda, device)

    def test_names_of_types(self):
        for name, dtype in (("FLOAT32", "float32"), ("int", "int32"), (int, "int64"), ("long", "int64"),
                            ("byte", "uint8"), ("bf16", "bfloat16"), ("i8", "int8"), ("u64", "uint64"), (float, "float32")):
            self.assertEqual(horus.Tensor([2], name).dtype, dtype)
        self.assertEqual(horus.DepthImage(2, 2, "MM").dtype, "uint16")
        self.assertEqual([horus.Image(2, 2, e).encoding for e in ("gray16", "bayer")], ["mono16", "bayer_rggb8"])
        for bad in (lambda: horus.PointCloud(2, 3, "mm"), lambda: horus.Tensor([2], "float32\0"),
                    lambda: horus.Tensor([2], "f\0"), lambda: horus.Image(2, 2, "rgb8\0x"),
                    lambda: horus.Image(2, 2, "rgb8\0")):
            self.assertRaises(ValueError, bad)

    def test_the_lock_stays(self):
        """The module's own objects are guarded by it: a build without it takes it again."""
        self.assertTrue(getattr(sys, "_is_gil_enabled", lambda: True)())

    def test_a_star_import_shadows_no_builtin(self):
        import builtins
        names = {}
        exec("from horus import *", names)
        self.assertEqual([n for n in names if n != "__builtins__" and hasattr(builtins, n)], [])
        self.assertTrue({"Image", "Topic", "CmdVel", "run", "ms", "Error", "PoolFullError"} <= set(names))

    def test_every_error_is_the_modules_too(self):
        image, depth, tensor = horus.Image(2, 2), horus.DepthImage(2, 2, "mm"), horus.Tensor([4])
        def dlpack(**kw):
            return lambda: tensor.__dlpack__(**kw)
        for call, kinds in ((lambda: image.set_timestamp_ns(-1), (OverflowError, ValueError)),
                            (lambda: image.set_timestamp_ns(2**64), (OverflowError,)),
                            (lambda: image.set_timestamp_ns("1"), (TypeError,)),
                            (lambda: image.set_frame_id("\ud800"), (UnicodeEncodeError, ValueError)),
                            (lambda: horus.Topic("\ud800"), (UnicodeEncodeError,)),
                            (lambda: horus.Image(1, 1, "\ud800"), (UnicodeEncodeError,)),
                            (lambda: horus.Tensor([1], "\ud800"), (UnicodeEncodeError,)),
                            (lambda: depth.set_depth(0, 0, 10**400), (OverflowError,)),
                            (lambda: depth.set_depth(0, 0, -1.0), (ValueError,)),
                            (lambda: depth.set_depth(0, 0, 65.536), (ValueError,)),
                            (lambda: horus.CmdVel(10**400, 0), (OverflowError,)),
                            (lambda: horus.CmdVel(1e300, 0), (OverflowError, ValueError)),
                            (lambda: horus.CmdVel("x", 0), (TypeError,)),
                            (lambda: horus.MotorCommand(motor_id=-1), (OverflowError,)),
                            (lambda: horus.Odometry(frame_id="x" * 99), (ValueError,)),
                            (lambda: horus.Odometry(frame_id="\udfff"), (UnicodeEncodeError,)),
                            (lambda: horus.message("A b", x="uint8"), (ValueError,)),
                            (lambda: horus.message("Ab", x="uint9"), (ValueError,)),
                            (lambda: horus.CmdVel.from_bytes(b"x"), (ValueError,)),
                            (lambda: horus.Topic("t").send(2**64), (OverflowError,)),
                            (lambda: horus.Topic("t").send(object()), (TypeError,)),
                            (lambda: horus.Topic("t").send("\ud800"), (UnicodeEncodeError,)),
                            (lambda: horus.Topic(5), (TypeError,)), (lambda: horus.wait([5]), (TypeError,)),
                            (lambda: memoryview(horus.Tensor([2], "bfloat16")), (BufferError,)),
                            (dlpack(stream=1), (BufferError,)), (dlpack(dl_device=(2, 0)), (BufferError,)),
                            (dlpack(max_version=1), (TypeError,)),
                            (lambda: horus.Tensor.from_dlpack(5), (TypeError,)),
                            (lambda: horus.Tensor("ab"), (TypeError,)),
                            (lambda: horus.Image.from_bytes("x", 1, 1), (TypeError,)),
                            (lambda: horus.Tensor.from_numpy(np.array(["x"])), (TypeError,))):
            with self.subTest(kinds=kinds), self.assertRaises(horus.Error) as caught:
                call()
            for kind in kinds:
                self.assertIsInstance(caught.exception, kind)


class Tensors(unittest.TestCase):
    def test_every_dtype(self):
        for name in DTYPES:
            source = pattern((3, 5), name)
            tensor = horus.Tensor.from_numpy(source)
            self.assertEqual(tensor.dtype, name)
            self.assertTrue((tensor.to_numpy() == source).all())
            if NUMPY >= (1, 25) or (NUMPY >= (1, 23) and name != "bool"):
                self.assertTrue((np.from_dlpack(tensor) == source).all())
            self.assertTrue((horus.Tensor.from_dlpack(tensor).to_numpy() == source).all())
            self.assertEqual(horus.Tensor([2], np.dtype(name)).dtype, name)
            self.assertEqual(horus.Tensor([2], getattr(np, name if name != "bool" else "bool_")).dtype, name)

    def test_shapes(self):
        tensor = horus.Tensor.from_numpy(np.arange(24, dtype="i4").reshape(2, 3, 4))
        self.assertEqual((tensor.shape, tensor.numel, tensor.nbytes, len(tensor)), ([2, 3, 4], 24, 96, 2))
        self.assertEqual(tensor.view([6, 4]).shape, [6, 4])
        self.assertEqual(tensor.reshape(4, -1).shape, [4, 6])
        self.assertEqual(tensor.reshape([24]).shape, [24])
        self.assertEqual(tensor.flatten().shape, [24])
        self.assertEqual(tensor.unsqueeze(0).shape, [1, 2, 3, 4])
        self.assertEqual(tensor.unsqueeze(-1).shape, [2, 3, 4, 1])
        self.assertEqual(tensor.unsqueeze(1).squeeze().shape, [2, 3, 4])
        self.assertEqual(tensor.slice(1, 2).tolist(), [np.arange(12, 24).reshape(3, 4).tolist()])
        self.assertEqual(tensor.T.shape, (4, 3, 2))
        self.assertTrue(tensor.is_contiguous())
        tensor.view([24])[3] = 99
        self.assertEqual(tensor.tolist()[0][0][3], 99)
        self.assertEqual(horus.Tensor([0, 3]).shape, [0, 3])
        self.assertEqual(horus.Tensor([]).shape, [])
        self.assertEqual(horus.Tensor(5).shape, [5])
        for bad in (lambda: tensor.view([5, 5]), lambda: horus.Tensor([1] * 9), lambda: horus.Tensor([-1]),
                    lambda: tensor.unsqueeze(5), lambda: horus.Tensor([2], "complex64"),
                    lambda: horus.Tensor([2**40])):
            with self.assertRaises(ValueError):
                bad()

    def test_arithmetic_follows_numpy(self):
        a = np.array([[1.5, -2, 3], [4, 5, -6]], "f4")
        b = np.array([2, 3, 4], "f4")
        x, y = horus.Tensor.from_numpy(a), horus.Tensor.from_numpy(b)
        import operator as op
        for f in (op.add, op.sub, op.mul, op.truediv, op.floordiv, op.mod, op.pow):
            for left, right, want in ((x, y, f(a, b)), (x, b, f(a, b)), (a, y, f(a, b)), (x, 2, f(a, 2)),
                                      (2.0, y, f(np.float32(2), b))):
                with np.errstate(all="ignore"):
                    got = f(left, right)
                self.assertIs(type(got), horus.Tensor)
                np.testing.assert_array_equal(got.to_numpy(), want)
                self.assertEqual(got.to_numpy().dtype, want.dtype)
        self.assertEqual((x @ horus.Tensor.from_numpy(a.T.copy())).shape, [2, 2])
        np.testing.assert_array_equal((-x).to_numpy(), -a)
        np.testing.assert_array_equal(abs(x).to_numpy(), abs(a))
        for f in (op.lt, op.le, op.eq, op.ne, op.gt, op.ge):
            np.testing.assert_array_equal(f(x, 3).to_numpy(), f(a, 3))
        self.assertEqual(x.sum().shape, [1])
        np.testing.assert_allclose(x.sum().tolist(), [a.sum()])
        for name in ("sum", "mean", "max", "min"):
            np.testing.assert_array_equal(getattr(x, name)(dim=0).to_numpy(), getattr(a, name)(axis=0))
        self.assertEqual(float(x.max()), 5.0)
        image = horus.Image(2, 2) + 50
        self.assertIs(type(image), horus.Tensor)
        self.assertEqual(image.dtype, "uint8")
        with self.assertRaises(ValueError):
            x + horus.Tensor([7])
        with self.assertRaises(TypeError):
            x + "text"

    def test_masks_and_bits_follow_numpy(self):
        import operator as op
        a, b = np.arange(12, dtype="u1").reshape(4, 3), np.array([1, 2, 3], "u1")
        x, y = horus.Tensor.from_numpy(a), horus.Tensor.from_numpy(b)
        for f in (op.and_, op.or_, op.xor, op.lshift, op.rshift):
            for left, right, want in ((x, y, f(a, b)), (x, b, f(a, b)), (a, y, f(a, b)), (x, 2, f(a, 2)), (2, y, f(2, b))):
                got = f(left, right)
                self.assertIs(type(got), horus.Tensor)
                np.testing.assert_array_equal(got.to_numpy(), want)
                self.assertEqual(got.to_numpy().dtype, want.dtype)
        near = (x > 2) & (x < 9) | ~(x != 0)
        np.testing.assert_array_equal(near.to_numpy(), (a > 2) & (a < 9) | ~(a != 0))
        self.assertEqual(near.dtype, "bool")
        same = x
        x &= 6
        x |= 1
        x ^= 3
        x <<= 1
        x >>= 1
        self.assertIs(x, same)
        np.testing.assert_array_equal(x.to_numpy(), ((a & 6) | 1) ^ 3)
        image = horus.Image(2, 2)
        image.fill(12)
        np.testing.assert_array_equal((image & 4).to_numpy(), np.full((2, 2, 3), 4))
        with self.assertRaises(TypeError):
            horus.Tensor([2]) & 1  # floats have no bits

    def test_in_place(self):
        x = horus.Tensor.from_numpy(np.arange(12, dtype="u1").reshape(4, 3))
        same, where = x, address(x.to_numpy())
        x += 1
        x *= 2
        x[0:2] += 100
        self.assertIs(x, same)
        self.assertEqual(address(x.to_numpy()), where)
        self.assertEqual(x.tolist(), [[102, 104, 106], [108, 110, 112], [14, 16, 18], [20, 22, 24]])
        x[x > 100] = 0
        self.assertEqual(x.sum().tolist(), [14 + 16 + 18 + 20 + 22 + 24])
        with self.assertRaises(TypeError):
            x += 1.5
        with self.assertRaises(TypeError):
            del x[0]

    def test_astype(self):
        x = horus.Tensor.from_numpy(np.array([1.7, -2.2]))
        self.assertEqual([x.to_float32().dtype, x.to_float16().dtype, x.to_int32().dtype, x.astype("int8").dtype],
                         ["float32", "float16", "int32", "int8"])
        self.assertEqual(x.to_int32().tolist(), [1, -2])

    def test_descriptor(self):
        x = horus.Tensor.from_numpy(pattern((3, 4), "f8"))
        d = x.to_descriptor()
        self.assertLessEqual(len(d), 168)
        y = horus.Tensor.from_descriptor(1, d)
        self.assertEqual(address(x.to_numpy()), address(y.to_numpy()))
        self.assertEqual(y.tolist(), x.tolist())
        del x, y
        x = horus.Tensor([3, 4], "float64")  # the same slot, another use of it
        with self.assertRaises(FileNotFoundError):
            horus.Tensor.from_descriptor(1, d)
        for bad in (b"", b"x" * 64, d[:30], d + bytes(200)):
            with self.assertRaises((ValueError, RuntimeError, FileNotFoundError)):
                horus.Tensor.from_descriptor(1, bad)

    def test_a_descriptor_larger_than_its_slot(self):
        tensor = horus.Tensor.from_numpy(pattern((3, 4), "f8"))
        good, refused = tensor.to_descriptor(), 0
        for place in range(0, len(good) - 3, 4):
            for value in (5, 1 << 10, 1 << 20, 0x7fffffff, 0xffffffff):
                bad = good[:place] + value.to_bytes(4, "little") + good[place + 4:]
                try:
                    made = horus.Tensor.from_descriptor(1, bad)
                except (RuntimeError, FileNotFoundError, ValueError):
                    refused += 1
                    continue
                self.assertLessEqual(made.nbytes, 4096, (place, value))  # what the smallest slot has
                made.tolist()
        self.assertGreaterEqual(refused, 45)
        self.assertEqual(tensor.tolist(), pattern((3, 4), "f8").tolist())

    def test_bfloat16_where_numpy_has_none(self):
        x = horus.Tensor([3], "bfloat16")
        self.assertEqual((x.dtype, x.nbytes), ("bfloat16", 6))
        with self.assertRaises((BufferError, TypeError)):
            memoryview(x)
        try:
            import ml_dtypes
        except ImportError:
            with self.assertRaises(TypeError):
                x.to_numpy()
            return
        source = np.array([1.5, 2.5, -3], ml_dtypes.bfloat16)
        y = horus.Tensor.from_numpy(source)
        self.assertEqual(y.dtype, "bfloat16")
        self.assertEqual(y.to_numpy().dtype, source.dtype)
        self.assertTrue((y.to_numpy() == source).all())
        self.assertEqual(y.to_float32().tolist(), [1.5, 2.5, -3.0])

    def test_pools(self):
        pool = horus.TensorPool()
        before = pool.stats()
        self.assertTrue({"pool_id", "pool_size", "max_slots", "allocated_slots", "total_refcount", "used_bytes",
                         "free_bytes"} <= set(before))
        t = pool.alloc(shape=[100, 100], dtype="float32", device="cpu")
        self.assertEqual(pool.stats()["allocated_slots"], before["allocated_slots"] + 1)
        self.assertGreaterEqual(pool.stats()["used_bytes"] - before["used_bytes"], t.nbytes)
        other = horus.TensorPool(7, size_mb=4)
        u = other.alloc([1000])
        self.assertEqual(horus.TensorPool(7).pool_id, 7)
        del other
        gc.collect()
        u[:] = 1
        self.assertIs(horus.TensorHandle, horus.Tensor)
        with self.assertRaises(RuntimeError):
            pool.alloc([2], device="cuda:0")

    def test_pool_full_of_held_views_then_freed(self):
        pool = horus.TensorPool(8, size_mb=1)
        held = []
        with self.assertRaises(MemoryError) as caught:
            for _ in range(1000):
                held.append(pool.alloc([64 << 10], dtype="uint8").to_numpy())
        self.assertIn("pool", str(caught.exception))
        self.assertGreater(len(held), 8)
        held.clear()
        pool.alloc([64 << 10], dtype="uint8")


class Lifetimes(unittest.TestCase):
    """Cases that break others: what a view keeps, and until when."""

    def slots(self):
        gc.collect()
        return horus.TensorPool().stats()["allocated_slots"]

    def routes(self, frame):
        yield frame.to_numpy()
        yield np.asarray(frame)
        yield memoryview(frame)
        if NUMPY >= (1, 23):
            yield np.from_dlpack(frame)
        yield frame.to_numpy()[1:, ::2]
        yield frame.as_tensor()

    def test_views_of_every_route_after_del_gc_and_1000_more_receives(self):
        topic = horus.Topic("lifetimes")
        before = self.slots()
        image = horus.Image.from_numpy(pattern((20, 30), np.uint8))
        topic.send(image)
        del image
        received = topic.recv()
        views = list(self.routes(received))
        del received
        for i in range(1000):
            frame = horus.Image(20, 30, "mono8")
            frame.fill(255)
            topic.send(frame)
            topic.recv()
        del frame
        want = pattern((20, 30), np.uint8)
        for view in views:
            got = np.asarray(view)
            self.assertTrue((got == (want if got.shape == want.shape else want[1:, ::2])).all())
        del views, view, got
        topic.close()
        gc.collect()
        self.assertLessEqual(self.slots() - before, 9)  # what the ring still keeps

    def test_refcount_returns_after_2000_exports_of_each_kind(self):
        frame = horus.Tensor([4, 4])
        before = frame.refcount
        for _ in range(2000):
            frame.to_numpy()
            memoryview(frame)
            frame.__dlpack__()  # a capsule that nobody consumes
            frame.__dlpack__(max_version=(1, 0))
            frame.__array_interface__
            frame.as_tensor()
            if NUMPY >= (1, 23):
                np.from_dlpack(frame)
        self.assertEqual(frame.refcount, before)
        capsule = frame.__dlpack__()
        self.assertEqual(frame.refcount, before + 1)
        del capsule
        self.assertEqual(frame.refcount, before)

    def test_a_capsule_consumed_twice(self):
        frame = horus.Tensor.from_numpy(np.arange(3.0))
        capsule = frame.__dlpack__()
        first = horus.Tensor.from_dlpack(capsule)  # reads, and leaves it
        self.assertEqual(first.tolist(), [0, 1, 2])
        with self.assertRaises((TypeError, ValueError)):
            horus.Tensor.from_dlpack(object())

    def test_release_with_live_views(self):
        frame = horus.Image(10, 10)
        views = list(self.routes(frame))
        frame.release()
        other = [horus.Image(10, 10) for _ in range(50)]
        for o in other:
            o.fill(77)
        for view in views:
            self.assertFalse(np.asarray(view).any())

    def test_release_with_an_array_made_by_its_interface(self):
        """NumPy then keeps the object, which keeps the memory; nothing else is longer kept for that."""
        class Wrapper:
            def __init__(self, frame):
                self.frame = frame

            @property
            def __array_interface__(self):
                return self.frame.__array_interface__
        before = self.slots()
        frame = horus.Image(10, 10)
        array = np.asarray(Wrapper(frame))
        with frame:
            pass
        frame.release()
        self.assertRaises(horus.ClosedError, frame.to_numpy)
        for o in [horus.Image(10, 10) for _ in range(50)]:
            o.fill(77)
        self.assertFalse(array.any())
        del frame, o
        self.assertEqual(self.slots(), before + 1)
        self.assertFalse(array.any())
        del array
        self.assertEqual(self.slots(), before)
        frame = horus.Image(10, 10)  # whose interface nobody asked for
        frame.release()
        self.assertEqual(self.slots(), before)

    def test_the_last_view_dropped_on_another_thread(self):
        box = [horus.Image(100, 100).to_numpy()]
        before = self.slots()
        thread = threading.Thread(target=box.clear)
        thread.start()
        thread.join()
        self.assertEqual(self.slots(), before - 1)

    def test_the_last_view_dropped_on_a_raw_thread_without_the_gil(self):
        """One that Python has never seen, while this one keeps the lock."""
        start = ctypes.PyDLL(None).pthread_create  # the lock stays taken
        start.argtypes = [ctypes.c_void_p] * 4
        join = ctypes.PyDLL(None).pthread_join
        join.argtypes = [ctypes.c_void_p] * 2
        frame = horus.Tensor([1000])
        managed = x.export(frame)
        deleter = ctypes.cast(managed.contents.deleter, ctypes.c_void_p).value
        frame.release()
        before, thread = self.slots(), ctypes.c_ulong()
        self.assertEqual(start(ctypes.addressof(thread), None, deleter, ctypes.addressof(managed.contents)), 0)
        self.assertEqual(join(thread.value, None), 0)
        self.assertEqual(self.slots(), before - 1)

    def test_a_view_in_a_global(self):
        self.run_python("import horus, builtins\nglobal_view = horus.Image(100, 100).to_numpy()\n"
                        "builtins.other_view = memoryview(horus.Image(100, 100))\n"
                        "horus.kept = horus.Image(100, 100)  # in the module itself\n")

    def test_a_view_in_a_cycle(self):
        before = self.slots()
        holder = {"view": horus.Image(100, 100).to_numpy()}
        holder["self"] = holder
        del holder
        self.assertEqual(self.slots(), before)

    def run_python(self, code, **kw):
        done = subprocess.run([sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, timeout=120,
                              **kw)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout

    def test_a_view_alive_at_interpreter_exit(self):
        self.run_python("import horus, numpy, sys\n"
                        "kept = [horus.Image(100, 100).to_numpy(), horus.Image(9, 9), horus.Topic('exit')]\n"
                        "kept[2].send(kept[1]); kept.append(kept[2].recv()); kept.append(kept)\n"
                        "sys.kept = kept\n")

    def test_a_view_under_os_exit(self):
        self.run_python("import horus, os; v = horus.Image(100, 100).to_numpy(); os._exit(0)")
        horus.sweep()
        self.assertTrue(horus.audit()["balanced"])

    def test_fork_with_live_views(self):
        code = ("import horus, numpy, os, gc\n"
                "image = horus.Image(50, 50); image.fill(9)\n"
                "topic = horus.Topic('forked'); view = image.to_numpy()\n"
                "count = horus.TensorPool().stats()['allocated_slots']\n"
                "pid = os.fork()\n"
                "if pid == 0:\n"
                "    assert (view == 9).all()\n"
                "    del view, image; gc.collect()\n"
                "    topic.send({'child': 1})\n"      # opened anew in the child
                "    fresh = horus.Image(8, 8); fresh.fill(3)\n"
                "    os._exit(0)\n"
                "assert os.waitpid(pid, 0)[1] == 0\n"
                "horus.sweep()\n"
                "more = [horus.Image(50, 50) for _ in range(30)]\n"
                "for m in more: m.fill(1)\n"
                "assert (view == 9).all()\n"
                "assert topic.recv() == {'child': 1}\n"
                "assert horus.audit()['balanced'], horus.audit()\n")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_sigkill_of_a_view_holder(self):
        child = subprocess.Popen([sys.executable, "-c",
                                  "import horus, time\n"
                                  "v = [horus.Image(200, 200).to_numpy() for _ in range(20)]\n"
                                  "print('held', flush=True); time.sleep(60)"], stdout=subprocess.PIPE)
        self.assertEqual(child.stdout.readline(), b"held\n")
        held = self.slots()
        child.kill()
        child.wait()
        child.stdout.close()
        self.assertGreaterEqual(horus.sweep(), 1)
        self.assertEqual(self.slots(), held - 20)
        self.assertTrue(horus.audit()["balanced"])


    def test_arrays_that_numpy_asks_for_give_their_slot_back(self):
        def slots():
            gc.collect()
            return horus.TensorPool().stats()["allocated_slots"]
        routes = {
            "the same dtype": lambda f: f.__array__(np.uint8), "another": lambda f: f.__array__(np.float64),
            "no copy": lambda f: f.__array__(np.uint8, copy=False), "a copy": lambda f: f.__array__(np.uint8, copy=True),
            "no dtype": lambda f: f.__array__(), "a plain copy": lambda f: f.__array__(copy=True),
            "asarray": lambda f: np.asarray(f, dtype=np.uint8), "array": lambda f: np.array(f, dtype=np.uint8),
            "to_numpy": lambda f: f.to_numpy(copy=True)}
        for name, route in routes.items():
            with self.subTest(name):
                frame = horus.Image(4, 4)
                holds, before = frame.refcount, slots()
                for _ in range(20):
                    route(frame)
                    route(horus.Image(4, 4))
                self.assertEqual((frame.refcount, slots()), (holds, before))
        with self.assertRaises(ValueError):
            horus.Image(4, 4).__array__(np.float64, copy=False)

    def test_a_copy_argument_that_raises_or_releases(self):
        class Copy:
            def __init__(self, act):
                self.act = act
            def __bool__(self):
                return self.act()
        frame, seen = horus.Image(2, 2), []
        frame.release()
        self.assertRaises(ZeroDivisionError, frame.__array__, None, Copy(lambda: 1 // 0))
        with self.assertRaises(horus.ClosedError) as caught:
            frame.__array__(None, Copy(lambda: seen.append(sys.exc_info()[0]) or True))
        self.assertEqual((seen, caught.exception.__context__), ([None], None))
        frame = horus.Image(2, 2)
        self.assertRaises(horus.ClosedError, frame.__array__, None, Copy(lambda: frame.release() or True))


class ReadOnly(unittest.TestCase):
    def sent(self):
        topic = horus.Topic("readonly")
        image = horus.Image(6, 7)
        early = image.to_numpy()
        topic.send(image)
        received = topic.recv()
        topic.close()
        return early, image, received

    def test_views_of_a_sent_frame(self):
        early, image, received = self.sent()
        early[:] = 5  # made before the send: the sender's mistake, but possible
        for frame in (image, received):
            self.assertTrue(frame.readonly)
            view = frame.to_numpy()
            for array in (view, view[1:], view[1:].reshape(-1), np.asarray(frame)):
                self.assertFalse(array.flags.writeable)
                with self.assertRaises(ValueError):
                    array[0] = 1
                with self.assertRaises(ValueError):
                    array.setflags(write=True)
            self.assertTrue(memoryview(frame).readonly)
            for bad in (lambda: frame.fill(0), lambda: frame.set_pixel(0, 0, [1, 2, 3]),
                        lambda: frame.copy_from(bytes(126)), lambda: frame.__setitem__(0, 1),
                        lambda: frame.set_frame_id("x"), lambda: frame.as_tensor().__iadd__(1)):
                with self.assertRaises(horus.ReadOnlyError) as caught:
                    bad()
                self.assertIn("copy()", str(caught.exception))
            mine = frame.copy()
            self.assertFalse(mine.readonly)
            mine.fill(0)

    @unittest.skipIf(NUMPY < (2, 1), "NumPy passes max_version from 2.1 on")
    def test_dlpack_flag(self):
        _, image, _ = self.sent()
        self.assertFalse(np.from_dlpack(image).flags.writeable)
        if NUMPY >= (2, 2):
            self.assertTrue(np.from_dlpack(horus.Image(2, 2)).flags.writeable)
        copied = np.from_dlpack(image, copy=True)
        self.assertNotEqual(address(copied), address(image.to_numpy()))

    def test_a_stray_write_faults_where_memory_is_protected(self):
        """HORUS_PROTECT=1: what flags cannot hinder, the processor does. The rest works as ever."""
        def run(code, **env):
            return subprocess.run([sys.executable, "-c", "import horus, ctypes\n"
                                   "topic = horus.Topic('protected')\n"
                                   "frame = horus.Tensor([1000], 'uint8'); frame[:] = 7\n"
                                   "where = frame.__array_interface__['data'][0]; early = frame.to_numpy()\n"
                                   "topic.send(frame); received = topic.recv()\n" + code],
                                  env={**os.environ, **env}, capture_output=True, text=True, timeout=120)
        quiet = "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        for write in ("ctypes.memset(where, 1, 4)", "early[0] = 1", "received.copy(); early += 1"):
            done = run(quiet + write, HORUS_PROTECT="1")  # a sanitizer says so, and ends with 1
            self.assertTrue(done.returncode == -signal.SIGSEGV or "SEGV" in done.stderr, (write, done))
            self.assertEqual(run(quiet + write, HORUS_PROTECT="0").returncode, 0, write)
        fine = ("assert received.tolist() == [7] * 1000\nmine = received.copy(); mine += 1; topic.send({'a': [1] * 9999})\n"
                "del frame, received, early\nfor i in range(50):\n"
                " f = horus.Image(30, 30); f.fill(i); topic.send(f); assert topic.recv() is not None\n"
                "assert mine.tolist() == [8] * 1000 and horus.audit()['balanced']\n")
        done = run(fine, HORUS_PROTECT="1")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_sending_again(self):
        topic = horus.Topic("again")
        image = horus.Image(2, 2)
        for _ in range(3):
            self.assertTrue(topic.send(image))
        self.assertEqual(len(topic.recv_all()), 3)


class Protocol(unittest.TestCase):
    def test_every_keyword_combination(self):
        frame = horus.Tensor.from_numpy(np.arange(6.0))
        for stream in ({}, {"stream": None}):
            for version in ({}, {"max_version": None}, {"max_version": (0, 8)}, {"max_version": (1, 0)},
                            {"max_version": (1, 3)}, {"max_version": (2, 0)}):
                for device in ({}, {"dl_device": None}, {"dl_device": (1, 0)}):
                    for c in ({}, {"copy": None}, {"copy": False}, {"copy": True}):
                        capsule = frame.__dlpack__(**stream, **version, **device, **c)
                        versioned = (version.get("max_version") or (0, 0))[0] >= 1
                        self.assertIn('"dltensor_versioned"' if versioned else '"dltensor"', repr(capsule))
                        self.assertEqual(horus.Tensor.from_dlpack(capsule).tolist(), list(range(6)))
        for bad in ({"stream": 1}, {"dl_device": (2, 0)}, {"dl_device": (1, 1)}):
            with self.assertRaises(BufferError):
                frame.__dlpack__(**bad)
        for bad in ({"max_version": 1}, {"max_version": (1,)}, {"max_version": ("a", "b")}, {"nonsense": 1},
                    {"dl_device": "cpu"}):
            with self.assertRaises(TypeError):
                frame.__dlpack__(**bad)
        with self.assertRaises(TypeError):
            frame.__dlpack__(None)
        self.assertEqual(frame.__dlpack_device__(), (1, 0))

    def test_pending_exceptions_survive_a_capsule(self):
        frame = horus.Tensor([3])
        try:
            capsule = frame.__dlpack__()
            raise KeyError("kept")
        except KeyError as error:
            del capsule
            self.assertEqual(error.args, ("kept",))

    def test_empty_tensors(self):
        for shape in ([0], [3, 0], [0, 2, 2]):
            frame = horus.Tensor(shape)
            self.assertEqual(frame.to_numpy().shape, tuple(shape))
            if NUMPY >= (1, 23):
                self.assertEqual(np.from_dlpack(frame).shape, tuple(shape))
            self.assertEqual(horus.Tensor.from_dlpack(frame).shape, shape)

    def test_old_producers(self):
        frame = horus.Tensor.from_numpy(np.arange(4.0))

        class NoKeywords:
            def __dlpack__(self, stream=None):
                return frame.__dlpack__()
        self.assertEqual(horus.Tensor.from_dlpack(NoKeywords()).tolist(), [0, 1, 2, 3])

        class Broken:
            def __dlpack__(self, **kw):
                raise ZeroDivisionError

        class NoCapsule:
            def __dlpack__(self, **kw):
                return 5
        with self.assertRaises(ZeroDivisionError):
            horus.Tensor.from_dlpack(Broken())
        with self.assertRaises(ValueError):
            horus.Tensor.from_dlpack(NoCapsule())

    def test_producers_with_null_strides_or_deleter(self):
        """ONNX Runtime exports no strides; who has nothing to free may have no deleter."""
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        data = np.arange(6, dtype="f4")
        for strides in (None, (ctypes.c_int64 * 2)(3, 1)):
            managed = x.foreign([], x.prototype([2, 3], data=address(data)))
            managed.contents.tensor.strides = strides
            managed.contents.deleter = x.DELETER()
            for _ in range(3):
                capsule = new(ctypes.cast(managed, ctypes.c_void_p), b"dltensor_versioned", None)
                self.assertEqual(horus.Tensor.from_dlpack(capsule).tolist(), [[0, 1, 2], [3, 4, 5]])
                self.assertIn('"dltensor_versioned"', repr(capsule))

    def test_a_gpu_producer(self):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        deleted, data = [], np.zeros(2, "f4")
        managed = x.foreign(deleted, x.prototype([2], device=(2, 0), data=address(data)))
        capsule = new(ctypes.cast(managed, ctypes.c_void_p), b"dltensor_versioned", None)

        class Gpu:
            def __dlpack_device__(self):
                return 2, 0

            def __dlpack__(self, **kw):
                return capsule

        class Unwilling(Gpu):
            def __dlpack__(self, **kw):
                raise BufferError("it lies on a GPU")
        with self.assertRaisesRegex(BufferError, "device|CPU"):
            horus.Tensor.from_dlpack(Gpu())
        with self.assertRaisesRegex(BufferError, "it lies on a GPU"):
            horus.Tensor.from_dlpack(Unwilling())
        self.assertIn('"dltensor_versioned"', repr(capsule))  # not consumed: its memory is still the producer's
        self.assertEqual(deleted, [])

    @unittest.skipIf(NUMPY < (1, 23), "NumPy exports DLPack from 1.23 on")
    def test_from_numpys_own_dlpack(self):
        for name in DTYPES:
            if name == "bool" and NUMPY < (1, 25):
                continue
            source = pattern((4, 6), name)[::2, 1:]
            self.assertTrue((horus.Tensor.from_dlpack(source).to_numpy() == source).all())
        with self.assertRaises(BufferError):
            horus.Tensor.from_dlpack(np.zeros(3, "complex64"))

    def test_allocation_failure_at_every_step(self):
        try:
            import _testcapi
        except ImportError:
            self.skipTest("no _testcapi here")
        frame = horus.Tensor([4, 4])
        topic = horus.Topic("nomem")
        frame.to_numpy()
        # NumPy itself ends with SIGSEGV up to 1.19, where an array goes away and there is no memory
        for use in (lambda: horus.Image(3, 3), *([frame.to_numpy] if NUMPY >= (1, 20) else []),
                    lambda: memoryview(frame), lambda: frame.__dlpack__(), lambda: frame.__array_interface__, lambda: frame.copy(),
                    lambda: frame.shape, lambda: (topic.send(frame), topic.recv()), lambda: topic.stats(),
                    frame.__reduce__,
                    lambda: (topic.send({"a": [1, 2.5, "x" * 600]}), topic.recv())):
            use()
            for n in range(200):
                _testcapi.set_nomemory(n, n + 1)
                try:
                    use()
                except MemoryError:
                    failed = True
                else:
                    failed = False
                finally:
                    _testcapi.remove_mem_hooks()
                while topic.recv() is not None:
                    pass
                if not failed and n > 60:
                    break
        self.assertTrue(horus.audit()["balanced"])

    def test_allocation_failure_at_the_first_use_of_a_keyword(self):
        if importlib.util.find_spec("_testcapi") is None:
            self.skipTest("no _testcapi here")
        for call in ("image.__dlpack__(max_version=(1, 0))", "horus.Image(height=2, width=2)",
                     "horus.Tensor([2], dtype='int8')"):
            done = subprocess.run([sys.executable, "-c", f'''
import horus, _testcapi
image = horus.Image(8, 8)
for n in range(12):
    _testcapi.set_nomemory(n, n + 1)
    try:
        {call}
    except MemoryError:
        pass
    finally:
        _testcapi.remove_mem_hooks()
'''], capture_output=True, text=True, timeout=120)
            self.assertEqual((done.returncode, done.stderr), (0, ""), call)


    def test_what_from_torch_calls_may_return_itself(self):
        class Source:
            def detach(self):
                return self
            cpu = resolve_conj = resolve_neg = detach
            def __dlpack__(self, **keywords):
                return horus.Tensor([3, 4]).__dlpack__()
        source = Source()
        for taken in (horus.Tensor, horus.PointCloud, horus.DepthImage):
            before = sys.getrefcount(source)
            for _ in range(50):
                taken.from_torch(source)
            self.assertEqual(sys.getrefcount(source), before, taken)


class Exchange(unittest.TestCase):
    """DLPack's table of C functions, which kernels call."""

    def tearDown(self):
        gc.collect()
        self.assertTrue(horus.audit()["balanced"])

    def test_one_table_at_the_four_types(self):
        for kind in (horus.Image, horus.PointCloud, horus.DepthImage, horus.Tensor):
            self.assertEqual(ctypes.addressof(x.table_of(kind)), ctypes.addressof(x.TABLE))
            with self.assertRaises(TypeError):
                kind.__dlpack_c_exchange_api__ = None
        self.assertEqual((x.TABLE.major, x.TABLE.minor, x.TABLE.older), (1, 3, None))
        self.assertEqual(ctypes.sizeof(x.Table), 8 + 6 * ctypes.sizeof(ctypes.c_void_p))
        stream = ctypes.c_void_p(5)
        self.assertEqual(x.TABLE.stream(1, 0, ctypes.byref(stream)), 0)
        self.assertIsNone(stream.value)

    def check(self, tensor, frame, source):
        n = tensor.ndim
        self.assertEqual(tensor.shape[:n], list(source.shape))
        self.assertEqual([s * source.itemsize for s in tensor.strides[:n]], list(source.strides))
        self.assertEqual(tensor.data, address(frame.to_numpy()))
        self.assertEqual((tensor.device.type, tensor.device.id, tensor.byte_offset), (1, 0, 0))
        code = {"b": 6, "u": 1, "i": 0, "f": 2}[source.dtype.kind]
        self.assertEqual((tensor.dtype.code, tensor.dtype.bits, tensor.dtype.lanes), (code, 8 * source.itemsize, 1))

    def test_what_a_kernel_sees(self):
        for name in DTYPES:
            for shape in ((3, 4, 5), (7,), ()):
                source = pattern(shape, name)
                frame = horus.Tensor.from_numpy(source)
                self.check(x.view(frame), frame, source)
                managed = x.export(frame)
                self.check(managed.contents.tensor, frame, source)
                self.assertEqual((managed.contents.major, managed.contents.flags), (1, 0))
                x.delete(managed)
        image = horus.Image.from_numpy(pattern((4, 6, 3), np.uint8))
        self.check(x.view(image), image, pattern((4, 6, 3), np.uint8))
        part = horus.Tensor.from_numpy(pattern((5, 6), np.float64)).slice(2, 4)
        self.check(x.view(part), part, pattern((5, 6), np.float64)[2:4])
        empty = horus.Tensor([3, 0])
        self.assertIsNone(x.view(empty).data)
        managed = x.export(empty)
        self.assertIsNone(managed.contents.tensor.data)
        x.delete(managed)

    def test_an_export_keeps_the_frame(self):
        frame = horus.Tensor.from_numpy(np.arange(100, dtype=np.float32))
        before = frame.refcount
        for _ in range(2000):
            x.delete(x.export(frame))
            x.view(frame)
        self.assertEqual(frame.refcount, before)
        managed = x.export(frame)
        self.assertEqual(frame.refcount, before + 1)
        frame.release()
        del frame
        others = [horus.Tensor([100]) for _ in range(1000)]
        for other in others:
            other[:] = -1
        data = (ctypes.c_float * 100).from_address(managed.contents.tensor.data)
        self.assertEqual(list(data), list(range(100)))
        slots = horus.TensorPool().stats()["allocated_slots"]
        thread = threading.Thread(target=x.delete, args=(managed,))  # ctypes gives the lock up for it
        thread.start()
        thread.join()
        self.assertEqual(horus.TensorPool().stats()["allocated_slots"], slots - 1)

    def test_a_sent_frame_is_read_only(self):
        topic = horus.Topic("exchange")
        topic.send(horus.Tensor([4]))
        received = topic.recv()
        managed = x.export(received)
        self.assertEqual(managed.contents.flags, x.READ_ONLY)
        back = x.taken(managed)
        self.assertTrue(back.readonly)
        with self.assertRaises(ValueError):
            back[0] = 1
        topic.close()
        own = horus.Tensor([4])
        managed = x.export(own)
        managed.contents.flags |= x.READ_ONLY  # somebody's wish
        self.assertTrue(x.taken(managed).readonly)
        self.assertFalse(own.readonly)

    def test_failures_leave_nothing(self):
        frame = horus.Tensor([4])
        frame.release()
        out = x.MANAGED()
        for wrong, error in ((frame, RuntimeError), (np.zeros(3), TypeError), (None, TypeError)):
            with self.assertRaises(error):
                x.export(wrong)
            with self.assertRaises(error):
                x.view(wrong)
            out.contents = x.Managed()
            try:
                x.TABLE.from_object(wrong, ctypes.byref(out))
            except error:
                pass
            self.assertFalse(out)

    def test_memory_of_a_frame_is_shared(self):
        for shape in ((4, 5), (400, 500), (1000, 300)):  # a block, and runs of granules
            frame = horus.Tensor.from_numpy(pattern(shape, np.float32))
            before = frame.refcount
            back = x.taken(x.export(frame))
            self.assertIs(type(back), horus.Tensor)
            self.assertEqual(address(back.to_numpy()), address(frame.to_numpy()))
            self.assertEqual(frame.refcount, before + 1)
            back[0] = 7
            self.assertEqual(frame[0].tolist(), [7] * shape[1])
            row = frame.slice(shape[0] - 1, shape[0])  # the end of it
            last = x.taken(x.export(row))
            self.assertEqual(address(last.to_numpy()), address(frame.to_numpy()) + (shape[0] - 1) * shape[1] * 4)
            del row, last
            frame.release()
            self.assertEqual(back.refcount, 1)
            self.assertTrue((back.to_numpy()[1:] == pattern(shape, np.float32)[1:]).all())
        other = horus.TensorPool(7, size_mb=1).alloc([3, 3])
        self.assertEqual(address(x.taken(x.export(other)).to_numpy()), address(other.to_numpy()))

    def test_other_memory_is_copied(self):
        deleted = []
        source = pattern((6, 8), np.int16)
        for array in (source, source[::2, 1:], source[:, ::-1], source.T, source[:0], source[:1, :1].reshape(())):
            if any(s < 0 for s in array.strides):
                continue
            strides = [s // 2 for s in array.strides]
            m = x.foreign(deleted, x.prototype(array.shape, 0, 16, data=address(array), strides=strides))
            self.assertEqual(x.taken(m).to_numpy().tolist(), array.tolist())
        self.assertEqual(len(deleted), 5)
        m = x.foreign(deleted, x.prototype([6, 8], 0, 16, data=address(source)))  # strides of old: none
        m.contents.deleter = x.DELETER()
        self.assertEqual(x.taken(m).tolist(), source.tolist())
        frame = horus.Tensor([2, 64], "uint8")
        before, first = frame.refcount, address(frame.to_numpy())
        for tensor in (x.prototype([4], data=first + 1), x.prototype([32], data=first + 64),  # odd; beyond its end
                       x.prototype([2, 2], data=first, strides=[1, 2])):
            back = x.taken(x.foreign(deleted, tensor))
            self.assertEqual(frame.refcount, before)
            self.assertFalse(back.readonly)
        self.assertEqual(len(deleted), 8)
        odd = x.taken(x.foreign(deleted, x.prototype([1, 4], data=first, strides=[-1 << 60, 1])))
        self.assertEqual((odd.shape, odd.to_numpy().strides), ([1, 4], (16, 4)))

    def test_what_is_refused_stays_the_callers(self):
        deleted, data = [], address(np.zeros(8, np.complex64))
        out = ctypes.c_void_p(1)
        for m, error in ((x.foreign(deleted, x.prototype([2], data=data), major=2), BufferError),
                         (x.foreign(deleted, x.prototype([2], 5, 64, data=data)), BufferError),
                         (x.foreign(deleted, x.prototype([2], lanes=2, data=data)), BufferError),
                         (x.foreign(deleted, x.prototype([2], device=(2, 0), data=data)), BufferError),
                         (x.foreign(deleted, x.prototype([1] * 9, data=data)), ValueError),
                         (x.foreign(deleted, x.prototype([-1], data=data)), ValueError),
                         (x.foreign(deleted, x.prototype([2])), ValueError)):
            with self.assertRaises(error):
                x.TABLE.to_object(m, ctypes.byref(out))
            self.assertIsNone(out.value)
        self.assertEqual(deleted, [])

    def test_no_memory_for_the_object(self):
        try:
            import _testcapi
        except ImportError:
            self.skipTest("no _testcapi here")
        frame = horus.Tensor([4])
        before, out, failures = frame.refcount, ctypes.c_void_p(), 0
        reference = ctypes.byref(out)
        for n in range(40):
            managed = x.export(frame)
            _testcapi.set_nomemory(n, n + 1)
            try:
                x.TABLE.to_object(managed, reference)
            except (MemoryError, ctypes.ArgumentError):
                failed = True
            else:
                failed = False
            finally:
                _testcapi.remove_mem_hooks()
            self.assertEqual(frame.refcount, before + 1)
            if failed:
                failures += 1
                x.delete(managed)
            else:
                ctypes.pythonapi.Py_DecRef(ctypes.cast(out, ctypes.py_object))
            self.assertEqual(frame.refcount, before)
        self.assertGreater(failures, 1)

    def test_the_allocator(self):
        dirty = horus.Tensor([100, 100])
        dirty[:] = 3
        del dirty
        for shape in ([100, 100], [], [5, 0], [3]):
            code, managed, said = x.allocate(x.prototype(shape, strides=[99] * len(shape), data=1))
            self.assertEqual((code, said), (0, []))
            tensor = managed.contents.tensor
            self.assertEqual((tensor.shape[:len(shape)], managed.contents.flags), (shape, 0))
            self.assertEqual((tensor.data or 0) % 64, 0)
            data = tensor.data
            made = x.taken(managed)
            self.assertEqual((made.shape, made.dtype, made.refcount), (shape, "float32", 1))
            self.assertFalse(made.to_numpy().any())
            if data:
                self.assertEqual(address(made.to_numpy()), data)
        for tensor, kind, word in ((x.prototype([2], device=(2, 0)), "BufferError", "device"),
                                   (x.prototype([2], device=(3, 0)), "BufferError", "CPU"),
                                   (x.prototype([2], device=(1, 1)), "BufferError", "CPU"),
                                   (x.prototype([2], 5, 64), "BufferError", "dtype"),
                                   (x.prototype([2], lanes=4), "BufferError", "lanes"),
                                   (x.prototype([1] * 9), "BufferError", "dimensions"),
                                   (x.prototype([-2]), "ValueError", "negative"),
                                   (x.prototype([1 << 50]), "ValueError", "pool")):
            code, managed, said = x.allocate(tensor)
            self.assertEqual((code, bool(managed)), (-1, False))
            self.assertEqual([(7, kind)], [s[:2] for s in said])
            self.assertIn(word, said[0][2])

    def test_what_a_full_pool_says(self):
        pool, kept = horus.TensorPool(41, 1), []
        with self.assertRaises(horus.PoolFullError) as caught:
            while True:
                kept.append(pool.alloc([100_000], "uint8"))
        self.assertRegex(str(caught.exception), r"^pool pool\.41 has no 100000 bytes free of 1024 KiB: "
                         r"held by .* \(pid \d+\) \d+ slots, \d+ KiB$")

    def test_the_allocator_of_a_full_pool(self):
        size, kept, code = horus.TensorPool().stats()["pool_size"] // 5, [], 0
        while code == 0 and len(kept) < 6:
            code, managed, said = x.allocate(x.prototype([size], 1, 8))
            kept += [managed] if code == 0 else []
        self.assertEqual((code, said[0][1]), (-1, "MemoryError"))
        self.assertIn("held by", said[0][2])
        for managed in kept:
            x.delete(managed)

    def test_a_torch_whose_table_fails(self):
        code = """
import ctypes, sys, types
sys.path.insert(0, sys.argv[1])
import horus, py_exchange as x

frame = horus.Tensor([3])
refuse = ctypes.cast(ctypes.pythonapi.PyCapsule_SetName, ctypes.c_void_p).value  # no capsule: ValueError, -1
table = x.Table(1, 3)
for field in (x.Table.from_object, x.Table.to_object):
    ctypes.c_void_p.from_address(ctypes.addressof(table) + field.offset).value = refuse
newer = x.Table(2, 0, ctypes.addressof(table))  # not known: the older one is
new = ctypes.pythonapi.PyCapsule_New
new.argtypes, new.restype = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p], ctypes.py_object
name = b"dlpack_exchange_api"

class Tensor:
    __dlpack_c_exchange_api__ = new(ctypes.addressof(newer), name, None)
    requires_grad = False
    is_neg = lambda self: False
    __dlpack__ = lambda self, **kw: frame.__dlpack__(**kw)

core = types.ModuleType("torch._C")
core._from_dlpack = lambda capsule: 7
torch = types.ModuleType("torch")
torch.Tensor, torch._C = Tensor, core
sys.modules.update({"torch": torch, "torch._C": core})
before = frame.refcount
for _ in range(10):
    try:
        print(frame.to_torch())
    except ValueError:
        pass
assert frame.refcount == before, frame.refcount
assert horus.Tensor.from_dlpack(Tensor()).tolist() == [0, 0, 0]  # by its __dlpack__()
"""
        done = subprocess.run([sys.executable, "-c", code, os.path.dirname(os.path.abspath(__file__))],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_an_inherited_frame(self):
        frame = horus.Tensor.from_numpy(np.arange(4, dtype=np.float32))
        pid = os.fork()
        if pid == 0:
            try:
                managed = x.export(frame)
                made = x.taken(managed)  # a copy: the parent may let go of it
                good = made.tolist() == [0, 1, 2, 3] and address(made.to_numpy()) != address(frame.to_numpy())
                os._exit(0 if good and not made.readonly and x.export(frame).contents.flags == 1 else 1)
            except BaseException:
                traceback.print_exc()
                os._exit(2)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)


class Arguments(unittest.TestCase):
    def test_numpys_functions_take_a_tensor(self):
        source = np.arange(24.0).reshape(2, 3, 4)
        tensor = horus.Tensor.from_numpy(source)
        for name in ("sum", "mean", "max", "min"):
            function, method = getattr(np, name), getattr(tensor, name)
            self.assertEqual(float(function(tensor)), function(source))
            for axis in (0, -1, (0, 2), None):
                for keepdims in (False, True):
                    want = np.asarray(function(source, axis=axis, keepdims=keepdims))
                    for got in (function(tensor, axis=axis, keepdims=keepdims),
                                method(axis=axis, keepdims=keepdims), method(axis, keepdims=keepdims)):
                        self.assertIs(type(got), horus.Tensor)
                        self.assertEqual(got.shape, list(want.shape) or [1])
                        self.assertTrue((got.to_numpy().ravel() == want.ravel()).all())
            for out in (np.empty((3, 4)), horus.Tensor([3, 4], "float64")):
                self.assertIs(function(tensor, axis=0, out=out), out)
                self.assertTrue((np.asarray(out) == function(source, axis=0)).all())
            with self.assertRaisesRegex(TypeError, name + r"\(\)"):
                method(nothing=1)
            with self.assertRaisesRegex(TypeError, name):
                method(0, axis=0)
            self.assertIn("keepdims", str(inspect.signature(getattr(horus.Tensor, name))))
        self.assertEqual(np.sum(tensor, dtype="float32").dtype, "float32")
        self.assertEqual(np.sum(tensor, initial=5, where=source > 20).tolist(), [5 + 21 + 22 + 23])
        self.assertEqual(np.max(tensor, initial=99).tolist(), [99])
        sent = horus.Tensor([3, 4], "float64")
        horus.Topic("arguments.sent").send(sent)
        with self.assertRaises(ValueError):
            tensor.sum(0, out=sent)

    def test_arrays_are_values_and_shapes(self):
        image = horus.Image(2, 2)
        image.fill(np.array([1, 2, 3], "u1"))
        self.assertEqual(image.pixel(0, 0), [1, 2, 3])
        image.set_pixel(1, 0, np.array([4, 5, 6]))
        self.assertEqual(image.pixel(1, 0), [4, 5, 6])
        image.set_pixel(1, 1, (7, 8, 9))
        image.fill(np.uint8(9))
        self.assertEqual(image.pixel(1, 1), [9, 9, 9])
        grey = horus.Image(2, 2, "mono8")
        grey.fill(np.array([3]))
        self.assertEqual(grey.pixel(0, 0), [3])
        grey.set_pixel(0, 0, np.float64(4))
        grey.set_pixel(1, 0, np.array(5))
        self.assertEqual((grey.pixel(0, 0), grey.pixel(1, 0)), ([4], [5]))
        for shape in (np.array([2, 3]), [2, 3], (2, np.int64(3)), range(2, 4)):
            self.assertEqual(horus.Tensor(shape).shape, [2, 3])
        self.assertEqual(horus.Tensor(np.array([7])).shape, [7])
        self.assertEqual(horus.Tensor(np.int16(7)).shape, [7])
        self.assertEqual(horus.Tensor(np.array(7)).shape, [7])
        self.assertEqual(horus.Tensor.zeros(6).view(np.array([3, 2])).shape, [3, 2])
        for bad in (np.zeros((2, 2), int), np.array([1.5]), np.zeros(9, int), np.array(["x"])):
            with self.assertRaises((TypeError, ValueError)):
                horus.Tensor(bad)

    def test_in_place_stays_in_place(self):
        for frame in (horus.Image(2, 3, "mono8"), horus.PointCloud(2), horus.DepthImage(2, 3), horus.Tensor([2, 3])):
            view, same = frame.to_numpy(), frame
            frame += 6
            frame -= 1
            frame *= 4
            frame //= 2
            frame %= 7
            self.assertIs(frame, same)
            self.assertTrue((view == 3).all(), view)
            if view.dtype == np.uint8:
                with self.assertRaises(TypeError): # NumPy casts no result to less
                    frame /= 2
            else:
                frame /= 2
                self.assertTrue((view == 1.5).all())
            self.assertIs(frame, same)
            horus.Topic("arguments.in_place").send(frame)
            with self.assertRaises(ValueError):
                frame += 1
            self.assertIs(frame, same)

    def test_one_argument_by_name(self):
        image, tensor = horus.Image(1, 1), horus.Tensor([2, 3])
        image.set_frame_id(id="lens")
        image.set_timestamp_ns(ts=5)
        image.copy_from(data=b"abc")
        image.fill(value=7)
        self.assertEqual((image.frame_id, image.timestamp_ns, image.pixel(0, 0)), ("lens", 5, [7, 7, 7]))
        points = np.arange(6, dtype="f4").reshape(2, 3)
        self.assertEqual(horus.PointCloud.from_numpy(array=points).point_at(idx=1), [3, 4, 5])
        self.assertEqual(horus.DepthImage.from_numpy(array=points).get_depth(2, 1), 5)
        self.assertEqual(horus.Tensor.from_numpy(array=points).tolist(), points.tolist())
        self.assertEqual(horus.Tensor.from_dlpack(x=tensor).shape, [2, 3])
        self.assertEqual(tensor.view(new_shape=[6]).shape, [6])
        self.assertEqual(tensor.unsqueeze(dim=0).shape, [1, 2, 3])
        self.assertEqual(tensor.astype(dtype="int8").dtype, "int8")
        for call in (lambda: image.fill(), lambda: image.fill(1, 2), lambda: image.fill(other=1),
                     lambda: image.fill(1, value=2)):
            with self.assertRaises(TypeError):
                call()

    def test_depth_of_no_size(self):
        for shape in ((0, 3), (3, 0), (0, 0)):
            for dtype in ("f4", "u2", "f8"):
                with self.assertRaises(ValueError):
                    horus.DepthImage.from_numpy(np.zeros(shape, dtype))

    def test_depth_in_millimetres(self):
        units = np.array([[0, 1, 1001, 1234, 65535]], "u2")
        depth = horus.DepthImage.from_numpy(units)
        topic = horus.Topic("arguments.depth")
        topic.send(depth)
        for d in (depth, topic.recv(), depth.copy(), pickle.loads(pickle.dumps(depth))):
            self.assertEqual(d.depth_scale, 0.001)
            self.assertEqual([d.get_depth(x, 0) for x in range(5)], [0, 0.001, 1.001, 1.234, 65.535])
            self.assertEqual(d.depth_statistics(), (0.001, 65.535, (1 + 1001 + 1234 + 65535) / 4 / 1000))
        again = horus.DepthImage(1, 65536, "mm")
        for x in range(0, 65536, 97):
            again.set_depth(x, 0, x / 1000)
            self.assertEqual((again.to_numpy()[0, x], again.get_depth(x, 0)), (x, x / 1000))

    def test_descriptor_whose_elements_overlap(self):
        x = horus.Tensor.from_numpy(np.arange(24, dtype="u2").reshape(4, 6))
        before = x.refcount
        def forged(shape, strides):
            d = bytearray(x.to_descriptor()[:24])
            d[15] = len(shape)
            return bytes(d + struct.pack(f"={2 * len(shape)}q", *shape, *strides)).ljust(64, b"\0")
        for shape, strides in (((4, 6), (12, 2)), ((6, 4), (2, 12)), ((2, 3), (24, 4)), ((0, 2**40), (0, 0)), ((1, 1), (0, 0)),
                               ((24, 1), (2, 0))):
            self.assertEqual(horus.Tensor.from_descriptor(1, forged(shape, strides)).shape, list(shape))
        for shape, strides in (((2**40, ), (0, )), ((2**62, 2**62), (0, 0)), ((2**20, 24), (0, 2)), ((20, 5), (2, 2)),
                               ((25, ), (1, )), ((2**32, 2**31, 4), (0, 0, 2))):
            with self.assertRaises(horus.UnsupportedError) as caught:
                horus.Tensor.from_descriptor(1, forged(shape, strides))
            self.assertIn("overlap", str(caught.exception))
        self.assertRaises(horus.Error, horus.Tensor.from_descriptor, 1, forged((2, ), (-2, )))
        self.assertEqual(x.refcount, before)

    def test_descriptor_of_another_pool(self):
        mine = horus.Tensor([4])
        other = horus.TensorPool(31, size_mb=16).alloc([4])
        self.assertEqual(horus.Tensor.from_descriptor(1, mine.to_descriptor()).shape, [4])
        self.assertEqual(horus.Tensor.from_descriptor(31, other.to_descriptor()).shape, [4])
        for number, tensor in ((31, mine), (7, mine), (1, other), (32, other)):
            with self.assertRaisesRegex(ValueError, "pool"):
                horus.Tensor.from_descriptor(number, tensor.to_descriptor())


    def test_what_a_value_raises_is_ours(self):
        huge, image = 10**5000, horus.Image(2, 2)
        odd = memoryview(bytes(24))[::2]

        def time(value):
            image.timestamp_ns = value
        for kind, call, *args in (
                (TypeError, horus.Tensor, None), (TypeError, horus.Tensor, 1.5), (TypeError, horus.Tensor([2]).reshape, None),
                (TypeError, image.fill, None), (TypeError, image.set_pixel, 0, 0, None), (TypeError, image.save, None),
                (ValueError, image.save, "a\0b.png"), (TypeError, image.copy_from, "text"),
                (TypeError, horus.Image.from_bytes, 5, 2, 2), (BufferError, horus.Image.from_bytes, odd, 2, 2),
                (BufferError, horus.CmdVel.from_bytes, odd), (BufferError, horus.Tensor.from_descriptor, 1, odd),
                (TypeError, horus.Tensor.from_descriptor, 1, "a"), (TypeError, horus.CmdVel.from_bytes, "a"),
                (TypeError, horus.wait, 5), (ValueError, horus.Image, huge, 1), (ValueError, horus.Image, -huge, 1),
                (ValueError, horus.Tensor, [huge]), (ValueError, horus.Topic, "huge", huge), (ValueError, time, -huge),
                (ValueError, time, huge), (ValueError, horus.Image(2, 2).pixel, huge, 0), (TypeError, horus.Topic, huge),
                (ValueError, horus.Rate, huge), (ValueError, horus.Image, 2, 2, "a" * 5000),
                (TypeError, horus.Topic, 5)):
            with self.subTest(call=getattr(call, "__name__", call), args=[type(a).__name__ for a in args]):
                with self.assertRaises(kind) as caught:
                    call(*args)
                self.assertIsInstance(caught.exception, horus.Error)
                self.assertTrue(str(caught.exception))


class Saving(unittest.TestCase):
    def test_a_cloud_is_no_picture(self):
        cloud = horus.PointCloud.from_numpy(np.ones((3, 3), "f4"))
        with tempfile.TemporaryDirectory() as folder:
            for name in ("a.png", "a.jpg", "a.ply.gz", "a.pcd"):
                with self.assertRaisesRegex(ValueError, r"\.ply.*" + name):
                    cloud.save(os.path.join(folder, name))
            self.assertEqual(os.listdir(folder), [])
            for name in ("a.ply", "b.PLY", "plain"):
                cloud.save(os.path.join(folder, name))
            os.mkdir(os.path.join(folder, "c.d"))
            cloud.save(os.path.join(folder, "c.d", "plain"))
            self.assertEqual(len(os.listdir(folder)), 4)

    def test_errors_have_errno_and_name(self):
        with tempfile.TemporaryDirectory() as folder:
            for frame, suffix in ((horus.Image(2, 2), ".png"), (horus.PointCloud(3), ".ply"),
                                  (horus.DepthImage(2, 2), ".png")):
                os.makedirs(folder + "/directory" + suffix, exist_ok=True)
                for path, kind, number in ((folder + "/none/a" + suffix, FileNotFoundError, errno.ENOENT),
                                           (folder + "/directory" + suffix, IsADirectoryError, errno.EISDIR),
                                           (folder + "/" + "x" * 300 + suffix, OSError, errno.ENAMETOOLONG),
                                           (pathlib.Path("/dev/null/a" + suffix), NotADirectoryError, errno.ENOTDIR)):
                    with self.assertRaises(kind) as caught:
                        frame.save(path)
                    self.assertIsInstance(caught.exception, horus.Error)
                    self.assertEqual((caught.exception.errno, caught.exception.filename), (number, path))
                if os.path.exists("/dev/full"):
                    full = f"{folder}/full{type(frame).__name__}{suffix}"
                    os.symlink("/dev/full", full)
                    with self.assertRaises(OSError) as caught:
                        frame.save(full)
                    self.assertEqual((caught.exception.errno, isinstance(caught.exception, horus.Error)),
                                     (errno.ENOSPC, True))
                frame.save(pathlib.Path(folder) / ("good" + suffix))
                self.assertGreater(os.path.getsize(folder + "/good" + suffix), 0)

    def test_a_path_that_releases_the_frame(self):
        for frame in (horus.Image(2, 2), horus.PointCloud(3), horus.DepthImage(2, 2)):
            class Path:
                def __fspath__(self):
                    frame.release()
                    horus.Tensor([1000])
                    return "/dev/null"
            with self.assertRaisesRegex(RuntimeError, "released"):
                frame.save(Path())

    def test_others_run_meanwhile(self):
        """A pipe that this process reads itself: save() of more than it holds ends only if it lets others run."""
        with tempfile.TemporaryDirectory() as folder:
            path = folder + "/pipe"
            os.mkfifo(path)
            got = []
            def read():
                with open(path, "rb") as pipe:
                    got.append(pipe.read())
            reader = threading.Thread(target=read)
            reader.start()
            signal.alarm(60) # a deadlock is not to be waited for
            horus.PointCloud.from_numpy(np.ones((100_000, 3), "f4")).save(path)
            reader.join()
            signal.alarm(0)
            self.assertIn(b"element vertex 100000", got[0])
            self.assertEqual(len(got[0].split(b"end_header\n", 1)[1]), 1_200_000)

    def test_others_run_while_it_is_pickled(self):
        tensor, ticks, stop = horus.Tensor.empty([64 << 20], "uint8"), [], []
        interval = sys.getswitchinterval()
        def count():
            while not stop:
                ticks.append(time.monotonic())
                time.sleep(0)
        sys.setswitchinterval(10) # nobody is sent away from the lock
        thread = threading.Thread(target=count)
        try:
            thread.start()
            while not ticks:
                time.sleep(0.001)
            inside = []
            for _ in range(30): # a busy machine may not let the other thread run at once
                begin = time.monotonic()
                tensor.__reduce__()
                end = time.monotonic()
                inside += [t for t in ticks if begin < t < end]
                if inside:
                    break
        finally:
            stop.append(1)
            sys.setswitchinterval(interval)
            thread.join()
        self.assertTrue(inside)

    def test_hostile_pickles(self):
        rebuild = horus.Image(1, 1).__reduce__()[0]
        def of(frame):
            return list(frame.__reduce__()[1])
        image, cloud = of(horus.Image(2, 3)), of(horus.PointCloud(2))
        depth, tensor = of(horus.DepthImage(2, 3)), of(horus.Tensor([2, 3]))
        short = of(horus.DepthImage(2, 3, "mm"))
        KIND, DTYPE, ENCODING, SCALE, SHAPE, BYTES, ID, TIME = range(8)
        gc.collect()
        before = horus.TensorPool().stats()["allocated_slots"]
        for good in (image, cloud, depth, tensor, short):
            rebuild(*good)
            for place, values in ((KIND, (0, 5, -1)), (DTYPE, (-1, 13, 99)), (ENCODING, (-1, 11, 255)),
                                  (SHAPE, ([2**62, 4], [2**31, 2**31], [2**63 - 1], [-1, 6], [0, 3], [1] * 9, [2**40, 2**24],
                                           [0, 2**62, 2**62], [], [3, 4])),
                                  (BYTES, (b"", good[BYTES] + b"x", good[BYTES][1:])),
                                  (ID, ("x" * 64, 5)), (TIME, (-1, "x"))):
                for value in values:
                    bad = list(good)
                    bad[place] = value
                    with self.subTest(good=good, place=place, value=value), \
                            self.assertRaises((ValueError, TypeError)):
                        rebuild(*bad)
        for good, place, value in ((depth, SCALE, 2.0), (short, SCALE, 0.0), (short, SCALE, float("nan")),
                                   (short, SCALE, -1.0), (short, SCALE, float("inf")), (depth, DTYPE, 5),
                                   (image, SHAPE, [0, 3, 3]), (depth, SHAPE, [0, 0])):
            bad = list(good)
            bad[place] = value
            if value in ([0, 3, 3], [0, 0]):
                bad[BYTES] = b""
            with self.subTest(place=place, value=value), self.assertRaises(ValueError):
                rebuild(*bad)
        gc.collect()
        self.assertLessEqual(horus.TensorPool().stats()["allocated_slots"], before)


class Forked(unittest.TestCase):
    def test_what_was_inherited_stays_readable(self):
        """Every way to read works on what a forked child inherited, and repr() never raises."""
        source = np.arange(12, dtype="f4").reshape(3, 4)
        frames = [horus.Image.from_numpy(np.arange(24, dtype="u1").reshape(2, 4, 3)), horus.PointCloud.from_numpy(source),
                  horus.DepthImage.from_numpy(source), horus.Tensor.from_numpy(source)]
        gone, topic, sent = horus.Image(1, 1), horus.Topic("forked.inherited"), horus.Tensor.from_numpy(source)
        gone.release()
        topic.send(sent)
        for f in frames:
            f.frame_id, f.timestamp_ns = "lens", 77
        want = [f.to_numpy().tolist() for f in frames]
        child = os.fork()
        if child == 0:
            code = 1
            try:
                self.in_child(frames, want, gone, topic, sent)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        horus.sweep()
        self.assertEqual([f.to_numpy().tolist() for f in frames], want)
        self.assertTrue(horus.audit()["balanced"])

    def in_child(self, frames, want, gone, topic, sent):
        for frame, values in zip(frames + [sent], want + [want[3]]):
            for _ in range(2): # before and after this process joins again
                self.assertIn("readonly", repr(frame))
                self.assertEqual((frame.frame_id, frame.timestamp_ns), ("lens", 77) if frame is not sent else ("", 0))
                self.assertTrue(frame.readonly)
                for array in (frame.to_numpy(), np.asarray(frame), np.asarray(memoryview(frame)), np.array(frame),
                              frame.as_tensor().to_numpy(), frame[:],
                              *([np.from_dlpack(frame)] if NUMPY >= (1, 23) else [])):
                    self.assertEqual(array.tolist(), values)
                    del array
                self.assertEqual((frame.nbytes, frame.refcount), (np.asarray(values, frame.dtype).nbytes, 0))
                self.assertFalse(frame.to_numpy().flags.writeable)
                for write in (lambda: frame.set_frame_id("x"), lambda: frame.set_timestamp_ns(1),
                              lambda: frame.__setitem__(0, 1)):
                    with self.assertRaises(ValueError):
                        write()
                copy = frame.copy()
                self.assertEqual((copy.to_numpy().tolist(), copy.readonly, copy.frame_id, copy.timestamp_ns),
                                 (values, False, frame.frame_id, frame.timestamp_ns))
                again = pickle.loads(pickle.dumps(frame))
                self.assertEqual((again.to_numpy().tolist(), again.frame_id), (values, frame.frame_id))
                with self.assertRaises(RuntimeError) as caught:
                    topic.send(frame)
                self.assertIn("copy()", str(caught.exception))
                topic.send(copy)
                horus.Image(4, 4)
        image, cloud, depth, tensor = frames
        self.assertEqual(image.pixel(1, 0), [3, 4, 5])
        self.assertEqual(image.roi(0, 0, 1, 1), bytes([0, 1, 2]))
        self.assertTrue(image._repr_png_())
        self.assertEqual((cloud.point_at(1), depth.get_depth(1, 1)), ([4, 5, 6, 7], 5))
        self.assertEqual(depth.depth_statistics()[1], 11)
        self.assertEqual((tensor + 1).tolist(), (np.array(want[3]) + 1).tolist())
        self.assertEqual(tensor.reshape(12)[3], 3)
        self.assertEqual(tensor.slice(1, 2).tolist(), [want[3][1]])
        self.assertEqual(tensor.view([2, 6]).flatten().squeeze().unsqueeze(0).shape, [1, 12])
        self.assertEqual(tensor.sum(0).tolist(), np.sum(want[3], 0).tolist())
        self.assertEqual(repr(gone), "Image(released)")
        with self.assertRaises(ValueError):
            image.fill(3)
        tensor.release()
        self.assertEqual(repr(tensor), "Tensor(released)")


class Attacks(unittest.TestCase):
    """What once crashed an interpreter, or wrote where it must not."""

    def test_release_while_numpy_is_imported(self):
        code = ("import horus, threading, time\n"
                "f = horus.Image(480, 640)\n"
                "def use():\n"
                "    try: f.to_numpy()\n"
                "    except RuntimeError: pass\n"
                "t = threading.Thread(target=use); t.start(); time.sleep(0.02); f.release(); t.join()\n")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_exporters_without_strides(self):
        self.assertEqual(horus.Tensor.from_numpy((ctypes.c_float * 4)(1, 2, 3, 4)).tolist(), [1, 2, 3, 4])
        self.assertEqual(horus.Tensor.from_numpy(((ctypes.c_int16 * 3) * 2)()).shape, [2, 3])

    @unittest.skipIf(sys.version_info < (3, 12), "__buffer__ came with Python 3.12")
    def test_a_buffer_that_releases_or_sends_the_frame(self):
        topic = horus.Topic("attack")
        for act in (lambda image: image.release(), lambda image: topic.send(image)):
            for size in (4, 400):
                image = horus.Image(size, size)

                class Buffer:
                    def __buffer__(self, flags):
                        act(image)
                        return memoryview(bytes(size * size * 3))
                with self.assertRaises((RuntimeError, ValueError)):
                    image.copy_from(Buffer())
        topic.close()

    def test_keywords_that_are_no_strings(self):
        import functools
        for call in (functools.partial(horus.Topic, "x"), functools.partial(horus.message, "X1", a="int8"),
                     functools.partial(horus.Image, 4, 4), functools.partial(horus.CmdVel),
                     functools.partial(horus.Image.from_numpy, b"x")):
            call.keywords[1.5] = 0
            with self.assertRaises(TypeError):
                call()

    def test_wait_on_a_topic_that_is_not_in_a_list(self):
        with horus.Topic("attack.wait") as topic:
            self.assertIsNone(horus.wait(topic, 0.01))
            topic.send(1)
            self.assertIs(horus.wait(topic, 1), topic)


if __name__ == "__main__":
    unittest.main()
