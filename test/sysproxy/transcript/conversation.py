"""Carries a case out: its connections, what is sent on them and what is expected, at either end."""

import os
import re
import select
import signal
import socket
import subprocess
import time

import frame
import script

TIMEOUT_S = 30
FLOOD_BYTES_MAX = 64 << 20
FLOOD_QUIET_S = 0.2
BANNER = re.compile(rb'RUMPSP-0\.4-[^\n/]*/[^\n ]+( FERRY-\d+)?\n')


class Failure(Exception):
    """The other end did not do what the case says."""


class Connection:

    def __init__(self, sock):
        self.socket = sock
        self.socket.settimeout(TIMEOUT_S)
        self.banner = b''
        self.held = b''           # to be sent together with what comes next
        self.next_number = 0
        self.sent_number = 0      # of the latest request that was sent
        self.received_number = 0  # of the latest request that came
        self.call_number = 0      # of the latest call, either way

    def close(self):
        self.socket.close()

    def send(self, data):
        data, self.held = self.held + data, b''
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # what is expected next will find it closed

    def receive(self, count):
        """So many bytes, fewer where the other end closes."""
        data = bytearray()
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionResetError:
                break
            except socket.timeout:
                raise Failure('nothing within %u s' % TIMEOUT_S) from None
            if not part:
                break
            data += part
        return bytes(data)

    def receive_banner(self):
        while not self.banner.endswith(b'\n'):
            byte = self.receive(1)
            if not byte or len(self.banner) >= 95:
                raise Failure('no banner: %r' % self.banner)
            self.banner += byte
        if not BANNER.fullmatch(self.banner):
            raise Failure('not the banner of a server: %r' % self.banner)

    def receive_frame(self):
        header = self.receive(frame.HEADER_BYTES)
        if not header:
            raise Failure('closed')
        if len(header) < frame.HEADER_BYTES:
            raise Failure('closed within a frame')
        total = int.from_bytes(header[:8], 'little')
        if not frame.HEADER_BYTES <= total <= frame.FRAME_MAX:
            raise Failure('a frame of %u bytes' % total)
        payload = self.receive(total - frame.HEADER_BYTES)
        if len(payload) < total - frame.HEADER_BYTES:
            raise Failure('closed within a frame')
        return header + payload

    def flood(self, data):
        """Send again and again, and read nothing, until no more is taken."""
        self.socket.setblocking(False)
        sent, offset = 0, 0
        try:
            while sent < FLOOD_BYTES_MAX:
                if not select.select([], [self.socket], [], FLOOD_QUIET_S)[1]:
                    return
                count = self.socket.send((data * 64)[offset:])
                sent, offset = sent + count, (offset + count) % len(data)
        except (BrokenPipeError, ConnectionResetError):
            return  # a server may also hang up
        finally:
            self.socket.settimeout(TIMEOUT_S)


