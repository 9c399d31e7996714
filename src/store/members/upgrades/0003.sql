-- Schema 3: the platform's side. Which list was applied, what came of it, and which commands were given.

-- One row: the list in force. None: the platform has never sent one.
create table synced_list (
    id         integer primary key check (id = 1),
    epoch      text not null,
    rev        integer not null,
    -- RFC 3339 in UTC; lists signed earlier are refused.
    issued     text not null,
    count      integer not null,
    digest     text not null,
    applied_at text not null
) strict;

-- Members that the platform listed; others were imported on the box and no list of the platform removes them.
create table synced (
    member    integer primary key references member (id) on delete cascade,
    -- SHA-256 of the line that listed the member.
    line_hash blob not null check (length(line_hash) = 32),
    -- `state.revision` at which a list last named the member.
    seen      integer not null
) strict;

create index synced_by_hash on synced (line_hash);

-- Members that were removed on the box although the list in force names them: they stay away until their line changes.
create table tombstone (
    -- SHA-256 of `member_ref`: the name itself is gone.
    ref_hash  blob primary key check (length(ref_hash) = 32),
    line_hash blob not null check (length(line_hash) = 32)
) strict, without rowid;

-- Removals that the platform has not been told of yet.
create table receipt (
    id   integer primary key,
    -- JSON.
    body text not null
) strict;

-- Commands: written before they are begun, so that each has its effect once and its answer always.
create table command (
    id          text primary key check (length(id) between 1 and 64),
    name        text not null,
    -- Milliseconds since 1970.
    received_ms integer not null,
    -- SHA-256 of the request: another one with the same id is no repetition.
    request     blob not null check (length(request) = 32),
    args        text not null,
    -- `accepted`, `executing`, `successful`, `failed`, `refused`.
    state       text not null,
    -- JSON of the newest answer.
    answer      text not null,
    -- Where the answer is wanted besides `cmdres/NAME/ID`; null: nowhere.
    reply_topic text,
    correlation blob,
    -- Has the broker taken the last answer over?
    answered    integer not null check (answered in (0, 1))
) strict, without rowid;

create index command_by_time on command (received_ms);
