"""PDUs and commands by name: what a transcript's symbolic lines stand for (NVMe/TCP 1.0, 3.6.2; Base
2.0, 3.3.3). A header or command is one little-endian number, a field a (first bit, bits) of it."""

ICREQ, ICRESP, H2C_TERM, C2H_TERM, CMD, RESP, H2C_DATA, C2H_DATA, R2T = 0, 1, 2, 3, 4, 5, 6, 7, 9
HDGSTF, DDGSTF, LAST, SUCCESS = 1, 2, 4, 8
SGL_IN_CAPSULE, SGL_TRANSPORT = 0x01, 0x5a
FABRICS = 0x7f


def at(offset, size):
    return offset * 8, size * 8


def bits(offset, low, high):
    """Bits low..high of the dword at an offset."""
    return offset * 8 + low, high - low + 1


def cdw(number, low=0, high=31):
    return bits(number * 4, low, high)


COMMON = {'type': at(0, 1), 'flags': at(1, 1), 'hlen': at(2, 1), 'pdo': at(3, 1), 'plen': at(4, 4)}
DATA = {'cccid': at(8, 2), 'ttag': at(10, 2), 'datao': at(12, 4), 'datal': at(16, 4),
        'reserved': at(20, 4)}
TERM = {'fes': at(8, 2), 'fei': at(10, 4), 'reserved': at(14, 10)}
COMMAND = {
    'opc': at(0, 1), 'sqeflags': at(1, 1), 'fuse': (8, 2), 'psdt': (14, 2), 'cid': at(2, 2),
    'nsid': at(4, 4), 'fctype': at(4, 1), 'cdw2': cdw(2), 'cdw3': cdw(3), 'mptr': at(16, 8),
    'sgladdr': at(24, 8), 'sgllen': at(32, 4), 'sgltype': at(39, 1),
    **{'cdw%u' % number: cdw(number) for number in range(10, 16)}}
COMPLETION = {
    'value': at(8, 8), 'dw0': at(8, 4), 'dw1': at(12, 4), 'sqhd': at(16, 2), 'sqid': at(18, 2),
    'cid': at(20, 2), 'phase': (176, 1), 'status': (177, 11), 'crd': (188, 2), 'more': (190, 1),
    'dnr': (191, 1)}


class Kind:
    """What the specification fixes for a type of PDU."""

    def __init__(self, number, hlen, fields, has_digests=False):
        self.number, self.hlen, self.has_digests = number, hlen, has_digests
        self.fields = {**COMMON, **fields}


SENT = {
    'ICReq': Kind(ICREQ, 128, {'pfv': at(8, 2), 'hpda': at(10, 1), 'dgst': at(11, 1),
                               'maxr2t': at(12, 4), 'reserved': at(16, 112)}),
    'TermReq': Kind(H2C_TERM, 24, TERM),
    'Cmd': Kind(CMD, 72, {}, True),
    'Data': Kind(H2C_DATA, 24, DATA, True),
}
RECEIVED = {
    'ICResp': Kind(ICRESP, 128, {'pfv': at(8, 2), 'cpda': at(10, 1), 'dgst': at(11, 1),
                                 'maxh2cdata': at(12, 4), 'reserved': at(16, 112)}),
    'TermReq': Kind(C2H_TERM, 24, TERM),
    'Resp': Kind(RESP, 24, COMPLETION, True),
    'Data': Kind(C2H_DATA, 24, DATA, True),
    'R2T': Kind(R2T, 24, {'cccid': at(8, 2), 'ttag': at(10, 2), 'r2to': at(12, 4),
                          'r2tl': at(16, 4), 'reserved': at(20, 4)}, True),
}
RECEIVED_NAMES = {kind.number: name for name, kind in RECEIVED.items()}

RANGE = {'slba': (320, 64), 'nlb': cdw(12, 0, 15), 'fua': cdw(12, 30, 30), 'lr': cdw(12, 31, 31)}
PROPERTY = {'attrib': at(40, 1), 'ofst': at(44, 4)}
UUID = cdw(14, 0, 6)
FEATURE = {'fid': cdw(10, 0, 7)}

