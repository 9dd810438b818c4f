-- Schema 3: a peer's network says where its operator is registered, and what else must be said of it.

ALTER TABLE peer ADD COLUMN registered_country TEXT; -- of the operator of the AS: ISO 3166-1, two letters
ALTER TABLE peer ADD COLUMN network_marks INTEGER NOT NULL DEFAULT 0; -- sum of 1 cdn, 2 anycast, 4 cloud
