-- The spool: what the box owes the platform, and the visits that are under way.
-- This file is the truth for a new database; `upgrades/` brings an old one to the same shape, and a test compares them.

-- One row: who this database is, and the last number it gave away.
create table box (
    only_row integer primary key check (only_row = 1),
    -- Begins anew with every new database, so that a consumer tells "gap" from "new queue".
    epoch text not null,
    -- Contiguous, never used twice, not even after the row is gone. 0: none yet.
    last_seq integer not null,
    -- How often the service has begun with it; makes session numbers that only grow.
    starts integer not null
) strict;

-- Events that were accepted and that no broker has acknowledged yet.
create table outbox (
    -- class * 2^52 + seq. Rows of one class lie side by side in the order of their numbers: dropping a class frees
    -- whole pages, a class is read in order without a second index, and an insert writes one place.
    slot integer primary key,
    -- Short name, such as `arrival`, for people.
    kind text not null,
    -- Relative to the topic root of the box, such as `evt/arrival`.
    topic text not null,
    -- Milliseconds since 1970: when it happened, and when it is no longer worth sending (null: never).
    happened_ms integer not null,
    expires_ms integer,
    -- For messages of which only the newest matters: what it is about.
    key text,
    -- The bytes on the wire.
    payload blob not null
) strict;

-- What was given up and is told by an event that still stands in the outbox: one row per class and reason, so that
-- a year without a broker needs no more room than a day. Goes when the telling event is acknowledged.
create table dropped (
    class integer not null,
    reason text not null,
    first_seq integer not null,
    last_seq integer not null,
    count integer not null,
    -- Number of the event in the outbox that tells it.
    told_by integer not null,
    primary key (class, reason)
) strict, without rowid;

-- Visits: the open ones are taken up again after a restart, the closed ones are history for the command line.
create table visit (
    visit_id text primary key,
    -- Opaque name from the platform.
    member_ref text not null,
    opened_ms integer not null,
    -- Null: under way.
    closed_ms integer,
    -- The state of the rules, theirs to read.
    state blob not null
) strict, without rowid;

create index visit_by_end on visit (closed_ms);

-- Members who have just left through an exit: seen there again at once, also after a restart, they have not come back.
create table echo (
    -- Opaque name from the platform.
    member_ref text primary key,
    -- Milliseconds since 1970, for forgetting it.
    noted_ms integer not null,
    -- The state of the rules, theirs to read.
    state blob not null
) strict, without rowid;
