"""The Python module's tests, with every CPython from 3.9 on that is found; ends with N passed, N failed.

    python3 tests/python_test.py            build/python/<version> gets a module and a virtual environment each
    VERSION=3.11 python3 tests/python_test.py  one version; FRAMEWORKS=0: without those of the interop matrix
    python3 tests/python_test.py NAME...       these tests only (py_kill_test), with one version; LARGE=1 is theirs

Each version runs the tests that need NumPy alone; one that has their wheels also the frameworks'; one runs
all once more with the module built for AddressSanitizer; two also run with the first and the last NumPy 1.x."""
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BUILD = os.path.join(ROOT, "build", "python")
PLAIN = ["py_frames_test", "py_topics_test", "py_leaks_test", "py_codec_test",
         "py_messages_test", "py_scheduler_test", "py_recording_test", "py_vision_test", "py_infer_test"]
NUMPY_1 = ["py_frames_test", "py_codec_test", "py_vision_test", "py_messages_test", "py_topics_test", "py_interop_test Matrix.test_numpy"]
FRAMEWORKS = ["numpy", "ml_dtypes", "jax", "tensorflow-cpu", "opencv-python-headless", "onnxruntime", "onnx",
              "msgpack", "hypothesis", "apache-tvm-ffi", "pyyaml", "scikit-learn"]
WITH_FRAMEWORKS = ["py_interop_test", "py_leaks_test Leaks.test_frameworks", "py_together_test", "py_examples_test",
                   "py_pages_test", "py_vision_opencv_test", "py_infer_test"]
FUZZ = ["pyyaml", "numpy"]  # what py_fuzz_test takes
TORCH = ["torch==2.13.0+cpu", "torch==2.13.0", "torch"]  # the first that can be had
LIMIT = 14400 if os.environ.get("LARGE") else 900
NAMESPACE = f"py.test.{os.getpid()}"
passed = failed = 0


def run(command, log, **kw):
    env = {**os.environ, "HORUS_NAMESPACE": NAMESPACE,
           "TORCHINDUCTOR_CACHE_DIR": os.path.join(BUILD, "torchinductor"),  # torch leaves it in TMPDIR otherwise
           **kw.pop("env", {})}
    with open(log, "w") as file:
        return subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=env,
                              **{"cwd": ROOT, "stdin": subprocess.DEVNULL, **kw}).returncode


def interpreters():
    """The newest of each minor version: {(3, 11): path}."""
    names = glob.glob(os.path.join(os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv")), "versions", "*",
                                   "bin", "python"))
    names += [p for n in range(9, 30) for t in ("", "t") for p in [shutil.which(f"python3.{n}{t}")] if p] + [sys.executable]
    found = {}
    for name in names:
        code = ("import sys, sysconfig, os; print(*sys.version_info[:3], sys.implementation.name, "
                "os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h')), "
                "sysconfig.get_config_var('Py_GIL_DISABLED') or 0)")
        said = subprocess.run([name, "-c", code], capture_output=True, text=True).stdout.split()
        if len(said) != 6 or said[3] != "cpython" or said[4] != "True" or int(said[1]) < 9 or said[0] != "3":
            continue
        key = (int(said[0]), int(said[1]), int(said[5]))
        if key not in found or found[key][0] < int(said[2]):
            found[key] = (int(said[2]), name)
    return {key: path for key, (_, path) in sorted(found.items())}


def home_of(found):
    """The version that has the frameworks' wheels."""
    return next((k for k in ((3, 11, 0), (3, 12, 0), (3, 10, 0), (3, 13, 0)) if k in found), next(iter(found)))


def old_numpy(key, found):
    """Which NumPy 1.x this version is to be tested with: the last one or the first, or None."""
    last = max((k for k in found if k[1] <= 12 and not k[2]), key=lambda k: (k != home_of(found), k), default=None)
    return "numpy<2" if key == last else "numpy==1.19.5" if key == (3, 9, 0) else None


def build(python, folder, flags=()):
    """The module, by README's line."""
    os.makedirs(folder, exist_ok=True)
    ask = "import sysconfig as s; print(s.get_config_var('EXT_SUFFIX'), s.get_path('include'))"
    suffix, include = subprocess.check_output([python, "-c", ask], text=True).split()
    for old in glob.glob(os.path.join(folder, "horus.*.so")):
        os.unlink(old)
    return run(["gcc", "-O2", "-shared", "-fPIC", *flags, "-DHORUS_PYTHON_IMPLEMENTATION", "-x", "c",
                "horus_python.h", "-o", os.path.join(folder, "horus" + suffix), "-I" + include],
               folder + ".build.log")


