"""Frames of sysproxy by name: written from the fields of a line, and compared with them, byte by byte.
README.md has the names; doc/sysproxy-protocol.md what they mean."""

import os
import re
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'transcript'))

import script  # noqa: E402

HEADER_BYTES = 24
HEADER = (('len', 8), ('number', 8), ('class', 2), ('type', 2), ('aux', 4))
REQUEST, RESPONSE, ERROR = 0, 1, 2


class Mismatch(Exception):
    """Something else came than the line says."""


class Kind:
    """A named frame: class, type, aux (a number, or the name that aux has here), the payload's fields,
    and what follows them: lists and data."""

    def __init__(self, what, aux=0, fields=(), tail=('data',)):
        self.class_, self.type = what
        self.aux_name = aux if isinstance(aux, str) else 'aux'
        self.aux = 0 if isinstance(aux, str) else aux
        self.fields, self.tail = fields, tail


COPY = (('bytes', 8), ('address', 8))
CALL_COPY = (('of', 8), ('address', 8), ('bytes', 8))
OUTCOME = (('error', 4), ('zero', 4), ('address', 8))
RESULT = (('error', 4), ('zero', 4), ('value0', 8), ('value1', 8))
HELLO = (('version', 4), ('features', 4), ('carried', 4), ('ranges', 4), ('lanes', 4), ('calls', 4),
         ('machine', 16))

KINDS = {
    'Guest': Kind((REQUEST, 0), 0, (), ('name', 'data')),
    'Auth': Kind((REQUEST, 0), 1),
    'Fork': Kind((REQUEST, 0), 2, (('cookie', 16), ('cancel', 4))),
    'Exec': Kind((REQUEST, 0), 3, (), ('name', 'data')),
    'Welcome': Kind((RESPONSE, 0), 0, (('error', 4),)),
    'Session': Kind((RESPONSE, 0), 0, (('error', 4), ('zero', 4), ('process', 8), ('cookie', 16))),
    'Syscall': Kind((REQUEST, 1), 'call', (), ('args', 'data')),
    'Result': Kind((RESPONSE, 1), 0, RESULT),
    'Copyin': Kind((REQUEST, 2), 0, COPY),
    'Copied': Kind((RESPONSE, 2)),
    'Copyinstr': Kind((REQUEST, 3), 0, COPY),
    'Copyout': Kind((REQUEST, 4), 0, COPY),
    'Copyoutstr': Kind((REQUEST, 5), 0, COPY),
    'Anonmmap': Kind((REQUEST, 6), 0, (('bytes', 8),)),
    'Mapped': Kind((RESPONSE, 6), 0, (('address', 8),)),
    'Prefork': Kind((REQUEST, 7)),
    'Cookie': Kind((RESPONSE, 7), 0, (('cookie', 16),)),
    'Raise': Kind((REQUEST, 8), 'signal'),
    'Error': Kind((ERROR, 0), 'code'),
    'Hello': Kind((REQUEST, 64), 0, HELLO),
    'Greeting': Kind((RESPONSE, 64), 0, HELLO),
    'Call': Kind((REQUEST, 65), 'call', (('argcount', 2), ('rangecount', 2), ('zero', 4)),
                 ('args', 'range', 'data')),
    'Reply': Kind((RESPONSE, 65), 0, (('error', 4), ('piececount', 4), ('value0', 8), ('value1', 8)),
                  ('piece', 'data')),
    'CallCopyin': Kind((REQUEST, 66), 0, CALL_COPY),
    'CallCopied': Kind((RESPONSE, 66), 0, OUTCOME),
    'CallCopyinstr': Kind((REQUEST, 67), 0, CALL_COPY),
    'CallString': Kind((RESPONSE, 67), 0, OUTCOME),
    'CallCopyout': Kind((REQUEST, 68), 0, CALL_COPY),
    'CallWritten': Kind((RESPONSE, 68), 0, OUTCOME),
    'CallAnonmmap': Kind((REQUEST, 69), 0, CALL_COPY),
    'CallMapped': Kind((RESPONSE, 69), 0, OUTCOME),
    'Cancel': Kind((REQUEST, 70), 0, (('lane', 8), ('of', 8))),
    'Lane': Kind((REQUEST, 71), 0, (('cookie', 16), ('id', 8))),
    'Open': Kind((RESPONSE, 71), 0, (('error', 4),)),
}

LISTS = {'args': (('argument', 8),),
         'range': (('address', 8), ('bytes', 8), ('flags', 4), ('carried', 4)),
         'piece': (('index', 4), ('bytes', 4), ('offset', 8))}
COUNTS = {'argcount': 'args', 'rangecount': 'range', 'piececount': 'piece'}
FRAME_MAX = 2 << 20


def describe(data):
    """A received frame for people."""
    values, offset = {}, 0
    for name, size in HEADER:
        values[name] = int.from_bytes(data[offset:offset + size], 'little')
        offset += size
    names = [name for name, kind in KINDS.items()
             if (kind.class_, kind.type) == (values['class'], values['type']) and
             (kind.class_, kind.type) != (REQUEST, 0) or
             (kind.class_, kind.type, kind.aux) == (values['class'], values['type'], values['aux'])]
    payload = data[HEADER_BYTES:]
    return '%s number=%u aux=%u payload=%u%s' % (
        names[0] if names else 'class=%(class)u type=%(type)u' % values, values['number'], values['aux'],
        len(payload), ':' + payload[:64].hex() if payload else '')


