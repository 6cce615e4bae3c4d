"""The interop matrix: NumPy, PyTorch, JAX, TensorFlow, OpenCV, ONNX Runtime, tvm-ffi. Values, shapes, dtypes, and the
same address on both sides. What is not installed is said, not passed over in silence."""
import ctypes
import gc
import importlib.util
import os
import subprocess
import sys
import sysconfig
import threading
import unittest
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
import horus
import numpy as np
import py_exchange as x

MISSING = []


def framework(name):
    try:
        return __import__(name)
    except ImportError:
        MISSING.append(name)
        return None


torch, jax, cv2, ort, onnx, tf, ml_dtypes, tvm_ffi = map(
    framework, ("torch", "jax", "cv2", "onnxruntime", "onnx", "tensorflow", "ml_dtypes", "tvm_ffi"))

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
            if frame.dtype != "bfloat16" and hasattr(np, "from_dlpack") and (
                    frame.dtype != "bool" or np.lib.NumpyVersion(np.__version__) >= "1.25.0"):
                self.same(name, np.from_dlpack(frame), source)
                self.assertEqual(np.from_dlpack(frame).ctypes.data, place(frame), name)
            elif hasattr(np, "from_dlpack"):  # NumPy says so
                with self.assertRaisesRegex((RuntimeError, BufferError), "(?i)dlpack|dtype"):
                    np.from_dlpack(frame)
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
        for taken, source in ((horus.Tensor, torch.zeros(4, 3)), (horus.PointCloud, torch.zeros(4, 3)),
                              (horus.DepthImage, torch.zeros(4, 3)), (horus.DepthImage, torch.zeros(4, 3).double()),
                              (horus.Image, torch.zeros(4, 3))):  # holds nothing of what it copied
            for source in (source, source.clone().requires_grad_()):
                count = sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects())
                for _ in range(10):
                    taken.from_torch(source)
                gc.collect()
                self.assertEqual(sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects()), count,
                                 (taken, source.requires_grad))
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
    def test_jax_says_what_it_narrows(self):
        values = np.array([1, 2, 3])
        for dtype in ("int64", "uint64", "float64"):
            tensor = horus.Tensor.from_numpy(values.astype(dtype))
            with self.assertWarnsRegex(UserWarning, "(?s)" + dtype + ".*32.*jax_enable_x64") as caught:
                array = tensor.to_jax()
            self.assertEqual(caught.filename, __file__)
            self.assertEqual((array.tolist(), array.dtype.itemsize), ([1, 2, 3], 4))
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                self.assertRaises(UserWarning, tensor.to_jax)
                self.assertEqual(tensor.astype("float32").to_jax().tolist(), [1, 2, 3])
                jax.config.update("jax_enable_x64", True)
                try:
                    array = tensor.to_jax()
                finally:
                    jax.config.update("jax_enable_x64", False)
                self.assertEqual(str(array.dtype), dtype)

    @unittest.skipUnless(jax, "JAX is not installed")
    def test_64_bit_types_in_jax(self):
        source = np.array([[1, 2**31 - 1], [0, 5]])
        for dtype in ("int64", "uint64", "float64"):
            frame = horus.Tensor.from_numpy(source.astype(dtype))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                narrow = frame.to_jax()
            self.assertEqual(str(narrow.dtype), dtype.replace("64", "32"))
            self.assertEqual(np.asarray(narrow).tolist(), source.astype(dtype.replace("64", "32")).tolist())
            with jax.enable_x64(True) if hasattr(jax, "enable_x64") else jax.experimental.enable_x64():
                wide = frame.to_jax()
                self.assertEqual((str(wide.dtype), wide.unsafe_buffer_pointer()), (dtype, place(frame)))
                self.assertEqual(np.asarray(wide).tolist(), source.tolist())

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
            self.assertEqual(tf.cast(tensor, tf.float64).numpy().tolist(), source.astype("f8").tolist(), name)
            capsule = tf.experimental.dlpack.to_dlpack(tensor)
            back = horus.Tensor.from_dlpack(capsule)
            self.assertEqual(back.to_numpy().astype("f8").tolist(), source.astype("f8").tolist(), name)
            converted = tf.convert_to_tensor(frame.to_numpy()) if frame.dtype != "bfloat16" else tensor
            self.assertEqual(tuple(converted.shape), source.shape, name)
            frame.to_numpy().flat[0] = 1  # the same memory: TensorFlow shows no address
            self.assertEqual(tf.cast(tensor, tf.float64).numpy().flat[0], 1, name)

    @unittest.skipUnless(cv2, "OpenCV is not installed")
    def test_opencv(self):
        for name, frame, source in everything():
            if source.ndim == 3 and source.shape[2] > 4:
                continue  # those are channels
            view = frame.to_numpy()
            if frame.dtype == "bfloat16":
                with self.assertRaisesRegex(cv2.error, "is not a numpy array|data type|not supported"):
                    cv2.flip(view, 0)
                continue
            self.assertEqual(cv2.flip(view, 0).tolist(), source[::-1].tolist(), name)
            if frame.dtype in ("int64", "uint64"):
                with self.assertRaises(cv2.error):  # it would write 32 bits
                    cv2.flip(source, 0, dst=view)
            else:
                self.assertIs(cv2.flip(source, 0, dst=view), view, name)
                self.assertEqual(frame.to_numpy().tolist(), source[::-1].tolist(), name)
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
            value = ort.OrtValue.from_dlpack(frame) if hasattr(ort.OrtValue, "from_dlpack") else \
                ort.OrtValue(ort.capi._pybind_state.OrtValue.from_dlpack(frame.__dlpack__(), False))
            self.assertEqual(tuple(value.shape()), source.shape, name)
            self.assertEqual(value.data_ptr(), place(frame), name)
            if frame.dtype == "bfloat16":  # which it takes only so
                with self.assertRaisesRegex(RuntimeError, "numpy"):
                    ort.OrtValue.ortvalue_from_numpy(frame.to_numpy())
                continue
            through = ort.OrtValue.ortvalue_from_numpy(frame.to_numpy())
            self.assertEqual(through.data_ptr(), place(frame), name)
            for value in (value, through):
                self.same(name, value.numpy(), source)

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


