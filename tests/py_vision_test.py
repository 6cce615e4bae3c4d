"""preprocess(), softmax(), topk(), argmax() and yolo_decode() from Python: what they take and give, against NumPy.
How exact the pass in C is: test_vision.c, py_vision_opencv_test.py."""
import inspect
import os
import pickle
import sys
import unittest

import horus
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench"))
import vision as v  # noqa: E402

rng = np.random.default_rng(7)
RGB = rng.integers(0, 256, (38, 50, 3), np.uint8)
LEVEL = 1 / 255


def resized(image, width, height, scale=LEVEL):
    """By NumPy, of float32: (H, W) or (H, W, C)."""
    image = image.astype(np.float32)
    x0, x1, fx = v.axis(image.shape[1], width)
    y0, y1, fy = v.axis(image.shape[0], height)
    fx = fx.reshape(-1, *[1] * (image.ndim - 2))
    fy = fy.reshape(-1, *[1] * (image.ndim - 1))
    top, bottom = image[y0], image[y1]
    top = top[:, x0] * (1 - fx) + top[:, x1] * fx
    bottom = bottom[:, x0] * (1 - fx) + bottom[:, x1] * fx
    return (top * (1 - fy) + bottom * fy) * np.float32(scale)


def near(ours, theirs, most=1e-5):
    ours = np.asarray(ours)
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    np.testing.assert_allclose(ours.astype(np.float64), theirs.astype(np.float64), rtol=0, atol=most)


class Producer:
    """Nothing but DLPack."""
    def __init__(self, of):
        self.of = of

    def __dlpack__(self, **kw):
        return self.of.__dlpack__(**kw)

    def __dlpack_device__(self):
        return self.of.__dlpack_device__()


