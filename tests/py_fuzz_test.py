"""Builds tests/fuzz/python.c with clang (the interpreter is embedded) and fuzzes the codec, messages from
bytes, calls, buffers and DLPack tensors, and files of InferenceOp's parameters (needs PyYAML and NumPy): what once
failed, then new inputs for a while each.

    FUZZ_SECONDS=20 FUZZ_SEED=1 python3 py_fuzz_test.py     an hour: FUZZ_SECONDS=3600

Inputs that fail lie in build/fuzz/python/found; put what was mended into tests/fuzz/regressions/python (or yaml)."""
import glob
import importlib.util
import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import unittest

import horus

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
OUT = os.path.join(ROOT, "build", "fuzz", "python")
PACKAGES = [importlib.util.find_spec(n) for n in ("yaml", "numpy")]  # what is read with one, and run on the other
YAML = all(PACKAGES)
SECONDS = int(os.environ.get("FUZZ_SECONDS", "20"))
SEED = int(os.environ.get("FUZZ_SEED", random.randrange(1, 2**31)))
PLAIN_CALLS = re.compile(r'static const char \*const calls\[\] = \{(.*?)\};', re.S)


def library():
    """How to link the interpreter, or None."""
    get = sysconfig.get_config_var
    folder, name = get("LIBDIR") or "", "python" + (get("LDVERSION") or "")
    for place in (folder, os.path.join(folder, get("MULTIARCH") or "")):
        if os.path.exists(os.path.join(place, f"lib{name}.so")):
            return [f"-L{place}", f"-Wl,-rpath,{place}", f"-l{name}", "-lm"]
    return None


def why_not():
    if not shutil.which("clang"):
        return "clang is not installed"
    if not library():
        return "this interpreter has no shared library"
    return None


