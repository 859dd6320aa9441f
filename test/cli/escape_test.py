"""A hostile client of `ferry serve --lend`, which makes calls by frames of its own: it gets at nothing
that was not lent, with all walls and with each of them left out, and others do not notice.

usage: escape_test.py FERRY"""

import errno
import os
import signal
import socket
import struct
import subprocess
import threading

import harness
from raw_client import Memory, PREFORK, RawClient, Refused

SECRET = b'secret'
AT_FDCWD, AT_EMPTY_PATH, O_PATH, O_TMPFILE, O_DIRECTORY = -100, 0x1000, 0o10000000, 0o20200000, 0o200000
IOCTL, SOCKET, CONNECT, SENDTO, SENDMSG, BIND, LISTEN = 16, 41, 42, 44, 46, 49, 50
SOCKETPAIR, SETSOCKOPT, FCNTL, RENAME, LINK, SYMLINK = 53, 54, 72, 82, 86, 88
DUP, GETPID, CHDIR, MKDIR, OPENAT, LINKAT = 32, 39, 80, 83, 257, 265
UNKNOWN = {
    'clone': 56, 'fork': 57, 'vfork': 58, 'execve': 59, 'kill': 62, 'ptrace': 101, 'mount': 165,
    'umount2': 166, 'pivot_root': 155, 'chroot': 161, 'prctl': 157, 'keyctl': 250, 'unshare': 272,
    'setns': 308, 'process_vm_readv': 310, 'process_vm_writev': 311, 'bpf': 321, 'userfaultfd': 323,
    'execveat': 322, 'open_by_handle_at': 304, 'perf_event_open': 298, 'pidfd_open': 434,
    'pidfd_getfd': 438, 'io_uring_setup': 425, 'io_uring_enter': 426, 'open_tree': 428,
    'move_mount': 429, 'fsopen': 430, 'mount_setattr': 442, 'seccomp': 317, 'mknod of x32': 0x40000085,
    'the last': 0xffffffff}
WALLS = ('', 'no-landlock', 'no-namespaces', 'no-namespaces,no-landlock')
NO_WAY = {-errno.ENOENT, -errno.EACCES, -errno.EPERM, -errno.ELOOP, -errno.EXDEV, -errno.ENOTDIR,
          -errno.ENOSYS, -errno.EROFS, -errno.EINVAL, -errno.ECONNREFUSED}


def internet(port, host='127.0.0.1'):
    return struct.pack('=H', socket.AF_INET) + struct.pack('!H4s8x', port, socket.inet_aton(host))


def unix(name):
    return struct.pack('=H', socket.AF_UNIX) + name


