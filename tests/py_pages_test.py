"""Runs every code sample of the reference pages, unedited, in a namespace of its own: with a real ONNX session,
torch module, cv2 pipeline and saved model, small ones, and with frames that a thread publishes as a camera would.

REFERENCE_PAGES names the folder of the pages; without it nothing is run, and that is said. Where a sample wants
CUDA and there is none, the stand-ins below send that call to the CPU. A run() without an end gets Ctrl-C.
python_memory_types_api.txt has lost its indentation: BODIES says how long each indented body is."""
import ast
import contextlib
import glob
import io
import logging
import os
import re
import signal
import tempfile
import threading
import time
import unittest
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
import horus
import numpy as np

PAGES = os.environ.get("REFERENCE_PAGES", "")
FILES = {"ml_integration.txt": 10, "numpy_zero_copy.txt": 6, "python_memory_types_api.txt": 22,
         "python_memory_types_overview.txt": 2}  # and at least how many samples each has
NO_PYTHON = "compute=True, ...)"  # the one whose ... is no Python
CODE = re.compile(r"^(\s+\S|#|@|(from|import|def|class|if|else|elif|for|while|with|try|except|return|global|raise|print)\b"
                  r"|[A-Za-z_][\w.]*(, [A-Za-z_]\w*)* = |[a-z_]+\w*(\.\w+)*[(.\[]|[)\]}]+,?$)")
BODIES = {"if stats:": 2, "if received:": 2, "def camera_tick(node):": 4, "def inference_tick(node):": 5, "if img:": 3}


def is_code(line):
    return bool(CODE.match(line)) and not ("μs" in line and "#" not in line) and not line.startswith("  •")


def samples(path):
    """(number of the first line, text) of each."""
    out, now, begin = [], [], 0
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    flat = not any(line.startswith("    ") for line in lines)
    for number, line in enumerate(lines + ["The end"], 1):
        if is_code(line) or (not line.strip() and now):
            begin = begin or number
            now.append(line.rstrip())
            continue
        text = "\n".join(now).rstrip("\n")
        if text and any(not part.startswith("#") for part in text.split("\n") if part):
            out.append((begin, indented(text) if flat else text))
        now, begin = [], 0
    return out


def indented(text):
    """Puts back the indentation that a page has lost."""
    out, left = [], []
    for line in text.split("\n"):
        out.append("    " * len(left) + line)
        left = [n - 1 for n in left]
        if line in BODIES:
            left.append(BODIES[line])
        while left and left[-1] <= 0:
            left.pop()
    return "\n".join(out)