@unittest.skipUnless(tvm_ffi, "tvm-ffi is not installed")
class Kernels(unittest.TestCase):
    """tvm-ffi calls the exchange table of our types; so does what is compiled with it."""

    def test_the_structs_are_those_of_dlpack(self):
        same = [("horus_dl_tensor", "DLTensor", "data device ndim dtype shape strides byte_offset"),
                ("horus_dl_managed", "DLManagedTensor", "dl_tensor manager_ctx deleter"),
                ("horus_dl_managed_versioned", "DLManagedTensorVersioned",
                 "major:version manager_ctx deleter flags dl_tensor"),
                ("horusp_exchange", "DLPackExchangeAPI",
                 "major:header older:header.prev_api managed_tensor_allocator managed_tensor_from_py_object_no_sync "
                 "managed_tensor_to_py_object_no_sync dltensor_from_py_object_no_sync current_work_stream")]
        code = ['#include "horus_python.h"', "#include <dlpack/dlpack.h>",
                "_Static_assert(DLPACK_MAJOR_VERSION == 1 && DLPACK_FLAG_BITMASK_READ_ONLY == 1 &&"
                " DLPACK_FLAG_BITMASK_IS_COPIED == 2 && kDLCPU == 1, \"constants\");"]
        for ours, theirs, fields in same:
            code.append(f'_Static_assert(sizeof({ours}) == sizeof({theirs}), "{theirs}");')
            for field in fields.split():
                a, _, b = field.partition(":")
                code.append(f'_Static_assert(offsetof({ours}, {a}) == offsetof({theirs}, {b or a}), "{theirs}.{a}");')
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        done = subprocess.run(
            ["gcc", "-std=gnu11", "-fsyntax-only", "-DHORUS_PYTHON_IMPLEMENTATION", "-I", root,
             "-I", tvm_ffi.libinfo.find_dlpack_include_path(), "-I", sysconfig.get_path("include"), "-x", "c", "-"],
            input="\n".join(code) + "\n", capture_output=True, text=True, timeout=120)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_from_dlpack(self):
        for name, frame, source in everything():
            before = frame.refcount
            tensor = tvm_ffi.from_dlpack(frame)
            self.assertEqual(tuple(tensor.shape), source.shape, name)
            self.assertEqual(str(tensor.dtype), frame.dtype, name)
            self.assertEqual(frame.refcount, before + 1, name)
            if frame.dtype != "bfloat16":  # NumPy has none
                self.assertEqual(np.from_dlpack(tensor).ctypes.data, place(frame), name)
                self.assertEqual(np.from_dlpack(tensor).tolist(), source.tolist(), name)
            back = horus.Tensor.from_dlpack(tensor)
            self.assertEqual(back.to_numpy().astype("f8").tolist(), source.astype("f8").tolist(), name)
            del tensor
            self.assertEqual(frame.refcount, before, name)
        part = horus.Tensor.from_numpy(pattern((5, 6), "float32")).slice(2, 4)
        self.assertEqual(np.from_dlpack(tvm_ffi.from_dlpack(part)).tolist(), pattern((5, 6), "f4")[2:4].tolist())

    def test_a_released_frame(self):
        frame = horus.Tensor([3])
        frame.release()
        for use in (tvm_ffi.from_dlpack, tvm_ffi.get_global_func("testing.echo")):
            with self.assertRaisesRegex(RuntimeError, "released"):
                use(frame)

    def test_results_are_tensors_of_the_same_memory(self):
        echo = tvm_ffi.get_global_func("testing.echo")
        for name, frame, source in everything():
            before = frame.refcount
            result = echo(frame)
            self.assertIs(type(result), horus.Tensor, name)
            self.assertEqual(place(result), place(frame), name)
            self.assertEqual((result.dtype, result.shape), (frame.dtype, list(source.shape)), name)
            self.assertEqual(frame.refcount, before + 1, name)
            del result
            self.assertEqual(frame.refcount, before, name)
        self.assertEqual(echo(horus.Tensor([0, 3])).shape, [0, 3])

    def test_refcounts_after_2000_calls(self):
        echo = tvm_ffi.get_global_func("testing.echo")
        frame = horus.Image(4, 4)
        before, objects = frame.refcount, sys.getrefcount(frame)
        gc.collect()  # what an earlier test left in a cycle
        slots = horus.TensorPool().stats()["allocated_slots"]
        for _ in range(2000):
            tvm_ffi.from_dlpack(frame)
            echo(frame)
            echo(horus.Tensor([3]))
        self.assertEqual((frame.refcount, sys.getrefcount(frame)), (before, objects))
        gc.collect()
        self.assertEqual(horus.TensorPool().stats()["allocated_slots"], slots)

    def test_a_view_outlives_its_frame(self):
        topic = horus.Topic("kernels")
        topic.send(horus.Tensor.from_numpy(np.arange(50, dtype="f4")))
        received = topic.recv()
        tensor, result = tvm_ffi.from_dlpack(received), tvm_ffi.get_global_func("testing.echo")(received)
        del received
        for _ in range(1000):
            topic.send(horus.Tensor.from_numpy(np.full(50, -1, "f4")))
            topic.recv()
        self.assertEqual(np.from_dlpack(tensor).tolist(), list(range(50)))
        self.assertEqual(result.tolist(), list(range(50)))
        self.assertTrue(result.readonly)  # tvm-ffi drops the flag, but the frame is still a published one
        with self.assertRaises(ValueError):
            result[0] = 1
        topic.close()

    def test_a_kernel_allocates_in_the_pool(self):
        library = ctypes.CDLL(tvm_ffi.libinfo.find_libtvm_ffi())
        library.TVMFFIEnvSetDLPackManagedTensorAllocator.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
        before = ctypes.c_void_p()
        ours = ctypes.cast(x.TABLE.allocate, ctypes.c_void_p)
        self.assertEqual(library.TVMFFIEnvSetDLPackManagedTensorAllocator(ours, 0, ctypes.byref(before)), 0)
        try:
            handle, managed = ctypes.c_void_p(), x.MANAGED()
            tensor = x.prototype([40, 50])
            self.assertEqual(library.TVMFFIEnvTensorAlloc(ctypes.byref(tensor), ctypes.byref(handle)), 0)
            self.assertEqual(library.TVMFFITensorToDLPackVersioned(handle, ctypes.byref(managed)), 0)
            where = managed.contents.tensor.data
            made = x.taken(managed)
            self.assertEqual((place(made), made.shape, made.refcount), (where, [40, 50], 2))
            library.TVMFFIObjectDecRef(handle)
            self.assertEqual((made.refcount, made.readonly), (1, False))
            for wrong in (x.prototype([2], 5, 64), x.prototype([1 << 50])):
                self.assertEqual(library.TVMFFIEnvTensorAlloc(ctypes.byref(wrong), ctypes.byref(handle)), -1)
        finally:
            library.TVMFFIEnvSetDLPackManagedTensorAllocator(before, 0, None)


