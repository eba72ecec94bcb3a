#!/usr/bin/env python3
"""Inputs that the fuzzers begin with: corpus.py SOURCE-TREE OUTPUT-FOLDER.

Messages are made from the .proto files, every field filled in; the rest is written here as the formats' documents say.
Files in tests/fuzz/corpus/ are copied.
"""
import os
import re
import shutil
import struct
import sys

SCALARS = {"uint32", "uint64", "int32", "int64", "sint32", "sint64", "bool", "fixed32", "fixed64", "sfixed32", "sfixed64",
           "string", "bytes", "double", "float"}
# In the order of the table in fuzz_request.c.
DEFS = ["client_namenode", "client_datanode", "datanode", "ha_service", "user_mappings", "jobclient", "tracker"]


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def delimited(b):
    return varint(len(b)) + b


class Protos:
    """Messages and enums of .proto files, by their last name."""

    def __init__(self, folder):
        self.messages, self.enums = {}, {}
        for name in sorted(os.listdir(folder)):
            if name.endswith(".proto"):
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    self.read(f.read())

    def read(self, text):
        text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)
        inside = []
        for token in re.finditer(r"\b(message|enum|service|oneof)\s+(\w+)\s*\{|(\{)|(\})|"
                                 r"(required|optional|repeated)\s+([\w.]+)\s+(\w+)\s*=\s*(\d+)|(\w+)\s*=\s*(-?\d+)\s*;", text):
            kind, name, opened, closed, label, type_, _, number, value_name, value = token.groups()
            if kind:
                inside.append((kind, name))
                if kind == "message":
                    self.messages.setdefault(name, [])
            elif opened:
                inside.append(("", ""))
            elif closed and inside:
                inside.pop()
            elif label:
                owner = [n for k, n in inside if k == "message"][-1]
                self.messages[owner].append((label, type_.split(".")[-1], int(number)))
            elif value_name and inside and inside[-1][0] == "enum":
                self.enums.setdefault(inside[-1][1], int(value))

    def fill(self, name, depth=0):
        """A message with all its fields, down to some depth only the required ones."""
        out = b""
        for label, type_, number in self.messages[name]:
            if label != "required" and depth > 3:
                continue
            for _ in range(2 if label == "repeated" else 1):
                out += self.field(type_, number, depth)
        return out

    def field(self, type_, number, depth):
        if type_ in ("string", "bytes"):
            return varint(number << 3 | 2) + delimited(b"/a/b")
        if type_ in ("fixed64", "sfixed64", "double"):
            return varint(number << 3 | 1) + struct.pack("<Q", 7)
        if type_ in ("fixed32", "sfixed32", "float"):
            return varint(number << 3 | 5) + struct.pack("<I", 7)
        if type_ in SCALARS:
            return varint(number << 3) + b"\x01"
        if type_ in self.enums:
            return varint(number << 3) + varint(self.enums[type_])
        return varint(number << 3 | 2) + delimited(self.fill(type_, depth + 1))


def rows(source):
    """Request messages in the order of the .def tables."""
    for name in DEFS:
        with open(os.path.join(source, "core/proto", name + ".def"), encoding="utf-8") as f:
            for m in re.finditer(r'^RPC\(\s*\w+,\s*"\w+",\s*(\w+),', f.read(), re.M):
                yield m.group(1)


def requests(p, source):
    for i, name in enumerate(rows(source)):
        # C names of messages inside others have double underscores.
        yield bytes([i]) + p.fill(name.split("__")[-1])


def transfers(p):
    ops = {80: "OpWriteBlockProto", 81: "OpReadBlockProto", 85: "OpBlockChecksumProto", 86: "OpTransferBlockProto",
           87: "OpRequestShortCircuitAccessProto"}
    for op, name in ops.items():
        if name in p.messages:
            yield b"\x00" + struct.pack(">HB", 28, op) + p.fill(name)
    header = b"\x09" + struct.pack("<Q", 512) + b"\x11" + struct.pack("<Q", 3) + b"\x18\x00\x25" + struct.pack("<I", 600)
    for extra in (b"", b"\x28\x01"):
        yield b"\x01" + struct.pack(">IH", 4 + 8 + 600, len(header + extra)) + header + extra
    yield b"\x02" + b"\x08\x06\x10\x00\x10\x00\x20\x07"
    yield b"\x02" + b"\x08\x03" + b"\x10\x01" * 40