class Preprocess(unittest.TestCase):
    def test_defaults(self):
        for image in (horus.Image.from_numpy(RGB), RGB, horus.Tensor.from_numpy(RGB), bytearray(RGB.tobytes())):
            if isinstance(image, bytearray):
                image = memoryview(image).cast("B", RGB.shape)
            with self.subTest(type(image).__name__):
                t = horus.preprocess(image)
                self.assertIs(type(t), horus.Tensor)
                self.assertEqual((t.shape, t.dtype), ([1, 3, 38, 50], "float32"))
                near(t, RGB.transpose(2, 0, 1)[None] * np.float32(LEVEL))
                self.assertFalse(t.readonly)

    def test_sizes_and_fits(self):
        near(horus.preprocess(RGB, (20, 30), fit="stretch"), resized(RGB, 30, 20).transpose(2, 0, 1)[None])
        box, where = horus.preprocess(RGB, 64, return_map=True)
        self.assertEqual(box.shape, [1, 3, 64, 64])
        near(box.to_numpy()[0, :, 7:56], resized(RGB, 64, 49).transpose(2, 0, 1))
        self.assertTrue(np.allclose(box.to_numpy()[0, :, [0, 6, 56, 63]], 114 / 255))
        self.assertEqual(where, (np.float32(64 / 50), np.float32(49 / 38), 0, 7, 50, 38))
        crop, where = horus.preprocess(RGB, size=[19, 19], fit="Center_Crop", return_map=1)
        near(crop, resized(RGB, 25, 19).transpose(2, 0, 1)[None, :, :, 3:22])
        self.assertEqual(where, (0.5, 0.5, -3, 0, 50, 38))

    def test_the_map(self):
        where = horus.preprocess(RGB, 64, return_map=True)[1]
        self.assertIs(type(where), horus.PixelMap)
        self.assertEqual(where._fields, ("scale_x", "scale_y", "offset_x", "offset_y", "width", "height"))
        self.assertEqual(pickle.loads(pickle.dumps(where)), where)
        self.assertEqual((horus.PixelMap.__module__, horus.PixelMap.__name__), ("horus", "PixelMap"))
        self.assertIn("scale_x", horus.PixelMap.__doc__)
        self.assertEqual([type(n) for n in where], [float] * 4 + [int] * 2)

    def test_layout_order_channels_and_dtype(self):
        want = RGB.astype(np.float32) * np.float32(LEVEL)
        near(horus.preprocess(RGB, layout="NHWC"), want[None])
        near(horus.preprocess(RGB, layout="nhwc", order="BGR"), want[None, :, :, ::-1])
        near(horus.preprocess(RGB, order="bgr"), want.transpose(2, 0, 1)[None, ::-1])
        near(horus.preprocess(RGB, layout="nhwc", encoding="bgr8"), want[None, :, :, ::-1])
        grey = want @ np.float32([0.299, 0.587, 0.114])
        near(horus.preprocess(RGB, channels=1), grey[None, None])
        near(horus.preprocess(RGB[:, :, 0].copy(), channels=3), np.repeat(want[None, None, :, :, 0], 3, 1))
        self.assertEqual(horus.preprocess(RGB[:, :, 0]).shape, [1, 1, 38, 50])
        half = horus.preprocess(RGB, dtype="float16")
        self.assertEqual(half.dtype, "float16")
        near(half, want.transpose(2, 0, 1)[None], 5e-4)
        whole = horus.preprocess(RGB, dtype=np.uint8, layout="nhwc")
        self.assertEqual(whole.dtype, "uint8")
        np.testing.assert_array_equal(np.asarray(whole)[0], RGB)

    def test_normalisation(self):
        mean, std = [0.485, 0.456, 0.406], (0.229, 0.224, 0.225)
        want = (RGB * np.float32(LEVEL) - np.float32(mean)) / np.float32(std)
        for some in (list, tuple, np.array, np.float32, iter):
            near(horus.preprocess(RGB, mean=some(mean), std=some(std)), want.transpose(2, 0, 1)[None])
        near(horus.preprocess(RGB, mean=127.5, std=np.float64(127.5), scale=1, layout="NHWC"),
             (RGB[None].astype(np.float32) - 127.5) / 127.5)
        near(horus.preprocess(RGB, mean=horus.Tensor.from_numpy(np.float32(mean)), std=std), want.transpose(2, 0, 1)[None])
        near(horus.preprocess(RGB[:, :, 0], mean=[0.5], scale=-LEVEL), -(RGB[None, None, :, :, 0] * LEVEL) - 0.5)
        for pad, seen in ((None, 114 / 255), (0, 0), (51, 0.2), (0.0, 0)):
            self.assertAlmostEqual(float(horus.preprocess(RGB, 64, pad=pad).to_numpy()[0, 0, 0, 0]), seen, 6)
        padded = horus.preprocess(RGB, 64, pad=51, mean=mean, std=std).to_numpy()[0, :, 0, 0]
        near(padded, (np.float32(0.2) - np.float32(mean)) / np.float32(std))

    def test_encodings(self):
        rgba = rng.integers(0, 256, (38, 50, 4), np.uint8)
        wide = rng.integers(0, 65536, (38, 50), np.uint16)
        real = rng.uniform(-1, 2, (38, 50, 3)).astype(np.float32)
        for encoding, image, want in (
                ("rgba8", rgba, rgba[:, :, :3] * LEVEL), ("bgra8", rgba, rgba[:, :, 2::-1] * LEVEL),
                ("mono8", rgba[:, :, 1], rgba[:, :, 1:2] * LEVEL), ("mono16", wide, wide[:, :, None] / 65535),
                ("depth16", wide, wide[:, :, None] / 1000), ("mono32f", real[:, :, 0], real[:, :, :1]),
                ("rgb32f", real, real)):
            with self.subTest(encoding):
                near(horus.preprocess(image, encoding=encoding, layout="NHWC"), want[None], 1e-4)
                frame = horus.Image.from_numpy(image, encoding)
                near(horus.preprocess(frame, layout="NHWC"), want[None], 1e-4)
                near(horus.preprocess(frame, encoding=encoding, layout="NHWC"), want[None], 1e-4)

    def test_depth(self):
        metres = rng.uniform(0.3, 9, (38, 50)).astype(np.float32)
        short = (metres * 1000).astype(np.uint16)
        for depth, want in ((horus.DepthImage.from_numpy(metres), metres),
            (horus.DepthImage.from_numpy(short), short / 1000)):
            with self.subTest(depth.dtype):
                near(horus.preprocess(depth), want[None, None], 1e-5)
                box = horus.preprocess(depth, 64).to_numpy()
                near(box[0, 0, 7:56], resized(want, 64, 49, 1), 1e-4)
                self.assertEqual((box[0, 0, 0, 0], box[0, 0, 63, 63]), (0, 0))
                self.assertEqual(horus.preprocess(depth, 64, pad=2, scale=3).to_numpy()[0, 0, 0, 0], 6)
        self.assertEqual(horus.preprocess(depth, dtype="uint8").to_numpy().max(), 255)

    def test_arrays_of_any_kind(self):
        """What is no dense row of pixels is copied first, what has gaps between rows is not."""
        big = np.zeros((80, 60, 3), np.uint8)
        big[:76:2, 5:55] = RGB
        hidden = np.zeros((38, 50, 4), np.uint8)
        hidden[:, :, 1:] = RGB
        for name, image in {"rows apart": big[:76:2, 5:55], "mirrored": RGB[:, ::-1][:, ::-1].copy()[:, ::-1][:, ::-1],
                            "upside down": RGB[::-1].copy()[::-1], "left to right": RGB[:, ::-1].copy()[:, ::-1],
                            "swapped": RGB[:, :, ::-1].copy()[:, :, ::-1],
                            "planes": RGB.transpose(2, 0, 1).copy().transpose(1, 2, 0),
                            "Fortran": np.asfortranarray(RGB), "part of pixels": hidden[:, :, 1:],
                            "DLPack": Producer(horus.Tensor.from_numpy(RGB)),
                            "a Tensor's rows": horus.Tensor.from_numpy(big).slice(0, 38),
                            "read-only": np.frombuffer(RGB.tobytes(), np.uint8).reshape(RGB.shape)}.items():
            with self.subTest(name):
                want = np.asarray(image.of if isinstance(image, Producer) else image)
                near(horus.preprocess(image, layout="nhwc"), want[None, :38] * np.float32(LEVEL))
        other = np.arange(12, dtype=">u2").reshape(3, 4)
        near(horus.preprocess(other), other[None, None] / 65535, 1e-6)
        with self.assertRaisesRegex(TypeError, "mask"):
            horus.preprocess(np.ma.masked_array(RGB))
        slots = horus.TensorPool().stats()["allocated_slots"]
        out = np.zeros((3, 38, 50), np.float32)
        for image in (RGB, RGB[::-1], Producer(horus.Tensor.from_numpy(RGB))):
            horus.preprocess(image, out=out)
        del image
        self.assertEqual(horus.TensorPool().stats()["allocated_slots"], slots)  # copies are let go of

    def test_one_row_and_one_column(self):
        for shape in ((1, 50, 3), (38, 1, 3), (1, 1, 3)):
            image = RGB[:shape[0], :shape[1]]
            near(horus.preprocess(image, layout="nhwc"), image[None] * np.float32(LEVEL))
        for strides in ((-7, 99, 1), (0, 0, 1)):
            image = np.lib.stride_tricks.as_strided(RGB, (1, 1, 3), strides)
            near(horus.preprocess(image, layout="nhwc"), RGB[None, :1, :1] * np.float32(LEVEL))

    def test_out(self):
        want = RGB.transpose(2, 0, 1) * np.float32(LEVEL)
        batch = horus.Tensor([2, 3, 38, 50])
        for out in (np.empty((3, 38, 50), np.float32), np.empty((1, 3, 38, 50), np.float32), horus.Tensor([3, 38, 50]),
                    batch.slice(1, 2), batch.to_numpy()[0], np.empty((3, 38, 50), np.float16)):
            with self.subTest(type(out).__name__):
                self.assertIs(horus.preprocess(RGB, out=out), out)
                near(np.asarray(out).reshape(3, 38, 50), want, 5e-4)
        near(batch, np.stack([want, want]))
        last = np.empty((20, 30, 1), np.uint8)
        self.assertIs(horus.preprocess(RGB, out=last, layout="nhwc", channels=1, dtype="uint8", size=(20, 30)), last)
        grey = np.empty((1, 38, 50), np.float32)
        horus.preprocess(RGB, out=grey, mean=[0.5])  # out says how many channels there are
        near(grey, horus.preprocess(RGB, channels=1).to_numpy()[0] - np.float32(0.5))
        picture = horus.Image(38, 50, "bgr8")  # an image, with its channels swapped
        horus.preprocess(RGB, out=picture, layout="nhwc", order="bgr")
        np.testing.assert_array_equal(picture.to_numpy()[:, :, ::-1], RGB)
        out, where = horus.preprocess(RGB, out=batch.slice(0, 1), return_map=True)
        self.assertEqual((out.shape, where.width), ([1, 3, 38, 50], 50))

    def test_bad_out(self):
        sent = horus.Tensor([3, 4, 4])
        with horus.Topic("vision.sent") as topic:
            topic.send(sent)
            got = topic.recv() if topic.has_msg() else sent
        released = horus.Tensor([3, 4, 4])
        released.release()
        fixed = np.zeros((3, 4, 4), np.float32)
        fixed.flags.writeable = False
        for out, error, text in (
                (sent, horus.ReadOnlyError, "copy"), (got, horus.ReadOnlyError, "copy"),
                (fixed, horus.ReadOnlyError, "out is read-only"),
                (bytes(48), horus.ReadOnlyError, "out is read-only"), (released, horus.ClosedError, "released"),
                ([1.0], TypeError, "out must be a horus.Tensor .* not list$"), (5, TypeError, "out must be"), ("x", TypeError, "out must be"),
                (np.zeros((3, 4, 4), object), TypeError, "out must be"),
                (np.zeros((3, 4, 4), ">f4"), TypeError, "out must be"),
                (np.zeros((4, 4), np.float32), ValueError, "three dimensions"),
                (np.zeros((2, 3, 4, 4), np.float32), ValueError, "leading 1"),
                (np.zeros((2, 4, 4), np.float32), ValueError, "1 or 3 channels"),
                (np.zeros((3, 4, 4), np.int32), RuntimeError, "int32"),
                (np.zeros((3, 4, 8), np.float32)[:, :, ::2], RuntimeError, "not contiguous"),
                (np.zeros((3, 0, 4), np.float32), ValueError, "dimension of 0"),
                (np.ma.masked_array(np.zeros((3, 4, 4), np.float32)), TypeError, "mask")):
            with self.subTest(text), self.assertRaisesRegex(error, text) as seen:
                horus.preprocess(RGB, out=out)
            self.assertIsInstance(seen.exception, horus.Error)
        out = np.zeros((3, 4, 5), np.float32)
        for options, text in (({"size": 4}, "size is"), ({"size": (5, 4)}, "size is"), ({"channels": 1}, "channels is 1"),
                              ({"dtype": "uint8"}, "dtype is uint8, but out has float32"),
                              ({"layout": "nhwc"}, "1 or 3 channels"),
                              ({"mean": [1, 2]}, "mean has 2 numbers for 3 channels")):
            with self.subTest(text), self.assertRaisesRegex(ValueError, text):
                horus.preprocess(RGB, out=out, **options)
        self.assertFalse(out.any())
        self.assertIs(horus.preprocess(RGB, (4, 5), channels=3, dtype="f32", out=out), out)

    def test_nobody_sends_what_is_written_to(self):
        out, tried = horus.Tensor([3, 4, 4]), []
        with horus.Topic("vision.busy") as topic:
            class Number:
                def __float__(self):
                    try:
                        topic.send(out)
                    except horus.BusyError as error:
                        tried.append(str(error))
                    return 0.5
            horus.preprocess(RGB, out=out, mean=[Number(), 0, 0])
            self.assertIn("written to", tried[0])
            self.assertTrue(topic.send(out))

    def test_what_is_released_meanwhile_stays(self):
        image, out = horus.Image.from_numpy(RGB), horus.Tensor([3, 38, 50])
        kept = out.to_numpy()

        class Number:
            def __float__(self):
                image.release()
                out.release()
                return 0.0
        self.assertIs(horus.preprocess(image, out=out, mean=[0, Number(), 0]), out)
        near(kept, RGB.transpose(2, 0, 1) * np.float32(LEVEL))
        with self.assertRaises(horus.ClosedError):
            horus.preprocess(image)

    def test_bad_arguments(self):
        for options, error, text in (
                ({"size": 0}, horus.ArgumentError, "size must be 1 to"), ({"size": -1}, OverflowError, "size"),
                ({"size": 1 << 21}, ValueError, "size"), ({"size": (1,)}, ValueError,
                 r"size must be an int or \(height, width\)"),
                ({"size": (4, 0)}, ValueError, "width"), ({"size": (0, 4)}, ValueError, "height"),
                ({"size": 4.0}, TypeError, "size"),
                ({"size": "44"}, TypeError, "height"), ({"size": object()}, TypeError, "size must be"),
                ({"fit": "fill"}, ValueError, 'fit must be "letterbox", "stretch" or "center_crop", not \'fill\''),
                ({"fit": 1}, TypeError, "fit"), ({"layout": "CHW"}, ValueError, 'layout must be "NCHW" or "NHWC"'),
                ({"order": "rgb\0"}, ValueError, "order"), ({"order": "\ud800"}, ValueError, "utf-8"),
                ({"channels": 2}, ValueError, "channels must be 1 or 3"),
                ({"channels": 4}, ValueError, "channels"), ({"channels": 1.0}, TypeError, "channels"),
                ({"dtype": "int8"}, RuntimeError, "int8"),
                ({"dtype": "float64"}, RuntimeError, "float64"), ({"dtype": 5}, ValueError, "dtype"),
                ({"scale": 0}, ValueError, "scale must not be 0"),
                ({"scale": float("nan")}, ValueError, "scale"), ({"scale": 1e39}, OverflowError, "scale must be a float32"),
                ({"scale": "x"}, TypeError, "scale"), ({"mean": [1, 2]}, ValueError, "mean has 2 numbers for 3 channels"),
                ({"mean": [1, 2, None]}, TypeError, "mean"), ({"mean": 10 ** 400}, OverflowError, ""),
                ({"mean": object()}, TypeError, "mean, not object"),
                ({"mean": [1, float("inf"), 1]}, ValueError, "mean"),
                ({"std": [1, 0, 1]}, ValueError, "std must not be"), ({"std": 1e-60}, ValueError, "std"),
                ({"std": [1] * 3, "channels": 1}, ValueError, "std has 3 numbers for 1 channel$"),
                ({"pad": -1}, ValueError, "pad must be 0 or more"),
                ({"pad": float("nan")}, ValueError, "pad"), ({"encoding": "mono8"}, ValueError, "mono8 takes"),
                ({"encoding": 5}, TypeError, "encoding"),
                ({"encoding": "bayer_rggb8"}, ValueError, "bayer_rggb8"), ({"nothing": 1}, TypeError, "unexpected keyword")):
            with self.subTest(options), self.assertRaisesRegex(error, text) as seen:
                horus.preprocess(RGB, **options)
            if "nothing" not in options:
                self.assertIsInstance(seen.exception, horus.Error)
        for image, error, text in (
                (None, ValueError, "NoneType|dtype"), (5, ValueError, "no image"),
                (np.zeros((4, 4, 5), np.uint8), ValueError, "no image"),
                (np.zeros((0, 4, 3), np.uint8), ValueError, "rgb8 takes"), (np.zeros((4, 4), np.int32), ValueError, "int32"),
                (horus.PointCloud(4), TypeError, "a PointCloud is no image"), (np.zeros((4, 4), object), TypeError, "object"),
                (np.lib.stride_tricks.as_strided(RGB, (2, 1 << 21), (0, 0)), ValueError, "at most 1048576 a side"),
                (horus.Image(4, 4, "bayer_rggb8"), RuntimeError, "bayer_rggb8")):
            with self.subTest(type(image)), self.assertRaisesRegex(error, text) as seen:
                horus.preprocess(image, 4)
            self.assertIsInstance(seen.exception, horus.Error)
        with self.assertRaisesRegex(ValueError, "this Image has rgb8"):
            horus.preprocess(horus.Image(4, 4), encoding="bgr8")
        for wrong in (lambda: horus.preprocess(), lambda: horus.preprocess(RGB, 4, "stretch")):
            self.assertRaises(TypeError, wrong)
        with self.assertRaisesRegex(horus.SizeError, "pool"):
            horus.preprocess(RGB, 1 << 20)

    def test_the_frame_goes_with_its_tensor(self):
        image = horus.Image.from_numpy(RGB)
        image.frame_id, image.timestamp_ns = "front", 12345
        t = horus.preprocess(image, 64)
        self.assertEqual((t.frame_id, t.timestamp_ns), ("front", 12345))
        self.assertEqual((horus.softmax(t).frame_id, horus.softmax(t).timestamp_ns), ("front", 12345))
        with horus.Topic(horus.Image, name="vision.front") as topic:
            topic.send(image)
            near(horus.preprocess(topic.recv() or image, 64), t.to_numpy())  # of what was received

    def test_in_a_child(self):
        """A frame that was inherited is read as it lies there."""
        image, output = horus.Image.from_numpy(RGB), horus.Tensor.from_numpy(boxes_of([(50, 50, 20, 10, 1, 0.9)]))
        want = horus.preprocess(image, 64).to_numpy()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                near(horus.preprocess(image, 64), want)
                found = horus.yolo_decode(output)
                code = 0 if len(found.items) == 1 and horus.argmax(output).shape == [1, 6] else 2
                try:
                    horus.preprocess(RGB, out=horus.Image(38, 50), layout="nhwc")
                    horus.preprocess(RGB, out=image, layout="nhwc")
                    code = 3
                except horus.ReadOnlyError:
                    pass
            finally:
                os._exit(code)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)


