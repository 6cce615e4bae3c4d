"""Edges with OpenCV: it reads a frame in shared memory and writes the edges into another.

    python3 edges_opencv.py"""
import cv2
import horus


def camera(number):
    """Stands in for a camera: a square that grows."""
    image = horus.Image(240, 320, "bgr8")  # OpenCV's order of colours
    pixels = image.to_numpy()
    cv2.rectangle(pixels, (100, 60), (130 + 20 * number, 90 + 20 * number), (40, 180, 250), -1)
    image.frame_id, image.timestamp_ns = f"square {number}", horus.timestamp_ns()
    return image


source, frames = horus.Topic(horus.Image, name="camera"), horus.Topic(horus.Image, name="camera")
drawn, edges = horus.Topic(horus.Image, name="edges"), horus.Topic(horus.Image, name="edges")
for i in range(3):
    source.send(camera(i))  # from here on it can only be read

    frame = frames.recv(timeout=1)
    grey = cv2.cvtColor(frame.to_numpy(), cv2.COLOR_BGR2GRAY)
    out = horus.Image.empty(frame.height, frame.width, "mono8")
    view = out.to_numpy()
    if cv2.Canny(grey, 50, 150, edges=view) is not view:  # written in place, or copied
        raise SystemExit("OpenCV made an array of its own")
    out.frame_id, out.timestamp_ns = frame.frame_id, frame.timestamp_ns
    del view  # an array made before send() could still write
    drawn.send(out)

    picture = edges.recv(timeout=1)
    print(f"{picture.frame_id}: {cv2.countNonZero(picture.to_numpy())} pixels of edge")
picture.save("edges.png")
