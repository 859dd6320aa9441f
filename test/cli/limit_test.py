"""How many connections, controllers and queues `ferry serve` takes, of one host and in all."""

import contextlib
import re

import harness
import wire
from harness import BLOCK, Daemon

CONTROLLER_BUSY = 0x181
ADDRESS_PENDING = 256
OTHER_HOST = 'nqn.2026-01.org.example:another-host'


class LimitTest(harness.TestCase):

    def assert_refused(self, daemon, queue, words):
        with self.assertRaises(wire.Closed):
            queue.initialize()
        queue.close()
        harness.until(lambda: words in daemon.errors(), 'logged: ' + words)

    def initialize(self, address):
        """Connect until there is room: a connection that was closed may not have left yet."""
        queues = []

        def is_admitted():
            queues.append(wire.Queue(address))
            try:
                queues[-1].initialize()
            except wire.Closed:
                queues.pop().close()
                return False
            return True

        harness.until(is_admitted, 'admitted')
        return queues[0]

    def test_serve_closes_a_connection_when_there_are_as_many_as_it_takes(self):
        with Daemon('--max-connections=2', 'ram:1M') as daemon:
            address = wire.parse_url(daemon.url)[0]
            with wire.Host(daemon.url) as host:
                self.assert_refused(daemon, wire.Queue(address),
                                    'refused: there are as many connections as are served')
                self.assertEqual(host.read(0, 1), bytes(BLOCK))
            self.initialize(address).close()

    def test_serve_closes_a_connection_when_its_address_has_too_many(self):
        with Daemon('--max-address-connections=2', 'ram:1M') as daemon:
            address, nqn = wire.parse_url(daemon.url)
            with wire.Host(daemon.url):
                self.assert_refused(daemon, wire.Queue(address),
                                    'refused: its address has as many connections as it may have')
                with wire.Queue(address, ('127.0.0.2', 0)) as other:
                    other.initialize()
                    other.connect(nqn)
            self.initialize(address).close()

    def test_serve_takes_a_host_when_all_places_of_those_without_connect_are_taken(self):
        with Daemon('ram:1M') as daemon:
            address = wire.parse_url(daemon.url)[0]
            for sources in (('127.0.0.1',), ('127.0.0.2', '127.0.0.3')):
                with contextlib.ExitStack() as opened:
                    queues = [opened.enter_context(wire.Queue(address, (source, 0)))
                              for source in sources for _ in range(ADDRESS_PENDING)]
                    # Its second connection comes when its first is pending no more.
                    with wire.Host(daemon.url) as host:
                        self.assertEqual(host.read(0, 1), bytes(BLOCK))
                    queues[0].wait_closed()
                    for queue in queues[1], queues[-1]:
                        queue.initialize()
            harness.until(lambda: re.search(r'127\.0\.0\.2:\d+: closed: there was no Connect',
                                            daemon.errors()), 'logged')

    def test_serve_refuses_a_controller_when_its_host_has_too_many(self):
        with Daemon('--max-host-controllers=1', 'ram:1M') as daemon:
            address, nqn = wire.parse_url(daemon.url)
            with wire.Host(daemon.url):
                with wire.Queue(address) as queue:
                    queue.initialize()
                    with self.assertRaises(wire.Failed) as failure:
                        queue.connect(nqn)
                    self.assertEqual(failure.exception.status, CONTROLLER_BUSY)
                    queue.connect(nqn, host_nqn=OTHER_HOST)
            self.assertIn('refused %s as queue 0 of %s: the host has as many controllers' %
                          (wire.HOST_NQN, nqn), daemon.errors())

    def test_serve_refuses_an_io_queue_when_its_host_has_too_many(self):
        with Daemon('--max-host-queues=1', 'ram:1M') as daemon:
            address, nqn = wire.parse_url(daemon.url)
            with wire.Host(daemon.url) as host, wire.Queue(address) as queue:
                queue.initialize()
                with self.assertRaises(wire.Failed) as failure:
                    queue.connect(nqn, qid=2, cntlid=host.cntlid)
                self.assertEqual(failure.exception.status, CONTROLLER_BUSY)
                with wire.Host(daemon.url, host_nqn=OTHER_HOST) as other:
                    self.assertEqual(other.read(0, 1), bytes(BLOCK))
            harness.until(lambda: 'the host has as many I/O queues' in daemon.errors(), 'logged')


if __name__ == '__main__':
    harness.main()
