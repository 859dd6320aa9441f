"""A tiny NVMe/TCP host (NVMe/TCP 1.0, Fabrics 1.1): enough to use a disk, and PDUs by the piece for
a host that stops in the middle. It shares nothing with Ferry's own code."""

import re
import socket
import struct

ICREQ, ICRESP, H2C_TERM, C2H_TERM, CAPSULE, RESPONSE, H2C_DATA, C2H_DATA, R2T = 0, 1, 2, 3, 4, 5, 6, 7, 9
LAST_PDU, SUCCESS = 4, 8
SGL_IN_CAPSULE, SGL_TRANSPORT = 0x01, 0x5a
FLUSH, WRITE, READ, FABRICS = 0x00, 0x01, 0x02, 0x7f
ABORT = 0x08
GET_LOG_PAGE, IDENTIFY, SET_FEATURES, ASYNC_EVENT, KEEP_ALIVE = 0x02, 0x06, 0x09, 0x0c, 0x18
PROPERTY_SET, CONNECT, PROPERTY_GET, DISCONNECT = 0x00, 0x01, 0x04, 0x08
CAP, CC, CSTS = 0x00, 0x14, 0x1c
CNTLID_DYNAMIC = 0xffff
CAPSULE_MAX = 8192
HOST_NQN = 'nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555'
HOST_ID = bytes(range(1, 17))
TIMEOUT_S = 20


class Closed(Exception):
    """The controller has closed the connection."""


class Failed(Exception):
    """A command has failed; status is SCT and SC as in the completion."""

    def __init__(self, status):
        super().__init__('status %03xh' % status)
        self.status = status


def parse_url(url):
    """(host, port), NQN of nvme-tcp://HOST:PORT/NQN"""
    host, port, nqn = re.fullmatch(r'nvme-tcp://(\[[^]]*\]|[^:/]+):(\d+)/(.*)', url).groups()
    return (host.strip('[]'), int(port)), nqn


def icreq():
    return struct.pack('<BBBBIHBBI112x', ICREQ, 0, 128, 0, 128, 0, 0, 0, 0)


def capsule(cid, opcode, nsid=0, cdws=(), data=b'', transfer=0):
    """A command; with data in the capsule, or with a transfer of so many bytes after it."""
    sgl = (len(data), SGL_IN_CAPSULE) if data else (transfer, SGL_TRANSPORT)
    cdws = (tuple(cdws) + (0,) * 6)[:6]
    command = struct.pack('<BBHI24xI3xB6I', opcode, 0x40, cid, nsid, *sgl, *cdws)
    return struct.pack('<BBBBI', CAPSULE, 0, 72, 72 if data else 0, 72 + len(data)) + command + data


def connect_capsule(nqn, cid=0, qid=0, cntlid=CNTLID_DYNAMIC, entries=32, kato_ms=0,
                    host_nqn=HOST_NQN):
    data = struct.pack('<16sH238x256s256s256x', HOST_ID, cntlid, nqn.encode(), host_nqn.encode())
    return capsule(cid, FABRICS, CONNECT, (qid << 16, entries - 1, 0 if qid else kato_ms), data)


def h2c_data(cid, ttag, offset, data, flags=LAST_PDU):
    return struct.pack('<BBBBIHHII4x', H2C_DATA, flags, 24, 24, 24 + len(data), cid, ttag, offset,
                       len(data)) + data


