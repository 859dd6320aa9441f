"""Finds out what a target is, as a well-behaved host would: variables for the cases, and the
capabilities by which cases are chosen."""

import session

HOST_NQN = 'nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555'
HOST_ID = bytes(range(1, 17)).hex()
DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery'
CC_ENABLE = 0x460001

ONCS = ('compare', 'write-uncorrectable', 'dsm', 'write-zeroes', 'feature-select', 'reservations',
        'timestamp', 'verify', 'copy')


def first_variables(nqn):
    return {'NQN': nqn, 'HOSTNQN': HOST_NQN, 'HOSTID': HOST_ID, 'DISCOVERY': DISCOVERY_NQN,
            'BLOCK': 512}


class Probe:

    def __init__(self, address, nqn):
        self.address = address
        self.variables = first_variables(nqn)
        self.capabilities = set()
        self.find_digests()
        with session.Session(address, self.variables) as self.session:
            self.find_all()
        self.find_conflicts()
        self.find_by_connect('discovery', 'subnqn=$DISCOVERY')
        self.find_by_connect('any-host', 'hostnqn=nqn.2014-08.org.example:any')

    def run(self, *steps):
        self.session.run([('probe', step) for step in steps])

    def read(self, command):
        """The data of a command, None if it fails."""
        self.session.step('> ' + command)
        connection = self.session.connection()
        name, _, data = connection.receive_pdu()
        if name != 'Data':
            return None
        while len(data) < 4096 and name == 'Data' and not self.is_complete(data, command):
            name, _, more = connection.receive_pdu()
            data += more
        self.session.step('< Resp')
        return data

    @staticmethod
    def is_complete(data, command):
        return len(data) >= 4096 or 'sgllen' in command

    def find_digests(self):
        with session.Session(self.address, self.variables) as probe:
            probe.run([('probe', '> ICReq dgst=3'), ('probe', '< ICResp')])
            wire = probe.connection().wire
            if wire.has_hdgst:
                self.capabilities.add('header-digest')
            if wire.has_ddgst:
                self.capabilities.add('data-digest')
            probe.step('> TermReq fes=1')

    def find_all(self):
        self.run('> ICReq', '< ICResp', '> Connect', '< Resp dw0&0xffff->CNTLID',
                 '> PropertyGet attrib=1 ofst=0', '< Resp dw0->CAPL dw1->CAPH',
                 '> PropertyGet ofst=8', '< Resp dw0->VS',
                 '> PropertySet ofst=0x14 value=%#x' % CC_ENABLE, '< Resp',
                 '~ PropertyGet ofst=0x1c => dw0&1=1')
        variables = self.session.variables
        for name in ('CAPL', 'CAPH', 'VS', 'MAXH2CDATA'):
            self.variables[name] = variables[name]
        self.variables['MQES'] = variables['CAPL'] & 0xffff
        self.variables['IOSQ'] = variables['IOSQ'] = min(variables['CAPL'] & 0xffff, 31)
        self.find_controller(self.read('Identify cns=1'))
        self.find_namespaces()
        self.find_commands()
        self.find_features()
        self.find_sqid()
        self.find_dnr()
        if self.variables['VS'] >= 0x20000:
            self.capabilities.add('vs:2.0')

    def find_controller(self, page):
        def field(offset, size):
            return int.from_bytes(page[offset:offset + size], 'little')
        page_bytes = 1 << 12 + (self.variables['CAPH'] >> 16 & 15)
        mdts = field(77, 1)
        set_variable = self.variables.__setitem__
        set_variable('NN', field(516, 4))
        set_variable('MAXCMD', field(514, 2))
        set_variable('ACL', field(258, 1))
        set_variable('AERL', field(259, 1))
        set_variable('ELPE', field(262, 1))
        set_variable('ACWU', field(532, 2))
        set_variable('OAES', field(92, 4))
        set_variable('CAPSULE', max(0, field(1792, 4) * 16 - 64))
        if mdts:
            self.capabilities.add('mdts')
            set_variable('MDTS', page_bytes << mdts)
        for bit, name in enumerate(ONCS):
            if field(520, 2) >> bit & 1:
                self.capabilities.add(name)
        for capability, is_there in {
                'fused': field(522, 2) & 1, 'vwc': field(525, 1) & 1,
                'flush-all': field(525, 1) & 6 == 6, 'log-offset': field(261, 1) & 4,
                'disconnect': field(1804, 2) & 1, 'capsule': self.variables['CAPSULE'] >= 4096,
                'discovery-event': field(92, 4) >> 31, 'smart-per-namespace': field(261, 1) & 1,
                'aerl-3': field(259, 1) == 3, 'uuid-list': field(96, 4) >> 9 & 1}.items():
            if is_there:
                self.capabilities.add(capability)

    def find_namespaces(self):
        """$NSID may be written to; $RONSID is write protected."""
        page = self.read('Identify cns=2')
        ids = [int.from_bytes(page[i:i + 4], 'little') for i in range(0, 4096, 4)]
        for nsid in [nsid for nsid in ids if nsid][:16]:
            page = self.read('Identify cns=0 nsid=%u' % nsid)
            if page is None:
                continue
            blocks = int.from_bytes(page[:8], 'little')
            lbads = page[128 + 4 * (page[26] & 15) + 2]
            kind = 'RO' if page[99] & 1 else ''
            if kind + 'NSID' not in self.variables:
                self.variables[kind + 'NSID'] = nsid
                self.variables[kind + 'NSZE'] = blocks
                self.capabilities.add('read-only' if kind else 'writable')
                if not kind:
                    self.variables['BLOCK'] = self.session.variables['BLOCK'] = 1 << lbads
        self.variables['NSIDS'] = len([nsid for nsid in ids if nsid])
        if 'MDTS' in self.variables:
            self.variables['MDTSNLB'] = self.variables['MDTS'] // self.variables['BLOCK'] - 1
            self.variables['H2CNLB'] = self.variables['MAXH2CDATA'] // self.variables['BLOCK'] - 1
            if self.variables['MDTS'] > self.variables['MAXH2CDATA']:
                self.capabilities.add('long-writes')
        if self.variables.get('MDTS', 1 << 30) >= 255 * self.variables['BLOCK']:
            self.capabilities.add('long-reads')
        if self.variables['NSIDS'] > 1:
            self.capabilities.add('namespaces')

    def find_commands(self):
        """admin:XX, io:XX, log:XX from what the target says of itself."""
        page = self.read('GetLog lid=5 numdl=1023')
        for kind, start in (('admin', 0), ('io', 1024)) if page else ():
            for opcode in range(256):
                if page[start + 4 * opcode] & 1:
                    self.capabilities.add('%s:%02x' % (kind, opcode))
        for lid in (0, 1, 2, 3, 4, 5, 0x0c, 0x12, 0x70, 0x80):
            if self.read('GetLog lid=%u numdl=3 sgllen=16' % lid) is not None:
                self.capabilities.add('log:%02x' % lid)

    def find_features(self):
        for fid in range(256):
            length = {0x81: 16, 0x16: 512, 0x0e: 8}.get(fid, 0)
            self.session.step('> GetFeatures fid=%u cdw11=%u sgllen=%u' %
                              (fid, fid == 0x81, length))
            name, header, _ = self.session.connection().receive_pdu()
            if name == 'Data':
                name, header, _ = self.session.connection().receive_pdu()
            if session.pdu.get_field(header, session.pdu.COMPLETION['status']) == 0:
                self.capabilities.add('feature:%02x' % fid)

    def find_dnr(self):
        self.session.step('> Cmd opc=0xff')
        _, header, _ = self.session.connection().receive_pdu()
        if session.pdu.get_field(header, session.pdu.COMPLETION['dnr']):
            self.capabilities.add('dnr')
            self.variables['DNR'] = 1

    def find_sqid(self):
        """SQID is reserved over fabrics, but some targets fill it in: that is one fault, not one of
        each case with an I/O queue."""
        self.run('@ io', '> ICReq', '< ICResp', '> Connect qid=1 cntlid=$CNTLID sqsize=$IOSQ',
                 '< Resp sqid->IOSQID')
        self.variables['IOSQID'] = self.session.variables['IOSQID']

    def find_conflicts(self):
        """How far a controller looks for a CID in use is its own affair (Base 2.0, 3.3.3.2.1)."""
        with session.Session(self.address, self.variables) as probe:
            probe.run([('probe', step) for step in (
                '> ICReq', '< ICResp', '> Connect', '< Resp',
                '> PropertySet ofst=0x14 value=%#x' % CC_ENABLE, '< Resp',
                '~ PropertyGet ofst=0x1c => dw0&1=1',
                '> AsyncEvent cid=100', '> AsyncEvent cid=100', '> PropertyGet ofst=8 cid=101')])
            _, header, _ = probe.connection().receive_pdu()
            if session.pdu.get_field(header, session.pdu.COMPLETION['status']) == 3:
                self.capabilities.add('cid-conflict')

    def find_by_connect(self, capability, fields):
        """Whether a Connect with these fields succeeds."""
        with session.Session(self.address, self.variables) as probe:
            try:
                probe.run([('probe', '> ICReq'), ('probe', '< ICResp'),
                           ('probe', '> Connect ' + fields), ('probe', '< Resp')])
                self.capabilities.add(capability)
            except session.Failure:
                pass

    def has(self, need):
        return (need[1:] not in self.capabilities) if need.startswith('!') \
            else need in self.capabilities
