"""Merges what gcov says of horus.h in all test programs: lines and branches ever taken.

    python3 tests/coverage.py directory-with-gcda [least share of branches, percent [most unexplained]]

Writes uncovered.txt there: every branch and line that no test takes, by function; those that
tests/uncovered.txt explains are marked by "=". Nothing is left out of the count. A program whose own
macros give a line another number of branches (the explorer's, say) counts for that line alone.

tests/uncovered.txt knows no line numbers: a function at the margin, below it a piece of a line of
its source ("* 7": any of the function, seven branches at most), below that why no test takes it. What is no longer in horus.h
is an error, and so is a branch that nothing explains, and a row that explains nothing because all its
branches are taken: the list can neither outlive the code nor hide what is new. "~ " before a piece, and
"* n": chance decides it, so that some runs have nothing to explain. What chance decides is not all known:
so many unexplained branches (default 0; tests/run.sh allows 4) are named, and pass, where the function
has an access to an atomic: elsewhere what is taken is the same in each run, but for what the fuzzer alone
comes to, which has rows of its own."""
import collections
import glob
import gzip
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ATOMIC = re.compile(r"\bhorusi_(ld|st|add|cas|xchg|or|and)(32|64|p)_")
HEADER = os.path.join(os.path.dirname(HERE), "horus.h")


def measure(directory):
    """Per line: its function, whether it ran, and the branches of each program."""
    lines, where, vectors = collections.Counter(), {}, collections.defaultdict(list)
    programs, spoilt = [], []
    for data in sorted(glob.glob(os.path.join(directory, "*.gcda"))):
        out = subprocess.run(["gcov", "-b", "--json-format", "--stdout", data], cwd=directory,
                             capture_output=True)
        raw = gzip.decompress(out.stdout) if out.stdout[:2] == b"\x1f\x8b" else out.stdout
        programs.append(os.path.basename(data)[:-5])
        ran = 0
        for text in raw.decode().splitlines():
            if not text.startswith("{"):
                continue
            for file in json.loads(text)["files"]:
                if os.path.basename(file["file"]) != "horus.h":
                    continue
                here = collections.defaultdict(list)
                for line in file["lines"]:
                    n = line["line_number"]
                    lines[n] += line["count"]
                    ran += line["count"]
                    where[n] = line.get("function_name", "")
                    here[n] += [b["count"] for b in line.get("branches", [])]
                for n, counts in here.items():
                    vectors[n].append(counts)
        if ran == 0:
            spoilt.append(programs[-1])
    return programs, spoilt, lines, where, vectors


def explanations():
    """[function, text, reason, whether chance decides it, branches at most] of tests/uncovered.txt."""
    rows, function = [], None
    with open(os.path.join(HERE, "uncovered.txt")) as f:
        for line in f:
            depth = len(line) - len(line.lstrip())
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            if depth == 0:
                function = line
            elif depth == 4:
                most = re.fullmatch(r"\* (\d+)", line)
                rows.append([function, "*" if most else line.removeprefix("~ "), "", line[:1] in "~*",
                             int(most.group(1)) if most else 1 << 30])
            else:
                rows[-1][2] += (" " if rows[-1][2] else "") + line
    return rows


def main():
    directory = os.path.abspath(sys.argv[1])
    least = float(sys.argv[2]) if len(sys.argv) > 2 else 0
    allowed = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    programs, spoilt, lines, where, vectors = measure(directory)
    if not lines:
        print("no data")
        return 1
    with open(HEADER) as f:
        source = f.read().splitlines()
    branches, otherwise = {}, 0
    for n, given in vectors.items():
        usual = collections.Counter(len(v) for v in given).most_common(1)[0][0]
        otherwise += any(len(v) != usual for v in given)
        for i in range(usual):
            # one below 0 is worked out from the others of a thread that another one ended: it says nothing
            branches[n, i] = sum(max(v[i], 0) for v in given if len(v) == usual)
    taken = sum(c > 0 for c in branches.values())
    ran = sum(c > 0 for c in lines.values())
    missing = collections.defaultdict(list)
    for (n, i), c in sorted(branches.items()):
        if c == 0:
            missing[n].append(i)

    bodies = collections.defaultdict(list)
    for n in lines:
        bodies[where[n]].append(source[n - 1])
    racing = {f for f, body in bodies.items() if any(ATOMIC.search(line) for line in body)}
    wrong, bare, reasons, by_chance, idle, beyond, certain = [], [], {}, 0, 0, 0, 0
    for function, text, reason, chance, most in explanations():
        if not reason:
            wrong.append(f"no reason for {function}: {text}")
        if text != "*" and not any(text in line for line in bodies[function]):
            wrong.append(f"{function} has no line with: {text}")
        if text == "*" and not bodies[function]:
            wrong.append(f"no function {function}")
        here = [n for n in lines if where[n] == function and (text == "*" or text in source[n - 1])]
        by_chance += chance
        if here and not any(n in missing or lines[n] == 0 for n in here):
            idle += chance
            if not chance:
                wrong.append(f"{function}: nothing is left to explain: {text}")
        for n in here:
            reasons[n] = reason
        more = sum(len(missing.get(n, ())) for n in here) - most
        if more > 0:
            beyond += more
            certain += function not in racing
            bare.append(f"{function}: {more} branches more than the {most} that are explained")
    explained = sum(len(which) for n, which in missing.items() if n in reasons) - beyond

    with open(os.path.join(directory, "uncovered.txt"), "w") as out:
        last = None
        for n in sorted(set(missing) | {n for n, c in lines.items() if c == 0}):
            if where[n] != last:
                last = where[n]
                print(last, file=out)
            what = "line" if lines[n] == 0 else "branch"
            which = ",".join(map(str, missing[n])) if n in missing else ""
            print(f"{'=' if n in reasons else ' '} {n:5} {what:6} {which:9} "
                  f"{source[n - 1].strip()[:100]}", file=out)
    share = 100 * taken / len(branches)
    print(f"{len(programs)} programs: {', '.join(programs)}")
    print(f"lines: {ran} of {len(lines)} run ({100 * ran / len(lines):.1f} %); "
          f"{otherwise} lines have other branches in some program")
    print(f"branches: {taken} of {len(branches)} taken ({share:.1f} %), {explained} explained, "
          f"{len(branches) - taken - explained} unexplained")
    print(f"{by_chance} explanations are left to chance, {idle} of them had nothing to explain")
    bare += [f"no reason for {where[n]}: {source[n - 1].strip()} ({len(which)} of its branches)"
             for n, which in sorted(missing.items()) if n not in reasons]
    certain += sum(where[n] not in racing for n in missing if n not in reasons)
    if certain or len(branches) - taken - explained > allowed:
        wrong += bare
    else:
        for text in bare:
            print("by chance, perhaps:", text)
    for text in wrong:
        print("FAILED: tests/uncovered.txt:", text)
    for name in spoilt:
        print(f"FAILED: {name}: no data of horus.h: was a process killed as it wrote its own?")
    if share < least:
        print(f"FAILED: at least {least:g} % of branches are wanted")
    failed = len(wrong) + len(spoilt) + (share < least)
    print(f"{1 + (not wrong) - (share < least)} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