class Queue:
    """One connection; one command at a time."""

    def __init__(self, address, source=None):
        self.socket = socket.create_connection(address, TIMEOUT_S, source)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.cid = 0
        self.data_max = 4096

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed from error

    def receive(self, count):
        data = bytearray()
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionResetError as error:
                raise Closed from error
            if not part:
                raise Closed
            data += part
        return bytes(data)

    def wait_closed(self, timeout_s=TIMEOUT_S):
        """Wait until the controller closes; what it sends before that is dropped."""
        self.socket.settimeout(timeout_s)
        try:
            while True:
                self.receive(1)
        except Closed:
            pass

    def receive_pdu(self):
        """type, flags, header after the common one, data"""
        kind, flags, header_bytes, data_offset, total = struct.unpack('<BBBBI', self.receive(8))
        rest = self.receive(total - 8)
        if kind == C2H_TERM:
            raise Closed('C2HTermReq, FES %u' % struct.unpack_from('<H', rest)[0])
        return kind, flags, rest[:header_bytes - 8], rest[data_offset - 8:] if data_offset else b''

    def initialize(self):
        self.send(icreq())
        kind, _, header, _ = self.receive_pdu()
        assert kind == ICRESP, kind
        self.data_max = struct.unpack_from('<I', header, 4)[0]

    def command(self, opcode, nsid=0, cdws=(), write=b'', read_bytes=0):
        """Carry a command out. Returns the completion's first 8 bytes as a number, and the data."""
        self.cid = (self.cid + 1) & 0xffff
        in_capsule = write if len(write) <= CAPSULE_MAX else b''
        self.send(capsule(self.cid, opcode, nsid, cdws, in_capsule, len(write) or read_bytes))
        return self.finish(write, read_bytes)

    def finish(self, write, read_bytes):
        data = bytearray(read_bytes)
        while True:
            kind, flags, header, part = self.receive_pdu()
            cid = struct.unpack_from('<H', header, 12 if kind == RESPONSE else 0)[0]
            assert cid == self.cid, (cid, self.cid)
            if kind == RESPONSE:
                result, status = struct.unpack('<Q6xH', header)
                if status >> 1 & 0x7ff:
                    raise Failed(status >> 1 & 0x7ff)
                return result, bytes(data)
            if kind == R2T:
                self.send_data(write, *struct.unpack_from('<HII', header, 2))
            elif kind == C2H_DATA:
                offset = struct.unpack_from('<I', header, 4)[0]
                data[offset:offset + len(part)] = part
                if flags & SUCCESS:
                    return 0, bytes(data)
            else:
                raise AssertionError('PDU type %u' % kind)

    def send_data(self, data, ttag, offset, count):
        end = offset + count
        while offset < end:
            part = data[offset:min(end, offset + self.data_max)]
            flags = LAST_PDU if offset + len(part) == end else 0
            self.send(h2c_data(self.cid, ttag, offset, part, flags))
            offset += len(part)

    def connect(self, nqn, **options):
        self.cid = 0
        self.send(connect_capsule(nqn, **options))
        return self.finish(b'', 0)[0] & 0xffff

    def enable(self):
        self.command(FABRICS, PROPERTY_SET, (0, CC, 0x460001))
        while not self.command(FABRICS, PROPERTY_GET, (0, CSTS))[0] & 1:
            pass


class Host:
    """An association with one I/O queue."""

    def __init__(self, url, kato_ms=0, host_nqn=HOST_NQN):
        self.address, self.nqn = parse_url(url)
        self.host_nqn = host_nqn
        self.admin = Queue(self.address)
        self.admin.initialize()
        self.cntlid = self.admin.connect(self.nqn, kato_ms=kato_ms, host_nqn=host_nqn)
        self.admin.enable()
        self.io = Queue(self.address)
        self.io.initialize()
        self.io.connect(self.nqn, qid=1, cntlid=self.cntlid, host_nqn=host_nqn)
        namespace = self.admin.command(IDENTIFY, 1, (0,), read_bytes=4096)[1]
        self.block_count = struct.unpack_from('<Q', namespace)[0]
        self.block_bytes = 1 << namespace[128 + 4 * (namespace[26] & 15) + 2]

    def close(self):
        self.io.close()
        self.admin.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def range(self, block, count):
        return block & 0xffffffff, block >> 32, count - 1

    def read(self, block, count):
        return self.io.command(READ, 1, self.range(block, count),
                               read_bytes=count * self.block_bytes)[1]

    def write(self, block, data):
        self.io.command(WRITE, 1, self.range(block, len(data) // self.block_bytes), write=data)

    def flush(self):
        self.io.command(FLUSH, 1)

    def keep_alive(self):
        self.admin.command(KEEP_ALIVE)
