"""A full file system under a store, and under the destination of a copy."""

import os
import subprocess
import tempfile
import unittest

import harness
import wire
from harness import MIB, Daemon


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

    def test_copy_fails_when_the_file_system_is_full(self):
        with Daemon('ram:4M') as daemon:
            with wire.Host(daemon.url) as host:
                for block in range(0, host.block_count, 2048):
                    host.write(block, os.urandom(MIB))
            status, _, errors = harness.run('disk', 'copy', daemon.url,
                                            os.path.join(self.path, 'back.img'))
        self.assertEqual(status, 1)
        self.assertRegex(errors, r'^ferry disk copy: .*/back.img: No space left on device\n$')


if __name__ == '__main__':
    harness.main()
