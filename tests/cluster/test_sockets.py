"""sockets -- the programs net_sockets and rpc_echo: core/net and core/rpc over real sockets."""
import os
import subprocess
import unittest

from harness import BIN, SLOW, main


class Sockets(unittest.TestCase):
    def run_program(self, name):
        path = os.path.join(os.path.dirname(BIN), name)
        r = subprocess.run([path], capture_output=True, text=True, timeout=120 * SLOW)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)

    def test_net_on_the_kernels_sockets(self):
        self.run_program("net_sockets")

    def test_rpc_server_and_client(self):
        self.run_program("rpc_echo")


if __name__ == "__main__":
    main()
