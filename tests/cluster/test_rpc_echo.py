"""rpc_echo -- the program tests/cluster/rpc_echo.c: RPC server and client over real sockets."""
import os
import subprocess
import unittest

from harness import BIN, SLOW, main


class RpcEcho(unittest.TestCase):
    def test_server_and_client_over_sockets(self):
        path = os.path.join(os.path.dirname(BIN), "rpc_echo")
        r = subprocess.run([path], capture_output=True, text=True, timeout=120 * SLOW)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)


if __name__ == "__main__":
    main()
