"""preprocess() and yolo_decode() against OpenCV and NumPy. A level is 1/255: OpenCV rounds to whole
levels between its steps, horus does not."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench"))
try:
    import cv2
except ImportError as why:
    raise unittest.SkipTest(str(why))
import horus
import numpy as np
import vision as v

SIZES = [(1920, 1080, 640, 640), (640, 480, 640, 640), (1080, 1920, 320, 320), (101, 67, 224, 160), (7, 5, 64, 48),
         (300, 200, 31, 17), (1, 1, 8, 8), (33, 1, 5, 9), (640, 640, 640, 640)]


class Vision(unittest.TestCase):
    rng = np.random.default_rng(7)

    def near(self, ours, theirs, levels):
        ours = ours.to_numpy()[0]
        self.assertEqual(ours.shape, theirs.shape)
        self.assertLessEqual(float(np.abs(ours - theirs).max()) * 255, levels)

    def image(self, w, h, channels=3):
        return self.rng.integers(0, 256, (h, w, channels) if channels > 1 else (h, w), np.uint8)

    def test_letterbox_is_that_of_opencv(self):
        for w, h, width, height in SIZES:
            with self.subTest(size=(w, h, width, height)):
                image = self.image(w, h)
                ours, where = horus.preprocess(image, (height, width), encoding="bgr8", return_map=True)
                self.near(ours, v.by_opencv(image, width, height), 1)
                self.near(ours, v.by_numpy(image, width, height), 1e-2)
                (rw, rh), at = v.sides(image, width, height)
                np.testing.assert_allclose(where, (rw / w, rh / h, *at, w, h), rtol=1e-6)

    def test_stretch_and_normalisation_are_those_of_opencv(self):
        mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
        for w, h, width, height in SIZES:
            with self.subTest(size=(w, h, width, height)):
                image = self.image(w, h)
                ours = horus.preprocess(image, (height, width), fit="stretch", mean=mean, std=std, layout="NHWC")
                want = (cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR) / np.float32(255) - mean) / std
                self.near(ours * std, want * std, 1)

    def test_crop_is_that_of_opencv(self):
        for w, h, width, height in SIZES:
            with self.subTest(size=(w, h, width, height)):
                image = self.image(w, h)
                rw, rh = ((2 * w * height + h) // (2 * h), height) if w * height >= h * width else \
                         (width, (2 * h * width + w) // (2 * w))
                x, y = (rw - width) // 2, (rh - height) // 2
                want = cv2.resize(image, (rw, rh), interpolation=cv2.INTER_LINEAR)[y:y + height, x:x + width]
                ours = horus.preprocess(image, (height, width), fit="center_crop")
                self.near(ours, want.transpose(2, 0, 1) / np.float32(255), 1)

    def test_every_encoding_is_converted_as_by_opencv(self):
        w, h, width, height = 50, 38, 75, 30
        rgba = self.image(w, h, 4)
        grey16 = self.rng.integers(0, 65536, (h, w), np.uint16)
        real = self.rng.uniform(0, 1, (h, w, 3)).astype(np.float32)
        for encoding, image, whole, channels in [
                ("rgba8", rgba, rgba[:, :, :3], None), ("bgra8", rgba, rgba[:, :, 2::-1], None),
                ("mono8", rgba[:, :, 0].copy(), rgba[:, :, 0], None), ("mono16", grey16, grey16 / np.float32(257), None),
                ("rgb32f", real, real * 255, None), ("mono32f", real[:, :, 0].copy(), real[:, :, 0] * 255, None),
                ("rgb8", rgba[:, :, :3], cv2.cvtColor(rgba[:, :, :3], cv2.COLOR_RGB2GRAY), 1),
                ("yuv422", rgba[:, :, :2], cv2.cvtColor(rgba[:, :, :2].copy(), cv2.COLOR_YUV2RGB_YUYV), None)]:
            with self.subTest(encoding=encoding, channels=channels):
                want = cv2.resize(np.ascontiguousarray(whole).astype(np.float32), (width, height),
                                  interpolation=cv2.INTER_LINEAR) / 255
                ours = horus.preprocess(image, (height, width), encoding=encoding, fit="stretch", channels=channels)
                self.near(ours, want.transpose(2, 0, 1) if want.ndim == 3 else want[None],
                          1.01 if encoding in ("yuv422", "rgb8") else 1e-2)

    def test_boxes_are_those_of_opencv(self):
        for n in range(20):
            with self.subTest(n=n):
                output = v.some_output(self.rng, boxes=300 + n, classes=1 + 4 * n, objects=10)
                want = v.boxes_by_both(output, 0.3, 0.5)
                self.assertGreater(len(want), 5)
                ours = v.rows_of(horus.yolo_decode(output, confidence=0.3, iou=0.5))
                np.testing.assert_allclose(ours, want, atol=1e-3)
                with_object = np.insert(output, 4, 1, 0).T  # as v5 has it
                np.testing.assert_array_equal(
                    v.rows_of(horus.yolo_decode(with_object, layout="v5", confidence=0.3, iou=0.5)), ours)


if __name__ == "__main__":
    unittest.main()
