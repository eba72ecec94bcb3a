"""inputs -- the measurements' programs and input files, made when they are first asked for.

Everything lies in a cache folder (BENCH_CACHE, default build/bench-cache): inputs are the same bytes each time.
"""
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
CACHE = os.environ.get("BENCH_CACHE", os.path.join(TOP, "build", "bench-cache"))


def compiled(source, *flags):
    """The program of a C file of this folder, compiled for this machine."""
    path = os.path.join(HERE, source)
    out = os.path.join(CACHE, "bin", os.path.splitext(source)[0].replace("/", "-"))
    newest = max(os.path.getmtime(os.path.join(folder, f)) for folder in (os.path.dirname(path), HERE)
                 for f in os.listdir(folder) if f.endswith((".c", ".h")))
    if not os.path.exists(out) or os.path.getmtime(out) < newest:
        os.makedirs(os.path.dirname(out), exist_ok=True)
        subprocess.run(["gcc", "-O3", "-march=native", "-pthread", *flags, "-o", out, path, "-lm"], check=True)
    return out


def floor(name):
    return compiled(f"floor/{name}.c", "-ffast-math")


def made(kind, size):
    """The input file of make_input's kind and size."""
    path = os.path.join(CACHE, f"{kind}-{size}")
    if not os.path.exists(path):
        os.makedirs(CACHE, exist_ok=True)
        with open(path + ".part", "wb") as f:
            subprocess.run([compiled("make_input.c"), kind, str(size)], stdout=f, check=True)
        os.rename(path + ".part", path)
    return path


def warm(path):
    """Read it once, so that each contestant finds it in the page cache."""
    with open(path, "rb", buffering=0) as f:
        while f.read(16 << 20):
            pass


def scratch(name):
    path = os.path.join(CACHE, "out")
    os.makedirs(path, exist_ok=True)
    return os.path.join(path, name)
