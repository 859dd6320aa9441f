"""Transcripts as text: files of cases and preludes, and the values in their lines. README.md says
what each line means."""

import re


class Error(Exception):
    """A transcript that cannot be read."""


class Case:

    def __init__(self, name, place, steps, needs):
        self.name, self.place, self.steps, self.needs = name, place, steps, needs


class Script:
    """All cases of some files, and the preludes of all of them."""

    def __init__(self):
        self.preludes, self.cases = {}, []

    def load(self, path):
        with open(path, encoding='utf-8') as file:
            lines = file.read().splitlines()
        block = None
        for number, line in enumerate(lines, 1):
            line = re.sub(r'(^|\s)#.*', '', line).strip()
            if not line:
                continue
            place = '%s:%u' % (path, number)
            word, _, rest = line.partition(' ')
            if word in ('case', 'prelude'):
                self.end_block(block)
                block = {'kind': word, 'name': rest.strip(), 'place': place, 'steps': [],
                         'needs': [], 'rows': []}
            elif block is None:
                raise Error(place + ': a line before the first case')
            elif word == 'needs':
                block['needs'].append(rest)
            elif word == '|':
                block['rows'].append((place, [cell.strip() for cell in
                                              re.split(r'(?:^|\s)\|(?=\s|$)', line)[1:]]))
            else:
                block['steps'].append((place, line))
        self.end_block(block)

    def end_block(self, block):
        if block is None:
            return
        if block['kind'] == 'prelude':
            self.preludes[block['name']] = block['steps']
            return
        for place, cells in block['rows'] or [(block['place'], [])]:
            def fill(text, cells=cells):
                return re.sub(r'\$(\d)', lambda match: cells[int(match.group(1)) - 1]
                              if int(match.group(1)) <= len(cells) else '', text)
            needs = [need for line in block['needs'] for need in fill(line).split()]
            name = fill(block['name'])
            if any(case.name == name for case in self.cases):
                raise Error('%s: a second case %s' % (place, name))
            steps = [(where, fill(step)) for where, step in block['steps'] if fill(step).strip()]
            self.cases.append(Case(name, place, steps, needs))

    def steps_of(self, case):
        """Its steps with the preludes put in their places."""
        def expand(steps):
            for place, step in steps:
                if step.startswith('use '):
                    name = step[4:].strip()
                    if name not in self.preludes:
                        raise Error('%s: no prelude %s' % (place, name))
                    yield from expand(self.preludes[name])
                else:
                    yield place, step
        return list(expand(case.steps))


def tokens_of(line):
    """Words; a word may have a part in quotation marks, with blanks in it."""
    return re.findall(r'(?:"[^"]*"|\S)+', line)


def substitute(text, variables):
    def value(match):
        name = match.group(1)
        if name not in variables:
            raise Error('no variable $' + name)
        return str(variables[name])
    return re.sub(r'\$([A-Z][A-Z0-9_]*)', value, text)


def number_of(text):
    """Decimal or 0x..., with + - and, binding first, * and //."""
    total = 0
    parts = re.split(r'([+-])', text)
    for sign, part in zip(['+'] + parts[1::2], parts[::2]):
        factors = re.split(r'(\*|//)', part)
        try:
            product = int(factors[0], 0)
            for operator, factor in zip(factors[1::2], factors[2::2]):
                product = product * int(factor, 0) if operator == '*' else product // int(factor, 0)
        except ValueError:
            raise Error('not a number: ' + text) from None
        total += product if sign == '+' else -product
    return total


def raw_bytes(text):
    """The bytes of words like 0a0b or 00*112, each a number or None for '..'; None if @text is
    something else."""
    out = []
    for word in text.split():
        match = re.fullmatch(r'((?:[0-9a-f]{2}|\.\.)+)(?:\*(\d+))?', word)
        if match is None:
            return None
        pairs = re.findall(r'..', match.group(1))
        out += [None if pair == '..' else int(pair, 16) for pair in pairs] * int(match.group(2) or 1)
    return out


def data_of(text):
    """zeros:N, fill:XX:N, count:N, text:T, hex:XX or just hexadecimal; several joined by commas."""
    out = b''
    for part in text.split(','):
        kind, _, rest = part.partition(':')
        if kind == 'zeros':
            out += bytes(number_of(rest))
        elif kind == 'fill':
            byte, _, count = rest.partition(':')
            out += bytes([int(byte, 16)]) * number_of(count)
        elif kind == 'count':
            out += bytes(index & 0xff for index in range(number_of(rest)))
        elif kind == 'text':
            out += rest.encode()
        elif kind == 'hex':
            out += bytes.fromhex(rest)
        else:
            try:
                out += bytes.fromhex(part)
            except ValueError:
                raise Error('not data: ' + part) from None
    return out


class Condition:
    """FIELD[&MASK] OPERATOR VALUE, of a received PDU."""

    def __init__(self, text):
        match = re.fullmatch(r'([a-z0-9]+|@[^&=<>!]+?)(?:&([^=<>!]+))?(->|!=|>=|<=|=)(.*)', text)
        if match is None:
            raise Error('not a condition: ' + text)
        self.text = text
        self.field, self.mask, self.operator, self.value = match.groups()

    def place(self):
        """Offset and size of @OFFSET:SIZE."""
        offset, _, size = self.field[1:].partition(':')
        return number_of(offset), number_of(size)

    def holds(self, found):
        """Whether a number or bytes meets it."""
        if isinstance(found, bytes):
            if self.value.startswith('"'):
                return self.is_equal(found.rstrip(b'\0') == self.value.strip('"').encode())
            if self.value == 'zero':
                return self.is_equal(not any(found))
            if self.value == 'ascii':
                return self.is_equal(all(0x20 <= byte < 0x7f for byte in found))
            if ':' in self.value:
                return self.is_equal(found == data_of(self.value))
            found = int.from_bytes(found, 'little')
        if self.mask:
            found &= number_of(self.mask)
        if self.operator == '>=':
            return found >= number_of(self.value)
        if self.operator == '<=':
            return found <= number_of(self.value)
        return self.is_equal(any(self.is_in(found, choice) for choice in self.value.split('/')))

    def is_equal(self, answer):
        return answer == (self.operator == '=')

    def is_in(self, found, choice):
        if self.field == 'status':
            return found == int(choice, 16)
        low, _, high = choice.partition('..')
        return number_of(low) <= found <= number_of(high or low)
