#!/usr/bin/env python3
"""reliability -- the table of docs/RELIABILITY.md, from the kept results of the long runs.

    reliability.py [--keep]     --keep: first take over what long runs left in build/results/
    reliability.py --check      exit 1 if the table does not match
"""
import json
import os
import shutil
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KEPT = os.path.join(TOP, "tests", "results")
DOC = os.path.join(TOP, "docs", "RELIABILITY.md")
BEGIN, END = "<!-- table: begin, written by tools/reliability.py -->\n", "<!-- table: end -->\n"

sys.path.insert(0, KEPT)
from record import RESULTS, rows    # noqa: E402


def load(path):
    try:
        with open(path) as f:
            return json.load(f)
    except FileNotFoundError:
        return None


def keep():
    for row, _, _ in rows():
        new = load(os.path.join(RESULTS, row + ".json"))
        if new and new["long"]:
            shutil.copyfile(os.path.join(RESULTS, row + ".json"), os.path.join(KEPT, row + ".json"))


def figures(r):
    return "; ".join(f"{v:,} {k}" if isinstance(v, int) else f"{v} {k}" for k, v in r["figures"].items())


def table():
    out = ["| What fails | What must hold | Measured | Test | Run |\n", "|---|---|---|---|---|\n"]
    for row, fault, target in rows():
        r = load(os.path.join(KEPT, row + ".json"))
        if r:
            out.append(f"| {fault} | {target} | {figures(r)} | `{r['test']}` | {r['date']}, {r['commit']} |\n")
        else:
            out.append(f"| {fault} | {target} | not measured | | |\n")
    return "".join(out)


def main():
    if "--keep" in sys.argv:
        keep()
    with open(DOC) as f:
        text = f.read()
    head, rest = text.split(BEGIN)
    new = head + BEGIN + table() + END + rest.split(END)[1]
    if "--check" in sys.argv:
        if new != text:
            sys.exit("docs/RELIABILITY.md does not match tests/results/: run \"make reliability\"")
    elif new != text:
        with open(DOC, "w") as f:
            f.write(new)
        print("updated docs/RELIABILITY.md")


if __name__ == "__main__":
    main()
