-- +goose Up
-- One row per person; small, so that lists and counts read little.
CREATE TABLE people (
    email        TEXT PRIMARY KEY,  -- lower case
    generated_at BIGINT NOT NULL,   -- microseconds
    devices      BIGINT NOT NULL,
    failed       BIGINT NOT NULL,   -- sources that did not answer
    summary      TEXT NOT NULL      -- practice, platform and status counts; JSON
) WITHOUT ROWID;

-- The documents, apart from what is listed and counted.
CREATE TABLE postures (
    email TEXT NOT NULL UNIQUE REFERENCES people (email) ON DELETE CASCADE,
    doc   BLOB NOT NULL
);

-- What each source said when it last answered.
CREATE TABLE collections (
    email      TEXT NOT NULL REFERENCES people (email) ON DELETE CASCADE,
    plugin     TEXT NOT NULL,
    fetched_at BIGINT NOT NULL,
    doc        BLOB NOT NULL,
    UNIQUE (email, plugin)
);
CREATE INDEX collections_plugin ON collections (plugin, email);

-- A row when a person's summary changed.
CREATE TABLE history (
    email   TEXT NOT NULL REFERENCES people (email) ON DELETE CASCADE,
    at      BIGINT NOT NULL,
    summary TEXT NOT NULL,
    PRIMARY KEY (email, at)
) WITHOUT ROWID;
CREATE INDEX history_at ON history (at);

-- One row per day on which somebody counted.
CREATE TABLE trend_days (
    day     BIGINT PRIMARY KEY, -- days since 1970
    people  BIGINT NOT NULL,
    devices BIGINT NOT NULL
);

-- How many devices had which verdict on a practice that day.
CREATE TABLE trend_practices (
    day      BIGINT NOT NULL REFERENCES trend_days (day) ON DELETE CASCADE,
    practice TEXT NOT NULL,
    platform TEXT NOT NULL,
    status   TEXT NOT NULL,
    devices  BIGINT NOT NULL,
    PRIMARY KEY (day, practice, platform, status)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE trend_practices;
DROP TABLE trend_days;
DROP TABLE history;
DROP TABLE collections;
DROP TABLE postures;
DROP TABLE people;
