"""peers -- the programs that we are measured against, installed into the cache folder.

Python packages from PyPI go into a virtual environment, Java comes from Debian. None of them is part of Millrace or
needed to build or test it.
"""
import os
import subprocess
import sys

from inputs import CACHE, HERE

PACKAGES = ("numpy", "duckdb", "polars", "pyarrow", "scikit-learn", "pyspark")


def python():
    """The virtual environment's python."""
    env = os.path.join(CACHE, "python")
    done = os.path.join(env, "installed")
    want = "\n".join(PACKAGES)
    if not os.path.exists(done) or open(done).read() != want:
        subprocess.run([sys.executable, "-m", "venv", env], check=True)
        subprocess.run([os.path.join(env, "bin", "pip"), "install", "-q", *PACKAGES], check=True)
        with open(done, "w") as f:
            f.write(want)
    return os.path.join(env, "bin", "python")


def need(kind):
    """Debian's packages of a kind of tools/packages."""
    subprocess.run([os.path.join(os.path.dirname(HERE), "tools", "need"), kind], check=True)


def java():
    """For Spark and Hadoop."""
    need("peers")


def script(name, *args):
    return [python(), os.path.join(HERE, "peers_py", name), *map(str, args)]