def reports():
    held = [(5, 1001, 2 * 100), (1, 1002, 2 * 7 + 1), (90, 1003, 0), (1 << 40, 1, 1 << 30)]
    numbers = b"".join(varint(n) for h in held for n in h)
    yield varint(0) + varint(2**64 - 1) + numbers
    yield varint(3) + varint(4) + numbers
    yield varint(6) + varint(90) + numbers[:9]


def replicas():
    for kind in (0, 1, 2):
        for chunk in (1, 512, 1 << 20, 0, 0x7FFFFFFF):
            yield struct.pack(">HBI", 1, kind, chunk) + b"sums"
    yield from (b"blk_1073741825", b"blk_1073741825_1001.meta", b"blk_-3", b"blk_9223372036854775807_1.meta")
    yield b"#comment\nstorageID=DS-1\nclusterID=CID-5a\nlayoutVersion=-57\n"


def paths():
    yield from (b"/", b"/browse?path=/a%20b", b"/webhdfs/v1/user/x%2Fy?op=LISTSTATUS", b"/static/style.css", b"/%00%zz%4",
                b"job_197001010000_0001", "/\u00e9\u20ac".encode(), b"/a/../b/./c", b"a\"b<c>d\r\ne")


def confs(source):
    with open(os.path.join(source, "conf/millrace.conf.sample"), "rb") as f:
        sample = re.sub(rb"(?m)^#(?=[a-z.]+ *=)", b"", f.read())
    for i in range(0, min(len(sample), 12000), 3000):
        yield b"\x00" + sample[i:i + 3000]
    yield b"\x00[namenode]\ndfs.replication = 2 ; two\n[nowhere]\nx = y\ndfs.blocksiez = 1m\n" + b"k = " + b"v " * 300
    yield (b"\x01<?xml version=\"1.0\"?><configuration><property><name>dfs.replication</name><value>2</value></property>"
           b"<property><name>a</name><value>${dfs.replication}${user.name}${env.HOME}</value><final>true</final></property>"
           b"</configuration>")
    yield b"\x01<!DOCTYPE x [<!ENTITY a 'b'>]><configuration>&a;</configuration>"


def shuffles():
    yield struct.pack(">IQIIIQ", 0x4D525331, 1, 2, 0, 3, 4096) + bytes(32)
    yield struct.pack(">IIQII", 0x4D525331, 0, 12345, 0xABCD, 0)
    yield struct.pack(">IIQII", 0x4D525331, 3, 0, 0, 0)


def block(raw, stored=None, packed=False, raw_len=None):
    stored = raw if stored is None else stored
    return struct.pack("<III", len(raw) if raw_len is None else raw_len, len(stored) | packed << 31, 0) + stored


