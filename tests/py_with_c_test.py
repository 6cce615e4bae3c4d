"""A C program and a Python program exchange images and messages, each as the publisher and as the subscriber; and a C
program reads what a scheduler in Python counts."""
import os
import subprocess
import sys
import tempfile
import unittest

import horus
import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COUNT = 40
PROGRAM = r"""
#define HORUS_IMPLEMENTATION
#include "horus.h"

enum { COUNT = 40, WIDTH = 8, HEIGHT = 6 };
static const horus_topic_desc images = {
    .type = &horus_image_type, .policy = HORUS_RELIABLE, .capacity = 4};
static const horus_topic_desc commands = {
    .type = &horus_cmd_vel_type, .policy = HORUS_RELIABLE, .capacity = 4};
static const int64_t wait_ns = 30000000000;

static int publish(horus_topic *camera, horus_topic *drive)
{
    for (int i = 0; i < COUNT; i++) {
        horus_image img;
        char id[32];
        snprintf(id, sizeof id, "c.%d", i);
        if (horus_image_alloc(&img, NULL, WIDTH, HEIGHT, HORUS_RGB8, 0) != 0)
            return 1;
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH * 3; x++)
                ((uint8_t *)img.data)[(size_t)y * img.stride_bytes + (size_t)x] = (uint8_t)(i * 31 + y * 24 + x);
        horus_cmd_vel command = {.timestamp_ns = (uint64_t)i + 1, .linear = (float)i * 0.5f, .angular = -(float)i};
        if (horus_frame_set_id(&img.frame, id) != 0 ||
            horus_topic_send_image(camera, &img, wait_ns) != 0 ||
            horus_topic_send(drive, &command, sizeof command, wait_ns) != 0)
            return 1;
        horus_image_release(&img);
    }
    return 0;
}
static int subscribe(horus_topic *camera, horus_topic *drive)
{
    horus_image img;
    horus_cmd_vel command;
    char id[HORUS_FRAME_ID_BYTES], wanted[32];
    if (horus_topic_receive_image(camera, &img, NULL, HORUS_NO_WAIT) != HORUS_EMPTY ||
        horus_topic_receive(drive, &command, sizeof command, NULL, HORUS_NO_WAIT) != HORUS_EMPTY)
        return 1; /* from here on it is waited for */
    puts("ready");
    fflush(stdout);
    for (int i = 0; i < COUNT; i++) {
        if (horus_topic_receive_image(camera, &img, NULL, wait_ns) != 0 ||
            horus_topic_receive(drive, &command, sizeof command, NULL, wait_ns) != 0 ||
            horus_frame_get_id(&img.frame, id) != 0)
            return 1;
        snprintf(wanted, sizeof wanted, "python.%d", i);
        bool right = img.width_px == WIDTH && img.height_px == HEIGHT && img.encoding == HORUS_RGB8 &&
                     img.readonly && strcmp(id, wanted) == 0 && command.timestamp_ns == (uint64_t)i + 1 &&
                     command.linear == (float)i * 0.5f && command.angular == -(float)i;
        for (int y = 0; y < HEIGHT && right; y++)
            for (int x = 0; x < WIDTH * 3; x++)
                right &= ((uint8_t *)img.data)[(size_t)y * img.stride_bytes + (size_t)x] ==
                         (uint8_t)(i * 31 + y * 24 + x);
        horus_image_release(&img);
        if (!right)
            return fprintf(stderr, "message %d is another: %s, %ux%u, %g\n", i, id, (unsigned)img.width_px,
                           (unsigned)img.height_px, (double)command.linear), 2;
    }
    return 0;
}
static int figures(void)
{
    horus_scheduler_stats all;
    horus_node_stats node[8];
    size_t n = 0;
    horus_result r = horus_scheduler_read(NULL, "with_c", &all, node, 8, &n);
    for (size_t i = 0; i < n; i++)
        printf("%s %d %d\n", node[i].name, (int)node[i].ticks, (int)node[i].spread[HORUS_SPREAD_RUN].count);
    return r == HORUS_OK && n == all.nodes ? 0 : 1;
}
int main(int argc, char **argv)
{
    horus_topic *camera, *drive;
    if (argc == 2 && strcmp(argv[1], "figures") == 0)
        return figures();
    if (argc < 2 || horus_topic_open(&camera, "with_c.camera", &images) != 0 ||
        horus_topic_open(&drive, "with_c.drive", &commands) != 0)
        return fprintf(stderr, "%s\n", horus_last_error()), 1;
    int r = strcmp(argv[1], "publish") == 0 ? publish(camera, drive) : subscribe(camera, drive);
    if (r == 1)
        fprintf(stderr, "%s\n", horus_last_error());
    horus_topic_close(camera);
    horus_topic_close(drive);
    return r;
}
"""


