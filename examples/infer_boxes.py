"""A camera, an inference operator, and what it finds: messages, and boxes in the picture.

    python3 infer_boxes.py"""
import horus
from onnx import TensorProto, helper, save

H, W, CELL = 240, 320, 16
node, value, grid = helper.make_node, helper.make_tensor_value_info, [1, 1, H // CELL, W // CELL]
nodes = [node("Cast", ["picture"], ["grey"], to=TensorProto.FLOAT),
         node("Unsqueeze", ["grey", "front"], ["nchw"]),
         node("AveragePool", ["nchw"], ["cells"], kernel_shape=[CELL, CELL], strides=[CELL, CELL])]
graph = helper.make_graph(nodes, "how bright each cell is", [value("picture", TensorProto.UINT8, [H, W])],
                          [value("cells", TensorProto.FLOAT, grid)],
                          [helper.make_tensor("front", TensorProto.INT64, [2], [0, 1])])
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "cells.onnx")


def camera(node):  # stands in for one, as the model above for a trained file
    image, x = horus.Image(H, W, "mono8"), 4 * CELL * (horus.tick() % 5)
    image.to_numpy()[80:80 + CELL, x:x + CELL] = 200
    node.send("camera", image)


def draw(node):
    picture, cells = node.recv("camera").copy(), node.recv("found").to_numpy()[0, 0]
    for row, column in zip(*(cells > 100).nonzero()):
        x, y, score = int(column) * CELL, int(row) * CELL, cells[row, column] / 255
        node.send("lamps", horus.Detection("lamp", score, x, y, CELL, CELL))
        picture.to_numpy()[y:y + CELL, [x, x + CELL - 1]] = 255
        print(f"lamp at {x}, {y} ({score:.2f})")
        if x == 8 * CELL:
            node.request_stop()
    picture.save("found.png")


params = {"backend": "onnxrt", "model_path_map": {"cells": "cells.onnx"},
          "pre_processor_map": {"cells": ["picture"]}, "inference_map": {"cells": ["brightness"]}}
eyes = horus.InferenceOp(params, inputs="camera", output="found", on="camera")
horus.run(horus.Node("camera", camera), eyes, horus.Node("draw", draw, on="found", subs="camera"), duration=9)
