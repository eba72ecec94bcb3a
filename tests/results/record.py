#!/usr/bin/env python3
"""record -- what a test of a fault measured, as one file of JSON a row of the fault matrix (rows.txt).

    record.py ROW TEST NAME=VALUE ... [--long]

    from record import record
    record("nn-killed", "tests/cluster/crash_points.py", {"rounds": 53, "lost": 0, "seconds": 1.4}, long=True)

The file is build/results/ROW.json, or ROW.short.json when the run was not long:

    {"row": "nn-killed", "test": "tests/cluster/crash_points.py --all",
     "figures": {"rounds": 53, "lost": 0, "seconds": 1.4},
     "long": true, "date": "2026-11-22", "commit": "1a50392"}

figures are numbers or short texts, printed in this order; "lost" (names, bytes: what was acknowledged and is not there) and
"seconds" (the longest time until service again) mean the same in every row. More than one test may serve a row: its
figures are those of the last. long: a run by hand of the whole, not the short form of ./run-tests. `make reliability`
copies what is long from build/results/ to tests/results/, which is kept, and writes the table of docs/RELIABILITY.md.
"""
import datetime
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
RESULTS = os.environ.get("RESULTS", os.path.join(TOP, "build", "results"))


def rows():
    """(row, fault, target) in the order of the table."""
    with open(os.path.join(HERE, "rows.txt")) as f:
        return [tuple(x.strip() for x in line.split("|")) for line in f if line.strip() and not line.startswith("#")]


def commit():
    r = subprocess.run(["git", "-C", TOP, "rev-parse", "--short=7", "HEAD"], capture_output=True, text=True)
    return r.stdout.strip()


def record(row, test, figures, long=False):
    if row not in [r[0] for r in rows()]:
        raise ValueError(f"{row} is not in tests/results/rows.txt")
    os.makedirs(RESULTS, exist_ok=True)
    what = {"row": row, "test": test, "figures": figures, "long": long,
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"), "commit": commit()}
    path = os.path.join(RESULTS, row + ("" if long else ".short") + ".json")
    with open(path + ".tmp", "w") as f:
        json.dump(what, f)
        f.write("\n")
    os.rename(path + ".tmp", path)


def number(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def main(args):
    words = [a for a in args if a != "--long"]
    if len(words) < 3 or any("=" not in w for w in words[2:]):
        sys.exit("usage: record.py ROW TEST NAME=VALUE ... [--long]")
    record(words[0], words[1], {k: number(v) for k, v in (w.split("=", 1) for w in words[2:])}, "--long" in args)


if __name__ == "__main__":
    main(sys.argv[1:])
