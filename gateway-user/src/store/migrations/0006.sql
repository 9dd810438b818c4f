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
