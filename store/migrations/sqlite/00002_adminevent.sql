-- +goose Up
-- A row per episode of a failure.
CREATE TABLE admin_events (
    id            TEXT PRIMARY KEY,
    fingerprint   TEXT NOT NULL,    -- which failures are the same
    current       BIGINT NOT NULL,  -- 1 while further occurrences are added, then 0
    type          BIGINT NOT NULL,
    level         BIGINT NOT NULL,
    domain        TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id   TEXT NOT NULL,
    resource_name TEXT NOT NULL,
    id_key        TEXT NOT NULL,    -- resource_id and resource_name in lower case
    name_key      TEXT NOT NULL,
    source        TEXT NOT NULL,
    code          TEXT NOT NULL,
    ad_hoc        BIGINT NOT NULL,  -- 0 or 1
    occurrences   BIGINT NOT NULL,
    affected      BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,  -- microseconds
    last_at       BIGINT NOT NULL,
    detail        TEXT NOT NULL     -- what is only shown; JSON
) WITHOUT ROWID;
CREATE UNIQUE INDEX admin_events_current ON admin_events (fingerprint) WHERE current = 1;
CREATE INDEX admin_events_last ON admin_events (last_at, id);

-- What was saved already, so that a batch that is sent again counts once.
CREATE TABLE admin_event_batches (
    id TEXT PRIMARY KEY,
    at BIGINT NOT NULL
) WITHOUT ROWID;

-- What administrators change at run time.
CREATE TABLE admin_event_settings (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
) WITHOUT ROWID;

-- +goose Down
DROP TABLE admin_event_settings;
DROP TABLE admin_event_batches;
DROP TABLE admin_events;
