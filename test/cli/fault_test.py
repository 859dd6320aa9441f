"""Faults of what is under a store: the command fails, the daemon goes on."""

import os

import harness
import wire
from harness import BLOCK, MIB, Daemon


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
            harness.until(lambda: 'disk.img' in daemon.errors(), 'told in the log')

    def test_serve_does_not_write_when_the_command_is_aborted_before_its_data(self):
        image = self.image(data=b'x' * MIB)
        with Daemon('--threads=1', image) as daemon, wire.Host(daemon.url) as host:
            host.io.send(wire.capsule(7, wire.WRITE, 1, host.range(0, 32), b'', 32 * BLOCK))
            kind, _, header, _ = host.io.receive_pdu()
            self.assertEqual(kind, wire.R2T)
            host.admin.cid = 100
            host.admin.send(wire.capsule(100, wire.ABORT, 0, (7 << 16 | 1,)))
            # When this one has been answered the Abort has been heard; its own answer comes later.
            host.keep_alive()
            host.io.cid = 7
            host.io.send_data(bytes(32 * BLOCK), *wire.struct.unpack_from('<HII', header, 2))
            with self.assertRaises(wire.Failed) as failure:
                host.io.finish(b'', 0)
            self.assertEqual(failure.exception.status, 0x007)
            host.admin.cid = 100
            self.assertEqual(host.admin.finish(b'', 0)[0], 0)
            self.assertEqual(host.read(0, 32), b'x' * 32 * BLOCK)


if __name__ == '__main__':
    harness.main()
