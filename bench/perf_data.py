"""perf_data -- a correction of what `perf record` wrote, before `perf script` reads it.

To follow a stack through a library perf takes the lowest place where the process has the library, and forgets nothing at an
exec: when the process that it was forked from had the C library further down, its stacks end there. So the forks of
processes that exec'ed afterwards are marked as such; perf copies no maps then.
"""
import mmap
import struct

COMM, FORK = 3, 7
EXEC = 1 << 13          # PERF_RECORD_MISC_COMM_EXEC and PERF_RECORD_MISC_FORK_EXEC


def records(data):
    """(offset, type, misc) of each record of the data section."""
    if data[:8] != b"PERFILE2":
        raise ValueError("not a file of perf record")
    at, size = struct.unpack_from("<QQ", data, 40)
    end = at + size
    while at + 8 <= end:
        kind, misc, length = struct.unpack_from("<IHH", data, at)
        if length < 8:
            raise ValueError(f"a record of {length} bytes at {at}")
        yield at, kind, misc
        at += length


def mark_execs(data):
    """Mark the forks in `data` (a bytearray or a writable map of the file); returns how many."""
    forks, execs = [], set()
    for at, kind, misc in records(data):
        if kind == FORK:
            forks.append((at, misc))
        elif kind == COMM and misc & EXEC:
            execs.add(struct.unpack_from("<I", data, at + 8)[0])
    marked = 0
    for at, misc in forks:
        pid, parent = struct.unpack_from("<II", data, at + 8)
        if pid != parent and pid in execs:
            struct.pack_into("<H", data, at + 4, misc | EXEC)
            marked += 1
    return marked


def mark_execs_of_file(path):
    with open(path, "r+b") as f, mmap.mmap(f.fileno(), 0) as data:
        return mark_execs(data)
