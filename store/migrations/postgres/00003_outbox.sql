-- +goose Up
-- Documents on their way to sinks, and for a while the IDs of those that arrived.
CREATE TABLE outbox (
    seq         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order of arrival, whatever the clock says
    sink        TEXT COLLATE "C" NOT NULL,
    delivery_id TEXT COLLATE "C" NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    key         TEXT COLLATE "C" NOT NULL,
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
    body        BYTEA NOT NULL,
    UNIQUE (sink, delivery_id)
);
ALTER TABLE outbox ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX outbox_open ON outbox (sink, state, seq, stored) WHERE state <> 1;
CREATE INDEX outbox_accepted ON outbox (done_at) WHERE state = 1;

-- Which process delivers to a sink.
CREATE TABLE outbox_leases (
    sink   TEXT COLLATE "C" PRIMARY KEY,
    holder TEXT NOT NULL,
    beat   BIGINT NOT NULL
);

-- +goose Down
DROP TABLE outbox_leases;
DROP TABLE outbox;
