-- What the worked consumers keep. The same statements run on SQLite (3.35 or newer) and on PostgreSQL.
-- Order within a box is (epoch_number, sequence): nothing here is ever ordered by a time.

-- Every event, once. A repetition only counts up `copies`. Keep the rows for 35 days at least.
create table if not exists event (
  source text not null,
  id text not null,
  epoch text not null,
  sequence bigint not null,
  type text not null,
  happened_at text not null,
  late integer not null,
  copies integer not null,
  payload text not null,
  primary key (source, id)
);

-- The outboxes of each box in the order in which they were met, and the numbers seen of each.
create table if not exists epoch (
  source text not null,
  epoch text not null,
  number integer not null,
  lowest bigint not null,
  highest bigint not null,
  primary key (source, epoch)
);

-- Numbers that have not come: a number that comes late is taken out again.
create table if not exists gap (
  source text not null,
  epoch text not null,
  first_missing bigint not null,
  last_missing bigint not null,
  primary key (source, epoch, first_missing)
);

-- What a box says it had to give up: see `outbox-dropped`.
create table if not exists dropped (
  source text not null,
  epoch text not null,
  class text not null,
  reason text not null,
  first_sequence bigint not null,
  last_sequence bigint not null,
  count bigint not null,
  told_by bigint not null,
  primary key (source, epoch, class, reason, first_sequence)
);

-- Who is whom: every key under which a person is known, joined by what the events carry in `external_ids`.
create table if not exists identity (
  namespace text not null,
  value text not null,
  one_id text not null,
  primary key (namespace, value)
);
create table if not exists person (
  one_id text primary key,
  visits integer not null
);

-- A visit as the newest event told it.
create table if not exists visit (
  source text not null,
  visit_id text not null,
  one_id text not null,
  member_ref text not null,
  state text not null,
  camera text not null,
  arrived_at text,
  left_at text,
  closed_by text,
  expression text,
  epoch_number integer not null,
  sequence bigint not null,
  primary key (source, visit_id)
);

-- Time in a zone: each event of a stay replaces the ones before.
create table if not exists stay (
  source text not null,
  visit_id text not null,
  camera text not null,
  zone text not null,
  stay integer not null,
  product text,
  seconds_min double precision not null,
  seconds_max double precision not null,
  ended integer not null,
  epoch_number integer not null,
  sequence bigint not null,
  primary key (source, visit_id, camera, zone, stay)
);

-- Whom the staff should greet: members whose arrival is fresh.
create table if not exists greeting (
  source text not null,
  visit_id text not null,
  one_id text not null,
  primary key (source, visit_id)
);

-- Which boxes are there: see `state/online`.
create table if not exists box (
  source text primary key,
  online integer not null,
  session bigint not null
);

-- What could not be understood. It is acknowledged all the same, or it would come again for ever.
create table if not exists dead_letter (
  topic text not null,
  reason text not null,
  payload text not null
);
