"""mini -- a cluster on one machine: start, look, stop, go on with the same data."""
import os
import subprocess
import unittest

from harness import Cluster, ClusterTest, main, pattern, program, wait_for


class Mini(ClusterTest):
    nodes = 2

    def test_ps_lists_each_daemon_with_its_addresses(self):
        ps = self.cluster.ps()
        self.assertEqual(sorted(ps), ["dn1", "dn2", "jt", "nn", "tt1", "tt2"])
        for m in ps.values():
            self.assertEqual(sorted(m), ["http", "name", "pid", "rpc", "state"])
            self.assertEqual(m["state"], "running")
            os.kill(m["pid"], 0)
            self.assertRegex(m["rpc"], r"^127\.0\.0\.1:\d+$")
            self.assertRegex(m["http"], r"^127\.0\.0\.1:\d+$")

    def test_env_makes_dfs_find_the_cluster(self):
        script = f'eval "$({program("millrace")} env {self.cluster.dir})"; dfs ls /'
        r = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
        self.assertEqual((r.returncode, r.stderr), (0, ""))

    def test_a_daemon_that_dies_is_reported_and_starts_again_on_request(self):
        self.cluster.kill("dn2")
        self.assertIsNone(self.cluster.ps()["dn2"]["pid"])
        self.assertIn("dn2 died by signal 9", self.cluster.log("mini"))
        self.cluster.start_daemon("dn2")
        self.assertEqual(self.cluster.ps()["dn2"]["state"], "running")

    def test_one_daemon_is_stopped_and_started(self):
        self.cluster.stop_daemon("tt1")
        self.assertEqual(self.cluster.ps()["tt1"]["state"], "stopped")
        self.cluster.start_daemon("tt1")
        self.assertEqual(self.cluster.ps()["tt1"]["state"], "running")

    def test_a_second_start_in_the_same_folder_is_refused(self):
        r = subprocess.run([program("millrace"), "mini", self.cluster.dir, "--detach"], capture_output=True, text=True)
        self.assertEqual(r.returncode, 1)
        self.assertIn("running already", r.stderr)


class Again(unittest.TestCase):
    def test_data_is_there_after_a_stop_and_a_start(self):
        c = Cluster(1, ["dfs.replication=1"])
        self.addCleanup(c.remove)
        self.addCleanup(c.stop)
        c.start()
        data = pattern(3_000_000)
        path = os.path.join(c.folder, "in")
        with open(path, "wb") as f:
            f.write(data)
        c.dfs("put", path, "/kept")
        c.stop()
        self.assertTrue(all(m["state"] == "stopped" for m in c.ps().values()))
        c.start()
        self.assertEqual(c.dfs("cat", "/kept", binary=True).stdout, data)

    def test_misuse_says_what_is_wrong(self):
        for args, words in [
            (["mini"], "needs one folder"),
            (["mini", "/tmp", "--detach"], "holds other things"),
            (["ps", "/nonexistent-folder"], "No such file"),
            (["mini", "/nonexistent/x", "--nodes", "0"], "--nodes takes 1 to 64"),
            (["nonsense"], "unknown command nonsense"),
        ]:
            r = subprocess.run([program("millrace")] + args, capture_output=True, text=True)
            self.assertIn(r.returncode, (1, 2), args)
            self.assertIn(words, r.stderr)
        c = Cluster(1, ["dfs.replicaton=1"])
        self.addCleanup(c.remove)
        r = subprocess.run([program("millrace"), "mini", c.dir, "-D", "dfs.replicaton=1"], capture_output=True, text=True)
        self.assertEqual(r.returncode, 1)
        self.assertIn("dfs.replication", r.stderr)


if __name__ == "__main__":
    main()