def dial(url):
    """A connection to a server."""
    kind, _, rest = url.partition('://')
    if kind == 'unix':
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(rest)
    elif kind == 'tcp':
        host, _, port = rest.rpartition(':')
        sock = socket.create_connection((host.strip('[]'), int(port)), TIMEOUT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    else:
        raise Failure('not unix:// or tcp://: ' + url)
    return Connection(sock)


class ClientEnd:
    """The runner is the client of a server at a URL."""

    def __init__(self, url):
        self.url = url

    def open(self):
        connection = dial(self.url)
        connection.receive_banner()
        return connection

    def close(self):
        pass


class ServerEnd:
    """The runner is the server of programs, which it runs."""

    def __init__(self, directory, programs):
        self.path = os.path.join(directory, 'server')
        self.url = 'unix://' + self.path
        self.programs = programs
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        self.listener.settimeout(TIMEOUT_S)
        self.process = None

    def run(self, words):
        if words[0] not in self.programs:
            raise script.Error('no program ' + words[0])
        # A session of its own, so that children of it can be ended with it.
        self.process = subprocess.Popen(
            self.programs[words[0]] + words[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True, env=dict(os.environ, FERRY_CALLS=self.url))

    def open(self):
        try:
            return Connection(self.listener.accept()[0])
        except socket.timeout:
            raise Failure('no connection within %u s' % TIMEOUT_S) from None

    def finish(self):
        """Wait for the program; returns status and output."""
        process, self.process = self.process, None
        try:
            output, errors = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process = process
            raise Failure('the program does not end') from None
        return process.returncode, output.decode(), errors.decode()

    def close(self):
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()
        self.listener.close()
        os.unlink(self.path)


class Conversation:
    """One run of one case."""

    def __init__(self, end, variables):
        self.end = end
        self.variables = dict(variables, URL=end.url)
        self.connections = {}
        self.current = 'first'
        self.log = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.connections.values():
            connection.close()
        self.end.close()

    def connection(self):
        if self.current not in self.connections:
            self.connections[self.current] = self.end.open()
        return self.connections[self.current]

    def note(self, text):
        self.log.append('%s %s' % (self.current, text))

    def run(self, steps):
        for place, step in steps:
            try:
                self.step(step)
            except (Failure, frame.Mismatch, script.Error, ValueError, OSError) as error:
                lines = ['%s: %s' % (place, step), '  ' + str(error)]
                raise Failure('\n'.join(lines + ['  ' + line for line in self.log[-12:]])) from None

    def step(self, text):
        word, _, rest = text.partition(' ')
        rest = script.substitute(rest.strip(), self.variables)
        steps = {'>': self.send, '&': self.hold, '<': self.expect, '~': self.poll, '!': self.command, '@': self.switch,
                 'run': self.run_program, 'exit': self.expect_exit, 'prints': self.expect_output}
        if word == 'set':
            name, _, value = rest.partition('=')
            self.variables[name] = str(script.number_of(value))
        elif word in steps:
            steps[word](rest)
        else:
            raise script.Error('not a step')

    def switch(self, name):
        self.current = name
        self.connection()

    def command(self, text):
        word, _, rest = text.partition(' ')
        connection = self.connection()
        if word == 'closed':
            found = connection.receive(frame.HEADER_BYTES)
            if found:
                raise Failure('not closed: ' + found.hex())
        elif word == 'ended':
            found = connection.receive(2 * frame.HEADER_BYTES)
            if found and (len(found) != frame.HEADER_BYTES or found[16] != frame.ERROR):
                raise Failure('neither closed nor an error: ' + found.hex())
        elif word == 'close':
            connection.close()
            del self.connections[self.current]
        elif word == 'banner':
            connection.send(rest.encode() + b'\n')
        elif word == 'flood':
            connection.flood(frame.Line(rest).encode(0, self.defaults(connection)))
        else:
            raise script.Error('not a command')

    # Frames

    def defaults(self, connection):
        return {'of': str(connection.call_number), 'machine': self.variables['MACHINE'],
                'version': '1'}

    def send(self, text):
        connection = self.connection()
        raw = script.raw_bytes(text)
        if raw is not None:
            self.note('> ' + text)
            connection.send(bytes(raw))
            return
        line = frame.Line(text)
        for _ in range(line.number('times', 1)):
            self.send_line(connection, line)

    def hold(self, text):
        connection = self.connection()
        self.send_line(connection, frame.Line(text), is_held=True)

    def send_line(self, connection, line, is_held=False):
        is_request = line.number('class', line.kind.class_) == frame.REQUEST
        number = line.number('number', connection.next_number if is_request else
                             connection.received_number)
        data = line.encode(number, self.defaults(connection))
        self.note('> ' + frame.describe(data.ljust(frame.HEADER_BYTES, b'\0')))
        if is_request:
            connection.next_number = connection.next_number + 1
            connection.sent_number = number
            if line.name in ('Syscall', 'Call'):
                connection.call_number = number
        if is_held:
            connection.held += data
        else:
            connection.send(data)

    def expect(self, text):
        connection = self.connection()
        raw = script.raw_bytes(text)
        if raw is not None:
            found = connection.receive(len(raw))
            if len(found) != len(raw) or any(a not in (None, b) for a, b in zip(raw, found)):
                raise Failure('not so: ' + found.hex())
            return
        line = frame.Line(text)
        for _ in range(line.number('times', 1)):
            self.expect_line(connection, line)

    def expect_line(self, connection, line):
        data = connection.receive_frame()
        self.note('< ' + frame.describe(data))
        is_request = line.kind.class_ == frame.REQUEST
        number = '*' if is_request else str(connection.sent_number)
        line.check(data, number, self.variables, self.defaults(connection))
        if is_request:
            connection.received_number = int.from_bytes(data[8:16], 'little')
            if line.name in ('Syscall', 'Call'):
                connection.call_number = connection.received_number

    def poll(self, text):
        """`FRAME => N`: call again until the first return values are N in all."""
        line, _, wanted = text.partition('=>')
        answer = 'Reply' if line.startswith('Call') else 'Result'
        connection, total = self.connection(), 0
        end = time.monotonic() + TIMEOUT_S
        while total < script.number_of(wanted.strip()):
            if time.monotonic() > end:
                raise Failure('only %u in all' % total)
            self.send_line(connection, frame.Line(line))
            found = {}
            frame.Line(answer + ' value0=->SUM').check(connection.receive_frame(),
                                                    str(connection.sent_number), found, {})
            total += int(found['SUM'])
        if total != script.number_of(wanted.strip()):
            raise Failure('%u in all' % total)

    # Programs

    def run_program(self, text):
        self.end.run(script.tokens_of(text))

    def expect_exit(self, text):
        status, output, errors = self.end.finish()
        self.variables['OUTPUT'] = output
        if 'Sanitizer' in errors or 'runtime error' in errors or \
                status not in [int(choice) for choice in text.split('/')]:
            raise Failure('status %d: %s%s' % (status, output, errors))

    def expect_output(self, text):
        output = ' '.join(self.variables.get('OUTPUT', '').split())
        if output != text:
            raise Failure('it has printed: ' + output)
