"""Faults of what is under a store: the command fails, the daemon goes on."""

import os

import harness
import wire
from harness import MIB, Daemon


class FaultTest(harness.TestCase):

    def test_serve_fails_the_command_and_goes_on_when_the_image_becomes_shorter(self):
        image = self.image(data=b'x' * MIB)
        with Daemon(image) as daemon, wire.Host(daemon.url) as host:
            os.truncate(image, MIB // 2)
            for ask in (lambda: host.read(host.block_count - 8, 8),
                        lambda: host.write(host.block_count - 8, bytes(8 * host.block_bytes))):
                with self.assertRaises(wire.Failed) as failure:
                    ask()
                # Noticed already, or not yet.
                self.assertIn(failure.exception.status, (0x080, 0x280, 0x281))
            self.assertEqual(os.path.getsize(image), MIB // 2)
            self.assertEqual(host.read(0, 8), b'x' * 8 * host.block_bytes)
            with wire.Host(daemon.url) as other:
                self.assertEqual(other.read(0, 1), b'x' * other.block_bytes)
            self.assertIn('disk.img', daemon.errors())


if __name__ == '__main__':
    harness.main()
