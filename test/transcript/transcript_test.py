"""Every transcript against `ferry serve`: TEST FERRY. The target has several namespaces, one of them
read-only."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [HERE, os.path.join(HERE, '..', 'cli')]

import harness  # noqa: E402
import script  # noqa: E402
import session  # noqa: E402
import transcript  # noqa: E402
import wire  # noqa: E402

# What must not be missed: cases for what a target has not are skipped.
CASES_MIN = 980
CAPABILITIES = {'any-host', 'capsule', 'cid-conflict', 'compare', 'copy', 'data-digest',
                'discovery', 'dnr', 'dsm', 'feature:01', 'feature:02', 'feature:04', 'feature:0a',
                'feature:0e', 'feature:16', 'flush-all', 'fused', 'header-digest', 'io:00', 'io:01',
                'io:02', 'io:04', 'io:05', 'io:08', 'io:09', 'io:0c', 'io:19', 'log:00', 'log:04', 'log:05',
                'log:12', 'long-reads', 'long-writes', 'mdts', 'namespaces', 'read-only',
                'timestamp', 'verify', 'vs:2.0', 'vwc', 'writable', 'write-uncorrectable',
                'write-zeroes'}


class TranscriptTest(harness.TestCase):

    def test_ferry_answers_as_the_transcripts_say_when_it_serves_several_disks(self):
        loaded = transcript.load([])
        with harness.Daemon('--log-level=error', 'ram:8M,lba=512', self.image() + ',lba=512,ro',
                            'ram:4M,lba=512') as daemon:
            run = transcript.Run(*wire.parse_url(daemon.url))
            self.assertLessEqual(CAPABILITIES, run.target.capabilities)
            for case in loaded.cases:
                run.run(loaded, case)
            self.assertTrue(daemon.is_alive())
        print(run.summary())
        self.assertEqual(run.failed, 0)
        self.assertGreaterEqual(run.passed, CASES_MIN)

    def test_ferry_answers_as_the_transcripts_say_when_its_blocks_are_of_4096_bytes(self):
        loaded = transcript.load([])
        with harness.Daemon('--log-level=error', 'ram:8M,lba=4096') as daemon:
            run = transcript.Run(*wire.parse_url(daemon.url))
            for case in loaded.cases:
                if '-data' in case.name or 'capsule' in case.name or case.name.startswith('3.10'):
                    run.run(loaded, case)
        self.assertEqual(run.failed, 0)


class ScriptTest(unittest.TestCase):
    """What the runner itself says of transcripts that are wrong."""

    def test_number_is_computed_when_it_has_operators(self):
        for text, number in (('7', 7), ('0x10', 16), ('2+3*4', 14), ('10-2*3', 4), ('9//2', 4)):
            self.assertEqual(script.number_of(text), number)

    def test_number_is_refused_when_it_is_none(self):
        for text in ('', 'x', '1+', '1**2', '0xg'):
            with self.assertRaises(script.Error):
                script.number_of(text)

    def test_condition_holds_when_the_value_is_met(self):
        for text, found, answer in (
                ('dw0=1/3', 3, True), ('dw0=1/3', 2, False), ('dw0=4..6', 5, True),
                ('dw0!=4', 5, True), ('dw0!=4', 4, False), ('dw0>=4', 4, True),
                ('dw0<=4', 5, False), ('dw0&0xf0=0x20', 0x2f, True), ('status=00b/182', 0x182, True),
                ('@0:2=513', b'\1\2', True), ('@0:4=zero', bytes(4), True),
                ('@0:4!=zero', bytes(4), False), ('@0:4="ab"', b'ab\0\0', True),
                ('@0:2=ascii', b'a\0', False), ('data=fill:0a:3', b'\n\n\n', True)):
            self.assertEqual(script.Condition(text).holds(found), answer, text)

    def test_dnr_is_checked_when_the_status_determines_it(self):
        for status, dnr, is_right in ((0x002, 1, True), (0x002, 0, False), (0x109, 0, False),
                                      (0x000, 0, True), (0x000, 1, False), (0x022, 1, False),
                                      (0x105, 1, False), (0x105, 0, True), (0x00c, 0, True),
                                      (0x00c, 1, True), (0x281, 1, True), (0x281, 0, True)):
            header = status << 177 | dnr << 191
            session.Session(None, {}).check_dnr(header, '')
            try:
                session.Session(None, {'DNR': 1}).check_dnr(header, '')
                answer = True
            except session.Failure:
                answer = False
            self.assertEqual(answer, is_right, '%03x dnr=%u' % (status, dnr))

    def test_raw_bytes_are_read_when_the_line_is_hexadecimal(self):
        self.assertEqual(script.raw_bytes('0a0b .. 00*2'), [10, 11, None, 0, 0])
        self.assertIsNone(script.raw_bytes('Connect'))


if __name__ == '__main__':
    harness.main()
