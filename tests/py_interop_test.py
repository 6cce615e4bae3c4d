"""The interop matrix: NumPy, PyTorch, JAX, TensorFlow, OpenCV, ONNX Runtime. Values, shapes, dtypes, and the
same address on both sides. What is not installed is said, not passed over in silence."""
import gc
import os
import sys
import threading
import unittest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
import horus
import numpy as np

MISSING = []


def framework(name):
    try:
        return __import__(name)
    except ImportError:
        MISSING.append(name)
        return None


torch, jax, cv2, ort, onnx, tf, ml_dtypes = map(
    framework, ("torch", "jax", "cv2", "onnxruntime", "onnx", "tensorflow", "ml_dtypes"))

ENCODINGS = {
    "mono8": (1, "uint8"), "mono16": (1, "uint16"), "rgb8": (3, "uint8"), "bgr8": (3, "uint8"),
    "rgba8": (4, "uint8"), "bgra8": (4, "uint8"), "yuv422": (2, "uint8"), "mono32f": (1, "float32"),
    "rgb32f": (3, "float32"), "bayer_rggb8": (1, "uint8"), "depth16": (1, "uint16")}
DTYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16",
          "float32", "float64", "bfloat16"]


def pattern(shape, dtype):
    if dtype == "bfloat16":
        dtype = ml_dtypes.bfloat16
    return (np.arange(int(np.prod(shape))) % 97).astype(dtype).reshape(shape)


def everything():
    """A frame of each encoding and each dtype, with what it holds."""
    for name, (channels, dtype) in ENCODINGS.items():
        source = pattern((6, 8) if channels == 1 else (6, 8, channels), dtype)
        yield name, horus.Image.from_numpy(source, name), source
    for fields in (3, 4, 6):
        yield f"cloud{fields}", horus.PointCloud.from_numpy(pattern((9, fields), "float32")), \
            pattern((9, fields), "float32")
    for dtype in ("float32", "uint16"):
        yield "depth " + dtype, horus.DepthImage.from_numpy(pattern((5, 7), dtype)), pattern((5, 7), dtype)
    for dtype in DTYPES:
        if dtype == "bfloat16" and not ml_dtypes:
            continue
        yield "tensor " + dtype, horus.Tensor.from_numpy(pattern((3, 4, 5), dtype)), pattern((3, 4, 5), dtype)


def place(frame):
    tensor = frame.as_tensor()
    if frame.dtype == "bfloat16":
        return tensor.to_numpy().ctypes.data
    return tensor.__array_interface__["data"][0]


