"""Connections that stop in the middle change nothing for others, and are ended."""

import os
import random
import select
import threading
import time

import harness
import stall
import wire
from harness import Daemon

CONNECTIONS = 100
# The longest of the deadlines that end them: "initialize" and then "connect" is the sum of two; the
# keep alive timeout may be found out late by half.
DEADLINE_S = 25


class Worker(threading.Thread):
    """A host that writes and reads back until told to stop."""

    def __init__(self, url):
        super().__init__()
        self.host = wire.Host(url)
        self.ending = threading.Event()
        self.rounds, self.slowest_s, self.error = 0, 0.0, None

    def run(self):
        try:
            while not self.ending.is_set():
                self.work()
        except Exception as error:  # told by the thread that waits for this one
            self.error = error

    def work(self):
        count = random.choice((1, 8, 16, 64, 512))
        block = random.randrange(self.host.block_count - count + 1)
        data = os.urandom(count * self.host.block_bytes)
        start = time.monotonic()
        self.host.write(block, data)
        if self.host.read(block, count) != data:
            raise AssertionError('block %d reads back differently' % block)
        self.slowest_s = max(self.slowest_s, time.monotonic() - start)
        self.rounds += 1
        # a pause, that the other tests of the machine may run
        self.ending.wait(0.005)

    def end(self):
        self.ending.set()
        self.join()
        self.host.close()
        if self.error is not None:
            raise self.error


def wait_all_closed(queues):
    """Wait until the controller has closed each of them; what it sends is dropped."""
    poll = select.poll()
    open_queues = {queue.socket.fileno(): queue for queue in queues}
    for queue in queues:
        queue.socket.setblocking(False)
        poll.register(queue.socket, select.POLLIN)
    end = time.monotonic() + DEADLINE_S
    while open_queues and time.monotonic() < end:
        for descriptor, _ in poll.poll(1000):
            try:
                is_open = open_queues[descriptor].socket.recv(65536) != b''
            except ConnectionResetError:
                is_open = False
            if not is_open:
                poll.unregister(descriptor)
                open_queues.pop(descriptor).close()
    return len(open_queues)


class StallTest(harness.TestCase):

    def test_serve_goes_on_and_ends_them_when_100_connections_are_stuck(self):
        with Daemon('ram:8M') as daemon:
            worker = Worker(daemon.url)
            worker.start()
            stages = (stall.STAGES * CONNECTIONS)[:CONNECTIONS]
            queues = [queue for stage in stages for queue in stall.stall(daemon.url, stage)]
            rounds = worker.rounds
            left = wait_all_closed(queues)
            worker.end()
            self.assertEqual(left, 0, 'connections were not ended: ' + daemon.errors())
            self.assertGreater(worker.rounds, rounds)
            self.assertLess(worker.slowest_s, 5)
            with wire.Host(daemon.url) as host:
                host.keep_alive()


def full_pipe():
    """A pipe that nobody reads: reader, writer. The writer waits, as anybody's standard error does."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b'.' * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    return reader, writer


class LogStallTest(harness.TestCase):

    def test_serve_goes_on_when_nobody_reads_its_log(self):
        reader, writer = full_pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        with Daemon('ram:1M', stderr=writer) as daemon:
            for _ in range(3):
                # Its controller's making is told in the log before it is answered.
                with wire.Host(daemon.url) as host:
                    host.write(0, bytes(8 * host.block_bytes))
                    self.assertEqual(host.read(0, 8), bytes(8 * host.block_bytes))
            self.assertTrue(os.get_blocking(writer))
            text = os.read(reader, 65536)
            self.assertEqual(daemon.stop(), 0)
            text += os.read(reader, 65536)
            self.assertRegex(text.decode(),
                             r'(?m)^\.*ferry: warning: \d+ lines left out: nobody read them$')

    def test_serve_ends_when_nobody_reads_its_log(self):
        reader, writer = full_pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        with Daemon('ram:1M', stderr=writer) as daemon:
            self.assertEqual(daemon.stop(), 0)


KEEP_ALIVE_TIMER = '02'  # proc(5), of /proc/net/tcp


def timer_of(queue):
    """The timer that runs at the daemon's end of a connection: 02 that of TCP keepalive, 00 none."""
    here, there = ('0100007F:%04X' % end[1]
                   for end in (queue.socket.getpeername(), queue.socket.getsockname()))
    with open('/proc/net/tcp', encoding='ascii') as file:
        for line in file:
            fields = line.split()
            if fields[1:3] == [here, there]:
                return fields[5].split(':')[0]
    return None


class DeadHostTest(harness.TestCase):

    def expect(self, queue, timer):
        harness.until(lambda: timer_of(queue) == timer, 'timer %s' % timer)

    def test_serve_lets_tcp_look_for_dead_hosts_when_there_is_no_keep_alive(self):
        with Daemon('ram:1M') as daemon:
            with wire.Host(daemon.url) as host:
                for queue in (host.admin, host.io):
                    self.expect(queue, KEEP_ALIVE_TIMER)
            with wire.Host(daemon.url, kato_ms=60000) as host:
                for queue in (host.admin, host.io):
                    self.expect(queue, '00')
                host.admin.command(wire.SET_FEATURES, 0, (0x0f, 0))
                self.expect(host.admin, KEEP_ALIVE_TIMER)
                self.expect(host.io, '00')


if __name__ == '__main__':
    harness.main()
