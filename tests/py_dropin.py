"""Describes the message classes of the module `horus` at hand as JSON: run with the published package
and with ours, the two are compared by py_dropin_test.py.

    python py_dropin.py expressions.txt names...
"""
import inspect
import json
import math
import sys

import horus


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
    if name in fields:
        return {"class": name, **{f: plain(getattr(v, f), fields) for f in fields[name] or ()}}
    return "a " + name


def attempt(call):
    try:
        return call()
    except Exception as e: # ours by the builtin that it derives from
        names = [b.__name__ for b in type(e).__mro__ if b.__module__ == "builtins"]
        return "!" + (type(e).__name__ if type(e).__name__ in names else names[0])


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
    common.update(math=math, nan=math.nan, inf=math.inf)
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
    json.dump({"classes": classes, "fields": fields, "results": evaluate(lines, fields)}, sys.stdout)


main()