class Matrix(unittest.TestCase):
    def same(self, name, array, source):
        self.assertEqual(array.shape, source.shape, name)
        self.assertEqual(array.dtype, source.dtype, name)
        self.assertTrue((array == source).all(), name)

    def test_numpy(self):
        for name, frame, source in everything():
            view = frame.to_numpy()
            self.same(name, view, source)
            self.assertEqual(view.ctypes.data, place(frame), name)
            back = type(frame).from_numpy(view, frame.encoding) if isinstance(frame, horus.Image) else \
                type(frame).from_numpy(view)
            self.same(name, back.to_numpy(), source)

    @unittest.skipUnless(torch, "PyTorch is not installed")
    def test_torch(self):
        for name, frame, source in everything():
            for tensor in (frame.to_torch(), torch.from_dlpack(frame), torch.utils.dlpack.from_dlpack(frame),
                           torch.as_tensor(frame) if frame.dtype != "bool" else frame.to_torch()):
                self.assertEqual(str(tensor.dtype), "torch." + frame.dtype, name)
                self.assertEqual(tuple(tensor.shape), source.shape, name)
                self.assertEqual(tensor.data_ptr(), place(frame), name)
                self.assertEqual(tensor.to(torch.float64).tolist(), source.astype("f8").tolist(), name)
            copied = torch.tensor(frame)
            self.assertNotEqual(copied.data_ptr(), place(frame), name)
            back = type(frame).from_torch(tensor, frame.encoding) if isinstance(frame, horus.Image) else \
                type(frame).from_torch(tensor)
            self.same(name, back.to_numpy(), source)

    @unittest.skipUnless(torch, "PyTorch is not installed")
    def test_torch_sources(self):
        x = torch.arange(24, dtype=torch.float32).reshape(4, 6)
        for source in (x.t(), x[::2, 1:], x.clone().requires_grad_(), x[:, :1], torch.zeros(0, 3)):
            self.assertEqual(horus.Tensor.from_torch(source).tolist(), source.tolist())
            self.assertEqual(horus.Tensor.from_dlpack(source.detach()).tolist(), source.tolist())
        negative = torch.complex(x, x).conj().imag  # a view that is negated when read
        self.assertTrue(negative.is_neg())
        self.assertEqual(horus.Tensor.from_torch(negative).tolist(), (-x).tolist())
        with self.assertRaises((BufferError, ValueError, TypeError)):
            horus.Tensor.from_torch(torch.zeros(2, dtype=torch.complex64))
        self.assertEqual(horus.DepthImage.from_torch(torch.ones(2, 3, dtype=torch.float64)).dtype, "float32")
        with self.assertRaises(ValueError):
            horus.Image.from_torch(torch.zeros(3, 480, 640, dtype=torch.uint8), "rgb8")

    @unittest.skipUnless(jax, "JAX is not installed")
    def test_jax(self):
        import jax.numpy as jnp
        for name, frame, source in everything():
            wide = frame.dtype in ("int64", "uint64", "float64")
            for array in (frame.to_jax(), jax.dlpack.from_dlpack(frame)):
                self.assertEqual(tuple(array.shape), source.shape, name)
                if not wide:  # those are copied to 32 bits, unless jax_enable_x64
                    self.assertEqual(str(array.dtype), frame.dtype, name)
                    self.assertEqual(array.unsafe_buffer_pointer(), place(frame), name)
                self.assertTrue((np.asarray(array).astype("f8") == source.astype("f8")).all(), name)
            if not wide and frame.dtype != "bool":
                back = horus.Tensor.from_dlpack(array)
                self.assertTrue((back.to_numpy() == source).all(), name)
        self.assertEqual(float(jnp.sum(horus.Tensor.from_numpy(np.ones(5, "f4")).to_jax())), 5.0)

    @unittest.skipUnless(jax, "JAX is not installed")
    def test_jax_drops_the_last_view_on_its_own_threads(self):
        frame = horus.Tensor.from_numpy(np.ones((500, 500), "f4"))
        slots = horus.TensorPool().stats()["allocated_slots"]
        f = jax.jit(lambda x: (x @ x).sum())
        for _ in range(20):
            result = f(frame.copy().to_jax())
        result.block_until_ready()
        del result
        gc.collect()
        for _ in range(100):
            if horus.TensorPool().stats()["allocated_slots"] == slots:
                break
            threading.Event().wait(0.05)
        self.assertEqual(horus.TensorPool().stats()["allocated_slots"], slots)

    @unittest.skipUnless(tf, "TensorFlow is not installed")
    def test_tensorflow(self):
        for name, frame, source in everything():
            tensor = tf.experimental.dlpack.from_dlpack(frame.__dlpack__())
            self.assertEqual(tuple(tensor.shape), source.shape, name)
            self.assertEqual(tensor.dtype.name, frame.dtype, name)
            if frame.dtype != "bfloat16":
                self.assertEqual(tensor.numpy().astype("f8").tolist(), source.astype("f8").tolist(), name)
            capsule = tf.experimental.dlpack.to_dlpack(tensor)
            back = horus.Tensor.from_dlpack(capsule)
            self.assertEqual(back.to_numpy().astype("f8").tolist(), source.astype("f8").tolist(), name)
            converted = tf.convert_to_tensor(frame.to_numpy()) if frame.dtype != "bfloat16" else tensor
            self.assertEqual(tuple(converted.shape), source.shape, name)
        shared = horus.Tensor.from_numpy(np.ones(16, "f4"))
        tensor = tf.experimental.dlpack.from_dlpack(shared.__dlpack__())
        shared[:] = 2  # the same memory: TensorFlow shows no address
        self.assertEqual(tensor.numpy().tolist(), [2.0] * 16)

    @unittest.skipUnless(cv2, "OpenCV is not installed")
    def test_opencv(self):
        for name, (channels, dtype) in ENCODINGS.items():
            source = pattern((6, 8) if channels == 1 else (6, 8, channels), dtype)
            frame = horus.Image.from_numpy(source, name)
            self.assertEqual(cv2.flip(frame.to_numpy(), 0).tolist(), source[::-1].tolist(), name)
        image = horus.Image(32, 32)
        cv2.rectangle(image.to_numpy(), (4, 4), (20, 20), (255, 0, 0), -1)  # drawn in place
        self.assertEqual(image.pixel(10, 10), [255, 0, 0])
        out = horus.Image(32, 32, "mono8")
        into = out.to_numpy()
        self.assertIs(cv2.cvtColor(image.to_numpy(), cv2.COLOR_RGB2GRAY, dst=into), into)
        self.assertEqual(out.pixel(10, 10), [76])
        edges = cv2.Canny(into, 50, 150)
        self.assertEqual(horus.Image.from_numpy(edges).encoding, "mono8")
        topic = horus.Topic("cv2")
        topic.send(image)
        with self.assertRaises(cv2.error):  # OpenCV from 4.9 on asks whether it may write
            cv2.rectangle(topic.recv().to_numpy(), (4, 4), (20, 20), (0, 0, 0), -1)
        topic.close()

    @unittest.skipUnless(ort, "ONNX Runtime is not installed")
    def test_onnx_runtime(self):
        for name, frame, source in everything():
            if frame.dtype == "bool":
                continue  # ONNX Runtime takes no DLPack bool: through NumPy, below
            value = ort.OrtValue.from_dlpack(frame) if hasattr(ort.OrtValue, "from_dlpack") else \
                ort.OrtValue(ort.capi._pybind_state.OrtValue.from_dlpack(frame.__dlpack__(), False))
            self.assertEqual(tuple(value.shape()), source.shape, name)
            self.assertEqual(value.data_ptr(), place(frame), name)
        flags = horus.Tensor.from_numpy(np.array([True, False]))
        value = ort.OrtValue.ortvalue_from_numpy(flags.to_numpy())
        self.assertEqual(value.numpy().tolist(), [True, False])

    @unittest.skipUnless(ort and onnx, "ONNX Runtime or onnx is not installed")
    def test_onnx_session(self):
        from onnx import TensorProto, helper
        graph = helper.make_graph(
            [helper.make_node("ReduceMean", ["x"], ["y"], keepdims=0)], "mean",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["h", "w", 3])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        frame = horus.Image.from_numpy(pattern((6, 8, 3), "float32"))
        self.assertAlmostEqual(float(session.run(None, {"x": frame.to_numpy()})[0]), frame.to_numpy().mean(), 4)


