-- +goose Up
-- Documents on their way to sinks, and for a while the IDs of those that arrived.
CREATE TABLE outbox (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of arrival, whatever the clock says
    sink        TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    kind        TEXT NOT NULL,
    key         TEXT NOT NULL,
    at          BIGINT NOT NULL,             -- microseconds
    state       BIGINT NOT NULL,             -- 0 waiting, 1 accepted, 2 dead
    size        BIGINT NOT NULL,             -- bytes of the body as delivered
    stored      BIGINT NOT NULL,             -- bytes of the body as kept
    queued_at   BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    next_at     BIGINT NOT NULL,             -- not before; 0: at once
    done_at     BIGINT NOT NULL,             -- when it was accepted or set aside
    error_kind  TEXT NOT NULL,
    error       TEXT NOT NULL,
    remedy      TEXT NOT NULL,
    body        BLOB NOT NULL,
    UNIQUE (sink, delivery_id)
);
CREATE INDEX outbox_open ON outbox (sink, state, seq, stored) WHERE state <> 1;
CREATE INDEX outbox_accepted ON outbox (done_at) WHERE state = 1;

-- Which process delivers to a sink.
CREATE TABLE outbox_leases (
    sink   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    beat   BIGINT NOT NULL
) WITHOUT ROWID;

-- +goose Down
DROP TABLE outbox_leases;
DROP TABLE outbox;
