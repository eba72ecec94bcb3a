"""Protocol Buffers, as far as these tests need them: reads the .proto files of core/proto, encodes and decodes
messages as dictionaries in the style of protobuf's JSON: 64-bit numbers are decimal text, enums are names, fields
that are `bytes` in Hadoop's own definitions are base64, other text is text."""

import base64
import glob
import os
import re

VARINT = {"int32", "int64", "uint32", "uint64", "sint32", "sint64", "bool"}

# Text fields are declared bytes in core/proto; these are bytes in Hadoop's definitions too.
TRUE_BYTES = {"startAfter", "symlink", "identifier", "password", "key", "iv", "nonce", "encryptionKey", "clientId",
              "challenge", "token", "parent_fullpath", "fullpath", "targetPath", "startPath", "blockIndices"}
TRUE_BYTES_IN = {("HdfsFileStatusProto", "path")}


class Field:
    def __init__(self, label, kind, name, number):
        self.label, self.kind, self.name, self.number = label, kind, name, number


class Schema:
    """All messages, enums and services of a folder of .proto files."""

    def __init__(self, folder):
        self.messages, self.enums, self.methods = {}, {}, {}
        for path in sorted(glob.glob(os.path.join(folder, "*.proto"))):
            with open(path) as f:
                text = re.sub(r"//[^\n]*", "", f.read())
            self._block(re.findall(r"[A-Za-z0-9_.]+|\"[^\"]*\"|[{}=;()\[\],]", text), "")

    def _block(self, tokens, scope):
        i = 0
        while i < len(tokens):
            word = tokens[i]
            if word in ("message", "enum", "service"):
                end = self._matching(tokens, i + 2)
                name, body = scope + tokens[i + 1], tokens[i + 3:end]
                if word == "message":
                    self.messages[name] = []
                    self._block(body, name + ".")
                elif word == "enum":
                    text = " ".join(body)
                    self.enums[name] = {n: int(v, 0) for n, v in re.findall(r"(\w+) = (-?\w+)", text)}
                else:
                    text = " ".join(body)
                    for m, q, a in re.findall(r"rpc (\w+) \( ([\w.]+) \) returns \( ([\w.]+) \)", text):
                        self.methods[(name, m)] = (q, a)
                i = end + 1
            elif word in ("required", "optional", "repeated"):
                kind, name, number = tokens[i + 1], tokens[i + 2], int(tokens[i + 4])
                self.messages[scope[:-1]].append(Field(word, kind, name, number))
                i = tokens.index(";", i) + 1
            else:
                i += 1

    @staticmethod
    def _matching(tokens, at):
        depth = 0
        for i in range(at, len(tokens)):
            depth += (tokens[i] == "{") - (tokens[i] == "}")
            if depth == 0:
                return i
        raise ValueError("unbalanced braces")

    def _lookup(self, table, scope, name):
        while True:
            full = f"{scope}.{name}" if scope else name
            if full in table:
                return full
            if not scope:
                return None
            scope = scope.rpartition(".")[0]

    # ---- encoding ----

    def encode(self, message, value):
        out = bytearray()
        for f in self.messages[message]:
            if f.name not in value or value[f.name] is None:
                continue
            items = value[f.name] if f.label == "repeated" else [value[f.name]]
            for item in items:
                out += self._encode_field(message, f, item)
        return bytes(out)

    def _encode_field(self, message, f, v):
        enum = self._lookup(self.enums, message, f.kind)
        if f.kind in VARINT or enum:
            if enum:
                v = self.enums[enum][v] if isinstance(v, str) else v
            v = int(v)
            if f.kind.startswith("sint"):
                v = (v << 1) ^ (v >> 63)
            return varint(f.number << 3) + varint(v & (2**64 - 1))
        if f.kind == "fixed64":
            return varint(f.number << 3 | 1) + int(v).to_bytes(8, "little")
        if f.kind in ("bytes", "string"):
            if isinstance(v, str):
                v = base64.b64decode(v) if is_true_bytes(message, f) else v.encode()
            return varint(f.number << 3 | 2) + varint(len(v)) + v
        sub = self.encode(self._lookup(self.messages, message, f.kind), v)
        return varint(f.number << 3 | 2) + varint(len(sub)) + sub

    # ---- decoding ----

    def decode(self, message, data):
        fields = {f.number: f for f in self.messages[message]}
        out, i = {}, 0
        while i < len(data):
            tag, i = read_varint(data, i)
            kind = tag & 7
            if kind == 0:
                raw, i = read_varint(data, i)
            elif kind == 1:
                raw, i = int.from_bytes(data[i:i + 8], "little"), i + 8
            elif kind == 2:
                n, i = read_varint(data, i)
                raw, i = data[i:i + n], i + n
            else:
                raise ValueError(f"wire type {kind} in {message}")
            f = fields.get(tag >> 3)
            if f is None:
                continue
            if f.label == "repeated":
                out.setdefault(f.name, []).extend(self._decode_items(message, f, kind, raw))
            else:
                out[f.name] = self._decode_items(message, f, kind, raw)[0]
        return out

    def _decode_items(self, message, f, kind, raw):
        enum = self._lookup(self.enums, message, f.kind)
        if f.kind in VARINT or enum:
            values = [raw]
            if kind == 2:
                values, i = [], 0
                while i < len(raw):
                    v, i = read_varint(raw, i)
                    values.append(v)
            return [self._number(f, enum, v) for v in values]
        if f.kind == "fixed64":
            return [str(raw)]
        if f.kind in ("bytes", "string"):
            if is_true_bytes(message, f):
                return [base64.b64encode(raw).decode()]
            return [raw.decode(errors="replace")]
        return [self.decode(self._lookup(self.messages, message, f.kind), raw)]

    def _number(self, f, enum, v):
        if enum:
            return next((n for n, k in self.enums[enum].items() if k == v), v)
        if f.kind == "bool":
            return bool(v)
        if f.kind.startswith("sint"):
            v = (v >> 1) ^ -(v & 1)
        elif f.kind.startswith("int") and v >= 2**63:
            v -= 2**64
        return str(v) if f.kind.endswith("64") else v


def is_true_bytes(message, f):
    return f.name in TRUE_BYTES or (message, f.name) in TRUE_BYTES_IN


def varint(v):
    out = bytearray()
    while v > 127:
        out.append(v & 127 | 128)
        v >>= 7
    out.append(v)
    return bytes(out)


def read_varint(data, i):
    v = shift = 0
    while True:
        b = data[i]
        i += 1
        v |= (b & 127) << shift
        shift += 7
        if b < 128:
            return v, i
