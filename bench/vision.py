#!/usr/bin/env python3
"""What comes before and after a network, in one pass by horus, and as it is usually written: by OpenCV, by OpenCV
and NumPy, by NumPy alone.

    bench/vision.py [ROUNDS]        needs numpy and opencv-python-headless; one line for each subject

In each round every subject runs five times and its fastest run counts; a ratio is the median over all rounds of
(subject / horus, in the same round). OpenCV may use all processors, horus uses one. Before that the results of all
are compared: who is fast because he does something else is not fast."""
import ctypes
import os
import statistics
import subprocess
import sys
import time

import cv2
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(HERE), "build", "vision")
LETTERBOX, STRETCH, CROP = range(3)
RGB8, BGR8, RGBA8, BGRA8, MONO8, MONO16, MONO32F, RGB32F, YUV422 = range(9)
BGR, NHWC = 1, 2
V8, V5 = range(2)
TIMES = 5


class Desc(ctypes.Structure):
    """horus_preprocess_desc"""
    _fields_ = [("width_px", ctypes.c_uint32), ("height_px", ctypes.c_uint32), ("channels", ctypes.c_uint32),
                ("fit", ctypes.c_int), ("dtype", ctypes.c_int), ("flags", ctypes.c_uint32),
                ("scale", ctypes.c_float), ("mean", ctypes.c_float * 3), ("std", ctypes.c_float * 3),
                ("pad", ctypes.c_float)]


def library(flags=("-O2",)):
    os.makedirs(BUILD, exist_ok=True)
    path = os.path.join(BUILD, "vision.%d.so" % os.getpid())
    subprocess.check_call(["gcc", "-shared", "-fPIC", "-std=gnu11", *flags, os.path.join(HERE, "vision.c"), "-o", path])
    lib = ctypes.CDLL(path)
    os.unlink(path)
    lib.vision_preprocess.restype = ctypes.c_uint64
    return lib


def preprocess(lib, image, encoding, width, height, times=1, **desc):
    """The tensor, (scale_x, scale_y, offset_x, offset_y), and ns."""
    mean, std = tuple(desc.pop("mean", (0, 0, 0))), tuple(desc.pop("std", (0, 0, 0)))
    d = Desc(width_px=width, height_px=height, mean=mean, std=std, **desc)
    channels = d.channels or (1 if encoding in (MONO8, MONO16, MONO32F) else 3)
    out = np.empty((height, width, channels) if d.flags & NHWC else (channels, height, width), np.float32)
    where = np.empty(4, np.float32)
    image = np.ascontiguousarray(image)
    ns = lib.vision_preprocess(image.ctypes.data_as(ctypes.c_void_p), image.shape[1], image.shape[0], encoding,
                               ctypes.byref(d), out.ctypes.data_as(ctypes.c_void_p),
                               where.ctypes.data_as(ctypes.c_void_p), times)
    if ns == 0:
        raise RuntimeError("horus_image_preprocess failed")
    return out, tuple(where), ns


def decode(lib, output, layout, confidence, iou, most=300, times=1):
    out, ns = np.empty((most, 6), np.float32), ctypes.c_uint64()
    output = np.ascontiguousarray(output, np.float32)
    n = lib.vision_decode(output.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(output.shape[0]),
                          ctypes.c_int64(output.shape[1]), layout, ctypes.c_float(confidence), ctypes.c_float(iou),
                          out.ctypes.data_as(ctypes.c_void_p), most, times, ctypes.byref(ns))
    if n < 0:
        raise RuntimeError("horus_yolo_decode failed")
    return out[:n], ns.value


