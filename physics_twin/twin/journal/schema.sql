-- The journal of twins: plain SQL that SQLite and PostgreSQL take alike.
-- Times are whole nanoseconds since 1970, UTC. Values are in the unit that the row names.
-- Statements end with a semicolon at the end of a line.

CREATE TABLE IF NOT EXISTS journal (
    version INTEGER PRIMARY KEY,
    writer TEXT NOT NULL                    -- the library that made the tables
);

-- Names of assets, channels and units, so that a sample holds numbers only.
CREATE TABLE IF NOT EXISTS names (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);

-- What stands on the timelines. The key is what makes a sample itself: the second of a kind has no place.
CREATE TABLE IF NOT EXISTS entries (
    asset INTEGER NOT NULL,
    time BIGINT NOT NULL,
    channel INTEGER NOT NULL,               -- of an operation "@" and its act
    source TEXT NOT NULL,                   -- of an operation the hash of what was done
    number BIGINT NOT NULL,                 -- the append in which it came, counted per asset
    place INTEGER NOT NULL,                 -- and its place in it
    value DOUBLE PRECISION,                 -- NULL: nothing was read (NaN)
    unit INTEGER,
    quality SMALLINT,
    reported BIGINT,
    operation TEXT,                         -- JSON: who, reason, content; NULL of a sample
    PRIMARY KEY (asset, time, channel, source)
);

-- The appends that the oldest kept state has not taken in: where to look for what came after a state.
CREATE TABLE IF NOT EXISTS appends (
    asset INTEGER NOT NULL,
    number BIGINT NOT NULL,
    oldest BIGINT NOT NULL,                 -- time of the oldest entry in it
    present BIGINT,                         -- what now was when it came; NULL where nobody said
    PRIMARY KEY (asset, number)
);

-- How far each source has been read.
CREATE TABLE IF NOT EXISTS positions (
    asset INTEGER NOT NULL,
    source TEXT NOT NULL,
    position TEXT NOT NULL,
    PRIMARY KEY (asset, source)
);

-- Saved twins, the last few of each asset.
CREATE TABLE IF NOT EXISTS states (
    asset INTEGER NOT NULL,
    number BIGINT NOT NULL,                 -- the last append that it has taken in
    time BIGINT NOT NULL,
    oldest BIGINT NOT NULL,                 -- what it may fold again begins after this time
    digest TEXT NOT NULL,
    content BYTEA NOT NULL,                 -- a file as Twin.save writes it
    PRIMARY KEY (asset, number)
);

-- Since when the entries of an asset are complete; older ones were pruned.
CREATE TABLE IF NOT EXISTS pruned (
    asset INTEGER PRIMARY KEY,
    before BIGINT NOT NULL
);

-- The audit log: append-only, which triggers enforce.
CREATE TABLE IF NOT EXISTS audit (
    asset INTEGER NOT NULL,
    number BIGINT NOT NULL,
    hash TEXT NOT NULL,
    record TEXT NOT NULL,                   -- a line of JSON as Audit.to_json_lines writes it
    PRIMARY KEY (asset, number)
);