def pixels(i):
    return ((i * 31 + np.arange(6)[:, None] * 24 + np.arange(24)) % 256).astype(np.uint8).reshape(6, 8, 3)


class WithC(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        source = os.path.join(cls.folder.name, "with_c.c")
        cls.program = os.path.join(cls.folder.name, "with_c")
        with open(source, "w") as file:
            file.write(PROGRAM)
        subprocess.run(["gcc", "-O1", "-I" + ROOT, source, "-o", cls.program, "-pthread", "-lm"], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def start(self, how):
        env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}  # it is built without a sanitizer
        return subprocess.Popen([self.program, how], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)

    def ended(self, process):
        _, said = process.communicate(timeout=60)
        self.assertEqual((process.returncode, said), (0, ""))

    def topics(self):
        return (horus.Topic(horus.Image, name="with_c.camera", policy="reliable"),
                horus.Topic(horus.CmdVel, name="with_c.drive", policy="reliable"))

    def test_c_publishes_and_python_receives(self):
        camera, drive = self.topics()
        with camera, drive:
            self.assertIsNone(camera.recv())  # from here on it is waited for
            self.assertIsNone(drive.recv())
            process, kept = self.start("publish"), []
            for i in range(COUNT):
                image, command = camera.recv(timeout=30), drive.recv(timeout=30)
                self.assertIsNotNone(image, i)
                self.assertEqual((image.encoding, image.frame_id, image.readonly), ("rgb8", f"c.{i}", True))
                self.assertEqual(command, horus.CmdVel(linear=i * 0.5, angular=-i))
                self.assertEqual(command.timestamp_ns, i + 1)
                kept.append(image.to_numpy())
            self.ended(process)
            self.assertEqual((camera.missed_count(), drive.missed_count()), (0, 0))
        for i, view in enumerate(kept):  # the publisher has ended, and all frames are still what they were
            self.assertTrue((view == pixels(i)).all(), i)

    def test_python_publishes_and_c_receives(self):
        camera, drive = self.topics()
        with camera, drive:
            process = self.start("subscribe")
            self.assertEqual(process.stdout.readline(), "ready\n")
            for i in range(COUNT):
                image = horus.Image.from_numpy(pixels(i))
                image.frame_id = f"python.{i}"
                self.assertTrue(camera.send(image, timeout=30), i)
                self.assertTrue(drive.send(horus.CmdVel(linear=i * 0.5, angular=-i, timestamp_ns=i + 1), timeout=30), i)
            self.ended(process)

    def test_c_reads_what_each_model_of_an_operator_took(self):
        model = os.path.join(self.folder.name, "model")
        open(model, "w").close()

        def take(node):
            for name in "a", "b":
                tensor = horus.Tensor.from_numpy(np.full(4, node.info.tick_count(), np.float32))
                tensor.frame_id = name
                node.send("with_c.tensors", tensor)
        eyes = horus.InferenceOp(backend="identity", model_path_map={"one": model, "two": model},
                                 pre_processor_map={"one": ["a"], "two": ["b"]}, temporal_map={"two": "3"},
                                 inference_map={"one": ["c"], "two": ["d"]}, inputs="with_c.tensors", on="with_c.tensors", name="eyes")
        s = horus.Scheduler(name="with_c")
        s.add(eyes)
        s.add(horus.Node("camera", take, rate=200, pubs=horus.Pub("with_c.tensors", horus.Tensor)))
        s.run(duration=0.3)
        runs = {name: model["runs"] for name, model in eyes.stats().items()}
        for closed in False, True:  # a run after that has their names still
            process = self.start("figures")
            said, why = process.communicate(timeout=60)
            self.assertEqual((process.returncode, why), (0, ""))
            rows = [line.split() for line in said.splitlines()]
            self.assertEqual([row[0] for row in rows], ["eyes", "camera", "eyes/one", "eyes/two"])
            self.assertGreater(runs["one"], 2)
            self.assertEqual([[int(n) for n in row[1:]] for row in rows[2:]], [[runs[m]] * 2 for m in ("one", "two")])
            if not closed:
                eyes.close()
                s.run(duration=0.02)  # says that its init failed


if __name__ == "__main__":
    sys.exit(unittest.main())
