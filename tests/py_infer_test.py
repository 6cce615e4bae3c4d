"""InferenceOp: its parameters as the documented sets have them, back ends, topics, and what happens when something
fails. A back end of the test's own stands in for a runtime; with ONNX Runtime and PyTorch where they are installed.

    PYTHONPATH=folder-of-the-module python3 tests/py_infer_test.py Page.test_fp16      one of these"""
import gc
import glob
import importlib.util
import itertools
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import types
import unittest
import warnings

import horus
import numpy as np

try:
    import onnxruntime as ort
except ImportError:
    ort = None
try:
    import torch
    torch.set_num_threads(1)  # others run beside
except ImportError:
    torch = None
HAS_YAML = importlib.util.find_spec("yaml") is not None
TRT = ort is not None and "TensorrtExecutionProvider" in ort.get_available_providers()
GPUS = torch.cuda.device_count() if torch is not None and torch.cuda.is_available() else 0
needs_ort = unittest.skipUnless(ort, "onnxruntime is not installed")
needs_torch = unittest.skipUnless(torch, "torch is not installed")
needs_yaml = unittest.skipUnless(HAS_YAML, "PyYAML is not installed")
FOLDER = tempfile.mkdtemp(prefix="horus-infer.")
names = (f"infer.{i}" for i in itertools.count())


def tearDownModule():
    shutil.rmtree(FOLDER, ignore_errors=True)


# ---- ONNX files, byte by byte

def number(n):
    n &= (1 << 64) - 1
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(k, v):
    """Of a protocol buffer: ints, floats, texts, bytes."""
    if isinstance(v, float):
        return number(k << 3 | 5) + struct.pack("<f", v)
    if isinstance(v, int):
        return number(k << 3) + number(v)
    v = v.encode() if isinstance(v, str) else v
    return number(k << 3 | 2) + number(len(v)) + v


def join(k, values):
    return b"".join(field(k, v) for v in values)


ELEMENTS = {"float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "text": 8, "bool": 9,
            "float16": 10, "float64": 11, "uint32": 12, "uint64": 13}


def value(name, dtype, shape):
    dims = join(1, [field(1, n) if isinstance(n, int) else field(2, n) for n in shape])
    return field(1, name) + field(2, field(1, field(1, ELEMENTS[dtype]) + field(2, dims)))


def node(op, takes, gives, **attributes):
    more = b""
    for k, v in attributes.items():
        more += field(5, field(1, k) + (field(3, v) + field(20, 2) if isinstance(v, int) else
                                        join(8, v) + field(20, 7)))
    return join(1, takes) + join(2, gives) + field(4, op) + more


def constant(name, a):
    return join(1, [int(n) for n in a.shape]) + field(2, ELEMENTS[a.dtype.name]) + field(8, name) + field(9, a.tobytes())


def onnx(nodes, takes, gives, constants=()):
    graph = join(1, nodes) + field(2, "g") + join(5, constants) + join(11, takes) + join(12, gives)
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 17))


def file_of(name, data):
    path = os.path.join(FOLDER, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def plus(outputs=1, inputs=1, dtype="float32", shape=(4,), name="plus.onnx"):
    """Output i is the sum of the inputs and i."""
    takes = [f"x{i}" for i in range(inputs)]
    nodes, last = [], takes[0]
    for i, t in enumerate(takes[1:]):
        nodes.append(node("Add", [last, t], [f"s{i}"]))
        last = f"s{i}"
    nodes += [node("Add", [last, f"c{i}"], [f"y{i}"]) for i in range(outputs)]
    return file_of(name, onnx(nodes, [value(t, dtype, shape) for t in takes],
                              [value(f"y{i}", dtype, shape) for i in range(outputs)],
                              [constant(f"c{i}", np.array(i, dtype)) for i in range(outputs)]))


def long_one(side=192, steps=2000, name="long.onnx"):
    """Takes seconds unless it is ended."""
    nodes = [node("MatMul", [f"x{i}", "w"], [f"x{i + 1}"]) for i in range(steps)]
    return file_of(name, onnx(nodes, [value("x0", "float32", [side, side])], [value(f"x{steps}", "float32", [side, side])],
                              [constant("w", np.eye(side, dtype=np.float32))]))


# ---- a back end of the test's own: gives the sum of what it takes, plus 0, 1, 2 ...

class Plus:
    loaded, closed, told = [], [], {}

    def __init__(self, how):
        self.how = how
        self.count, self.stop, self.seen = 0, threading.Event(), []
        if "broken" in how.path:
            raise RuntimeError("this file is broken\nin two lines")
        Plus.loaded.append(self)
        self.outputs = [(f"y{i}", None, None) for i in range(how.outputs)]

    def run(self, inputs, outputs):
        self.count += 1
        act = Plus.told.get(self.how.model)
        self.seen = [t.__array_interface__["data"][0] for t in inputs]
        if act:
            act(self, inputs, outputs)
        total = sum(t.to_numpy().astype("float64") for t in inputs)
        return [np.asarray(total + i, inputs[0].dtype) for i in range(self.how.outputs)]

    def abort(self, now):
        (self.stop.set if now else self.stop.clear)()

    def close(self):
        Plus.closed.append(self)


horus.register_backend("plus", Plus)
ANY = file_of("any.model", b"x")
BROKEN = file_of("broken.model", b"x")
F4 = np.arange(4, dtype=np.float32)


def params(count=1, backend="plus", path=ANY, **more):
    """Models m1, m2 ...: m_k takes a, gives b_k."""
    models = [f"m{i + 1}" for i in range(count)]
    return {"backend": backend, "model_path_map": dict.fromkeys(models, path),
            "pre_processor_map": dict.fromkeys(models, ["a"]),
            "inference_map": {m: ["b" + m[1:]] for m in models}, **more}


class Case(unittest.TestCase):
    def setUp(self):
        Plus.told = {}
        gc.collect()
        self.slots = horus.audit()["slots"]

    def refused(self, said, call, *args, **kw):
        """An error of ours, a ValueError, that says all of that, in this order."""
        with self.assertRaises(horus.InferenceError) as e:
            call(*args, **kw)
        self.assertIsInstance(e.exception, ValueError)
        self.assertIsInstance(e.exception, horus.Error)
        text, at = str(e.exception), 0
        for words in [said] if isinstance(said, str) else said:
            self.assertIn(words, text[at:], text)
            at = text.index(words, at) + len(words)
        return e.exception

    def same(self, got, want):
        self.assertEqual(set(got), set(want))
        for k, v in want.items():
            np.testing.assert_array_equal(got[k], v, k)
            self.assertEqual(got[k].dtype, np.asarray(v).dtype)


# ---- the documented parameter sets

def models(count, outputs=1):
    ids = [f"model_{i + 1}_unique_identifier" for i in range(count)]
    return {"model_path_map": {m: f"path_to_model_{i + 1}" for i, m in enumerate(ids)},
            "pre_processor_map": {m: [f"input_tensor_1_{m}"] for m in ids},
            "inference_map": {m: [f"output_tensor_{k + 1}_{m}" for k in range(outputs)] for m in ids}}


THREE = ("model_1_unique_identifier", "model_2_unique_identifier", "model_3_unique_identifier")
MIXED = dict(zip(THREE, ("trt", "torch", "torch")))
DEVICES = dict(zip(THREE, ("1", "0", "1")))
PAGE = {
    "parameter_specification": {"inference": {
        "backend": "trt", **models(3), "parallel_inference": True, "infer_on_cpu": False, "enable_fp16": False,
        "input_on_cuda": True, "output_on_cuda": True, "transmit_on_cuda": True, "is_engine_path": False}},
    "backend_map": {"backend_map": MIXED, **models(3)},
    "single_model_trt": {"backend": "trt", **models(1)},
    "multiple_outputs": {"backend": "trt", **models(1, 3)},
    "fp16": {"backend": "trt", **models(1, 3), "enable_fp16": True},
    "on_cpu": {"backend": "onnxrt", **models(1), "infer_on_cpu": True},
    "data_on_host": {"backend": "trt", **models(1), "input_on_cuda": False, "output_on_cuda": False},
    "transmission_via_host": {"backend": "trt", **models(1), "transmit_on_host": True},
    "multi_model": {"backend": "trt", **models(3)},
    "sequential": {"backend": "trt", **models(3), "parallel_inference": False},
    "multiple_backends": {"backend_map": MIXED, **models(3)},
    "multi_gpu": {"backend": "trt", "device_map": DEVICES, **models(3)},
    "multiple_backends_multi_gpu": {"backend_map": MIXED, "device_map": DEVICES, **models(3)},
}


def torch_plus(outputs, path):
    class Sum(torch.nn.Module):
        def forward(self, x):
            return tuple(x + i for i in range(outputs)) if outputs > 1 else x + 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Sum(), torch.zeros(4)).save(path)
    return path


class Page(Case):
    """Each set as it stands, then with real files: by its own back end where the machine has it, else up to the
    refusal, and by each other one that is there."""

    def with_files(self, given, backend):
        block = dict(given.get("inference", given))
        outputs = len(next(iter(block["inference_map"].values())))
        wanted = {m: backend or block.get("backend") or block["backend_map"][m] for m in block["model_path_map"]}
        ending = {"torch": ".pt", "plus": ".model"}
        block["model_path_map"] = {}
        for m, b in wanted.items():
            path = os.path.join(FOLDER, f"page{outputs}" + ending.get(b, ".onnx"))
            if b == "torch":
                torch_plus(outputs, path)
            elif b == "plus":
                path = ANY
            else:
                plus(outputs, name=os.path.basename(path))
            block["model_path_map"][m] = path
        if backend and "backend_map" in block:
            block["backend_map"] = wanted
        elif backend:
            block["backend"] = backend
        return block

    def run_it(self, block):
        given = {t: F4 + i for i, (t,) in enumerate(block["pre_processor_map"].values())}
        with horus.InferenceOp(block) as op:
            got = op.infer(given)
            want = {t: a + k for a, out in zip(given.values(), block["inference_map"].values())
                    for k, t in enumerate(out)}
            self.same(got, {t: np.float32(a) for t, a in want.items()})
            self.assertEqual([s["runs"] for s in op.stats().values()], [1] * len(given))
            return op.stats()

    def check(self, name):
        given = PAGE[name]
        block = given.get("inference", given)
        missing = [f"model_path_map: invalid file path for model {m}: \"{p}\": No such file or directory"
                   for m, p in block["model_path_map"].items()]
        told = horus.InferenceOp.check(given)
        self.assertEqual([t for t in told if t in missing], missing)  # the paths, and what their names should end with
        self.assertEqual([t for t in told if t not in missing and "files of back end" not in t], [])
        if HAS_YAML:
            path = file_of(name + ".yaml", json.dumps(given).encode())  # JSON is YAML
            self.assertEqual(horus.InferenceOp.check(path), told)
        own = set([block["backend"]] if "backend" in block else block["backend_map"].values())
        asks_gpu = "trt" in own or "device_map" in block
        if "onnxrt" in own and ort or (asks_gpu and TRT and GPUS > ("device_map" in block)):
            self.run_it(self.with_files(given, None))
        elif ort and (torch or "torch" not in own):
            said = ["device_map: " if own == {"torch"} else "trt needs a GPU", '"onnxrt" works']
            self.refused(said, horus.InferenceOp, self.with_files(given, None))
        for backend in ["plus"] + ["onnxrt"] * bool(ort) + ["torch"] * bool(torch):
            b = self.with_files(given, backend)
            for key in ("input_on_cuda", "output_on_cuda"):
                if b.get(key) is True and not (backend == "torch" and GPUS):
                    self.refused([key, "false works, or leave it out"], horus.InferenceOp, b)  # it was given: it does not adapt
                    b[key] = False
            if "device_map" in b and GPUS < 2:
                self.refused("device_map: ", horus.InferenceOp, b)
                del b["device_map"]
            with self.subTest(backend=backend):
                self.assertEqual({s["backend"] for s in self.run_it(b).values()}, {backend})

    @needs_yaml
    def test_the_page_in_its_own_words(self):
        text = """
other_operator:
  rate: 3
inference:
  backend: "plus"
  model_path_map:
    "model_1_unique_identifier": "PATH"
    "model_2_unique_identifier": "PATH"
  pre_processor_map:
    "model_1_unique_identifier": ["input_tensor_1_model_1_unique_identifier"]
    "model_2_unique_identifier": ["input_tensor_1_model_2_unique_identifier"]
  inference_map:
    "model_1_unique_identifier": ["output_tensor_1_model_1_unique_identifier"]
    "model_2_unique_identifier": ["output_tensor_1_model_2_unique_identifier"]
  parallel_inference: true
  temporal_map: {model_1_unique_identifier: 1, model_2_unique_identifier: "2"}
  activation_map: {model_1_unique_identifier: yes, model_2_unique_identifier: 1}
  infer_on_cpu: false
  enable_fp16: false
  transmit_on_cuda: true
  is_engine_path: false
  trt_opt_profile:
""".replace("PATH", ANY)
        path = file_of("app.yaml", text.encode())
        import pathlib
        import yaml
        whole = yaml.safe_load(text)
        for given in (path, pathlib.Path(path), path.encode(), whole, whole["inference"]):
            with horus.InferenceOp(given) as op:
                self.assertEqual([s["every"] for s in op.stats().values()], [1, 2])
        with horus.InferenceOp(path, temporal_map={"model_2_unique_identifier": 5}, enable_fp16=True) as op:
            self.assertEqual([s["every"] for s in op.stats().values()], [1, 5])


