-- Schema 4: the user may say that several MAC addresses are one device; what a device called itself is kept.

-- The device that this one is a part of; NULL: it is itself. That one is never a part of another. Rows stay where
-- they are: readers put them together, so that taking this back restores what was.
ALTER TABLE device ADD COLUMN merged_into INTEGER REFERENCES device;

-- What a device called itself, and how often that became its name anew. A name that comes back by turns with another
-- is a second device's behind the same MAC address.
CREATE TABLE device_hostname (
    device   INTEGER NOT NULL REFERENCES device,
    hostname TEXT    NOT NULL,
    source   TEXT    NOT NULL,          -- as in device.hostname_source
    times    INTEGER NOT NULL,
    PRIMARY KEY (device, hostname, source)
) STRICT, WITHOUT ROWID;
INSERT INTO device_hostname
    SELECT id, hostname, hostname_source, 1 FROM device WHERE hostname IS NOT NULL AND hostname_source IS NOT NULL;
