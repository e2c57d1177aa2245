-- +goose Up
-- Text that is ordered or compared has collation "C", so that both engines
-- agree on the order.

-- One row per person; small, so that lists and counts read little.
CREATE TABLE people (
    email        TEXT COLLATE "C" PRIMARY KEY,  -- lower case
    generated_at BIGINT NOT NULL,               -- microseconds
    devices      BIGINT NOT NULL,
    failed       BIGINT NOT NULL,               -- sources that did not answer
    summary      TEXT NOT NULL                  -- practice, platform and status counts; JSON
);

-- The documents, apart from what is listed and counted. They are compressed
-- already.
CREATE TABLE postures (
    email TEXT COLLATE "C" PRIMARY KEY REFERENCES people (email) ON DELETE CASCADE,
    doc   BYTEA NOT NULL
);
ALTER TABLE postures ALTER COLUMN doc SET STORAGE EXTERNAL;

-- What each source said when it last answered.
CREATE TABLE collections (
    email      TEXT COLLATE "C" NOT NULL REFERENCES people (email) ON DELETE CASCADE,
    plugin     TEXT COLLATE "C" NOT NULL,
    fetched_at BIGINT NOT NULL,
    doc        BYTEA NOT NULL,
    PRIMARY KEY (email, plugin)
);
ALTER TABLE collections ALTER COLUMN doc SET STORAGE EXTERNAL;
CREATE INDEX collections_plugin ON collections (plugin, email);

-- A row when a person's summary changed.
CREATE TABLE history (
    email   TEXT COLLATE "C" NOT NULL REFERENCES people (email) ON DELETE CASCADE,
    at      BIGINT NOT NULL,
    summary TEXT NOT NULL,
    PRIMARY KEY (email, at)
);
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
    practice TEXT COLLATE "C" NOT NULL,
    platform TEXT COLLATE "C" NOT NULL,
    status   TEXT COLLATE "C" NOT NULL,
    devices  BIGINT NOT NULL,
    PRIMARY KEY (day, practice, platform, status)
);

-- +goose Down
DROP TABLE trend_practices;
DROP TABLE trend_days;
DROP TABLE history;
DROP TABLE collections;
DROP TABLE postures;
DROP TABLE people;
