# What mypy and pyright must accept of horus-stubs.
from typing import Optional

import horus
import numpy as np

topic = horus.Topic(horus.Image, name="front", capacity=4)
image: horus.Image = horus.Image.from_numpy(np.zeros((4, 4, 3), np.uint8))
sent: bool = topic.send(image, timeout=0.5)
pixels = image.to_numpy()[0:2]
sums: horus.Tensor = image.as_tensor().sum(dim=0) + 1
sums += 1
mask: horus.Tensor = (sums > 1) & ~(sums // 2 >= 3) | (sums % 2 == 0) ^ (sums**2 < 9)
dense: horus.Tensor = sums @ np.ones((2, 2)) << 1
found = horus.DetectionList()
first: str = found[0].class_name if len(found) else horus.Detection.__topic_name__
names = [detection.class_name for detection in found]
image += 1
whole: horus.Tensor = sums.max(axis=(0, 1), keepdims=True)
near: horus.RangeSensor = horus.Range(range=0.5)
ready: Optional[horus.Topic] = horus.wait([topic], timeout=1)
speed: float = horus.CmdVel(linear=1.0, angular=0.0).linear
with horus.Image(2, 2) as small:
    small.fill([1, 2, 3])
try:
    horus.TensorPool().alloc([2, 2])
except horus.PoolFullError as error:
    print(error)


class Detector(horus.Node):
    def tick(self, info: Optional[horus.NodeInfo] = None) -> None:
        frame = self.recv(horus.Image)
        if frame is not None:
            self.send("detections", {"mean": float(frame.to_numpy().mean())})


scheduler = horus.Scheduler(tick_rate=100, name="cell").add(Detector("detector", rate=30, budget=50 * horus.ms))
scheduler.run(duration=0)
misses: int = scheduler.safety_stats()["deadline_misses"]
horus.run(horus.Node(tick=lambda node: node.send("x", 1), pubs=[horus.Pub("x", capacity=4)]), duration=0.0)
horus.Scheduler(deterministic=True, recording="cell.recording", rt="deadline").run(duration=1)
recording = horus.Scheduler(replay="cell.recording").get_recording()
tensor: horus.Tensor = horus.preprocess(image, (480, 640), mean=[0.5, 0.5, 0.5], std=0.25)
both, where = horus.preprocess(pixels, 640, encoding="bgr8", return_map=True)
pixels = horus.preprocess(image, out=pixels)
shift: float = where.offset_x
boxes: horus.DetectionList = horus.yolo_decode(both, map=where, class_names={0: "cat"})
boxes, counts = horus.yolo_decode(pixels, return_stats=True)
best: horus.Tensor = horus.argmax(horus.softmax(horus.topk(tensor, 3)[0]))
with horus.InferenceOp("models.yaml", {"camera": "picture"}, output="found", rate=30, enable_fp16=True) as op:
    corners: "np.typing.NDArray[np.float32]" = op.infer({"picture": image})["boxes"]
    age: Optional[int] = op.age("boxes")
scheduler.add(op)