for page_name in PAGE:
    setattr(Page, "test_" + page_name, lambda self, name=page_name: self.check(name))


class Table(unittest.TestCase):
    def test_each_line_of_the_page_has_a_test(self):
        """examples/inference.md: all parameters and uses, and tests that there are."""
        here = os.path.dirname(os.path.abspath(__file__))
        with open(os.path.join(os.path.dirname(here), "examples", "inference.md")) as file:
            text = file.read()
        if HAS_YAML:  # its example lacks nothing but the files
            block, = re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)
            told = horus.InferenceOp.check(file_of("page.yaml", block.encode()))
            self.assertEqual([line.split(":")[1].strip() for line in told], ["invalid file path for model finder",
                                                                            "invalid file path for model reader"])
        told = re.findall(r"`py_infer_test (\w+)\.(\w+)`", text)
        for of, name in told:
            self.assertTrue(callable(getattr(globals().get(of), name, None)), (of, name))
        with open(os.path.join(here, "test_infer.c")) as file:
            tests = set(re.findall(r"^TEST\((\w+)\)", file.read(), re.M))
        self.assertEqual(set(re.findall(r"\| `([a-z0-9_]+)` \|$", text, re.M)) - tests, set())
        self.assertEqual({name[5:] for of, name in told if of == "Page"} - {"the_page_in_its_own_words"}, set(PAGE))
        rows = re.findall(r"^\| (\w+) \|.*\| `py_infer_test", text, re.M)
        self.assertEqual(sorted(rows), sorted(set(KNOWN)))


# ---- checks

KNOWN = ["backend", "backend_map", "model_path_map", "pre_processor_map", "inference_map", "in_tensor_names",
         "out_tensor_names", "temporal_map", "activation_map", "device_map", "dla_core_map", "trt_opt_profile", "infer_on_cpu",
         "enable_fp16", "is_engine_path", "dynamic_input_dims", "input_on_cuda", "output_on_cuda", "transmit_on_cuda",
         "transmit_on_host", "parallel_inference", "enable_cuda_graphs", "dla_gpu_fallback"]


