-- Departures of a moment ago are kept over a restart.
create table echo (
    member_ref text primary key,
    noted_ms integer not null,
    state blob not null
) strict, without rowid;
