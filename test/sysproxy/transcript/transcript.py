#!/usr/bin/env python3
"""Runs transcripts of sysproxy against a server, any one, or against client programs: README.md beside
this file tells all."""

import argparse
import glob
import os
import platform
import shlex
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [HERE, os.path.join(HERE, '..', '..', 'transcript')]

import conversation  # noqa: E402
import script  # noqa: E402


def load(folder, paths=()):
    loaded = script.Script()
    loaded.load(os.path.join(HERE, 'cases', 'preludes'))
    for path in paths or sorted(glob.glob(os.path.join(HERE, 'cases', folder, '*.case'))):
        loaded.load(path)
    return loaded


class Run:
    """Cases against one server, or programs, and what came of them."""

    def __init__(self, make_end, capabilities, is_verbose=False):
        self.make_end, self.is_verbose = make_end, is_verbose
        self.capabilities = set(capabilities)
        self.variables = {'MACHINE': platform.machine()}
        self.passed, self.failed, self.skipped = 0, 0, 0

    def is_for_us(self, case):
        """The kernel of the tests has none of NetBSD's calls, which cases that need nothing make."""
        if 'fake' in self.capabilities and not {'fake', 'extension'} & set(case.needs):
            return False
        return all(self.has(need) for need in case.needs)

    def has(self, need):
        return (need[1:] not in self.capabilities) if need.startswith('!') else need in self.capabilities

    def run(self, loaded, case):
        if not self.is_for_us(case):
            self.skipped += 1
            self.tell('skip', case.name, 'needs ' + ' '.join(case.needs))
            return
        started = time.monotonic()
        with conversation.Conversation(self.make_end(), self.variables) as running:
            try:
                running.run(loaded.steps_of(case))
                self.passed += 1
                self.tell('ok', '%s (%.2f s)' % (case.name, time.monotonic() - started),
                          '\n'.join(running.log))
            except conversation.Failure as failure:
                self.failed += 1
                print('FAIL %s\n%s' % (case.name, failure))

    def tell(self, word, name, more):
        if self.is_verbose:
            print('%s %s\n    %s' % (word, name, more.replace('\n', '\n    ')))

    def summary(self):
        return '%u passed, %u failed, %u skipped' % (self.passed, self.failed, self.skipped)


def server_run(url, capabilities=(), is_verbose=False):
    """The cases for a server, which are told what its banner promises."""
    probe = conversation.ClientEnd(url).open()
    found = {'extension'} if b' FERRY-1' in probe.banner else set()
    probe.close()
    return Run(lambda: conversation.ClientEnd(url), found | set(capabilities), is_verbose)


def parse(arguments):
    parser = argparse.ArgumentParser(description='Run transcripts of sysproxy against a server at a URL, '
                                                 'or against client programs.')
    parser.add_argument('url', nargs='?', help='of a server: unix://PATH or tcp://HOST:PORT')
    parser.add_argument('files', nargs='*', help='transcripts (default: all cases beside this file)')
    parser.add_argument('--program', metavar='NAME=COMMAND', action='append', default=[],
                        help='play the server of this program, which cases call NAME; instead of a URL')
    parser.add_argument('--only', metavar='TEXT', default='', help='cases with this in their name')
    parser.add_argument('--has', metavar='CAPABILITY', action='append', default=[],
                        help='run cases that need this, which the server does not tell by itself')
    parser.add_argument('--list', action='store_true', help='print the names of the cases')
    parser.add_argument('--verbose', action='store_true', help='print every frame')
    options = parser.parse_intermixed_args(arguments)
    if options.program and options.url is not None:
        options.files.insert(0, options.url)
    elif not options.program and options.url is None:
        parser.error('the URL of a server is needed, or a program')
    return options


def main():
    options = parse(sys.argv[1:])
    with tempfile.TemporaryDirectory() as directory:
        try:
            loaded = load('client' if options.program else 'server', options.files)
            if options.program:
                programs = {name: shlex.split(command) for name, _, command in
                            (item.partition('=') for item in options.program)}
                run = Run(lambda: conversation.ServerEnd(directory, programs), options.has,
                          options.verbose)
            else:
                run = server_run(options.url, options.has, options.verbose)
        except (OSError, ValueError, script.Error, conversation.Failure) as error:
            print('transcript: %s' % error, file=sys.stderr)
            return 2
        for case in loaded.cases:
            if options.only not in case.name:
                continue
            if options.list:
                print(case.name)
            else:
                run.run(loaded, case)
    if not options.list:
        print(run.summary())
    return 1 if run.failed else 0


if __name__ == '__main__':
    sys.exit(main())
