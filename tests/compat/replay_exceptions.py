#!/usr/bin/env python3
"""Plays the recorded ClientProtocol calls of exceptions.jsonl against a NameNode and compares class, first line and
result of each.  The NameNode is started in a folder of its own; three pretended DataNodes report blocks, so that
files can be written without moving bytes.

    replay_exceptions.py --namenode build/bin/namenode [--verbose] [--only N]
"""

import argparse
import getpass
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from hrpc import Connection, RpcError  # noqa: E402
from pb import Schema  # noqa: E402

CLIENT = ("org.apache.hadoop.hdfs.protocol.ClientProtocol", "ClientNamenodeProtocol")
DATANODE = ("millrace.DatanodeProtocol", "DatanodeProtocol")

# Writes that the recording does not list: before call N, (path, bytes, block size).
WRITES = {
    7: [("/x/f", 120, 1048576), ("/x/d/g", 3000, 1024), ("/x/priv/s", 6, 1048576)],
    110: [("/w/f", 100, 1048576), ("/w/full", 2048, 1024), ("/w/u", 1000, 1048576)],
    230: [("/m/f", 10, 1048576), ("/m/g", 10, 1048576), ("/m/sticky/s", 10, 1048576), ("/m/h/x", 10, 1048576)],
    344: [("/m/t", 3000, 1024)],
    289: [("/m/d3/x", 10, 1048576)],
    416: [("/n/f", 100, 1048576), ("/n/g", 10, 1048576)],
    427: [("/n/d2/f", 10, 1048576)],
}

# Before these calls the DataNodes have carried out the recoveries that were ordered.
RECOVERED = {355}

# Which block of its file a call means, where it is not the last one.
BLOCK_AT = {181: 0, 182: 0, 184: None, 219: None}   # None: a block that does not exist
# Whose block a call without a path means, and the calls whose newBlock has the stamp that was given out last.
FILE_OF = {n: "/w/u" for n in range(213, 219)} | {219: "/w/u", 220: "/w/full"}
NEW_STAMP = {217, 218}

# Calls about what this version does not have, and those whose answer rests on such a call.
ABSENT = {"concat", "setQuota", "setStoragePolicy", "unsetStoragePolicy", "setXAttr", "removeXAttr",
          "modifyAclEntries", "setAcl", "removeAcl", "removeAclEntries", "removeDefaultAcl", "createSnapshot",
          "allowSnapshot", "disallowSnapshot", "deleteSnapshot", "renameSnapshot", "getSnapshotDiffReport",
          "getSnapshotDiffReportListing", "getSnapshottableDirListing", "getSnapshotListing", "renewDelegationToken",
          "cancelDelegationToken", "createSymlink", "getLinkTarget", "listEncryptionZones", "saveNamespace", "metaSave",
          "refreshNodes", "rollEdits", "getSlowDatanodeReport", "upgradeStatus", "finalizeUpgrade", "rollingUpgrade",
          "setBalancerBandwidth", "restoreFailedStorage", "getCurrentEditLogTxid", "satisfyStoragePolicy",
          "setErasureCodingPolicy", "unsetErasureCodingPolicy", "getErasureCodingCodecs", "getECTopologyResultForPolicies",
          "addCachePool", "listCachePools", "listCacheDirectives", "createEncryptionZone", "getBatchedListing"}
RESTS_ON_ABSENT = (
    {93} |                                              # a storage policy set on a directory
    {380, 381} |                                        # concat
    set(range(393, 400)) | {402, 404, 405, 406, 411} |  # quotas
    {497, 498, 506, 507, 508, 509, 517} |               # extended attributes
    {458, 459, 462, 463, 465, 466, 467, 468, 471, 474, 477, 480, 482} |           # ACLs
    set(range(529, 580)) |                              # snapshots
    {630})                                              # an erasure coding policy set on a directory

# Differences that are meant, with the reason.
MEANT = {
    23: "the recording's root had more entries",
    21: "/.reserved is not shown as a directory", 41: "/.reserved is not shown as a directory",
    96: "there are no erasure coding policies", 144: "there are no erasure coding policies",
    99: "the recording had open files of other tests",
    192: "each node's reason follows",
}


def read(path):
    with open(path) as f:
        return f.read()