def unlocked(python, log):
    """The module compiles for a build without the interpreter's lock: what is needed is in the same headers."""
    include = subprocess.check_output([python, "-c", "import sysconfig as s; print(s.get_path('include'))"], text=True)
    return run(["gcc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-DPy_GIL_DISABLED=1", "-DHORUS_PYTHON_IMPLEMENTATION",
                "-x", "c", "horus_python.h", "-I" + include.strip()], log) == 0


def environment(python, folder, packages):
    """A virtual environment with these packages. Returns its interpreter, or None."""
    ready = os.path.join(folder, "ready")
    try:
        with open(ready) as file:
            there = file.read().split()
    except OSError:
        there = []
    if there != packages:
        log = folder + ".pip.log"
        if run([python, "-m", "venv", folder], log) or \
           run([os.path.join(folder, "bin", "pip"), "install", "-q", *packages], log):
            return None
        with open(ready, "w") as file:
            file.write(" ".join(packages))
    return os.path.join(folder, "bin", "python")


def tests(label, python, module, names, env=None, options=()):
    global passed, failed
    for name in names:
        name, *only = name.split()
        log = os.path.join(BUILD, f"{label}.{name}.log".replace(" ", "_"))
        begin = time.time()
        try:
            code = run([python, *options, os.path.join(HERE, name + ".py"), "-v", *only], log, timeout=LIMIT,
                       env=dict({"PYTHONPATH": module,  # versions run beside each other
                                 "HORUS_NAMESPACE": f"{NAMESPACE}.{label.replace(' ', '-')}.{name}"}, **(env or {})))
        except subprocess.TimeoutExpired:
            code = f"no end after {LIMIT} s"
        with open(log, errors="replace") as file:
            text = file.read()
        ran = re.search(r"^Ran (\d+) tests?", text, re.M)
        bad = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", text.splitlines()[-1] if text else ""))
        n = int(ran.group(1)) if ran else 0
        skipped = re.findall(r"skipped ['\"](.*)['\"]$", text, re.M)
        if not ran or (code != 0 and bad == 0):
            bad += 1
        passed += max(n - bad - len(skipped), 0)
        failed += bad
        print(f"{time.time() - begin:7.1f} s  {label:22} {name:18} {n - bad - len(skipped)} passed, {bad} failed")
        for why in sorted(set(skipped)):
            print(f"skipped: {label} {name}: {why}")
        for line in re.findall(r"^(?:test_.* \.\.\. )?((?:(?:python|yaml) fuzzing: seed|frames checked|leaks:|kills:) .*)", text, re.M):
            print("    " + line)
        for line in re.findall(r"^not run here: .*", text, re.M):
            print(f"skipped: {label} {name}: {line}")
        if bad:
            print("    " + "\n    ".join(text.splitlines()[-60:]))
        sys.stdout.flush()


