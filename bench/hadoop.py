"""hadoop -- a real Hadoop on this machine as a peer: HDFS daemons, its shell, a Java client in one process, MapReduce.

    with hadoop.Hadoop(datanodes=3, replication=3) as h:
        h.namenode                          "127.0.0.1:PORT", for bench/nn_load (HADOOP_USER_NAME=bench)
        h.dfs("-put", path, "/x")           its shell, one JVM a call; h.shell("-put", path, "/x") is the command's words
        h.java("Client", "put", path, "/x") a program of bench/hadoop/*.java with Hadoop's class path, as words
        h.examples("wordcount", "/in", "/out", yarn=False)      words of a job of its examples jar
    hadoop.Hadoop(yarn=True)                also a ResourceManager and a NodeManager; examples(..., yarn=True)

Everything runs as plain java processes on free loopback ports, on data under BENCH_DATA (default build); they end with
stop(), and with us if we are killed. Words are for measure.Command: it adds h.env. Options become Hadoop's through
settings={"key": "value"}. Hadoop's native library is not on Maven Central: checksums are Java's intrinsics, and its
readers have no short-circuit. What HDFS calls closed is not synced to the disk unless settings say
dfs.datanode.synconclose=true.
"""
import atexit
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

import peers
from inputs import CACHE, HERE, TOP

POM = os.path.join(HERE, "hadoop", "pom.xml")
JARS = os.path.join(CACHE, "hadoop-jars")
USER = "bench"
OPENS = "--add-opens=java.base/java.lang=ALL-UNNAMED"       # YARN's injector on Java 17


def jars():
    """The folder of Hadoop's jars, fetched from Maven Central if they are not there."""
    peers.java()
    done = os.path.join(JARS, "fetched")
    want = open(POM).read()
    if not os.path.exists(done) or open(done).read() != want:
        shutil.rmtree(JARS, ignore_errors=True)
        subprocess.run(["mvn", "-q", "-B", "-f", POM, "dependency:copy-dependencies", "-DoutputDirectory=" + JARS], check=True)
        with open(done, "w") as f:
            f.write(want)
    return JARS


def classes():
    """The folder of our own Java programs, compiled."""
    out = os.path.join(CACHE, "hadoop-classes")
    source = [os.path.join(HERE, "hadoop", n) for n in sorted(os.listdir(os.path.join(HERE, "hadoop"))) if n.endswith(".java")]
    stamp = os.path.join(out, "compiled")
    if source and (not os.path.exists(stamp) or os.path.getmtime(stamp) < max(map(os.path.getmtime, source))):
        os.makedirs(out, exist_ok=True)
        subprocess.run(["javac", "-cp", f"{jars()}/*", "-d", out, *source], check=True)
        with open(stamp, "w"):
            pass
    return out


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def site(path, settings):
    with open(path, "w") as f:
        f.write("<configuration>\n")
        for key, value in settings.items():
            f.write(f"<property><name>{key}</name><value>{value}</value></property>\n")
        f.write("</configuration>\n")


