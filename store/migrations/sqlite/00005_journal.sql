-- +goose Up
-- The logs that plugins keep, and how far each has got.
CREATE TABLE journals (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    plugin   TEXT NOT NULL,
    name     TEXT NOT NULL,
    version  BIGINT NOT NULL,   -- of the progress; 0: never set
    progress BLOB NOT NULL,     -- the plugin's own document
    UNIQUE (plugin, name)
);

CREATE TABLE journal_records (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of arrival
    journal BIGINT NOT NULL,
    id      TEXT NOT NULL,
    at      BIGINT NOT NULL,    -- microseconds
    keys    TEXT NOT NULL,      -- JSON; to find the rows of journal_keys by
    body    BLOB NOT NULL,
    UNIQUE (journal, id)
);
CREATE INDEX journal_records_at ON journal_records (journal, at);

-- What records are found by, in the order in which they are read.
CREATE TABLE journal_keys (
    journal BIGINT NOT NULL,
    key     TEXT NOT NULL,
    at      BIGINT NOT NULL,
    seq     BIGINT NOT NULL,
    PRIMARY KEY (journal, key, at, seq)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE journal_keys;
DROP TABLE journal_records;
DROP TABLE journals;