class Errors(unittest.TestCase):
    def test_frameworks_that_are_absent_are_named(self):
        import subprocess
        for use, name in (("to_torch", "torch"), ("to_jax", "jax"), ("to_numpy", "numpy")):
            code = (f"import sys; sys.modules['{name}'] = None\n"
                    "import horus\n"
                    f"try: horus.Image(2, 2).{use}()\n"
                    "except ImportError as e: print(e)\n")
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
            self.assertIn(name, done.stdout + done.stderr)
            self.assertEqual(done.stderr, "")

    @unittest.skipUnless(torch, "PyTorch is not installed")
    def test_torch_asarray_reads_no_raw_bytes(self):
        for frame in (horus.Image(3, 4), horus.Tensor([5], "int16")):
            with self.assertRaises(RuntimeError):  # as_tensor and from_dlpack read the shape, asarray would not
                torch.asarray(frame)
        self.assertEqual(torch.asarray(horus.Tensor([5], "uint8"), dtype=torch.uint8).shape, (5,))

    @unittest.skipUnless(torch, "PyTorch is not installed")
    def test_slices_and_size_one_dimensions(self):
        x = horus.Tensor.from_numpy(np.arange(60.0).reshape(3, 4, 5))
        self.assertEqual(x.slice(1, 3).to_torch().tolist(), x.to_numpy()[1:3].tolist())
        self.assertEqual(x.slice(1, 2).to_torch().data_ptr(), place(x) + 160)
        self.assertEqual(x.unsqueeze(1).to_torch().shape, (3, 1, 4, 5))
        if jax:
            y = horus.Tensor.from_numpy(np.arange(15, dtype="f4").reshape(3, 5)).slice(1, 3)
            self.assertEqual(y.to_jax().tolist(), y.tolist())  # not aligned any more: JAX copies


if __name__ == "__main__":
    if MISSING:
        print("not run here: " + ", ".join(MISSING), file=sys.stderr)
    unittest.main()
