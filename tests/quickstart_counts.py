#!/usr/bin/env python3
"""quickstart_counts -- compare the ten most frequent words that quickstart printed with coreutils' count of the text.

    quickstart_counts.py TEXT < output of quickstart
"""
import re
import subprocess
import sys


def main():
    lines = sys.stdin.read().split("== The ten most frequent\n")[1].splitlines()[:10]
    got = [re.fullmatch(r"(\d+) (\S+)", line).groups() for line in lines]
    pipe = "tr -s '[:space:]' '\\n' <\"$0\" | grep -av '^$' | sort | uniq -c | sort -k1,1nr -k2 | head -n 10"
    out = subprocess.run(["sh", "-c", pipe, sys.argv[1]], env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}, check=True,
                         capture_output=True, text=True).stdout
    want = [tuple(line.split()) for line in out.splitlines()]
    if got != want:
        sys.exit(f"quickstart printed {got}, coreutils counts {want}")


main()
