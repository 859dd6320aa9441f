#!/usr/bin/env python3
"""Runs transcripts against an NVMe/TCP target, any one: README.md beside this file tells all."""

import argparse
import glob
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import probe  # noqa: E402
import script  # noqa: E402
import session  # noqa: E402

CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'cases')


def load(paths):
    loaded = script.Script()
    loaded.load(os.path.join(CASES, 'preludes'))
    for path in paths or sorted(glob.glob(os.path.join(CASES, '*.case'))):
        loaded.load(path)
    return loaded


class Run:
    """Cases against one target, and what came of them."""

    def __init__(self, address, nqn, is_verbose=False):
        self.address, self.is_verbose = address, is_verbose
        self.target = probe.Probe(address, nqn)
        self.passed, self.failed, self.skipped = 0, 0, 0

    def run(self, loaded, case):
        lacking = [need for need in case.needs if not self.target.has(need)]
        if lacking:
            self.skipped += 1
            self.tell('skip', case.name, 'the target has not: ' + ' '.join(lacking)
                      if not lacking[0].startswith('!') else 'the target has: ' + lacking[0][1:])
            return
        started = time.monotonic()
        with session.Session(self.address, self.target.variables) as running:
            try:
                running.run(loaded.steps_of(case))
                self.passed += 1
                self.tell('ok', '%s (%.2f s)' % (case.name, time.monotonic() - started),
                          '\n'.join(running.log))
            except session.Failure as failure:
                self.failed += 1
                print('FAIL %s\n%s' % (case.name, failure))

    def tell(self, word, name, more):
        if self.is_verbose:
            print('%s %s\n    %s' % (word, name, more.replace('\n', '\n    ')))

    def summary(self):
        return '%u passed, %u failed, %u skipped' % (self.passed, self.failed, self.skipped)


def parse(arguments):
    parser = argparse.ArgumentParser(
        description='Run transcripts against an NVMe/TCP target. Beware: they WRITE to its first '
                    'namespace that is not write protected.')
    parser.add_argument('target', nargs='?', help='HOST:PORT, an IPv6 address in brackets')
    parser.add_argument('nqn', nargs='?', help='of the subsystem')
    parser.add_argument('files', nargs='*', help='transcripts (default: all cases beside this file)')
    parser.add_argument('--only', metavar='TEXT', default='', help='cases with this in their name')
    parser.add_argument('--has', metavar='CAPABILITY', action='append', default=[],
                        help='run cases that need this, which the target does not tell by itself')
    parser.add_argument('--list', action='store_true', help='print the names of the cases')
    parser.add_argument('--verbose', action='store_true', help='print every PDU')
    parser.add_argument('--capabilities', action='store_true', help='print what the target has')
    options = parser.parse_args(arguments)
    if not options.list and options.nqn is None:
        parser.error('the target and its NQN are needed')
    return options


def main():
    options = parse(sys.argv[1:])
    try:
        loaded = load(options.files)
    except (OSError, script.Error) as error:
        print('transcript: %s' % error, file=sys.stderr)
        return 2
    cases = [case for case in loaded.cases if options.only in case.name]
    if options.list:
        print('\n'.join(case.name for case in cases))
        return 0
    host, _, port = options.target.rpartition(':')
    started = time.monotonic()
    try:
        run = Run((host.strip('[]'), int(port)), options.nqn, options.verbose)
    except (OSError, ValueError, session.Failure) as error:
        print('transcript: %s: %s' % (options.target, error), file=sys.stderr)
        return 2
    run.target.capabilities.update(options.has)
    if options.capabilities:
        print(' '.join(sorted(run.target.capabilities)))
        print(' '.join('%s=%s' % item for item in sorted(run.target.variables.items())))
        return 0
    for case in cases:
        run.run(loaded, case)
    print('%s: %s in %.1f s' % (options.target, run.summary(), time.monotonic() - started))
    return 1 if run.failed else 0


if __name__ == '__main__':
    sys.exit(main())
