"""A JAX filter: depth frames are averaged over time by a compiled function that reads the pool.

    python3 filter_jax.py"""
import horus
import jax
import numpy as np


@jax.jit
def smooth(state, metres):
    """A running mean of what was measured: 0 and NaN keep what was there."""
    valid = jax.numpy.isfinite(metres) & (metres > 0)
    return jax.numpy.where(valid, jax.numpy.where(state > 0, 0.8 * state + 0.2 * metres, metres), state)


def sensor(topic, count):
    """Stands in for a depth camera: a wall 2 m away, noise of 5 cm, a tenth of the pixels missing."""
    random = np.random.default_rng(1)
    for _ in range(count):
        metres = 2 + random.normal(0, 0.05, (120, 160))
        metres[random.random(metres.shape) < 0.1] = 0
        topic.send(horus.DepthImage.from_numpy(metres))  # float64 becomes float32


with horus.Topic(horus.DepthImage, 40, name="depth.raw") as raw, \
        horus.Topic(horus.DepthImage, 40, name="depth.smooth") as out:
    sensor(raw, 40)
    state = jax.numpy.zeros((120, 160))
    for frame in raw.recv_all():
        state = smooth(state, frame.to_jax())  # the frame's own memory
        out.send(horus.DepthImage.from_dlpack(state))
    last = out.read_latest()
    noise = [float(np.std(f.to_numpy()[f.to_numpy() > 0])) for f in (frame, last)]
    print(f"noise {1000 * noise[0]:.0f} mm, smoothed {1000 * noise[1]:.0f} mm")
    print("range %.2f to %.2f m, mean %.2f m" % last.depth_statistics())
    print("valid", int((last.to_numpy() > 0).sum()), "of", last.to_numpy().size)
