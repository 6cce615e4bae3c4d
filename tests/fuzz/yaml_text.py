"""Files of InferenceOp's parameters for tests/fuzz/python.c: texts to begin with, what is made of them, and what must
hold of any.

    PYTHONPATH=folder-of-the-module HORUS_DIR=... python3 tests/fuzz/yaml_text.py FILE...    looks at these"""
import base64
import os
import random
import sys
import warnings

import yaml

import horus

warnings.simplefilter("ignore")
TEXTS = ("backend",)
MAPS = ("backend_map", "model_path_map", "temporal_map", "activation_map", "device_map", "dla_core_map")
LISTS = ("pre_processor_map", "inference_map", "trt_opt_profile")
NAMES = ("in_tensor_names", "out_tensor_names")
FLAGS = ("infer_on_cpu", "enable_fp16", "is_engine_path", "dynamic_input_dims", "input_on_cuda", "output_on_cuda",
         "transmit_on_cuda", "transmit_on_host", "parallel_inference", "enable_cuda_graphs", "dla_gpu_fallback")
ALL = TEXTS + MAPS + LISTS + NAMES + FLAGS
MODELS = ("m1", "m2", "m3", "model_1_unique_identifier")
TENSORS = ("a", "b", "c", "d", "input_tensor_1_model_1_unique_identifier")
BACKENDS = ("identity", "add", "python", "onnxrt", "trt", "torch", "openvino", "libtorch")
PATHS = ("/dev/null", "/dev", "/none", "/dev/null/x", "path_to_model_1", ".")
NUMBERS = ("0", "1", "-1", "2", "3", "01", "0o7", "0x1", "0b1", "1_0", "1:30", "1.0", "1.5", ".5", "1e3", "1.0e+400", "-0.0", ".nan",
           ".inf", "-.inf", "4294967296", "18446744073709551616", "9" * 400, "9" * 4400, "0x" + "f" * 3600, "1:" * 900 + "1")
WORDS = ("", "~", "null", "true", "false", "yes", "no", "on", "off", "TRUE", "y", "<<", "=", "2001-01-01", "2001-99-99",
         "2001-12-14t21:59:43.10-05:00", "ü", "模型", "\U0001f916", "\u202ea", "e\u0301", "\ufeff", "\x85", "\u2028", "a b", "%s%n", "{x}",
         "..", "a" * 63, "a" * 64, "ü" * 32, "a" * 3000, "\n", "a\nb", "\t", "\x7f", "\0", "\ud800", "/", "m1 ", "inference")
TAGS = ("null", "bool", "int", "float", "binary", "timestamp", "omap", "pairs", "set", "str", "seq", "map", "merge", "value",
        "python/none", "python/tuple", "python/name:os.system", "python/object/apply:os.getpid", "no:such")
