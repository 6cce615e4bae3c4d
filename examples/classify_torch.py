"""A PyTorch classifier: a camera process sends frames, the network reads them where they lie.

    python3 classify_torch.py"""
import multiprocessing

import horus
import torch

SIDES = ["left", "middle", "right"]


def camera(frames):
    """Stands in for a camera: something bright at the left, in the middle, at the right."""
    topic = horus.Topic(horus.Image, name="camera.rgb", policy="reliable")
    for i in range(frames):
        image = horus.Image(240, 320, "rgb8")
        image.to_numpy()[80:160, 20 + 100 * (i % 3):100 + 100 * (i % 3)] = 255
        topic.send_blocking(image, timeout_s=60)


def network():
    """Means of three columns, weighed: a stand-in for trained weights."""
    last = torch.nn.Linear(9, 3, bias=False)
    with torch.no_grad():
        last.weight.copy_(torch.eye(3).repeat(1, 3) * 5)  # a column's red, green and blue
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d((1, 3)), torch.nn.Flatten(), last)


if __name__ == "__main__":
    topic = horus.Topic(horus.Image, name="camera.rgb", policy="reliable")  # before the camera sends
    model = network()
    multiprocessing.get_context("spawn").Process(target=camera, args=(6,), daemon=True).start()
    for i in range(6):
        frame = topic.recv(timeout=60)
        pixels = frame.to_torch()  # no copy: do not write into it
        batch = pixels.permute(2, 0, 1)[None].float() / 255  # converted: this is the one copy
        with torch.inference_mode():
            odds = model(batch).softmax(1)[0]
        print(f"frame {i}: {SIDES[int(odds.argmax())]} ({float(odds.max()):.2f})")