def packaging(python):
    """pip install . gives the module and its types, and type checkers find them."""
    folder = os.path.join(BUILD, "pip")
    log = folder + ".log"
    venv = environment(python, folder, ["numpy", "mypy", "setuptools"])
    if not step("pip install .: the environment", venv, folder + ".pip.log"):
        return
    copy = os.path.join(BUILD, "source")
    shutil.rmtree(copy, ignore_errors=True)
    os.makedirs(copy)
    for name in ("horus.h", "horus_python.h", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "horus-stubs"):
        (shutil.copytree if os.path.isdir(os.path.join(ROOT, name)) else shutil.copy)(
            os.path.join(ROOT, name), os.path.join(copy, name))
    if not step("pip install .", run([folder + "/bin/pip", "install", "-q", "--force-reinstall", "--no-deps", copy],
                                     log) == 0, log):
        return
    step("the installed module", run([venv, "-I", "-c", "import horus; horus.Image(2, 2)"], log) == 0, log)
    where = subprocess.check_output([venv, "-I", "-c", "import horus; print(horus.__file__)"], text=True).strip()
    there = sorted(f for _, _, files in os.walk(os.path.join(os.path.dirname(where), "horus-stubs")) for f in files)
    step(f"nothing but the stubs lies beside the module: {there}", there == ["__init__.pyi"], log)
    step("the stubs are those of the module",
         run([venv, os.path.join(ROOT, "horus-stubs", "generate.py"), "--check"], log) == 0, log)
    place = os.path.join(BUILD, "types")  # where there is no horus-stubs but the installed one
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place)
    for name in ("py_types.py", "py_types_bad.py"):
        shutil.copy(os.path.join(HERE, name), place)
    with open(os.path.join(place, "pyrightconfig.json"), "w") as file:
        file.write("{}")  # else pyright takes the folder of the next pyproject.toml above, and finds the stubs there
    checkers = {"mypy": [venv, "-m", "mypy", "--strict", "--cache-dir", os.path.join(BUILD, "mypy")]}
    other = environment(python, os.path.join(BUILD, "pyright"), ["pyright[nodejs]"])  # node comes as a wheel
    if other:
        checkers["pyright"] = [other, "-m", "pyright", "--pythonpath", venv]
    else:
        print("skipped: pyright cannot be installed")
    for name, command in checkers.items():
        step(f"{name} accepts what is right", run(command + ["py_types.py"], log, cwd=place) == 0, log)
        run(command + ["py_types_bad.py"], log, cwd=place)
        with open(log) as file:
            lines = {int(n) for n in re.findall(r"py_types_bad.py:(\d+):.* error", file.read())}
        step(f"{name} refuses what is wrong", lines == {4, 5, 6, 7, 8}, log)


def drop_in(python, folder):
    """The same names, signatures and results as the package whose programs run on this module."""
    venv = os.path.join(BUILD, "package")
    theirs = environment(python, venv, ["horus-robotics==0.4.1", "numpy"])
    if theirs is None:
        print("skipped: py_dropin_test: horus-robotics 0.4.1 cannot be installed")
        return
    tests("drop-in", python, folder, ["py_dropin_test"], env={"PACKAGE_PYTHON": theirs})


def step(label, ok, log):
    global passed, failed
    if ok:
        passed += 1
        return True
    failed += 1
    print(f"{label}: FAILED")
    if os.path.exists(log):
        with open(log, errors="replace") as file:
            print("    " + "\n    ".join(file.read().splitlines()[-30:]))
    return False


def frameworks(python, folder):
    """Begins to install them, unless they are there. Returns the process, or None."""
    if os.path.exists(folder + "/ready"):
        return None
    script = "\n".join([f"'{python}' -m venv '{folder}' && '{folder}/bin/pip' install -q " + " ".join(FRAMEWORKS),
                        " || ".join(f"'{folder}/bin/pip' install -q '{t}'" for t in TORCH) +
                        f" && echo ok > '{folder}/ready'"])
    with open(folder + ".pip.log", "w") as log:
        return subprocess.Popen(["sh", "-c", script], stdout=log, stderr=subprocess.STDOUT)


def some(names, python, plain, whole):
    """These tests only, in the environment that each needs; others may run beside them, with their own module."""
    folder = os.path.join(BUILD, "only." + names[0].replace(" ", "."))
    if step("the module", build(python, folder) == 0, folder + ".build.log"):
        for name in names:
            if name in WITH_FRAMEWORKS or name.split()[0] in WITH_FRAMEWORKS:
                pip, venv = frameworks(python, whole), whole
                there = pip is None or pip.wait() == 0
            else:
                venv = plain + "yaml" if name.split()[0] == "py_fuzz_test" else plain
                there = environment(python, venv, FUZZ if venv != plain else ["numpy"])
            if step(f"{name}: installation", there, venv + ".pip.log"):
                tests("only", venv + "/bin/python", folder, [name])
    return end()


def end():
    left = [f for f in os.listdir("/dev/shm") if NAMESPACE in f]
    step("nothing is left in /dev/shm: " + " ".join(left), not left, "")
    print(f"{passed} passed, {failed} failed")
    return failed != 0