def boxes_of(rows, boxes=30, classes=2, dtype=np.float32):
    """(1, 4 + classes, boxes), of (x, y, w, h, class, score)."""
    out = np.zeros((1, 4 + classes, boxes), dtype)
    for i, (x, y, w, h, c, score) in enumerate(rows):
        out[0, :4, i] = x, y, w, h
        out[0, 4 + c, i] = score
    return out


class Behind(unittest.TestCase):
    def test_softmax(self):
        for shape in ((7,), (3, 7), (2, 3, 5), (1, 1000), (4, 0, 3)):
            for dtype, most in ((np.float32, 1e-6), (np.float64, 1e-6), (np.float16, 2e-3)):
                logits = rng.normal(0, 4, shape).astype(dtype)
                got = horus.softmax(logits)
                self.assertEqual((type(got), got.dtype, got.shape), (horus.Tensor, "float32", list(shape)))
                e = np.exp(logits.astype(np.float64) - logits.max(-1,
                    keepdims=True).astype(np.float64)) if 0 not in shape else np.zeros(shape)
                near(got, e / e.sum(-1, keepdims=True) if 0 not in shape else e, most)
        near(horus.softmax([[1, 2.0], [3, 3]]), np.array([[0.26894142, 0.73105858], [0.5, 0.5]]), 1e-6)
        self.assertTrue(np.isnan(horus.softmax([1.0, float("nan")]).to_numpy()).all())
        turned = rng.normal(0, 1, (5, 3)).astype(np.float32)
        near(horus.softmax(turned.T), horus.softmax(turned.T.copy()).to_numpy())
        near(horus.softmax(Producer(horus.Tensor.from_numpy(turned))), horus.softmax(turned).to_numpy())
        near(horus.softmax(logits=horus.Tensor.from_numpy(turned)), horus.softmax(turned).to_numpy())

    def test_topk_and_argmax(self):
        for shape in ((9,), (4, 9), (2, 3, 9), (1, 9), (0, 9)):
            for dtype in (np.float32, np.float64, np.float16):
                scores = rng.permutation(int(np.prod(shape))).astype(dtype).reshape(shape)
                value, index = horus.topk(scores, 4)
                want = np.argsort(-scores, -1, kind="stable")[..., :4]
                self.assertEqual((value.dtype, index.dtype, index.shape), ("float32", "int64", list(want.shape)))
                np.testing.assert_array_equal(index.to_numpy(), want)
                np.testing.assert_array_equal(value.to_numpy(), np.take_along_axis(scores, want, -1))
                best = horus.argmax(scores)
                self.assertEqual((type(best), best.dtype, best.shape), (horus.Tensor, "int64", list(shape[:-1]) or [1]))
                np.testing.assert_array_equal(best.to_numpy().reshape(shape[:-1]), scores.argmax(-1))
        self.assertEqual(int(horus.argmax([1.0, 3.0, 2.0, 3.0])), 1)
        value, index = horus.topk(scores=np.float32([np.nan, 2, np.nan]), k=2)
        self.assertEqual(index.tolist(), [1, -1])
        self.assertEqual(value.tolist()[0], 2)
        self.assertTrue(np.isnan(value.tolist()[1]))
        self.assertEqual(horus.argmax([[float("nan")] * 2, [0.5, 1]]).tolist(), [-1, 1])

    def test_bad_arguments(self):
        for call, error, text in (
                (lambda: horus.softmax([1, 2]), TypeError, "int64"), (lambda: horus.softmax(3.0), ValueError, "dimension"),
                (lambda: horus.softmax(np.zeros((3, 0))), ValueError, "dimension"),
                (lambda: horus.softmax("x"), TypeError, "dtype"),
                (lambda: horus.topk([1.0], 2), ValueError, "k must be 1 to 1, not 2"),
                (lambda: horus.topk([1.0], 0), ValueError, "k must be"),
                (lambda: horus.topk([1.0], 1.0), TypeError, "k must be"), (lambda: horus.topk([1], 1), TypeError, "int64"),
                (lambda: horus.topk([], 1), ValueError, "last dimension"),
                (lambda: horus.topk(1.0, 1), ValueError, "last dimension"),
                (lambda: horus.argmax(np.zeros((2, 0))), ValueError, "last dimension"),
                (lambda: horus.argmax([True]), TypeError, "bool"),
                (lambda: horus.argmax(np.zeros([1] * 9)), ValueError, "9 dimensions")):
            with self.subTest(text), self.assertRaisesRegex(error, text) as seen:
                call()
            self.assertIsInstance(seen.exception, horus.Error)
        for wrong in (lambda: horus.topk([1.0]), lambda: horus.softmax(), lambda: horus.argmax([1.0], 0)):
            self.assertRaises(TypeError, wrong)


