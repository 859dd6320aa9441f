"""`ferry call`: what a kernel answers is shown, and what goes wrong is said.

usage: call_test.py FERRY KERNEL_TREE BLOCKING_KERNEL BENCH_SYSPROXY"""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading

import harness

KERNEL_TREE, BLOCKING_KERNEL, BENCH = (os.path.abspath(path) for path in sys.argv[2:5])
del sys.argv[2:5]

HELP = """\
Usage: ferry call [OPTIONS] URL NAME|NUMBER [ARGUMENT...] [, NAME|NUMBER [ARGUMENT...]]...

Make system calls in the kernel that answers at URL, unix://PATH or tcp://HOST:PORT, one
after the other in one process there, and print what each returns. NAME is that of a Linux
call, such as getpid. An argument that is a comma by itself ends a call. An ARGUMENT is
  123, 0x7b, 0644, -1   a number
  TEXT, =TEXT           a string, its address is passed; with = also one that
                        begins like something else
  @FILE                 the contents of a file
  [N]                   room for N bytes, printed when the call has filled it
and of calls by name, where the argument is of that kind,
  O_RDWR|O_CREAT        names of flags, requests, options; AT_FDCWD
  127.0.0.1:80, [::1]:80, /PATH
                        the address of a socket
What is left out at the end is 0, or, where it says so, the bytes of another argument.
The exit status is 1 when a call fails; those after it are not made.

Options:
  --json                        print each result as a JSON object on a line of its own
  --raw                         print the bytes that came back and nothing else
  --trace                       print each call with its arguments and result, as strace does
  --plain                       speak plain sysproxy 0.4, with the numbers of NetBSD's calls
  --connect-timeout=MS          milliseconds to wait for the server, 1..600000 (default 10000)
  --help                        this help

Examples:
  ferry call unix:///tmp/tree.sock getpid
  ferry call unix:///tmp/tree.sock open /hello 'O_WRONLY|O_CREAT' 0644 , write 0 hi
  ferry call unix:///tmp/tree.sock open /hello 0 , read 0 [100]
"""


