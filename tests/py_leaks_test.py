"""No operation leaks: memory, reference counts and slots are flat after many of each.
LARGE=1 makes a million of each."""
import copy
import gc
import os
import pickle
import sys
import unittest

import horus
import numpy as np

MANY = 1_000_000 if os.environ.get("LARGE") else 2 * int(os.environ.get("ROUNDS", "10000"))
NUMPY = tuple(int(n) for n in np.__version__.split(".")[:2])


try:
    import torch
except ImportError:
    torch = None
try:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax
except ImportError:
    jax = None


def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


@unittest.skipIf("libasan" in os.environ.get("LD_PRELOAD", ""), "AddressSanitizer keeps what is freed")
class Leaks(unittest.TestCase):
    most = (0, "none")

    def flat(self, name, operation, watched, many=MANY, loose=0):
        for _ in range(min(many, 3000)):
            operation()
        gc.collect()
        frames = [o for o in watched if isinstance(o, (horus.Image, horus.Tensor))]
        # views of one frame share an object that holds it, which a frame's refcount does not count
        watched = watched + [f.to_numpy().base for f in frames]
        references = [sys.getrefcount(o) for o in watched]
        holds = [f.refcount for f in frames]
        pool = horus.TensorPool().stats()
        for _ in range(3):  # an allocator takes a step now and then; what leaks grows each time
            before = rss()
            for _ in range(many):
                operation()
            gc.collect()
            more = rss() - before
            if more < max(300_000, many // 4):
                break
        now = [sys.getrefcount(o) for o in watched]
        for o, n, was in zip(watched, now, references):  # the interpreter itself takes some dozens of None
            some = 100 if o is None or o is True else 0
            self.assertLess(abs(n - was), 1 + some + many // 100, (name, type(o)))
        for f, n in zip(frames, holds):  # fewer, where a ring has lost what it held
            self.assertLessEqual(f.refcount, n, (name, type(f)))
        after = horus.TensorPool().stats()
        self.assertLessEqual(after["allocated_slots"], pool["allocated_slots"] + loose, name)
        self.assertLessEqual(after["total_refcount"], pool["total_refcount"] + loose, name)
        self.assertLess(more, max(300_000, many // 4), name)
        self.most = max(self.most, (more, name))

    def test_operations(self):
        image, tensor, row = horus.Image(8, 8), horus.Tensor([4, 4]), horus.Tensor([4])
        array = np.zeros((8, 8, 3), np.uint8)
        data = bytes(192)
        topic, typed = horus.Topic("leaks"), horus.Topic(horus.CmdVel, name="leaks.typed")
        command = horus.CmdVel(1.0, 2.0)
        value = {"x": 1.0, "list": [1, 2, "three", b"4", None], "deep": {"y": True}}

        def failing(call, *args):
            try:
                call(*args)
            except (TypeError, ValueError, IndexError, RuntimeError, OSError, MemoryError, OverflowError):
                return
            raise AssertionError("it did not fail")

        def send_recv(t, m):
            t.send(m)
            t.recv()
        operations = {
            "Image": lambda: horus.Image(8, 8), "Image.empty": lambda: horus.Image.empty(height=8, width=8),
            "to_numpy": image.to_numpy, "to_numpy copy": lambda: image.to_numpy(copy=True),
            "asarray": lambda: np.asarray(image), "memoryview": lambda: memoryview(image),
            "interface": lambda: image.__array_interface__, "dlpack": image.__dlpack__,
            "dlpack versioned": lambda: image.__dlpack__(max_version=(1, 0)),
            "dlpack copy": lambda: image.__dlpack__(max_version=(1, 0), copy=True),
            "from_numpy": lambda: horus.Image.from_numpy(array), "from_bytes": lambda: horus.Image.from_bytes(data, 8, 8),
            "from_dlpack": lambda: horus.Tensor.from_dlpack(tensor), "copy": image.copy,
            "pixel": lambda: image.pixel(1, 1), "set_pixel": lambda: image.set_pixel(1, 1, [1, 2, 3]),
            "fill": lambda: image.fill([1, 2, 3]), "roi": lambda: image.roi(0, 0, 2, 2),
            "copy_from": lambda: image.copy_from(data), "repr": lambda: repr(image),
            "frame_id": lambda: (image.set_frame_id("front"), image.frame_id),
            "as_tensor": image.as_tensor, "reshape": lambda: tensor.reshape(2, 8), "slice": lambda: tensor.slice(0, 2),
            "index": lambda: tensor[1:, 0], "store": lambda: tensor.__setitem__(0, 1.0), "shape": lambda: tensor.shape,
            "add": lambda: tensor + 1, "in place": lambda: tensor.__iadd__(1), "compare": lambda: tensor == 1,
            "sum": lambda: tensor.sum(dim=0), "astype": lambda: tensor.astype("int8"), "tolist": tensor.tolist,
            "pickle": lambda: pickle.loads(pickle.dumps(image)), "deepcopy": lambda: copy.deepcopy(image),
            "descriptor": lambda: horus.Tensor.from_descriptor(1, tensor.to_descriptor()),
            "stats": lambda: horus.TensorPool().stats(), "with": lambda: horus.Image(2, 2).__enter__().__exit__(),
            "send frame": lambda: send_recv(topic, image), "send dict": lambda: send_recv(topic, value),
            "array of a dtype": lambda: image.__array__(np.uint8), "asarray of a dtype": lambda: np.asarray(tensor, np.float32),
            "array of another": lambda: image.__array__(np.float64),
            "out": lambda: tensor.sum(dim=0, out=row), "view": lambda: tensor.view([16]), "squeeze": tensor.squeeze,
            "unsqueeze": lambda: tensor.unsqueeze(0), "flatten": tensor.flatten, "T": lambda: tensor.T, "iterate": lambda: list(tensor),
            "send array": lambda: send_recv(topic, array), "send message": lambda: send_recv(topic, command),
            "send typed": lambda: send_recv(typed, command), "send dict as typed": lambda: send_recv(typed, {"linear": 1}),
            "empty": topic.recv, "has_msg": topic.has_msg, "recv_all": lambda: (topic.send(1), topic.recv_all()),
            "read_latest": lambda: (topic.send(1), topic.read_latest()), "topic stats": topic.stats,
            "message": lambda: horus.Odometry(x=1.0), "message repr": lambda: repr(command),
            "bad image": lambda: failing(horus.Image, 0, 1), "bad keyword": lambda: failing(lambda: horus.Image(1, 1, x=1)),
            "bad value": lambda: failing(topic.send, {"a": [1, object()]}),
            "bad type": lambda: failing(typed.send, image), "bad index": lambda: failing(tensor.__getitem__, 9),
            "bad shape": lambda: failing(tensor.view, [3, 3]), "bad array": lambda: failing(horus.Image.from_numpy, np.zeros(3)),
        }
        boxes, into, turned = np.zeros((1, 6, 9), np.float32), np.zeros((3, 4, 4), np.float32), array[::-1]
        small = horus.Image(4, 4)
        boxes[0, :, 3] = 50, 50, 20, 10, 0, 0.9
        names, where = {0: "cat", 1: "dog"}, horus.preprocess(array, 4, return_map=True)[1]
        operations.update({
            "preprocess": lambda: horus.preprocess(image, (4, 6), mean=[1, 2, 3], std=(1, 1, 2), return_map=True),
            "preprocess array": lambda: horus.preprocess(array, encoding="bgr8", dtype="uint8"),
            "preprocess copy": lambda: horus.preprocess(turned, 4),
            "preprocess out": lambda: horus.preprocess(image, out=into),
            "preprocess Tensor": lambda: horus.preprocess(image, out=small, layout="nhwc"),
            "bad preprocess": lambda: failing(lambda: horus.preprocess(turned, out=into, mean=[1, 2, "x"])),
            "bad out": lambda: failing(lambda: horus.preprocess(array, 5, out=image)),
            "yolo_decode": lambda: horus.yolo_decode(boxes, class_names=names, map=where, return_stats=True),
            "bad yolo_decode": lambda: failing(lambda: horus.yolo_decode(boxes, class_names=["a", 5])),
            "softmax": lambda: horus.softmax(tensor), "softmax list": lambda: horus.softmax([[1.0, 2.0]]),
            "bad softmax": lambda: failing(horus.softmax, array), "topk": lambda: horus.topk(tensor, 2),
            "bad topk": lambda: failing(horus.topk, tensor, 9), "argmax": lambda: horus.argmax(boxes)})
        if NUMPY >= (1, 23):
            operations["from_dlpack by NumPy"] = lambda: np.from_dlpack(tensor)
        watched = [image, tensor, row, array, data, topic, command, value, boxes, into, turned, small, names, where,
                   None, True, horus.Image, horus.CmdVel]
        for name, operation in operations.items():
            with self.subTest(name):
                self.flat(name, operation, watched)
        print(f"leaks: {len(operations)} operations, {MANY} of each, at most {self.most[0] >> 10} KB more ({self.most[1]})",
              file=sys.stderr)

    def test_the_last_view_gives_the_slot_back(self):
        slots = horus.TensorPool().stats()["allocated_slots"]
        ways = {
            "as_tensor": lambda t: t.as_tensor(), "slice": lambda t: t.slice(0, 2), "view": lambda t: t.view([2, 8]),
            "flatten": lambda t: t.flatten(), "squeeze": lambda t: t.squeeze(), "unsqueeze": lambda t: t.unsqueeze(0),
            "to_numpy": lambda t: t.to_numpy(), "copy": lambda t: t.copy(), "index": lambda t: t[1:],
            "memoryview": memoryview, "dlpack": lambda t: t.__dlpack__(), "iteration": list, "T": lambda t: t.T,
            "in place": lambda t: t.__iadd__(1), "out": lambda t: horus.Tensor([1, 4, 4]).sum(dim=0, out=t),
            "descriptor": lambda t: horus.Tensor.from_descriptor(1, t.to_descriptor()),
            "the same dtype": lambda t: t.__array__(np.float32), "pickle": pickle.dumps, "buffer": lambda t: bytes(memoryview(t))}
        for name, way in ways.items():
            tensor = horus.Tensor([4, 4])
            views = [way(tensor), way(tensor)]
            del tensor, views
            gc.collect()
            self.assertEqual(horus.TensorPool().stats()["allocated_slots"], slots, name)

    @unittest.skipUnless(torch or jax, "neither PyTorch nor JAX is installed")
    def test_frameworks(self):
        tensor, depth, operations, watched = horus.Tensor([4, 4]), horus.DepthImage(4, 4), {}, []
        if torch:
            for what, source in (("", torch.zeros(4, 4)), (" with a gradient", torch.zeros(4, 4, requires_grad=True)),
                                 (" in double", torch.zeros(4, 4, dtype=torch.float64, requires_grad=True)),
                                 (" negated", torch.complex(torch.zeros(4, 4), torch.ones(4, 4)).conj().imag)):
                watched.append(source)
                for taken in (horus.Tensor, horus.DepthImage, horus.PointCloud, horus.Image):
                    if source.dtype == torch.float64 and taken is horus.Image:
                        continue
                    operations[f"{taken.__name__}.from_torch{what}"] = lambda c=taken, s=source: c.from_torch(s)
                    if not source.requires_grad and source.dtype == torch.float32:
                        operations[f"{taken.__name__}.from_dlpack{what}"] = lambda c=taken, s=source: c.from_dlpack(s)
            operations.update({"to_torch": tensor.to_torch, "torch.from_dlpack": lambda: torch.from_dlpack(tensor),
                               "depth to_torch": depth.to_torch, "as_tensor": lambda: torch.as_tensor(tensor)})
        if jax:
            array = tensor.to_jax()
            watched.append(array)
            operations.update({"to_jax": tensor.to_jax, "Tensor.from_dlpack of JAX": lambda: horus.Tensor.from_dlpack(array)})
        for name, operation in operations.items():
            with self.subTest(name):
                count = torch and sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects())
                self.flat(name, operation, [tensor] + watched, MANY // 20)
                self.assertEqual(torch and sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects()), count, name)
        print(f"leaks: {len(operations)} operations of frameworks, {MANY // 20} of each", file=sys.stderr)

    def test_inference(self):
        class Twice:
            def __init__(self, how):
                self.raises = "bad" in how.model

            def run(self, inputs, outputs):
                return 1 / 0 if self.raises else [inputs[0].to_numpy() * 2]
        horus.register_backend("twice", Twice)
        given = {"backend": "twice", "model_path_map": {"m": __file__}, "pre_processor_map": {"m": ["a"]},
                 "inference_map": {"m": ["b"]}}
        bad = {"backend": "twice", "model_path_map": {"bad": __file__}, "pre_processor_map": {"bad": ["a"]},
               "inference_map": {"bad": ["b"]}}
        array, tensor = np.ones(4, np.float32), horus.Tensor([4])
        camera, found = horus.Topic(horus.Tensor, name="leaks.camera"), horus.Topic(horus.Tensor, name="leaks.found")
        op, wrong = horus.InferenceOp(given, "leaks.camera", "leaks.found"), horus.InferenceOp(bad)

        def refused(call, *args):
            try:
                call(*args)
            except horus.InferenceError:
                return
            raise AssertionError("it did not fail")

        def tick():
            camera.send(tensor)
            op.tick()
            found.recv()
        operations = {
            "infer": lambda: op.infer({"a": array}), "infer of a frame": lambda: op.infer({"a": tensor}),
            "infer of a list": lambda: op.infer({"a": [1.0, 2.0]}), "get": lambda: op.get("b"), "age": lambda: op.age("b"),
            "inference stats": op.stats, "set_active": lambda: op.set_active("m", True), "inference tick": tick,
            "a run that fails": lambda: refused(wrong.infer, {"a": array}),
            "a tensor that nobody takes": lambda: refused(op.infer, {"a": array, "c": array}),
            "a tensor that is missing": lambda: refused(op.infer, {})}
        for name, operation in operations.items():
            with self.subTest(name):
                self.flat(name, operation, [array, tensor, given, Twice, op, wrong], MANY // 4, loose=2)
        make = {"check": lambda: horus.InferenceOp.check(given),
                "bad parameters": lambda: refused(horus.InferenceOp, {**given, "temporal_map": {"m": 0}}),
                "InferenceOp": lambda: horus.InferenceOp(given).close(),
                "with topics": lambda: horus.InferenceOp(given, "leaks.camera", "leaks.found")}
        for name, operation in make.items():
            with self.subTest(name):
                self.flat(name, operation, [given, Twice], MANY // 20, loose=64)
        print(f"leaks: {len(operations) + len(make)} operations of inference", file=sys.stderr)

    def test_topics_come_and_go(self):
        def open_close():
            with horus.Topic("leaks.come") as t:
                t.send(1)
                t.recv()
        self.flat("topics", open_close, [], MANY // 20, loose=64)  # rings stay until a row's limit


if __name__ == "__main__":
    unittest.main()
