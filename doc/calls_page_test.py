"""ferry-calls(7), as it is made, tells of every call and code that is carried.

usage: calls_page_test.py PAGE SOURCE_ROOT"""

import os
import re
import subprocess
import sys
import unittest

page, root = sys.argv[1:3]
del sys.argv[1:3]


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


class CallsPageTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        # The page without its markup.
        cls.text = re.sub(r'\\f[BIRP]|\\&|T[{}]', '', read(page)).replace('\\-', '-').split('SEE ALSO')[0]

    def carried(self):
        """The calls of this machine: those whose number it has."""
        rows = re.findall(r'(?m)^CALL\((\w+),', read(os.path.join(root, 'src/call/rows.inc')))
        self.assertGreater(len(rows), 100)
        macros = subprocess.run([os.environ.get('CC', 'cc'), '-E', '-dM', '-include',
                                 'sys/syscall.h', '-x', 'c', '/dev/null'], stdout=subprocess.PIPE,
                                text=True, check=True).stdout
        return [name for name in rows if '#define SYS_%s ' % name in macros]

    def test_page_tells_of_every_call_when_it_is_carried(self):
        for name in self.carried():
            with self.subTest(name):
                self.assertRegex(self.text, r'(?m)^%s\(' % name)

    def test_page_tells_of_no_call_when_it_is_not_carried(self):
        self.assertEqual(sorted(re.findall(r'(?m)^(\w+)\(.*\)$', self.text)), sorted(self.carried()))

    def test_page_tells_of_every_code_when_it_is_carried(self):
        codes = re.findall(r'(?:CODE|WAITING|PLAIN|NEW_FD)\((\w+)[,)]|'
                           r'(?:OPTION|SWITCH|SETTING|FACT)\(\w+,\s*(\w+)[,)]',
                           read(os.path.join(root, 'src/call/codes.c')).split('clang-format on')[1])
        self.assertGreater(len(codes), 100)
        for name in (plain or levelled for plain, levelled in codes):
            with self.subTest(name):
                self.assertRegex(self.text, r'(?m)^(\w+ )?%s$' % name)


if __name__ == '__main__':
    unittest.main()
