-- The member list of one box, `members.db`, schema 1.
--
-- A fresh database is made from this file and then, like an old one, from the numbered steps in `upgrades/`; none of
-- them is changed once it was released. `PRAGMA user_version` holds the number of the schema, `PRAGMA application_id`
-- says that the file is ours.

-- One row: how often the list has changed. A running service compares it to know when to read the list again.
create table state (
    id          integer primary key check (id = 1),
    -- Grows by one with each applied import or removal; 0: never changed.
    revision    integer not null check (revision >= 0)
) strict;

insert into state (id, revision) values (1, 0);

create table member (
    id                 integer primary key,
    -- Opaque name that the platform gave; never a person's name, a phone number or a plate.
    member_ref         text not null unique check (length(cast(member_ref as blob)) between 1 and 128),
    tier               text,
    -- `member`, `vip`, `blocked`, … as the platform calls it.
    list               text not null,
    -- Group, brand, dealer, store or partner.
    organisation       text,
    -- RFC 3339 in UTC; matched at or after `valid_from`, before `valid_until`.
    valid_from         text,
    valid_until        text,
    -- End of the consent lease, RFC 3339 in UTC; not matched from then on.
    not_after          text,
    -- Weekly windows as written in files, `mon-fri 08:00-18:30`, joined by `;`; null: always.
    windows            text,
    -- Independent consents; 0: no.
    consent_plate      integer not null check (consent_plate in (0, 1)),
    consent_face       integer not null check (consent_face in (0, 1)),
    consent_dwell      integer not null check (consent_dwell in (0, 1)),
    consent_expression integer not null check (consent_expression in (0, 1)),
    -- What the platform wants echoed in events: a JSON object of strings; null: nothing.
    external_ids       text,
    -- `state.revision` at which the row was last written.
    revision           integer not null
) strict;

-- A plate may stand at several members (a couple, a pool car); matching then says `ambiguous`.
create table plate (
    member   integer not null references member (id) on delete cascade,
    -- Place in the member's list, from 0.
    position integer not null check (position >= 0),
    -- Normalised: upper case, no blanks, dots or hyphens.
    plate    text not null check (length(plate) between 4 and 12),
    primary key (member, position)
) strict, without rowid;

-- Finds the members of a plate, and keeps a plate from standing twice at one member.
create unique index plate_by_plate on plate (plate, member);
