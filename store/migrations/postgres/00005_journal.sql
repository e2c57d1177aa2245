-- +goose Up
-- The logs that plugins keep, and how far each has got.
CREATE TABLE journals (
    number   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plugin   TEXT COLLATE "C" NOT NULL,
    name     TEXT COLLATE "C" NOT NULL,
    version  BIGINT NOT NULL,   -- of the progress; 0: never set
    progress BYTEA NOT NULL,    -- the plugin's own document
    UNIQUE (plugin, name)
);

CREATE TABLE journal_records (
    seq     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order of arrival
    journal BIGINT NOT NULL,
    id      TEXT COLLATE "C" NOT NULL,
    at      BIGINT NOT NULL,    -- microseconds
    keys    TEXT NOT NULL,      -- JSON; to find the rows of journal_keys by
    body    BYTEA NOT NULL,
    UNIQUE (journal, id)
);
ALTER TABLE journal_records ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX journal_records_at ON journal_records (journal, at);

-- What records are found by, in the order in which they are read.
CREATE TABLE journal_keys (
    journal BIGINT NOT NULL,
    key     TEXT COLLATE "C" NOT NULL,
    at      BIGINT NOT NULL,
    seq     BIGINT NOT NULL,
    PRIMARY KEY (journal, key, at, seq)
);

-- +goose Down
DROP TABLE journal_keys;
DROP TABLE journal_records;
DROP TABLE journals;