def main():
    os.makedirs(BUILD, exist_ok=True)
    found = interpreters()
    if not found:
        print("no CPython 3.9 or newer with its headers was found")
        return 1
    only = os.environ.get("VERSION", "")
    if only and only not in [f"{k[0]}.{k[1]}" + ("t" if k[2] else "") for k in found]:
        print(f"VERSION={only}: not found here")
        return 1
    home = home_of(found)
    whole = os.path.join(BUILD, "frameworks")
    if len(sys.argv) > 1:
        return some(sys.argv[1:], found[home], os.path.join(BUILD, f"venv{home[0]}.{home[1]}"), whole)
    pip = frameworks(found[home], whole) if os.environ.get("FRAMEWORKS", "1") != "0" else None

    def folders(key):
        version = f"{key[0]}.{key[1]}" + ("t" if key[2] else "")
        return "python" + version, os.path.join(BUILD, version), os.path.join(BUILD, "venv" + version)

    def made(key):
        label, folder, venv = folders(key)
        return (step(f"{label}: the module", build(found[key], folder) == 0, folder + ".build.log") and
                step(f"{label}: NumPy", environment(found[key], venv, ["numpy"]), venv + ".pip.log"))

    def version_of(key):
        label, folder, venv = folders(key)
        if key == home or made(key):
            if key[:2] >= (3, 13):
                log = folder + ".nogil.log"
                step(f"{label}: for a build without the lock", unlocked(found[key], log), log)
            tests(label, os.path.join(venv, "bin", "python"), folder, PLAIN, options=["-X", "dev"],
                  env={**({} if key == home else {"ROUNDS": "1000"}),  # that the lock is taken again is said, and known
                       **({"PYTHONWARNINGS": "ignore:The global interpreter lock:RuntimeWarning"} if key[2] else {})})
        old = old_numpy(key, found)
        if old:
            theirs = environment(found[key], venv + "numpy1", [old, "ml_dtypes"] if old == "numpy<2" else [old])
            if theirs:
                tests(f"{label} numpy {'1.26' if old == 'numpy<2' else '1.19'}", theirs, folder,
                      NUMPY_1 if old == "numpy<2" else NUMPY_1[:1], options=["-X", "dev"], env={"ROUNDS": "1000"})
            else:
                print(f"skipped: {label}: {old} cannot be installed")

    def sanitized():
        asan = os.path.join(BUILD, "asan")
        library = subprocess.check_output(["gcc", "-print-file-name=libasan.so"], text=True).strip()
        if step("address sanitizer: the module",
                build(found[home], asan, ["-fsanitize=address", "-g"]) == 0, asan + ".build.log"):
            tests("asan", here, asan, PLAIN,
                  env={"LD_PRELOAD": os.path.realpath(library), "PYTHONMALLOC": "malloc",
                       "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1"})

    def fuzz():
        venv = folders(home)[2] + "yaml"
        if step("fuzz: PyYAML and NumPy", environment(found[home], venv, FUZZ), venv + ".pip.log"):
            tests("fuzz", venv + "/bin/python", folders(home)[1], ["py_fuzz_test"])

    def with_frameworks(label, name, options=()):
        if pip is None or pip.wait() == 0:
            tests(label, whole + "/bin/python", folders(home)[1], [name], options=options)

    versions = [k for k in sorted(found, key=lambda k: k != home) if not only or folders(k)[0] == "python" + only]
    here = os.path.join(folders(home)[2], "bin", "python")
    jobs = []
    if home in versions:
        if not made(home):
            return end()
        jobs = [(sanitized,), (packaging, found[home]), (drop_in, here, folders(home)[1]),
                *((tests, label, here, folders(home)[1], [name], None, options) for label, name, options in
                  (("with C", "py_with_c_test", ["-X", "dev"]), ("killed", "py_kill_test", ())))]
        jobs += [(fuzz,)]
    jobs += [(version_of, key) for key in versions]
    if os.environ.get("FRAMEWORKS", "1") == "0":
        print("skipped: the frameworks, as asked")
    elif home in versions:
        seen = ("py_leaks_test", "py_scheduler_test", "py_recording_test", *WITH_FRAMEWORKS)  # by this Python, as any other
        jobs += [(with_frameworks, "frameworks", n) for n in WITH_FRAMEWORKS + [n for n in PLAIN if n not in seen]]
        jobs += [(with_frameworks, "frameworks -X dev", "py_interop_test", ["-X", "dev"])]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in [pool.submit(*job) for job in jobs]:
            done.result()
    if pip:
        step("frameworks: installation", pip.wait() == 0, whole + ".pip.log")
    return end()


if __name__ == "__main__":
    sys.exit(main())
