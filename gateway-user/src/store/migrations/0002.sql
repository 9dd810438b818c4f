-- Schema 2: a row says how sure its name is and which protocol it speaks; what the DNS told devices is kept, so that
-- names outlive the daemon and can be explained.

-- The primary key grows, so the table is made anew. Rows from before say nothing of marks and protocol.
CREATE TABLE flow_2 (
    interval      INTEGER NOT NULL REFERENCES interval,
    device        INTEGER NOT NULL REFERENCES device,
    peer          INTEGER NOT NULL REFERENCES peer,
    port          INTEGER NOT NULL,     -- of the service: the peer's, or the device's where the peer opened; 0 none
    protocol      INTEGER NOT NULL,     -- IP protocol number
    kind          INTEGER NOT NULL,     -- 0 flow, 1 later fragments, 2 coarse (peer unknown), 3 local
    opened_by     INTEGER NOT NULL,     -- 0 not seen, 1 the device, 2 the peer
    name          INTEGER NOT NULL REFERENCES name,
    evidence      INTEGER NOT NULL,     -- 0 none, 1 dns, 2 http_host, 3 quic_sni, 4 tls_sni
    marks         INTEGER NOT NULL,     -- sum of 1 outer name, 2 rivals, 4 stretched, 8 covered, 16 uncovered, 32 undecided
    application   INTEGER NOT NULL,     -- the protocol that was recognised; 0 none
    up_bytes      INTEGER NOT NULL,
    down_bytes    INTEGER NOT NULL,
    up_packets    INTEGER NOT NULL,
    down_packets  INTEGER NOT NULL,
    conversations INTEGER NOT NULL,     -- how many 5-tuples it sums up
    answer_secs   INTEGER,              -- age of the oldest DNS answer behind the name when its conversation began
    PRIMARY KEY (interval, device, peer, port, protocol, kind, opened_by, name, evidence, marks, application)
) STRICT, WITHOUT ROWID;
INSERT INTO flow_2
    SELECT interval, device, peer, port, protocol, kind, opened_by, name, evidence, 0, 0,
           up_bytes, down_bytes, up_packets, down_packets, conversations, NULL
    FROM flow;
DROP TABLE flow;
ALTER TABLE flow_2 RENAME TO flow;

ALTER TABLE device ADD COLUMN parameter_list TEXT; -- DHCP option 55: which options it asks for, in its order

-- What the DNS told devices of addresses: a row for every answer, and for what a repeated one adds to it. Only ever
-- appended to, and shortened from the front: the rows of one drain lie side by side, and few pages are written.
CREATE TABLE answer (
    id              INTEGER PRIMARY KEY,
    device          INTEGER NOT NULL REFERENCES device,
    name            INTEGER NOT NULL REFERENCES name,   -- the name that was asked for
    addr            BLOB    NOT NULL CHECK (length(addr) IN (4, 16)),
    asker_ipv4      BLOB    NOT NULL CHECK (length(asker_ipv4) IN (0, 4)), -- empty: it asked over IPv6
    chain           TEXT    NOT NULL,   -- the CNAMEs on the way, in order, with spaces between
    ttl_secs        INTEGER NOT NULL,   -- the shortest of the chain, in the latest of equal answers
    origin          INTEGER NOT NULL REFERENCES origin, -- whose steady clock the next two columns are of
    answered_boot_ns INTEGER NOT NULL,  -- the first of an unbroken row of equal answers
    vouches_boot_ns INTEGER NOT NULL,   -- until when it vouches, its TTL stretched
    answered_at     INTEGER,            -- the same two on the calendar; NULL while the gateway did not know the time
    vouches_until   INTEGER
) STRICT;

-- The conversations that were under way when the daemon stopped in good order. Empty as soon as another interval is
-- stored: by then it is old.
CREATE TABLE conversation (
    key                BLOB    PRIMARY KEY CHECK (length(key) = 32), -- as the kernel has it
    origin             INTEGER NOT NULL REFERENCES origin,
    opened             INTEGER NOT NULL,
    said_name          INTEGER NOT NULL REFERENCES name,
    said_evidence      INTEGER NOT NULL,
    said_is_outer      INTEGER NOT NULL CHECK (said_is_outer IN (0, 1)),
    said_application   INTEGER NOT NULL,
    said_boot_ns       INTEGER,         -- NULL: it said nothing
    told_name          INTEGER NOT NULL REFERENCES name,
    told_marks         INTEGER NOT NULL,
    told_answer_secs   INTEGER,
    said_since_boot_ns INTEGER NOT NULL,
    last_seen_boot_ns  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
