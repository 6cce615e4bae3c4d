"""An ONNX Runtime detector: the session reads frames from shared memory and its finds are messages.

    python3 detect_onnx.py"""
import horus
import onnxruntime
from onnx import TensorProto, helper

H, W, BOX, STEP = 240, 320, 32, 8


def model():
    """Means of boxes, and which is the brightest: a stand-in for a trained file."""
    node, value = helper.make_node, helper.make_tensor_value_info
    nodes = [node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
             node("ReduceMean", ["float"], ["grey"], axes=[2], keepdims=0),
             node("Unsqueeze", ["grey", "front"], ["nchw"]),
             node("AveragePool", ["nchw"], ["means"], kernel_shape=[BOX, BOX], strides=[STEP, STEP]),
             node("Reshape", ["means", "flat"], ["scores"]),
             node("TopK", ["scores", "one"], ["score", "place"])]
    known = [helper.make_tensor(n, TensorProto.INT64, [len(v)], v)
             for n, v in (("front", [0, 1]), ("flat", [-1]), ("one", [1]))]
    graph = helper.make_graph(nodes, "brightest", [value("image", TensorProto.UINT8, [H, W, 3])],
                              [value("score", TensorProto.FLOAT, [1]),
                               value("place", TensorProto.INT64, [1])], known)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


session = onnxruntime.InferenceSession(model().SerializeToString())
camera, frames = horus.Topic(horus.Image, name="camera"), horus.Topic(horus.Image, name="camera")
found, seen = horus.Topic(horus.Detection), horus.Topic(horus.Detection)
for x, y in ((40, 80), (160, 16), (288, 208)):
    image = horus.Image(H, W)  # stands in for a camera
    image.to_numpy()[y:y + BOX, x:x + BOX] = 200
    camera.send(image)
    score, place = session.run(None, {"image": frames.recv().to_numpy()})  # read where it lies
    row, column = divmod(int(place[0]), (W - BOX) // STEP + 1)
    found.send(horus.Detection("lamp", score[0] / 255, column * STEP, row * STEP, BOX, BOX))
    lamp = seen.recv()
    print(f"{lamp.class_name} at {lamp.bbox.x:.0f}, {lamp.bbox.y:.0f} ({lamp.confidence:.2f})")