class Cluster:
    """A NameNode and pretended DataNodes."""

    def __init__(self, namenode, folder):
        self.schema = Schema(os.path.join(HERE, "..", "..", "core", "proto"))
        self.log = os.path.join(folder, "namenode.log")
        ready_r, ready_w = os.pipe()
        log = open(self.log, "w")
        self.process = subprocess.Popen(
            [namenode, "--ready-fd", str(ready_w), "-D", "dfs.namenode.rpc-address=127.0.0.1:0",
             "-D", "dfs.namenode.http-address=127.0.0.1:0", "-D", f"dfs.namenode.name.dir={folder}/name",
             "-D", "dfs.namenode.fs-limits.min-block-size=1024", "-D", "dfs.permissions.superusergroup=supergroup"],
            pass_fds=[ready_w], stderr=log)
        log.close()
        os.close(ready_w)
        with os.fdopen(ready_r) as f:
            line = f.readline()
        if not line:
            raise SystemExit("the NameNode did not start: " + read(self.log))
        host, _, port = json.loads(line)["rpc"].rpartition(":")
        self.address = (host, int(port))
        self.connections = {}
        self.nodes = []
        self.files = {}         # path: {"id": ..., "blocks": [ExtendedBlockProto]}
        self.blocks_by_id = {}

    def stop(self):
        for c in self.connections.values():
            c.close()
        self.process.terminate()
        status = self.process.wait(timeout=20)
        if status != 0:
            raise SystemExit(f"the NameNode ended with {status}: " + read(self.log)[-3000:])

    def connection(self, user, protocol=CLIENT):
        key = (user, protocol)
        if key not in self.connections:
            self.connections[key] = Connection(self.schema, *self.address, user, *protocol)
        return self.connections[key]

    def call(self, user, method, request):
        return self.connection(user).call(method, request)

    # ---- pretended DataNodes ----

    def add_nodes(self, count):
        for i in range(count):
            node = {"uuid": f"00000000-0000-4000-8000-00000000000{i}", "storage": f"DS-00000000-0000-4000-8000-10000000000{i}",
                    "seq": 0}
            storage = {"uuid": node["storage"], "capacity": 10**12, "dfs_used": 0, "remaining": 10**12, "failed": False,
                       "report_seq": 0}
            reply = self.connection("dn", DATANODE).call("registerNode", {
                "node_uuid": node["uuid"], "host": "127.0.0.1", "name": "localhost", "data_port": 19866 + 10 * i,
                "ipc_port": 19867 + 10 * i, "http_port": 19864 + 10 * i, "cluster_id": "", "version": "test",
                "seen_txid": 0, "seen_block_id": 0, "seen_stamp": 0, "storages": [storage]})
            node["epoch"] = reply["epoch"]
            self.nodes.append(node)
            self.connection("dn", DATANODE).call("heartbeat", {
                "node_uuid": node["uuid"], "epoch": node["epoch"], "storages": [storage], "transfers": 0,
                "failed_volumes": 0})
            self.report_empty(node)

    def report_empty(self, node):
        dn = self.connection("dn", DATANODE)
        whole = {"first_id": 0, "last_id": 2**64 - 1, "count": 0, "hash": 0xcbf29ce484222325}
        ids = {"node_uuid": node["uuid"], "epoch": node["epoch"], "storage_uuid": node["storage"], "seq": 0}
        dn.call("reportHashes", dict(ids, ranges=[whole]))
        dn.call("reportRange", dict(ids, range=whole, replicas=[], last=True))

    def received(self, located):
        """All DataNodes of a block report that they have all of it."""
        b = located["b"]
        for loc in located.get("locs", []):
            node = next(n for n in self.nodes if n["uuid"] == loc["id"]["datanodeUuid"])
            node["seq"] += 1
            change = {"kind": "RECEIVED", "seq": node["seq"],
                      "block": {"id": b["blockId"], "stamp": b["generationStamp"], "bytes": b["numBytes"]}}
            self.connection("dn", DATANODE).call("blocksChanged", {
                "node_uuid": node["uuid"], "epoch": node["epoch"],
                "storages": [{"storage_uuid": node["storage"], "changes": [change]}]})

    def recover(self):
        """Each recovery that was ordered came to the length wanted, on all of the block's DataNodes."""
        dn = self.connection("dn", DATANODE)
        for node in self.nodes:
            ids = {"node_uuid": node["uuid"], "epoch": node["epoch"]}
            orders = dn.call("waitOrders", dict(ids, last_seq=0, max_wait_ms=0)).get("orders", [])
            for o in orders:
                if o["kind"] == "RECOVER" and int(o.get("truncate_bytes", 0)) > 0:
                    block = {"id": o["block"]["id"], "stamp": o["new_stamp"], "bytes": o["truncate_bytes"]}
                    dn.call("commitBlockSynchronization", dict(
                        ids, block=block, storage_uuids=[t["storage_uuid"] for t in o["targets"]], removes=False))

    def write(self, path, size, block_size):
        file_id = self.call("root", "create", {
            "src": path, "masked": {"perm": 0o644}, "clientName": "writer", "createFlag": 1, "createParent": True,
            "replication": 3, "blockSize": block_size})["fs"]["fileId"]
        previous, left = None, size
        while left > 0:
            located = self.call("root", "addBlock", {"src": path, "clientName": "writer", "previous": previous,
                                                     "fileId": file_id})["block"]
            located["b"]["numBytes"] = str(min(left, block_size))
            previous, left = located["b"], left - min(left, block_size)
            self.received(located)
        done = self.call("root", "complete", {"src": path, "clientName": "writer", "last": previous, "fileId": file_id})
        self.files[path] = {"id": file_id, "blocks": [previous]}
        if not done["result"]:
            raise SystemExit(f"complete of {path} answered false")


