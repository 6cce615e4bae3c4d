"""Models for the benchmark, as ONNX files that need no package to be written. Their work is small, so that what is
around it shows: "small" adds x to itself, "image" takes one element of each channel of 640x640 px."""
import os
import struct

FLOAT, INT64 = 1, 7
SHAPES = {"small": (1, 16), "image": (1, 3, 640, 640), "heavy": (256, 256)}  # of x


def field(number, value):
    """A field of protobuf: an int, bytes, or text."""
    def varint(n):
        out = b""
        while n > 127:
            out += bytes([n & 127 | 128])
            n >>= 7
        return out + bytes([n])
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def node(kind, inputs, output):
    return field(1, b"".join(field(1, i) for i in inputs) + field(2, output) + field(4, kind))


def value(number, name, shape):
    dims = b"".join(field(1, field(1, n)) for n in shape)
    return field(number, field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, dims))))


def numbers(name, *n):
    return field(5, field(1, len(n)) + field(2, INT64) + field(8, name) + field(9, struct.pack("<%dq" % len(n), *n)))


def model(nodes, shape, out):
    graph = nodes + field(2, "bench") + value(11, "x", shape) + value(12, "y", out)
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


def write(folder):
    """{name: path}"""
    one, shape = numbers("from", 0, 0) + numbers("to", 1, 1) + numbers("axes", 2, 3), SHAPES
    chain = ["x"] + ["a%d" % i for i in range(7)] + ["y"]
    made = {"small": model(node("Add", ["x", "x"], "y"), shape["small"], shape["small"]),
            "image": model(node("Slice", ["x", "from", "to", "axes"], "y") + one, shape["image"], (1, 3, 1, 1)),
            "heavy": model(b"".join(node("MatMul", [a, "x"], b) for a, b in zip(chain, chain[1:])),
                           shape["heavy"], shape["heavy"])}
    paths = {}
    for name, data in made.items():
        paths[name] = os.path.join(folder, name + ".onnx")
        with open(paths[name], "wb") as file:
            file.write(data)
    return paths
