"""Hosts that stop in the middle."""

import struct

import wire

STAGES = ('nothing', 'half ICReq', 'ICReq', 'half Connect', 'Connect', 'half data')
KATO_MS = 5000


def stall(url, stage):
    """A connection that stops at a stage: returns its queues, which stay open."""
    address, nqn = wire.parse_url(url)
    queue = wire.Queue(address)
    connect = wire.connect_capsule(nqn, kato_ms=KATO_MS)
    if stage == 'half ICReq':
        queue.send(wire.icreq()[:64])
    elif stage != 'nothing':
        queue.initialize()
    if stage == 'half Connect':
        queue.send(connect[:500])
    elif stage == 'Connect':
        queue.connect(nqn, kato_ms=KATO_MS)
    elif stage == 'half data':
        host = wire.Host(url, kato_ms=KATO_MS)
        size = 64 << 10
        host.io.send(wire.capsule(9, wire.WRITE, 1, host.range(0, size // host.block_bytes),
                                  transfer=size))
        _, _, header, _ = host.io.receive_pdu()
        ttag, offset, count = struct.unpack_from('<HII', header, 2)
        host.io.send(wire.h2c_data(9, ttag, offset, bytes(count))[:count // 2])
        queue.close()
        return [host.io, host.admin]
    return [queue]
