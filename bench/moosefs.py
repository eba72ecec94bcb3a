"""moosefs -- a real MooseFS on this machine as a peer: a master, three chunk servers, a mount with three copies of each file.

    m = moosefs.MooseFS(syncs=True).start()
    m.folder        the mounted folder
    m.stop()

From Debian, on free ports of this machine's address and on data under BENCH_DATA (default build); processes end with us. What it
acknowledges on fsync is in the chunk servers' page caches. `syncs` has them sync a chunk when it is closed (HDD_FSYNC_BEFORE_CLOSE),
which is some 20 to 110 ms after the acknowledgement; its master writes its log in the background either way. So neither is durable as
ours is. It needs FUSE and root, and is left out where a mount is not permitted.
"""
import atexit
import os
import shutil
import socket
import subprocess
import time

from hadoop import die_with_parent, free_port
from inputs import TOP
from peers import need

CHUNK_SERVERS = 3


def address():
    """This machine's own: a chunk server refuses a master on the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("192.0.2.1", 9))     # sends nothing
        return s.getsockname()[0]


class MooseFS:
    def __init__(self, syncs=False):
        base = os.environ.get("BENCH_DATA", os.path.join(TOP, "build"))
        self.base = os.path.join(base, f"bench-moosefs-{os.getpid()}-{free_port()}")
        self.syncs, self.processes = syncs, []
        self.mount = os.path.join(self.base, "mount")
        self.folder = os.path.join(self.mount, "files")

    def _write(self, name, lines):
        path = os.path.join(self.base, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write("\n".join(lines) + "\n")
        return path

    def _run(self, name, *words):
        log = open(os.path.join(self.base, name + ".log"), "w")
        self.processes.append((name, subprocess.Popen(words, stdout=log, stderr=log, preexec_fn=die_with_parent)))

    def _configure(self, name, settings):
        data = os.path.join(self.base, name)
        os.makedirs(data, exist_ok=True)
        who = {"WORKING_USER": "root", "WORKING_GROUP": "root", "DATA_PATH": data, "SYSLOG_IDENT": "bench-" + name}
        return self._write(name + ".cfg", [f"{k} = {v}" for k, v in {**who, **settings}.items()])

    def start(self):
        need("moosefs")
        atexit.register(self.stop)
        to_servers, to_clients, own = free_port(), free_port(), address()
        exports = self._write("exports.cfg", [own + " / rw,alldirs,maproot=0"])
        topology = self._write("topology.cfg", [])
        listen = {f"{name}_LISTEN_HOST": own for name in ("MATOML", "MATOCS", "MATOCL")}
        self._write("master/metadata.mfs", [])
        with open(os.path.join(self.base, "master", "metadata.mfs"), "w") as f:
            f.write("MFSM NEW")
        master = self._configure("master", {**listen, "EXPORTS_FILENAME": exports, "TOPOLOGY_FILENAME": topology,
                                            "MATOML_LISTEN_PORT": free_port(), "MATOCS_LISTEN_PORT": to_servers,
                                            "MATOCL_LISTEN_PORT": to_clients})
        self._run("master", "mfsmaster", "-c", master, "-f", "start")
        for i in range(CHUNK_SERVERS):
            disk = os.path.join(self.base, f"disk{i}")
            os.makedirs(disk)
            server = self._configure(f"server{i}", {
                "HDD_CONF_FILENAME": self._write(f"disks{i}.cfg", [disk]), "MASTER_HOST": own, "MASTER_PORT": to_servers,
                "CSSERV_LISTEN_HOST": own, "CSSERV_LISTEN_PORT": free_port(), "MASTER_RECONNECTION_DELAY": 1,
                "HDD_FSYNC_BEFORE_CLOSE": int(self.syncs)})
            self._run(f"server{i}", "mfschunkserver", "-c", server, "-f", "start")
        os.makedirs(self.mount)
        self._wait("the master", lambda: socket.create_connection((own, to_clients)).close() or True)
        self._run("mount", "mfsmount", self.mount, "-H", own, "-P", str(to_clients), "-f")
        self._wait("the mount", lambda: os.path.ismount(self.mount))
        self._wait("three copies", self._has_copies)
        return self

    def _has_copies(self):
        """A new file has three copies: the master knows all servers."""
        os.makedirs(self.folder, exist_ok=True)
        subprocess.run(["mfssetgoal", str(CHUNK_SERVERS), self.folder], check=True, capture_output=True)
        probe = os.path.join(self.folder, "probe")
        with open(probe, "w") as f:
            f.write("probe\n")
        said = subprocess.run(["mfsfileinfo", probe], capture_output=True, text=True).stdout
        os.unlink(probe)
        return said.count("copy ") >= CHUNK_SERVERS

    def _wait(self, what, ready, seconds=60):
        end = time.monotonic() + seconds
        while True:
            try:
                if ready():
                    return
            except (OSError, subprocess.SubprocessError):
                pass
            for name, child in self.processes:
                if child.poll() is not None:
                    with open(os.path.join(self.base, name + ".log")) as f:
                        raise RuntimeError(f"MooseFS's {name} ended: {f.read()[-1500:]}")
            if time.monotonic() > end:
                raise RuntimeError(f"waited {seconds} s for {what} of MooseFS")
            time.sleep(0.1)

    def pids(self):
        return [child.pid for _, child in self.processes]

    def stop(self):
        """Unmounts, ends all processes, removes the data."""
        atexit.unregister(self.stop)
        subprocess.run(["umount", "-l", self.mount], capture_output=True)
        for _, child in reversed(self.processes):
            child.terminate()
        for _, child in self.processes:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.processes = []
        shutil.rmtree(self.base, ignore_errors=True)
