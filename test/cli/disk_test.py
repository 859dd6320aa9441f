"""`ferry disk`: what is copied arrives, and what goes wrong is said."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading

import harness
import wire
from harness import BLOCK, MIB, Daemon

# A name is served once on a machine; another run of this test may be under way.
NQN = 'nqn.2026-01.org.example:test-%d' % os.getpid()
UUID = '12345678-9abc-def0-1234-56789abcdef0'


class InfoTest(harness.TestCase):

    def info(self, url, *arguments):
        """The lines as a table of name and text."""
        status, output, errors = harness.run('disk', 'info', *arguments, url)
        self.assertEqual((status, errors), (0, ''))
        return dict(re.fullmatch(r'(\S+(?: \S+)*)  +(.*)', line).groups()
                    for line in output.splitlines())

    def test_info_says_all_when_the_disk_is_there(self):
        with Daemon('--nqn=' + NQN, 'ram:3M,lba=4096,uuid=' + UUID) as daemon:
            rows = self.info(daemon.url)
            self.assertEqual(rows['url'], daemon.url)
            self.assertEqual(rows['subsystem'], NQN)
            self.assertEqual(rows['namespace'], '1')
            self.assertEqual(rows['uuid'], UUID)
            self.assertEqual(rows['size'], '3 MiB (3145728 bytes, 768 blocks)')
            self.assertEqual(rows['block size'], '4096 bytes')
            self.assertEqual(rows['access'], 'read and write')
            self.assertEqual(rows['address'], '%s:%d' % wire.parse_url(daemon.url)[0])
            for name in ('model', 'serial', 'firmware', 'NVMe version', 'write cache', 'controller',
                         'largest command', 'I/O queues', 'connected as'):
                self.assertNotIn(rows[name], ('', '-'), name)

    def test_info_tells_namespaces_apart_when_there_are_two(self):
        image = self.image()
        with Daemon('ram:2M', image + ',ro') as daemon:
            self.assertEqual(self.info(daemon.url)['size'].split(' (')[0], '2 MiB')
            second = self.info(daemon.url + '/2')
            self.assertEqual(second['size'].split(' (')[0], '1 MiB')
            self.assertEqual(second['access'], 'read-only')
            self.assert_complains(harness.run('disk', 'info', daemon.url + '/3'), 1, '3')

    def test_info_says_why_when_it_cannot_be_had(self):
        with Daemon('--allow-host=' + NQN, 'ram:1M') as daemon:
            self.assert_complains(harness.run('disk', 'info', daemon.url), 1, 'allow')
            self.assertEqual(self.info(daemon.url, '--host-nqn', NQN)['connected as'], NQN)
            self.assert_complains(harness.run('disk', 'info', daemon.url + 'x'), 1)
            address = daemon.url.rsplit('/', 1)[0]
            daemon.stop()
            self.assert_complains(harness.run('disk', 'info', address + '/' + NQN), 1, 'refused')


class ListTest(harness.TestCase):

    def list(self, url, *arguments):
        status, output, errors = harness.run('disk', 'list', *arguments, url)
        self.assertEqual((status, errors), (0, ''))
        return output

    def test_list_says_where_disks_are_when_a_target_is_asked(self):
        with Daemon('--nqn=' + NQN, 'ram:1M', listen=('127.0.0.1:0', '127.0.0.2:0')) as daemon:
            addresses = [url.rsplit('/', 1)[0] for url in daemon.urls]
            expected = ['discovery  ' + address for address in addresses]
            expected += ['disk       %s/%s' % (address, NQN) for address in addresses]
            for options in ((), ('--header-digest', '--data-digest')):
                with self.subTest(options):
                    self.assertEqual(self.list(addresses[1], *options).splitlines(), expected)
            url = self.list(addresses[0]).split()[-1]
            self.assertEqual(harness.run('disk', 'info', url)[0], 0)

    def test_list_shows_a_host_what_it_may_use_when_hosts_are_named(self):
        with Daemon('--nqn=' + NQN, '--allow-host=' + NQN + '-host', 'ram:1M') as daemon:
            address = daemon.url.rsplit('/', 1)[0]
            self.assertNotIn(NQN, self.list(address))
            self.assertIn(NQN, self.list(address, '--host-nqn=' + NQN + '-host'))

    def test_list_tells_all_when_json_is_asked(self):
        with Daemon('--nqn=' + NQN, 'ram:1M') as daemon:
            address = daemon.url.rsplit('/', 1)[0]
            told = json.loads(self.list(address, '--json'))
        self.assertEqual(told['left_out'], 0)
        self.assertGreater(told['generation'], 0)
        self.assertEqual(told['records'][0]['type'], 'discovery')
        record = told['records'][1]
        port = address.rsplit(':', 1)[1]
        for name, value in (('type', 'disk'), ('nqn', NQN), ('transport', 'tcp'),
                            ('address_family', 'ipv4'), ('address', '127.0.0.1'), ('service', port),
                            ('url', address + '/' + NQN), ('cntlid', 65535)):
            self.assertEqual(record[name], value)


class CopyTest(harness.TestCase):

    def setUp(self):
        super().setUp()
        self.back = os.path.join(self.path, 'back.img')

    def copy(self, *arguments):
        status, output, errors = harness.run('disk', 'copy', *arguments)
        self.assertEqual((status, errors), (0, ''))
        return output

    def refuse(self, arguments, *words):
        self.assert_complains(harness.run('disk', 'copy', *arguments), 1, *words)

    def test_copy_keeps_every_byte_when_it_goes_there_and_back(self):
        data = os.urandom(5 * MIB + 3 * 4096)
        source = self.image(data=data)
        for options in ((), ('--requests=1',), ('--requests=128', '--request-size=4096'),
                        ('--request-size=4M', '--queues=3'), ('--requests=3', '--request-size=7000')):
            for lba in (512, 4096):
                with self.subTest((options, lba)):
                    with Daemon('ram:%d,lba=%d' % (len(data), lba)) as daemon:
                        self.assertIn('Verified',
                                      self.copy('--verify', *options, source, daemon.url))
                        self.copy(*options, daemon.url, self.back)
                    self.assertEqual(self.contents(self.back), data)

    def test_copy_is_the_same_when_both_ends_are_lent(self):
        data = os.urandom(2 * MIB)
        with Daemon(self.image('a', data=data) + ',ro') as first, Daemon('ram:2M,lba=4096') as second:
            self.copy('--verify', first.url, second.url)
            self.copy(second.url, self.back)
        self.assertEqual(self.contents(self.back), data)

    def test_copy_leaves_the_rest_when_the_destination_is_larger(self):
        data = os.urandom(MIB)
        target = self.image('target', data=b'x' * 3 * MIB)
        with Daemon(target) as daemon:
            output = self.copy('--verify', self.image(data=data), daemon.url)
            self.assertIn('larger: its last 2 MiB', output)
            daemon.stop()
        self.assertEqual(self.contents(target), data + b'x' * 2 * MIB)

    def test_copy_refuses_when_the_destination_is_smaller(self):
        target = self.image('target', data=b'x' * MIB)
        with Daemon(target) as daemon:
            self.refuse((self.image(size=MIB + 1), daemon.url), 'too small', '1048577')
            daemon.stop()
        self.assertEqual(self.contents(target), b'x' * MIB)

    def test_copy_fills_the_last_block_when_the_source_ends_within_it(self):
        data = os.urandom(MIB - 4096 + 100)
        target = self.image('target', data=b'x' * MIB)
        with Daemon(target + ',lba=4096') as daemon:
            output = self.copy('--verify', self.image(data=data), daemon.url)
            self.assertIn('block, of 4096 bytes, was filled up with 3996 zeros', output)
            daemon.stop()
        self.assertEqual(self.contents(target), data + bytes(3996))

    def test_copy_writes_zeros_when_the_source_has_a_hole(self):
        source = self.image(size=MIB)
        target = self.image('target', data=b'x' * MIB)
        with Daemon(target) as daemon:
            self.copy('--verify', source, daemon.url)
            daemon.stop()
        self.assertEqual(self.contents(target), bytes(MIB))

    def test_copy_makes_a_sparse_file_when_the_source_has_zeros(self):
        part = os.urandom(64 << 10)
        source = self.image(size=64 * MIB)
        with open(source, 'r+b') as file:
            for offset in (0, 10 * MIB + 4096, 64 * MIB - len(part)):
                file.seek(offset)
                file.write(part)
        with open(self.back, 'wb') as file:
            file.write(b'y' * 65 * MIB)
        with Daemon(source + ',ro') as daemon:
            for end in (daemon.url, source):
                with self.subTest(end):
                    self.copy('--verify', end, self.back)
                    self.assertEqual(self.contents(self.back), self.contents(source))
                    self.assertLess(os.stat(self.back).st_blocks * 512, 4 * MIB)

    def test_copy_takes_no_time_when_the_source_is_one_hole(self):
        source = self.endless_file()
        self.copy('--verify', source, self.back)
        self.assertEqual(os.path.getsize(self.back), os.path.getsize(source))
        self.assertEqual(os.stat(self.back).st_blocks, 0)

    def test_copy_makes_an_empty_file_when_the_source_is_empty(self):
        self.copy('--verify', self.image(size=0), self.back)
        self.assertEqual(self.contents(self.back), b'')

    def test_copy_refuses_when_both_ends_are_the_same(self):
        source = self.image(data=b'x' * MIB)
        link = os.path.join(self.path, 'link')
        os.link(source, link)
        self.refuse((source, link), 'the same')
        self.assertEqual(self.contents(source), b'x' * MIB)
        with Daemon('ram:1M', listen=('127.0.0.1:0', '127.0.0.2:0')) as daemon:
            self.refuse(daemon.urls, 'the same')

    def test_copy_refuses_when_an_end_is_none(self):
        source = self.image()
        self.refuse((os.path.join(self.path, 'none'), self.back), 'none: No such file')
        self.assertFalse(os.path.exists(self.back))
        self.refuse((source, os.path.join(self.path, 'none', 'x')), 'No such file')
        self.refuse((self.path, self.back), 'directory')
        self.refuse((source, '/dev/null'), 'neither')
        self.refuse((source, 'nvme-tcp://127.0.0.1:1/' + NQN), 'refused')

    def test_copy_refuses_when_the_destination_may_not_be_written(self):
        image = self.image('target', data=b'x' * MIB)
        source = self.image()
        with Daemon(image + ',ro') as daemon:
            self.refuse((source, daemon.url), 'read-only')
            self.refuse((source, image), 'another process')
        self.assertEqual(self.contents(image), b'x' * MIB)

    def test_copy_fails_when_the_disk_fails(self):
        image = self.endless_file()
        with Daemon(image) as daemon, Daemon('null:1P') as target:
            process = self.start(daemon.url, target.url)
            self.wait_for_work(target)
            os.truncate(image, MIB)
            _, errors = process.communicate(timeout=harness.TIMEOUT_S)
            self.assertEqual(process.returncode, 1)
            self.assertIn(daemon.url, errors)

    def test_copy_fails_when_the_daemon_ends_meanwhile(self):
        with Daemon('null:1P') as daemon:
            process = self.start(self.endless_file(), daemon.url)
            self.wait_for_work(daemon)
            daemon.process.kill()
            _, errors = process.communicate(timeout=harness.TIMEOUT_S)
        self.assertEqual(process.returncode, 1)
        self.assertRegex(errors, r'^ferry disk copy: \S[^\n]*\n$')

    def endless_file(self):
        """So long that no copy of it to a disk ends by itself."""
        path = os.path.join(self.path, 'long')
        with open(path, 'wb') as file:
            file.truncate(1 << 42)
        return path

    def start(self, *arguments):
        return subprocess.Popen([harness.ferry, 'disk', 'copy', *arguments], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def wait_for_work(self, daemon):
        """Until the daemon has been given much to do."""
        def ticks():
            with open('/proc/%d/stat' % daemon.pid, encoding='ascii') as file:
                fields = file.read().rsplit(')', 1)[1].split()
            return int(fields[11]) + int(fields[12])
        harness.until(lambda: ticks() > 10, 'copying')

    def test_copy_says_how_far_it_got_when_it_is_interrupted(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number), Daemon('null:1P') as daemon:
                process = self.start('--requests=4', self.endless_file(), daemon.url)
                self.wait_for_work(daemon)
                process.send_signal(number)
                _, errors = process.communicate(timeout=harness.TIMEOUT_S)
                self.assertEqual(process.returncode, 130, errors)
                found = re.fullmatch(r'ferry disk copy: interrupted: the first \S+ \S+ '
                                     r'\((\d+) bytes\) of 4 TiB are copied\n', errors)
                self.assertGreater(int(found.group(1)), 0)
                with wire.Host(daemon.url) as host:
                    host.read(0, 1)

    def test_copy_gives_up_when_the_daemon_falls_silent(self):
        with Daemon('null:1P') as daemon:
            process = self.start(self.endless_file(), daemon.url)
            self.wait_for_work(daemon)
            daemon.process.send_signal(signal.SIGSTOP)
            _, errors = process.communicate(timeout=harness.TIMEOUT_S)
        self.assertEqual(process.returncode, 1)
        self.assertRegex(errors, r'^ferry disk copy: nvme-tcp://\S* \S[^\n]*\n$')
        self.assertEqual(errors.count('nvme-tcp://'), 1)

    def test_copy_ends_at_once_when_it_is_interrupted_twice(self):
        with Daemon('null:1P') as daemon:
            process = self.start(self.endless_file(), daemon.url)
            self.wait_for_work(daemon)
            daemon.process.send_signal(signal.SIGSTOP)
            process.send_signal(signal.SIGINT)
            harness.until(lambda: not self.has_pending(process.pid), 'the first signal is taken')
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=harness.TIMEOUT_S)
        # A copy that was past its end by then is killed by the signal: 130 to a shell all the same.
        self.assertIn(process.returncode, (130, -signal.SIGINT))

    def has_pending(self, pid):
        with open('/proc/%d/status' % pid, encoding='ascii') as file:
            pending = re.search(r'ShdPnd:\s+(\w+)', file.read()).group(1)
        return int(pending, 16) != 0

    def test_copy_keeps_what_it_has_when_it_is_interrupted(self):
        with Daemon('null:4T') as daemon:
            process = self.start(daemon.url, self.back)
            self.wait_for_work(daemon)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=harness.TIMEOUT_S)
            self.assertEqual(process.returncode, 130)
        self.assertTrue(os.path.exists(self.back))

    def test_copy_says_where_when_what_it_reads_back_differs(self):
        """A fault between the copy and the comparison: a host beside it writes."""
        size = 64 * MIB
        source = self.image(size=size)
        target = self.image('target', size=size)
        with open(source, 'r+b') as file:
            file.write(b'z' * size)
        with Daemon(target) as daemon, wire.Host(daemon.url) as host:
            ending = threading.Event()

            def spoil():
                while not ending.is_set():
                    host.write(host.block_count - 9, b'z' * 511 + b'!')
            spoiler = threading.Thread(target=spoil)
            spoiler.start()
            outcome = harness.run('disk', 'copy', '--verify', source, daemon.url)
            ending.set()
            spoiler.join()
        self.assert_complains(outcome, 1, 'differs', 'byte %d' % (size - 8 * BLOCK - 1))

    def on_terminal(self, columns, *arguments):
        """What a terminal of so many columns is shown."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack('HHHH', 25, columns, 0, 0))
        process = subprocess.Popen([harness.ferry, 'disk', 'copy', *arguments],
                                   stdout=subprocess.DEVNULL, stderr=follower)
        os.close(follower)
        shown = b''
        while shown.count(b'\r') < 4 or not shown:
            if not select.select([leader], [], [], 1)[0] and process.poll() is not None:
                break
            try:
                shown += os.read(leader, 65536)
            except OSError:
                break
        process.send_signal(signal.SIGINT)
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:
                break
            if not part:
                break
        process.wait(harness.TIMEOUT_S)
        os.close(leader)
        return shown.decode()

    def test_copy_draws_its_progress_when_on_a_terminal(self):
        with Daemon('null:1P') as daemon:
            for columns in (40, 100):
                with self.subTest(columns):
                    shown = self.on_terminal(columns, self.endless_file(), daemon.url)
                    lines = re.findall(r'\r([^\r\x1b]+)\x1b\[K', shown)
                    self.assertRegex(lines[0], r'^copying +\d+%  \S+ \S+ of 4 TiB')
                    self.assertLess(max(map(len, lines)), columns)
                    self.assertEqual('[' in lines[0], columns == 100)

    def test_copy_draws_nothing_when_told_so(self):
        with Daemon('ram:8M') as daemon:
            shown = self.on_terminal(80, '--no-progress', self.image(size=8 * MIB), daemon.url)
            self.assertEqual(shown, '')


if __name__ == '__main__':
    harness.main()