class Checks(Case):
    """The documented ones; each says the parameter, and all are told at once."""

    def told(self, said, **change):
        given = {**params(2), **change}
        given = {k: v for k, v in given.items() if v != "leave out"}
        told = horus.InferenceOp.check(given)
        at = 0
        for words in said:
            while at < len(told) and words not in told[at]:
                at += 1
            self.assertLess(at, len(told), (words, told))
        self.refused(said, horus.InferenceOp, given)

    def test_good_ones_pass(self):
        self.assertEqual(horus.InferenceOp.check(params(2)), [])
        self.assertEqual(horus.InferenceOp.check(**params(2)), [])
        self.assertEqual(horus.InferenceOp.check(params=params(2)), [])
        more = dict(in_tensor_names=["a"], out_tensor_names=("b2",), temporal_map={"m1": 1, "m2": "1000000000"},
                    activation_map={"m1": False, "m2": "1"}, device_map={"m1": 0}, dla_core_map={"m1": 1},
                    trt_opt_profile={"m1": ["1", "2", 3]}, infer_on_cpu=1, enable_fp16="yes", is_engine_path=0,
                    dynamic_input_dims="False", input_on_cuda="0", output_on_cuda=False, transmit_on_cuda="on",
                    parallel_inference=np.float64(1), enable_cuda_graphs=True, dla_gpu_fallback=None)
        self.assertEqual(horus.InferenceOp.check(params(2), **more), [])

    def test_1_model_path_map_is_empty(self):
        for empty in ({}, None, "leave out"):
            self.told(["model_path_map is empty"], model_path_map=empty)

    def test_2_empty_key_of_model_path_map(self):
        self.told(["model_path_map: an entry has an empty key"], model_path_map={"": ANY, "m2": ANY})

    def test_3_invalid_file_path(self):
        self.told(['model_path_map: invalid file path for model m1: "/no/file": No such file'],
                  model_path_map={"m1": "/no/file", "m2": ANY})
        self.told(['invalid file path for model m1: "/tmp"'], model_path_map={"m1": "/tmp", "m2": ANY})

    def test_4_pre_processor_map_is_empty(self):
        for empty in ({}, None, "leave out"):
            self.told(["pre_processor_map is empty"], pre_processor_map=empty)

    def test_5_empty_vector_of_pre_processor_map(self):
        self.told(["pre_processor_map: the list of model m1 is empty"], pre_processor_map={"m1": [], "m2": ["a"]})

    def test_6_empty_key_or_entry_of_pre_processor_map(self):
        self.told(["pre_processor_map: the list of model m1 has an empty tensor's name", "an entry has an empty key"],
                  pre_processor_map={"m1": [""], "": ["a"]})

    def test_7_inference_map_is_empty(self):
        for empty in ({}, None, "leave out"):
            self.told(["inference_map is empty"], inference_map=empty)

    def test_8_empty_vector_key_or_entry_of_inference_map(self):
        self.told(["inference_map: the list of model m1 is empty"], inference_map={"m1": [], "m2": ["b"]})
        self.told(["inference_map: the list of model m1 has an empty", "inference_map: an entry has an empty key"],
                  inference_map={"m1": [None], "": ["a"]})

    def test_9_size_mismatch(self):
        self.told(["size mismatch: model_path_map has 2 models, pre_processor_map 1"], pre_processor_map={"m1": ["a"]})
        self.told(["size mismatch: model_path_map has 2 models, inference_map 1"], inference_map={"m1": ["a"]})

    def test_10_model_keyword_not_in_a_map(self):
        self.told(["model keyword: m2 is not in pre_processor_map", 'pre_processor_map: "m3" is no model', "did you mean"],
                  pre_processor_map={"m1": ["a"], "m3": ["a"]})
        self.told(["model keyword: m2 is not in inference_map"], inference_map={"m1": ["a"], "m3": ["b"]})

    def test_11_duplicate_input(self):
        self.told(['pre_processor_map: model m1 takes tensor "a" twice'], pre_processor_map={"m1": ["a", "a"], "m2": ["a"]})
        self.assertEqual(horus.InferenceOp.check({**params(2), "pre_processor_map": {"m1": ["a"], "m2": ["a"]}}), [])

    def test_12_in_tensor_names(self):
        self.told(['in_tensor_names: "aa" is not in pre_processor_map: did you mean "a"?',
                   'in_tensor_names: "a" is there twice'], in_tensor_names=["aa", "a", "a"])

    def test_13_duplicate_output_and_out_tensor_names(self):
        self.told(['inference_map: tensor "b" of model m2 is given by model m1'], inference_map={"m1": ["b"], "m2": ["b"]})
        self.told(['out_tensor_names: "bb" is not in inference_map', 'out_tensor_names: "b1" is there twice'],
                  out_tensor_names=["bb", "b1", "b1"])

    def test_keys_and_values_of_other_maps(self):
        self.told(['temporal_map: model m1: "0" is not a number of frames', 'temporal_map: model m2: "1.5"'],
                  temporal_map={"m1": 0, "m2": 1.5})
        self.told(['temporal_map: "m" is no model of model_path_map: did you mean "m1"?'], temporal_map={"m": 1})
        self.told(['activation_map: model m1: "2" is not "1" (active) or "0" (not)'], activation_map={"m1": 2})
        self.told(['activation_map: "n1" is no model'], activation_map={"n1": True})
        self.told(['device_map: model m1: "gpu" is not the number of a GPU', '"-1"'], device_map={"m1": "gpu", "m2": -1})
        self.told(['device_map: "m9" is no model'], device_map={"m9": 0})
        self.told(["dla_core_map: model m1"], dla_core_map={"m1": "x"})
        self.told(["trt_opt_profile: model m1 has 2 shapes, not 3"], trt_opt_profile={"m1": ["1", "2"]})

    def test_types(self):
        for key, wrong in (("temporal_map", [1]), ("model_path_map", "m1"), ("pre_processor_map", 5),
                           ("activation_map", True)):
            self.told([f"{key}: ", "is no map from models to values"], **{key: wrong})
        self.told(["temporal_map: model m1: [1] is no text or number"], temporal_map={"m1": [1]})
        self.told(["temporal_map: model m1: nan is no text"], temporal_map={"m1": float("nan")})
        self.told(["activation_map: model m1: <object", "is no text"], activation_map={"m1": object()})
        self.told(["pre_processor_map: model m1: {'a': 1} is no list of names"],
                  pre_processor_map={"m1": {"a": 1}, "m2": ["a"]})
        self.told(["pre_processor_map: model m1: ", "is no text"], pre_processor_map={"m1": ["\ud800"], "m2": ["a"]})
        self.told(["model_path_map: model m1: ", "is no text"], model_path_map={"m1": "a\0b", "m2": ANY})
        self.told(["model_path_map: model m1: ", "is no text"], model_path_map={"m1": b"bytes", "m2": ANY})
        self.told(["in_tensor_names: {1} is no list"], in_tensor_names={1})
        self.told(["infer_on_cpu: 'maybe' is neither true nor false"], infer_on_cpu="maybe")
        self.told(["input_on_cuda: 2 is neither"], input_on_cuda=2)
        self.told(["is_engine_path: [] is neither"], is_engine_path=[])
        self.told(["backend: ['onnxrt'] is no text"], backend=["onnxrt"])
        self.assertEqual(horus.InferenceOp.check(params(1, infer_on_cpu=np.True_, activation_map={"m1": np.False_},
                                                        temporal_map={"m1": np.int8(2)})), [])
        for wrong in (5, [1], None, object()):
            self.refused("is no dict of parameters, nor the path", horus.InferenceOp, wrong)

    def test_unknown_keys_have_the_nearest_known_name(self):
        self.told(["'modle_path_map' is no parameter: did you mean 'model_path_map'?"], modle_path_map={})
        self.told(["'transmit_on_cpu' is no parameter: did you mean 'transmit_on_"], transmit_on_cpu=True)
        self.told(["'' is no parameter"], **{"": 1})
        self.refused("'inputz' is no parameter", horus.InferenceOp, params(), inputz=1)

    def test_all_problems_are_told_in_their_order(self):
        told = horus.InferenceOp.check({"model_path_map": {"m1": "/no/file", "m2": ANY}, "what": 1,
                                        "pre_processor_map": {"m1": ["a", "a"]}, "inference_map": {"m1": ["b"], "m2": ["b"]},
                                        "temporal_map": {"m1": 0}, "out_tensor_names": ["c"]})
        words = ["'what' is no parameter", "invalid file path", "size mismatch", "not in pre_processor_map", "twice",
                 "given by model m1", "out_tensor_names", "neither backend nor backend_map", "temporal_map"]
        self.assertEqual(len(told), len(words), told)
        for line, word in zip(told, words):
            self.assertIn(word, line)

    def test_a_bare_name_is_a_list_of_one_with_a_warning(self):
        given = params(2)
        given["pre_processor_map"]["m1"] = "a"
        given["out_tensor_names"] = "b1"
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            op = horus.InferenceOp(given)
        self.assertEqual([str(w.message) for w in seen], ["pre_processor_map: model m1: 'a' is taken as a list of one name",
                                                          "out_tensor_names: 'b1' is taken as a list of one name"])
        self.assertEqual({w.filename for w in seen}, {__file__})
        self.same(op.infer({"a": F4}), {"b1": F4})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.assertRaises(UserWarning, horus.InferenceOp.check, given)

    def test_transmit_on_host(self):
        for host in (True, False, "true", 0):
            self.assertEqual(horus.InferenceOp.check(params(), transmit_on_host=host), [])
            horus.InferenceOp(params(), transmit_on_host=host).close()
            self.assertIs(Plus.loaded[-1].how.transmit_on_cuda, host in (False, 0))
        self.told(["transmit_on_host and transmit_on_cuda are both True"], transmit_on_host=True, transmit_on_cuda=True)
        self.assertEqual(horus.InferenceOp.check(params(), transmit_on_host=True, transmit_on_cuda=False), [])

    @needs_yaml
    def test_files_of_parameters(self):
        self.refused(["params: ", "/no/file.yaml", "cannot be read: No such file"], horus.InferenceOp, "/no/file.yaml")
        self.refused(["cannot be read: Is a directory"], horus.InferenceOp, FOLDER)
        for i, text in enumerate([b"a: [", b"\xff\xfe\x00", b"a: 2000-99-99", b"\x00", b"!!python/object:os.system {}",
                                  b"x: " + b"[" * 5000, b"{a: b: c}", b"*a"]):
            path = file_of("bad.yaml", text)
            with self.subTest(i):
                self.refused("params: ", horus.InferenceOp, path)
        for text in (b"", b"- 1", b"text", b"12", b"inference:\n  - 1\n", b"&a [*a]", b"&a {temporal_map: *a}",
                     b"? 0x" + b"f" * 4000 + b"\n: 1\n", b"infer_on_cpu: 0x" + b"f" * 4000):  # too long for a decimal number
            self.refused("", horus.InferenceOp, file_of("odd.yaml", text))

    def test_what_is_said_of_lists_of_lists_is_short(self):
        deep = ["x"] * 8
        for _ in range(9):
            deep = [deep] * 8  # as aliases of YAML make them: 8^10 words
        begin = time.monotonic()
        told = horus.InferenceOp.check(params(), in_tensor_names=[deep] * 500)
        self.assertLess(time.monotonic() - begin, 20)
        self.assertEqual(len(told), 500)
        self.assertLess(max(map(len, told)), 400)

    def test_a_name_that_is_there_many_times(self):
        told = horus.InferenceOp.check(params(), in_tensor_names=["a"] * 300)
        self.assertEqual(told, ['in_tensor_names: "a" is there twice'] * 299)

    @needs_yaml
    def test_damaged_files_of_parameters(self):
        """Seeded: whatever bytes are in the file, an error of ours or none at all."""
        seed = int(os.environ.get("FUZZ_SEED", 0)) or random.randrange(1 << 32)
        rng = random.Random(seed)
        good = json.dumps({"inference": params(2, temporal_map={"m1": 2}, infer_on_cpu=True)}, indent=1).encode()
        path, fine = os.path.join(FOLDER, "damaged.yaml"), 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for i in range(int(os.environ.get("ROUNDS", 3000)) // 5):
                data = bytearray(good)
                for _ in range(rng.randrange(1, 4)):
                    at = rng.randrange(len(data))
                    data[at:at + rng.randrange(3)] = rng.choice([bytes([rng.randrange(256)]), b"&a *a", b"[", b"{", b"}", b": ", b"\n-", b"",
                                                                b"!!set ", b"<<: ", b"0x", b"1e999", b"~", data[at:at + 9]])
                with open(path, "wb") as file:
                    file.write(data)
                try:
                    fine += horus.InferenceOp.check(path) == []
                    horus.InferenceOp(path).close()
                except horus.InferenceError:
                    pass
                except Exception as e:
                    raise AssertionError(f"FUZZ_SEED={seed}, round {i}: {type(e).__name__}: {e}") from e
        self.assertGreater(fine, 0)

    def test_without_pyyaml(self):
        code = ("import sys; sys.modules['yaml'] = None\nimport horus\n"
                "try:\n    horus.InferenceOp('x.yaml')\nexcept ImportError as e:\n    print(e)\n"
                f"print(horus.InferenceOp.check({params()!r}, backend='identity'))\n")
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        self.assertIn("needs PyYAML, which is not installed: pip install pyyaml", said.stdout, said.stderr)
        self.assertTrue(said.stdout.endswith("\n[]\n"), said.stdout)

    def test_any_values(self):
        """Seeded: whatever is given, an error of ours or none at all."""
        seed = int(os.environ.get("FUZZ_SEED", 0)) or random.randrange(1 << 32)
        rng = random.Random(seed)
        good = params(2)
        known = KNOWN + ["inference", "nothing"]

        def thing(depth=0):
            kind = rng.randrange(14 if depth < 4 else 10)
            if kind < 3:
                return rng.choice(["", "m1", "m2", "a", "b1", "add", "plus", ANY, "0", "1", "true", "\ud800", "\0", "x" * 70,
                                   "é" * 40, "\n", "trt", 10 ** 5000])
            if kind < 9:
                return rng.choice([None, True, False, 0, 1, -1, 2, 1.5, 1e400, float("nan"), 1 << 70, b"x", object(), (),
                                   np.int8(1), np.float32(2), np.zeros(2), range(2), {1}, 1j])
            if kind < 11:
                return [thing(depth + 1) for _ in range(rng.randrange(4))]
            return {rng.choice(["m1", "m2", "", 1, None, (1,), "\ud800", True]): thing(depth + 1)
                    for _ in range(rng.randrange(4))}
        rounds, made = int(os.environ.get("ROUNDS", 3000)), 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for i in range(rounds):
                given = dict(good)
                for _ in range(rng.randrange(1, 4)):
                    given[rng.choice(known)] = thing()
                if i % 7 == 0:
                    given = thing()
                try:
                    told = horus.InferenceOp.check(given)
                    self.assertTrue(all(isinstance(line, str) for line in told))
                    horus.InferenceOp(given).close()
                    made += 1
                    self.assertEqual(told, [], seed)
                except horus.InferenceError as e:
                    self.assertTrue(str(e), seed)
                except Exception as e:
                    if isinstance(e, ImportError) and not HAS_YAML:  # a text: the path of a file
                        continue
                    raise AssertionError(f"FUZZ_SEED={seed}, round {i}: {type(e).__name__}: {e}") from e
        self.assertGreater(made, rounds // 200)

    def test_own_arguments(self):
        op = horus.InferenceOp
        self.refused("inputs: \"z\" is not in pre_processor_map", op, params(), {next(names): "z"})
        for kw in (dict(wait=-1), dict(wait=True), dict(run_budget=0), dict(run_budget="1"), dict(threads=-1),
                   dict(threads=1025), dict(on_load=3), dict(pool=3), dict(inputs=5), dict(inputs=[None]), dict(inputs={next(names): 3}),
                   dict(output=5), dict(rate=0), dict(name=3), dict(name=""), dict(order="x"), dict(compute=True, on=next(names))):
            with self.subTest(kw), self.assertRaises((horus.Error, TypeError)):
                op(params(), **kw)
        self.assertRaises(TypeError, op, params(), None, None, None, None, None)
        self.assertRaises(TypeError, op, params(), params=params())
        self.refused("'tick' is no parameter", op, params(), tick=print)
        gc.collect()
        self.assertEqual(horus.audit()["slots"], self.slots)


# ---- set-up

class Setup(Case):
    """The documented cases of set-up."""

    def test_backend_or_backend_map(self):
        both = {**params(), "backend_map": {"m1": "plus"}}
        self.refused("backend and backend_map are both given", horus.InferenceOp, both)
        none = params()
        del none["backend"]
        self.refused("neither backend nor backend_map is given", horus.InferenceOp, none)
        self.refused("backend: \"pluss\" is no back end: did you mean \"plus\"?", horus.InferenceOp, params(backend="pluss"))
        self.refused("files of back end openvino end with .onnx .xml", horus.InferenceOp, params(backend="openvino"))
        self.refused("backend_map: model m1 has no back end", horus.InferenceOp, {**none, "backend_map": {"m2": "plus"}})
        self.refused("backend_map: \"m2\" is no model", horus.InferenceOp, {**none, "backend_map": {"m2": "plus"}})
        self.refused("backend_map: \"tensorrt\" is no back end", horus.InferenceOp,
                     {**none, "backend_map": {"m1": "tensorrt"}})
        with horus.InferenceOp({**params(2), "backend": None, "backend_map": {"m1": "plus", "m2": "identity"}}) as op:
            self.assertEqual([s["backend"] for s in op.stats().values()], ["plus", "identity"])

    def test_devices(self):
        for bad in ("gpu0", -1, "", 1.5, 5000):
            self.refused("device_map: model m1", horus.InferenceOp, params(device_map={"m1": bad}))
        self.refused("device_map: model m1: GPU 0: back end plus runs on the processor: leave it out",
                     horus.InferenceOp, params(device_map={"m1": 0}))
        self.refused("dla_core_map: model m1: back end plus has no DLA", horus.InferenceOp, params(dla_core_map={"m1": 0}))

    def test_explicit_placement_is_refused_and_what_was_not_given_adapts(self):
        for key in ("input_on_cuda", "output_on_cuda"):
            self.refused([f"{key}: model m1: back end plus", "false works, or leave it out"], horus.InferenceOp,
                         params(**{key: True}))
            horus.InferenceOp(params(**{key: False})).close()
        for value in (True, False):
            horus.InferenceOp(params(transmit_on_cuda=value, enable_cuda_graphs=value, dla_gpu_fallback=value)).close()
        horus.InferenceOp(params(2, infer_on_cpu=True), threads=3).close()
        how = Plus.loaded[-1].how
        self.assertEqual((how.infer_on_cpu, how.threads, how.input_on_cuda, how.transmit_on_cuda), (True, 3, None, None))
        horus.InferenceOp(params(enable_cuda_graphs=False, dla_gpu_fallback=1, dynamic_input_dims="on")).close()
        how = Plus.loaded[-1].how
        self.assertEqual((how.enable_cuda_graphs, how.dla_gpu_fallback, how.dynamic_input_dims), (False, True, True))

    def test_files_and_endings(self):
        file = plus()
        self.refused("trt runs on a GPU only", horus.InferenceOp, params(backend="trt", path=file, infer_on_cpu=True))
        for backend in ("onnxrt", "trt", "torch", "plus"):
            self.refused(f"is_engine_path: model m1: back end {backend} takes no engine files", horus.InferenceOp,
                         params(backend=backend, path=file, is_engine_path=True))
        self.refused("files of back end onnxrt end with .onnx .ort", horus.InferenceOp, params(backend="onnxrt", path=ANY))
        self.refused("files of back end torch end with .pt .pth .pt2", horus.InferenceOp, params(backend="torch", path=file))
        self.refused("files of back end trt end with .onnx", horus.InferenceOp, params(backend="trt", path=ANY))

    @unittest.skipIf(ort, "onnxruntime is installed")
    def test_without_onnxruntime(self):
        for backend in ("onnxrt", "trt"):
            e = self.refused(["backend: model m1: ", "onnxruntime is not installed: pip install onnxruntime"],
                             horus.InferenceOp, params(backend=backend, path=plus()))
            self.assertIsInstance(e, horus.UnsupportedError)

    @unittest.skipIf(torch, "torch is installed")
    def test_without_torch(self):
        self.refused(["backend: model m1: ", "torch is not installed: pip install torch"], horus.InferenceOp,
                     params(backend="torch", path=file_of("x.pt", b"x")))

    @needs_ort
    @unittest.skipIf(TRT, "this machine has TensorRT")
    def test_trt_is_refused_by_name_without_a_gpu(self):
        e = self.refused(["backend: model m1: back end trt cannot be used here: trt needs a GPU", '"onnxrt" works'],
                         horus.InferenceOp, params(backend="trt", path=plus(), enable_fp16=True, dla_core_map={"m1": 0},
                                                   trt_opt_profile={"m1": ["1", "2", "3"]}, enable_cuda_graphs=True,
                                                   dla_gpu_fallback=True))
        self.assertIsInstance(e, horus.UnsupportedError)
        self.assertIsInstance(e.__cause__, horus.UnsupportedError)

    @unittest.skipUnless(TRT and GPUS, "this machine has no GPU with TensorRT")
    def test_trt_keeps_its_engine_beside_the_model(self):
        given = params(backend="trt", path=plus(shape=("n", 4), name="profile.onnx"), enable_fp16=True,
                       trt_opt_profile={"m1": ["x0:1x4", "x0:2x4", "x0:8x4"]}, dynamic_input_dims=True)
        told, x = [], np.ones((2, 4), np.float32)
        for _ in range(2):
            with horus.InferenceOp(given, on_load=lambda model, text: told.append(text)) as op:
                self.same(op.infer({"a": x}), {"b1": x})
                self.assertEqual(op.stats()["m1"]["device"], "GPU 0")
        self.assertIn("an engine for GPU 0", told[1])
        self.assertIn("taken from", told[3])
        self.assertTrue(glob.glob(os.path.join(FOLDER, "profile.onnx.*.engines", "*.engine")))

    def test_trt_finds_an_engine_by_what_the_model_and_its_weights_hold(self):
        """With a runtime that only says what it was given."""
        class Stop(Exception):
            pass

        def session(path, options, providers):
            given.append(providers[0][1])
            raise Stop
        given, told = [], []
        fake = types.ModuleType("onnxruntime")
        fake.SessionOptions = types.SimpleNamespace
        fake.get_available_providers = lambda: ["TensorrtExecutionProvider"]
        fake.InferenceSession = session
        path = file_of("kept.onnx", b"\n\x08location\x12\x0ckept.weights")
        real = sys.modules.get("onnxruntime")
        sys.modules["onnxruntime"] = fake
        try:
            for weights in b"one", b"one", b"two", b"one", None, b"one":
                if weights:
                    file_of("kept.weights", weights)
                else:
                    path = file_of("kept.onnx", b"\n\x08location\x12\x0ckept.weights ")
                with self.assertRaises(horus.InferenceError) as e:
                    horus.InferenceOp(params(backend="trt", path=path), on_load=lambda model, text: told.append(text))
                self.assertIsInstance(e.exception.__cause__, Stop)
            os.mkdir(os.path.join(FOLDER, "x" * 200))
            deep = file_of(os.path.join("x" * 200, "y" * 240 + ".onnx"), b"x")  # no name is left for a folder
            self.assertRaises(horus.InferenceError, horus.InferenceOp, params(backend="trt", path=deep),
                              on_load=lambda model, text: told.append(text))
        finally:
            if real:
                sys.modules["onnxruntime"] = real
            else:
                del sys.modules["onnxruntime"]
        folders = [g.get("trt_engine_cache_path") for g in given]
        self.assertEqual([folders.index(f) for f in folders], [0, 0, 2, 0, 4, 4, 6])
        for f in folders[:6]:
            self.assertRegex(f, re.escape(path) + r"\.[0-9a-f]{16}\.engines$")
            self.assertTrue(os.path.isdir(f))
        self.assertEqual([g["trt_engine_cache_enable"] for g in given], ["1"] * 6 + ["0"])
        said = ["kept in", "taken from", "kept in", "taken from", "kept in", "taken from", "cannot be kept: "]
        self.assertEqual(len(told), 14)
        for words, text in zip(said, told[1::2]):
            self.assertIn(words, text)

    @needs_ort
    @unittest.skipIf(GPUS, "this machine has a GPU")
    def test_a_gpu_that_was_asked_for_is_refused_and_else_the_processor_serves(self):
        self.refused(["model m1: device_map: no GPU can be used", "Leave it out"], horus.InferenceOp,
                     params(backend="onnxrt", path=plus(), device_map={"m1": 1}))
        with horus.InferenceOp(params(backend="onnxrt", path=plus(), infer_on_cpu=False)) as op:
            self.assertEqual(op.stats()["m1"]["device"], "CPU")

    def test_openvino_is_that_of_the_installed_package(self):
        """Found where pip puts it; what OPENVINO_DYLIB_PATH names goes first. Here neither is one."""
        place = os.path.join(FOLDER, "packages", "openvino")
        os.makedirs(os.path.join(place, "libs"), exist_ok=True)
        for name in ("__init__.py", "libs/libopenvino_c.so.2541"):
            open(os.path.join(place, name), "w").close()
        code = ("import horus, sys\ntry: horus.InferenceOp(backend='openvino', model_path_map={'m': sys.argv[1]}, "
                "pre_processor_map={'m': ['a']}, inference_map={'m': ['b']})\n"
                "except horus.UnsupportedError as e: print(e)")
        for named in ("", "/no/such/library"):
            env = {**os.environ, "OPENVINO_DYLIB_PATH": named,
                   "PYTHONPATH": os.pathsep.join([os.path.dirname(place), os.environ.get("PYTHONPATH", "")])}
            said = subprocess.run([sys.executable, "-c", code, plus()], env=env, capture_output=True, text=True).stdout
            self.assertIn("its library cannot be loaded: " + (named or place + "/libs/libopenvino_c.so.2541"), said)

    @unittest.skipUnless(importlib.util.find_spec("openvino") or os.environ.get("OPENVINO_DYLIB_PATH"),
                         "openvino is not installed")
    @unittest.skipIf("libasan" in os.environ.get("LD_PRELOAD", ""), "OpenVINO's TBB does not go with AddressSanitizer")
    def test_openvino(self):
        with horus.InferenceOp(params(2, backend="openvino", path=plus())) as op:
            self.same(op.infer({"a": F4}), {"b1": F4, "b2": F4})
            self.assertEqual(op.stats()["m1"]["backend"], "openvino")

    @needs_ort
    def test_files_that_onnxruntime_does_not_take(self):
        with open(plus(), "rb") as file:
            good = file.read()
        for name, data in (("empty", b""), ("corrupt", good[:40] + b"\xff" * 40 + good[80:]), ("cut", good[:-30]),
                           ("text", b"not a model"), ("wrong", onnx([node("NoSuch", ["x"], ["y"])], [value("x", "float32", [1])],
                                                                    [value("y", "float32", [1])]))):
            path = file_of(name + ".onnx", data)
            with self.subTest(name):
                e = self.refused(["model_path_map: model m1: ", path[-20:], "cannot be loaded by onnxrt"],
                                 horus.InferenceOp, params(backend="onnxrt", path=path))
                self.assertIsInstance(e, horus.CorruptError)
                self.assertIsNotNone(e.__cause__)

    @needs_torch
    def test_files_that_torch_does_not_take(self):
        state = os.path.join(FOLDER, "state.pth")
        torch.save({"w": torch.zeros(3)}, state)
        with open(torch_plus(1, os.path.join(FOLDER, "whole.pt")), "rb") as file:
            good = file.read()
        for path in (state, file_of("empty.pt", b""), file_of("text.pt", b"no"), file_of("cut.pt", good[:len(good) // 2]),
                     file_of("cut.pt2", good[:50])):
            self.refused(["model_path_map: model m1: ", "cannot be loaded by torch"], horus.InferenceOp,
                         params(backend="torch", path=path))

    @needs_ort
    def test_numbers_of_tensors(self):
        given = params(backend="onnxrt", path=plus(2, 2, name="two.onnx"))
        self.refused(["pre_processor_map: model m1 takes 2 tensors (x0, x1), and 1 are named", "inference_map: model m1 "
                      "gives 2 tensors (y0, y1), and 1 are named"], horus.InferenceOp, given)
        given["pre_processor_map"]["m1"] = ["a", "b", "c"]
        self.refused("takes 2 tensors (x0, x1), and 3 are named", horus.InferenceOp, given)

    @needs_ort
    def test_unsupported_dtypes_and_ranks(self):
        text = file_of("text.onnx", onnx([node("Identity", ["x"], ["y"])], [value("x", "text", [1])], [value("y", "text", [1])]))
        e = self.refused(["pre_processor_map: model m1, tensor a (x): dtype 'string' is none of"], horus.InferenceOp,
                         params(backend="onnxrt", path=text))
        self.assertIsInstance(e, TypeError)
        nine = plus(shape=(1,) * 9, name="nine.onnx")
        self.refused("9 dimensions, tensors have 8 at most", horus.InferenceOp, params(backend="onnxrt", path=nine))

    def test_a_back_end_that_fails_to_load(self):
        e = self.refused("model m1: ", horus.InferenceOp, params(path=BROKEN))
        self.assertIn("RuntimeError: this file is broken in two lines", str(e))
        self.assertIsInstance(e.__cause__, RuntimeError)
        self.assertIsInstance(e, horus.CorruptError)
        before = len(Plus.closed)
        given = params(2)
        given["model_path_map"]["m2"] = BROKEN
        self.refused("model m2: ", horus.InferenceOp, given)
        self.assertEqual(len(Plus.closed), before + 1)  # what was loaded is let go of

    def test_what_is_told_before_it_is_loaded(self):
        told = []
        op = horus.InferenceOp(params(2), on_load=lambda model, text: told.append((model, text)))
        self.assertEqual(told, [("m1", ANY), ("m2", ANY)])
        Plus.loaded[-1].how.announce("an engine is built")
        self.assertEqual(told[-1], ("m2", "an engine is built"))
        how = Plus.loaded[-1].how
        self.assertEqual((how.model, how.path, how.inputs, how.outputs, how.models, how.device, how.profile),
                         ("m2", ANY, 1, 1, 2, None, None))
        self.assertEqual((how.infer_on_cpu, how.enable_fp16, how.input_on_cuda), (False, False, None))
        op.close()

    def test_made_once(self):
        op = horus.InferenceOp(params())
        self.assertRaises(horus.BusyError, op.__init__, params())
        self.same(op.infer({"a": F4}), {"b1": F4})
        op.close()
        op.close()
        for call in (lambda: op.infer({"a": F4}), lambda: op.get("b1"), op.tick, op.init, op.stats, lambda: op.age("b1"),
                     lambda: op.set_active("m1", True), op.__enter__):
            self.assertRaises(horus.ClosedError, call)


# ---- back ends of one's own

class BackEnds(Case):
    def test_registration(self):
        self.refused("there is a back end plus", horus.register_backend, "plus", Plus)
        for name in ("onnxrt", "trt", "torch"):
            self.refused(f"there is a back end {name}", horus.register_backend, name, Plus)
        self.refused("a back end needs a name", horus.register_backend, "", Plus)
        self.refused("a back end needs a name", horus.register_backend, "n" * 32, Plus)
        self.assertRaises(TypeError, horus.register_backend, "x")
        self.assertRaises(TypeError, horus.register_backend, "x", 3)
        self.assertRaises(TypeError, horus.register_backend, "x", Plus, probe=3)
        self.assertRaises(TypeError, horus.register_backend, "x", Plus, extensions=3)

    def test_threads_that_begin_together(self):
        """The module's own are registered when the first operator of a process is made: once."""
        code = ("import sys, threading, horus\nsys.setswitchinterval(1e-6)\nbarrier, said = threading.Barrier(8), []\n"
                "def first():\n barrier.wait()\n said.append(horus.InferenceOp.check(backend='torch')[0])\n"
                "threads = [threading.Thread(target=first) for _ in range(8)]\n"
                "for t in threads: t.start()\nfor t in threads: t.join()\n"
                "print(len(said), *set(said))")
        for _ in range(5):
            ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            self.assertEqual(ran.stdout[:26], "8 model_path_map is empty:", ran.stderr)

    def test_what_it_says_of_itself(self):
        class Net:
            inputs = [("left", "float32", (None, 3)), ("right", None, None)]
            outputs = [("sum", "float32", [2, 3])]

            def __init__(self, how):
                pass

            def run(self, inputs, outputs):
                out = outputs[0].to_numpy()
                out[:] = inputs[0].to_numpy() * 2
        horus.register_backend("net", Net, extensions=[".net", ".model"], probe=lambda how: None)
        given = {"backend": "net", "model_path_map": {"m": ANY}, "pre_processor_map": {"m": ["l", "r"]},
                 "inference_map": {"m": ["s"]}}
        with horus.InferenceOp(given) as op:
            self.assertEqual(op.stats()["m"]["inputs"], [("left", "l", "float32", (None, 3)), ("right", "r", None, None)])
            self.assertEqual(op.stats()["m"]["outputs"], [("sum", "s", "float32", (2, 3))])
            x = np.ones((2, 3), np.float32)
            self.same(op.infer({"l": x, "r": np.zeros(7, np.int8)}), {"s": x * 2})
            self.refused("model m takes \"l\" as 2 x 3 float32, it is 2 x 3 float64", op.infer, {"l": x.astype(float), "r": x})
            self.refused('model m takes "l"', op.infer, {"l": np.ones((2, 4), np.float32), "r": x})
        self.refused("takes 2 tensors (left, right), and 1 are named", horus.InferenceOp,
                     {**given, "pre_processor_map": {"m": ["l"]}})
        self.refused("files of back end net end with .net .model", horus.InferenceOp,
                     {**given, "model_path_map": {"m": plus()}})

    def test_it_may_refuse(self):
        def probe(how):
            raise horus.UnsupportedError(f"no licence for {how.model}")
        horus.register_backend("shy", Plus, probe=probe)
        e = self.refused("backend: model m1: back end shy cannot be used here: no licence for m1", horus.InferenceOp,
                         params(backend="shy"))
        self.assertIsInstance(e, horus.UnsupportedError)

    def test_what_it_gives_is_checked(self):
        results = {"none": None, "few": [], "many": [F4, F4], "number": 5, "text": ["x"], "object": [object()],
                   "dict": {"a": 1}}

        class Odd:
            outputs = [("y", "float32", (4,))]

            def __init__(self, how):
                self.model = how.model

            def run(self, inputs, outputs):
                return results[self.model]
        horus.register_backend("odd", Odd)
        for name in results:
            given = {"backend": "odd", "model_path_map": {name: ANY}, "pre_processor_map": {name: ["a"]},
                     "inference_map": {name: ["b"]}}
            with self.subTest(name), horus.InferenceOp(given) as op:
                if name == "none":  # it says that it wrote
                    self.assertEqual(set(op.infer({"a": F4})), {"b"})
                else:
                    self.refused(f"model {name}: ", op.infer, {"a": F4})
        results["wrong shape"] = [np.zeros(3, np.float32)]
        results["wrong dtype"] = [np.zeros(4)]
        results["array"] = [F4]
        results["frame"] = [horus.Tensor.from_numpy(F4)]
        results["list"] = [[1.0, 2.0, 3.0, 4.0]]
        for name, said in (("wrong shape", "output 0 is 3 float32, not 4 float32"),
                           ("wrong dtype", "output 0 is 4 float64, not 4 float32"), ("list", "float64, not 4 float32")):
            given = {"backend": "odd", "model_path_map": {name: ANY}, "pre_processor_map": {name: ["a"]},
                     "inference_map": {name: ["b"]}}
            self.refused(said, horus.InferenceOp(given).infer, {"a": F4})
        for name in ("array", "frame"):
            given = {"backend": "odd", "model_path_map": {name: ANY}, "pre_processor_map": {name: ["a"]},
                     "inference_map": {name: ["b"]}}
            self.same(horus.InferenceOp(given).infer({"a": F4}), {"b": F4})

    def test_bad_descriptions(self):
        class Bad:
            def __init__(self, how):
                self.inputs = inputs

            def run(self, inputs, outputs):
                pass
        horus.register_backend("bad", Bad)
        for inputs in ([("x",)], [("x", "floaty", None)], [(3, None, None)], [("x", None, 5)], [("x", None, (1,) * 9)],
                       [("x", None, ("n",))], [5], 5, []):
            with self.subTest(inputs):
                self.refused("pre_processor_map: model m1", horus.InferenceOp, params(backend="bad"))
        class Raises:
            run = print

            @property
            def outputs(self):
                raise RuntimeError("no list of them")
        horus.register_backend("raises", lambda how: Raises())
        self.refused(["inference_map: model m1", "RuntimeError: no list of them"], horus.InferenceOp, params(backend="raises"))
        horus.register_backend("empty", lambda how: object())
        self.refused("model_path_map: model m1: ", horus.InferenceOp, params(backend="empty"))

    def test_frames_that_it_gives(self):
        """Fresh ones are sent as they are; what is given twice, or was sent, or is a part, is copied."""
        same = horus.Tensor.from_numpy(F4)
        big = horus.Tensor.from_numpy(np.arange(8, dtype=np.float32))

        class Gives:
            def __init__(self, how):
                pass

            def run(self, inputs, outputs):
                return [same, same, inputs[0], big.slice(4, 8)]
        horus.register_backend("gives", Gives)
        with horus.InferenceOp(params(backend="gives", inference_map={"m1": ["p", "q", "r", "s"]})) as op:
            address = same.to_numpy().ctypes.data
            for i in range(3):
                got = op.infer({"a": F4 + i})
                self.same(got, {"p": F4, "q": F4, "r": F4 + i, "s": F4 + 4})
                at = [a.ctypes.data for a in got.values()]
                self.assertEqual(len(set(at)), 4)
                self.assertEqual([a == address for a in at], [i == 0, False, False, False])
                self.assertEqual([op.get(n).frame_id for n in got], list(got))
            self.assertTrue(same.readonly)
            self.assertFalse(big.readonly)

    def test_what_it_keeps_stays_valid(self):
        kept = []
        Plus.told["m1"] = lambda m, inputs, outputs: kept.append((inputs[0], inputs[0].to_numpy()))
        op = horus.InferenceOp(params())
        a = np.arange(1 << 16, dtype=np.float32)
        op.infer({"a": a})
        del a
        gc.collect()
        junk = [np.full(1 << 16, 7, np.float32) for _ in range(50)]
        tensor, array = kept[0]
        self.assertTrue((array == np.arange(1 << 16)).all() and (tensor.to_numpy() == np.arange(1 << 16)).all())
        self.assertFalse(array.flags.writeable)
        self.assertRaises(horus.ReadOnlyError, tensor.fill if hasattr(tensor, "fill") else lambda v: tensor.__setitem__(0, v), 1)
        del junk

    def test_a_model_goes_with_its_operator(self):
        before = len(Plus.closed)
        op = horus.InferenceOp(params(2))
        op.infer({"a": F4})
        result = op.get("b1")
        del op
        gc.collect()
        self.assertEqual(len(Plus.closed), before + 2)
        np.testing.assert_array_equal(result.to_numpy(), F4)  # what was handed out stays
        Plus.loaded.clear()


# ---- running

class Running(Case):
    def test_what_goes_in(self):
        """Contiguous arrays and frames are read where they lie."""
        op = horus.InferenceOp(params())
        op.infer({"a": F4})
        model = Plus.loaded[-1]
        self.assertEqual(model.seen, [F4.ctypes.data])
        frame = horus.Tensor.from_numpy(F4)
        op.infer({"a": frame})
        self.assertEqual(model.seen, [frame.to_numpy().ctypes.data])
        self.same(op.infer({"a": F4[::2]}), {"b1": F4[::2]})
        self.same(op.infer({"a": F4[::-1]}), {"b1": F4[::-1]})
        self.same(op.infer({"a": np.asfortranarray(np.arange(6.).reshape(2, 3))}), {"b1": np.arange(6.).reshape(2, 3)})
        self.same(op.infer({"a": F4.astype(">f4")}), {"b1": F4})
        self.same(op.infer({"a": [1, 2]}), {"b1": np.array([1, 2])})
        self.same(op.infer({"a": bytearray(b"\1\2")}), {"b1": np.array([1, 2], np.uint8)})
        self.same(op.infer({"a": horus.Image(2, 3)}), {"b1": np.zeros((2, 3, 3), np.uint8)})
        read_only = F4.copy()
        read_only.setflags(write=False)
        self.same(op.infer({"a": read_only}), {"b1": F4})
        if torch:
            self.same(op.infer({"a": torch.ones(3, requires_grad=True)}), {"b1": np.ones(3, np.float32)})
        for bad in ({"a": object()}, {"a": "text"}, {"a": None}, {3: F4}, {"a": np.ma.masked_array([1.])}, F4, None, [("a", F4)]):
            with self.subTest(repr(bad)), self.assertRaises((horus.Error, TypeError)):
                op.infer(bad)
        for bad in (None, "text", np.ma.masked_array([1.]), F4.astype(complex)):  # and it is said which one it was
            with self.subTest(repr(bad)), self.assertRaisesRegex(horus.Error, '^tensor "a": '):
                op.infer({"a": bad})
        for call in (op.get, op.age, lambda n: op.infer({n: F4}), lambda n: op.set_active(n, False)):
            for bad, error in ((3, horus.MessageTypeError), ("a\0b", ValueError), ("b1\0b", ValueError), ("m1\0b", ValueError),
                               ("\ud800", ValueError)):
                with self.subTest(repr(bad)), self.assertRaises(error) as e:
                    call(bad)
                self.assertIsInstance(e.exception, horus.Error)
        released = horus.Tensor([4])
        released.release()
        self.assertRaises(horus.ClosedError, op.infer, {"a": released})
        self.same(op.infer({"a": F4}), {"b1": F4})  # nothing of that is left
        op.close()

    def test_what_comes_out_is_read_only_pool_memory(self):
        op = horus.InferenceOp(params())
        first = op.infer({"a": F4})["b1"]
        self.assertFalse(first.flags.writeable)
        with self.assertRaises(ValueError):
            first.setflags(write=True)
        op.infer({"a": F4 + 1})
        np.testing.assert_array_equal(first, F4)  # held: never written again
        self.assertTrue(op.get("b1").readonly)
        np.testing.assert_array_equal(op.get("b1").to_numpy(), F4 + 1)
        self.refused('no model gives "b2": did you mean "b1"?', op.get, "b2")
        self.refused('no model gives "z"', op.age, "z")
        self.assertRaises(TypeError, op.get, 3)
        self.assertRaises(TypeError, op.age, 3)
        del first
        op.close()

    def test_missing_and_unknown_tensors(self):
        op = horus.InferenceOp({**params(2), "pre_processor_map": {"m1": ["a"], "m2": ["a", "c"]}})
        e = self.refused('model m2: tensor "c" is missing', op.infer, {"a": F4})
        self.assertIsInstance(e, horus.NotFoundError)
        np.testing.assert_array_equal(op.get("b1").to_numpy(), F4)  # the other one has run
        self.refused('no model takes "d": did you mean', op.infer, {"a": F4, "d": F4})
        self.refused(['model m1: tensor "a" is missing', 'model m2: tensor "a" is missing'], op.infer, {})  # nothing is left
        self.same(op.infer({"a": F4, "c": F4}), {"b1": F4, "b2": F4 * 2})
        self.refused("empty", op.infer, {"a": np.zeros((0, 4), np.float32), "c": F4})

    def test_nan_goes_in_and_comes_out(self):
        bad = np.array([np.nan, np.inf, -np.inf, 1], np.float32)
        for backend, path in [("plus", ANY), ("identity", ANY)] + [("onnxrt", plus())] * bool(ort):
            with horus.InferenceOp(params(backend=backend, path=path)) as op:
                self.same(op.infer({"a": bad}), {"b1": bad})

    def test_a_failing_model_is_named_and_the_others_go_on(self):
        class Odd(Exception):
            pass

        def fail(m, inputs, outputs):
            raise Odd("ünglücklich " + "x" * 300)
        Plus.told["m2"] = fail
        op = horus.InferenceOp(params(3, parallel_inference=True), name="eyes")
        e = self.refused(["operator eyes: ", "model m2: ", "Odd: ünglücklich"], op.infer, {"a": F4})
        self.assertIsInstance(e.__cause__, Odd)
        self.assertIsInstance(e, horus.SystemError)
        self.assertEqual([op.get(f"b{i}") is None for i in (1, 2, 3)], [False, True, False])
        Plus.told["m1"] = fail
        self.refused(["model m1: ", "; model m2: "], op.infer, {"a": F4 + 1})
        np.testing.assert_array_equal(op.get("b3").to_numpy(), F4 + 1)
        self.assertEqual([(s["runs"], s["failures"]) for s in op.stats().values()], [(1, 1), (0, 2), (2, 0)])
        Plus.told = {}
        self.same(op.infer({"a": F4}), {"b1": F4, "b2": F4, "b3": F4})
        op.close()
        op = horus.InferenceOp(params(3, parallel_inference=False))
        Plus.told["m2"] = fail
        self.refused("model m2: ", op.infer, {"a": F4})
        self.assertEqual([s["runs"] for s in op.stats().values()], [1, 0, 0])  # in sequence it ends there

    def test_parallel_and_sequential(self):
        def meet(m, inputs, outputs):
            together.wait(20 if parallel else 0.2)
        for parallel in (True, False):
            together = threading.Barrier(3)
            Plus.told = dict.fromkeys(["m1", "m2", "m3"], meet)
            with horus.InferenceOp(params(3, parallel_inference=parallel)) as op:
                if parallel:
                    self.same(op.infer({"a": F4}), {f"b{i}": F4 for i in (1, 2, 3)})
                else:
                    self.assertIsInstance(self.refused("model m1: ", op.infer, {"a": F4}).__cause__,
                                          threading.BrokenBarrierError)

    def test_two_operators_side_by_side(self):
        meet = threading.Barrier(2)
        Plus.told["m1"] = lambda m, inputs, outputs: meet.wait(20)
        ops = [horus.InferenceOp(params(), name=f"side{i}") for i in (1, 2)]
        got = {}
        threads = [threading.Thread(target=lambda op=op: got.update({op.name: op.infer({"a": F4})})) for op in ops]
        [t.start() for t in threads]
        [t.join(30) for t in threads]
        self.assertEqual(set(got), {"side1", "side2"})
        [op.close() for op in ops]

    def test_one_call_at_a_time(self):
        op, inside, go_on = horus.InferenceOp(params()), threading.Event(), threading.Event()

        def act(m, inputs, outputs):
            inside.set()
            go_on.wait(20)
            for call in (lambda: op.infer({"a": F4}), op.tick, op.close, op.init):
                try:
                    call()
                except horus.BusyError:
                    refused.append(True)
        refused = []
        Plus.told["m1"] = act
        thread = threading.Thread(target=op.infer, args=({"a": F4},))
        thread.start()
        self.assertTrue(inside.wait(20))
        self.assertRaises(horus.BusyError, op.infer, {"a": F4})
        self.assertRaises(horus.BusyError, op.close)
        self.assertIsNone(op.get("b1"))  # these may be asked meanwhile
        self.assertEqual(op.stats()["m1"]["runs"], 0)
        op.set_active("m1", True)
        go_on.set()
        thread.join(20)
        self.assertEqual(refused, [True] * 4)
        op.close()

    def test_temporal(self):
        """n runs on frames 1, n+1, 2n+1; between them the last result stays."""
        op = horus.InferenceOp(params(3, temporal_map={"m2": "2", "m3": 3}))
        for frame in range(1, 8):
            got = op.infer({"a": F4 + frame})
            last = {"b1": frame, "b2": frame - (frame - 1) % 2, "b3": frame - (frame - 1) % 3}
            self.same(got, {k: F4 + v for k, v in last.items()})
            self.assertEqual({k: op.age(k) for k in last}, {k: frame - v for k, v in last.items()})
        self.assertEqual([s["runs"] for s in op.stats().values()], [7, 4, 3])
        self.assertEqual([s["every"] for s in op.stats().values()], [1, 2, 3])

    def test_activation(self):
        """Three models over 7 frames: one always on, one off in frames 3 to 5, one off from the start and on at 4."""
        for backend, path in [("plus", ANY)] + [("onnxrt", plus())] * bool(ort):
            op = horus.InferenceOp(params(3, backend=backend, path=path, activation_map={"m2": True, "m3": 0}))
            self.assertEqual([s["active"] for s in op.stats().values()], [True, True, False])
            for frame in range(1, 8):
                if frame in (3, 6):
                    op.set_active("m2", frame == 6)
                if frame == 4:
                    op.set_active("m3", 1)
                want = {"b1": frame, "b2": 2 if 3 <= frame <= 5 else frame, "b3": frame}
                if frame < 4:
                    del want["b3"]
                self.same(op.infer({"a": F4 + frame}), {k: F4 + v for k, v in want.items()})
                self.assertEqual(op.age("b3"), None if frame < 4 else 0)
            self.assertEqual([s["runs"] for s in op.stats().values()], [7, 4, 4])
            self.refused('"m" is no model: did you mean "m1"?', op.set_active, "m", True)
            self.assertRaises(TypeError, op.set_active, 1, True)
            op.close()

    def test_activation_and_temporal_by_topics(self):
        """The same by messages: what is sent again is the same frame, and the status says its age."""
        camera, out, control, status = [next(names) for _ in range(4)]
        send, results = horus.Topic(horus.Tensor, name=camera), horus.Topic(horus.Tensor, name=out)
        say, seen = horus.Topic(horus.InferActivation, name=control), horus.Topic(horus.InferStatus, name=status)
        op = horus.InferenceOp(params(3, temporal_map={"m2": 2}, activation_map={"m3": 0}), camera, out, status, control)
        self.assertEqual((op.subscribers(), op.publishers()), ([camera, control], [out, status]))
        for frame in range(1, 8):
            if frame == 4:
                say.send(horus.InferActivation(model="m3", active=1))
            if frame in (5, 6):
                say.send({"model": "m1", "active": frame - 5})
            send.send(horus.Tensor.from_numpy(F4 + frame))
            self.assertTrue(op.tick())
            got = {t.frame_id: t.to_numpy()[0] for t in results.recv_all()}
            ages = {"b1": 1 if frame == 5 else 0, "b2": (frame - 1) % 2, "b3": 0}
            if frame < 4:
                del ages["b3"]
            self.assertEqual(got, {k: frame - v for k, v in ages.items()})
            s = seen.recv()
            self.assertEqual((s.frame, len(s.outputs)), (frame, 3))
            self.assertEqual({o.tensor: o.age_frames for o in s.outputs}, {"b3": (1 << 64) - 1, **ages})
            self.assertEqual([o.active for o in s.outputs], [frame != 5, True, frame >= 4])
        self.assertFalse(op.tick())  # nothing came
        say.send({"model": "m7", "active": 1})
        self.refused('activation: "m7" is no model: did you mean', op.tick)
        say.send({"model": "m1", "active": 2})
        self.refused("activation: model m1: 2 is not 1 (active) or 0 (not)", op.tick)
        self.assertEqual([s["resent"] for s in op.stats().values()], [1, 3, 0])
        op.close()

    def test_out_tensor_names_says_what_is_sent(self):
        camera, out = next(names), next(names)
        send, results = horus.Topic(horus.Tensor, name=camera), horus.Topic("Tensor", name=out)
        with horus.InferenceOp(params(3, out_tensor_names=["b3", "b1"]), [camera], out) as op:
            send.send(horus.Tensor.from_numpy(F4))
            op.tick()
            self.assertEqual([t.frame_id for t in results.recv_all()], ["b3", "b1"])
            self.assertEqual(list(op.infer({"a": F4})), ["b3", "b1"])
            self.assertIsNotNone(op.get("b2"))

    def test_budget(self):
        """A model that is over its budget is told to end; the others go on."""
        def slow(m, inputs, outputs):
            if m.stop.wait(20):
                raise RuntimeError("I was told to end")
        Plus.told["m2"] = slow
        op = horus.InferenceOp(params(3, parallel_inference=True), run_budget=0.05)
        e = self.refused(["model m2: aborted after", "us: budget_ns is 50000000"], op.infer, {"a": F4})
        self.assertIsInstance(e, horus.LimitError)
        np.testing.assert_array_equal(op.get("b3").to_numpy(), F4)
        self.assertIsNone(op.get("b2"))
        self.assertEqual([s["aborts"] for s in op.stats().values()], [0, 1, 0])
        Plus.told = {}
        self.same(op.infer({"a": F4}), {"b1": F4, "b2": F4, "b3": F4})  # it runs again
        op.close()

    @needs_ort
    def test_budget_of_onnxruntime(self):
        given = params(2, backend="onnxrt", path=long_one(steps=8000, name="longer.onnx"), parallel_inference=True)
        given["model_path_map"]["m1"] = plus(shape=(192, 192), name="square.onnx")
        x = np.eye(192, dtype=np.float32)
        with horus.InferenceOp(given, run_budget=0.1, threads=1) as op:
            for aborts in (1, 2):
                e = self.refused(["model m2: aborted after", "budget_ns is 100000000"], op.infer, {"a": x})
                self.assertIsInstance(e, horus.LimitError)
                np.testing.assert_array_equal(op.get("b1").to_numpy(), x)
                self.assertEqual(op.stats()["m2"]["aborts"], aborts)
        given["model_path_map"]["m2"] = long_one(steps=10, name="short.onnx")
        with horus.InferenceOp(given, run_budget=60) as op:
            self.same(op.infer({"a": x}), {"b1": x, "b2": x})

    @needs_ort
    def test_the_lock_is_free_while_onnxruntime_runs(self):
        with horus.InferenceOp(params(backend="onnxrt", path=long_one()), threads=1) as op:
            done, count = [], 0
            thread = threading.Thread(target=lambda: done.append(op.infer({"a": np.eye(192, dtype=np.float32)})))
            thread.start()
            while thread.is_alive():
                count += 1
            thread.join()
            self.assertEqual(len(done), 1)
            self.assertGreater(count, 1000)

    def test_interrupts_go_through(self):
        def stop(m, inputs, outputs):
            raise error
        Plus.told["m1"] = stop
        op = horus.InferenceOp(params())
        for error in (KeyboardInterrupt(), SystemExit(3)):
            self.assertRaises(type(error), op.infer, {"a": F4})
        Plus.told = {}
        self.same(op.infer({"a": F4}), {"b1": F4})

    def test_every_allocation_may_fail(self):
        try:
            import _testcapi as api
        except ImportError:
            self.skipTest("_testcapi is not in this Python")

        class Same:  # makes no functions: from 3.12 on the interpreter dies where memory for one is missing
            def __init__(self, how):
                pass

            def run(self, inputs, outputs):
                return [inputs[0].to_numpy()]
        horus.register_backend("same", Same)
        given = params(2, backend="same", temporal_map={"m1": 1})
        op = horus.InferenceOp(params(backend="same"), name="first")
        wrong = {**given, "temporal_map": {"m1": 0}, "what": 1}
        ways = {"make": lambda: horus.InferenceOp(given, "nomemory.in", "nomemory.out").close(),
                "infer": lambda: op.infer({"a": F4}), "of a list": lambda: op.infer({"a": [1, 2]}), "stats": op.stats,
                "get": lambda: op.get("b1"), "check": lambda: horus.InferenceOp.check(wrong)}
        hook, sys.unraisablehook = sys.unraisablehook, lambda u: None
        try:
            for name, way in ways.items():
                way()
                failed, good = 0, 0
                for n in range(0, 3000):
                    try:
                        api.set_nomemory(n, n + 1)
                        try:
                            way()
                        finally:
                            api.remove_mem_hooks()
                        good += 1
                        if good > 20:
                            break
                    except (MemoryError, horus.InferenceError):
                        failed, good = failed + 1, 0
                self.assertGreater(failed, 0 if name == "get" else 10, name)
                self.assertGreater(good, 20, name)
        finally:
            sys.unraisablehook = hook
        self.same(op.infer({"a": F4}), {"b1": F4})
        self.assertEqual(len(ways["check"]()), 2)
        op.close()
        gc.collect()
        self.assertTrue(horus.audit()["balanced"])

    def test_stats(self):
        op = horus.InferenceOp(params(2))
        for _ in range(3):
            op.infer({"a": F4})
        s = op.stats()
        self.assertEqual(list(s), ["m1", "m2"])
        self.assertEqual({k: s["m1"][k] for k in ("backend", "device", "active", "every", "frames", "runs", "failures",
                                                  "aborts", "resent")},
                         dict(backend="plus", device="CPU", active=True, every=1, frames=3, runs=3, failures=0, aborts=0, resent=0))
        self.assertEqual(s["m1"]["run"]["count"], 3)
        self.assertGreater(s["m1"]["run"]["max_ns"], 0)

    def test_nothing_is_left(self):
        op = horus.InferenceOp(params(3))
        for i in range(50):
            op.infer({"a": F4})
            op.infer({"a": [1, i]})
            self.refused("no model takes", op.infer, {"a": F4[::2], "c": [1]})
        op.close()
        del op
        gc.collect()
        self.assertLessEqual(horus.audit()["slots"], self.slots)
        self.assertTrue(horus.audit()["balanced"])

    def test_a_pool_of_ones_own(self):
        pool = horus.TensorPool(7, 1)
        with horus.InferenceOp(params(), pool=pool) as op:
            before = pool.stats()["allocated_slots"]
            op.infer({"a": F4})
            self.assertEqual(pool.stats()["allocated_slots"], before + 1)
            e = self.refused("model m1: ", op.infer, {"a": np.zeros(1 << 20, np.float32)})
            self.assertIsInstance(e.__cause__, horus.SizeError)
            self.same(op.infer({"a": F4}), {"b1": F4})

    def test_a_child_of_fork_has_none_of_it(self):
        op = horus.InferenceOp(params(2, parallel_inference=True))
        op.infer({"a": F4})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of fork() beside threads
            pid = os.fork()
        if pid == 0:
            code = 1
            try:
                op.infer({"a": F4})
            except horus.DetachedError:
                with horus.InferenceOp(params()) as mine:
                    code = 0 if (mine.infer({"a": F4})["b1"] == F4).all() else 2
                del op
            finally:
                os._exit(code)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.same(op.infer({"a": F4}), {"b1": F4, "b2": F4})

    def test_killed_in_the_middle_it_leaves_nothing(self):
        code = ("import sys, time; sys.path.insert(0, sys.argv[1])\nimport py_infer_test as t, horus\n"
                "t.tearDownModule()\nopen(t.ANY.replace(t.FOLDER, sys.argv[2]), 'rb')\n"
                "def act(m, i, o):\n    print('in', flush=True); time.sleep(60)\n"
                "t.Plus.told['m1'] = act\nop = horus.InferenceOp(t.params(path=sys.argv[2] + '/any.model'))\n"
                "op.infer({'a': horus.Tensor.from_numpy(t.F4)})\n")
        child = subprocess.Popen([sys.executable, "-c", code, os.path.dirname(os.path.abspath(__file__)), FOLDER],
                                 stdout=subprocess.PIPE)
        self.assertEqual(child.stdout.readline(), b"in\n")
        child.send_signal(signal.SIGKILL)
        child.wait(20)
        child.stdout.close()
        horus.sweep()
        audit = horus.audit()
        self.assertEqual((audit["balanced"], audit["leaked"], audit["slots"]), (True, 0, self.slots))

    def test_at_the_end_of_the_interpreter(self):
        code = ("import sys; sys.path.insert(0, sys.argv[1])\nimport py_infer_test as t, horus, threading\n"
                "op = horus.InferenceOp(t.params(3, parallel_inference=True), run_budget=5)\n"
                "op.infer({'a': t.F4})\nsys.keep = op, op.get('b1')\nt.tearDownModule()\nprint('end')\n")
        said = subprocess.run([sys.executable, "-X", "dev", "-c", code, os.path.dirname(os.path.abspath(__file__))],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual((said.returncode, said.stdout, said.stderr), (0, "end\n", ""))


# ---- topics and schedulers

class Nodes(Case):
    def send(self, topic, *values, frame_id="", cls=horus.Tensor):
        t = horus.Topic(cls, name=topic)
        for v in values:
            f = v if isinstance(v, (horus.Image, horus.Tensor, horus.DepthImage, horus.PointCloud)) else horus.Tensor.from_numpy(v)
            if frame_id:
                f.set_frame_id(frame_id)
            t.send(f)
        return t

    def test_ways_to_say_topics(self):
        two = {**params(1), "pre_processor_map": {"m1": ["a", "c"]}}
        x, y = next(names), next(names)
        for inputs in ({x: "a", y: "c"}, {horus.Sub(x): "a", horus.Sub(y, horus.Tensor): "c"},
                       {horus.Topic(horus.Tensor, name=x): "a", horus.Topic(y): "c"}):
            with self.subTest(inputs), horus.InferenceOp(two, inputs) as op:
                self.assertEqual(op.subscribers(), [x, y])
                keep = self.send(x, F4), self.send(y, F4 + 1)
                self.assertTrue(op.tick())
                np.testing.assert_array_equal(op.get("b1").to_numpy(), F4 * 2 + 1)
                del keep
        for inputs in (x, [x], (x, y), {x: None}, {x: None, y: None}, horus.Sub(x), [horus.Topic(x), y]):
            with self.subTest(inputs), horus.InferenceOp(two, inputs) as op:  # by their frame ids
                keep = self.send(x, F4, frame_id="c"), self.send(x, F4 + 1, frame_id="a"), self.send(x, F4, frame_id="b")
                self.assertTrue(op.tick())
                np.testing.assert_array_equal(op.get("b1").to_numpy(), F4 * 2 + 1)
                del keep
        with horus.InferenceOp(two, [x, y]) as op:
            keep = self.send(x, F4)  # of no name that a model takes
            self.assertFalse(op.tick())
            keep = self.send(x, F4, frame_id="a")
            self.refused('model m1 takes tensor "c": no message had it', op.tick)
            del keep

    def test_any_frame_is_the_only_tensor(self):
        x = next(names)
        for cls, frame, shape in ((horus.Image, horus.Image(2, 3), (2, 3, 3)), (horus.Image, horus.Image(2, 3, "mono8"), (2, 3)),
                                  (horus.DepthImage, horus.DepthImage(2, 3), (2, 3)),
                                  (horus.PointCloud, horus.PointCloud(5, 4), (5, 4)), (horus.Tensor, horus.Tensor([7]), (7,))):
            name = next(names)
            with horus.InferenceOp(params(), name) as op:
                keep = self.send(name, frame, cls=cls, frame_id="front")
                self.assertTrue(op.tick())
                self.assertEqual(tuple(op.get("b1").shape), shape)
                self.assertEqual(Plus.loaded[-1].seen, [np.asarray(frame).ctypes.data])  # where the sender wrote
                del keep
        with horus.InferenceOp(params(), horus.Image, name="by.class") as op:
            self.assertEqual(op.subscribers(), ["image"])
        with horus.InferenceOp(params(), x) as op:
            t = horus.Topic(x)
            t.send({"not": "a frame"})
            self.assertRaises(horus.MessageTypeError, op.tick)
            t.send(F4)
            self.assertTrue(op.tick())

    def test_newest(self):
        for newest, last in ((False, 1), (True, 3)):
            x = next(names)
            with horus.InferenceOp(params(), x, newest=newest) as op:
                keep = self.send(x, F4 + 1, F4 + 2, F4 + 3)
                op.tick()
                self.assertEqual(op.get("b1").to_numpy()[0], last)
                del keep

    def test_wait(self):
        x, y = next(names), next(names)
        with horus.InferenceOp({**params(), "pre_processor_map": {"m1": ["a", "c"]}}, {x: "a", y: "c"}, wait=20) as op:
            keep = [self.send(x, F4)]
            late = threading.Timer(0.1, lambda: keep.append(self.send(y, F4)))
            late.start()
            self.assertTrue(op.tick())
            late.join()

    def test_a_topic_of_another_type(self):
        x = next(names)
        keep = horus.Topic(horus.CmdVel, name=x)
        self.assertRaises(horus.MessageTypeError, horus.InferenceOp, params(), None, x)
        keep.close()

    def test_in_a_scheduler(self):
        camera, out, status = next(names), next(names), next(names)
        seen, told = [], []

        def take(node):
            node.send(camera, horus.Tensor.from_numpy(F4 + horus.tick()))

        def use(node):
            seen.append(node.recv(out))
            if len(seen) == 5:
                node.request_stop()
        op = horus.InferenceOp(params(2, out_tensor_names=["b2"]), camera, out, status, on=camera, name="eyes")
        self.assertFalse(op.compute)
        stats = horus.Topic(horus.InferStatus, name=status)
        s = horus.Scheduler()
        s.add(op)
        s.add(horus.Node("camera", take, rate=200, pubs=horus.Pub(camera, horus.Tensor)))
        s.add(horus.Node("user", use, on=out, subs=horus.Sub(out, horus.Tensor)))
        s.run(duration=20)
        self.assertEqual([t.frame_id for t in seen], ["b2"] * 5)
        self.assertEqual(len({t.to_numpy()[0] for t in seen}), 5)
        self.assertGreaterEqual(len(stats.recv_all()), 5)
        figures = s.get_node_stats("eyes")
        self.assertGreaterEqual(figures["total_ticks"], 5)
        self.assertGreaterEqual(figures["age"]["count"], 5)
        self.assertGreaterEqual(figures["models"]["m2"]["run"]["count"], 5)
        self.assertNotIn("models", s.get_node_stats("camera"))
        self.assertGreaterEqual(op.stats()["m1"]["runs"], 5)
        self.assertEqual(told, [])

    def test_compute_and_rate(self):
        camera, out = next(names), next(names)
        results = horus.Topic(horus.Tensor, name=out)
        op = horus.InferenceOp(params(), horus.Sub(camera, horus.Tensor), out, rate=200)
        self.assertTrue(op.compute)
        s = horus.Scheduler()
        s.add(horus.Node("camera", lambda n: n.send(camera, horus.Tensor([4])), rate=100, pubs=horus.Pub(camera, horus.Tensor)))
        s.add(op)
        got = []

        def look(node):
            got.extend(results.recv_all())
            if len(got) > 3:
                node.request_stop()
        s.add(horus.Node("look", look, rate=100))
        s.run(duration=20)
        self.assertGreater(len(got), 3)

    def test_deterministic(self):
        camera, out = next(names), next(names)
        op = horus.InferenceOp(params(), horus.Sub(camera, horus.Tensor), out, rate=100, compute=False, order=1)
        results = horus.Topic(horus.Tensor, name=out)
        s = horus.Scheduler(deterministic=True)
        s.add(horus.Node("camera", lambda n: n.send(camera, horus.Tensor.from_numpy(F4 + horus.tick())), rate=100,
                         pubs=horus.Pub(camera, horus.Tensor)))
        s.add(op)
        s.run(duration=0.05)
        self.assertEqual([t.to_numpy()[0] for t in results.recv_all()], [0, 1, 2, 3, 4])

    def test_errors_in_a_scheduler(self):
        camera, errors, done = next(names), [], []

        def fail(m, inputs, outputs):
            if inputs[0].to_numpy()[0] == 1:
                raise KeyError("no")
            done.append(1)
        op = horus.InferenceOp(params(), horus.Sub(camera, horus.Tensor), compute=False, rate=200, order=1,
                               on_error=lambda node, e: errors.append(e))
        Plus.told["m1"] = fail
        s = horus.Scheduler()
        s.add(horus.Node("camera", lambda n: n.send(camera, horus.Tensor.from_numpy(F4 + horus.tick())), rate=200,
                         pubs=horus.Pub(camera, horus.Tensor)))
        s.add(op)
        s.run(duration=0.1)
        self.assertEqual(len(errors), 1, errors)
        self.assertIsInstance(errors[0], horus.InferenceError)
        self.assertIsInstance(errors[0].__cause__, KeyError)
        self.assertGreater(len(done), 3)

    def test_a_subclass(self):
        class Eyes(horus.InferenceOp):
            rate = 50

            def tick(self):
                return super().tick() and self.get("b1").to_numpy()[0]
        x = next(names)
        op = Eyes(params(), x)
        keep = self.send(x, F4 + 5)
        self.assertEqual(op.tick(), 5)
        self.assertRegex(repr(op), r"Eyes\(name='infer_\d+'\)$")
        horus.Scheduler().add(op).add(Eyes(params()))  # their names differ
        self.assertRaises(horus.ClosedError, Eyes.__new__(Eyes).tick)
        del keep


# ---- ONNX Runtime and PyTorch themselves

class Spied:
    """Stands before an object of ONNX Runtime's, and notes what is bound."""
    bound = []

    def __init__(self, real):
        self.real = real

    def bind_input(self, name, device, dtype, shape, address):
        Spied.bound.append((name, address))
        self.real.bind_input(name, device, dtype, shape, address)

    def bind_output(self, name, device, *more):
        if more:
            Spied.bound.append((name, more[-1]))
        self.real.bind_output(name, device, *more)

    def run_with_iobinding(self, binding, options):
        self.real.run_with_iobinding(binding.real, options)

    def __getattr__(self, name):
        return getattr(self.real, name)


@needs_ort
class OnnxRuntime(Case):
    def test_zero_copy(self):
        """The addresses that the runtime reads and writes are those of the frames."""
        real = ort.InferenceSession

        class Session(real):
            def __init__(self, *args, **kw):
                super().__init__(*args, **kw)
                self._sess = Spied(self._sess)

            def io_binding(self):
                inner = ort.capi.onnxruntime_pybind11_state.SessionIOBinding(self._sess.real)
                return types.SimpleNamespace(_iobinding=Spied(inner))
        ort.InferenceSession, camera, out = Session, next(names), next(names)
        try:
            op = horus.InferenceOp(params(backend="onnxrt", path=plus()), camera, out)
        finally:
            ort.InferenceSession = real
        send, results = horus.Topic(horus.Tensor, name=camera), horus.Topic(horus.Tensor, name=out)
        for i in range(5):
            Spied.bound.clear()
            frame = horus.Tensor.from_numpy(F4 + i)
            send.send(frame)
            op.tick()
            result = results.recv()
            np.testing.assert_array_equal(result.to_numpy(), F4 + i)
            got = dict(Spied.bound)
            self.assertEqual(got["x0"], frame.to_numpy().ctypes.data)
            self.assertEqual(got["y0"], result.to_numpy().ctypes.data)
            keep = frame, result  # so that the next ones lie elsewhere
        Spied.bound.clear()
        op.infer({"a": F4})
        self.assertEqual(dict(Spied.bound)["x0"], F4.ctypes.data)
        del keep

    def test_dtypes(self):
        for dtype in ("float32", "float16", "int8", "uint8", "int32", "int64", "float64", "uint16", "uint32", "bool"):
            body = "Not" if dtype == "bool" else "Identity"
            path = file_of("dtype.onnx", onnx([node(body, ["x"], ["y"])], [value("x", dtype, [2, 3])], [value("y", dtype, [2, 3])]))
            with self.subTest(dtype), horus.InferenceOp(params(backend="onnxrt", path=path)) as op:
                x = np.arange(6).reshape(2, 3).astype(dtype)
                self.same(op.infer({"a": x}), {"b1": ~x if dtype == "bool" else x})
                self.refused(f'takes "a" as 2 x 3 {dtype}', op.infer, {"a": x.astype("complex64").real.astype(
                    "float64" if dtype != "float64" else "float32")})

    def test_ranks_and_a_batch_of_one(self):
        for rank in range(1, 9):
            shape = (1,) + (2,) * (rank - 1)
            with horus.InferenceOp(params(backend="onnxrt", path=plus(shape=shape, name="rank.onnx"))) as op:
                x = np.random.default_rng(1).random(shape, np.float32)
                self.same(op.infer({"a": x}), {"b1": x})
                if rank > 1:
                    self.same(op.infer({"a": x[0]}), {"b1": x})
                if rank < 7:
                    self.refused('takes "a" as', op.infer, {"a": x[..., None, None]})

    def test_dynamic_shapes(self):
        path = plus(shape=("n", 3, "m"), name="open.onnx")
        x = np.ones((2, 3, 5), np.float32)
        with horus.InferenceOp(params(backend="onnxrt", path=path)) as op:
            self.assertEqual(op.stats()["m1"]["inputs"][0][3], (None, 3, None))
            self.same(op.infer({"a": x}), {"b1": x})
            self.refused("see dynamic_input_dims", op.infer, {"a": x[:1]})
        with horus.InferenceOp(params(backend="onnxrt", path=path, dynamic_input_dims=True)) as op:
            op.init()
            for a in (x, x[:1], np.ones((4, 3, 1), np.float32)):
                self.same(op.infer({"a": a}), {"b1": a})
            self.refused('takes "a" as ? x 3 x ?', op.infer, {"a": np.ones((2, 4, 5), np.float32)})

    def test_multiple_inputs_and_outputs(self):
        given = {**params(backend="onnxrt", path=plus(3, 2, name="many.onnx")), "pre_processor_map": {"m1": ["p", "q"]},
                 "inference_map": {"m1": ["r", "s", "t"]}}
        with horus.InferenceOp(given) as op:
            self.same(op.infer({"q": F4, "p": F4 * 2}), {"r": F4 * 3, "s": F4 * 3 + 1, "t": F4 * 3 + 2})

    def test_a_run_that_fails(self):
        path = file_of("fails.onnx", onnx([node("Reshape", ["x", "s"], ["y"])], [value("x", "float32", ["n"]), value("s", "int64", [2])],
                                          [value("y", "float32", ["p", "q"])]))
        given = {**params(backend="onnxrt", path=path, dynamic_input_dims=True), "pre_processor_map": {"m1": ["a", "s"]}}
        with horus.InferenceOp(given) as op:
            good = {"a": np.ones(6, np.float32), "s": np.array([2, 3])}
            self.same(op.infer(good), {"b1": np.ones((2, 3), np.float32)})
            e = self.refused("model m1: ", op.infer, {**good, "s": np.array([4, 4])})
            self.assertIsNotNone(e.__cause__)
            self.same(op.infer(good), {"b1": np.ones((2, 3), np.float32)})

    def test_the_same_model_twice_and_warm_up(self):
        with horus.InferenceOp(params(2, backend="onnxrt", path=plus())) as op:
            op.init()
            self.assertEqual([s["runs"] for s in op.stats().values()], [0, 0])
            self.same(op.infer({"a": F4}), {"b1": F4, "b2": F4})


@needs_torch
class Torch(Case):
    def script(self, source, name="model.pt"):
        path = os.path.join(FOLDER, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = file_of("script_source.py", source.encode())
            spec = importlib.util.spec_from_file_location("script_source", file)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            torch.jit.script(module.Net()).save(path)
        return path

    HEAD = "import torch\nfrom typing import Dict, List, Optional, Tuple\nclass Net(torch.nn.Module):\n"

    def test_kinds_of_results(self):
        for body, outputs in (("def forward(self, x):\n        return x + 1", ["b1"]),
                              ("def forward(self, x) -> Tuple[torch.Tensor, torch.Tensor]:\n        return x + 1, x + 2", ["b1", "b2"]),
                              ("def forward(self, x) -> List[torch.Tensor]:\n        return [x + 1, x + 2]", ["b1", "b2"]),
                              ("def forward(self, x) -> Dict[str, torch.Tensor]:\n        return {'p': x + 1, 'q': x + 2}", ["b1", "b2"]),
                              ("def forward(self, x, y: Optional[torch.Tensor] = None):\n        return x + 1", ["b1"])):
            path = self.script(self.HEAD + "    " + body + "\n")
            with self.subTest(body), horus.InferenceOp(params(backend="torch", path=path, inference_map={"m1": outputs})) as op:
                self.same(op.infer({"a": F4}), {o: F4 + 1 + i for i, o in enumerate(outputs)})
        two = self.HEAD + "    def forward(self, x) -> Tuple[torch.Tensor, torch.Tensor]:\n        return x, x\n"
        self.refused("gives 2 tensors (output 0, output 1), and 1 are named", horus.InferenceOp,
                     params(backend="torch", path=self.script(two)))
        self.refused("takes 1 tensors (x), and 2 are named", horus.InferenceOp,
                     params(backend="torch", path=self.script(self.HEAD + "    def forward(self, x):\n        return x\n"),
                            pre_processor_map={"m1": ["a", "b"]}))
        self.refused("gives 1 tensors", horus.InferenceOp,
                     params(backend="torch", path=self.script(self.HEAD + "    def forward(self, x):\n        return x\n"),
                            inference_map={"m1": ["a", "b"]}))

    def test_a_run_that_fails(self):
        path = self.script(self.HEAD + "    def forward(self, x):\n        return x @ torch.zeros(3, 3)\n")
        given = params(2, backend="torch", path=path)
        given["model_path_map"]["m1"] = self.script(self.HEAD + "    def forward(self, x):\n        return x\n", "fine.pt")
        with horus.InferenceOp(given, parallel_inference=True) as op:
            self.refused("model m2: RuntimeError", op.infer, {"a": np.zeros((2, 2), np.float32)})
            self.assertIsNotNone(op.get("b1"))

    def test_exported_archives(self):
        class Net(torch.nn.Module):
            def forward(self, x, y):
                return x + y, (x * 2).to(torch.int32)
        path = os.path.join(FOLDER, "net.pt2")
        rows = torch.export.Dim("rows")
        torch.export.save(torch.export.export(Net(), (torch.zeros(2, 3), torch.zeros(2, 3)),
                                              dynamic_shapes={"x": {0: rows}, "y": {0: rows}}), path)
        given = {**params(backend="torch", path=path, dynamic_input_dims=True), "pre_processor_map": {"m1": ["a", "c"]},
                 "inference_map": {"m1": ["sum", "twice"]}}
        with horus.InferenceOp(given) as op:
            self.assertEqual([(i[2], i[3]) for i in op.stats()["m1"]["inputs"]], [("float32", (None, 3))] * 2)
            self.assertEqual([(i[2], i[3]) for i in op.stats()["m1"]["outputs"]], [("float32", (None, 3)), ("int32", (None, 3))])
            for n in (2, 5):
                x = np.ones((n, 3), np.float32)
                self.same(op.infer({"a": x, "c": x}), {"sum": x + x, "twice": (x * 2).astype("int32")})
            self.refused('takes "a" as ? x 3 float32, it is 2 x 4', op.infer, {"a": np.ones((2, 4), np.float32), "c": x})

    @unittest.skipIf(GPUS, "this machine has a GPU")
    def test_without_a_gpu(self):
        path = torch_plus(1, os.path.join(FOLDER, "cpu.pt"))
        self.refused(["input_on_cuda, output_on_cuda: torch finds no GPU: false works"], horus.InferenceOp,
                     params(backend="torch", path=path, input_on_cuda=True, output_on_cuda=True))
        self.refused("device_map: torch finds 0 GPUs: leave it out", horus.InferenceOp,
                     params(backend="torch", path=path, device_map={"m1": 0}))
        with horus.InferenceOp(params(backend="torch", path=path, transmit_on_cuda=True)) as op:
            self.same(op.infer({"a": F4}), {"b1": F4})

    def test_bfloat16_and_others(self):
        path = self.script(self.HEAD + "    def forward(self, x):\n        return x\n", "same.pt")
        with horus.InferenceOp(params(backend="torch", path=path)) as op:
            for dtype in ("float16", "float64", "int8", "uint8", "int64", "bool"):
                self.same(op.infer({"a": F4.astype(dtype)}), {"b1": F4.astype(dtype)})


@needs_torch
@needs_ort
@unittest.skipUnless(importlib.util.find_spec("sklearn"), "scikit-learn is not installed")
class Digits(Case):
    """A classifier, trained here on scikit-learn's digits, by both back ends from images on a topic."""

    def test_both_back_ends(self):
        from sklearn.datasets import load_digits
        data = load_digits()
        x = (data.images / 16).astype(np.float32)
        train = np.arange(len(x)) % 4 != 0
        torch.manual_seed(1)

        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))

            def forward(self, x):
                return self.layers(x.reshape(-1, 64))
        net = Net()
        best = torch.optim.Adam(net.parameters(), 0.01)
        tx, ty = torch.from_numpy(x[train]), torch.from_numpy(data.target[train])
        for _ in range(150):
            best.zero_grad()
            torch.nn.functional.cross_entropy(net(tx), ty).backward()
            best.step()
        net.eval()
        with torch.inference_mode():
            want = net(torch.from_numpy(x[~train])).numpy()
        truth = data.target[~train]
        accuracy = float((want.argmax(1) == truth).mean())
        script, archive = os.path.join(FOLDER, "digits.pt"), os.path.join(FOLDER, "digits.pt2")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.trace(net, tx[0]).save(script)
            torch.export.save(torch.export.export(net, (tx[:1],)), archive)
        w = {k: v.detach().numpy() for k, v in net.named_parameters()}
        graph = onnx([node("Flatten", ["x"], ["f"]), node("Gemm", ["f", "w1", "b1"], ["h"], transB=1), node("Relu", ["h"], ["r"]),
                      node("Gemm", ["r", "w2", "b2"], ["y"], transB=1)],
                     [value("x", "float32", [1, 8, 8])], [value("y", "float32", [1, 10])],
                     [constant(n, w["layers." + k]) for n, k in (("w1", "0.weight"), ("b1", "0.bias"), ("w2", "2.weight"),
                                                                 ("b2", "2.bias"))])
        given = {"backend_map": {"by_onnx": "onnxrt", "by_torch": "torch", "by_archive": "torch"},
                 "model_path_map": {"by_onnx": file_of("digits.onnx", graph), "by_torch": script, "by_archive": archive},
                 "pre_processor_map": dict.fromkeys(["by_onnx", "by_torch", "by_archive"], ["picture"]),
                 "inference_map": {"by_onnx": ["onnx"], "by_torch": ["torch"], "by_archive": ["archive"]}}
        camera, out = next(names), next(names)
        send, results = horus.Topic(horus.Image, name=camera), horus.Topic(horus.Tensor, name=out)
        got = {"onnx": [], "torch": [], "archive": []}

        op = horus.InferenceOp(given, camera, out)
        op.init()
        for picture in x[~train]:
            send.send(horus.Image.from_numpy(picture, "mono32f"))
            self.assertTrue(op.tick())
            for t in results.recv_all():
                got[t.frame_id].append(t.to_numpy().copy()[0])
        op.close()
        for name, rows in got.items():
            rows = np.array(rows)
            self.assertEqual(float((rows.argmax(1) == truth).mean()), accuracy, name)
            np.testing.assert_allclose(rows, want, atol=1e-5, err_msg=name)
        self.assertGreater(accuracy, 0.95)
        print(f"\ndigits: accuracy {accuracy:.4f} of {len(truth)}, by the framework and by each back end", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