def seeds(folder, names):
    """One good input or more of each kind; the rest is the fuzzer's."""
    wanted = {}
    for i, value in enumerate([None, True, 1, -5, 2**40, 1.5, "text", "ü" * 40, b"bytes", [1, [2, []]],
                               {"a": {"b": [None]}}, list(range(20)), {"x": 1.0, "y": [b"1"] * 20}]):
        wanted[f"codec{i}"] = b"\0" + horus._pack(value)
    classes = [c for n, c in vars(horus).items() if hasattr(c, "__type_tag__") and c.__name__ == n]
    for i, cls in enumerate(classes):
        wanted[f"message{i}"] = bytes([1, len(classes) - 1 - i]) + cls().to_bytes()
    for c in (horus.LaserScan(ranges=[1] * 4), horus.JointState(names=["a", "b"]),
              horus.NavPath(waypoints=[horus.Waypoint(1, 2, 3)] * 2)):
        wanted["long" + type(c).__name__] = bytes([1, len(classes) - 1 - classes.index(type(c))]) + c.to_bytes()
    arguments = {
        "Image": [4, 5, "bgr8"], "Image.empty": [4, 5, "mono16"], "Image.from_bytes": [b"abcdef", 1, 2],
        "PointCloud": [4, 6, "float64"], "DepthImage": [3, 4, "mm"], "Tensor": [[2, 3], "int16"],
        "Tensor.from_descriptor": [1, horus.Tensor([2]).to_descriptor()],
        "_rebuild": list(horus.Image(2, 2).__reduce__()[1]), "CmdVel": [1.0, 2.0],
        "_remake": [["Fuzzed", [["x", "float32[3]", False], ["y", "=Pose2D", True]]], 5, b"abc"],
        "LaserScan": [0, 1, 0.1, 0, 9, [1, 2, 3]], "JointState": [["a", "b"], [1, 2]], "OccupancyGrid": [3, 4, 0.5],
        "Detection": ["cat", 0.5, 1, 2, 3, 4, {"class_id": 3}], "Image.fill": [[1, 2, 3]],
        "Image.set_pixel": [1, 2, [3, 4, 5]], "Image.roi": [1, 1, 2, 2], "Image.copy_from": [bytes(105)],
        "Tensor.view": [[4, 6]], "Tensor.reshape": [[-1]], "Tensor.slice": [1, 2], "Tensor.astype": ["uint8"],
        "Tensor.__dlpack__": [{"copy": True}], "LaserScan._put": ["ranges", 0, 1.0], "NavPath._item": ["waypoints", 0],
        "LaserScan._append": ["ranges", 1.0], "Topic.send_one": [{"x": [1, 2]}], "OccupancyGrid.set_occupancy": [1, 1, 50],
        "preprocess": [b"abcdef", [3, 4], {"fit": "stretch", "mean": [0.5], "std": 2, "dtype": "uint8", "encoding": "mono8"}],
        "yolo_decode": [[[9.0], [9.0], [4.0], [4.0], [0.5]], {"class_names": ["a"], "map": [1, 1, 0, 0, 9, 9], "iou": 0.5}],
        "softmax": [[[1.0, 2.0]]], "topk": [[1.0, 2.0], 1], "argmax": [[1.0, 2.0]],
        "InferenceOp.check": [{"backend_map": {"m": "add"}, "model_path_map": {"m": "x"}, "pre_processor_map": {"m": ["a"]},
                               "inference_map": {"m": "b"}, "temporal_map": {"m": 2}, "infer_on_cpu": True}, {"name": 1}]}
    for i, name in enumerate(names):
        wanted["call" + name] = bytes([2, i]) + horus._pack(arguments.get(name, [1, 2]))
    for i in range(60):
        code, bits = ((0, 8), (1, 8), (2, 32), (2, 64), (4, 16), (1, 16), (6, 8), (5, 64))[i % 8]
        shape = [b for n in ([2, 3], [4], [2, 3, 4], [])[i % 4] for b in (n, (1, 8, 16, 0, 200)[i % 5])]
        tail = bytes([i % 21, 1, len(shape) // 2, 0, *shape])
        wanted[f"buffer{i}"] = bytes([3, 0, 0, code, bits]) + tail
        wanted[f"dlpack{i}"] = bytes([4, 0, 100 * (i % 2), code, bits]) + tail
    for name, data in wanted.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)


@unittest.skipIf(why_not(), f"python fuzzing: {why_not()}")
class Fuzz(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.makedirs(OUT, exist_ok=True)
        cls.program = os.path.join(OUT, f"fuzz{sys.version_info[0]}.{sys.version_info[1]}")
        sources = [os.path.join(ROOT, n) for n in ("horus.h", "horus_python.h", "tests/fuzz/python.c")]
        if not os.path.exists(cls.program) or any(os.path.getmtime(s) > os.path.getmtime(cls.program) for s in sources):
            done = subprocess.run(
                ["clang", "-std=gnu11", "-O1", "-gline-tables-only", "-Wall", "-Wextra", "-Werror",
                 "-fsanitize=fuzzer,address,undefined,float-cast-overflow", "-fno-sanitize-recover=all",
                 "-fno-omit-frame-pointer", "-I" + sysconfig.get_path("include"), sources[-1], "-o", cls.program,
                 *library()], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[:3000]
        cls.path = os.pathsep.join([os.path.join(HERE, "fuzz"),  # what the program imports
                                    *{os.path.dirname(os.path.dirname(p.origin)) for p in PACKAGES if p}])

    def run_it(self, target, *arguments):
        with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="horus-fuzz.") as place:
            return subprocess.run(
                [self.program, "-timeout=20", "-rss_limit_mb=2048", "-malloc_limit_mb=100000", *arguments], capture_output=True, text=True,
                errors="replace", timeout=SECONDS + 600,
                env={**os.environ, "HORUS_DIR": place, "PYTHONHOME": sys.base_prefix, "LD_PRELOAD": "", "FUZZ_TARGET": target,
                     "PYTHONMALLOC": "malloc",  # so that the sanitizer sees every block
                     "PYTHONPATH": self.path, "PYTHONDONTWRITEBYTECODE": "1",
                     "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
                     "ASAN_OPTIONS": "detect_leaks=0:handle_abort=1:allocator_may_return_null=1:max_allocation_size_mb=300"})

    def told(self, done):
        keep = re.compile(r"runtime error|ERROR|not so|Error:|SUMMARY|#[0-9]+ 0x.*horus|Test unit written|deadly")
        return "\n".join(line for line in done.stderr.splitlines() if keep.search(line)) or done.stderr[-2000:]

    def known(self, target):
        known = sorted(glob.glob(os.path.join(HERE, "fuzz", "regressions", target, "*")))
        self.assertTrue(known)
        done = self.run_it(target, *known)
        self.assertEqual(done.returncode, 0, self.told(done))

    def new(self, target, most, make):
        """New inputs of at most so many bytes, from those that make(folder) puts there."""
        found = os.path.join(OUT, "found", target, "")
        shutil.rmtree(found, ignore_errors=True)
        os.makedirs(found)
        with tempfile.TemporaryDirectory(prefix="horus-fuzz.") as corpus:
            make(corpus)
            begin = time.time()
            done = self.run_it(target, f"-seed={SEED}", f"-max_total_time={SECONDS}", f"-max_len={most}",
                               "-print_final_stats=1", *(["-len_control=0"] if target == "yaml" else []),
                               f"-artifact_prefix={found}", corpus)
            self.assertEqual(done.returncode, 0, f"FUZZ_SEED={SEED}\n" + self.told(done))
        runs = int(re.search(r"number_of_executed_units: (\d+)", done.stderr).group(1))
        edges = re.findall(r"cov: (\d+)", done.stderr)
        print(f"\n{target} fuzzing: seed {SEED}, {runs} runs in {time.time() - begin:.0f} s, "
              f"coverage {edges[0]} -> {edges[-1]} edges")
        self.assertGreater(runs, 100)

    def test_what_once_failed(self):
        self.known("python")

    @unittest.skipUnless(YAML, "PyYAML or NumPy is not installed")
    def test_yaml_that_once_failed(self):
        self.known("yaml")

    def test_new_inputs(self):
        with open(os.path.join(HERE, "fuzz", "python.c")) as file:
            names = re.findall(r'"([^"]+)"', PLAIN_CALLS.search(file.read()).group(1))
        self.new("python", 600, lambda corpus: seeds(corpus, names))

    @unittest.skipUnless(YAML, "PyYAML or NumPy is not installed")
    def test_new_yaml(self):
        def make(corpus):
            sys.path.append(os.path.join(HERE, "fuzz"))
            import yaml_text
            for name, data in yaml_text.seeds().items():
                with open(os.path.join(corpus, name), "wb") as file:
                    file.write(data)
        self.new("yaml", 8192, make)


if __name__ == "__main__":
    unittest.main()
