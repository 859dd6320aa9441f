"""`ferry serve` as its user meets it: what it refuses, that it is ready when it says so, and how it
ends."""

import os
import signal
import socket
import unittest

import harness
import stall
import wire
from harness import BLOCK, MIB, Daemon

# A name is served once on a machine; another run of this test may be under way.
NQN = 'nqn.2026-01.org.example:test-%d' % os.getpid()


class RefusalTest(harness.TestCase):

    def refuse(self, store, *words, listen='127.0.0.1:0', arguments=()):
        outcome = harness.run('serve', '--listen=' + listen, *arguments, store)
        self.assert_complains(outcome, 1, *words)
        self.assertEqual(outcome[1], '')

    def test_serve_refuses_when_the_file_is_missing(self):
        self.refuse(os.path.join(self.path, 'none.img'), 'none.img', 'does not exist')

    def test_serve_refuses_when_the_file_is_empty(self):
        self.refuse(self.image(size=0), 'disk.img', 'is empty')

    def test_serve_refuses_when_the_file_ends_within_a_block(self):
        self.refuse(self.image(size=1000), 'disk.img', '1000', '512')
        self.refuse(self.image(size=512) + ',lba=4096', 'disk.img', '4096')

    def test_serve_refuses_when_the_file_is_served_already(self):
        image = self.image()
        with Daemon('--nqn=' + NQN, image):
            self.refuse(image, 'disk.img', 'another process')
            self.refuse(image + ',ro', 'disk.img', 'another process')

    def test_serve_takes_the_file_when_all_of_its_users_only_read(self):
        image = self.image() + ',ro'
        with Daemon(image) as first, Daemon('--nqn=' + NQN, image) as second:
            for daemon in (first, second):
                with wire.Host(daemon.url) as host:
                    self.assertEqual(host.read(0, 8), bytes(8 * BLOCK))
                    with self.assertRaises(wire.Failed) as failure:
                        host.write(0, bytes(BLOCK))
                    self.assertEqual(failure.exception.status, 0x020)

    def test_serve_refuses_when_the_port_is_busy(self):
        with socket.create_server(('127.0.0.1', 0)) as other:
            port = other.getsockname()[1]
            self.refuse('ram:1M', ':%d' % port, 'in use', listen='127.0.0.1:%d' % port)

    def test_serve_refuses_when_the_name_is_served_already(self):
        with Daemon('--nqn=' + NQN, 'ram:1M'):
            self.refuse('ram:1M', NQN, 'another process', arguments=('--nqn=' + NQN,))

    def test_serve_chooses_another_name_when_the_same_memory_is_served_twice(self):
        with Daemon('ram:1M') as first, Daemon('ram:1M') as second:
            self.assertNotEqual(wire.parse_url(first.url)[1], wire.parse_url(second.url)[1])

    def test_serve_refuses_when_the_address_is_not_of_this_machine(self):
        self.refuse('ram:1M', '192.0.2.1', listen='192.0.2.1:0', arguments=('--allow-any-host',))


class ReadyTest(harness.TestCase):

    def test_serve_can_be_connected_to_when_it_says_ready(self):
        with Daemon('ram:1M') as daemon, wire.Host(daemon.url) as host:
            self.assertNotEqual(wire.parse_url(daemon.url)[0][1], 0)
            self.assertEqual(host.block_count * host.block_bytes, MIB)

    @unittest.skipUnless(harness.has_ipv6(), 'this machine has no ::1')
    def test_serve_can_be_connected_to_when_it_listens_on_ipv6(self):
        with Daemon('ram:1M', listen=('[::1]:0', '127.0.0.1:0')) as daemon:
            self.assertIn('//[::1]:', daemon.urls[0])
            for url in daemon.urls:
                with wire.Host(url) as host:
                    self.assertEqual(host.read(0, 1), bytes(BLOCK))

    def test_serve_keeps_hosts_out_when_they_are_not_allowed(self):
        with Daemon('--allow-host=' + wire.HOST_NQN, 'ram:1M', listen=('0.0.0.0:0',)) as daemon:
            url = daemon.url.replace('0.0.0.0', '127.0.0.1')
            with wire.Host(url) as host:
                self.assertEqual(host.read(0, 1), bytes(BLOCK))
            with wire.Queue(wire.parse_url(url)[0]) as queue:
                queue.initialize()
                with self.assertRaises(wire.Failed) as failure:
                    queue.connect(wire.parse_url(url)[1], host_nqn=NQN)
                self.assertEqual(failure.exception.status, 0x184)

    def test_serve_keeps_its_name_when_it_is_started_again(self):
        image = self.image()
        with Daemon(image) as daemon:
            first = wire.parse_url(daemon.url)[1]
        with Daemon(image) as daemon:
            self.assertEqual(wire.parse_url(daemon.url)[1], first)

    def test_serve_listens_on_the_standard_port_when_none_is_given(self):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(('127.0.0.7', 4420))
            except OSError:
                self.skipTest('the standard port is in use')
        with Daemon('ram:1M', listen=('127.0.0.7',)) as daemon:
            self.assertEqual(wire.parse_url(daemon.url)[0], ('127.0.0.7', 4420))


