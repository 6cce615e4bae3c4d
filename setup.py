"""pip install .: the module from the two headers, and its types as horus-stubs."""
import os
import re

from setuptools import Extension, setup
from setuptools.command.build_py import build_py


class Types(build_py):
    def find_package_modules(self, package, folder):
        return []  # what makes the stubs is no part of them


with open("horus.h") as file:
    version = ".".join(re.findall(r"#define HORUS_VERSION_\w+ (\d+)", file.read()))
os.makedirs("build", exist_ok=True)
source = os.path.join("build", "horus_module.c")  # setuptools takes no .h as a source
with open(source, "w") as file:
    file.write('#define HORUS_PYTHON_IMPLEMENTATION\n#include "horus_python.h"\n')
setup(version=version,
      ext_modules=[Extension("horus", [source], include_dirs=["."], depends=["horus.h", "horus_python.h"],
                             extra_compile_args=["-O2"])],
      cmdclass={"build_py": Types}, packages=["horus-stubs"], package_data={"horus-stubs": ["*.pyi"]}, py_modules=[])
