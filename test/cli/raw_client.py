"""A client of sysproxy that says what no library would: frames made by hand, calls with any arguments
about memory that it makes up (doc/sysproxy-protocol.md)."""

import os
import socket
import struct

HEADER = struct.Struct('<QQHHI')
REQUEST, RESPONSE, ERROR = range(3)
HANDSHAKE, PREFORK, HELLO, CALL = 0, 7, 64, 65
GUEST = 0
IN, OUT = 1, 2
CARRIED_MAX = 1 << 20
TIMEOUT_S = 30


class Memory:
    """Bytes of the made-up memory that a call may read, or so many that it may write."""

    def __init__(self, data, address=None):
        self.is_out = isinstance(data, int)
        self.bytes = data if self.is_out else len(data)
        self.data = b'' if self.is_out else data
        self.address = address
        self.written = bytearray(self.bytes)

    def range(self):
        return struct.pack('<QQII', self.address, self.bytes, OUT if self.is_out else IN, len(self.data))


class Refused(Exception):
    """The server has answered a frame by an error."""


class RawClient:
    """A process of a server at a unix socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(path)
        self.number = 0
        while not self.exactly(1) == b'\n':
            pass
        machine = os.uname().machine.encode()
        self.ask(HELLO, struct.pack('<IIIIII16s', 1, 0, CARRIED_MAX, 1024, 0, 0, machine))
        self.ask(HANDSHAKE, b'raw\0', GUEST)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def exactly(self, count):
        data = b''
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError('the server has hung up')
            data += more
        return data

    def ask(self, kind, payload, aux=0):
        """Send a request; returns the payload of its response."""
        self.number += 1
        self.socket.sendall(HEADER.pack(HEADER.size + len(payload), self.number, REQUEST, kind, aux) +
                            payload)
        while True:
            length, number, frame_class, _, code = HEADER.unpack(self.exactly(HEADER.size))
            payload = self.exactly(length - HEADER.size)
            if frame_class != REQUEST and number == self.number:
                break
        if frame_class == ERROR:
            raise Refused(code)
        return payload

    def call(self, number, *arguments, memory=()):
        """Make a call. An argument is a number, bytes (a string is given its NUL), or Memory; memory that
        no argument points at is given beside them, with an address. Returns the value, or -errno."""
        ranges, slots = list(memory), []
        for argument in arguments:
            if isinstance(argument, str):
                argument = argument.encode() + b'\0'
            if isinstance(argument, bytes):
                argument = Memory(argument)
            if isinstance(argument, Memory):
                if argument.address is None:
                    argument.address = 0x100000 * (1 + len(ranges))
                ranges.append(argument)
                argument = argument.address
            slots.append(argument & (1 << 64) - 1)
        reply = self.ask(CALL, struct.pack('<HHI%uQ' % len(slots), len(slots), len(ranges), 0, *slots) +
                         b''.join(one.range() for one in ranges) + b''.join(one.data for one in ranges),
                         number)
        error, pieces, value, _ = struct.unpack_from('<IIqq', reply)
        place = 24 + 16 * pieces
        for i in range(pieces):
            index, count, offset = struct.unpack_from('<IIQ', reply, 24 + 16 * i)
            ranges[index].written[offset:offset + count] = reply[place:place + count]
            place += count
        return -error if error else value