def expand(text):
    """The recording's short forms of long names."""
    text = text.replace("<42 components of 200 p>", "/".join(["p" * 200] * 42))
    text = text.replace("<1000 components p>", "/".join(["p"] * 1000))
    return re.sub(r"<n\*(\d+)>", lambda m: "n" * int(m[1]), text)


def fill_in(cluster, number, request):
    """Replace the placeholders of a recorded request by what this run uses."""
    known = cluster.files.get(request.get("src", FILE_OF.get(number)), {"id": "99999", "blocks": []})

    def walk(v, key):
        if isinstance(v, dict):
            if v.get("blockId") == "<blockid>":
                blocks = known["blocks"]
                at = BLOCK_AT.get(number, len(blocks) - 1)
                none = {"poolId": "BP-1-127.0.0.1-1", "blockId": 1, "generationStamp": 1}
                real = none if at is None or not blocks else blocks[at]
                stamp = cluster.stamp if key == "newBlock" and number in NEW_STAMP else real["generationStamp"]
                return dict(real, numBytes=v.get("numBytes", 0), generationStamp=stamp)
            return {k: walk(x, k) for k, x in v.items()}
        if isinstance(v, list):
            return [walk(x, key) for x in v]
        if key == "fileId" and v == "<inode>":
            return known["id"]
        if key in ("excludeNodes", "existings", "newNodes") and isinstance(v, int):
            ids = [{"ipAddr": "127.0.0.1", "hostName": "localhost", "datanodeUuid": n["uuid"], "xferPort": 19866,
                    "infoPort": 19864, "ipcPort": 19867} for n in cluster.nodes[:v]]
            return ids if key == "newNodes" else [{"id": i} for i in ids]
        if key == "startAfter" and v == "<17000 bytes z>":
            return b"z" * 17000
        return expand(v) if isinstance(v, str) else v

    return walk(request, "")


def plain(text):
    """The first line of a message without this run's numbers."""
    text = (text or "").split("\n")[0]
    text = re.sub(r"BP-\d+-[0-9.]+-\d+", "<bpid>", text)
    text = re.sub(r"blk_\d+_\d+", "blk_<id>_<gs>", text)
    return re.sub(r"\(inode \d+\)", "(inode <inode>)", text)


# Left out of the recording, or other on every run.
VOLATILE = {"locs", "capacity", "dfsUsed", "remaining", "blockPoolUsed", "nonDfsUsed", "lastUpdate", "xceiverCount",
            "lastUpdateMonotonic", "lastBlockReportTime", "lastBlockReportMonotonic", "numBlocks", "cacheCapacity",
            "cacheUsed", "used", "pending_deletion_blocks", "storage", "xferPort", "infoPort", "ipcPort"}