class Dimensions(unittest.TestCase):
    def test_nine_are_a_value_error_by_every_way(self):
        nine = np.zeros((1,) * 9, "f4")
        ways = {"from_numpy": lambda: horus.Tensor.from_numpy(nine)}
        if hasattr(np, "from_dlpack"):
            ways["from_dlpack"] = lambda: horus.Tensor.from_dlpack(nine)
            ways["Image.from_dlpack"] = lambda: horus.Image.from_dlpack(nine)
        if torch:
            ways["from_torch"] = lambda: horus.Tensor.from_torch(torch.zeros((1,) * 9))
            ways["a gradient"] = lambda: horus.Tensor.from_torch(torch.zeros((1,) * 9, requires_grad=True))
        for name, way in ways.items():
            with self.subTest(name), self.assertRaisesRegex(ValueError, "9 dimensions; at most 8") as caught:
                way()
            self.assertIsInstance(caught.exception, horus.ArgumentError)


@unittest.skipUnless(torch, "PyTorch is not installed")
class TorchTable(unittest.TestCase):
    """from_torch, from_dlpack and to_torch through torch's own table."""

    def test_what_torch_would_refuse_is_refused(self):
        values = torch.arange(6, dtype=torch.float32)
        trained = (values.clone().requires_grad_(), torch.nn.Parameter(values.clone()))
        for wrong in (*trained, values.to_sparse(), torch.empty(2, device="meta"), values.to(torch.float8_e4m3fn),
                      values.to(torch.complex64), torch.complex(values, values).conj()):
            with self.assertRaises((BufferError, RuntimeError, ValueError)):
                horus.Tensor.from_dlpack(wrong)
        with self.assertRaises((BufferError, RuntimeError)):
            torch.vmap(lambda row: torch.tensor(horus.Tensor.from_dlpack(row).numel))(torch.zeros(2, 3))
        for right in trained:
            self.assertEqual(horus.Tensor.from_torch(right).tolist(), values.tolist())

    def test_negated_views(self):
        values = torch.arange(6, dtype=torch.float32)
        negative = torch.complex(values, values).conj().imag
        self.assertTrue(negative.is_neg())
        class Sub(torch.Tensor):
            pass
        for source in (negative, negative.as_subclass(Sub)):
            self.assertEqual(horus.Tensor.from_dlpack(source).tolist(), (-values).tolist())
            self.assertEqual(horus.Tensor.from_torch(source).tolist(), (-values).tolist())

    def test_what_lies_elsewhere_is_brought_to_the_cpu(self):
        brought, cpu = [], torch.Tensor.cpu
        torch.Tensor.is_cpu = property(lambda tensor: False)  # as those of a GPU say
        torch.Tensor.cpu = lambda tensor: (brought.append(1), cpu(tensor))[1]
        try:
            self.assertEqual(horus.Tensor.from_torch(torch.arange(3)).tolist(), [0, 1, 2])
        finally:
            del torch.Tensor.is_cpu, torch.Tensor.cpu
        self.assertEqual(brought, [1])

    def test_a_subclass_answers_itself(self):
        class Sub(torch.Tensor):
            def __dlpack__(self, **kw):
                return torch.full((2,), 5.0).__dlpack__()
        self.assertEqual(horus.Tensor.from_dlpack(torch.zeros(2).as_subclass(Sub)).tolist(), [5, 5])

    def test_sources_and_results_are_let_go(self):
        values = torch.arange(6, dtype=torch.float32)
        frame = horus.Tensor([2, 3])
        uses, before = sys.getrefcount(values), frame.refcount
        memory = torch._C._storage_Use_Count(values.untyped_storage()._cdata)
        for _ in range(2000):
            horus.Tensor.from_torch(values)
            horus.Tensor.from_dlpack(values)
            frame.to_torch()
            with self.assertRaises(BufferError):
                horus.Tensor.from_dlpack(values.to(torch.complex64))
        self.assertEqual((sys.getrefcount(values), frame.refcount), (uses, before))
        self.assertEqual(torch._C._storage_Use_Count(values.untyped_storage()._cdata), memory)

    @unittest.skipUnless(hasattr(torch, "Tensor") and hasattr(torch.Tensor, "__dlpack_c_exchange_api__"),
                         "this PyTorch has no exchange table")
    def test_the_table_is_used(self):
        code = ("import torch\nx = torch.arange(3)\n"
                "torch.Tensor.__dlpack__ = torch.Tensor.detach = torch._C._from_dlpack = None\n"
                "import horus\n"
                "assert horus.Tensor.from_torch(x).tolist() == horus.Tensor.from_dlpack(x).tolist() == [0, 1, 2]\n"
                "f = horus.Tensor([2])\nassert f.to_torch().data_ptr() == f.__array_interface__['data'][0]\n")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_without_a_table(self):
        code = ("import torch\nTensor = torch.Tensor\n"
                "try: del Tensor.__dlpack_c_exchange_api__\nexcept AttributeError: pass\n"
                "import horus\nx = torch.arange(6.0)\n"
                "assert horus.Tensor.from_torch(x).tolist() == horus.Tensor.from_dlpack(x).tolist() == x.tolist()\n"
                "f = horus.Tensor([2])\nassert f.to_torch().data_ptr() == f.__array_interface__['data'][0]\n"
                "y = torch.complex(x, x).conj().imag\nassert horus.Tensor.from_dlpack(y).tolist() == (-x).tolist()\n")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class Cases(unittest.TestCase):
    """Cases that break others, with what they break in each framework."""

    def views(self, frame):
        """(route, view, what reads it) of each framework that is installed."""
        if torch:
            yield "to_torch", frame.to_torch(), lambda t: t.tolist()
            yield "torch.from_dlpack", torch.from_dlpack(frame), lambda t: t.tolist()
        if jax:
            yield "to_jax", frame.to_jax(), lambda a: np.asarray(a).tolist()
            yield "device_put", jax.device_put(frame.to_numpy()), lambda a: np.asarray(a).tolist()
        if tf:
            yield "TensorFlow", tf.experimental.dlpack.from_dlpack(frame.__dlpack__()), lambda t: t.numpy().tolist()
        if ort:
            yield "OrtValue", ort.OrtValue.from_dlpack(frame), lambda v: v.numpy().tolist()
            through = ort.OrtValue.ortvalue_from_numpy(frame.to_numpy())
            yield "ortvalue_from_numpy", through, lambda v: v.numpy().tolist()
        if tvm_ffi:
            yield "tvm-ffi", tvm_ffi.from_dlpack(frame), lambda t: np.from_dlpack(t).tolist()

    def test_views_of_every_route_after_del_gc_and_1000_more_receives(self):
        topic = horus.Topic("cases.views")
        source = pattern((8, 16), "float32")
        topic.send(horus.Tensor.from_numpy(source))
        received = topic.recv()
        views = list(self.views(received))
        del received
        gc.collect()
        for _ in range(1000):
            topic.send(horus.Tensor.from_numpy(np.full((8, 16), -1, "f4")))
            topic.recv()
        for route, view, read in views:
            self.assertEqual(read(view), source.tolist(), route)
        topic.close()

    def test_refcount_returns_after_2000_exports_of_each_kind(self):
        frame = horus.Tensor([4, 16])
        before, objects = frame.refcount, sys.getrefcount(frame)
        for n in range(2000):
            held = list(self.views(frame))
            if n == 0 and len(held) > 3:
                self.assertGreater(frame.refcount, before)
        del held
        for _ in range(100):  # JAX drops some on its own threads
            gc.collect()
            if (frame.refcount, sys.getrefcount(frame)) == (before, objects):
                break
            threading.Event().wait(0.05)
        self.assertEqual((frame.refcount, sys.getrefcount(frame)), (before, objects))

    def test_a_capsule_consumed_twice(self):
        frame = horus.Tensor.from_numpy(np.arange(16, dtype="f4"))
        before = frame.refcount
        if torch:
            for version in (None, (1, 0)):
                capsule = frame.__dlpack__(max_version=version)
                first = torch.utils.dlpack.from_dlpack(capsule)
                with self.assertRaisesRegex(RuntimeError, "once"):
                    torch.utils.dlpack.from_dlpack(capsule)
                with self.assertRaisesRegex(ValueError, "consumed"):
                    horus.Tensor.from_dlpack(capsule)
                self.assertEqual((first.tolist(), frame.refcount), (list(range(16)), before + 1))
                del first, capsule
                self.assertEqual(frame.refcount, before)
        if tf:
            capsule = frame.__dlpack__()
            first = tf.experimental.dlpack.from_dlpack(capsule)
            with self.assertRaises(Exception):
                tf.experimental.dlpack.from_dlpack(capsule)
            with self.assertRaisesRegex(ValueError, "consumed"):
                horus.Tensor.from_dlpack(capsule)
            self.assertEqual(first.numpy().tolist(), list(range(16)))

    def test_torch_tvm_ffi_and_ort_values_write_straight_through(self):
        """They ignore that a sent frame is read-only; the manual says so. The frame itself stays read-only."""
        topic = horus.Topic("cases.through")
        topic.send(horus.Tensor([16], "float32"))
        frame = topic.recv()
        n = 0
        for route, view, write in (
                ("torch", torch and frame.to_torch(), lambda t, n: t.fill_(n)),
                ("tvm-ffi", tvm_ffi and tvm_ffi.from_dlpack(frame), lambda t, n: np.from_dlpack(t).fill(n)),
                ("OrtValue", ort and ort.OrtValue.from_dlpack(frame), lambda v, n: v.numpy().fill(n))):
            if view is None:
                continue
            n += 1
            write(view, n)
            self.assertEqual(frame.tolist(), [n] * 16, route)
            with self.assertRaises(horus.ReadOnlyError):
                frame[0] = 1
            self.assertFalse(frame.to_numpy().flags.writeable)
        topic.close()

    @unittest.skipUnless(torch, "PyTorch is not installed")
    def test_negative_strides_are_never_exported(self):
        """torch ends with SIGABRT at one."""
        x = np.arange(24, dtype="f4").reshape(4, 6)
        for source in (x[::-1], x[:, ::-1], x[::-2, ::-3], x[::-1].T):
            for make in (horus.Tensor.from_numpy, horus.Tensor.from_dlpack, horus.DepthImage.from_numpy):
                frame = make(source)
                self.assertTrue(all(s >= 0 for s in frame.to_numpy().strides))
                self.assertEqual(torch.from_dlpack(frame).tolist(), source.tolist())
                self.assertEqual(frame.to_torch().tolist(), source.tolist())

    @unittest.skipUnless(ort and onnx, "ONNX Runtime or onnx is not installed")
    def test_bool_in_onnx_runtime(self):
        """It takes one by DLPack only as uint8 that calls itself bool."""
        from onnx import TensorProto, helper
        kind = helper.make_tensor_value_info
        graph = helper.make_graph([helper.make_node("Not", ["x"], ["y"])], "not",
                                  [kind("x", TensorProto.BOOL, [4])], [kind("y", TensorProto.BOOL, [4])])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        topic = horus.Topic("cases.bool")
        topic.send(horus.Tensor.from_numpy(np.array([True, False, True, True])))
        frame = topic.recv()
        for value in (ort.OrtValue.from_dlpack(frame), ort.OrtValue.ortvalue_from_numpy(frame.to_numpy())):
            self.assertEqual((value.element_type(), value.data_ptr()), (TensorProto.BOOL, place(frame)))
            result = session.run_with_ort_values(None, {"x": value})[0]
            self.assertEqual(result.numpy().tolist(), [False, True, False, False])
        topic.close()

    @unittest.skipUnless(tf, "TensorFlow is not installed")
    def test_slices_whose_alignment_is_lost(self):
        """TensorFlow ends with SIGABRT at one in its first operation; a copy is aligned again."""
        frame = horus.Tensor.from_numpy(np.arange(15, dtype="f4").reshape(3, 5))
        part = frame.slice(1, 3)
        self.assertEqual(place(part), place(frame) + 20)
        copy = part.copy()
        self.assertEqual(place(copy) % 64, 0)
        tensor = tf.experimental.dlpack.from_dlpack(copy.__dlpack__())
        self.assertEqual((tensor + 1).numpy().tolist(), (part.to_numpy() + 1).tolist())

    def test_frameworks_that_are_imported_later(self):
        for name in ("numpy", "torch", "jax"):
            if not importlib.util.find_spec(name):
                continue
            code = ("import sys, horus\n"
                    "frame = horus.Image(2, 3, 'mono8'); frame.set_pixel(2, 1, 7)\n"
                    f"topic = horus.Topic('later'); topic.send(frame); assert '{name}' not in sys.modules\n"
                    f"import {name}\n"
                    f"assert topic.recv().to_{name}().tolist() == [[0, 0, 0], [0, 0, 7]]\n")
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)


class Errors(unittest.TestCase):
    def test_frameworks_that_are_absent_are_named(self):
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
    if MISSING and not any("." in name for name in sys.argv[1:]):  # all of it is to be run
        print("not run here: " + ", ".join(MISSING), file=sys.stderr)
    unittest.main()
