-- +goose Up
-- One row per run over many people.
CREATE TABLE batch_runs (
    id          TEXT PRIMARY KEY,  -- sorts by time
    phase       BIGINT NOT NULL,
    started_at  BIGINT NOT NULL,   -- microseconds
    finished_at BIGINT NOT NULL,   -- 0 while it is not
    given       BIGINT NOT NULL,   -- 1: its people were named
    scheduled   BIGINT NOT NULL,
    sent        TEXT NOT NULL,     -- the address up to which the summary was sent
    doc         TEXT NOT NULL      -- counts and statistics; JSON
) WITHOUT ROWID;
CREATE INDEX batch_runs_scheduled ON batch_runs (scheduled, started_at);

-- Who is running; always one row.
CREATE TABLE batch_lease (
    id     BIGINT PRIMARY KEY CHECK (id = 1),
    holder TEXT NOT NULL,
    run    TEXT NOT NULL,
    beat   BIGINT NOT NULL
);
INSERT INTO batch_lease (id, holder, run, beat) VALUES (1, '', '', 0);

-- How far each person of a run is.
CREATE TABLE batch_people (
    run        TEXT NOT NULL,
    email      TEXT NOT NULL,
    state      TEXT NOT NULL,
    devices    BIGINT NOT NULL,
    statistics TEXT NOT NULL,  -- JSON
    gathered   BLOB,           -- for the second round
    PRIMARY KEY (run, email)
) WITHOUT ROWID;

-- How far the listing of each source is.
CREATE TABLE batch_listings (
    run    TEXT NOT NULL,
    source TEXT NOT NULL,
    doc    TEXT NOT NULL,      -- JSON
    PRIMARY KEY (run, source)
) WITHOUT ROWID;

-- What listings said, until the run is finished.
CREATE TABLE batch_pieces (
    run    TEXT NOT NULL,
    source TEXT NOT NULL,
    person TEXT NOT NULL,
    part   BIGINT NOT NULL,
    doc    BLOB NOT NULL,
    UNIQUE (run, source, person, part)
);

-- Pages of people, each worked by one worker at a time.
CREATE TABLE batch_shards (
    run          TEXT NOT NULL,
    round        BIGINT NOT NULL,
    number       BIGINT NOT NULL,
    first_email  TEXT NOT NULL,
    last_email   TEXT NOT NULL,
    worker       TEXT NOT NULL,  -- empty while nobody has it
    beat         BIGINT NOT NULL, -- of the worker
    done         BIGINT NOT NULL,
    PRIMARY KEY (run, round, number)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE batch_shards;
DROP TABLE batch_pieces;
DROP TABLE batch_listings;
DROP TABLE batch_people;
DROP TABLE batch_lease;
DROP TABLE batch_runs;
