"""rows -- all rows of the measurements by name, and what is being measured."""
import os
import subprocess

from rows_files import ROWS as FILE_ROWS
from rows_jobs import ROWS as JOB_ROWS
from rows_learning import ROWS as LEARNING_ROWS
from rows_namenode import ROWS as NAMENODE_ROWS
from rows_noop import ROWS as NOOP_ROWS
from rows_sort import ROWS as SORT_ROWS

ROWS = {r.name: r for r in JOB_ROWS + SORT_ROWS + LEARNING_ROWS + NOOP_ROWS + FILE_ROWS + NAMENODE_ROWS}


def commit():
    r = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True,
                       cwd=os.path.dirname(os.path.abspath(__file__)))
    return r.stdout.strip()
