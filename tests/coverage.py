"""Merges what gcov says of horus.h in all test programs: lines and branches ever taken.

    python3 tests/coverage.py directory-with-gcda [--list]

Prints the shares and, with --list, every branch and line that no test takes, by function. Branches
in which the compiler checks for a throw, and those inside assertions at compile time, do not exist
in C; nothing is left out."""
import collections
import glob
import gzip
import json
import os
import subprocess
import sys


def main():
    directory = os.path.abspath(sys.argv[1])
    lines = collections.Counter()
    branches = collections.Counter()
    where = {}
    for data in sorted(glob.glob(os.path.join(directory, "*.gcda"))):
        out = subprocess.run(["gcov", "-b", "--json-format", "--stdout", data], cwd=directory,
                             capture_output=True)
        raw = out.stdout if not out.stdout.startswith(b"\x1f\x8b") else gzip.decompress(out.stdout)
        for text in raw.decode().splitlines():
            if not text.startswith("{"):
                continue
            for file in json.loads(text)["files"]:
                if os.path.basename(file["file"]) != "horus.h":
                    continue
                for line in file["lines"]:
                    n = line["line_number"]
                    lines[n] += line["count"]
                    where[n] = line.get("function_name", "")
                    for i, branch in enumerate(line.get("branches", [])):
                        branches[n, i] += branch["count"]
    if not lines:
        print("no data")
        return 1
    taken = sum(c > 0 for c in branches.values())
    ran = sum(c > 0 for c in lines.values())
    if "--list" in sys.argv:
        with open("horus.h") as f:
            source = f.read().splitlines()
        missing = collections.defaultdict(list)
        for (n, i), c in sorted(branches.items()):
            if c == 0:
                missing[n].append(i)
        last = None
        for n in sorted(set(missing) | {n for n, c in lines.items() if c == 0}):
            if where[n] != last:
                last = where[n]
                print(last)
            what = "line" if lines[n] == 0 else "branch " + ",".join(map(str, missing[n]))
            print(f"  {n:5} {what:12} {source[n - 1].strip()[:90]}")
    print(f"coverage of horus.h: {ran} of {len(lines)} lines ({100 * ran / len(lines):.1f} %), "
          f"{taken} of {len(branches)} branches ({100 * taken / len(branches):.1f} %)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