class Kernel:
    """A running kernel; ready when made."""

    def __init__(self, program, url):
        self.process = subprocess.Popen([program, url], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith('ready '):
            raise AssertionError(line + self.process.communicate()[1])
        self.url = line.split()[1]

    def end(self):
        """Its status and what it complained of, after a signal."""
        self.process.terminate()
        return self.finish()

    def finish(self):
        """The same, after the end of its input."""
        errors = self.process.communicate(timeout=harness.TIMEOUT_S)[1]
        return self.process.returncode, errors

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        errors = self.process.communicate()[1]
        if 'Sanitizer' in errors or 'runtime error' in errors:
            raise AssertionError(errors)


class TestCase(harness.TestCase):

    def socket_url(self, name='kernel.sock'):
        return 'unix://' + os.path.join(self.path, name)

    def tree(self, url=None):
        kernel = Kernel(KERNEL_TREE, url or self.socket_url())
        self.addCleanup(kernel.__exit__)
        return kernel

    def call(self, url, *arguments):
        """What the calls have printed, in lines."""
        status, output, errors = harness.run('call', url, *arguments)
        self.assertEqual((status, errors), (0, ''))
        return output.splitlines()


class CallTest(TestCase):

    def test_call_prints_what_the_kernel_returns_when_it_succeeds(self):
        url = self.tree().url
        first, second = int(self.call(url, 'getpid')[0]), int(self.call(url, 'getpid')[0])
        self.assertGreater(second, first)
        self.assertEqual(self.call(url, 'mkdir', '/d', '0755'), ['0'])
        self.assertEqual(self.call(url, 'open', '/d/hello', '0x41', '0644', ',',
                                   'write', '0', 'hi there', '8', ',',
                                   'pwrite64', '0', 'you', '3', '9', ',', 'close', '0'),
                         ['0', '8', '3', '0'])
        self.assertEqual(self.call(url, 'open', '/d/hello', '0', ',', 'read', '0', '[100]', '100',
                                   ',', 'read', '0', '[5]', '5', ',',
                                   'pread64', '0', '[5]', '2', '3'),
                         ['0', '12', r'"hi there\x00you"', '0', '""', '2', '"th"'])
        self.assertEqual(self.call(url, '39', ',', '0x27', ',', '--', 'getpid')[0],
                         str(second + 4))

    def test_call_does_the_same_when_it_goes_by_tcp(self):
        for host in ('127.0.0.1', '[::1]') if harness.has_ipv6() else ('127.0.0.1',):
            with self.subTest(host):
                url = self.tree('tcp://%s:0' % host).url
                self.assertRegex(url, r'^tcp://.*:[1-9]\d*$')
                self.assertEqual(self.call(url, 'open', 'x', '0x41', ',', 'write', '0', 'x', '1'),
                                 ['0', '1'])

    def test_call_passes_memory_when_arguments_say_so(self):
        url = self.tree().url
        data = os.urandom(60000)
        path = self.image('data', data=data)
        self.assertEqual(self.call(url, 'open', '=123', '0x41', ',', 'write', '0', '@' + path,
                                   '60000', ',', 'pwrite64', '0', '', '1', '60000'),
                         ['0', '60000', '1'])
        done = subprocess.run([harness.ferry, 'call', '--raw', url, 'open', '/123', '0', ',',
                               'read', '0', '[60000]', '60000'], stdout=subprocess.PIPE,
                              timeout=harness.TIMEOUT_S, check=True)
        self.assertEqual(done.stdout, data)

    def test_call_tells_all_when_json_is_asked(self):
        url = self.tree().url
        status, output, errors = harness.run('call', '--json', url, 'open', '/j', '0x41', ',',
                                             'write', '0', 'a"\\\n\xff', '7', ',',
                                             'pread64', '0', '[10]', '10', '0', ',',
                                             'open', '/none', '0', ',', 'getpid')
        told = [json.loads(line) for line in output.splitlines()]
        done = {'value2': 0, 'errno': 0, 'error': None, 'output': []}
        self.assertEqual((status, errors), (1, ''))
        self.assertEqual(told, [
            {**done, 'call': 'open', 'value': 0},
            {**done, 'call': 'write', 'value': 7},
            {**done, 'call': 'pread64', 'value': 7, 'output': ['a"\\\n\xc3\xbf\0']},
            {'call': 'open', 'value': 0, 'value2': 0, 'errno': 2, 'error': 'ENOENT', 'output': []}])

    def test_call_understands_names_when_the_call_is_known(self):
        url = self.tree().url
        self.assertEqual(self.call(url, 'open', '/n', 'O_RDWR|O_CREAT', '0644', ',',
                                   'write', '0', 'hello', ',', 'close', '0', ',',
                                   'open', '/n', 'O_RDONLY', ',', 'read', '0', '[100]'),
                         ['0', '5', '0', '0', '5', '"hello"'])

    def test_call_shows_calls_when_a_trace_is_asked(self):
        url = self.tree().url
        self.assertEqual(self.call(url, '--trace', 'open', '/t', 'O_RDWR|O_CREAT', '0600', ',',
                                   'write', '0', 'a\n', ',', 'pread64', '0', '[9]', '9', '1'),
                         ['open("/t", O_RDWR|O_CREAT, 0600) = 0', 'write(0, "a\\n", 2) = 2',
                          'pread64(0, "\\n", 9, 1) = 1'])
        self.assertEqual(harness.run('call', '--trace', url, 'open', '/none', 'O_RDONLY'),
                         (1, 'open("/none", O_RDONLY, 0) = -1 ENOENT (No such file or directory)\n',
                          ''))

    def test_call_goes_by_netbsd_when_plain_is_asked(self):
        url = self.tree().url
        self.assertEqual(
                         self.call(url, '--plain', 'open', '/p', '0x200', ',',
                                   'pwrite', '0', 'hello', '5', '0', '2', ',',
                                   '173', '0', '[9]', '9', '0', '1'),
                         ['0', '5', '6', r'"\x00hello"'])
        self.assert_complains(harness.run('call', '--plain', url, 'open', '/none', '0'), 1,
                              'open: No such file', 'ENOENT')
        self.assert_complains(harness.run('call', '--plain', url, 'lseek', '0', '0', '0', '0'), 1,
                              'lseek: error 78, as that kernel numbers them')
        self.assert_complains(harness.run('call', '--plain', url, 'pread64'), 2,
                              'pread64: no such system call', 'NetBSD')
        self.assertEqual(json.loads(harness.run('call', '--plain', '--json', url, '999')[1]),
                         {'call': '999', 'value': 0, 'value2': 0, 'errno': 78, 'error': None,
                          'output': []})

    def test_call_stops_when_one_fails(self):
        url = self.tree().url
        for arguments, words in ((('open', '/none', '0'), ('open: No such file', 'ENOENT')),
                                 (('9999',), ('9999: Function not', 'ENOSYS')),
                                 (('mkdir', '/a/b', '0'), ('mkdir:', 'ENOENT')),
                                 (('read', '5', '[1]', '1'), ('EBADF',)),
                                 (('open', '12345678', '0'), ('EFAULT',))):
            with self.subTest(arguments):
                outcome = harness.run('call', url, *arguments, ',', 'getpid')
                self.assert_complains(outcome, 1, *words)
                self.assertEqual(outcome[1], '')

    def test_call_leaves_nothing_when_it_has_ended(self):
        kernel = self.tree()
        path = kernel.url[len('unix://'):]
        self.call(kernel.url, 'getpid')
        self.assertEqual(kernel.end(), (0, ''))
        self.assertFalse(os.path.exists(path))


class ComplaintTest(TestCase):

    def test_call_complains_when_the_command_line_is_wrong(self):
        rows = (('', 'needed', 'ferry call unix://'),
                ('URL', 'needed'),
                ('URL nosuch', 'nosuch: no such system call'),
                ('URL getpid , nosuch', 'nosuch: no such system call'),
                ('URL 4294967296', 'no such system call'),
                ('--json --raw URL getpid', '--json', '--raw'),
                ('--trace --raw URL getpid', '--trace', '--raw'),
                ('--trace --plain URL getpid', '--trace', '--plain'),
                ('URL openat 0 x O_NONSENSE', 'O_NONSENSE', 'names of flags'),
                ('URL openat x y', 'x:', 'a descriptor'),
                ('URL connect 0 127.0.0.1:x', '127.0.0.1:x', 'an address is'),
                ('--connect-timeout=0 URL getpid', '1..600000'),
                ('--json=1 URL getpid', 'takes no value'),
                ('URL read 0 [x]', '[x]', '[N]'),
                ('URL read 0 [67108865]', '64 MiB'),
                ('URL read 0 @/nonexistent', '@/nonexistent', 'cannot be read'),
                ('URL getpid ,', 'comma'),
                ('URL , getpid', 'comma'),
                ('URL getpid , , getpid', 'comma'),
                ('URL getpid' + ' 1' * 17, 'getpid', '16'))
        for arguments, *words in rows:
            with self.subTest(arguments):
                arguments = arguments.replace('URL', self.socket_url('none'))
                self.assert_complains(harness.run('call', *arguments.split()), 2, *words)

    def test_call_complains_when_no_server_is_there(self):
        with socket.socket() as unused:
            unused.bind(('127.0.0.1', 0))
            rows = ((self.socket_url('none'), 'No such file', 'is the server running'),
                    ('tcp://127.0.0.1:%d' % unused.getsockname()[1], 'refused', 'is the server running'),
                    ('tcp://192.0.2.1:7000', 'this machine only', 'ssh'),
                    ('tcp://127.0.0.1', 'port'),
                    ('http://127.0.0.1/', 'unix://, tcp:// or fd://'),
                    ('nonsense', 'nonsense'),
                    ('fd://99', 'fd://99'),
                    ('unix://', 'path'))
            for url, *words in rows:
                with self.subTest(url):
                    self.assert_complains(harness.run('call', url, 'getpid'), 1, url.split(':')[0],
                                          *words)

    def test_call_complains_when_something_else_answers(self):
        """What speaks first, and what waits for a request as web servers do."""
        for greeting in (b'HTTP/1.1 400 Bad Request\r\n\r\n', b'x' * 4096, b'', None):
            with self.subTest(greeting), socket.create_server(('127.0.0.1', 0)) as server:
                def answer(server=server, greeting=greeting):
                    with server.accept()[0] as connection:
                        if greeting is None:
                            connection.recv(1)
                        else:
                            connection.sendall(greeting)

                thread = threading.Thread(target=answer)
                thread.start()
                url = 'tcp://127.0.0.1:%d' % server.getsockname()[1]
                timeout = '--connect-timeout=%d' % (50 if greeting is None else 20000)
                self.assert_complains(harness.run('call', timeout, url, 'getpid'), 1, url,
                                      'no sysproxy server')
                thread.join()

    def test_call_complains_when_the_server_dies_in_the_midst(self):
        with Kernel(BLOCKING_KERNEL, self.socket_url()) as kernel:
            with self.blocked(kernel) as process:
                kernel.process.kill()
                output, errors = process.communicate(timeout=harness.TIMEOUT_S)
            self.assert_complains((process.returncode, output, errors), 1, '10: ', 'midst',
                                  'may have been made')

    @contextlib.contextmanager
    def blocked(self, kernel, *options):
        """A `ferry call` that the kernel keeps waiting, after another that did not wait."""
        arguments = [harness.ferry, 'call', *options, kernel.url, '1', ',', '10', '1', ',', '1']
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        with process:
            try:
                self.assertEqual(kernel.process.stdout.readline(), 'blocked\n')
                yield process
            finally:
                process.kill()

    def test_call_ends_in_order_when_interrupted(self):
        with Kernel(BLOCKING_KERNEL, self.socket_url()) as kernel:
            with self.blocked(kernel) as process:
                self.assertRegex(process.stdout.readline(), r'^\d+\n$')
                process.send_signal(signal.SIGINT)
                output, errors = process.communicate(timeout=harness.TIMEOUT_S)
            self.assertEqual((process.returncode, output), (130, ''))
            self.assertEqual(errors, 'ferry call: 10: Interrupted system call (EINTR)\n')
            self.assertEqual(kernel.finish(), (0, ''))

    def test_call_ends_at_once_when_interrupted_and_nothing_can_be_cancelled(self):
        with Kernel(BLOCKING_KERNEL, self.socket_url()) as kernel:
            with self.blocked(kernel, '--plain') as process:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=harness.TIMEOUT_S)
            self.assertEqual(process.returncode, -signal.SIGINT)

    def test_help_is_as_ever_when_asked(self):
        self.assertEqual(harness.run('call', '--help'), (0, HELP, ''))
        self.assertEqual(harness.run('help', 'call'), (0, HELP, ''))


