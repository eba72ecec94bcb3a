"""What people and programs get wrong: a clear error that says what, where and what to do; nothing lost; daemons up."""
import os
import re
import socket
import subprocess
import sys
import unittest

from harness import JOBS, TOP, Cluster, ClusterTest, main, pattern, program, wait_for

sys.path.insert(0, os.path.join(TOP, "tests", "results"))
from record import record       # noqa: E402


def run(*args, **kw):
    return subprocess.run([program(args[0])] + [str(a) for a in args[1:]], capture_output=True, text=True, timeout=60, **kw)


class Commands(unittest.TestCase):
    def test_an_unknown_option_is_named(self):
        for name in ("namenode", "datanode", "jobtracker", "tasktracker"):
            r = run(name, "--confg", "x")
            self.assertEqual(r.returncode, 2, name)
            self.assertIn("--confg", r.stderr)

    def test_an_unknown_key_is_an_error_with_a_suggestion(self):
        r = run("namenode", "--set", "dfs.blocksiz=1m", "--check")
        self.assertEqual(r.returncode, 2)
        self.assertIn("dfs.blocksize", r.stderr)

    def test_a_bad_file_is_shown_with_its_line(self):
        c = Cluster()
        self.addCleanup(c.remove)
        path = os.path.join(c.folder, "bad.conf")
        with open(path, "w") as f:
            f.write("[all]\ndfs.replication = three\n\ndfs.blocksize = 1\n")
        r = run("namenode", "--config", path, "--check")
        self.assertEqual(r.returncode, 2)
        self.assertIn("bad.conf:2: dfs.replication", r.stderr)
        self.assertIn("bad.conf:4: dfs.blocksize", r.stderr)

    def test_a_port_in_use_is_named(self):
        c = Cluster()
        self.addCleanup(c.remove)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            port = s.getsockname()[1]
            r = run("namenode", "--set", f"dfs.namenode.rpc-address=127.0.0.1:{port}", "--set",
                    f"dfs.namenode.name.dir={c.folder}/nn", "--set", "dfs.namenode.http-address=127.0.0.1:0")
        self.assertEqual(r.returncode, 1)
        self.assertIn(str(port), r.stderr)
        self.assertIn("in use", r.stderr)

    def test_a_cluster_that_is_not_there_is_named(self):
        r = run("dfs", "-D", "fs.defaultFS=hdfs://127.0.0.1:1", "-D", "millrace.client.retry=0", "ls", "/")
        self.assertEqual(r.returncode, 1)
        self.assertIn("127.0.0.1:1", r.stderr)


