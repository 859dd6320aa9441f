"""What discovery of a running `ferry serve` tells, by each kind of listener."""

import socket
import struct
import unittest

import harness
import wire
from harness import Daemon

DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery'
LOG_DISCOVERY = 0x70
HEADER = RECORD = 1024
NVM, CURRENT = 2, 3
DUPLICATE, PERSISTENT = 1, 2
OTHER_HOST = 'nqn.2026-01.org.example:another-host'


def text_of(field):
    return field.rstrip(b'\0 ').decode()


class Record:

    def __init__(self, data):
        (self.trtype, self.adrfam, self.subtype, self.treq, self.portid, self.cntlid, self.asqsz,
         self.eflags) = struct.unpack_from('<BBBBHHHH', data)
        self.trsvcid = text_of(data[32:64])
        self.subnqn = text_of(data[256:512])
        self.traddr = text_of(data[512:768])

    def way(self):
        return self.subtype, self.traddr, int(self.trsvcid)


def discover(address, host_nqn=wire.HOST_NQN):
    """The records, as a host reads them: the header, the rest, the header again."""
    with wire.Queue(address) as queue:
        queue.initialize()
        queue.connect(DISCOVERY_NQN, host_nqn=host_nqn)
        queue.enable()

        def read(offset, count):
            words = (LOG_DISCOVERY | (count // 4 - 1) << 16, 0, offset)
            return queue.command(wire.GET_LOG_PAGE, 0, words, read_bytes=count)[1]

        header = read(0, HEADER)
        count = struct.unpack_from('<Q', header, 8)[0]
        records = [Record(read(HEADER + index * RECORD, RECORD)) for index in range(count)]
        assert read(0, HEADER) == header
        return records


def ways(*arguments, **options):
    return [record.way() for record in discover(*arguments, **options)]


def link_local():
    """An address of this machine with its zone, None if there is none."""
    try:
        with open('/proc/net/if_inet6', encoding='ascii') as file:
            rows = [line.split() for line in file]
    except OSError:
        return None
    for digits, _, _, _, flags, name in rows:
        if digits.startswith('fe80') and not int(flags, 16) & 0x40:
            packed = bytes.fromhex(digits)
            return socket.inet_ntop(socket.AF_INET6, packed) + '%' + name
    return None


class DiscoveryTest(harness.TestCase):

    def test_discovery_tells_of_itself_and_of_the_disk_when_it_is_asked(self):
        with Daemon('ram:1M') as daemon:
            address, nqn = wire.parse_url(daemon.url)
            own, disk = discover(address)
        self.assertEqual(own.way(), (CURRENT, *address))
        self.assertEqual(disk.way(), (NVM, *address))
        self.assertEqual((own.subnqn, disk.subnqn), (DISCOVERY_NQN, nqn))
        self.assertEqual((own.eflags, disk.eflags), (DUPLICATE | PERSISTENT, 0))
        for record in (own, disk):
            self.assertEqual((record.trtype, record.adrfam, record.portid), (3, 1, 1))
            self.assertEqual((record.cntlid, record.asqsz, record.treq), (0xffff, 4096, 6))

    def test_discovery_tells_of_its_own_port_when_it_has_one(self):
        port = harness.free_port()
        with Daemon('--discovery-port=%d' % port, 'ram:1M') as daemon:
            address = wire.parse_url(daemon.url)[0]
            expected = [(CURRENT, '127.0.0.1', port), (NVM, *address)]
            self.assertEqual(ways(address), expected)
            self.assertEqual(ways(('127.0.0.1', port)), expected)

    def test_discovery_tells_where_the_host_is_when_it_listens_everywhere(self):
        port = harness.free_port()
        with Daemon('--discovery-port=%d' % port, '--allow-any-host', 'ram:1M',
                    listen=('0.0.0.0:0',)) as daemon:
            disk = wire.parse_url(daemon.url)[0][1]
            for host in ('127.0.0.1', '127.0.0.2'):
                self.assertEqual(ways((host, port)), [(CURRENT, host, port), (NVM, host, disk)])

    @unittest.skipUnless(harness.has_ipv6(), 'this machine has no ::1')
    def test_discovery_tells_of_one_family_when_it_listens_everywhere_by_both(self):
        with Daemon('--allow-any-host', 'ram:1M', listen=('0.0.0.0:0', '[::]:0')) as daemon:
            ports = [wire.parse_url(url)[0][1] for url in daemon.urls]
            for host, port in zip(('127.0.0.1', '::1'), ports):
                records = discover((host, port))
                self.assertEqual([record.way() for record in records],
                                 [(CURRENT, host, port), (NVM, host, port)])
                self.assertEqual({record.adrfam for record in records}, {2 if ':' in host else 1})
            # Only IPv6 comes by [::].
            with self.assertRaises(OSError):
                socket.create_connection(('127.0.0.1', ports[1])).close()

    @unittest.skipUnless(harness.has_ipv6(), 'this machine has no ::1')
    def test_discovery_tells_all_addresses_when_they_are_given(self):
        with Daemon('ram:1M', listen=('127.0.0.1:0', '[::1]:0')) as daemon:
            addresses = [wire.parse_url(url)[0] for url in daemon.urls]
            expected = [(kind, *address) for kind in (CURRENT, NVM) for address in addresses]
            for address in addresses:
                self.assertEqual(ways(address), expected)

    def test_discovery_tells_a_link_local_address_when_the_host_is_on_a_link(self):
        host = link_local()
        if host is None:
            self.skipTest('this machine has no link-local address')
        with Daemon('--allow-any-host', 'ram:1M', listen=('[%s]:0' % host, '127.0.0.1:0')) as daemon:
            linked, plain = (wire.parse_url(url)[0] for url in daemon.urls)
            self.assertEqual(linked[0], host)
            self.assertEqual(ways(plain), [(CURRENT, *plain), (NVM, *plain)])
            # The zone is this machine's: a host knows its own.
            ends = ((host.split('%')[0], linked[1]), plain)
            self.assertEqual(ways(linked),
                             [(kind, *end) for kind in (CURRENT, NVM) for end in ends])
            status, _, errors = harness.run('disk', 'info', daemon.url)
            self.assertEqual((status, errors), (0, ''))

    def test_discovery_tells_another_address_when_one_is_given_for_it(self):
        port = harness.free_port()
        arguments = ('--discovery-port=%d' % port, 'ram:1M')
        with Daemon('--discovery-address=disks.example', *arguments) as daemon:
            address = wire.parse_url(daemon.url)[0]
            self.assertEqual(ways(address), [(CURRENT, 'disks.example', port),
                                             (NVM, 'disks.example', address[1])])
        with Daemon('--discovery-address=disks.example:4431', *arguments) as daemon:
            self.assertEqual(ways(wire.parse_url(daemon.url)[0]),
                             [(CURRENT, 'disks.example', 4431), (NVM, 'disks.example', 4431)])

    def test_discovery_tells_nothing_of_the_disk_when_the_host_may_not_have_it(self):
        with Daemon('--allow-host=' + wire.HOST_NQN, 'ram:1M') as daemon:
            address = wire.parse_url(daemon.url)[0]
            self.assertEqual(ways(address, host_nqn=OTHER_HOST), [(CURRENT, *address)])
            self.assertEqual(ways(address), [(CURRENT, *address), (NVM, *address)])


if __name__ == '__main__':
    harness.main()