RAW = (b"&a ", b"*a", b"<<: *a", b"- ", b"? ", b": ", b"[", b"]", b"{", b"}", b",", b"\n", b"\n  ", b"\t", b"#", b"|\n", b">-\n", b"'",
       b'"', b'"\\ud800"', b'"\\0"', b"!!", b"!<tag:yaml.org,2002:int> ", b"%YAML 1.1\n---\n", b"%YAML 9.9\n---\n", b"%TAG ! tag:x,1:\n---\n",
       b"\n---\n", b"\n...\n", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\r", b"`", b"@", b"\x1b")
PREFIX = "tag:yaml.org,2002:"


class Model:
    """A back end of Python's own: gives its input, as often as there are outputs."""
    def __init__(self, how):
        self.count = how.outputs
        self.seen = (how.model, how.path, how.inputs, how.device, how.dla_core, how.profile, how.threads, how.models)

    def run(self, inputs, outputs):
        return [inputs[0]] * self.count


horus.register_backend("python", Model, gpu=True, cuda=True, fp16=True, engine=True, dla=True)


# ---- what must hold

def look(data):
    """Raises AssertionError: an operator that works, or an InferenceError that says what check() says."""
    path = os.path.join(os.environ["HORUS_DIR"], "params.yaml")
    with open(path, "wb") as file:
        file.write(data)
    try:
        told = horus.InferenceOp.check(path)
    except MemoryError:
        return
    assert type(told) is list and all(type(t) is str and t for t in told), told
    try:
        op = horus.InferenceOp(path)
    except MemoryError:
        return
    except horus.InferenceError as e:
        assert isinstance(e, horus.Error) and isinstance(e, ValueError) and str(e), e
        assert not told or str(e) == "\n".join(told), (told, str(e))
        return
    with op:
        assert not told, told
        use(op)
    try:
        op.infer({})
        raise AssertionError("it is closed, and runs")
    except horus.ClosedError:
        pass


def use(op):
    stats = op.stats()
    assert stats and repr(op)
    takes = {tensor for s in stats.values() for _, tensor, _, _ in s["inputs"]}
    gives = {tensor for s in stats.values() for _, tensor, _, _ in s["outputs"]}
    given = {t: horus.Tensor([2, 2], "float32") for t in takes}
    for frame in range(3):
        try:
            got = op.infer(given)
            assert set(got) <= gives, (got, gives)
            if frame == 1:
                op.set_active(next(iter(stats)), False)
            op.tick()
        except horus.InferenceError as e:
            assert str(e)
    for t in gives:
        op.get(t), op.age(t)
    assert all(s["runs"] + s["failures"] <= 3 for s in op.stats().values())


# ---- texts

def block(rng):
    """A set that is right, of any size."""
    models = MODELS[:rng.randrange(1, 4)]
    count = rng.randrange(1, 3)
    out = {"model_path_map": dict.fromkeys(models, "/dev/null"),
           "pre_processor_map": {m: list(TENSORS[:count]) for m in models},
           "inference_map": {m: [f"{m}_{k}" for k in range(count)] for m in models}}
    backend = rng.choice(("identity", "python", "add"))
    if backend == "add":
        out["inference_map"] = {m: [m + "_sum"] for m in models}
    if rng.randrange(2):
        out["backend"] = backend
    else:
        out["backend_map"] = dict.fromkeys(models, backend)
    for name in rng.sample(sorted(ALL), rng.randrange(6)):
        if name in ("temporal_map", "activation_map"):
            out[name] = {m: rng.choice((1, "1", True, 1.0)) for m in models}
        elif name in FLAGS[:4] or name == "parallel_inference":
            out[name] = rng.choice((True, False, "false", 0, "yes", "on")) if name != "is_engine_path" else False
        elif name == "in_tensor_names":
            out[name] = list(TENSORS[:count])
    return {"other": {"rate": 3}, "inference": out} if rng.randrange(2) else out


def seeds():
    """{name: bytes}: the documented sets of parameters, and others."""
    ids = [f"model_{i}_unique_identifier" for i in (1, 2, 3)]
    three = {"model_path_map": {m: "path_to_" + m for m in ids}, "pre_processor_map": {m: ["input_tensor_1_" + m] for m in ids},
             "inference_map": {m: ["output_tensor_1_" + m] for m in ids}}
    out = {"page": {"inference": {"backend": "trt", **three, **dict.fromkeys(FLAGS[:7], True)}},
           "page_map": {"backend_map": dict(zip(ids, ("trt", "torch", "onnxrt"))), "device_map": dict(zip(ids, "101")), **three},
           "page_profile": {"backend": "trt", "trt_opt_profile": {ids[0]: ["1,3,8,8", "2,3,8,8", "4,3,8,8"]}, **three}}
    for i in range(20):
        out[f"right{i}"] = block(random.Random(i))
    out = {k: yaml.safe_dump(v, default_flow_style=len(k) % 2 == 0 and None, sort_keys=False).encode() for k, v in out.items()}
    base = b"model_path_map: &p {m: /dev/null}\npre_processor_map: &l {m: a}\ninference_map: {m: [b]}\nbackend: add\n"
    out["right_anchors"] = base + b"temporal_map: &t {m: 1}\nactivation_map: *t\n"
    out["right_merge"] = b"x: &x\n  backend: add\n  model_path_map: {m: /dev/null}\n" \
        b"inference:\n  <<: *x\n  pre_processor_map: {m: a}\n  inference_map: {m: b}\n"
    out["twice"] = base + b"backend: trt\n" + base
    out["recursive"] = b"&a {inference: *a, backend: *a, model_path_map: {*a : 1}}"
    out["laughter"] = b"a: &a [x, x, x, x, x, x, x, x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (c, c, b", ".join([b"*%c" % (c - 1)] * 8)) for c in range(ord("b"), ord("j"))) + \
        b"in_tensor_names: [%s]\n" % b", ".join([b"*i"] * 60)
    out["beyond"] = b'backend: "\\UFFFFFFFF"\n'
    out["wide"] = b"\xff\xfe" + "backend: identity\nmodel_path_map: {ü: /dev/null}\n".encode("utf-16-le")
    return out


def scalar(rng):
    how = rng.randrange(8)
    text = rng.choice(NUMBERS if how < 3 else WORDS if how < 5 else TENSORS + MODELS if how < 7 else BACKENDS + PATHS)
    plain = rng.randrange(4) > 0
    tag = yaml.resolver.Resolver().resolve(yaml.ScalarNode, text, (plain, not plain))
    if not rng.randrange(20):
        tag = PREFIX + rng.choice(TAGS)
        text = base64.b64encode(text.encode("utf-8", "replace")).decode() if tag.endswith("binary") and rng.randrange(2) else text
    return yaml.ScalarNode(tag, text, style=None if plain else rng.choice("'\"|>"))


def word(text):
    return yaml.ScalarNode(PREFIX + "str", text)


def sequence(items):
    return yaml.SequenceNode(PREFIX + "seq", items, flow_style=True)


def mapping(pairs):
    return yaml.MappingNode(PREFIX + "map", pairs, flow_style=False)


def proper(rng, name):
    """A value that is right for the parameter, or nearly."""
    models = [word(m) for m in rng.sample(MODELS[:3], rng.randrange(1, 4))]
    if name in MAPS:
        return mapping([(m, scalar(rng)) for m in models])
    if name in LISTS:
        return mapping([(m, sequence([word(t) for t in rng.sample(TENSORS, rng.randrange(3))])) for m in models])
    if name in NAMES:
        return sequence([word(t) for t in rng.sample(TENSORS, rng.randrange(4))])
    return scalar(rng)


def nodes(root):
    """All of the tree, each once: it may have circles."""
    found, todo, seen = [], [root], set()
    while todo:
        n = todo.pop()
        if id(n) in seen:
            continue
        seen.add(id(n))
        found.append(n)
        if isinstance(n, yaml.MappingNode):
            todo += [x for pair in n.value for x in pair]
        elif isinstance(n, yaml.SequenceNode):
            todo += n.value
    return found


def any_node(rng, root, depth=0):
    how = rng.randrange(10)
    if how < 4 or depth > 3:
        return scalar(rng)
    if how < 6:
        return rng.choice(nodes(root))  # shared: an alias, which may close a circle
    if how < 7:
        return proper(rng, rng.choice(ALL))
    if how < 8:
        return sequence([any_node(rng, root, depth + 1) for _ in range(rng.randrange(4))])
    return mapping([(scalar(rng) if rng.randrange(20) else any_node(rng, root, depth + 1), any_node(rng, root, depth + 1))
                    for _ in range(rng.randrange(4))])


def change(rng, root):
    """One change of the tree; the root, which may be another."""
    all_of_it = nodes(root)
    maps = [n for n in all_of_it if isinstance(n, yaml.MappingNode)]
    lists = [n for n in all_of_it if isinstance(n, yaml.SequenceNode)]
    holders = [n for n in maps + lists if n.value]
    how = rng.randrange(14)
    if how < 3 and maps:  # a parameter
        name = rng.choice(ALL)
        rng.choice(maps[:3]).value.append((word(name), proper(rng, name) if rng.randrange(3) else any_node(rng, root)))
    elif how < 7 and holders:  # one value or key
        n = rng.choice(holders)
        i = rng.randrange(len(n.value))
        if n in lists:
            n.value[i] = any_node(rng, root)
        elif rng.randrange(3):
            n.value[i] = n.value[i][0], any_node(rng, root)
        else:
            n.value[i] = rng.choice((word(rng.choice(ALL + MODELS)), scalar(rng), scalar(rng), any_node(rng, root))), n.value[i][1]
    elif how == 7 and holders:  # twice, or no more
        n = rng.choice(holders)
        i = rng.randrange(len(n.value))
        n.value[i:i + 1] = n.value[i:i + 1] * rng.choice((0, 0, 2, 2, 3, 40))
    elif how == 8 and not rng.randrange(3):
        n = rng.choice(all_of_it)
        n.tag = PREFIX + rng.choice(TAGS)
    elif how == 9 and holders:  # deep, around a value
        n = rng.choice(holders)
        i = rng.randrange(len(n.value))
        inner = n.value[i] if n in lists else n.value[i][1]
        for _ in range(rng.choice((1, 2, 10, 60))):
            inner = sequence([inner]) if rng.randrange(2) else mapping([(word("x"), inner)])
        n.value[i] = inner if n in lists else (n.value[i][0], inner)
    elif how == 10:
        n = rng.choice(all_of_it)
        if isinstance(n, yaml.ScalarNode):
            n.style = rng.choice((None, "'", '"', "|", ">"))
        else:
            n.flow_style = not n.flow_style
    elif how == 11:
        return mapping([(word("inference"), root)])
    elif how == 12 and maps:  # a name like no other
        key = yaml.ScalarNode(PREFIX + "int", rng.choice(NUMBERS[-3:])) if rng.randrange(4) == 0 else scalar(rng)
        rng.choice(maps[:2]).value.append((key, any_node(rng, root)))
    elif maps:
        rng.choice(maps).value.append((yaml.ScalarNode(PREFIX + "merge", "<<"), rng.choice(maps if rng.randrange(4) else all_of_it)))
    return root


def damage(rng, text):
    """The text itself, which then need not be YAML."""
    text = bytearray(text)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(text) + 1)
        how = rng.randrange(10)
        if how < 6:
            text[at:at + rng.randrange(3)] = rng.choice(RAW)
        elif how < 7:
            text[at:at] = rng.choice((b"[", b"{", b"- ", b"? ", b"{x: ", b"!!set ", b"&a [")) * rng.choice((10, 300, 1000))
        elif how < 8:
            text[at:at] = rng.choice(NUMBERS).encode()
        elif how < 9:
            del text[at:at + rng.randrange(40)]
        else:
            text[at:at] = text[at - rng.randrange(60):at]
    return bytes(text)


def mutate(text, seed, room):
    """Another file of at most `room` bytes."""
    rng = random.Random(seed)
    how = rng.randrange(30)
    if how < 2:
        return damage(rng, text)[:room]
    if how == 2:
        code = rng.choice(("utf-16-le", "utf-16-be", "utf-16", "latin-1"))
        return text.decode("utf-8", "replace").encode(code, "replace")[:room]
    try:
        root = yaml.compose(text, yaml.SafeLoader) if rng.randrange(5) else None
    except Exception:  # no YAML, which PyYAML says in many ways (of a number: OverflowError): another one, or more of the same
        if rng.randrange(2):
            return damage(rng, text)[:room]
        root = None
    try:
        if not isinstance(root, yaml.CollectionNode):
            root = yaml.compose(yaml.safe_dump(block(rng), sort_keys=False), yaml.SafeLoader)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            root = change(rng, root)
        out = yaml.serialize(root, allow_unicode=bool(rng.randrange(2))).encode()
    except Exception:  # it cannot be written
        return damage(rng, text)[:room]
    return out if len(out) <= room else damage(rng, text)[:room]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        with open(name, "rb") as file:
            look(file.read())
