"""What the tests of the program share: running it, and a daemon with the URLs of its ready lines.

A test is a program: TEST FERRY, where FERRY is the binary. It ends with 77 if all it has was skipped."""

import errno
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

BLOCK = 512
MIB = 1 << 20
TIMEOUT_S = 30

ferry = None  # the binary's path, set by main()


def main():
    global ferry
    ferry = os.path.abspath(sys.argv.pop(1))
    program = unittest.main(exit=False, module='__main__')
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if result.testsRun and len(result.skipped) == result.testsRun else 0)


def run(*arguments, **options):
    """Run ferry to its end; returns status, standard output, standard error."""
    done = subprocess.run([ferry, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S, check=False,
                          **options)
    return done.returncode, done.stdout, done.stderr


def is_sanitized():
    """Whether the binary was built with a sanitizer, which takes memory and time of its own."""
    with open(ferry, 'rb') as file:
        contents = file.read()
    return b'__asan_init' in contents or b'__tsan_init' in contents


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(('::1', 0))
        return True
    except OSError:
        return False


def free_port():
    """A port that nobody has, on any address. The kernel chooses none below 32768 for those who
    leave it the choice, so that no connection of another test takes it meanwhile."""
    while True:
        port = random.randrange(20000, 32000)
        try:
            with socket.create_server(('', port)):
                return port
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise


def until(condition, what, timeout_s=TIMEOUT_S):
    """Wait for a condition that nothing announces."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError('still not: ' + what)
        select.select([], [], [], 0.01)


class Daemon:
    """A running `ferry serve`; ready when made. What it prints is in output, what it complains of in
    errors() (a file: no pipe that nobody reads can stop it)."""

    def __init__(self, *arguments, listen=('127.0.0.1:0',), **options):
        self.log = tempfile.NamedTemporaryFile(mode='r')
        listeners = ['--listen=' + address for address in listen]
        # Opened once more: seeking in a shared description would move where the daemon writes.
        with open(self.log.name, 'ab') as errors:
            options = {'stderr': errors, **options}
            self.process = subprocess.Popen([ferry, 'serve', *listeners, *arguments],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            text=True, **options)
        self.pid = self.process.pid
        self.output, self.urls = '', []
        while len(self.urls) < len(listen):
            line = self.process.stdout.readline()
            if not line:
                self.process.wait()
                raise AssertionError('ended with %d before it was ready: %s' %
                                     (self.process.returncode, self.errors()))
            self.output += line
            if line.startswith('ready '):
                self.urls.append(line.split()[1])
        self.url = self.urls[0]

    def errors(self):
        self.log.seek(0)
        return self.log.read()

    def stop(self, number=signal.SIGTERM):
        """Send a signal; returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT_S)

    def is_alive(self):
        return self.process.poll() is None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.is_alive():
            self.process.kill()
            self.process.wait()
        errors = self.errors()
        self.process.stdout.close()
        self.log.close()
        if 'Sanitizer' in errors or 'runtime error' in errors:
            raise AssertionError(errors)


class TestCase(unittest.TestCase):
    """With a directory of its own, self.path."""

    def setUp(self):
        self.path = tempfile.mkdtemp(prefix='ferry-test-')
        self.addCleanup(shutil.rmtree, self.path)

    def image(self, name='disk.img', size=MIB, data=None):
        """A file of zeros (a hole) or of data; returns its path."""
        path = os.path.join(self.path, name)
        with open(path, 'wb') as file:
            if data is None:
                file.truncate(size)
            else:
                file.write(data)
        return path

    def contents(self, path):
        with open(path, 'rb') as file:
            return file.read()

    def assert_complains(self, outcome, status, *words):
        """That it ended with this status and one line of complaint with these words; a wrong command
        line adds a pointer to --help."""
        found, _, errors = outcome
        lines = errors.splitlines()
        self.assertEqual(found, status, errors)
        self.assertRegex(lines[0], r'^ferry( \w+)*: \S')
        self.assertEqual(len(lines), 2 if status == 2 else 1, errors)
        if status == 2:
            self.assertRegex(lines[1], r"^Try 'ferry.* --help'\.$")
        for word in words:
            self.assertIn(word, lines[0])
