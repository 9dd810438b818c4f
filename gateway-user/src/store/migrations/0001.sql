-- Telltale's database, schema 1. Times are nanoseconds since 1970-01-01T00:00:00Z ("_at", "_seen") or since the
-- gateway's boot, sleep included ("_boot_ns"). Bytes are of the IP layer. "up" is from the device, "down" to it.
-- Every number of packets or bytes is below 2^63; the writer refuses what is not.

-- Who counted: one set of kernel tables in one boot, or one replayed capture.
CREATE TABLE origin (
    id       INTEGER PRIMARY KEY,
    boot_id  TEXT    NOT NULL,          -- the kernel's boot id, or a name of its own for a capture
    table_id INTEGER NOT NULL,          -- drawn when the kernel tables were made: all 64 bits, as a signed number
    UNIQUE (boot_id, table_id)
) STRICT;

-- The journal of drains. A drain's rows are written in one transaction with its line here, and (origin, epoch) is
-- unique: this is what makes a drain count exactly once.
CREATE TABLE interval (
    id            INTEGER PRIMARY KEY,
    origin        INTEGER NOT NULL REFERENCES origin,
    epoch         INTEGER NOT NULL,     -- the turn of the counting buffers, from 1
    began_boot_ns INTEGER NOT NULL,
    ended_boot_ns INTEGER NOT NULL,
    began_at      INTEGER NOT NULL,
    ended_at      INTEGER NOT NULL,     -- half-open: this moment is the next interval's
    is_clock_set  INTEGER NOT NULL CHECK (is_clock_set IN (0, 1)), -- 0: the gateway did not know the time
    UNIQUE (origin, epoch)
) STRICT;
CREATE INDEX interval_by_time ON interval (began_at);
-- Finds what a clock that has just been set must mend. Empty nearly always.
CREATE INDEX interval_undated ON interval (origin) WHERE is_clock_set = 0;

CREATE TABLE device (
    id              INTEGER PRIMARY KEY,
    mac             BLOB NOT NULL UNIQUE CHECK (length(mac) = 6),
    label           TEXT,               -- what the user calls it
    hostname        TEXT,               -- what it calls itself
    hostname_source TEXT,               -- where the hostname comes from: dhcp, mdns
    vendor_class    TEXT,               -- DHCP option 60
    first_seen      INTEGER,            -- NULL until an interval with a known time has it
    last_seen       INTEGER
) STRICT;

-- Addresses that a device was seen to hold.
CREATE TABLE device_addr (
    device INTEGER NOT NULL REFERENCES device,
    addr   BLOB    NOT NULL CHECK (length(addr) IN (4, 16)), -- network byte order
    PRIMARY KEY (device, addr)
) STRICT, WITHOUT ROWID;

-- The other parties. Network columns are what a table said; as_of is that table's date.
CREATE TABLE peer (
    id           INTEGER PRIMARY KEY,
    addr         BLOB NOT NULL UNIQUE CHECK (length(addr) IN (4, 16)),
    asn          INTEGER,
    organisation TEXT,
    country      TEXT,                  -- where the address is: ISO 3166-1, two letters
    as_of        TEXT
) STRICT;

-- Names that peers were contacted under. Id 0 is "no name".
CREATE TABLE name (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO name (id, text) VALUES (0, '');

-- The DNS told this device that name is also alias (CNAME, RFC 1035 section 3.3.1).
CREATE TABLE alias (
    device INTEGER NOT NULL REFERENCES device,
    name   INTEGER NOT NULL REFERENCES name,
    alias  INTEGER NOT NULL REFERENCES name,
    PRIMARY KEY (device, name, alias)
) STRICT, WITHOUT ROWID;

-- What one device exchanged with one peer's port under one name in one interval.
CREATE TABLE flow (
    interval      INTEGER NOT NULL REFERENCES interval,
    device        INTEGER NOT NULL REFERENCES device,
    peer          INTEGER NOT NULL REFERENCES peer,
    port          INTEGER NOT NULL,     -- of the service: the peer's, or the device's where the peer opened; 0 none
    protocol      INTEGER NOT NULL,     -- IP protocol number
    kind          INTEGER NOT NULL,     -- 0 flow, 1 later fragments, 2 coarse (peer unknown), 3 local
    opened_by     INTEGER NOT NULL,     -- 0 not seen, 1 the device, 2 the peer
    name          INTEGER NOT NULL REFERENCES name,
    evidence      INTEGER NOT NULL,     -- 0 none, 1 dns, 2 http_host, 3 quic_sni, 4 tls_sni
    up_bytes      INTEGER NOT NULL,
    down_bytes    INTEGER NOT NULL,
    up_packets    INTEGER NOT NULL,
    down_packets  INTEGER NOT NULL,
    conversations INTEGER NOT NULL,     -- how many 5-tuples it sums up
    PRIMARY KEY (interval, device, peer, port, protocol, kind, opened_by, name, evidence)
) STRICT, WITHOUT ROWID;

-- Each interval's counters: everything seen, and what of it is in no row of flow, by reason.
CREATE TABLE ledger (
    interval INTEGER NOT NULL REFERENCES interval,
    counter  TEXT    NOT NULL,
    packets  INTEGER NOT NULL,          -- or events, where bytes is NULL
    bytes    INTEGER,
    PRIMARY KEY (interval, counter)
) STRICT, WITHOUT ROWID;
