"""`ferry serve --lend`: programs make calls within walls, and nothing of them is left when they, the
workers, the spawner or the daemon end, in whatever way.

usage: lend_test.py FERRY LEND_CLIENT [--long]     with --long: the kills go on for a minute"""

import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

import harness

CLIENT = os.path.abspath(sys.argv.pop(2))
HELLO = b'hello\n'
IS_LONG = '--long' in sys.argv
if IS_LONG:
    sys.argv.remove('--long')
STORM_S, STORM_PROGRAMS = (60, 24) if IS_LONG else (3, 8)


def status_of(pid):
    """The state of a process and its parent, or None if it has gone; a zombie has."""
    try:
        with open('/proc/%d/stat' % pid, encoding='ascii', errors='replace') as file:
            fields = file.read().rpartition(')')[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in 'ZX' else fields


def sockets(pid):
    """How many sockets a process has. All that it has for its clients are some; a loop may have other
    descriptors for a moment, when it has nothing to do for the first time."""
    count = 0
    for name in os.listdir('/proc/%d/fd' % pid):
        try:
            count += os.readlink('/proc/%d/fd/%s' % (pid, name)).startswith('socket:')
        except FileNotFoundError:
            pass
    return count


def descendants(pid):
    """All processes below one, from the top."""
    children = {}
    for entry in os.listdir('/proc'):
        fields = status_of(int(entry)) if entry.isdigit() else None
        if fields is not None:
            children.setdefault(int(fields[1]), []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(0), [])
        found += below
        todo += below
    return found


def ticks(pids):
    return sum(int(fields[11]) + int(fields[12]) for fields in map(status_of, pids) if fields)


def mounts():
    with open('/proc/self/mountinfo', encoding='utf-8') as file:
        return file.read()


class Lender:
    """A running `ferry serve` that lends; ready when made."""

    def __init__(self, case, *arguments, calls=True, ready=1):
        self.path = os.path.join(case.path, 'calls.sock')
        self.log = os.path.join(case.path, 'log')
        self.mounts = mounts()
        if calls:
            arguments = ('--calls=unix://' + self.path, *arguments)
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen([harness.ferry, 'serve', *arguments],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=log, text=True)
        self.pid, self.output, self.urls = self.process.pid, '', []
        while len(self.urls) < ready:
            line = self.process.stdout.readline()
            if not line:
                self.process.wait()
                self.process.stdout.close()
                raise AssertionError('not ready: ' + self.errors())
            self.output += line
            if line.startswith('ready '):
                self.urls.append(line.split()[1])
        self.url = self.urls[-1]
        self.spawner = descendants(self.pid)
        self.socket_count = sockets(self.pid)
        case.addCleanup(self.end)

    def errors(self):
        with open(self.log, encoding='utf-8') as file:
            return file.read()

    def workers(self):
        return [pid for pid in descendants(self.pid) if pid not in self.spawner]

    def call(self, *words, status=0):
        done = subprocess.run([harness.ferry, 'call', self.url, *words], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=harness.TIMEOUT_S, check=False)
        if done.returncode != status:
            raise AssertionError((words, done))
        return (done.stderr if status else done.stdout).decode()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        if 'Sanitizer' in self.errors() or 'runtime error' in self.errors():
            raise AssertionError(self.errors())


class Held:
    """A program that has a worker, until it is told to go."""

    def __init__(self, case, url, *what):
        self.process = subprocess.Popen([CLIENT, url, *(what or ('hold',))], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        case.addCleanup(self.end)

    def await_call(self):
        if self.process.stdout.readline() != b'held\n':
            raise AssertionError(self.process.communicate()[1])

    def go(self):
        """Its status, after one more call."""
        self.process.communicate(timeout=harness.TIMEOUT_S)
        return self.process.returncode

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        if not self.process.stdin.closed:
            self.process.communicate()


class LendTest(harness.TestCase):

    def setUp(self):
        super().setUp()
        self.lent = os.path.join(self.path, 'lent')
        os.mkdir(self.lent)
        self.file = os.path.join(self.lent, 'file')
        with open(self.file, 'wb') as file:
            file.write(HELLO)
        os.chmod(self.path, 0o755)

    def lend_directory(self, *arguments, **options):
        return Lender(self, '--lend=path=' + self.lent, *arguments, **options)

    def held(self, lender, count):
        held = [Held(self, lender.url) for _ in range(count)]
        for one in held:
            one.await_call()
        return held

    def assert_nothing_left(self, lender, pids):
        harness.until(lambda: not any(map(status_of, pids)), 'processes have ended')
        self.assertEqual(mounts(), lender.mounts)

    def assert_ends(self, lender, status=0):
        """Told to, with nothing left."""
        pids = descendants(lender.pid)
        lender.process.send_signal(signal.SIGTERM)
        self.assertEqual(lender.process.wait(harness.TIMEOUT_S), status, lender.errors())
        self.assert_nothing_left(lender, pids)
        self.assertFalse(os.path.exists(lender.path))

    def test_directory_is_lent_and_nothing_else(self):
        self.check_directory()

    def test_directory_is_lent_and_nothing_else_when_there_are_no_namespaces(self):
        os.environ['FERRY_WALLS'] = 'no-namespaces'
        self.addCleanup(os.environ.pop, 'FERRY_WALLS')
        self.check_directory()

    def check_directory(self):
        lender = self.lend_directory()
        self.assertIn('Lending path=' + self.lent, lender.output)
        self.assertEqual(lender.call('open', self.file, '0', ',', 'read', '3', '[9]', '9'),
                         '3\n6\n"hello\\x0a"\n')
        os.symlink('/etc/passwd', os.path.join(self.lent, 'link'))
        for path in ('/etc/passwd', '/proc/self/status', self.lent + '/../log', lender.path,
                     self.lent + '/link'):
            self.assertIn('ENOENT', lender.call('open', path, '0', status=1))
        self.assertIn('EACCES', lender.call('socket', '2', '1', '0', status=1))
        harness.until(lambda: 'is not lent' in lender.errors(), 'the log tells of it')
        self.assert_ends(lender)

    def test_directory_cannot_be_changed_when_it_is_lent_read_only(self):
        lender = Lender(self, '--lend=path=' + self.lent + ',ro')
        self.assertEqual(lender.call('open', self.file, '0'), '3\n')
        self.assertIn('EROFS', lender.call('open', self.file, '1', status=1))
        self.assertIn('EROFS', lender.call('mkdir', self.lent + '/new', '0755', status=1))
        self.assert_ends(lender)

    def test_network_is_lent_by_rules(self):
        with socket.create_server(('127.0.0.1', 0)) as listener:
            port = listener.getsockname()[1]
            lender = Lender(self, '--lend=net=connect:127.0.0.1:%d' % port)
            address = self.image('address', data=struct.pack('!2s', struct.pack('=H', 2)) +
                                 struct.pack('!H4s8x', port, socket.inet_aton('127.0.0.1')))
            self.assertEqual(lender.call('socket', '2', '1', '0', ',', 'connect', '3', '@' + address,
                                         '16', ',', 'write', '3', '=there', '5'), '3\n0\n5\n')
            with listener.accept()[0] as connection:
                self.assertEqual(connection.recv(9), b'there')
            self.assertIn('EACCES', lender.call('socket', '2', '1', '0', ',', 'bind', '3',
                                                '@' + address, '16', status=1))
            self.assert_ends(lender)

    def test_disks_and_calls_are_lent_by_one_daemon(self):
        lender = self.lend_directory('--listen=127.0.0.1:0', 'ram:1M', ready=2)
        status, output, _ = harness.run('disk', 'info', lender.urls[0])
        self.assertEqual((status, '1 MiB' in output), (0, True))
        self.assertEqual(lender.call('open', self.file, '0'), '3\n')
        self.held(lender, 2)
        self.assert_ends(lender)

    def test_calls_are_traced(self):
        lender = self.lend_directory('--trace')
        lender.call('open', self.file, '0', ',', 'close', '3')
        wanted = r'\n\[1\] open\("%s", O_RDONLY(, 0)?\) = 3\n\[1\] close\(3\) = 0\n' % self.file
        harness.until(lambda: re.search(wanted, lender.errors()), 'calls are traced')
        self.assert_ends(lender)

    def test_who_comes_and_goes_is_logged(self):
        lender = self.lend_directory()
        lender.call('getpid', ',', 'open', '/etc/passwd', '0', status=1)
        harness.until(lambda: 'process 1, ferry: went: 2 calls, 1 failed, 0 refused'
                      in lender.errors(), 'it is said how it went')
        self.assertIn('process 1 is ferry', lender.errors())
        self.assert_ends(lender)

    def test_program_forks_there_when_it_forks_here(self):
        lender = self.lend_directory()
        path = os.path.join(self.lent, 'forked')
        output = subprocess.run([CLIENT, lender.url, 'fork', path], stdout=subprocess.PIPE,
                                timeout=harness.TIMEOUT_S, check=True).stdout
        self.assertEqual(output, b'parent child\n')
        self.assertEqual(self.contents(path), b'parent child')
        harness.until(lambda: not lender.workers(), 'both have gone')
        self.assert_ends(lender)

    def test_nothing_is_left_when_many_programs_are_killed(self):
        lender = self.lend_directory()
        held = self.held(lender, 50)
        self.assertEqual(len(lender.workers()), 50)
        for one in held[:25]:
            one.process.kill()
        harness.until(lambda: len(lender.workers()) == 25, 'workers of killed programs have gone')
        for one in held[25:]:
            self.assertEqual(one.go(), 0)
        self.assert_no_programs(lender)
        self.assertEqual(lender.call('open', self.file, '0'), '3\n')
        self.assert_ends(lender)

    def test_two_hundred_programs_are_served_at_once(self):
        count = 20 if harness.is_sanitized() else 200
        lender = self.lend_directory()
        held = self.held(lender, count)
        self.assertEqual(len(lender.workers()), count)
        for one in held:
            self.assertEqual(one.go(), 0)
        self.assert_no_programs(lender)
        self.assert_ends(lender)

    def test_nothing_is_left_when_programs_are_killed_in_mid_call(self):
        """They write, read, block and fork; files that they make lose their names at once, but for
        those of a program that was killed in between."""
        if harness.is_sanitized():
            self.skipTest('sanitizers hang in a process that forks beside its threads')
        lender = self.lend_directory()
        seed = random.randrange(1 << 32)
        chance, end = random.Random(seed), time.monotonic() + STORM_S
        held = [Held(self, lender.url, 'storm', self.lent) for _ in range(STORM_PROGRAMS)]
        while time.monotonic() < end:
            victim = chance.randrange(STORM_PROGRAMS)
            held[victim].await_call()
            held[victim].end()
            self.assertEqual(held[victim].process.returncode, -signal.SIGKILL, seed)
            held[victim] = Held(self, lender.url, 'storm', self.lent)
        for one in held:
            one.end()
        self.assert_no_programs(lender)
        self.assertEqual(lender.call('open', self.file, '0'), '3\n')
        self.assertNotIn('killed by signal', lender.errors())
        self.assert_ends(lender)

    def assert_no_programs(self, lender):
        harness.until(lambda: not lender.workers(), 'all workers have gone')
        harness.until(lambda: sockets(lender.pid) == lender.socket_count, 'no descriptor is left')

    def test_others_go_on_when_a_worker_is_killed(self):
        lender = self.lend_directory()
        first = self.held(lender, 1)[0]
        victim, = lender.workers()
        second = self.held(lender, 1)[0]
        os.kill(victim, signal.SIGKILL)
        self.assertEqual(first.go(), 1)
        self.assertEqual(second.go(), 0)
        harness.until(lambda: 'killed by signal 9' in lender.errors(), 'the log tells of it')
        self.assert_ends(lender)

    def test_nothing_is_left_when_the_spawner_is_killed(self):
        lender = self.lend_directory()
        self.held(lender, 2)
        pids = descendants(lender.pid)
        os.kill(lender.spawner[0], signal.SIGKILL)
        self.assertEqual(lender.process.wait(harness.TIMEOUT_S), 1)
        self.assertIn('no calls are served any more', lender.errors())
        self.assert_nothing_left(lender, pids)
        self.assertFalse(os.path.exists(lender.path))

    def test_nothing_is_left_when_the_daemon_is_killed(self):
        lender = self.lend_directory()
        self.held(lender, 2)
        pids = descendants(lender.pid)
        lender.process.kill()
        lender.process.wait()
        self.assert_nothing_left(lender, pids)
        # What it could not remove is replaced.
        again = self.lend_directory()
        self.assertEqual(again.call('open', self.file, '0'), '3\n')
        self.assert_ends(again)

    def test_it_ends_in_order_when_programs_are_connected(self):
        lender = self.lend_directory()
        held = self.held(lender, 3)
        self.assert_ends(lender)
        for one in held:
            self.assertEqual(one.go(), 1)

    def test_it_uses_no_processor_when_programs_are_idle(self):
        if harness.is_sanitized():
            self.skipTest('sanitizers have threads of their own')
        lender = self.lend_directory()
        self.held(lender, 5)
        pids = [lender.pid, *descendants(lender.pid)]
        harness.until(lambda: self.are_still(pids), 'nobody uses the processor')

    @staticmethod
    def are_still(pids):
        before, end = ticks(pids), time.monotonic() + 2
        harness.until(lambda: time.monotonic() > end, 'time passes')
        return ticks(pids) == before

    def test_it_serves_one_program_by_standard_input_and_output(self):
        for is_piped in (False, True):
            with self.subTest(is_piped=is_piped):
                ours, theirs = socket.socketpair()
                if is_piped:
                    status, errors = self.serve_pipes(theirs, ours)
                else:
                    status, errors = self.serve_socket(theirs, ours)
                self.assertEqual(status, 0, errors)
                self.assertIn('went: 1 calls', errors)

    def begin_stdio(self, standard_input, standard_output):
        daemon = subprocess.Popen([harness.ferry, 'serve', '--stdio', '--lend=path=' + self.lent],
                                  stdin=standard_input, stdout=standard_output,
                                  stderr=subprocess.PIPE, text=True)
        self.addCleanup(daemon.kill)
        return daemon

    def call_by(self, ours):
        output = subprocess.run([harness.ferry, 'call', 'fd://%d' % ours.fileno(), 'open', self.file,
                                 '0'], pass_fds=[ours.fileno()], stdout=subprocess.PIPE,
                                timeout=harness.TIMEOUT_S, check=True).stdout
        self.assertEqual(output, b'3\n')
        ours.close()

    def serve_socket(self, theirs, ours):
        daemon = self.begin_stdio(theirs, theirs)
        theirs.close()
        self.call_by(ours)
        errors = daemon.communicate(timeout=harness.TIMEOUT_S)[1]
        return daemon.returncode, errors

    def serve_pipes(self, theirs, ours):
        """As a shell there would be, with a pipe each way."""
        daemon = self.begin_stdio(subprocess.PIPE, subprocess.PIPE)

        def bring():
            while data := theirs.recv(65536):
                daemon.stdin.buffer.raw.write(data)
            daemon.stdin.close()

        def take():
            while data := daemon.stdout.buffer.raw.read(65536):
                theirs.sendall(data)

        threads = [threading.Thread(target=work) for work in (bring, take)]
        for thread in threads:
            thread.start()
        self.call_by(ours)
        for thread in threads:
            thread.join()
        theirs.close()
        errors = daemon.stderr.read()
        daemon.stdout.close()
        daemon.stderr.close()
        return daemon.wait(harness.TIMEOUT_S), errors

    def test_it_ends_when_standard_input_says_nothing(self):
        daemon = self.begin_stdio(subprocess.DEVNULL, subprocess.PIPE)
        output, errors = daemon.communicate(timeout=harness.TIMEOUT_S)
        self.assertEqual(daemon.returncode, 0, errors)
        self.assertTrue(output.startswith('RUMPSP-0.4-'), output)

    def test_it_listens_in_a_directory_of_its_user_when_no_place_is_named(self):
        os.environ['XDG_RUNTIME_DIR'] = self.path
        self.addCleanup(os.environ.pop, 'XDG_RUNTIME_DIR')
        lender = self.lend_directory(calls=False)
        self.assertEqual(lender.url, 'unix://%s/ferry.sock' % self.path)
        self.assertEqual(lender.call('open', self.file, '0'), '3\n')
        self.assert_ends(lender)

    @unittest.skipUnless(os.geteuid() == 0, 'only root can become another user')
    def test_it_becomes_another_user_when_root_asks_for_it(self):
        os.chmod(self.lent, 0o755)
        os.chmod(self.file, 0o600)
        shared = os.path.join(self.path, 'shared')
        os.mkdir(shared)
        os.chown(shared, 65534, 65534)
        lender = self.lend_directory('--user=nobody', '--calls=unix://%s/sock' % shared,
                                     calls=False)
        self.assertEqual(lender.call('getuid', ',', 'geteuid', ',', 'getgid'), '65534\n' * 3)
        self.assertIn('EACCES', lender.call('open', self.file, '0', status=1))
        self.assertEqual(os.stat('/proc/%d' % lender.pid).st_uid in (0, 65534), True)
        with open('/proc/%d/status' % lender.pid, encoding='ascii') as file:
            self.assertIn('Uid:\t65534\t65534\t65534\t65534', file.read())
        self.assert_ends(lender)


if __name__ == '__main__':
    harness.main()