class Jobs(ClusterTest):
    nodes = 1
    settings = ["dfs.replication=1"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.dfs("put", "/etc/services", "/in")

    def compile(self, name, source):
        path = self.temp(name + ".c", source.encode())
        r = run("mrcc", path)
        self.assertEqual(r.returncode, 0, r.stderr)
        return path[:-2] + ".so"

    def refused(self, *args, words, status=1):
        r = self.mr("run", *args, check=False)
        self.assertEqual(r.returncode, status, r.stderr)
        for w in words:
            self.assertIn(w, r.stderr)

    def test_a_missing_so(self):
        self.refused("/nowhere/job.so", "-input", "/in", "-output", "/o1", words=["/nowhere/job.so"])

    def test_a_file_that_is_no_shared_object(self):
        self.refused("/etc/services", "-input", "/in", "-output", "/o2", words=["/etc/services", "mrcc"])

    def test_a_shared_object_without_a_job(self):
        so = self.compile("nojob", "int answer(void);\nint answer(void) { return 42; }\n")
        self.refused(so, "-input", "/in", "-output", "/o3", words=["MR_JOB"])

    def test_a_job_of_another_abi(self):
        source = ('#include <mr.h>\n#undef MR_ABI\n#define MR_ABI 7\n'
                  'static void map(struct mr_task *t, const struct mr_rec *r, size_t n) { (void)t; (void)r; (void)n; }\n'
                  'MR_JOB(.map = map, .map_only = 1)\n')
        so = self.compile("abi", source)
        self.refused(so, "-input", "/in", "-output", "/o4", words=["ABI 7", "mrcc"])

    def test_an_input_that_does_not_exist(self):
        self.refused(f"{JOBS}/wordcount.so", "-input", "/missing", "-output", "/o5", words=["/missing"])

    def test_an_output_that_exists_is_refused_before_anything_starts(self):
        self.dfs("mkdir", "/exists")
        self.refused(f"{JOBS}/wordcount.so", "-input", "/in", "-output", "/exists", words=["/exists", "exists"])
        self.assertEqual(self.dfs("ls", "/exists").stdout, "")

    def test_a_crash_in_map_names_the_signal_and_shows_stderr(self):
        source = ('#include <mr.h>\n#include <stdio.h>\n'
                  'static void map(struct mr_task *t, const struct mr_rec *r, size_t n)\n'
                  '{ (void)t; (void)r; (void)n; fprintf(stderr, "about to go wrong\\n"); *(volatile int *)8 = 1; }\n'
                  'MR_JOB(.map = map, .map_only = 1)\n')
        so = self.compile("crash", source)
        r = self.mr("run", so, "-input", "/in", "-output", "/o6", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("SIGSEGV", r.stderr)
        self.assertIn("about to go wrong", r.stderr)
        self.dfs("test", "-e", "/in")
        self.assertEqual(self.dfs("test", "-e", "/o6", check=False).returncode, 1)
        ok = self.mr("run", f"{JOBS}/wordcount.so", "-input", "/in", "-output", "/o7", check=False)
        self.assertEqual(ok.returncode, 0, ok.stderr)


@unittest.skipUnless(os.geteuid() == 0, "skipped: small disks need root")
class FullDisks(unittest.TestCase):
    def small_disk(self, path, size):
        os.makedirs(path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", path])

    def test_a_full_datanode_is_named_and_serves_again_after_a_delete(self):
        c = Cluster(1, ["dfs.replication=1", "dfs.blocksize=8m"])
        self.addCleanup(c.remove)
        self.addCleanup(c.stop)
        os.makedirs(c.dir)
        c.start()
        c.stop_daemon("dn1")
        subprocess.run(["rm", "-rf", os.path.join(c.dir, "dn1")], check=True)
        self.small_disk(os.path.join(c.dir, "dn1"), "48m")
        c.start_daemon("dn1")
        big, little = os.path.join(c.folder, "big"), os.path.join(c.folder, "little")
        with open(big, "wb") as f:
            f.write(pattern(64 << 20))
        with open(little, "wb") as f:
            f.write(pattern(16 << 20, 2))
        wait_for("the node", lambda: c.dfs("put", little, "/first", check=False).returncode == 0)
        r = c.dfs("put", big, "/big", check=False, timeout=300)
        self.assertEqual(r.returncode, 1)
        node, volume = re.escape(c.ps()["dn1"]["rpc"]), re.escape(os.path.join(c.dir, "dn1"))
        self.assertRegex(r.stderr, f"could only be written to 0 of the 1 minReplication nodes.* {node}: [0-9]+ bytes free|"
                         f"first bad node {node}: no volume has room for [0-9]+ bytes: {volume} has [0-9]+")
        self.assertEqual(c.dfs("cat", "/first", binary=True).stdout, pattern(16 << 20, 2))
        wait_for("space to come back", lambda: c.dfs("put", "-f", little, "/second", check=False).returncode == 0, 60)
        c.dfs("put", "-", "/third", stdin=pattern(8 << 20), binary=True)

        def refused():      # by the NameNode, once a heartbeat told it: /third left no room for a block
            return re.search(f"0 of the 1 minReplication nodes.* {node}: [0-9]+ bytes free, {8 << 20} needed",
                             c.dfs("put", little, "/fourth", check=False).stderr)
        wait_for("the NameNode to name the node", refused)
        c.dfs("rm", "-r", "-f", "-skipTrash", "/big", "/first", "/second", "/third", "/fourth", "/big._COPYING_")
        wait_for("space to come back", lambda: c.dfs("put", little, "/again", check=False).returncode == 0, 60)
        self.assertTrue(all(m["state"] == "running" for m in c.ps().values()))
        record("disk-full-dn", "tests/cluster/test_bad_input.py", {"lost": 0, "node and volume": "named", "deletes": "admitted"}, long=True)

    def test_a_full_namenode_refuses_writes_but_deletes(self):
        c = Cluster(1, ["dfs.replication=1"])
        self.addCleanup(c.remove)
        self.addCleanup(c.stop)
        c.start()
        c.dfs("mkdir", "/before")
        c.stop_daemon("nn")
        name, kept = os.path.join(c.dir, "nn"), os.path.join(c.dir, "nn-kept")
        os.rename(name, kept)
        self.small_disk(name, "64m")
        subprocess.run(["cp", "-a", kept + "/.", name], check=True)
        c.start_daemon("nn")
        free = os.statvfs(name)
        with open(os.path.join(name, "fill"), "wb") as f:
            f.write(b"x" * max(0, free.f_bavail * free.f_bsize - 300_000))
        made, error = 0, ""
        for i in range(400):
            r = c.dfs("mkdir", *[f"/d{i}-{k}-{'n' * 200}" for k in range(20)], check=False)
            if r.returncode:
                error = r.stderr
                break
            made = i + 1
        self.assertIn("The disk of the NameNode is full: only deletes are admitted", error)
        self.assertEqual(c.dfs("ls", "-d", "/before").returncode, 0)
        c.dfs("rm", "-r", "-skipTrash", "/before")
        os.unlink(os.path.join(name, "fill"))
        wait_for("writes again", lambda: c.dfs("mkdir", "/after", check=False).returncode == 0)
        names = c.dfs("ls", "-C", "/").stdout
        for i in range(made):
            self.assertIn(f"/d{i}-0-", names)
        self.assertEqual(c.ps()["nn"]["state"], "running")
        record("disk-full-nn", "tests/cluster/test_bad_input.py", {"lost": 0, "deletes": "admitted"}, long=True)


if __name__ == "__main__":
    main()