class Camera(threading.Thread):
    """Publishes what the samples subscribe to, every 10 ms."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over = threading.Event()
        frame = np.random.default_rng(1).integers(1, 255, (480, 640, 3), dtype=np.uint8)
        cloud = np.random.default_rng(2).normal(0, 3, (1000, 3)).astype(np.float32)
        depth = np.full((48, 64), 1.5, np.float32)
        self.sources = [(horus.Topic(n), lambda: horus.Image.from_numpy(frame)) for n in ("camera", "camera.rgb")] + [
            (horus.Topic(horus.Image), lambda: horus.Image.from_numpy(frame)),
            (horus.Topic("lidar.points"), lambda: horus.PointCloud.from_numpy(cloud)),
            (horus.Topic("camera.depth"), lambda: horus.DepthImage.from_numpy(depth)),
            (horus.Topic("input"), lambda: [1.0, 2.0, 3.0])]

    def run(self):
        while not self.over.wait(0.01):
            for topic, make in self.sources:
                topic.send(make())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


class Result:
    class_id, class_name, confidence, x1, y1, x2, y2 = 3, "lamp", 0.75, 1.0, 2.0, 30.0, 40.0


class Model:
    """model.predict() and model() of the samples: mean brightness, from real pixels."""

    def predict(self, frame):
        self.mean = float(np.asarray(frame).mean())
        return [Result]

    def __call__(self, x):
        return x.float().mean(dim=tuple(range(1, x.ndim))).reshape(-1, 1)

    def eval(self):
        return self


RUN = horus.run


@contextlib.contextmanager
def interrupted(seconds=0.6):
    """Ctrl-C once run() has run so long; what a sample does before that may take longer. Yields an event that says
    that it begins."""
    begun, over = threading.Event(), threading.Event()

    def run(*args, **kw):
        begun.set()
        RUN(*args, **kw)

    def press():
        begun.wait()
        if not over.wait(seconds):
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    horus.run = run
    try:
        yield begun
    finally:
        horus.run = RUN
        over.set()
        begun.set()
        thread.join()


def stand_ins(torch):
    """Without CUDA: what would use it uses the CPU."""
    def cpu(name):
        return "cpu" if isinstance(name, str) and name.startswith("cuda") else name

    load, jit, to = torch.load, torch.jit.load, torch.Tensor.to
    torch.load = lambda f, map_location=None, **kw: load(f, map_location=cpu(map_location), **kw)
    torch.jit.load = lambda f, map_location=None, **kw: jit(f, map_location=cpu(map_location), **kw)
    torch.Tensor.cuda = lambda self, *a, **kw: self
    torch.Tensor.to = lambda self, *a, **kw: to(self, *[cpu(x) for x in a], **kw)
    torch.cuda.set_per_process_memory_fraction = lambda *a: None
    return ["torch.load", "torch.jit.load", "Tensor.cuda", "Tensor.to", "torch.cuda.set_per_process_memory_fraction"]


@unittest.skipUnless(PAGES, "skipped: REFERENCE_PAGES does not name the folder of the reference pages")
class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        import onnx
        import tensorflow as tf
        import torch
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
        cls.folder = tempfile.TemporaryDirectory(prefix="horus-pages")
        cls.back = os.getcwd()
        os.chdir(cls.folder.name)
        helper = onnx.helper
        kind = onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            [helper.make_node("GlobalAveragePool", ["images"], ["output"])], "mean",
            [helper.make_tensor_value_info("images", kind, ["n", 3, "h", "w"])],
            [helper.make_tensor_value_info("output", kind, ["n", 3, 1, 1])])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), "yolov8n.onnx")

        class Classify(torch.nn.Module):
            def forward(self, x):
                return x.float().mean(dim=[1, 2])

        torch.jit.script(Classify()).save("resnet50.pt")

        class Double(tf.Module):
            @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
            def __call__(self, x):
                return 2 * x

        tf.saved_model.save(Double(), "saved_model")
        cls.cuda = torch.cuda.is_available()
        if not cls.cuda:
            print("not run here: on CUDA; on the CPU instead:", ", ".join(stand_ins(torch)))
        logging.getLogger("horus").addHandler(logging.NullHandler())

    @classmethod
    def tearDownClass(cls):
        os.chdir(cls.back)
        cls.folder.cleanup()

    def names(self):
        """What the samples use and do not make."""
        import onnxruntime
        import torch
        raw = bytes(480 * 640 * 3)
        node = horus.Node("reader", subs=["camera"])
        session = onnxruntime.InferenceSession("yolov8n.onnx")

        class Session:  # one that takes HWC frames in a batch, as that sample stacks them
            def run(self, names, feed):
                batch = np.ascontiguousarray(feed["images"].transpose(0, 3, 1, 2), np.float32)
                return session.run(names, {"images": batch})

        cloud = horus.PointCloud(100)
        return {"horus": horus, "np": np, "torch": torch, "node": node, "session": Session(), "model": Model(),
                "raw_data": raw, "raw_bytes": raw, "img": horus.Image(480, 640, "rgb8"), "cloud": cloud,
                "depth": horus.DepthImage(480, 640), "Image": horus.Image, "PointCloud": horus.PointCloud,
                "DepthImage": horus.DepthImage, "input_tensor": torch.zeros(1, 3, 8, 8),
                "tensor": horus.TensorPool().alloc([480, 640, 3]),
                "process_output": lambda output: {"mean": float(output.mean())}, "detect": lambda node: None}

    def run_sample(self, page, line, text, begun):
        names, failures, ticks = self.names(), [], []
        deadline = time.monotonic() + 5
        while "node.recv" in text and not names["node"].has_msg("camera") and time.monotonic() < deadline:
            time.sleep(0.01)
        functions = []
        for statement in ast.parse(text).body:  # one by one: a sample may define the same name twice
            if ast.unparse(statement).startswith("scheduler.run("):
                begun.set()
            exec(compile(ast.Module([statement], []), f"{page}:{line}", "exec"), names)
            if isinstance(statement, ast.FunctionDef):
                functions.append(names[statement.name])
        for function in functions:  # callbacks that the sample has not run itself
            if "horus.run(" in text or "scheduler.run(" in text:
                break

            def tick(node):
                function(node)
                ticks.append(1)

            RUN(horus.Node("sample", tick, rate=50, on_error=lambda n, e: failures.append(repr(e))), duration=0.3)
            self.assertEqual(failures, [], f"{page}:{line}")
            self.assertGreater(len(ticks), 0, f"{page}:{line}")

    def page(self, page):
        done = 0
        with Camera(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for line, text in samples(os.path.join(PAGES, page)):
                if NO_PYTHON in text:
                    continue
                with self.subTest(page=page, line=line), interrupted() as begun, \
                        contextlib.redirect_stdout(io.StringIO()), \
                        self.no_errors_are_logged("horus", "ERROR", "Model file not found" in text):
                    self.run_sample(page, line, text, begun)
                    done += 1
        self.assertGreaterEqual(done, FILES[page], "too few samples were found")

    @contextlib.contextmanager
    def no_errors_are_logged(self, name, level, expected):
        """Nothing is logged at that level, or above: a tick that fails says so there."""
        records = []

        class Keep(logging.Handler):
            def emit(self, record):
                records.append((record.getMessage(), record.exc_info and repr(record.exc_info[1])))

        handler = Keep(level)
        logging.getLogger(name).addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger(name).removeHandler(handler)
        if not expected:
            self.assertEqual(records, [])

    def test_ml_integration(self):
        got = {name: horus.Topic(name) for name in ("detections", "class", "edges", "output")}
        self.page("ml_integration.txt")
        self.assertIsInstance(got["detections"].recv(), np.ndarray)
        self.assertEqual(set(got["class"].recv()), {"id", "confidence"})
        edges = got["edges"].recv()
        self.assertEqual((edges.height, edges.width, edges.encoding), (480, 640, "mono8"))
        np.testing.assert_array_equal(got["output"].recv(), [2, 4, 6])

    def test_numpy_zero_copy(self):
        got = {name: horus.Topic(name) for name in ("brightness", "predictions", "nearby_points", "closest")}
        found = horus.Topic(horus.Detection, name="detections")
        self.page("numpy_zero_copy.txt")
        self.assertAlmostEqual(got["brightness"].recv()["value"], 127, delta=5)
        self.assertIn("mean", got["predictions"].recv())
        self.assertGreater(got["nearby_points"].recv()["count"], 0)
        self.assertEqual(got["closest"].recv(), {"distance_m": 1.5})
        self.assertEqual(found.recv().bbox, horus.BoundingBox2D(x_min=1, y_min=2, x_max=30, y_max=40))

    def test_memory_types_api(self):
        self.page("python_memory_types_api.txt")

    def test_memory_types_overview(self):
        self.page("python_memory_types_overview.txt")

    def test_every_page_is_there(self):
        self.assertTrue({os.path.basename(p) for p in glob.glob(PAGES + "/*.txt")} >= set(FILES))


if __name__ == "__main__":
    unittest.main()
