"""Carries a case out against a target: its connections, what is sent on them and what is expected."""

import re
import socket
import time

import pdu
import script

TIMEOUT_S = 10
DATA_COMMANDS = ('Read', 'Write', 'Compare')


class Failure(Exception):
    """The target did not do what the case says."""


class Connection:

    def __init__(self, name, address):
        self.name = name
        self.socket = socket.create_connection(address, TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wire = pdu.Wire()
        self.cid = 0
        self.asked_dgst = 0
        self.r2t = {}
        self.stash = []      # PDUs that came before they were expected
        self.successes = []  # CIDs that C2HData has completed
        self.is_io = self.is_flow_control_off = False
        self.kept_offset = {}  # of the data of a command so far

    def close(self):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # what is expected next will find it closed

    def receive(self, count):
        """So many bytes, fewer where the target closes."""
        data = bytearray()
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionResetError:
                break
            except socket.timeout:
                raise Failure('nothing within %u s' % TIMEOUT_S) from None
            if not part:
                break
            data += part
        return bytes(data)

    def receive_pdu(self):
        common = self.receive(8)
        if not common:
            raise Failure('closed')
        if len(common) < 8:
            raise Failure('closed within a PDU')
        total = int.from_bytes(common[4:8], 'little')
        if not 8 <= total <= 1 << 25:
            raise Failure('a PDU with PLEN %u' % total)
        rest = self.receive(total - 8)
        if len(rest) < total - 8:
            raise Failure('closed within a PDU')
        try:
            return pdu.decode(common, rest, self.wire)
        except pdu.Malformed as error:
            raise Failure(str(error)) from None


def describe(name, header, data=b''):
    kind = pdu.RECEIVED[name]
    skipped = ('type', 'hlen', 'reserved', 'value', 'pdo')
    words = [name]
    for field, place in kind.fields.items():
        value = pdu.get_field(header, place)
        if field not in skipped and (value or field in ('status', 'fes', 'fei')):
            words.append('%s=%s' % (field, '%03x' % value if field == 'status' else value))
    if data:
        words.append('data=%s%s' % (data[:32].hex(), '...' if len(data) > 32 else ''))
    return ' '.join(words)


class Session:
    """One run of one case."""

    def __init__(self, address, variables, verbose=False):
        self.address, self.verbose = address, verbose
        self.variables = dict(variables)
        self.connections = {}
        self.current = 'admin'
        self.log = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.connections.values():
            connection.close()

    def connection(self):
        if self.current not in self.connections:
            self.connections[self.current] = Connection(self.current, self.address)
        return self.connections[self.current]

    def note(self, text):
        self.log.append('%s %s' % (self.current, text))

    def run(self, steps):
        for place, step in steps:
            try:
                self.step(step)
            except (Failure, script.Error, ValueError, OSError) as error:
                lines = ['%s: %s' % (place, step), '  ' + str(error)]
                raise Failure('\n'.join(lines + ['  ' + line for line in self.log[-12:]])) from None
        for connection in self.connections.values():
            if connection.stash or connection.successes:
                raise Failure('more than was expected on %s: %s' % (
                    connection.name, [describe(*entry) for entry in connection.stash]))

    def step(self, line):
        word, _, rest = line.partition(' ')
        rest = script.substitute(rest.strip(), self.variables)
        if word == '>':
            self.send(rest)
        elif word == '<':
            self.expect(rest)
        elif word == '~':
            self.poll(rest)
        elif word == '!':
            self.command(rest)
        elif word == '@':
            self.current = rest
            self.connection()
        elif word == 'set':
            name, _, value = rest.partition('=')
            self.variables[name] = script.number_of(value)
        else:
            raise script.Error('not a step')

    def command(self, word):
        connection = self.connection()
        if word == 'closed':
            found = connection.receive(1)
            if found:
                raise Failure('not closed: a PDU of type %s' % found.hex())
        elif word == 'alive':
            self.send('Flush nsid=1' if connection.is_io else 'PropertyGet ofst=0x08')
            self.expect('Resp')
        elif word == 'close':
            connection.close()
            del self.connections[self.current]
        else:
            raise script.Error('! closed, ! alive or ! close')

    def poll(self, text):
        """COMMAND => CONDITIONS of its completion, asked again until they are met."""
        request, _, conditions = text.partition('=>')
        end = time.monotonic() + TIMEOUT_S
        noted = len(self.log)
        while True:
            del self.log[noted:]
            self.send(request)
            try:
                self.expect('Resp ' + conditions)
                return
            except Failure:
                if time.monotonic() > end:
                    raise

    # Sending

    def send(self, text):
        connection = self.connection()
        raw = script.raw_bytes(text)
        self.note('> ' + text)
        if raw is not None:
            connection.send(bytes(raw))
            return
        words = script.tokens_of(text)
        fields = dict(self.assignment(word) for word in words[1:])
        cut = fields.pop('cut', None)
        if words[0] in ('ICReq', 'TermReq', 'Data'):
            out = self.make_pdu(connection, words[0], fields)
        elif words[0] in pdu.COMMANDS:
            out = self.make_command(connection, words[0], fields)
        else:
            raise script.Error('no PDU or command ' + words[0])
        connection.send(out if cut is None else out[:script.number_of(cut)])

    @staticmethod
    def assignment(word):
        name, separator, value = word.partition('=')
        if not separator:
            raise script.Error('not FIELD=VALUE: ' + word)
        return name, value

    @staticmethod
    def take_overrides(fields):
        overrides = {}
        for name in (*pdu.COMMON, 'pad', 'last'):
            if name in fields:
                overrides[name] = script.number_of(fields.pop(name))
        for name in ('hdgst', 'ddgst'):
            if name in fields:
                overrides[name] = fields.pop(name)
        return overrides

    @staticmethod
    def set_fields(number, table, fields):
        for name, value in fields.items():
            if name not in table:
                raise script.Error('no field ' + name)
            number = pdu.set_field(number, table[name], script.number_of(value))
        return number

    def make_pdu(self, connection, name, fields):
        kind = pdu.SENT[name]
        overrides = self.take_overrides(fields)
        data = script.data_of(fields.pop('data', ''))
        if name == 'ICReq':
            connection.asked_dgst = script.number_of(fields.get('dgst', '0'))
            connection.wire.hpda = script.number_of(fields.get('hpda', '0'))
        if name == 'Data':
            overrides.setdefault('last', 1)
            defaults = {'cccid': str(connection.r2t.get('cccid', connection.cid)),
                        'ttag': str(connection.r2t.get('ttag', 0)),
                        'datao': str(connection.r2t.get('r2to', 0)), 'datal': str(len(data))}
            fields = {**defaults, **fields}
        header = self.set_fields(0, kind.fields, fields)
        return pdu.encode(kind, header, data, connection.wire, overrides)

    def make_command(self, connection, name, fields):
        defaults, table = pdu.COMMANDS[name]
        table = {**pdu.COMMAND, **table}
        overrides = self.take_overrides(fields)
        data = self.command_data(name, fields)
        sgl = fields.pop('sgl', 'capsule' if data else 'transport')
        values = {**{field: str(value) for field, value in defaults.items()}, 'psdt': '1'}
        if name == 'Connect' and script.number_of(fields.get('qid', '0')) != 0:
            values['sqsize'] = str(self.variables.get('IOSQ', values['sqsize']))
        if 'sqeflags' in fields:
            del values['psdt']
        if 'cid' not in fields:
            connection.cid = connection.cid + 1 & 0xffff
        else:
            connection.cid = script.number_of(fields['cid'])
        values['cid'] = str(connection.cid)
        if sgl != 'none':
            values['sgltype'] = str(pdu.SGL_IN_CAPSULE if sgl == 'capsule' else pdu.SGL_TRANSPORT)
        if data:
            values['sgllen'] = str(len(data))
        values.update(fields)
        sqe = self.set_fields(0, table, values)
        if not data and 'sgllen' not in fields:
            if name in DATA_COMMANDS:
                length = (pdu.get_field(sqe, table['nlb']) + 1) * self.variables['BLOCK']
                sqe = pdu.set_field(sqe, table['sgllen'], length)
            elif name == 'GetLog':
                count = pdu.get_field(sqe, table['numdu']) << 16 | pdu.get_field(sqe, table['numdl'])
                sqe = pdu.set_field(sqe, table['sgllen'], (count + 1) * 4 & 0xffffffff)
        if name == 'Connect':
            connection.is_io = pdu.get_field(sqe, table['qid']) != 0
            connection.is_flow_control_off = pdu.get_field(sqe, table['cattr']) >> 2 & 1 == 1
        return pdu.encode(pdu.SENT['Cmd'], sqe << 64, data if sgl == 'capsule' else b'',
                          connection.wire, overrides)

    def command_data(self, name, fields):
        if name != 'Connect' or 'data' in fields:
            return script.data_of(fields.pop('data', ''))
        out = bytearray(pdu.CONNECT_DATA_BYTES)
        values = {'hostid': 'hex:' + self.variables['HOSTID'], 'cntlid': '0xffff',
                  'subnqn': self.variables['NQN'], 'hostnqn': self.variables['HOSTNQN']}
        for field, (offset, size) in pdu.CONNECT_DATA.items():
            value = fields.pop(field, values[field]).strip('"')
            if field == 'cntlid':
                data = script.number_of(value).to_bytes(2, 'little')
            elif re.match(r'(hex|zeros|fill|count|text):', value):
                data = script.data_of(value)
            else:
                data = value.encode()
            out[offset:offset + size] = data[:size].ljust(size, b'\0')
        self.variables['CONNECT'] = out.hex()
        return bytes(out)

    # Receiving

    def expect(self, text):
        raw = script.raw_bytes(text)
        if raw is not None:
            self.expect_raw(raw)
            return
        choices = [script.tokens_of(choice) for choice in text.split('||')]
        name, header, data = self.next_pdu([choice[0] for choice in choices], choices)
        failures = []
        for choice in choices:
            try:
                self.check(choice, name, header, data)
                return
            except Failure as failure:
                failures.append(str(failure))
        raise Failure('; or '.join(failures))

    def expect_raw(self, raw):
        found = self.connection().receive(len(raw))
        self.note('< ' + found.hex())
        if len(found) < len(raw):
            raise Failure('closed after %u bytes' % len(found))
        for index, (want, byte) in enumerate(zip(raw, found)):
            if want is not None and want != byte:
                raise Failure('byte %u is %02x, not %02x: %s' % (index, byte, want, found.hex()))

    def wanted_cid(self, choice):
        """The CID of the completion or data that is expected."""
        for word in choice[1:]:
            match = re.fullmatch(r'(?:cid|cccid)=(.+)', word)
            if match:
                return script.number_of(match.group(1))
        return self.connection().cid

    def next_pdu(self, names, choices):
        connection = self.connection()
        for index, (name, header, data) in enumerate(connection.stash):
            if name in names and self.cid_of(name, header) == self.wanted_cid(choices[0]):
                del connection.stash[index]
                return name, header, data
        if 'Resp' in names and self.wanted_cid(choices[0]) in connection.successes:
            connection.successes.remove(self.wanted_cid(choices[0]))
            self.note('< (completed by SUCCESS)')
            fields = pdu.RECEIVED['Resp'].fields
            header = pdu.set_field(0, fields['cid'], self.wanted_cid(choices[0]))
            return 'Resp', header, b''
        while True:
            name, header, data = connection.receive_pdu()
            if name == 'Data':
                header, data = self.gather(connection, header, data)
            self.note('< ' + describe(name, header, data))
            cid = self.cid_of(name, header)
            if cid is None or cid == self.wanted_cid(choices[0]) or name not in ('Resp', 'Data') \
                    or len(connection.stash) == 64:
                return name, header, data
            connection.stash.append((name, header, data))

    @staticmethod
    def cid_of(name, header):
        field = pdu.RECEIVED[name].fields.get('cid' if name == 'Resp' else 'cccid')
        return None if field is None else pdu.get_field(header, field)

    @staticmethod
    def gather(connection, header, data):
        """All data of a command, up to LAST_PDU; returned as one PDU."""
        fields = pdu.RECEIVED['Data'].fields
        first, gathered = header, b''
        while True:
            def field(name, header=header):
                return pdu.get_field(header, fields[name])
            if pdu.get_field(first, fields['cccid']) != field('cccid'):
                raise Failure('C2HData of another command in between')
            if field('datao') != len(gathered):
                raise Failure('C2HData with DATAO %u after %u bytes' % (field('datao'), len(gathered)))
            if field('datal') != len(data):
                raise Failure('C2HData with DATAL %u and %u bytes' % (field('datal'), len(data)))
            gathered += data
            if field('flags') & pdu.LAST:
                break
            if field('flags') & pdu.SUCCESS:
                raise Failure('SUCCESS without LAST_PDU')
            name, header, data = connection.receive_pdu()
            if name != 'Data':
                raise Failure('%s before the last C2HData' % name)
        if field('flags') & pdu.SUCCESS:
            if not connection.is_flow_control_off:
                raise Failure('SUCCESS on a queue with flow control')
            connection.successes.append(field('cccid'))
        return header, gathered

    def check(self, choice, name, header, data):
        found = 'got ' + describe(name, header, data)
        if choice[0] != name:
            raise Failure('not a %s: %s' % (choice[0], found))
        connection = self.connection()
        fields = pdu.RECEIVED[name].fields
        conditions = [script.Condition(word) for word in choice[1:]]
        given = {condition.field for condition in conditions}
        defaults = {'Resp': {'cid': str(connection.cid), 'status': '000', 'sqid': '0', 'phase': '0'},
                    'Data': {'cccid': str(connection.cid)}, 'R2T': {'cccid': str(connection.cid)},
                    'ICResp': {'pfv': '0', 'reserved': '0'}, 'TermReq': {'reserved': '0'}}[name]
        if self.variables.get('IOSQID'):
            defaults.pop('sqid', None)
        conditions = [script.Condition('%s=%s' % item) for item in defaults.items()
                      if item[0] not in given] + conditions
        for condition in conditions:
            value = self.value_of(condition, name, fields, header, data)
            if condition.operator == '->':
                if isinstance(value, bytes):
                    value = int.from_bytes(value, 'little')
                mask = script.number_of(condition.mask) if condition.mask else -1
                self.variables[condition.value] = value & mask
            elif not condition.holds(value):
                shown = value.hex() if isinstance(value, bytes) else '%#x' % value
                raise Failure('%s, but is %s: %s' % (condition.text, shown, found))
        if name == 'Resp' and 'dnr' not in given:
            self.check_dnr(header, found)
        self.take(connection, name, fields, header)

    def check_dnr(self, header, found):
        """Only of a target that sets it at all."""
        status = pdu.get_field(header, pdu.COMPLETION['status'])
        dnr = pdu.get_field(header, pdu.COMPLETION['dnr'])
        if 'DNR' in self.variables and status in (pdu.PASSING if dnr else pdu.LASTING):
            raise Failure('dnr=%u, but is %u: %s' % (1 - dnr, dnr, found))

    @staticmethod
    def value_of(condition, name, fields, header, data):
        if condition.field.startswith('@'):
            offset, size = condition.place()
            if offset + size > len(data):
                raise Failure('%s, but there are %u bytes' % (condition.text, len(data)))
            return data[offset:offset + size]
        if condition.field == 'data':
            return data
        if condition.field == 'bytes':
            return len(data)
        if condition.field not in fields:
            raise script.Error('no field %s in %s' % (condition.field, name))
        return pdu.get_field(header, fields[condition.field])

    def take(self, connection, name, fields, header):
        """What a PDU means for what follows."""
        if name == 'ICResp':
            dgst = pdu.get_field(header, fields['dgst'])
            if dgst & ~connection.asked_dgst:
                raise Failure('a digest that was not asked for')
            wire = connection.wire
            wire.cpda = pdu.get_field(header, fields['cpda'])
            wire.has_hdgst, wire.has_ddgst = dgst & 1 == 1, dgst & 2 == 2
            self.variables['MAXH2CDATA'] = pdu.get_field(header, fields['maxh2cdata'])
        elif name == 'R2T':
            connection.r2t = {field: pdu.get_field(header, fields[field])
                              for field in ('cccid', 'ttag', 'r2to', 'r2tl')}
            self.variables.update({field.upper(): value for field, value in connection.r2t.items()})