# name: what is set unless said otherwise, and the fields it has beside COMMAND's
COMMANDS = {
    'Cmd': ({}, {}),
    'PropertySet': ({'opc': FABRICS, 'fctype': 0x00}, {**PROPERTY, 'value': at(48, 8)}),
    'Connect': ({'opc': FABRICS, 'fctype': 0x01, 'sqsize': 31},
                {'recfmt': at(40, 2), 'qid': at(42, 2), 'sqsize': at(44, 2), 'cattr': at(46, 1),
                 'kato': at(48, 4)}),
    'PropertyGet': ({'opc': FABRICS, 'fctype': 0x04}, PROPERTY),
    'Disconnect': ({'opc': FABRICS, 'fctype': 0x08}, {'recfmt': at(40, 2)}),
    'GetLog': ({'opc': 0x02, 'nsid': 0xffffffff},
               {'lid': cdw(10, 0, 7), 'lsp': cdw(10, 8, 14), 'rae': cdw(10, 15, 15),
                'numdl': cdw(10, 16, 31), 'numdu': cdw(11, 0, 15), 'lsi': cdw(11, 16, 31),
                'lpo': (384, 64), 'uuid': UUID, 'ot': cdw(14, 23, 23),
                'csi': cdw(14, 24, 31)}),
    'Identify': ({'opc': 0x06, 'sgllen': 4096},
                 {'cns': cdw(10, 0, 7), 'cntid': cdw(10, 16, 31), 'csi': cdw(11, 24, 31), 'uuid': UUID}),
    'Abort': ({'opc': 0x08}, {'sqid': cdw(10, 0, 15), 'abortcid': cdw(10, 16, 31)}),
    'SetFeatures': ({'opc': 0x09}, {**FEATURE, 'sv': cdw(10, 31, 31), 'uuid': UUID}),
    'GetFeatures': ({'opc': 0x0a}, {**FEATURE, 'sel': cdw(10, 8, 10), 'uuid': UUID}),
    'AsyncEvent': ({'opc': 0x0c}, {}),
    'KeepAlive': ({'opc': 0x18}, {}),
    'Flush': ({'opc': 0x00, 'nsid': 1}, {}),
    'Write': ({'opc': 0x01, 'nsid': 1}, RANGE),
    'Read': ({'opc': 0x02, 'nsid': 1}, RANGE),
    'WriteUncorrectable': ({'opc': 0x04, 'nsid': 1}, RANGE),
    'Compare': ({'opc': 0x05, 'nsid': 1}, RANGE),
    'WriteZeroes': ({'opc': 0x08, 'nsid': 1}, {**RANGE, 'deac': cdw(12, 25, 25)}),
    'Dsm': ({'opc': 0x09, 'nsid': 1}, {'nr': cdw(10, 0, 7), 'ad': cdw(11, 2, 2)}),
    'Verify': ({'opc': 0x0c, 'nsid': 1}, RANGE),
    'Copy': ({'opc': 0x19, 'nsid': 1},
             {'sdlba': (320, 64), 'nr': cdw(12, 0, 7), 'format': cdw(12, 8, 11)}),
}

# Whether the same command would fail again (DNR: Base 2.0, 3.3.3.2.1): where the status itself says so.
LASTING = {0x001, 0x002, 0x00b, 0x00d, 0x00f, 0x011, 0x016, 0x020, 0x080, 0x101, 0x109, 0x10d, 0x10e, 0x10f,
           0x180, 0x182, 0x183, 0x184, 0x185}
PASSING = {0x000, 0x003, 0x007, 0x008, 0x009, 0x00a, 0x022, 0x103, 0x105, 0x181}

# The data of Connect: offset and size. Text is padded with zeros.
CONNECT_DATA = {'hostid': (0, 16), 'cntlid': (16, 2), 'subnqn': (256, 256), 'hostnqn': (512, 256)}
CONNECT_DATA_BYTES = 1024


def get_field(number, field):
    return number >> field[0] & (1 << field[1]) - 1