def sides(image, width, height):
    """Of the letterboxed image: its size, and where it begins."""
    h, w = image.shape[:2]
    if w * height >= h * width:
        size = width, max(1, (2 * h * width + w) // (2 * w))
    else:
        size = max(1, (2 * w * height + h) // (2 * h)), height
    return size, ((width - size[0]) // 2, (height - size[1]) // 2)


def letterbox(image, width, height):
    (w, h), (x, y) = sides(image, width, height)
    if (w, h) != image.shape[1::-1]:
        image = cv2.resize(image, (w, h), interpolation=cv2.INTER_LINEAR)
    return cv2.copyMakeBorder(image, y, height - h - y, x, width - w - x, cv2.BORDER_CONSTANT, value=(114, 114, 114))


def by_opencv(image, width, height):
    return cv2.dnn.blobFromImage(letterbox(image, width, height), 1 / 255, swapRB=True)[0]


def by_both(image, width, height):
    image = letterbox(image, width, height)[:, :, ::-1].transpose(2, 0, 1)
    return np.ascontiguousarray(image).astype(np.float32) / np.float32(255)


def axis(size, to):
    at = np.clip((np.arange(to) + 0.5) * size / to - 0.5, 0, size - 1)
    low = at.astype(np.intp)
    return low, np.minimum(low + 1, size - 1), (at - low).astype(np.float32)


def by_numpy(image, width, height):
    (w, h), (x, y) = sides(image, width, height)
    x0, x1, fx = axis(image.shape[1], w)
    y0, y1, fy = axis(image.shape[0], h)
    fx, fy = fx[:, None], fy[:, None, None]
    top, bottom = image[y0], image[y1]
    top = top[:, x0] * (1 - fx) + top[:, x1] * fx
    bottom = bottom[:, x0] * (1 - fx) + bottom[:, x1] * fx
    out = np.full((3, height, width), np.float32(114 / 255))
    out[:, y:y + h, x:x + w] = ((top * (1 - fy) + bottom * fy) * np.float32(1 / 255))[:, :, ::-1].transpose(2, 0, 1)
    return out


def boxes_by_both(output, confidence, iou, most=300):
    """(4 + classes, boxes): x, y, width, height, confidence, class; each class for itself."""
    scores = output[4:]
    which = scores.argmax(0)
    best = scores[which, np.arange(scores.shape[1])]
    keep = np.flatnonzero(best > confidence)
    if len(keep) == 0:
        return np.empty((0, 6), np.float32)
    at, best, which = output[:4, keep].T, best[keep], which[keep]
    at = np.concatenate([at[:, :2] - at[:, 2:] / 2, at[:, 2:]], 1)
    chosen = np.asarray(cv2.dnn.NMSBoxesBatched(at, best, which, confidence, iou), dtype=np.intp).reshape(-1)
    chosen = chosen[np.argsort(-best[chosen], kind="stable")][:most]
    return np.concatenate([at[chosen], best[chosen, None], which[chosen, None].astype(np.float32)], 1)


def some_output(rng, boxes=8400, classes=80, objects=40):
    """As a network gives it: most boxes have no object, and an object has some boxes. No two scores are alike."""
    out = np.zeros((4 + classes, boxes), np.float32)
    out[:2] = rng.uniform(0, 640, (2, boxes))
    out[2:4] = rng.uniform(10, 200, (2, boxes))
    out[4:] = rng.uniform(0, 0.1, (classes, boxes))
    for at in rng.choice(boxes, (objects, 12), replace=False):
        out[:4, at] = out[:4, at[:1]] + rng.uniform(-4, 4, (4, 12))
        out[4 + rng.integers(classes), at] = rng.uniform(0.2, 1, 12)
    return out


def fastest(call):
    best = None
    for _ in range(TIMES):
        begin = time.perf_counter_ns()
        call()
        ns = time.perf_counter_ns() - begin
        best = ns if best is None else min(best, ns)
    return best


def race(name, subjects, rounds):
    """subjects: {name: what gives ns}, horus first."""
    seen = {k: [] for k in subjects}
    for _ in range(rounds):
        for k, run in subjects.items():
            seen[k].append(run())
    first = next(iter(subjects))
    for k, ns in seen.items():
        ratio = statistics.median(a / b for a, b in zip(ns, seen[first]))
        print("%-34s %-18s %9.0f us   %6.2f" % (name, k, statistics.median(ns) / 1000, ratio), flush=True)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    lib, rng = library(), np.random.default_rng(1)
    print("OpenCV %s, NumPy %s; time, and how many times that of horus" % (cv2.__version__, np.__version__))
    for w, h, size in ((1920, 1080, 640), (1280, 720, 640), (1920, 1200, 640), (640, 480, 640)):
        image = cv2.GaussianBlur(rng.integers(0, 256, (h, w, 3), np.uint8), (0, 0), 2)
        ours = preprocess(lib, image, BGR8, size, size)[0]
        for other in (by_opencv, by_both, by_numpy):
            off = np.abs(ours - other(image, size, size)).max() * 255
            if off > 1:
                sys.exit("%s is %.2f levels off" % (other.__name__, off))
        race("%d x %d bgr8 -> 3 x %d x %d" % (w, h, size, size), {
            "horus": lambda: preprocess(lib, image, BGR8, size, size, TIMES)[2],
            "OpenCV": lambda: fastest(lambda: by_opencv(image, size, size)),
            "OpenCV and NumPy": lambda: fastest(lambda: by_both(image, size, size)),
            "NumPy": lambda: fastest(lambda: by_numpy(image, size, size))}, rounds)
    output = some_output(rng)
    ours, theirs = decode(lib, output, V8, 0.25, 0.45)[0], boxes_by_both(output, 0.25, 0.45)
    if ours.shape != theirs.shape or not np.allclose(ours, theirs, atol=1e-3):
        sys.exit("the detections differ: %d and %d" % (len(ours), len(theirs)))
    race("boxes of (1, 84, 8400)", {
        "horus": lambda: decode(lib, output, V8, 0.25, 0.45, times=TIMES)[1],
        "OpenCV and NumPy": lambda: fastest(lambda: boxes_by_both(output, 0.25, 0.45))}, rounds)


if __name__ == "__main__":
    main()