class Yolo(unittest.TestCase):
    ROWS = [(50, 50, 20, 10, 1, 0.9), (51, 50, 20, 10, 1, 0.8), (51, 51, 20, 10, 0, 0.7), (10, 10, 4, 4, 0, 0.3),
        (80, 80, 4, 4, 1, 0.2)]

    def found(self, *args, **kw):
        return [(d.class_id, round(d.confidence, 4)) for d in horus.yolo_decode(*args, **kw).items]

    def test_what_comes(self):
        found, stats = horus.yolo_decode(boxes_of(self.ROWS), return_stats=True)
        self.assertIs(type(found), horus.DetectionList)
        self.assertEqual(stats, {"candidates": 4, "invalid": 0, "outside": 0, "dropped": 0, "suppressed": 1})
        self.assertEqual([(d.class_id, d.instance_id, d.class_name) for d in found.items],
            [(1, 0, ""), (0, 1, ""), (0, 2, "")])
        box = found.items[0].bbox
        self.assertEqual((box.x, box.y, box.width, box.height), (40, 45, 20, 10))
        self.assertEqual((found.timestamp_ns, found.frame_id), (0, ""))
        found.items[0].class_name = "mine"  # they are the message's own
        with horus.Topic(horus.DetectionList, name="vision.found") as topic, \
                horus.Topic(horus.DetectionList, name="vision.found") as other:
            topic.send(found)
            self.assertEqual(other.recv().items[0].class_name, "mine")
        self.assertEqual(len(horus.yolo_decode(np.zeros((1, 6, 30), np.float32)).items), 0)
        self.assertEqual(len(horus.yolo_decode(np.zeros((6, 0), np.float32)).items), 0)

    def test_options(self):
        for layout in (dict(dtype=np.float32), dict(dtype=np.float64), dict(dtype=np.float16)):
            output = boxes_of(self.ROWS, **layout)
            for given in (output, output[0], horus.Tensor.from_numpy(output), Producer(horus.Tensor.from_numpy(output)),
                output[..., ::-1]):
                self.assertEqual([c for c, _ in self.found(given)], [1, 0, 0])
        output = boxes_of(self.ROWS)
        self.assertEqual(self.found(output, agnostic=True), [(1, 0.9), (0, 0.3)])
        self.assertEqual(self.found(output, confidence=0.75), [(1, 0.9)])
        self.assertEqual(self.found(output, confidence=0), [(1, 0.9), (0, 0.7), (0, 0.3), (1, 0.2)])
        self.assertEqual(self.found(output, confidence=1), [])
        self.assertEqual(self.found(output, iou=1), [(1, 0.9), (1, 0.8), (0, 0.7), (0, 0.3)])
        apart = boxes_of([(50, 50, 20, 10, 1, 0.9), (69, 50, 20, 10, 1, 0.8)])
        self.assertEqual(len(self.found(apart)), 2)
        self.assertEqual(self.found(apart, iou=0), [(1, 0.9)])
        self.assertEqual(self.found(output, max_detections=2), [(1, 0.9), (0, 0.7)])
        self.assertEqual(len(self.found(output, max_detections=2 ** 32 - 1)), 3)
        v5 = np.insert(output[0], 4, 0.5, 0).T.copy()
        self.assertEqual(self.found(v5, layout="V5", confidence=0.2), [(1, 0.45), (0, 0.35)])
        many = boxes_of([(5, 5, 4, 4, 0, 0.9)] * 40000, boxes=40000)
        self.assertEqual(horus.yolo_decode(many, return_stats=True)[1],
                         {"candidates": 40000, "invalid": 0, "outside": 0, "dropped": 10000, "suppressed": 29999})

    def test_names(self):
        output = boxes_of(self.ROWS)
        for names in (["dog", "cat"], ("dog", "cat", "bird"), {0: "dog", 1: "cat"},
            {np.int64(1): "cat", 0: "dog", 79: "brush"}, iter(["dog", "cat"])):
            self.assertEqual([d.class_name for d in horus.yolo_decode(output, class_names=names).items],
                ["cat", "dog", "dog"])
        for names in (["dog"], {0: "dog"}):
            self.assertEqual([d.class_name for d in horus.yolo_decode(output, class_names=names).items], ["", "dog", "dog"])
        self.assertEqual([d.class_name for d in horus.yolo_decode(output, class_names=[]).items], [""] * 3)
        long = horus.yolo_decode(output, class_names=["", "ü" * 40]).items[0].class_name
        self.assertEqual(long, "ü" * 31)  # whole characters

    def test_boxes_come_back_into_the_image(self):
        for fit in ("letterbox", "stretch", "center_crop"):
            for w, h in ((640, 480), (300, 400), (1000, 250)):
                with self.subTest(fit=fit, size=(w, h)):
                    where = horus.preprocess(np.zeros((h, w), np.uint8), (320, 416), fit=fit, return_map=True)[1]
                    x, y, width, height = w / 2 - 20, h / 2 - 10, 40, 20  # within any crop
                    row = ((x + width / 2) * where.scale_x + where.offset_x,
                        (y + height / 2) * where.scale_y + where.offset_y,
                           width * where.scale_x, height * where.scale_y, 1, 0.5)
                    for given in (where, tuple(where), list(where)):
                        box = horus.yolo_decode(boxes_of([row]), map=given).items[0].bbox
                        np.testing.assert_allclose((box.x, box.y, box.width, box.height), (x, y, width, height), atol=1e-3)
        where = horus.PixelMap(1.0, 1.0, 0, 7, 50, 38)
        found, stats = horus.yolo_decode(boxes_of([(5, 3, 4, 4, 0, 0.9), (49, 44, 20, 20, 1, 0.8)]), map=where,
            return_stats=True)
        self.assertEqual(stats["outside"], 1)  # in what was padded
        box = found.items[0].bbox
        self.assertEqual((box.x, box.y, box.width, box.height), (39, 27, 11, 11))  # cut to the image

    def test_time_and_frame_are_the_outputs(self):
        output = horus.Tensor.from_numpy(boxes_of(self.ROWS))
        output.frame_id, output.timestamp_ns = "front", 99
        found = horus.yolo_decode(output)
        self.assertEqual((found.frame_id, found.timestamp_ns, found.items[1].timestamp_ns), ("front", 99, 99))

    def test_bad_arguments(self):
        output = boxes_of(self.ROWS)
        for options, error, text in (
                ({"layout": "v6"}, ValueError, 'layout must be "v8" or "v5"'), ({"layout": 8}, TypeError, "layout"),
                ({"confidence": 1.5}, ValueError, "confidence must be 0 to 1, not 1.5"),
                ({"confidence": float("nan")}, ValueError, "confidence"),
                ({"iou": -0.1}, ValueError, "iou must be 0 to 1"), ({"iou": "x"}, TypeError, "iou must be a number"),
                ({"max_detections": 0}, ValueError, "max_detections"),
                ({"max_detections": 1 << 32}, OverflowError, "max_detections"),
                ({"max_detections": 1.0}, TypeError, "max_detections"),
                ({"class_names": "dog"}, TypeError, "class_names must be a list or a dict"),
                ({"class_names": 5}, TypeError, "class_names must be"),
                ({"class_names": [1]}, TypeError, "a class name must be a str, not 1"),
                ({"class_names": {0: b"dog"}}, TypeError, "a class name"),
                ({"class_names": {"dog": 0}}, TypeError, "a class must be an int"),
                ({"class_names": {-1: "dog"}}, ValueError, "a class must be 0 to 65535"),
                ({"class_names": {65536: "dog"}}, ValueError, "a class must be"),
                ({"class_names": ["a"] * 65537}, ValueError, "65537 class names"),
                ({"class_names": ["a\0b"]}, ValueError, "NUL"),
                ({"class_names": ["\ud800"]}, ValueError, "utf-8"), ({"map": 5}, TypeError, "map must be a PixelMap"),
                ({"map": (1, 1, 0, 0, 4)}, ValueError, "map must be a PixelMap"),
                ({"map": (1, 1, 0, 0, 0, 4)}, ValueError, "width"),
                ({"map": (1, 1, 0, 0, 4, 4.0)}, TypeError, "height must be an int"),
                ({"map": (0, 1, 0, 0, 4, 4)}, ValueError, "no valid map"),
                ({"map": (1, "x", 0, 0, 4, 4)}, TypeError, "scale_y must be a number"),
                ({"map": (1, 1, 1e39, 0, 4, 4)}, OverflowError, "offset_x")):
            with self.subTest(options), self.assertRaisesRegex(error, text) as seen:
                horus.yolo_decode(output, **options)
            self.assertIsInstance(seen.exception, horus.Error)
        for given, error, text in ((output.astype(int), TypeError, "int64"), (np.zeros(5), ValueError, "1 dimensions"),
                                   (np.zeros((2, 6, 9)), ValueError, "leading 1"), (np.zeros((4, 9)), ValueError, "4 values"),
                                   (None, TypeError, "dtype"), (3.0, ValueError, "dimensions")):
            with self.subTest(type(given)), self.assertRaisesRegex(error, text):
                horus.yolo_decode(given)
        released = horus.Tensor.from_numpy(output)
        released.release()
        self.assertRaises(horus.ClosedError, horus.yolo_decode, released)
        self.assertRaises(TypeError, horus.yolo_decode, output, "v8")


