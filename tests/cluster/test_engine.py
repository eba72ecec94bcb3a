"""Jobs on a real cluster: right output, and what becomes of it when tasks and daemons fail."""
import collections
import json
import os
import re
import shutil
import subprocess
import time
import unittest

from harness import BIN, SLOW, TOP, Cluster, ClusterTest, Failed, main, program, wait_for

WORDS = [b"alpha", b"beta", b"gamma", b"delta", b"the", b"of", b"and", b"\xc3\xa9t\xc3\xa9", b"x" * 40, b"tail\xff"]


def is_sanitized():
    with open(os.path.join(BIN, "tasktracker"), "rb") as f:
        return b"__asan_init" in f.read()


def text(n, seed=7):
    """About n bytes of lines of words, some lines empty, some long; the last without an end."""
    import random
    r = random.Random(seed)
    out = bytearray()
    while len(out) < n:
        k = r.choice([0, 1, 5, 9, 30])
        out += b" ".join(r.choice(WORDS) + b"%d" % r.randrange(500) if r.random() < .5 else r.choice(WORDS)
                         for _ in range(k)) + r.choice([b"\n", b"\r\n", b" \t\n"])
    return bytes(out.rstrip(b"\n"))


def counted(data):
    return collections.Counter(data.split())


class Engine(ClusterTest):
    nodes = 3
    settings = ["dfs.blocksize=1m", "dfs.namenode.fs-limits.min-block-size=64k",
                "mapreduce.jobtracker.expire.trackers.interval=2s", "dfs.heartbeat.interval=300ms"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        c = cls.cluster
        cls.trouble = os.path.join(c.folder, "trouble.so")
        subprocess.run([program("mrcc"), "-o", cls.trouble, os.path.join(TOP, "tests/cluster/jobs/trouble.c")], check=True)
        cls.data = text(6 << 20)
        c.dfs("put", "-", "/text", stdin=cls.data, binary=True)
        cls.number = 0

    def tearDown(self):
        for name, m in self.cluster.ps().items():
            if m["state"] != "running":
                self.cluster.start_daemon(name)
        wait_for("all trackers to be alive", lambda: self.alive() == self.nodes)

    # ---- helpers ----

    def alive(self):
        r = self.mr("nodes", "--json", check=False)
        return r.returncode == 0 and sum(t["state"] == "ALIVE" for t in json.loads(r.stdout))

    def out(self):
        type(self).number += 1
        return f"/out-{self.number}"

    def args(self, job, out, options, inp="/text"):
        a = ["mr", "run", job, "-input", inp, "-output", out]
        for k, v in options.items():
            a += ["-D", f"{k}={v}"]
        return a

    def job(self, job, inp="/text", check=True, **options):
        out = self.out()
        options = {k.replace("__", "."): v for k, v in options.items()}
        r = self.cluster.run(*self.args(job, out, options, inp), check=check)
        return out, r

    def start_job(self, job, **options):
        out = self.out()
        options = {k.replace("__", "."): v for k, v in options.items()}
        p = self.cluster.popen(*self.args(job, out, options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = p.stderr.readline()
        return out, p, line.split(":")[0]

    def attempts(self, job):
        return json.loads(self.mr("status", job, "--json").stdout)["attempts"]

    def running(self, job, kind="_m_"):
        return [a for a in self.attempts(job) if a["state"] == "RUNNING" and kind in a["id"]]

    def parts(self, out):
        names = [l.split()[-1] for l in self.dfs("ls", out).stdout.splitlines() if "part-" in l]
        return [self.dfs("cat", n, binary=True).stdout for n in sorted(names)]

    def counts(self, out):
        got = collections.Counter()
        for part in self.parts(out):
            for line in part.split(b"\n")[:-1]:
                word, n = line.rsplit(b"\t", 1)
                self.assertNotIn(word, got)
                got[word] = int(n)
        return got

    def assert_counts(self, out):
        self.assertEqual(self.counts(out), counted(self.data))

    def finish(self, process):
        stdout, stderr = process.communicate(timeout=120 * SLOW)
        self.assertEqual(process.returncode, 0, stdout + stderr + self.cluster.log_tails())
        return stdout + stderr

    def assert_nothing_left(self):
        """No file and no process of an attempt; no directory beside the outputs."""
        def clean():
            listing = self.dfs("ls", "-C", "/").stdout
            files = [f for n in range(1, self.nodes + 1)
                     for _, _, fs in os.walk(os.path.join(self.cluster.dir, f"tt{n}", "jobs")) for f in fs]
            return not files and "/.out" not in listing
        wait_for("attempts to be cleaned up", clean)

    # ---- right output ----

    def test_word_count_over_three_nodes_is_that_of_a_single_program(self):
        out, r = self.job("wordcount", mapreduce__job__reduces=3)
        self.assert_counts(out)
        self.assertIn(f"MAP_INPUT_BYTES={len(self.data)}", r.stdout)
        self.assertIn("SUCCEEDED", r.stdout)
        success = self.dfs("cat", out + "/_SUCCESS").stdout
        self.assertTrue(success.startswith("job_"))
        self.assert_nothing_left()

    def test_lz4_and_small_memory_change_nothing(self):
        plain, _ = self.job("wordcount", mapreduce__job__reduces=2)
        packed, r = self.job("wordcount", mapreduce__job__reduces=2, mapreduce__map__output__compress="true",
                             mapreduce__task__io__sort__mb=1, mapreduce__task__io__sort__factor=2)
        self.assertEqual(self.parts(plain), self.parts(packed))

    def test_output_has_the_permissions_that_the_users_umask_leaves(self):
        for umask, folder, file in (("022", "drwxr-xr-x", "-rw-r--r--"), ("027", "drwxr-x---", "-rw-r-----")):
            out, _ = self.job("wordcount", **{"fs.permissions.umask-mode": umask})
            self.assertEqual(self.dfs("ls", "-d", out).stdout.split()[0], folder)
            listed = [l.split()[0] for l in self.dfs("ls", out).stdout.splitlines() if "/" in l]
            self.assertEqual(listed, [file, file])

    def test_map_only_job_writes_one_file_a_map(self):
        out, _ = self.job("select", select__field=1, select__sep=" ", select__value="alpha")
        lines = [l[:-1] if l.endswith(b"\r") else l for l in self.data.split(b"\n")]
        want = [l for l in lines if l.split(b" ")[0] == b"alpha"]
        self.assertEqual([l for p in self.parts(out) for l in p.split(b"\n")[:-1]], want)

    def test_empty_and_many_small_files_are_input(self):
        pieces = [b"", b"one two\n", b"", b"two"] * 20
        for i, p in enumerate(pieces[:8]):
            self.dfs("put", "-", f"/many-{i}", stdin=p, binary=True)
        self.dfs("mkdir", "/many")
        for i in range(8):
            self.dfs("mv", f"/many-{i}", f"/many/{i}")
        out, r = self.job("wordcount", inp="/many")
        self.assertEqual(self.counts(out), counted(b"\n".join(pieces[:8])))
        self.dfs("mkdir", "/nothing")
        self.assertEqual(self.parts(self.job("wordcount", inp="/nothing")[0]), [b""])

    def test_output_that_exists_is_refused_before_anything_starts(self):
        self.dfs("mkdir", "/there")
        before = self.mr("ps", "--all").stdout
        r = self.mr("run", "wordcount", "-input", "/text", "-output", "/there", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("already exists", r.stderr)
        self.assertEqual(self.mr("ps", "--all").stdout, before)
        self.mr("run", "wordcount", "-input", "/text", "-output", "/there", "--overwrite")
        self.assert_counts("/there")

    def test_output_that_somebody_makes_while_the_job_runs_is_left_alone(self):
        out, process, job = self.start_job(self.trouble, sleep__ms=1000)
        wait_for("maps to run", lambda: self.running(job))
        self.dfs("mkdir", out)
        stderr = process.communicate(timeout=60 * SLOW)[1]
        self.assertEqual(process.returncode, 1, stderr)
        self.assertIn("somebody else", stderr)
        self.assertEqual(self.dfs("ls", "-C", out).stdout.strip(), "")

    def test_two_jobs_at_once_both_end(self):
        a = self.start_job(self.trouble, sleep__ms=100, mapreduce__job__reduces=2)
        b = self.start_job("wordcount", mapreduce__job__reduces=2)
        for out, process, _ in (a, b):
            self.finish(process)
            self.assert_counts(out)

    # ---- tasks that fail ----

    def failure(self, how, **options):
        options.setdefault("mapreduce__map__maxattempts", 2)
        out, r = self.job(self.trouble, check=False, how=how, **options)
        self.assertEqual(r.returncode, 1, r.stdout + r.stderr)
        self.assertEqual(self.dfs("test", "-e", out, check=False).returncode, 1)
        return r.stderr

    def test_crash_is_told_with_its_signal_and_last_lines(self):
        ends = {"segv": "SIGSEGV", "abort": "SIGABRT", "exit": "status 3", "fail": "this input is not right"}
        if is_sanitized():
            ends["exit"] = "exited with status"     # the leak checker has the last word
        for how, name in ends.items():
            with self.subTest(how):
                said = self.failure(how)
                self.assertIn(name, said)
                self.assertIn(f"about to {how}", said)
                self.assertRegex(said, r"mr logs job_\d+_\d+ attempt_")
        self.assert_nothing_left()

    def test_first_attempts_that_crash_are_tried_again_elsewhere(self):
        out, r = self.job(self.trouble, how="segv", when="first")
        self.assert_counts(out)
        job = re.search(r"job_\d+_\d+", r.stdout).group()
        for a in self.attempts(job):
            if a["id"].endswith("_1") and "_m_" in a["id"]:
                first = [b for b in self.attempts(job) if b["id"] == a["id"][:-1] + "0"][0]
                self.assertNotEqual(a["node"], first["node"])

    def test_endless_loop_is_killed_by_its_time_limit(self):
        began = time.monotonic()
        said = self.failure("loop", mapreduce__map__maxattempts=1, mapreduce__task__timeout="1s")
        self.assertIn("mapreduce.task.timeout", said)
        self.assertLess(time.monotonic() - began, 4 * SLOW)
        self.assert_nothing_left()

    @unittest.skipIf(is_sanitized(), "AddressSanitizer needs more addresses than any limit")
    def test_memory_is_limited(self):
        said = self.failure("memory", mapreduce__map__maxattempts=1, mapreduce__map__memory__mb=64,
                            mapreduce__task__io__sort__mb=1)
        self.assertRegex(said, "SIGABRT|SIGKILL|memory")

    def test_flood_of_output_is_cut_and_the_job_goes_on(self):
        out, r = self.job(self.trouble, how="print")
        self.assert_counts(out)
        job = re.search(r"job_\d+_\d+", r.stdout).group()
        logs = self.mr("logs", job).stdout
        self.assertIn("bytes left out", logs)
        self.assertLess(len(logs), 1 << 20)

    def test_hostile_code_gets_nowhere(self):
        secret = os.path.join(self.cluster.dir, "jt", "jobs.db")
        out, r = self.job(self.trouble, how="escape", secret=secret)
        self.assert_counts(out)
        job = re.search(r"job_\d+_\d+", r.stdout).group()
        logs = self.mr("logs", job).stdout
        self.assertNotIn("ALLOWED", logs)
        self.assertIn("fork refused", logs)
        self.assertIn("thread works", logs)

    def test_killed_job_leaves_nothing(self):
        out, process, job = self.start_job(self.trouble, sleep__ms=60000)
        wait_for("maps to run", lambda: self.running(job))
        began = time.monotonic()
        self.mr("kill", job)
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 1)
        wait_for("attempts to end", lambda: not [a for a in self.attempts(job) if a["state"] in ("RUNNING", "KILLING")])
        self.assertLess(time.monotonic() - began, 3 * SLOW)
        self.assert_nothing_left()

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small disk needs root")
    def test_full_disk_of_one_tracker_is_told_and_the_others_do_its_tasks(self):
        folder = os.path.join(self.cluster.dir, "tt1")
        self.cluster.stop_daemon("tt1")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder], check=True)
        try:
            self.cluster.start_daemon("tt1")
            wait_for("all trackers to be alive", lambda: self.alive() == self.nodes)
            # Words that are all different: nothing to fold, so that each map has a megabyte of output.
            words = b"".join(b"%032x\n" % (i * 2654435761) for i in range(200000))
            self.dfs("put", "-f", "-", "/unlike", stdin=words, binary=True)
            out, r = self.job("wordcount", inp="/unlike", mapreduce__job__reduces=2)
            self.assertEqual(self.counts(out), counted(words))
            job = re.search(r"job_\d+_\d+", r.stdout).group()
            failed = [a for a in self.attempts(job) if a["state"] == "FAILED"]
            self.assertTrue(failed, "tt1 had room enough")
            self.assertEqual({a["node"] for a in failed}, {"node1"})
            self.assertRegex(failed[0]["reason"], "[Nn]o space left on device")
            self.assertIn("tt1", failed[0]["reason"])
        finally:
            self.cluster.stop_daemon("tt1")
            subprocess.run(["umount", folder], check=True)
            self.cluster.start_daemon("tt1")

    def test_damaged_local_block_is_read_from_another_replica(self):
        words = b"".join(b"%08x line of words\n" % i for i in range(60000))
        self.dfs("put", "-f", "-", "/damaged", stdin=words, binary=True)
        hurt = 0
        for folder, _, names in os.walk(os.path.join(self.cluster.dir, "dn1")):
            for name in names:
                path = os.path.join(folder, name)
                if re.fullmatch(r"blk_\d+", name):
                    with open(path, "r+b") as f:
                        if b"line of words" in f.read(200):
                            f.seek(1000)
                            f.write(b"\xff\xff")
                            hurt += 1
        self.assertGreater(hurt, 0)
        out, r = self.job("wordcount", inp="/damaged", millrace__locality__wait="5s")
        self.assertEqual(self.counts(out), counted(words))
        self.assertIn("NUM_FAILED_MAPS=0", r.stdout)

    def test_jobs_killed_at_once_give_their_slots_back(self):
        started = [self.start_job(self.trouble, sleep__ms=20) for _ in range(4)]
        for _ in range(8):
            out, process, job = started.pop(0)
            self.mr("kill", job)
            process.communicate(timeout=60 * SLOW)
            started.append(self.start_job(self.trouble, how="fail", mapreduce__map__maxattempts=1))
        for out, process, job in started:
            process.communicate(timeout=60 * SLOW)

        def all_free():
            nodes = json.loads(self.mr("nodes", "--json").stdout)
            return not any(n["maps_running"] or n["reduces_running"] for n in nodes)
        wait_for("every slot to be free", all_free)
        self.assert_nothing_left()

    # ---- daemons that die ----

    def test_job_ends_right_when_a_tasktracker_is_killed_with_tasks_running(self):
        out, process, job = self.start_job(self.trouble, sleep__ms=700, reduce__sleep__ms=500, mapreduce__job__reduces=2)
        node = wait_for("maps to run", lambda: self.running(job))[0]["node"]
        self.cluster.kill("tt" + node[-1])
        self.finish(process)
        self.assert_counts(out)

    def test_job_ends_right_when_a_tasktracker_is_killed_after_its_maps(self):
        out, process, job = self.start_job(self.trouble, reduce__sleep__ms=3000, mapreduce__job__reduces=2)
        wait_for("reduces to run", lambda: self.running(job, "_r_"))
        node = [a["node"] for a in self.attempts(job) if "_m_" in a["id"]][0]
        self.cluster.kill("tt" + node[-1])
        self.finish(process)
        self.assert_counts(out)

    def test_job_goes_on_when_the_jobtracker_is_killed_and_started(self):
        out, process, job = self.start_job(self.trouble, sleep__ms=400, reduce__sleep__ms=1000, mapreduce__job__reduces=2)
        wait_for("a map to be done", lambda: [a for a in self.attempts(job) if a["state"] == "SUCCEEDED"])
        done = {a["id"] for a in self.attempts(job) if a["state"] == "SUCCEEDED"}
        self.cluster.kill("jt")
        self.cluster.start_daemon("jt")
        self.finish(process)
        self.assert_counts(out)
        after = {a["id"]: a["state"] for a in self.attempts(job)}
        self.assertEqual({after[i] for i in done}, {"SUCCEEDED"})       # nothing was done twice
        self.assertFalse([i for i in after if not i.endswith("_0")], after)

    def test_job_goes_on_when_the_namenode_is_killed_and_started(self):
        out, process, job = self.start_job(self.trouble, sleep__ms=300, mapreduce__job__reduces=2)
        wait_for("maps to run", lambda: self.running(job))
        self.cluster.kill("nn")
        time.sleep(0.3)
        self.cluster.start_daemon("nn")
        self.finish(process)
        self.assert_counts(out)


UID = 61999


class OtherUser(Cluster):
    """A cluster whose daemons are started through `prefix`, which gives up root."""
    prefix = ()

    def start(self):
        os.chown(self.folder, UID, UID)
        args = list(self.prefix) + [program("millrace"), "mini", self.dir, "--nodes", str(self.nodes), "--detach"]
        env = dict(os.environ, HADOOP_USER_NAME="root", HOME=self.folder)
        r = subprocess.run(args, capture_output=True, text=True, timeout=120 * SLOW, env=env, cwd=self.folder)
        if r.returncode:
            raise Failed(f"no cluster as another user: {r.stdout}{r.stderr}")
        return self


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "giving up root needs root and setpriv")
class Tiers(unittest.TestCase):
    """Hostile code in the two tiers that do not need root; Engine runs it in the third."""

    def check(self, prefix, tier):
        cluster = OtherUser(1)
        cluster.prefix = prefix
        try:
            cluster.start()
            nodes = json.loads(cluster.mr("nodes", "--json", user="root").stdout)
            self.assertEqual({n["sandbox"].split()[0] for n in nodes}, {tier})
            job = os.path.join(cluster.folder, "trouble.so")
            subprocess.run([program("mrcc"), "-o", job, os.path.join(TOP, "tests/cluster/jobs/trouble.c")], check=True)
            cluster.dfs("put", "-", "/text", stdin="some words\n", user="root")
            self.hostile(cluster, job)
            self.endless(cluster, job)
        finally:
            cluster.stop()
            reports = cluster.sanitizer_reports()
            cluster.remove()
        self.assertFalse(reports)

    def hostile(self, cluster, job):
        secret = os.path.join(cluster.dir, "jt", "jobs.db")
        r = cluster.mr("run", job, "-input", "/text", "-output", "/o1", "-D", "how=escape", "-D", f"secret={secret}", user="root")
        logs = cluster.mr("logs", re.search(r"job_\d+_\d+", r.stdout).group(), user="root").stdout
        self.assertNotIn("ALLOWED", logs)
        self.assertIn("fork refused", logs)
        self.assertIn("thread works", logs)

    def endless(self, cluster, job):
        before = self.busy(cluster)
        r = cluster.mr("run", job, "-input", "/text", "-output", "/o2", "-D", "how=loop", "-D", "mapreduce.task.timeout=500ms",
                       "-D", "mapreduce.map.maxattempts=1", user="root", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("mapreduce.task.timeout", r.stderr)
        wait_for("the looping worker to be gone", lambda: self.busy(cluster) <= before, 5)

    def busy(self, cluster):
        """Processes of the tracker that are running just now."""
        r = subprocess.run(["ps", "-eo", "stat,args"], capture_output=True, text=True, check=True)
        return sum(line.startswith("R") and os.path.join(cluster.dir, "conf", "tt") in line for line in r.stdout.splitlines())

    def test_user_namespace(self):
        other = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
        if subprocess.run(other + ["unshare", "-U", "true"], capture_output=True).returncode:
            self.skipTest("this kernel gives ordinary users no user namespaces")
        self.check(other, "userns")

    def test_plain(self):
        # In a chroot there are no user namespaces.
        self.check(["unshare", "-m", "sh", "-c",
                    f'mount --rbind / /mnt && exec chroot --userspec={UID}:{UID} /mnt "$@"', "sh"], "plain")


class Locality(ClusterTest):
    nodes = 4
    settings = ["dfs.blocksize=256k", "dfs.namenode.fs-limits.min-block-size=64k", "dfs.replication=1"]

    def test_maps_run_where_their_only_replica_is(self):
        data = text(10 << 20)
        for i in range(8):          # from no node in particular
            self.dfs("put", "-", f"/part{i}", stdin=data[i * len(data) // 8:(i + 1) * len(data) // 8], binary=True)
        self.dfs("mkdir", "/in")
        for i in range(8):
            self.dfs("mv", f"/part{i}", "/in/")
        r = self.mr("run", "wordcount", "-input", "/in", "-output", "/out")
        counters = dict(re.findall(r"(\w+)=(\d+)", r.stdout))
        local, maps = int(counters["DATA_LOCAL_MAPS"]), int(counters["TOTAL_LAUNCHED_MAPS"])
        self.assertGreaterEqual(maps, 30)
        self.assertGreaterEqual(local, 0.8 * maps)
        want = self.dfs("cat", "/out/part-r-00000", binary=True).stdout
        self.cluster.stop_daemon("tt1")     # now some maps have to read from afar
        self.mr("run", "wordcount", "-input", "/in", "-output", "/far", "-D", "millrace.locality.wait=10ms")
        self.assertEqual(self.dfs("cat", "/far/part-r-00000", binary=True).stdout, want)


if __name__ == "__main__":
    main()
