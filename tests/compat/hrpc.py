"""Hadoop RPC version 9, the asking side, without authentication."""

import os
import socket

from pb import read_varint, varint


class RpcError(Exception):
    """The server answered with an exception: its Java class, the message and the detail code."""

    def __init__(self, java, message, detail):
        super().__init__(f"{java}: {message}")
        self.java, self.message, self.detail = java, message, detail


class Connection:
    """One connection of one user; calls follow one another."""

    def __init__(self, schema, host, port, user, protocol, service, version=1):
        self.schema, self.protocol, self.service, self.version = schema, protocol, service, version
        self.client_id, self.call_id = os.urandom(16), 0
        self.sock = socket.create_connection((host, port), timeout=60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = schema.encode("IpcConnectionContextProto", {"userInfo": {"effectiveUser": user}, "protocol": protocol})
        self.sock.sendall(b"hrpc\x09\x00\x00" + self._frame(self._header(-3), delimited(context)))

    def close(self):
        self.sock.close()

    def _header(self, call_id):
        return delimited(self.schema.encode("RpcRequestHeaderProto", {
            "rpcKind": "RPC_PROTOCOL_BUFFER", "rpcOp": "RPC_FINAL_PACKET", "callId": call_id,
            "clientId": self._id(), "retryCount": 0}))

    def _id(self):
        return self.client_id

    @staticmethod
    def _frame(*parts):
        body = b"".join(parts)
        return len(body).to_bytes(4, "big") + body

    def _read(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise ConnectionError("the server closed the connection")
            data += more
        return data

    def send(self, method, request, call_id=None):
        """Send a call; returns its id."""
        if call_id is None:
            call_id, self.call_id = self.call_id, self.call_id + 1
        ask, _ = self.schema.methods[(self.service, method)]
        header = self.schema.encode("RequestHeaderProto", {
            "methodName": method, "declaringClassProtocolName": self.protocol, "clientProtocolVersion": self.version})
        self.sock.sendall(self._frame(self._header(call_id), delimited(header),
                                      delimited(self.schema.encode(ask, request))))
        return call_id

    def receive(self, method):
        """The next reply, decoded as one of method."""
        data = self._read(int.from_bytes(self._read(4), "big"))
        n, i = read_varint(data, 0)
        header, i = self.schema.decode("RpcResponseHeaderProto", data[i:i + n]), i + n
        if header["status"] != "SUCCESS":
            raise RpcError(header.get("exceptionClassName", ""), header.get("errorMsg", ""), header.get("errorDetail"))
        n, i = read_varint(data, i)
        _, answer = self.schema.methods[(self.service, method)]
        return self.schema.decode(answer, data[i:i + n])

    def call(self, method, request):
        self.send(method, request)
        return self.receive(method)


def delimited(data):
    return varint(len(data)) + data
