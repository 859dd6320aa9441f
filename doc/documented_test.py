"""The manual and the completion tell of what there is: options, and the deadlines and limits of the
sources.

usage: documented_test.py FERRY SOURCE_ROOT"""

import os
import re
import subprocess
import sys
import unittest

VERBS = {'serve': 'ferry-serve', 'disk list': 'ferry-disk', 'disk info': 'ferry-disk', 'disk copy': 'ferry-disk',
         'call': 'ferry-call'}
# name in the manual: file and the constant there
DEADLINES = {
    'initialize': ('tcp/controller_queue.c', r'\.initialize_ms = (\d+)'),
    'connect': ('tcp/controller_queue.c', r'\.connect_ms = (\d+)'),
    'capsule': ('tcp/controller_queue.c', r'\.capsule_ms = (\d+)'),
    'data': ('tcp/controller_queue.c', r'\.data_ms = (\d+)'),
    'send': ('tcp/controller_queue.c', r'\.send_ms = (\d+)'),
    'drain': ('tcp/controller_queue.c', r'\.drain_ms = (\d+)'),
    'linger': ('tcp/controller_queue.c', r'\.linger_ms = (\d+)'),
    'terminate': ('tcp/controller_queue.c', r'\.terminate_ms = (\d+)'),
    'discovery': ('target/controller.h', r'CONTROLLER_DISCOVERY_IDLE_MS +(\d+)'),
    'dead host': ('serve/connection.c', r'DEAD_HOST_TIMEOUT_MS (\d+)'),
    'stop': ('serve/server.h', r'SERVER_STOP_MS +(\d+)'),
    'flush': ('cmd/serve.c', r'FLUSH_MS +(\d+)'),
}
LIMITS = {
    'connections at one time': ('serve/server.h', r'SERVER_CONNECTIONS_MAX +(\d+)'),
    'of these without a successful Connect': ('serve/server.h',
                                              r'SERVER_CONNECTIONS_PENDING +(\d+)'),
    'connections from one address': ('serve/server.h', r'SERVER_ADDRESS_CONNECTIONS +(\d+)'),
    'connections from one address without a successful Connect':
        ('serve/server.h', r'SERVER_ADDRESS_PENDING +(\d+)'),
    'controllers of one host': ('target/target.c', r'\.host_controllers_max = (\d+)'),
    'I/O queues of one host': ('target/target.c', r'\.host_queues_max = (\d+)'),
    '*--listen* options': ('cmd/serve_options.h', r'SERVE_LISTEN_MAX +(\d+)'),
    'addresses listened on': ('serve/server.h', r'SERVER_LISTENERS_MAX +(\d+)'),
    'namespaces': ('target/target.h', r'TARGET_NAMESPACES_MAX +(\d+)'),
    'hosts allowed by name': ('target/target.h', r'TARGET_HOSTS_MAX +(\d+)'),
    'controllers (hosts) at one time': ('target/target.h', r'TARGET_CONTROLLERS_MAX +(\d+)'),
    'I/O queues of a controller': ('target/target.h', r'io_queues_max;.*default (\d+)'),
    'entries of an admin queue': ('target/target.h', r'admin_entries_max;.*default (\d+)'),
    'entries of an I/O queue': ('target/target.h', r'io_entries_max;.*default (\d+)'),
}

ferry, root = os.path.abspath(sys.argv[1]), sys.argv[2]
del sys.argv[1:3]


def read(*path):
    with open(os.path.join(root, *path), encoding='utf-8') as file:
        return file.read()


def help_options(verb):
    """(name, whether it takes a value) of each option that --help tells of."""
    output = subprocess.run([ferry, *verb.split(), '--help'], stdout=subprocess.PIPE, text=True,
                            check=True).stdout
    found = re.findall(r'^  --([a-z0-9-]+)(=?)', output, re.M)
    assert found, output
    return [(name, bool(value)) for name, value in found]


def table(page, heading):
    """The rows of the first table after a heading: first cell to second."""
    section = page.split('\n# %s\n' % heading)[1].split('\n# ')[0]
    return dict(re.findall(r'^\|  (.*)\n:  (.*)$', section, re.M))


