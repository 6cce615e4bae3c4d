"""The Python programs in examples/: each runs in an empty directory and says what it should; no camera, no
network. What needs a framework that is missing is said, not passed over in silence."""
import ast
import glob
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import unittest

import horus

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(os.path.dirname(HERE), "examples")
PNG = b"\x89PNG\r\n\x1a\n"
# what each needs, the lines that it prints, the files that it leaves
EXAMPLES = {
    "classify_torch.py": (["torch"], [f"frame {i}: {side} \\(0\\.9\\d\\)" for i, side in
                                      enumerate(["left", "middle", "right"] * 2)], {}),
    "detect_onnx.py": (["onnxruntime", "onnx"], [r"lamp at 40, 80 \(0\.78\)", r"lamp at 160, 16 \(0\.78\)",
                                                 r"lamp at 288, 208 \(0\.78\)"], {}),
    "edges_opencv.py": (["cv2"], [r"square 0: 1\d\d pixels of edge", r"square 1: 2\d\d pixels of edge",
                                  r"square 2: (2[5-9]|3\d)\d pixels of edge"], {"edges.png": PNG}),
    "filter_jax.py": (["jax"], ["noise (49|50|51) mm, smoothed 1[5-9] mm",
                                r"range 1\.9\d to 2\.0\d m, mean 2\.00 m", "valid 19200 of 19200"], {}),
    "cloud_numpy.py": ([], [r"4[0-9]\d of 20500 points are above the floor",
                            r"nearest: 3\.0 m away, intensity 0\.8\d"], {"things.ply": b"ply\n"}),
    "infer_boxes.py": (["onnxruntime", "onnx"], [f"lamp at {x}, 80 \\(0\\.78\\)" for x in (0, 64, 128)],
                       {"cells.onnx": b"\x08", "found.png": PNG}),
    "notebook_image.py": ([], [], {}),
}


class Examples(unittest.TestCase):
    def test_every_one_is_tested_and_short(self):
        paths = glob.glob(FOLDER + "/*.py")
        self.assertEqual({os.path.basename(p) for p in paths}, set(EXAMPLES))
        for path in paths:
            with open(path) as file:
                text = file.read()
            self.assertLessEqual(len(text.splitlines()), 40, path)
            self.assertLessEqual(max(map(len, text.splitlines())), 110, path)
            self.assertIn(f"python3 {os.path.basename(path)}", text)

    def run_it(self, name):
        needs, lines, files = EXAMPLES[name]
        missing = [n for n in needs if not importlib.util.find_spec(n)]
        if missing:
            self.skipTest(f"{name}: {', '.join(missing)} not installed")
        with tempfile.TemporaryDirectory(prefix="horus-example.") as folder:
            done = subprocess.run([sys.executable, os.path.join(FOLDER, name)], cwd=folder, text=True, timeout=300,
                                  capture_output=True,
                                  env={**os.environ, "JAX_PLATFORMS": "cpu",
                                       "PYTHONPATH": os.path.dirname(os.path.abspath(horus.__file__))})
            self.assertEqual(done.returncode, 0, done.stderr)
            said = done.stdout.splitlines()
            self.assertEqual(len(said), len(lines), done.stdout)
            for line, wanted in zip(said, lines):
                self.assertTrue(re.fullmatch(wanted, line), (line, wanted))
            self.assertEqual(set(os.listdir(folder)), set(files))
            for file, head in files.items():
                with open(os.path.join(folder, file), "rb") as f:
                    self.assertTrue(f.read().startswith(head), file)

    def test_the_notebook_shows_itself(self):
        """Each cell's last line is what a notebook displays, by _repr_png_()."""
        with open(FOLDER + "/notebook_image.py") as file:
            cells = re.split(r"^# %%.*\n", file.read(), flags=re.M)[1:]
        self.assertGreater(len(cells), 3)
        names, sizes = {}, []
        for cell in cells:
            *body, last = ast.parse(cell).body
            self.assertIsInstance(last, ast.Expr)
            exec(compile(ast.Module(body, []), "cell", "exec"), names)
            shown = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
            self.assertTrue(shown._repr_png_().startswith(PNG))
            sizes.append((type(shown), shown.height, shown.width))
        self.assertEqual(sizes, [(horus.Image, 240, 320)] * 3 + [(horus.DepthImage, 240, 320)])
        self.assertEqual(names["received"].pixel(160, 120), [255, 255, 255])
        self.assertEqual(names["inverted"].pixel(160, 120), [0, 0, 0])
        self.assertEqual(names["image"].pixel(0, 0), [0, 0, 0])


for name in EXAMPLES:
    setattr(Examples, "test_" + name[:-3], lambda self, name=name: self.run_it(name))

if __name__ == "__main__":
    unittest.main()
