"""Every transcript of sysproxy: TEST FERRY KERNEL_TREE KERNEL CLIENT. Servers are the example's kernel
and the one of the tests, clients `ferry call` and test/sysproxy/client_program.c."""

import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [HERE, os.path.join(HERE, '..', '..', 'transcript'), os.path.join(HERE, '..', '..', 'cli')]

import conversation  # noqa: E402
import frame  # noqa: E402
import harness  # noqa: E402
import script  # noqa: E402
import transcript  # noqa: E402

# What must not be missed: cases for what a server has not are skipped.
TREE_CASES_MIN, KERNEL_CASES_MIN, CLIENT_CASES_MIN = 110, 139, 30

kernel_tree = kernel = client = None  # paths, set below


class Server:
    """A server program; its URL when made."""

    def __init__(self, program, url):
        self.process = subprocess.Popen([program, url], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Whatever its clients have done, it ends in order and leaves nothing."""
        self.process.terminate()
        _, errors = self.process.communicate(timeout=harness.TIMEOUT_S)
        if self.process.returncode != 0:
            raise AssertionError('status %d: %s' % (self.process.returncode, errors))


class TranscriptTest(unittest.TestCase):

    def run_all(self, run, loaded):
        for case in loaded.cases:
            run.run(loaded, case)
        print(run.summary())
        self.assertEqual(run.failed, 0)
        return run.passed

    def run_server(self, program, kind, capability):
        with tempfile.TemporaryDirectory() as directory:
            url = 'tcp://127.0.0.1:0' if kind == 'tcp' else 'unix://%s/server' % directory
            with Server(program, url) as server:
                return self.run_all(transcript.server_run(server.url, [capability]),
                                    transcript.load('server'))

    def test_kernel_tree_answers_as_the_transcripts_say_when_it_is_on_a_unix_socket(self):
        self.assertGreaterEqual(self.run_server(kernel_tree, 'unix', 'tree'), TREE_CASES_MIN)

    def test_kernel_tree_answers_as_the_transcripts_say_when_it_is_on_tcp(self):
        self.assertGreaterEqual(self.run_server(kernel_tree, 'tcp', 'tree'), TREE_CASES_MIN)

    def test_kernel_answers_as_the_transcripts_say_when_it_is_on_a_unix_socket(self):
        self.assertGreaterEqual(self.run_server(kernel, 'unix', 'fake'), KERNEL_CASES_MIN)

    def test_clients_ask_as_the_transcripts_say_when_they_are_run(self):
        programs = {'call': [harness.ferry, 'call'], 'program': [client]}
        with tempfile.TemporaryDirectory() as directory:
            passed = self.run_all(
                transcript.Run(lambda: conversation.ServerEnd(directory, programs), []),
                transcript.load('client'))
        self.assertGreaterEqual(passed, CLIENT_CASES_MIN)


class FrameTest(unittest.TestCase):
    """What the runner itself makes of lines."""

    def test_frame_is_encoded_when_fields_are_named(self):
        for text, wanted in (
                ('Syscall call=20', '1800000000000000 0700000000000000 0000 0100 14000000'),
                ('Guest name=ab', '1b00000000000000 0700000000000000 0000 0000 00000000 616200'),
                ('Raise signal=13 number=1', '1800000000000000 0100000000000000 0000 0800 0d000000'),
                ('Error code=7 len=0 cut=9', '0000000000000000 07'),
                ('Syscall call=1 args=1^2',
                 '2800000000000000 0700000000000000 0000 0100 01000000' + ' 01 00000000000000' * 2),
                ('Call call=1 range=1:2:3:2 data=0506',
                 '3a00000000000000 0700000000000000 0000 4100 01000000 0000 0100 00000000'
                 '0100000000000000 0200000000000000 03000000 02000000 0506')):
            self.assertEqual(frame.Line(text).encode(7, {}), bytes.fromhex(wanted), text)

    def test_frame_is_refused_when_a_byte_differs(self):
        good = frame.Line('Result value0=5').encode(3, {})
        line = frame.Line('Result value0=5')
        line.check(good, '3', {}, {})
        for index in range(len(good)):
            bad = good[:index] + bytes([good[index] ^ 1]) + good[index + 1:]
            with self.assertRaises(frame.Mismatch):
                line.check(bad, '3', {}, {})
        for bad in (good + b'\0', good[:-1]):
            with self.assertRaises(frame.Mismatch):
                line.check(bad, '3', {}, {})

    def test_field_is_taken_when_the_line_says_so(self):
        found = {}
        line = frame.Line('Result value0=->A value1=* error=1/2')
        line.check(frame.Line('Result value0=9 value1=8 error=2').encode(0, {}), '0', found, {})
        self.assertEqual(found, {'A': '9'})
        with self.assertRaises(frame.Mismatch):
            line.check(frame.Line('Result error=3').encode(0, {}), '0', found, {})

    def test_line_is_refused_when_it_makes_no_sense(self):
        for text in ('Nonsense', 'Result value2=1', 'Result value0', 'Call range=1:2:3'):
            with self.assertRaises(script.Error):
                frame.Line(text).encode(0, {})


if __name__ == '__main__':
    client, kernel, kernel_tree = (os.path.abspath(sys.argv.pop()) for _ in range(3))
    harness.main()