class EscapeTest(harness.TestCase):

    def setUp(self):
        super().setUp()
        os.chmod(self.path, 0o755)
        for name in ('lent', 'read', 'outside', 'lent/inner'):
            os.mkdir(os.path.join(self.path, name))
        for name in ('outside/file', 'read/file', 'lent/file'):
            with open(os.path.join(self.path, name), 'wb') as file:
                file.write(SECRET)
        self.lent, self.read = os.path.join(self.path, 'lent'), os.path.join(self.path, 'read')
        self.outside = os.path.join(self.path, 'outside')
        self.calls = os.path.join(self.path, 'calls.sock')
        self.walls = ''

    def each(self, *lends):
        """Lend, with each set of walls; gives the client."""
        for walls in WALLS:
            self.walls = walls
            daemon = subprocess.Popen(
                [harness.ferry, 'serve', '--calls=unix://' + self.calls,
                 *('--lend=' + lend for lend in lends)],
                env={**os.environ, 'FERRY_WALLS': walls}, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                while not daemon.stdout.readline().startswith('ready '):
                    self.assertIsNone(daemon.poll())
                with RawClient(self.calls) as bystander, RawClient(self.calls) as client:
                    yield client
                    self.assertGreater(bystander.call(GETPID), 0)
                daemon.send_signal(signal.SIGTERM)
                self.assertEqual(daemon.wait(harness.TIMEOUT_S), 0)
            finally:
                daemon.kill()
                daemon.wait()
                daemon.stdout.close()

    def each_directory(self):
        return self.each('path=' + self.lent, 'path=' + self.read + ',ro')

    def open(self, client, path, flags=0, fd=AT_FDCWD):
        return client.call(OPENAT, fd, path, flags, 0o600)

    def assert_no_way(self, value, what):
        self.assertIn(value, NO_WAY, (what, self.walls))

    def test_paths_lead_nowhere_else(self):
        for link, target in (('up', '../outside/file'), ('absolute', self.outside + '/file'),
                             ('passwd', '/etc/passwd'), ('magic', '/proc/self/root/etc/passwd'),
                             ('over', self.lent + '/../outside/file')):
            os.symlink(target, os.path.join(self.lent, link))
        for client in self.each_directory():
            folder = self.open(client, self.lent, O_DIRECTORY)
            handle = self.open(client, self.lent, O_PATH | O_DIRECTORY)
            self.assertGreaterEqual(min(folder, handle, self.open(client, 'file', fd=folder)), 0)
            for path in ('../outside/file', 'inner/../../outside/file', '../../../../etc/passwd', 'up',
                         'absolute', 'passwd', 'magic', 'over', '/etc/passwd', '/proc/self/environ',
                         '/proc/1/root/etc/passwd', '/dev/mem', '/sys/kernel/notes', self.calls,
                         '//' + self.outside + '/file', self.lent + '/../outside/file'):
                for fd in (folder, handle):
                    self.assert_no_way(self.open(client, path, fd=fd), path)
            self.assertEqual(client.call(CHDIR, self.lent + '/inner'), 0)
            for path in ('../../outside/file', '../up', '../../../../../../etc/passwd'):
                self.assert_no_way(self.open(client, path), path)
            for fd in range(20):
                self.assert_no_way(self.open(client, '/proc/self/fd/%u/../outside/file' % fd), fd)

    def test_links_and_symbolic_links_lead_nowhere_else(self):
        for client in self.each_directory():
            for number, name in ((LINK, 'hard'), (RENAME, 'moved')):
                for source in (self.outside + '/file', '/etc/passwd', '../outside/file',
                               self.read + '/file'):
                    self.assert_no_way(client.call(number, source, self.lent + '/' + name), source)
                self.assert_no_way(client.call(number, self.lent + '/file', self.outside + '/new'), name)
                self.assert_no_way(client.call(number, self.lent + '/file', self.read + '/new'), name)
            self.assertEqual(client.call(SYMLINK, self.outside + '/file', self.lent + '/own'), 0)
            self.assert_no_way(self.open(client, self.lent + '/own'), 'own')
            file = self.open(client, self.read + '/file')
            self.assert_no_way(client.call(LINKAT, file, '', AT_FDCWD, self.lent + '/copy', AT_EMPTY_PATH),
                               'by descriptor')
            os.unlink(os.path.join(self.lent, 'own'))
            self.assertEqual(sorted(os.listdir(self.outside)), ['file'])
            self.assertEqual(sorted(os.listdir(self.lent)), ['file', 'inner'])

    def test_what_is_lent_to_read_stays_as_it_is(self):
        path = os.path.join(self.read, 'file')
        for client in self.each_directory():
            before = os.stat(path)
            for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC):
                self.assert_no_way(self.open(client, path, flags), flags)
            self.assert_no_way(self.open(client, self.read, O_TMPFILE | os.O_RDWR), 'tmpfile')
            for number, *arguments in (
                    (76, path, 0), (90, path, 0o777), (92, path, 1, 1), (132, path, 0), (87, path),
                    (MKDIR, self.read + '/new', 0o700), (133, self.read + '/new', 0o600, 0),
                    (188, path, 'user.a', b'x', 1, 0), (197, path, 'user.a'),
                    (268, AT_FDCWD, path, 0o777), (280, AT_FDCWD, path, 0, 0)):
                self.assert_no_way(client.call(number, *arguments), number)
            handle = self.open(client, path)
            for number, *arguments in ((77, handle, 0), (91, handle, 0o777), (93, handle, 1, 1),
                                       (280, handle, 0, 0, 0), (190, handle, 'user.a', b'x', 1, 0),
                                       (285, handle, 0, 0, 100)):
                value = client.call(number, *arguments)
                self.assertLess(value, 0, number)
            after = os.stat(path)
            self.assertEqual((before.st_mode, before.st_size, before.st_ctime_ns, before.st_mtime_ns),
                             (after.st_mode, after.st_size, after.st_ctime_ns, after.st_mtime_ns))

    def test_directory_that_moves_meanwhile_leads_nowhere_else(self):
        """One client changes what a path means while another follows it."""
        for client in self.each_directory():
            is_over = threading.Event()

            def move():
                with RawClient(self.calls) as mover:
                    mover.call(SYMLINK, '../outside', self.lent + '/link')
                    mover.call(MKDIR, self.lent + '/inner/deep', 0o700)
                    while not is_over.is_set():
                        mover.call(RENAME, self.lent + '/inner', self.lent + '/away')
                        mover.call(RENAME, self.lent + '/link', self.lent + '/inner')
                        mover.call(RENAME, self.lent + '/inner', self.lent + '/link')
                        mover.call(RENAME, self.lent + '/away', self.lent + '/inner')

            thread = threading.Thread(target=move)
            thread.start()
            for _ in range(300):
                for path in ('/inner/file', '/inner/../../outside/file', '/inner/deep/../../../outside/file'):
                    self.assert_no_way(self.open(client, self.lent + path), path)
            is_over.set()
            thread.join()
            os.unlink(os.path.join(self.lent, 'link'))
            os.rmdir(os.path.join(self.lent, 'inner/deep'))

    def test_unix_sockets_lead_to_nobody(self):
        name = b'\0ferry-escape-%d' % os.getpid()
        with socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX) as outside:
            abstract.bind(name)
            abstract.listen()
            outside.bind(self.outside + '/socket')
            outside.listen()
            for client in self.each_directory():
                one = client.call(SOCKET, socket.AF_UNIX, socket.SOCK_STREAM, 0)
                if one >= 0:
                    for path in (name, self.outside.encode() + b'/socket\0',
                                 self.lent.encode() + b'/../outside/socket\0'):
                        self.assert_no_way(client.call(CONNECT, one, unix(path), 2 + len(path)), path)
                    for path in (b'\0new', b'', self.outside.encode() + b'/new\0',
                                 self.read.encode() + b'/new\0'):
                        self.assert_no_way(client.call(BIND, one, unix(path), 2 + len(path)), path)
            self.assertEqual(sorted(os.listdir(self.outside)), ['file', 'socket'])

    def test_descriptors_cannot_be_sent(self):
        for client in self.each_directory():
            ends = Memory(8)
            if client.call(SOCKETPAIR, socket.AF_UNIX, socket.SOCK_STREAM, 0, ends) != 0:
                continue
            sender, _ = struct.unpack('=ii', ends.written)
            control = struct.pack('=QIIi4x', 20, socket.SOL_SOCKET, socket.SCM_RIGHTS, sender)
            data, vector = Memory(b'x', 0x700000), Memory(struct.pack('=QQ', 0x700000, 1), 0x710000)
            rights = Memory(control, 0x720000)
            message = struct.pack('=QI4xQQQQi4x', 0, 0, 0x710000, 1, 0x720000, len(control), 0)
            self.assertEqual(client.call(SENDMSG, sender, message, 0, memory=(data, vector, rights)),
                             -errno.EPERM)

    def test_network_is_what_the_rules_allow(self):
        with socket.create_server(('127.0.0.1', 0)) as open_to, socket.create_server(('127.0.0.1', 0)) \
                as closed_to:
            allowed, refused = open_to.getsockname()[1], closed_to.getsockname()[1]
            for client in self.each('net=connect:127.0.0.1:%d' % allowed):
                stream = client.call(SOCKET, socket.AF_INET, socket.SOCK_STREAM, 0)
                datagram = client.call(SOCKET, socket.AF_INET, socket.SOCK_DGRAM, 0)
                self.assertGreaterEqual(min(stream, datagram), 0)
                for address in (internet(refused), internet(allowed, '127.0.0.2')):
                    self.assert_no_way(client.call(CONNECT, stream, address, 16), address)
                    self.assert_no_way(client.call(SENDTO, datagram, b'x', 1, 0, address, 16), address)
                for address in (internet(0), internet(8080), internet(8080, '0.0.0.0')):
                    self.assert_no_way(client.call(BIND, stream, address, 16), address)
                self.assert_no_way(client.call(LISTEN, stream, 1), 'listen')
                self.assertEqual(client.call(CONNECT, stream, internet(allowed), 16), 0)
                # That it may leave does not let it go elsewhere.
                client.call(CONNECT, stream, struct.pack('=H14x', socket.AF_UNSPEC), 16)
                self.assert_no_way(client.call(CONNECT, stream, internet(refused), 16), 'AF_UNSPEC')
                for family in (16, 17, 29, 31, 38, 40, 44):
                    self.assertLess(client.call(SOCKET, family, socket.SOCK_RAW, 0), 0, family)
                    self.assertLess(client.call(SOCKET, family, socket.SOCK_DGRAM, 0), 0, family)
                for kind in (socket.SOCK_RAW, 10):
                    self.assertLess(client.call(SOCKET, socket.AF_INET, kind, 1), 0, kind)

    def test_calls_and_codes_that_are_not_carried_do_nothing(self):
        for client in self.each('path=' + self.lent, 'net'):
            for name, number in UNKNOWN.items():
                self.assertEqual(client.call(number, 0, 0, 0, 0, 0, 0), -errno.ENOSYS, name)
            stream = client.call(SOCKET, socket.AF_INET, socket.SOCK_STREAM, 0)
            for code in (0x5412, 0x541c, 0x8914, 0x8916, 0x89f0, 0x8905 + 0x1000, 0xffffffff, 0x4004667f):
                self.assertLess(client.call(IOCTL, stream, code, b'\0' * 64), 0, code)
            for level, option in ((1, 26), (1, 36), (1, 50), (1, 25), (6, 31), (0, 35), (41, 67), (0, 64),
                                  (1, 0xffffffff)):
                self.assertLess(client.call(SETSOCKOPT, stream, level, option, b'\1\0\0\0', 4), 0,
                                (level, option))
            for command in (8, 10, 0x401, 0x402):
                self.assertLess(client.call(FCNTL, stream, command, 1), 0, command)

    def test_own_descriptors_of_the_worker_are_out_of_reach(self):
        for client in self.each('path=' + self.lent):
            last = 2
            for fd in (*range(3, 64), *range(900, 1100), *range(60000, 68000), 1 << 20, -1, 1 << 31):
                if client.call(FCNTL, fd, 1) != -errno.EBADF:
                    last = fd
            self.assertEqual(last, 2)

    def test_others_go_on_when_one_takes_all_that_there_is(self):
        for client in self.each('path=' + self.lent):
            count = 0
            while client.call(DUP, 0) >= 0 and count < 100000:
                count += 1
            self.assertLess(count, 100000)
            with self.assertRaises(Refused):
                for _ in range(2000):
                    client.ask(PREFORK, b'')
            with RawClient(self.calls) as other:
                self.assertGreaterEqual(self.open(other, self.lent + '/file'), 0)


if __name__ == '__main__':
    harness.main()
