-- Schema 7: what was usual on each of the last whole local days, made of that day's rows when it is over. A summary compares
-- with a month of days: it need not read a month of rows. Nothing is only here, and nothing is shown from here but what is
-- usual; a day whose lines of the journal are not those it was made of is not used, and made anew.

CREATE TABLE usual_day (
    id        INTEGER PRIMARY KEY,
    since     INTEGER NOT NULL UNIQUE,  -- the day, on the calendar
    until     INTEGER NOT NULL,
    intervals INTEGER NOT NULL,         -- how many lines of the journal began in it,
    id_sum    INTEGER NOT NULL          -- and the sum of their numbers
) STRICT;

-- What each device sent to the world, by name, or where there is no name by network.
CREATE TABLE usual_sent (
    day         INTEGER NOT NULL REFERENCES usual_day,
    device      INTEGER NOT NULL REFERENCES device,
    name        INTEGER NOT NULL REFERENCES name,
    asn         INTEGER NOT NULL,       -- -1: not known, or there is a name
    marks       INTEGER NOT NULL,       -- of the marks of flow: 64, the name is not kept
    application INTEGER NOT NULL,
    up_bytes    INTEGER NOT NULL,
    PRIMARY KEY (day, device, name, asn, marks, application)
) STRICT, WITHOUT ROWID;

-- What each device exchanged with the world in each local hour; rows that are kept by the day are in none.
CREATE TABLE usual_hour (
    day        INTEGER NOT NULL REFERENCES usual_day,
    device     INTEGER NOT NULL REFERENCES device,
    began_at   INTEGER NOT NULL,
    up_bytes   INTEGER NOT NULL,
    down_bytes INTEGER NOT NULL,
    PRIMARY KEY (day, device, began_at)
) STRICT, WITHOUT ROWID;