class Memory(unittest.TestCase):
    def test_the_nth_allocation_fails(self):
        """For each n, alone or with all after it: MemoryError or what comes else, and nothing is lost."""
        try:
            from _testcapi import remove_mem_hooks, set_nomemory
        except ImportError:
            self.skipTest("no _testcapi.set_nomemory")
        if np.__version__.startswith("1.19."):
            self.skipTest("NumPy 1.19 ends the process where its buffers' shapes find no memory")
        image, mirrored, output = horus.Image.from_numpy(RGB), RGB[::-1].copy()[::-1], boxes_of(Yolo.ROWS)
        out, where = np.empty((3, 38, 50), np.float32), horus.PixelMap(1.0, 1.0, 0, 0, 99, 99)
        calls = [lambda: horus.preprocess(image, (4, 6), mean=[1, 2, 3], std=[1, 2, 3], return_map=True)[1],
                 lambda: horus.preprocess(mirrored, 4, encoding="bgr8").tolist(),
                 lambda: horus.preprocess(image, out=out).shape,
                 lambda: horus.softmax([[1.0, 2.0]]).shape,
                 lambda: horus.topk(output, 2)[1].tolist(), lambda: horus.argmax(output[..., ::-1]).shape,
                 lambda: horus.yolo_decode(output, class_names={0: "cat", 1: "dog"}, map=where, return_stats=True),
                 lambda: horus.yolo_decode(output, class_names=["cat"], layout="v8").to_bytes()]
        wants = [call() for call in calls]
        slots, failed = horus.TensorPool().stats()["allocated_slots"], 0
        for call, want in zip(calls, wants):
            n = clean = 0
            while clean < 5:
                for stop in (n + 1, 0):
                    got = error = None
                    try:
                        set_nomemory(n, stop)
                        try:
                            got = call()
                        finally:
                            remove_mem_hooks()
                    except MemoryError as e:
                        error = type(e)
                    self.assertTrue(error or got == want, (n, got))
                    failed += error is not None
                clean = 0 if error else clean + 1
                n += 1
        self.assertGreater(failed, 30)
        del got
        self.assertEqual(horus.TensorPool().stats()["allocated_slots"], slots)


