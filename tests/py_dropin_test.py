"""Compares the module with the package horus-robotics 0.4.1: message classes, memory, topics, nodes and
the scheduler, by introspection and by what some hundred calls give. Every difference must be one that is listed here, with its reason.

PACKAGE_PYTHON names an interpreter that has the package; without it the test is skipped."""
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.environ.get("PACKAGE_PYTHON", "")

# What differs, and why; calls that do are listed in py_dropin.txt.
DEFAULTS = "all constructors have defaults"
NO_CUT = "nothing is filled to 360 ranges, cut or clamped"
DIFFERENT = {
    "signature CmdVel": DEFAULTS,
    "signature Imu": DEFAULTS,
    "signature Pose2D": DEFAULTS,
    "made LaserScan": NO_CUT,
    "made CostMap": "a nested message is not stamped",
    "made OccupancyGrid": "a nested message is not stamped",
    "made StereoInfo": "a nested message is not stamped",
}
# Parameters that ours have before the package's last one.
BEFORE = {
    ("Topic", "recv"): ["timeout"],  # a Node is known there as what it is
    ("Topic", "send"): ["timeout"],
}
# Names of the package that are no part of the API, and not here.
NOT_HERE = {"COCOPose", "HorusTransformError", "Params", "PointCloudBuffer", "PointXYZ", "PointXYZRGB", "Transform",
            "TransformFrame", "TransformFrameConfig", "msggen"}


def same(ours, theirs):
    """Ours may be any error that the same `except` catches."""
    if isinstance(theirs, str) and theirs.startswith("!") and isinstance(ours, str) and ours.startswith("!"):
        return theirs[1:].split()[0] in ours[1:].split()
    return ours == theirs


def describe(python, fields):
    env = dict(os.environ)
    if python == PACKAGE:
        env.pop("PYTHONPATH", None) # which may lead to ours
    r = subprocess.run([python, os.path.join(HERE, "py_dropin.py"),
                        os.path.join(HERE, "py_dropin.txt"), json.dumps(fields)],
                       stdout=subprocess.PIPE, env=env, cwd=HERE, check=True)
    if python == PACKAGE: # it leaves its namespace behind
        shutil.rmtree("/dev/shm/horus_" + re.sub(r"\W", "_", env.get("HORUS_NAMESPACE", "default")), ignore_errors=True)
    return json.loads(r.stdout)


def different_calls():
    """Calls whose results differ, and why: the lines that follow a `#~ reason` in py_dropin.txt."""
    out, why = {}, None
    with open(os.path.join(HERE, "py_dropin.txt"), encoding="utf-8") as f:
        lines = f.read().split("\n")
    for line in lines:
        if line.startswith("#"):
            why = line[2:].strip() if line.startswith("#~") else None
        elif line and why:
            out[line] = why
    return out


@unittest.skipUnless(PACKAGE, "skipped: PACKAGE_PYTHON does not name an interpreter with horus-robotics 0.4.1")
class DropIn(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        import horus
        names = [n for n, c in vars(horus).items() if hasattr(c, "__type_tag__") and c.__name__ == n and
                 not n.startswith("Infer")]  # the operator's own messages are no part of the package
        cls.theirs = describe(PACKAGE, {n: None for n in names})
        cls.ours = describe(sys.executable, cls.theirs["fields"])

    def test_every_parameter_of_the_package_is_in_the_same_place(self):
        keyword_only = str(inspect.Parameter.KEYWORD_ONLY)
        for name, c in self.theirs["classes"].items():
            ours = self.ours["classes"][name]["signature"]
            if "signature " + name in DIFFERENT: # these give a default where the package has none
                ours = [[n, k, "required" if t[2] == "required" else d]
                        for (n, k, d), t in zip(ours, c["signature"])]
            self.assertEqual(ours[:len(c["signature"])], c["signature"], name)
            for more in self.ours["classes"][name]["signature"][len(c["signature"]):]:
                self.assertEqual(more[1], keyword_only, name)

    def test_every_attribute_is_there_with_its_type(self):
        for name, c in self.theirs["classes"].items():
            for a, kind in c["attributes"].items():
                self.assertEqual(self.ours["classes"][name]["attributes"].get(a), kind, name + "." + a)

    def test_every_method_is_there_with_its_parameters(self):
        for name, c in self.theirs["classes"].items():
            for m, parameters in c["methods"].items():
                ours = self.ours["classes"][name]["methods"].get(m)
                if isinstance(parameters, list) and (m, name) != ("from_bytes", "DetectionList"):
                    self.assertEqual(ours, parameters, name + "." + m)
                else:
                    self.assertIsNotNone(ours, name + "." + m)

    def test_new_messages_hold_the_same_values(self):
        for name, c in self.theirs["classes"].items():
            ours = self.ours["classes"][name]["made"]
            if "made " + name in DIFFERENT:
                self.assertNotEqual(ours, c["made"], name + " agrees: take it off the list")
            else:
                self.assertEqual(ours, c["made"], name)

    def test_memory_and_topics_have_every_name_of_the_package(self):
        for name, members in self.theirs["memory"].items():
            ours = self.ours["memory"][name]
            for a, wanted in members.items():
                with self.subTest(name=name, member=a):
                    self.assertIn(a, ours)
                    if isinstance(wanted, str):
                        self.assertEqual(ours[a], wanted)
                        continue
                    before = BEFORE.get((name, a), [])
                    got = [["args" if "VAR" in k else p, k, d] for p, k, d in ours[a] if p not in before]
                    self.assertEqual(got[:len(wanted)], wanted)
                    for _, kind, default in got[len(wanted):]: # what is more is not needed
                        self.assertTrue(default != "required" or "VAR" in kind, ours[a])

    def test_every_public_name_is_here(self):
        theirs, ours = set(self.theirs["public"]), set(self.ours["public"])
        self.assertEqual(theirs - ours, NOT_HERE)

    def test_default_topics_are_the_same(self):
        for name, c in self.theirs["classes"].items():
            if c["topic"]:
                self.assertEqual(self.ours["classes"][name]["topic"], c["topic"], name)

    def test_calls_give_the_same(self):
        listed = different_calls()
        for call, result in self.theirs["results"].items():
            with self.subTest(call=call):
                ours = self.ours["results"][call]
                if call in listed:
                    self.assertFalse(same(ours, result), "agrees: take it off the list")
                elif not same(ours, result):
                    self.assertEqual(ours, result)
        print("%d classes, %d calls, %d differences by intention" %
              (len(self.theirs["classes"]), len(self.theirs["results"]), len(listed) + len(DIFFERENT)))


if __name__ == "__main__":
    unittest.main()
