"""Command lines: what is wrong is said in one line, and the help tells of every option."""

import re
import unittest

import harness

NQN = 'nqn.2026-01.org.example:disk1'
URL = 'nvme-tcp://127.0.0.1:1/' + NQN
OPTIONS = {
    ('serve',): ('listen', 'nqn', 'allow-host', 'allow-any-host', 'discovery-address',
                 'discovery-port', 'threads', 'log-level', 'lend', 'calls', 'stdio', 'trace',
                 'user', 'header-digest', 'data-digest', 'max-admin-queue', 'max-io-queue', 'max-io-queues', 'in-capsule', 'max-h2c-data',
                 'mdts', 'max-connections', 'max-address-connections', 'max-host-controllers',
                 'max-host-queues', 'no-flow-control-disable', 'help'),
    ('disk', 'list'): ('json', 'host-nqn', 'header-digest', 'data-digest', 'help'),
    ('disk', 'info'): ('host-nqn', 'header-digest', 'data-digest', 'help'),
    ('disk', 'copy'): ('verify', 'requests', 'request-size', 'queues', 'host-nqn', 'header-digest',
                       'data-digest', 'no-progress', 'help'),
    ('call',): ('json', 'raw', 'trace', 'plain', 'connect-timeout', 'help'),
}


class CommandLineTest(harness.TestCase):

    def wrong(self, *rows):
        """Rows of (arguments, words of the complaint)."""
        for arguments, *words in rows:
            with self.subTest(arguments):
                self.assert_complains(harness.run(*arguments.split()), 2, *words)

    def test_ferry_complains_when_the_verb_is_wrong(self):
        self.wrong(('nonsense', 'nonsense', 'no such verb'),
                   ('--nonsense', 'no such verb'),
                   ('help nonsense', 'no such verb'),
                   ('disk nonsense', 'no such verb'))

    def test_serve_complains_when_an_option_is_wrong(self):
        self.wrong(('serve', 'no store'),
                   ('serve --nonsense ram:1M', '--nonsense', 'no such option'),
                   ('serve -x ram:1M', 'no such option'),
                   ('serve ram:1M --listen', '--listen', 'value'),
                   ('serve --allow-any-host=yes ram:1M', 'takes no value'),
                   ('serve --threads=0 ram:1M', '--threads=0', '1..64'),
                   ('serve --threads=65 ram:1M', '--threads=65', '1..64'),
                   ('serve --threads=two ram:1M', '--threads=two', '1..64'),
                   ('serve --threads= ram:1M', '--threads='),
                   ('serve --log-level=loud ram:1M', '--log-level=loud', 'warning'),
                   ('serve --nqn=disk ram:1M', '--nqn=disk'),
                   ('serve --nqn=nqn.2014-08.org.nvmexpress.discovery ram:1M', '--nqn='),
                   ('serve --nqn=nqn.2026-01.org.example:' + 'x' * 223 + ' ram:1M', '--nqn='),
                   ('serve --allow-host=' + 'x' * 300 + ' ram:1M', '--allow-host='),
                   ('serve --discovery-address=[:: ram:1M', '--discovery-address=[::'))

    def test_serve_complains_when_what_is_lent_is_wrong(self):
        self.wrong(('serve --calls=unix:///tmp/x', '--calls', '--lend'),
                   ('serve --stdio ram:1M', '--stdio', '--lend'),
                   ('serve --trace ram:1M', '--trace', '--lend'),
                   ('serve --user=nobody ram:1M', '--user', '--lend'),
                   ('serve --lend=net --listen=127.0.0.1:0', '--listen', 'STORE'),
                   ('serve --lend=everything', '--lend=everything', 'path=DIR'),
                   ('serve --lend=', '--lend=', 'path=DIR'),
                   ('serve --lend=net=connect:any:0-99999', '--lend=net='),
                   ('serve --lend=path=/there/is/no/such', '--lend=path='),
                   ('serve --lend=path=/dev/null', '--lend=path='),
                   ('serve --lend=net' + 16 * ' --calls=unix:///tmp/x', '--calls', '15'))

    def test_serve_complains_when_a_limit_of_the_wire_is_wrong(self):
        self.wrong(('serve --header-digest=yes ram:1M', '--header-digest=yes', 'require'),
                   ('serve --data-digest= ram:1M', '--data-digest=', 'refuse'),
                   ('serve --discovery-port=65536 ram:1M', '--discovery-port=65536', '0..65535'),
                   ('serve --max-connections=0 ram:1M', '--max-connections=0', '1..4096'),
                   ('serve --max-host-controllers=1025 ram:1M', '--max-host-controllers=1025',
                    '1..1024'),
                   ('serve --max-admin-queue=31 ram:1M', '--max-admin-queue=31', '32..4096'),
                   ('serve --max-admin-queue=4097 ram:1M', '--max-admin-queue=4097'),
                   ('serve --max-io-queue=1 ram:1M', '--max-io-queue=1', '2..1024'),
                   ('serve --max-io-queue=1025 ram:1M', '--max-io-queue=1025'),
                   ('serve --max-io-queues=0 ram:1M', '--max-io-queues=0', '1..128'),
                   ('serve --max-io-queues=129 ram:1M', '--max-io-queues=129'),
                   ('serve --in-capsule=65K ram:1M', '--in-capsule=65K', '0..65536'),
                   ('serve --in-capsule=4100 ram:1M', '--in-capsule=4100', 'multiple of 16'),
                   ('serve --max-h2c-data=4095 ram:1M', '--max-h2c-data=4095', '4096..'),
                   ('serve --max-h2c-data=17M ram:1M', '--max-h2c-data=17M'),
                   ('serve --max-h2c-data=4098 ram:1M', '--max-h2c-data=4098', 'multiple of 4'),
                   ('serve --mdts=4K ram:1M', '--mdts=4K', '8192..2097152'),
                   ('serve --mdts=4M ram:1M', '--mdts=4M'),
                   ('serve --mdts=12K ram:1M', '--mdts=12288', 'power of two'))

    def test_serve_complains_when_a_listener_is_wrong(self):
        self.wrong(('serve --listen=127.0.0.1:port ram:1M', '--listen=127.0.0.1:port'),
                   ('serve --listen=127.0.0.1:65536 ram:1M', '65536'),
                   ('serve --listen=[::1 ram:1M', '--listen=[::1'),
                   ('serve --listen= ram:1M', '--listen='))

    def test_serve_complains_when_a_listener_is_open_to_nobody_in_particular(self):
        self.wrong(('serve --listen=0.0.0.0:0 ram:1M', '--allow-host', '--allow-any-host'),
                   ('serve --listen=[::]:0 ram:1M', '--allow-host', '--allow-any-host'),
                   ('serve --listen=127.0.0.1:0 --listen=0.0.0.0:0 ram:1M', '--allow-host'))

    def test_serve_complains_when_a_store_is_wrong(self):
        """The command line is well-formed, the work cannot be done: status 1."""
        rows = (('ram:', 'ram:'), ('ram:0', 'ram:0'), ('ram:1000', '512'), ('ram:1X', 'ram:1X'),
                ('ram:1M,lba=1024', 'lba=1024'), ('ram:1M,rw', 'rw'), ('ram:1M,', 'option'),
                ('ram:1M,uuid=1', 'uuid=1'), ('null:99999P', 'too large'), ('/dev/null', 'neither'),
                ('/', 'directory'))
        for store, *words in rows:
            with self.subTest(store):
                self.assert_complains(harness.run('serve', '--listen=127.0.0.1:0', store), 1, *words)

    def test_disk_complains_when_its_arguments_are_wrong(self):
        self.wrong(('disk list', 'address'),
                   ('disk list a b', 'address'),
                   ('disk list --json=1 a', 'takes no value'),
                   ('disk info', 'URL'),
                   ('disk info a b', 'URL'),
                   ('disk info --nonsense ' + URL, 'no such option'),
                   ('disk copy', 'source', 'destination'),
                   ('disk copy a', 'source', 'destination'),
                   ('disk copy a b c', 'source', 'destination'),
                   ('disk copy --requests=0 a b', '--requests=0', '1..128'),
                   ('disk copy --requests=129 a b', '--requests=129', '1..128'),
                   ('disk copy --request-size=1 a b', '--request-size=1'),
                   ('disk copy --request-size=1G a b', '--request-size=1G'),
                   ('disk copy --queues=0 a b', '--queues=0', '1..64'),
                   ('disk copy --verify=yes a b', 'takes no value'))

    def test_disk_complains_when_a_url_leads_nowhere(self):
        rows = (URL, 'nvme-tcp://127.0.0.1:1/', 'nvme-tcp://', 'http://127.0.0.1/x', 'nonsense',
                'nvme-tcp://127.0.0.1:1/%s/0' % NQN)
        for url in rows:
            with self.subTest(url):
                self.assert_complains(harness.run('disk', 'info', url), 1)

    def test_list_complains_when_an_address_leads_nowhere(self):
        rows = (('nvme-tcp://127.0.0.1:1', 'refused'), (URL, 'nvme-tcp://HOST[:PORT]'),
                ('nvme-tcp://', 'nvme-tcp://'), ('http://127.0.0.1', 'nvme-tcp://'),
                ('nonsense', 'nonsense'))
        for url, word in rows:
            with self.subTest(url):
                self.assert_complains(harness.run('disk', 'list', url), 1, word)

    def test_help_names_every_option_when_asked(self):
        for verb, names in OPTIONS.items():
            with self.subTest(verb):
                status, output, errors = harness.run(*verb, '--help')
                self.assertEqual((status, errors), (0, ''))
                self.assertEqual(output.splitlines()[0].split()[:2 + len(verb)],
                                 ['Usage:', 'ferry', *verb])
                self.assertEqual(re.findall(r'^  --([a-z0-9-]+)', output, re.M), list(names))
                self.assertIn('Examples:', output)
                self.assertLessEqual(max(map(len, output.splitlines())), 120)

    def test_help_is_printed_when_there_is_no_verb(self):
        for verb in ((), ('disk',)):
            with self.subTest(verb):
                status, output, _ = harness.run(*verb)
                self.assertEqual(status, 2)
                self.assertIn('Usage:', output)
                self.assertEqual(harness.run(*verb, '--help'), (0, output, ''))
        self.assertEqual(harness.run('help', 'serve'), harness.run('serve', '--help'))

    def test_failure_is_reported_when_standard_output_is_full(self):
        with open('/dev/full', 'w', encoding='ascii') as full:
            status = harness.subprocess.run([harness.ferry, '--version'], stdout=full,
                                            stderr=harness.subprocess.PIPE, check=False)
        self.assertEqual(status.returncode, 1)
        self.assertIn(b'standard output', status.stderr)


if __name__ == '__main__':
    harness.main()