class Segment:
    """Bytes of a frame: what they are to be."""

    def __init__(self, name, size, text):
        self.name, self.size, self.text = name, size, text

    def encode(self):
        """The bytes, when they are sent."""
        if isinstance(self.text, bytes):
            return self.text
        if self.size == 16:
            return bytes.fromhex(self.text) if re.fullmatch('[0-9a-f]{32}', self.text) else \
                self.text.encode().ljust(16, b'\0')
        number = script.number_of(self.text)
        return (number % (1 << 8 * self.size)).to_bytes(self.size, 'little')

    def check(self, found, variables):
        if isinstance(self.text, str):
            if self.text == '*':
                return
            if self.text.startswith('->'):
                variables[self.text[2:]] = found.hex() if self.size not in (1, 2, 4, 8) else \
                    str(int.from_bytes(found, 'little'))
                return
            if any(Segment(self.name, self.size, choice).encode() == found
                   for choice in self.text.split('/')):
                return
        elif self.text == found:
            return
        raise Mismatch('%s is not %s but %s' % (
            self.name, self.text if isinstance(self.text, str) else shorten(self.text),
            shorten(found) if self.size not in (2, 4, 8) else int.from_bytes(found, 'little')))


def shorten(data):
    return '%s%s (%u bytes)' % (data[:24].hex(), '...' if len(data) > 24 else '', len(data))


def list_segments(name, text):
    segments = []
    for item in text.split(',') if text else []:
        item, _, times = item.partition('^')
        parts = item.split(':')
        if len(parts) != len(LISTS[name]):
            raise script.Error('not %u numbers: %s' % (len(LISTS[name]), item))
        segments += [Segment('%s %s' % (name, field), size, part)
                     for (field, size), part in zip(LISTS[name], parts)] * int(times or 1)
    return segments


def data_segment(text):
    match = re.fullmatch(r'\*(\d+)', text)
    if match:
        return Segment('data', int(match.group(1)), '*')
    data = script.data_of(text) if text else b''
    return Segment('data', len(data), data)


class Line:
    """`NAME FIELD=VALUE...`, taken apart."""

    def __init__(self, text):
        self.name, *words = script.tokens_of(text)
        if self.name not in KINDS:
            raise script.Error('no frame ' + self.name)
        self.kind = KINDS[self.name]
        self.values = {}
        for word in words:
            field, equals, value = word.partition('=')
            if not equals:
                raise script.Error('not FIELD=VALUE: ' + word)
            self.values[field] = value.strip('"')
        known = {name for name, _ in HEADER} | {name for name, _ in self.kind.fields}
        unknown = set(self.values) - known - set(self.kind.tail) - {self.kind.aux_name, 'cut', 'times'}
        if unknown:
            raise script.Error('%s has no %s' % (self.name, ', '.join(sorted(unknown))))

    def number(self, field, default):
        return script.number_of(self.values[field]) if field in self.values else default

    def payload(self, defaults):
        segments = []
        for name, size in self.kind.fields:
            text = self.values.get(name, defaults.get(name, '0' * 32 if size == 16 else '0'))
            if name in COUNTS and name not in self.values:
                segments_of = list_segments(COUNTS[name], self.values.get(COUNTS[name], ''))
                text = str(len(segments_of) // len(LISTS[COUNTS[name]]))
            segments.append(Segment(name, size, text))
        for name in self.kind.tail:
            text = self.values.get(name)
            if name in LISTS:
                segments += list_segments(name, text or '')
            elif name == 'name' and text is not None:
                segments.append(Segment(name, len(text) + 1, text.encode() + b'\0'))
            elif name == 'data':
                segments.append(data_segment(text or ''))
        return segments

    def segments(self, number, defaults):
        """All of the frame. @number: of the frame, if the line does not say it."""
        payload = self.payload(defaults)
        total = HEADER_BYTES + sum(segment.size for segment in payload)
        header = {'len': str(total), 'number': number, 'class': str(self.kind.class_),
                  'type': str(self.kind.type), 'aux': str(self.kind.aux)}
        header.update({name: value for name, value in self.values.items() if name in header})
        if self.kind.aux_name in self.values:
            header['aux'] = self.values[self.kind.aux_name]
        return [Segment(name, size, header[name]) for name, size in HEADER] + payload

    def encode(self, number, defaults):
        data = b''.join(segment.encode() for segment in self.segments(str(number), defaults))
        return data[:self.number('cut', len(data))]

    def check(self, data, number, variables, defaults):
        """Compare a received frame. @number: the text of the one that it must have."""
        segments = self.segments(number, defaults)
        wanted, offset = sum(segment.size for segment in segments), 0
        header = int.from_bytes(data[16:18], 'little'), int.from_bytes(data[18:20], 'little')
        if header != (self.kind.class_, self.kind.type) or len(data) != wanted:
            raise Mismatch('not %s of %u bytes' % (self.name, wanted))
        for segment in segments:
            segment.check(data[offset:offset + segment.size], variables)
            offset += segment.size
