"""What a daemon takes of the machine: nothing while idle, little memory; and what it needs: no root."""

import os
import select
import shutil
import time

import harness
import wire
from harness import MIB, Daemon

IDLE_S = 2
RSS_MAX = 20 * MIB
SILENT_RSS_MAX = 256 << 10
RAM_DISK = 64 * MIB
NOBODY = 65534


def cpu_ticks(pid):
    """User and system time of all threads."""
    with open('/proc/%d/stat' % pid, encoding='ascii') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    return int(fields[11]) + int(fields[12])


def private_bytes(pid):
    """VmRSS without the pages of files that are mapped: RssAnon and RssShmem."""
    with open('/proc/%d/status' % pid, encoding='ascii') as file:
        rows = dict(line.split(':', 1) for line in file)
    return sum(int(rows[name].split()[0]) for name in ('RssAnon', 'RssShmem')) << 10


class ResourceTest(harness.TestCase):

    def test_serve_uses_no_time_when_three_hosts_are_idle(self):
        with Daemon('ram:1M') as daemon:
            hosts = [wire.Host(daemon.url) for _ in range(3)]
            for host in hosts:
                host.write(0, bytes(8 * host.block_bytes))
            ticks = [cpu_ticks(daemon.pid)]

            def is_settled():
                """Whether a moment has gone by without work: the loops have stopped spinning."""
                ticks.append(cpu_ticks(daemon.pid))
                return ticks[-1] == ticks[-2]

            harness.until(is_settled, 'idle')
            before, end = cpu_ticks(daemon.pid), time.monotonic() + IDLE_S
            # Silence is what is tested: nothing comes on any connection meanwhile either.
            sockets = [queue.socket for host in hosts for queue in (host.admin, host.io)]
            self.assertEqual(select.select(sockets, [], [], IDLE_S)[0], [])
            self.assertGreaterEqual(time.monotonic(), end)
            self.assertLessEqual(cpu_ticks(daemon.pid) - before, 1)
            for host in hosts:
                host.close()

    def test_serve_takes_little_memory_when_three_hosts_have_worked(self):
        if harness.is_sanitized():
            self.skipTest('a sanitizer takes memory of its own')
        with Daemon('ram:%d' % RAM_DISK) as daemon:
            part = os.urandom(MIB)
            hosts = [wire.Host(daemon.url) for _ in range(3)]
            for host in hosts:
                count = MIB // host.block_bytes
                for block in range(0, host.block_count, count):
                    host.write(block, part)
                    self.assertEqual(host.read(block, count), part)
            self.assertLess(private_bytes(daemon.pid), RAM_DISK + RSS_MAX)
            for host in hosts:
                host.close()

    def test_serve_takes_little_memory_when_a_hundred_hosts_are_silent(self):
        if harness.is_sanitized():
            self.skipTest('a sanitizer takes memory of its own')
        # What fills memory as it is allocated takes it.
        environment = {name: value for name, value in os.environ.items() if name != 'MALLOC_PERTURB_'}
        with Daemon('ram:1M', env=environment) as daemon:
            address, nqn = wire.parse_url(daemon.url)
            queues = [wire.Queue(address) for _ in range(100)]
            before = private_bytes(daemon.pid)
            for queue in queues:
                queue.initialize()
                queue.connect(nqn, entries=4096)
            self.assertLess(private_bytes(daemon.pid) - before, len(queues) * SILENT_RSS_MAX)
            for queue in queues:
                queue.close()


class UserTest(harness.TestCase):

    def setUp(self):
        """The binary goes where an ordinary user can reach it."""
        super().setUp()
        binary = os.path.join(self.path, 'ferry')
        shutil.copy(harness.ferry, binary)
        os.chmod(binary, 0o755)
        self.addCleanup(setattr, harness, 'ferry', harness.ferry)
        harness.ferry = binary
        self.user = {}
        if os.geteuid() == 0:
            os.chown(self.path, NOBODY, NOBODY)
            self.user = {'user': NOBODY, 'group': NOBODY, 'extra_groups': []}

    def owned_image(self, name, data=None):
        path = self.image(name, data=data)
        if self.user:
            os.chown(path, NOBODY, NOBODY)
        return path

    def test_serve_and_copy_work_when_the_user_has_no_privilege(self):
        data = os.urandom(MIB)
        source, target = self.owned_image('source', data), self.owned_image('target')
        back = os.path.join(self.path, 'back')
        with Daemon(target, cwd=self.path, **self.user) as daemon:
            with open('/proc/%d/status' % daemon.pid, encoding='ascii') as file:
                self.assertRegex(file.read(), r'CapEff:\s+0+\n')
            for ends in ((source, daemon.url), (daemon.url, back)):
                status, _, errors = harness.run('disk', 'copy', '--verify', *ends, cwd=self.path,
                                                **self.user)
                self.assertEqual((status, errors), (0, ''))
            self.assertEqual(daemon.stop(), 0)
        self.assertEqual(self.contents(target), data)
        self.assertEqual(self.contents(back), data)

    def test_serve_says_so_when_the_user_may_not_read_the_image(self):
        if not self.user:
            self.skipTest('it takes root to make a file of another user')
        image = self.image()
        os.chmod(image, 0o600)
        self.assert_complains(harness.run('serve', '--listen=127.0.0.1:0', image, **self.user), 1,
                              'disk.img: Permission denied')


if __name__ == '__main__':
    harness.main()
