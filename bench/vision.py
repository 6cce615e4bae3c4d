#!/usr/bin/env python3
"""What comes before and after a network, in one pass by horus, and as it is usually written: by OpenCV, by OpenCV
and NumPy, by NumPy alone.

    bench/vision.py [ROUNDS]        needs numpy and opencv-python-headless; one line for each subject

In each round every subject runs five times and its fastest run counts; a ratio is the median over all rounds of
(subject / horus, in the same round). OpenCV may use all processors, horus uses one; in `make bench` (python_worker.py)
all have the same one. Before that the results of all are compared: who is fast because he does something else is not
fast."""
import os
import statistics
import sys
import time

import numpy as np

try:
    import cv2
except ImportError:  # for tests that compare with NumPy alone
    cv2 = None

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
TIMES = 5
FRAMES = {"1920x1080": (1920, 1080), "1280x720": (1280, 720), "1920x1200": (1920, 1200), "640x480": (640, 480)}
SIZE = 640  # of the tensor, px


def module():
    """The module horus: the one that is there, else made for this interpreter."""
    try:
        import horus
    except ImportError:
        sys.path.insert(0, os.path.join(ROOT, "tests"))
        import python_test
        folder = os.path.join(ROOT, "build", "vision")
        if python_test.build(sys.executable, folder) != 0:
            sys.exit(f"the module was not built: see {folder}.build.log")
        sys.path.insert(0, folder)
        import horus
    return horus


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


def picture(rng, w, h):
    return cv2.GaussianBlur(rng.integers(0, 256, (h, w, 3), np.uint8), (0, 0), 2)


def rows_of(found):
    """A DetectionList as boxes_by_both() gives it."""
    return np.array([[d.bbox.x, d.bbox.y, d.bbox.width, d.bbox.height, d.confidence, d.class_id] for d in found.items],
                    np.float32).reshape(-1, 6)


def subjects(horus, frames=tuple(FRAMES)):
    """What is compared: {what: {who: call}}, horus first. AssertionError if they do not agree."""
    rng, all_of = np.random.default_rng(1), {}
    for label in frames:
        w, h = FRAMES[label]
        image = picture(rng, w, h)
        frame = horus.Image.from_numpy(image, "bgr8")
        ours = horus.preprocess(frame, SIZE).to_numpy()[0]
        for other in (by_opencv, by_both, by_numpy):
            off = np.abs(ours - other(image, SIZE, SIZE)).max() * 255
            assert off <= 1, "%s is %.2f levels off" % (other.__name__, off)
        all_of[f"preprocess() of {label}"] = {
            "horus": lambda frame=frame: horus.preprocess(frame, SIZE),
            "OpenCV": lambda image=image: by_opencv(image, SIZE, SIZE),
            "OpenCV and NumPy": lambda image=image: by_both(image, SIZE, SIZE),
            "NumPy": lambda image=image: by_numpy(image, SIZE, SIZE)}
    output = some_output(rng)
    ours, theirs = rows_of(horus.yolo_decode(output)), boxes_by_both(output, 0.25, 0.45)
    assert ours.shape == theirs.shape and np.allclose(ours, theirs, atol=1e-3), "the detections differ"
    all_of["yolo_decode() of (1, 84, 8400)"] = {
        "horus": lambda: horus.yolo_decode(output), "OpenCV and NumPy": lambda: boxes_by_both(output, 0.25, 0.45)}
    return all_of


def fastest(call):
    best = None
    for _ in range(TIMES):
        begin = time.perf_counter_ns()
        call()
        ns = time.perf_counter_ns() - begin
        best = ns if best is None else min(best, ns)
    return best


def race(name, subjects, rounds):
    """subjects: {who: call}, horus first."""
    seen = {k: [] for k in subjects}
    for _ in range(rounds):
        for k, call in subjects.items():
            seen[k].append(fastest(call))
    first = next(iter(subjects))
    for k, ns in seen.items():
        ratio = statistics.median(a / b for a, b in zip(ns, seen[first]))
        print("%-34s %-18s %9.0f us   %6.2f" % (name, k, statistics.median(ns) / 1000, ratio), flush=True)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    if cv2 is None:
        sys.exit("bench/vision.py: pip install opencv-python-headless")
    os.environ.setdefault("HORUS_NAMESPACE", "vision.%d" % os.getpid())
    all_of = subjects(module())
    print("OpenCV %s, NumPy %s; time, and how many times that of horus" % (cv2.__version__, np.__version__))
    for name, these in all_of.items():
        race(name, these, rounds)


if __name__ == "__main__":
    main()
