"""Cells for a notebook (Jupyter and editors read `# %%`): the last line of a cell shows itself.

    python3 notebook_image.py     runs them all; a picture needs a notebook to be seen"""
# %% A frame in shared memory, drawn with NumPy
import horus
import numpy as np

y, x = np.mgrid[-1:1:240j, -1:1:320j]
image = horus.Image(240, 320, "rgb8")
pixels = image.to_numpy()
for channel, (cx, cy) in enumerate([(-0.3, -0.2), (0.3, -0.2), (0, 0.3)]):
    pixels[..., channel] = 255 * ((x - cx) ** 2 + (y - cy) ** 2 < 0.3)
image  # three circles of light

# %% What another process gets, and its repr
topic = horus.Topic(horus.Image, history=1)
topic.send(image)
received = topic.recv()
received

# %% Arithmetic gives tensors; a picture again by from_numpy()
inverted = horus.Image.from_numpy((255 - received.as_tensor()).to_numpy())
inverted

# %% Depth is shown too: near is bright
depth = horus.DepthImage.from_numpy((2 + x).astype("float32"))
depth
