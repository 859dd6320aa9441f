"""What is installed is enough for a kernel of one's own: the one in doc/kernel-api.md and the example are
compiled against it, as a user would, and run.

usage: kernel_api_test.py FERRY SOURCE_ROOT BUILD_ROOT COMPILER..."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

TIMEOUT_S = 50


def run(*command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S, check=True,
                          **options).stdout


def install(build, folder):
    """Install into a folder; returns the flags for a compiler and the folder of the library."""
    run('meson', 'install', '-C', build, '--no-rebuild', '--quiet', '--destdir', folder)
    config = next(os.path.join(path, 'ferry.pc') for path, _, names in os.walk(folder)
                  if 'ferry.pc' in names)
    environment = {**os.environ, 'PKG_CONFIG_SYSROOT_DIR': folder,
                   'PKG_CONFIG_LIBDIR': os.path.dirname(config)}
    flags = run('pkg-config', '--cflags', '--libs', 'ferry', env=environment).split()
    return flags, os.path.dirname(os.path.dirname(config))


def call(program, library, folder, *calls):
    """Run a kernel, and make calls in it; returns what each `ferry call` has printed."""
    url = 'unix://%s/kernel.sock' % folder
    environment = {**os.environ, 'LD_LIBRARY_PATH': library}
    with subprocess.Popen([program, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env=environment) as process:
        try:
            assert process.stdout.readline() == 'ready %s\n' % url
            return [run(ferry, 'call', url, *arguments) for arguments in calls]
        finally:
            process.stdin.close()
            process.terminate()


ferry, source, build = (os.path.abspath(path) for path in sys.argv[1:4])
compiler = sys.argv[4:]
if not shutil.which('pkg-config') or not shutil.which('meson'):
    print('skipped: there is no pkg-config or no meson')
    sys.exit(77)
with open(os.path.join(source, 'doc/kernel-api.md'), encoding='utf-8') as file:
    page = file.read()
told = re.search(r'\$ ferry call \S+ (1 .*)\n((?:[^`\n].*\n)+)```', page)
with tempfile.TemporaryDirectory(prefix='ferry-test-') as folder:
    flags, library = install(build, os.path.join(folder, 'root'))
    hello = os.path.join(folder, 'hello.c')
    with open(hello, 'w', encoding='utf-8') as file:
        file.write(re.search(r'```c\n(.*?)```', page, re.S).group(1))
    for path in (hello, os.path.join(source, 'examples/kernel-tree.c')):
        program = os.path.join(folder, os.path.basename(path)[:-2])
        run(*compiler, '-Wall', '-Wextra', '-Werror', '-o', program, path, *flags)
    answer = call(os.path.join(folder, 'hello'), library, folder, told.group(1).split())
    assert answer == [told.group(2)], (answer, told.group(2))
    answer = call(os.path.join(folder, 'kernel-tree'), library, folder, ['mkdir', '/d', '0755'],
                  ['open', '/d', '0'])
    assert answer == ['0\n', '0\n'], answer