def set_field(number, field, value):
    mask = (1 << field[1]) - 1
    if value & ~mask:
        raise ValueError('%#x has more than %u bits' % (value, field[1]))
    return number & ~(mask << field[0]) | value << field[0]


def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82f63b78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC32C = crc32c_table()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 0xff]
    return crc ^ 0xffffffff


def digest(data, is_bad):
    return (crc32c(data) ^ (1 if is_bad else 0)).to_bytes(4, 'little')


class Wire:
    """What is agreed for a connection."""

    def __init__(self):
        self.has_hdgst = self.has_ddgst = False
        self.cpda = self.hpda = 0


def encode(kind, header, data, wire, overrides):
    """A PDU's bytes. header: a number with the fields behind the common header; overrides: of the
    common header, and 'hdgst', 'ddgst' = 'bad'."""
    hdgst = 4 if wire.has_hdgst and kind.has_digests else 0
    ddgst = 4 if wire.has_ddgst and kind.has_digests and data else 0
    alignment = (wire.cpda + 1) * 4 if kind.has_digests else 1
    pdo = -(-(kind.hlen + hdgst) // alignment) * alignment if data else 0
    flags = (HDGSTF if hdgst else 0) | (DDGSTF if ddgst else 0) | overrides.get('last', 0) * LAST
    # Where the data really lies is what a legal PDO says; a TermReq has data, and a PDO of 0.
    place = pdo or kind.hlen + hdgst
    pdo = 0 if kind.number == H2C_TERM else pdo
    values = {'type': kind.number, 'flags': flags, 'hlen': kind.hlen, 'pdo': pdo,
              'plen': place + len(data) + ddgst}
    if 'pad' in overrides:  # bytes more between header and data
        place += overrides['pad']
        values['pdo'] += overrides['pad']
        values['plen'] += overrides['pad']
    for name, value in values.items():
        header = set_field(header, COMMON[name], overrides.get(name, value))
    out = header.to_bytes(kind.hlen, 'little')
    if hdgst:
        out += digest(out, overrides.get('hdgst') == 'bad')
    out = out.ljust(place, b'\xa5') if data else out
    out += data
    if ddgst:
        out += digest(data, overrides.get('ddgst') == 'bad')
    return out


class Malformed(Exception):
    """A PDU that the controller should not have sent."""


def require(condition, what, *details):
    if not condition:
        raise Malformed(what % details)


def decode(common, rest, wire):
    """name, header (a number), data of a received PDU; its form is checked."""
    kind_number, flags, hlen, pdo = common[:4]
    require(kind_number in RECEIVED_NAMES, 'PDU of type %02xh', kind_number)
    name = RECEIVED_NAMES[kind_number]
    kind = RECEIVED[name]
    whole = common + rest
    require(hlen == kind.hlen, '%s with HLEN %u', name, hlen)
    hdgst = 4 if wire.has_hdgst and kind.has_digests else 0
    has_data = len(whole) > hlen + hdgst
    ddgst = 4 if wire.has_ddgst and name == 'Data' else 0
    legal = (HDGSTF if hdgst else 0) | (DDGSTF if ddgst else 0)
    optional = LAST | SUCCESS if name == 'Data' else 0
    require(flags & ~optional == legal, '%s with flags %02xh', name, flags)
    if hdgst:
        require(digest(whole[:hlen], False) == whole[hlen:hlen + 4], '%s with a wrong HDGST', name)
    if name == 'Data':
        require(has_data, 'C2HData without data')
        require(pdo >= hlen + hdgst and pdo % ((wire.hpda + 1) * 4) == 0,
                'C2HData with PDO %u, HPDA %u', pdo, wire.hpda)
        data = whole[pdo:len(whole) - ddgst]
        if ddgst:
            require(digest(data, False) == whole[-4:], 'C2HData with a wrong DDGST')
    else:
        require(pdo == 0, '%s with PDO %u', name, pdo)
        require(not has_data or name == 'TermReq', '%s with PLEN %u', name, len(whole))
        data = whole[hlen:] if name == 'TermReq' else b''
        require(len(data) <= 128, 'TermReq that quotes %u bytes', len(data))
    return name, int.from_bytes(whole[:hlen], 'little'), data