def segments():
    pairs = [(b"a", b"1"), (b"a", b"2"), (b"bcd" * 5, b"x" * 40)]
    raw = b"".join(varint(len(k)) + varint(len(v)) + k + v for k, v in pairs)
    one = block(raw) + block(b"", struct.pack("<Q", 3), raw_len=0)
    # lz4: a token for 1 literal and a match of 19 + 255 bytes at distance 1, then 5 literals.
    packed = bytes([0x1F, 3, 1, 0, 255, 0, 0x50]) + b"\x03\x03\x03\x03\x03"
    two = block(b"", packed, True, 1 + 19 + 255 + 5) + block(b"", struct.pack("<Q", 1), raw_len=0)
    for cut, file in ((0, one), (len(one), one + two), (0, b"\0" * 0 + two), (0, block(b"", b"x", True, 1 << 30))):
        pad = -cut % 4
        yield bytes([(cut + pad) // 4, 1]) + file[:cut] + b"\0" * pad + file[cut:]
    yield bytes([0, 0]) + one


def tasks(p):
    for i, name in enumerate(("TkReport", "TkOrder", "LaunchRequest", "LaunchReply")):
        for fds in (0, 1, 4):
            yield bytes([fds << 2 | i, 0]) + p.fill(name)
        yield bytes([1 << 2 | i, 1]) + p.fill(name)
        yield bytes([2 << 2 | i, 1]) + p.fill(name)
    yield b"\0" + p.fill("TkSpec")


def logs(source):
    numbers = []
    for name in ("edit.def", "edit_blocks.def"):
        with open(os.path.join(source, "namenode", name), encoding="utf-8") as f:
            numbers += [int(n) for n in re.findall(r"^EDIT\(\w+,\s*(\d+),", f.read(), re.M)]
    edits = [varint(n) + varint(1700000000000) + (b"\x03abc" * 4) + b"\x01" * 6 for n in numbers]
    yield from edits
    for flags in (0, 3):
        head = bytes(16) + struct.pack(">I", 9) if flags else b""
        some = b"".join(delimited(e) for e in edits[:5])
        call = bytes([flags]) + head + varint(1700000000000) + delimited(b"mkdirs") + delimited(b"root")
        call += (delimited(b"\x08\x01") if flags else b"") + varint(5) + delimited(some)
        yield b"\x01" + call + call


def elf(abi, notes=True, shnum=2, symbols=3 * 24):
    """The least that a shared object with a job in it has."""
    note = struct.pack("<III", 12, 8, 1) + b"Millrace\0\0\0\0" + struct.pack("<II", abi, 200)
    names = b"\0other\0millrace_job\0"
    at_ph, at_sh = 64, 64 + 2 * 56
    at_sym = at_sh + 2 * 64
    at_names = at_sym + 3 * 24
    at_note = at_names + len(names) + -len(names) % 4
    job = at_note + len(note)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, at_ph, at_sh, 0, 64, 56, 2, 64, shnum, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x10000, 0x10000, job + 200, job + 200, 4096)
    second = struct.pack("<IIQQQQQQ", 4 if notes else 6, 4, at_note, 0, 0, len(note), len(note), 4)
    sh = struct.pack("<IIQQQQIIQQ", 0, 11, 0, 0, at_sym, symbols, 1, 0, 8, 24)
    sh += struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, at_names, len(names), 0, 0, 1, 0)
    sym = bytes(24) + b"".join(struct.pack("<IBBHQQ", n, 17, 0, 1, 0x10000 + job, 200) for n in (1, 7))
    return head + load + second + sh + sym + names + bytes(-len(names) % 4) + note + bytes(200)


def elves(source):
    with open(os.path.join(source, "libmr/mr.h"), encoding="utf-8") as f:
        abi = int(re.search(r"#define MR_ABI (\d+)", f.read()).group(1))
    yield elf(abi)
    yield elf(abi, notes=False)
    yield elf(abi, symbols=2**64 - 1)
    yield elf(abi, shnum=0xFFFF)


def main():
    source, out = sys.argv[1:]
    p = Protos(os.path.join(source, "core/proto"))
    corpora = {"request": requests(p, source), "dtp": transfers(p), "report": reports(), "replica": replicas(),
               "http": paths(), "conf": confs(source), "shuffle": shuffles(), "segment": segments(), "task": tasks(p),
               "log": logs(source), "elf": elves(source)}
    shutil.rmtree(out, ignore_errors=True)
    for name, inputs in corpora.items():
        os.makedirs(os.path.join(out, name))
        for i, data in enumerate(inputs):
            with open(os.path.join(out, name, f"{i:03d}"), "wb") as f:
                f.write(data)
    kept = os.path.join(source, "tests/fuzz/corpus")
    for name in os.listdir(kept):
        shutil.copytree(os.path.join(kept, name), os.path.join(out, name), dirs_exist_ok=True)


if __name__ == "__main__":
    main()
