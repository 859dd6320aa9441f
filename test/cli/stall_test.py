"""Connections that stop in the middle, and faults under a store, change nothing for others."""

import os
import random
import select
import subprocess
import tempfile
import threading
import time
import unittest

import harness
import stall
import wire
from harness import MIB, Daemon

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


class FaultTest(harness.TestCase):

    def test_serve_fails_the_command_and_goes_on_when_the_image_becomes_shorter(self):
        image = self.image(data=b'x' * MIB)
        with Daemon(image) as daemon, wire.Host(daemon.url) as host:
            os.truncate(image, MIB // 2)
            for ask in (lambda: host.read(host.block_count - 8, 8),
                        lambda: host.write(host.block_count - 8, bytes(8 * host.block_bytes))):
                with self.assertRaises(wire.Failed) as failure:
                    ask()
                self.assertIn(failure.exception.status, (0x280, 0x281))
            self.assertEqual(os.path.getsize(image), MIB // 2)
            self.assertEqual(host.read(0, 8), b'x' * 8 * host.block_bytes)
            self.assertIn('disk.img', daemon.errors())
            with wire.Host(daemon.url) as other:
                self.assertEqual(other.read(0, 1), b'x' * other.block_bytes)


class FullTest(unittest.TestCase):
    """On a file system of 1 MiB, which takes root to mount."""

    def setUp(self):
        self.path = tempfile.mkdtemp(prefix='ferry-test-')
        self.addCleanup(os.rmdir, self.path)
        mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', self.path],
                                 stderr=subprocess.DEVNULL, check=False)
        if mounted.returncode != 0:
            self.skipTest('a tmpfs cannot be mounted here')
        self.addCleanup(subprocess.run, ['umount', '-l', self.path], check=True)

    def test_serve_fails_the_write_and_goes_on_when_the_file_system_is_full(self):
        image = os.path.join(self.path, 'sparse.img')
        with open(image, 'wb') as file:
            file.truncate(16 * MIB)
        with Daemon(image) as daemon, wire.Host(daemon.url) as host:
            part = os.urandom(64 << 10)
            count = len(part) // host.block_bytes
            host.write(0, part)
            with self.assertRaises(wire.Failed) as failure:
                for block in range(count, host.block_count, count):
                    host.write(block, part)
            self.assertEqual(failure.exception.status, 0x081)
            self.assertEqual(host.read(0, count), part)
            host.write(0, part[::-1])
            host.flush()
            self.assertEqual(host.read(0, count), part[::-1])
            self.assertIn('sparse.img', daemon.errors())


if __name__ == '__main__':
    harness.main()
