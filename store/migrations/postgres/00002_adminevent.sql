-- +goose Up
-- A row per episode of a failure.
CREATE TABLE admin_events (
    id            TEXT COLLATE "C" PRIMARY KEY,
    fingerprint   TEXT COLLATE "C" NOT NULL,    -- which failures are the same
    current       BIGINT NOT NULL,  -- 1 while further occurrences are added, then 0
    type          BIGINT NOT NULL,
    level         BIGINT NOT NULL,
    domain        TEXT COLLATE "C" NOT NULL,
    resource_type TEXT COLLATE "C" NOT NULL,
    resource_id   TEXT COLLATE "C" NOT NULL,
    resource_name TEXT COLLATE "C" NOT NULL,
    id_key        TEXT COLLATE "C" NOT NULL,    -- resource_id and resource_name in lower case
    name_key      TEXT COLLATE "C" NOT NULL,
    source        TEXT COLLATE "C" NOT NULL,
    code          TEXT COLLATE "C" NOT NULL,
    ad_hoc        BIGINT NOT NULL,  -- 0 or 1
    occurrences   BIGINT NOT NULL,
    affected      BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,  -- microseconds
    last_at       BIGINT NOT NULL,
    detail        TEXT NOT NULL     -- what is only shown; JSON
);
CREATE UNIQUE INDEX admin_events_current ON admin_events (fingerprint) WHERE current = 1;
CREATE INDEX admin_events_last ON admin_events (last_at, id);

-- What was saved already, so that a batch that is sent again counts once.
CREATE TABLE admin_event_batches (
    id TEXT COLLATE "C" PRIMARY KEY,
    at BIGINT NOT NULL
);

-- What administrators change at run time.
CREATE TABLE admin_event_settings (
    name  TEXT COLLATE "C" PRIMARY KEY,
    value BIGINT NOT NULL
);

-- +goose Down
DROP TABLE admin_event_settings;
DROP TABLE admin_event_batches;
DROP TABLE admin_events;