class DocumentTest(TestCase):

    def sessions(self, name):
        """The commands, each with what it prints, of the document's sessions with the tree."""
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..', name)
        with open(path, encoding='utf-8') as file:
            blocks = re.findall(r'(?s)```\n(.*?)```', file.read())
        for block in blocks:
            if 'kernel-tree' in block:
                yield re.findall(r'(?m)^\$ ferry (call .*)\n((?:[^$].*\n)*)', block)

    def test_documents_show_what_happens_when_they_show_a_session(self):
        for name, command_count in (('README.md', 4), ('doc/ferry-call.1.scd', 4)):
            url = self.tree(self.socket_url(name.replace('/', '-'))).url
            commands = [command for session in self.sessions(name) for command in session]
            self.assertEqual(len(commands), command_count)
            for command, shown in commands:
                with self.subTest((name, command)):
                    arguments = shlex.split(command.replace('unix:///tmp/tree.sock', url))
                    _, output, errors = harness.run(*arguments)
                    self.assertEqual(output + errors, shown)


class BenchTest(TestCase):

    def test_bench_measures_when_given_a_moment(self):
        """That it runs; what it finds in so short a time means nothing."""
        done = subprocess.run([BENCH, KERNEL_TREE, '1', '1'], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=harness.TIMEOUT_S,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        for family in ('unix', 'tcp'):
            for threads in (1, 4):
                for work in ('null call', 'read 4 KiB', 'write 4 KiB', 'read 64 KiB', 'write 64 KiB'):
                    self.assertRegex(done.stdout, r'(?m)^%s +%d threads?, *%s +ferry +\d.* ratio \d'
                                     % (family, threads, work))


if __name__ == '__main__':
    harness.main()