class Hadoop:
    def __init__(self, datanodes=1, replication=1, yarn=False, heap="1g", settings=None):
        base = os.environ.get("BENCH_DATA", os.path.join(TOP, "build"))
        self.folder = os.path.join(base, f"bench-hadoop-{os.getpid()}-{free_port()}")
        self.datanodes, self.yarn, self.heap = datanodes, yarn, heap
        self.processes = {}
        self.namenode, self.page = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        self.env = {"HADOOP_USER_NAME": USER, "HADOOP_CONF_DIR": os.path.join(self.folder, "conf")}
        self.path = f"{self.folder}/conf:{classes()}:{jars()}/*"
        self.core = {"fs.defaultFS": "hdfs://" + self.namenode, "hadoop.tmp.dir": self.folder + "/tmp",
                     "hadoop.security.authorization": "false"}
        self.hdfs = {"dfs.replication": replication, "dfs.namenode.http-address": self.page,
                     "dfs.namenode.name.dir": self.folder + "/name", "dfs.permissions.superusergroup": USER,
                     "dfs.namenode.safemode.extension": "0", "dfs.namenode.redundancy.considerLoad": "false",
                     "dfs.namenode.replication.min": "1",
                     "dfs.namenode.datanode.registration.ip-hostname-check": "false", **(settings or {})}
        slots = {"mapreduce.local.map.tasks.maximum": 2, "mapreduce.local.reduce.tasks.maximum": 2,
                 "mapreduce.jobtracker.staging.root.dir": "/staging", "yarn.app.mapreduce.am.staging-dir": "/staging",
                 "mapreduce.map.memory.mb": 1024, "mapreduce.reduce.memory.mb": 2048, "mapreduce.map.java.opts": "-Xmx800m",
                 "mapreduce.reduce.java.opts": "-Xmx1600m", "mapreduce.application.classpath": self.path,
                 "mapreduce.shuffle.port": "0", "yarn.app.mapreduce.am.resource.mb": 1024,
                 "yarn.app.mapreduce.am.command-opts": OPENS + " -Xmx800m"}
        self.mapred = slots

    # starting and stopping

    def start(self):
        atexit.register(self.stop)
        os.makedirs(self.folder + "/conf")
        os.makedirs(self.folder + "/log")
        self._configure("conf", {})
        self._run("format", "org.apache.hadoop.hdfs.server.namenode.NameNode", "-format", "-force").wait()
        self._run("namenode", "org.apache.hadoop.hdfs.server.namenode.NameNode")
        for i in range(self.datanodes):
            self._configure(f"conf-dn{i}", {"dfs.datanode.data.dir": f"{self.folder}/data{i}", **{
                f"dfs.datanode.{name}": "127.0.0.1:0" for name in ("address", "ipc.address", "http.address")}})
            self._run(f"dn{i}", "org.apache.hadoop.hdfs.server.datanode.DataNode", conf=f"conf-dn{i}", heap="512m")
        self._wait("HDFS", lambda: self._live() >= self.datanodes)
        if self.yarn:
            self._start_yarn()
        return self

    def _configure(self, name, hdfs):
        folder = os.path.join(self.folder, name)
        for page in ("hdfs", "datanode"):           # the daemons want a folder for their pages on the class path
            os.makedirs(f"{folder}/webapps/{page}", exist_ok=True)
        site(folder + "/core-site.xml", self.core)
        site(folder + "/hdfs-site.xml", {**self.hdfs, **hdfs})
        site(folder + "/mapred-site.xml", self.mapred)
        site(folder + "/yarn-site.xml", self._yarn_settings() if self.yarn and name == "conf" else {})
        site(folder + "/capacity-scheduler.xml", {"yarn.scheduler.capacity.root.queues": "default",
                                                  "yarn.scheduler.capacity.root.default.capacity": "100",
                                                  "yarn.scheduler.capacity.maximum-am-resource-percent": "0.5"})
        with open(folder + "/log4j.properties", "w") as f:
            f.write("log4j.rootLogger=WARN,err\nlog4j.appender.err=org.apache.log4j.ConsoleAppender\n"
                    "log4j.appender.err.target=System.err\nlog4j.appender.err.layout=org.apache.log4j.PatternLayout\n"
                    "log4j.appender.err.layout.ConversionPattern=%d %p %c: %m%n\n")

    def _yarn_settings(self):
        names = ("address", "scheduler.address", "resource-tracker.address", "admin.address", "webapp.address")
        if not hasattr(self, "rm"):
            self.rm = {f"yarn.resourcemanager.{n}": f"127.0.0.1:{free_port()}" for n in names}
        return {**self.rm, "yarn.nodemanager.address": "127.0.0.1:0", "yarn.nodemanager.localizer.address": "127.0.0.1:0",
                "yarn.nodemanager.webapp.address": "127.0.0.1:0", "yarn.nodemanager.collector-service.address": "127.0.0.1:0",
                "yarn.nodemanager.aux-services": "mapreduce_shuffle", "yarn.nodemanager.local-dirs": self.folder + "/nm-local",
                "yarn.nodemanager.log-dirs": self.folder + "/nm-log", "yarn.nodemanager.vmem-check-enabled": "false",
                "yarn.nodemanager.pmem-check-enabled": "false", "yarn.nodemanager.resource.memory-mb": 6144,
                "yarn.scheduler.minimum-allocation-mb": 512,
                "yarn.nodemanager.resource.cpu-vcores": 4, "yarn.application.classpath": self.path,
                "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99.5",
                "yarn.nodemanager.env-whitelist": "JAVA_HOME,HADOOP_CONF_DIR,HADOOP_USER_NAME,PATH"}

    def _start_yarn(self):
        self._run("resourcemanager", "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager")
        self._run("nodemanager", "org.apache.hadoop.yarn.server.nodemanager.NodeManager")
        page = self.rm["yarn.resourcemanager.webapp.address"]

        def ready():
            return self._get(f"http://{page}/ws/v1/cluster/metrics")["clusterMetrics"]["activeNodes"] >= 1
        self._wait("YARN", ready)

    def _run(self, name, main, *args, conf="conf", heap=None):
        out = open(f"{self.folder}/log/{name}", "w")
        path = self.path.replace(f"{self.folder}/conf:", f"{self.folder}/{conf}:")
        child = subprocess.Popen(["java", OPENS, f"-Xmx{heap or self.heap}", "-cp", path, main, *args], stdout=out,
                                 stderr=subprocess.STDOUT, env={**os.environ, **self.env, "JAVA_HOME": java_home()},
                                 preexec_fn=die_with_parent)
        self.processes[name] = child
        return child

    def _get(self, url):
        with urllib.request.urlopen(url, timeout=5) as r:
            return json.load(r)

    def _live(self):
        found = self._get(f"http://{self.page}/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState")["beans"][0]
        return found["NumLiveDataNodes"] if found["FSState"] == "Operational" else -1

    def _wait(self, what, ready, seconds=120):
        end = time.monotonic() + seconds
        while True:
            try:
                if ready():
                    return
            except (OSError, KeyError, IndexError, ValueError):
                pass
            for name, child in self.processes.items():
                if child.poll():
                    raise RuntimeError(f"Hadoop's {name} ended\n{self.log(name)}")
            if time.monotonic() > end:
                raise RuntimeError(f"waited {seconds} s for {what}")
            time.sleep(0.1)

    def log(self, name):
        with open(f"{self.folder}/log/{name}", errors="replace") as f:
            return f.read()[-3000:]

    def stop(self):
        """Ends all processes, also containers of YARN, and removes the data."""
        atexit.unregister(self.stop)
        for name in reversed(self.processes):
            self.processes[name].terminate()
        for child in self.processes.values():
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.processes = {}
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def pids(self):
        return [c.pid for c in self.processes.values() if c.poll() is None]

    # what runs on it

    def java(self, main, *args, heap="1g", options=()):
        """The words of a Java program with Hadoop's class path and this cluster's configuration."""
        return ["java", OPENS, f"-Xmx{heap}", *options, "-cp", self.path, main, *map(str, args)]

    def shell(self, *args):
        """The words of `hdfs dfs ARGS`."""
        return self.java("org.apache.hadoop.fs.FsShell", *args, heap="512m")

    def dfs(self, *args, timeout=600):
        return subprocess.run(self.shell(*args), env={**os.environ, **self.env}, check=True, capture_output=True,
                              timeout=timeout).stdout

    def examples(self, name, *args, yarn=False, settings=None):
        """The words of a job of Hadoop's examples: wordcount, teragen, terasort, teravalidate, ... Without yarn its tasks
        are threads of the same process, two at a time (LocalJobRunner)."""
        options = {"mapreduce.framework.name": "yarn" if yarn else "local", **(settings or {})}
        return self.java("org.apache.hadoop.examples.ExampleDriver", name, *[f"-D{k}={v}" for k, v in options.items()],
                         *args, heap="512m" if yarn else "3g")


def java_home():
    return os.path.dirname(os.path.dirname(os.path.realpath(shutil.which("java"))))
