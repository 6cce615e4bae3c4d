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
with horus.InferenceOp("models.yaml", {"camera": "picture"}, output="found", rate=30, enable_fp16=True) as op:
    boxes: "np.typing.NDArray[np.float32]" = op.infer({"picture": image})["boxes"]
    age: Optional[int] = op.age("boxes")
scheduler.add(op)
