-- Schema 5: who registered a domain, as its registry or registrar said when it was asked (RDAP, RFC 9083). Only what a
-- person asked for with `telltale who --rdap` is here.
CREATE TABLE registration (
    domain             TEXT    PRIMARY KEY, -- the registrable name
    asked_at           INTEGER NOT NULL,
    server             TEXT    NOT NULL,    -- whose answer it is: the URL's host; empty: no server is known to have one
    registrant         TEXT,
    registrant_country TEXT,                -- ISO 3166-1, two letters
    registrant_region  TEXT,
    registrar          TEXT,
    registered_on      TEXT,                -- YYYY-MM-DD
    is_redacted        INTEGER NOT NULL CHECK (is_redacted IN (0, 1)) -- 1: the registrant is withheld
) STRICT, WITHOUT ROWID;
