"""The options of `ferry serve` and `ferry disk` that concern the wire: what a host then sees."""

import socket
import struct

import harness
import wire
from harness import BLOCK, Daemon

IDENTIFY_CONTROLLER = 0x01
DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery'
INVALID_FIELD, INVALID_PARAMETERS = 0x002, 0x182


class Limits:
    """What a host learns of a daemon's limits."""

    def __init__(self, url):
        with wire.Host(url) as host:
            page = host.admin.command(wire.IDENTIFY, 0, (IDENTIFY_CONTROLLER,), read_bytes=4096)[1]
            self.mdts = page[77]
            self.maxcmd = struct.unpack_from('<H', page, 514)[0]
            self.ioccsz = struct.unpack_from('<I', page, 1792)[0]
            cap = host.admin.command(wire.FABRICS, wire.PROPERTY_GET, (1, wire.CAP))[0]
            self.mqes = cap & 0xffff
            self.data_max = host.io.data_max


class LimitTest(harness.TestCase):

    def test_serve_tells_its_limits_when_none_is_given(self):
        with Daemon('ram:1M') as daemon:
            limits = Limits(daemon.url)
        self.assertEqual((limits.mdts, limits.maxcmd, limits.mqes), (8, 1024, 1023))
        self.assertEqual((limits.ioccsz, limits.data_max), (4 + 1024, 256 << 10))

    def test_serve_tells_its_limits_when_they_are_given(self):
        with Daemon('--mdts=8K', '--max-io-queue=64', '--in-capsule=0', '--max-h2c-data=4K',
                    'ram:1M') as daemon:
            limits = Limits(daemon.url)
            with wire.Host(daemon.url) as host:
                self.assertEqual(host.read(0, 8192 // BLOCK), bytes(8192))
                with self.assertRaises(wire.Failed) as failure:
                    host.read(0, 8192 // BLOCK + 1)
                self.assertEqual(failure.exception.status, INVALID_FIELD)
        self.assertEqual((limits.mdts, limits.maxcmd, limits.mqes), (1, 64, 63))
        self.assertEqual((limits.ioccsz, limits.data_max), (4, 4096))

    def refuse(self, url, **options):
        address, nqn = wire.parse_url(url)
        with wire.Queue(address) as queue:
            queue.initialize()
            with self.assertRaises(wire.Failed) as failure:
                queue.connect(nqn, **options)
            self.assertEqual(failure.exception.status, INVALID_PARAMETERS)

    def test_serve_refuses_queues_when_they_exceed_its_limits(self):
        with Daemon('--max-admin-queue=32', '--max-io-queue=16', '--max-io-queues=1',
                    'ram:1M') as daemon:
            address, nqn = wire.parse_url(daemon.url)
            self.refuse(daemon.url, entries=33)
            with wire.Queue(address) as admin:
                admin.initialize()
                cntlid = admin.connect(nqn, entries=32)
                admin.enable()
                self.refuse(daemon.url, qid=1, cntlid=cntlid, entries=17)
                self.refuse(daemon.url, qid=2, cntlid=cntlid, entries=16)
                with wire.Queue(address) as io:
                    io.initialize()
                    io.connect(nqn, qid=1, cntlid=cntlid, entries=16)


class DigestTest(harness.TestCase):

    def info(self, url, *arguments):
        return harness.run('disk', 'info', *arguments, url)

    def test_disk_uses_digests_when_it_is_told_to(self):
        rows = (((), 'none'), (('--header-digest',), 'header'), (('--data-digest',), 'data'),
                (('--header-digest', '--data-digest'), 'header and data'))
        with Daemon('ram:1M') as daemon:
            for arguments, expected in rows:
                with self.subTest(arguments):
                    status, output, errors = self.info(daemon.url, *arguments)
                    self.assertEqual((status, errors), (0, ''))
                    self.assertRegex(output, r'(?m)^digests +%s$' % expected)

    def test_disk_copies_when_digests_are_used(self):
        data = bytes(range(256)) * 4096
        source, back = self.image(data=data), self.image('back.img')
        digests = ('--header-digest', '--data-digest')
        with Daemon('--header-digest=require', '--data-digest=require', 'ram:1M') as daemon:
            for ends in ((source, daemon.url), (daemon.url, back)):
                status, _, errors = harness.run('disk', 'copy', '--verify', *digests, *ends)
                self.assertEqual((status, errors), (0, ''))
        self.assertEqual(self.contents(back), data)

    def test_serve_refuses_hosts_when_they_do_not_ask_for_a_digest(self):
        with Daemon('--data-digest=require', 'ram:1M') as daemon:
            self.assert_complains(self.info(daemon.url, '--header-digest'), 1,
                                  'unsupported parameter', 'FES 6', 'FEI 11')
            harness.until(lambda: 'does not ask for data digests' in daemon.errors(), 'logged')

    def test_disk_refuses_a_target_when_it_refuses_a_digest(self):
        with Daemon('--header-digest=refuse', 'ram:1M') as daemon:
            self.assert_complains(self.info(daemon.url, '--header-digest', '--data-digest'), 1,
                                  'refuses header digests')
            harness.until(lambda: 'TermReq: unsupported parameter (FES 6, FEI bh)' in
                          daemon.errors(), 'logged')


class DiscoveryPortTest(harness.TestCase):

    def discover(self, address):
        with wire.Queue(address) as queue:
            queue.initialize()
            queue.connect(DISCOVERY_NQN)

    def test_serve_answers_discovery_when_it_has_a_port_of_its_own(self):
        port = harness.free_port()
        with Daemon('--discovery-port=%d' % port, 'ram:1M') as daemon:
            self.assertIn('discovery also at 127.0.0.1:%d\n' % port, daemon.output)
            self.discover(('127.0.0.1', port))
            self.discover(wire.parse_url(daemon.url)[0])

    def test_serve_listens_once_when_two_listeners_share_an_address(self):
        port = harness.free_port()
        with Daemon('--discovery-port=%d' % port, 'ram:1M',
                    listen=('127.0.0.1:0', '127.0.0.1:0')) as daemon:
            self.assertEqual(daemon.output.count('discovery also at'), 1)

    def test_serve_refuses_when_the_discovery_port_is_taken(self):
        with Daemon('ram:1M') as daemon:
            port = wire.parse_url(daemon.url)[0][1]
            self.assert_complains(
                harness.run('serve', '--listen=127.0.0.1:0', '--discovery-port=%d' % port,
                            'ram:1M'), 1, ':%d' % port, 'in use')

    def test_serve_takes_the_standard_port_when_it_is_free(self):
        """Beside port 4420 only, and never at the cost of serving."""
        with Daemon('ram:1M', listen=('127.0.0.9',)) as first:
            self.assertIn('discovery also at 127.0.0.9:8009\n', first.output)
            self.discover(('127.0.0.9', 8009))
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(('127.0.0.9', 8009))
            holder.listen()
            with Daemon('ram:1M', listen=('127.0.0.9',)) as second:
                self.assertNotIn('discovery also at', second.output)
                self.assertIn('127.0.0.9:8009: cannot listen', second.errors())
        with Daemon('ram:1M') as third:
            self.assertNotIn('discovery also at', third.output)
        with Daemon('--discovery-port=0', 'ram:1M', listen=('127.0.0.9',)) as fourth:
            self.assertNotIn('discovery also at', fourth.output)


if __name__ == '__main__':
    harness.main()