def same(expected, got, where=""):
    """None, or where a result differs from the recorded one; placeholders match everything."""
    if isinstance(expected, str) and expected.startswith(("<", "...")):
        return None
    if isinstance(expected, dict) and isinstance(got, dict):
        for k in sorted(set(expected) | set(got)):
            if k in VOLATILE and k != "locs":
                continue
            if k not in got or k not in expected:
                if k in VOLATILE or (k not in expected and got[k] is False):
                    continue
                return f"{where}.{k}: {'missing' if k not in got else 'not expected'}"
            difference = same(expected[k], got[k], f"{where}.{k}")
            if difference:
                return difference
        return None
    if isinstance(expected, list) and isinstance(got, list):
        if any(isinstance(x, str) and x.startswith("...") for x in expected):
            return None
        if len(expected) != len(got):
            return f"{where}: {len(got)} items, not {len(expected)}"
        for i, (a, b) in enumerate(zip(expected, got)):
            difference = same(a, b, f"{where}[{i}]")
            if difference:
                return difference
        return None
    return None if expected == got else f"{where}: {got!r}, not {expected!r}"


def remember(cluster, method, request, result):
    """What later calls refer to."""
    path = request.get("src")
    if method == "create" and "fs" in result:
        cluster.files[path] = {"id": result["fs"]["fileId"], "blocks": []}
    if method == "addBlock":
        known = cluster.files.setdefault(path, {"id": "0", "blocks": []})
        if all(b["blockId"] != result["block"]["b"]["blockId"] for b in known["blocks"]):
            known["blocks"].append(result["block"]["b"])
    if method == "updateBlockForPipeline":
        cluster.stamp = result["block"]["b"]["generationStamp"]


def replay_one(cluster, number, call):
    """None, or how the answer differs."""
    request = fill_in(cluster, number, call["request"])
    try:
        result = cluster.call(call["user"], call["method"], request)
    except RpcError as e:
        if "exception" not in call:
            return f"{e.java}: {plain(e.message)!r}, not a result"
        want = expand(call.get("message") or "")
        if e.java != call["exception"]:
            return f"{e.java}: {plain(e.message)!r}, not {call['exception']}: {want!r}"
        if want.endswith("…"):
            return None if plain(e.message).startswith(want[:-1]) else f"{plain(e.message)!r}, not {want!r}"
        return None if plain(e.message) == want else f"{plain(e.message)!r}, not {want!r}"
    remember(cluster, call["method"], request, result)
    if "exception" in call:
        return f"result {json.dumps(result)[:200]}, not {call['exception']}: {call.get('message')!r}"
    difference = same(call["result"], result)
    return difference and "result" + difference


def replay(cluster, calls, args):
    counts = {"same": 0, "meant": 0, "absent": 0, "different": 0}
    for number, call in enumerate(calls, 1):
        for path, size, block_size in WRITES.get(number, []):
            cluster.write(path, size, block_size)
        if number in RECOVERED:
            cluster.recover()
        if call["method"] in ABSENT or number in RESTS_ON_ABSENT:
            counts["absent"] += 1
            continue
        difference = replay_one(cluster, number, call)
        kind = "same" if difference is None else "meant" if number in MEANT else "different"
        counts[kind] += 1
        if kind == "different" or (args.verbose and kind == "meant"):
            print(f"{kind} {number} {call['user']} {call['method']} {json.dumps(call['request'])[:160]}: {difference}")
    return counts


def check_log(namenode, folder):
    """Does the log give the same tables, and do their rules hold?"""
    program = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(namenode))), "nn_replay")
    done = subprocess.run([program, folder], capture_output=True, text=True)
    return "whole" if done.returncode == 0 else done.stderr.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--namenode", required=True)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--nodes", type=int, default=3, help="pretended DataNodes")
    args = parser.parse_args()
    calls = []
    with open(os.path.join(HERE, "exceptions.jsonl")) as f:
        for line in f:
            record = json.loads(line)
            if "method" in record and record.get("protocol") == "ClientProtocol":
                calls.append(record)
    if getpass.getuser() != "root":
        print("skipped: the recording's superuser is root, the user that runs the NameNode", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory(prefix="millrace-replay-") as folder:
        cluster = Cluster(args.namenode, folder)
        try:
            cluster.add_nodes(args.nodes)
            counts = replay(cluster, calls, args)
        finally:
            cluster.stop()
        counts["log"] = check_log(args.namenode, os.path.join(folder, "name"))
    print(" ".join(f"{k}={v}" for k, v in counts.items()))
    return 1 if counts["different"] or counts["log"] != "whole" else 0


if __name__ == "__main__":
    sys.exit(main())
