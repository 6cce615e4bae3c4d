#!/usr/bin/env python3
"""The inference operator in Python over the runtime's own calls, on the same input and one thread of the runtime; and
models in parallel over models in sequence.

    PYTHONPATH=folder-of-the-module bench/infer.py [ROUNDS]        needs numpy and onnxruntime

In each round every subject runs many times and its fastest run counts; a figure is the median over all rounds, what
is over another one the median of the differences within a round. "bound" is run_with_iobinding() with everything
bound once: what no caller with new frames can reach. What each gives is compared first."""
import importlib.util
import os
import statistics
import sys
import time

import numpy as np
import onnxruntime as ort

import horus

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("py_infer_test", os.path.join(os.path.dirname(HERE), "tests", "py_infer_test.py"))
sys.modules["py_infer_test"] = files = importlib.util.module_from_spec(spec)  # writes models byte by byte
spec.loader.exec_module(files)


def best(call, times):
    fastest = 1e9
    for _ in range(times):
        begin = time.perf_counter()
        call()
        fastest = min(fastest, time.perf_counter() - begin)
    return fastest * 1e6


def subjects(path, x, topics):
    """Ways to run one model on x, each giving its output."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options)
    name, out = session.get_inputs()[0].name, session.get_outputs()[0]
    y, binding = np.empty(out.shape, np.float32), session.io_binding()
    binding.bind_input(name, "cpu", 0, np.float32, x.shape, x.ctypes.data)
    binding.bind_output(out.name, "cpu", 0, np.float32, y.shape, y.ctypes.data)
    op = horus.InferenceOp(files.params(backend="onnxrt", path=path), *topics, threads=1)
    send, frame = horus.Topic(horus.Tensor, name=topics[0]), horus.Tensor.from_numpy(x)
    options = ort.RunOptions()

    def bound():
        session._sess.run_with_iobinding(binding._iobinding, options)
        return y

    def tick():
        send.send(frame)
        op.tick()
        return op.get("b1").to_numpy()
    return {"session.run": lambda: session.run(None, {name: x})[0], "bound": bound,
            "infer()": lambda: op.infer({"a": x})["b1"], "send, tick(), get()": tick}


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    big = files.file_of("big.onnx", files.onnx([files.node("GlobalMaxPool", ["x"], ["y"])],
                                               [files.value("x", "float32", [1, 3, 640, 640])],
                                               [files.value("y", "float32", [1, 3, 1, 1])]))
    for label, path, x, times in (("4 floats", files.plus(), files.F4, 500),
                                  ("640x640x3", big, np.random.default_rng(1).random((1, 3, 640, 640), np.float32), 5)):
        ways = subjects(path, x, (f"bench.{len(x)}.in", f"bench.{len(x)}.out"))
        want = ways["session.run"]()
        for name, way in ways.items():
            np.testing.assert_array_equal(way(), want, name)
        seen = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                seen[name].append(best(way, times))
        for name, us in seen.items():
            over = {base: statistics.median(a - b for a, b in zip(us, seen[base])) for base in ("session.run", "bound")}
            print(f"{label:10} {name:20} {statistics.median(us):9.2f} us   over session.run {over['session.run']:+8.2f} us, "
                  f"over bound {over['bound']:+8.2f} us")
    long = files.long_one(steps=100)
    x, took = np.eye(192, dtype=np.float32), {}
    for parallel in (False, True):
        with horus.InferenceOp(files.params(4, backend="onnxrt", path=long, parallel_inference=parallel), threads=1) as op:
            took[parallel] = statistics.median(best(lambda: op.infer({"a": x}), 1) for _ in range(rounds))
    print(f"4 models on {os.cpu_count()} processors: {took[False] / 1e3:.1f} ms in sequence, {took[True] / 1e3:.1f} ms in "
          f"parallel: {took[False] / took[True]:.2f} times as fast")
    files.tearDownModule()


if __name__ == "__main__":
    main()