class ResizeTest(harness.TestCase):

    def resize(self, *arguments):
        image = self.image(size=MIB)
        with Daemon(*arguments, image) as daemon, wire.Host(daemon.url) as host:
            host.admin.command(wire.SET_FEATURES, 0, (0x0b, 0x100))
            for size in (3 * MIB, MIB // 2, 2 * MIB):
                os.truncate(image, size)
                # Answered when there is something to tell.
                self.assertEqual(host.admin.command(wire.ASYNC_EVENT)[0], 0x00040002)
                changed = host.admin.command(wire.GET_LOG_PAGE, 0, (0x03ff0004,),
                                             read_bytes=4096)[1]
                self.assertEqual(changed, b'\1' + bytes(4095))
                namespace = host.admin.command(wire.IDENTIFY, 1, (0,), read_bytes=4096)[1]
                last = size // BLOCK - 1
                self.assertEqual(int.from_bytes(namespace[:8], 'little'), last + 1)
                host.write(last, b'x' * BLOCK)
                with self.assertRaises(wire.Failed) as failure:
                    host.read(last + 1, 1)
                self.assertEqual(failure.exception.status, 0x080)

    def test_serve_tells_hosts_when_the_file_grows_or_shrinks(self):
        self.resize('--threads=1')

    def test_serve_tells_hosts_when_they_are_on_other_loops(self):
        self.resize('--threads=4')


class EndTest(harness.TestCase):

    def end(self, number, stages):
        data = os.urandom(64 * BLOCK)
        image = self.image()
        with Daemon(image) as daemon:
            queues = [queue for stage in stages for queue in stall.stall(daemon.url, stage)]
            with wire.Host(daemon.url) as host:
                host.write(7, data)
                daemon.process.send_signal(number)
                host.io.wait_closed()
                host.admin.wait_closed()
            self.assertEqual(daemon.process.wait(harness.TIMEOUT_S), 0, daemon.errors())
            self.assertEqual(self.contents(image)[7 * BLOCK:71 * BLOCK], data)
            for queue in queues:
                queue.wait_closed()
                queue.close()

    def test_serve_exits_with_0_when_asked_by_sigterm(self):
        self.end(signal.SIGTERM, ())

    def test_serve_exits_with_0_when_asked_by_sigint(self):
        self.end(signal.SIGINT, ())

    def test_serve_exits_with_0_when_50_connections_are_stuck(self):
        self.end(signal.SIGTERM, stall.STAGES * 8 + stall.STAGES[:2])

    def test_serve_ends_when_its_hosts_close_nothing(self):
        with Daemon('ram:1M') as daemon:
            queues = [queue for stage in stall.STAGES for queue in stall.stall(daemon.url, stage)]
            with wire.Host(daemon.url) as host:
                self.assertEqual(daemon.stop(), 0, daemon.errors())
                for queue in (host.admin, host.io):
                    with self.assertRaises(wire.Closed):
                        queue.receive(1)
            self.assertNotIn('were left', daemon.errors())
            for queue in queues:
                queue.close()

    def test_serve_ends_at_once_when_it_is_signalled_again(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Daemon('ram:16M') as daemon, wire.Host(daemon.url) as host:
                # More than sockets hold, and nobody reads it: this connection does not end soon.
                for cid in range(1, 31):
                    host.io.send(wire.capsule(cid, wire.READ, 1, host.range(0, 2048),
                                              transfer=MIB))
                host.io.receive(1)
                daemon.process.send_signal(signal.SIGTERM)
                harness.until(lambda: 'draining' in daemon.errors(), 'draining')
                self.assertEqual(daemon.stop(number), -number)

    def test_serve_flushes_when_it_ends(self):
        """strace sees the fdatasync; where it may not trace this cannot be told."""
        trace = os.path.join(self.path, 'trace')
        probe = ['strace', '-f', '-o', trace, '-e', 'trace=fdatasync,io_uring_enter', 'true']
        try:
            harness.subprocess.run(probe, check=True, stderr=harness.subprocess.DEVNULL)
        except (OSError, harness.subprocess.CalledProcessError):
            self.skipTest('strace cannot trace here')
        # A leak checker needs to trace the process itself.
        environment = dict(os.environ, FERRY_LOOP='epoll')
        environment['ASAN_OPTIONS'] = environment.get('ASAN_OPTIONS', '') + ':detect_leaks=0'
        with Daemon(self.image(), env=environment) as daemon, wire.Host(daemon.url) as host:
            tracer = harness.subprocess.Popen(
                ['strace', '-f', '-p', str(daemon.pid), '-o', trace, '-e', 'trace=fdatasync'],
                stderr=harness.subprocess.PIPE, text=True)
            self.assertIn('attached', tracer.stderr.readline())
            host.write(0, bytes(BLOCK))
            host.close()
            self.assertEqual(daemon.stop(), 0)
            tracer.wait(harness.TIMEOUT_S)
            tracer.stderr.close()
        self.assertRegex(self.contents(trace).decode(), r'fdatasync\(.*= 0|fdatasync resumed.*= 0')



class NotifyTest(harness.TestCase):

    def tell(self, address):
        """The manager's side: returns what a daemon says from its start to its end."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.settimeout(harness.TIMEOUT_S)
            manager.bind(address.replace('@', '\0'))
            environment = dict(os.environ, NOTIFY_SOCKET=address)
            with Daemon('ram:1M', env=environment) as daemon:
                first = manager.recv(100)
                self.assertEqual(daemon.stop(), 0)
                return [first, manager.recv(100)]

    def test_serve_tells_the_service_manager_when_it_is_ready_and_stopping(self):
        for address in (os.path.join(self.path, 'notify'), '@ferry-test-%d' % os.getpid()):
            self.assertEqual(self.tell(address), [b'READY=1', b'STOPPING=1'])

    def test_serve_serves_when_no_service_manager_listens(self):
        for address in (os.path.join(self.path, 'none'), '@none-%d' % os.getpid(), 'x', ''):
            with Daemon('ram:1M', env=dict(os.environ, NOTIFY_SOCKET=address)) as daemon:
                self.assertEqual(daemon.stop(), 0)


if __name__ == '__main__':
    harness.main()