class Signatures(unittest.TestCase):
    def test_they_say_what_is_taken(self):
        for name, want in {
                "preprocess": "(image, size=None, *, fit='letterbox', layout='NCHW', order='rgb', channels=None, "
                              "dtype='float32', scale=None, mean=None, std=None, pad=None, encoding=None, out=None, "
                              "return_map=False)",
                "softmax": "(logits)", "topk": "(scores, k)", "argmax": "(scores)",
                "yolo_decode": "(output, *, layout='v8', confidence=0.25, iou=0.45, max_detections=300, class_names=None, "
                               "agnostic=False, map=None, return_stats=False)"}.items():
            self.assertEqual(str(inspect.signature(getattr(horus, name))), want)
            self.assertGreater(len(getattr(horus, name).__doc__), 50)
            self.assertIn(name, horus.__all__)
        def defaults(call):
            return {p.name: p.default for p in inspect.signature(call).parameters.values() if p.default is not p.empty}
        near(horus.preprocess(RGB, **defaults(horus.preprocess)), horus.preprocess(RGB).to_numpy(), 0)
        output = boxes_of(Yolo.ROWS)
        for options in (defaults(horus.yolo_decode), dict.fromkeys(defaults(horus.yolo_decode))):
            self.assertEqual(horus.yolo_decode(output, **options), horus.yolo_decode(output))


if __name__ == "__main__":
    unittest.main()
