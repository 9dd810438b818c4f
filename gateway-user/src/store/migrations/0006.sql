-- Schema 6: old rows are added up, first by the hours and then by the days of the gateway's calendar. A line of the
-- journal may stand for a run of drains that followed each other without a gap; rows and ledger hang on it as before, so
-- that every row is in one place alone.

ALTER TABLE interval ADD COLUMN grain INTEGER NOT NULL DEFAULT 0; -- 0 one drain, 1 of an hour, 2 of a day, 3 its rows are gone
ALTER TABLE interval ADD COLUMN first_epoch INTEGER;        -- of a run the first drain, epoch is the last; NULL: one drain
ALTER TABLE interval ADD COLUMN last_began_boot_ns INTEGER; -- of a run: when its last drain's interval began; NULL: one drain

-- A peer may be a network whose addresses are no longer told apart: addr is NULL.
CREATE TABLE peer_6 (
    id                 INTEGER PRIMARY KEY,
    addr               BLOB UNIQUE CHECK (addr IS NULL OR length(addr) IN (4, 16)),
    asn                INTEGER,
    organisation       TEXT,
    country            TEXT,            -- where the address is: ISO 3166-1, two letters
    as_of              TEXT,
    registered_country TEXT,            -- of the operator of the AS: ISO 3166-1, two letters
    network_marks      INTEGER NOT NULL DEFAULT 0 -- sum of 1 cdn, 2 anycast, 4 cloud
) STRICT;
INSERT INTO peer_6 SELECT id, addr, asn, organisation, country, as_of, registered_country, network_marks FROM peer;
DROP TABLE peer;
ALTER TABLE peer_6 RENAME TO peer;
CREATE INDEX peer_network ON peer (asn, country) WHERE addr IS NULL;

-- For people who ask in SQL: numbers put into words. docs/schema.md describes them.
CREATE VIEW v_device AS
    SELECT m.id, coalesce(d.label, d.hostname, 'unnamed ' || lower(hex(d.mac))) AS device, lower(hex(d.mac)) AS mac
    FROM device m JOIN device d ON d.id = coalesce(m.merged_into, m.id);
CREATE VIEW v_flow AS
    SELECT i.began_at, i.ended_at, datetime(i.began_at / 1000000000, 'unixepoch', 'localtime') AS began,
           CASE i.grain WHEN 0 THEN 'drain' WHEN 1 THEN 'hour' ELSE 'day' END AS grain,
           d.device, d.mac, nullif(n.text, '') AS name,
           CASE f.evidence WHEN 1 THEN 'dns' WHEN 2 THEN 'http_host' WHEN 3 THEN 'quic_sni' WHEN 4 THEN 'tls_sni'
               ELSE 'none' END AS evidence,
           CASE f.kind WHEN 0 THEN 'flow' WHEN 1 THEN 'later_fragments' WHEN 2 THEN 'coarse' ELSE 'local' END AS kind,
           f.protocol, f.port, lower(hex(p.addr)) AS peer, p.asn, p.organisation, p.country,
           f.up_bytes, f.down_bytes, f.up_packets, f.down_packets, f.conversations
    FROM interval i JOIN flow f ON f.interval = i.id JOIN v_device d ON d.id = f.device
    JOIN name n ON n.id = f.name JOIN peer p ON p.id = f.peer;
CREATE VIEW v_day AS
    SELECT date(began_at / 1000000000, 'unixepoch', 'localtime') AS day, device, name, organisation, country,
           sum(up_bytes) AS up_bytes, sum(down_bytes) AS down_bytes, sum(conversations) AS conversations
    FROM v_flow WHERE kind IN ('flow', 'later_fragments') GROUP BY 1, 2, 3, 4, 5;
