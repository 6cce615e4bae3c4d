"""Describes the classes and names of the module `horus` at hand as JSON: run with the published package
and with ours, the two are compared by py_dropin_test.py.

    python py_dropin.py expressions.txt names...
"""
import inspect
import json
import math
import sys

import horus

MEMORY = ["Image", "PointCloud", "DepthImage", "Tensor", "TensorPool", "Topic"]


def plain(v, fields):
    """A value as JSON; times of now as "now", for they differ."""
    now = horus.timestamp_ns()
    if v is None or isinstance(v, (bool, str)):
        return v
    if isinstance(v, int):
        for unit in (1, 10 ** 6, 10 ** 9):
            if abs(v * unit - now) < 3600 * 10 ** 9:
                return "now"
        return v
    if isinstance(v, float):
        return repr(float("%.6g" % v)) # the package counts some things in float32
    if isinstance(v, bytes):
        return ["bytes"] + list(v)
    if isinstance(v, (list, tuple)):
        return [type(v).__name__] + [plain(x, fields) for x in v]
    if isinstance(v, dict):
        return {k: plain(x, fields) for k, x in v.items()}
    name = type(v).__name__
    if name == "ndarray":
        return ["array", str(v.dtype)] + plain(v.tolist(), fields)
    if hasattr(v, "item") and type(v).__module__ == "numpy":
        return [name, plain(v.item(), fields)]
    if name in fields:
        return {"class": name, **{f: plain(getattr(v, f), fields) for f in fields[name] or ()}}
    return "a " + name


def attempt(call):
    try:
        return call()
    except Exception as e: # ours by the builtins that it derives from
        return "!" + " ".join(b.__name__ for b in type(e).__mro__ if b.__module__ == "builtins")


def signature(call):
    return [[p.name, str(p.kind), "required" if p.default is p.empty else repr(p.default)]
            for p in inspect.signature(call).parameters.values() if p.name != "self"]


def describe_memory():
    """Signatures of the constructors, properties, and methods with their parameters and defaults."""
    out = {}
    for name in MEMORY:
        cls = getattr(horus, name)
        out[name] = {"()": signature(cls)}
        for a in dir(cls):
            if not a.startswith("_"):
                value = getattr(cls, a)
                out[name][a] = attempt(lambda: signature(value)) if callable(value) else "a property"
    return out


def public():
    """What the module has of its own."""
    own = {type(sys), type(inspect.signature)}
    return sorted(k for k, v in vars(horus).items() if not k.startswith("_") and
                  (type(v) not in own or getattr(v, "__module__", v.__name__).startswith("horus")) and
                  getattr(v, "__module__", "") != "typing")


def describe(names):
    out = {}
    for name in names:
        cls = getattr(horus, name)
        parameters = inspect.signature(cls).parameters.values()
        required = [p.name for p in parameters if p.default is p.empty]
        made = cls(**{p: 0.0 for p in required})
        attributes, methods = {}, {}
        for a in dir(cls):
            if a.startswith("_"):
                continue
            value = getattr(cls, a)
            if callable(value):
                methods[a] = attempt(
                    lambda: [p.name for p in inspect.signature(value).parameters.values()])
            else:
                attributes[a] = type(getattr(made, a)).__name__
        out[name] = {
            "signature": [[p.name, str(p.kind), "required" if p.default is p.empty else repr(p.default)]
                          for p in parameters],
            "attributes": attributes,
            "methods": methods,
            "topic": getattr(cls, "__topic_name__", None),
            "made": made,
        }
    return out


def evaluate(lines, fields):
    """Each line: statements, then an expression, between semicolons."""
    out = {}
    common = {k: getattr(horus, k) for k in dir(horus) if not k.startswith("_")}
    common.update(horus=horus, math=math, nan=math.nan, inf=math.inf)
    try:
        import numpy
        common["np"] = numpy
    except ImportError:
        lines = [l for l in lines if "np." not in l]
    for line in lines:
        def run():
            names = dict(common)
            *before, last = line.split(";")
            for statement in before:
                exec(statement.strip(), names)
            return plain(eval(last.strip(), names), fields)
        out[line] = attempt(run)
    return out


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        lines = [l for l in f.read().split("\n") if l and l[0] != "#"]
    fields = json.loads(sys.argv[2])
    classes = describe(fields)
    for name, c in classes.items():
        if fields[name] is None: # the first of the two says what the attributes are
            fields[name] = sorted(c["attributes"])
    for c in classes.values():
        c["made"] = plain(c["made"], fields)
    json.dump({"classes": classes, "fields": fields, "memory": describe_memory(), "public": public(), "results": evaluate(lines, fields)}, sys.stdout)


main()