class DocumentedTest(unittest.TestCase):

    def test_manual_tells_of_every_option_when_help_does(self):
        for verb, page in VERBS.items():
            text = read('doc', page + '.1.scd')
            for name, has_value in help_options(verb):
                with self.subTest((verb, name)):
                    self.assertRegex(text, r'(?m)^\*--%s\*%s' % (name, '=_' if has_value else '$'))

    def test_manual_tells_of_no_option_when_help_does_not(self):
        for page in set(VERBS.values()):
            told = {name for verb in VERBS if VERBS[verb] == page for name, _ in help_options(verb)}
            text = read('doc', page + '.1.scd')
            self.assertEqual(set(re.findall(r'(?m)^\*--([a-z0-9-]+)\*', text)), told)

    def test_manual_tells_the_deadlines_when_the_sources_have_them(self):
        rows = table(read('doc', 'ferry-serve.1.scd'), 'DEADLINES')
        for name, (path, pattern) in DEADLINES.items():
            with self.subTest(name):
                value_ms = int(re.search(pattern, read('src', path)).group(1))
                told = '%d ms' % value_ms if value_ms < 1000 else '%d s' % (value_ms // 1000)
                self.assertEqual(rows.pop(name), told)
        self.assertEqual(rows, {'keep alive': 'the host\'s choice'})

    def test_manual_tells_the_limits_when_the_sources_have_them(self):
        rows = table(read('doc', 'ferry-serve.1.scd'), 'LIMITS')
        for name, (path, pattern) in LIMITS.items():
            with self.subTest(name):
                self.assertEqual(rows[name], re.search(pattern, read('src', path)).group(1))

    def test_manual_tells_of_every_line_when_info_says_it(self):
        told = [name for cell in table(read('doc', 'ferry-disk.1.scd'), 'WHAT INFO SAYS')
                for name in cell.split(', ')]
        with subprocess.Popen([ferry, 'serve', '--listen=127.0.0.1:0', '--log-level=error',
                               'ram:1M'], stdout=subprocess.PIPE, text=True) as daemon:
            url = next(line.split()[1] for line in daemon.stdout if line.startswith('ready '))
            output = subprocess.run([ferry, 'disk', 'info', url], stdout=subprocess.PIPE, text=True,
                                    check=True).stdout
            daemon.terminate()
        self.assertEqual([re.split('  +', line)[0] for line in output.splitlines()],
                         told)

    def complete(self, *words):
        """What bash proposes for the last word."""
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                  'n=$(($# - 1)); _ferry "$1" "${COMP_WORDS[n]}" "${COMP_WORDS[n-1]}"; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        output = subprocess.run(
            ['bash', '--norc', '-c', script, 'bash',
             os.path.join(root, 'doc/completion/ferry.bash'), 'ferry', *words],
            stdout=subprocess.PIPE, text=True, check=True, cwd='/').stdout
        return output.split()

    def test_completion_proposes_every_option_when_help_tells_of_it(self):
        for verb in VERBS:
            with self.subTest(verb):
                expected = ['--' + name + ('=' if value else '')
                            for name, value in help_options(verb)]
                self.assertEqual(self.complete(*verb.split(), '--'), expected)

    def test_completion_proposes_what_fits_when_something_is_typed(self):
        rows = ((('',), ['serve', 'disk', 'call', 'help']),
                (('s',), ['serve']),
                (('disk', ''), ['list', 'info', 'copy']),
                (('disk', 'c'), ['copy']),
                (('help', ''), ['serve', 'disk', 'call']),
                (('serve', '--log-level', '=', 'd'), ['debug']),
                (('serve', '--log-level', '='), ['error', 'warning', 'info', 'debug']),
                (('serve', '--log-level', 'w'), ['warning']),
                (('serve', '--threads', '='), []),
                (('serve', '--data-digest', '=', 're'), ['require', 'refuse']),
                (('serve', 'us'), ['usr']),
                (('disk', 'copy', '--ver'), ['--verify']),
                (('call', '--j'), ['--json']),
                (('call', 'unix:///x', 'chdir', '@us'), ['@usr']),
                (('disk', 'copy', '--verify', 'us'), ['usr']))
        for words, expected in rows:
            with self.subTest(words):
                self.assertEqual(self.complete(*words), expected)


if __name__ == '__main__':
    unittest.main()
