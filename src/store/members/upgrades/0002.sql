-- Schema 2: face templates, sealed; the audit log; what the site confirmed.

-- One row: a number that this database was given once. Sealed rows are bound to it, so that they open in no other.
create table vault (
    id     integer primary key check (id = 1),
    box_id blob not null check (length(box_id) = 16)
) strict;

insert into vault (id, box_id) values (1, randomblob(16));

-- The key that seals the templates of a member. When the row goes, nothing can open them again.
create table member_key (
    member  integer primary key references member (id) on delete cascade,
    -- Name of the device key that it is wrapped with.
    key_id  text not null,
    -- Nonce, sealed key, tag.
    wrapped blob not null check (length(wrapped) = 72)
) strict;

create index member_key_by_key on member_key (key_id);

-- Face vectors; a member may have several, also of several embedding spaces.
create table template (
    id       integer primary key,
    member   integer not null references member (id) on delete cascade,
    -- The embedding space; vectors of two spaces are never compared.
    space    text not null check (length(cast(space as blob)) between 1 and 128),
    -- Numbers of the vector.
    numbers  integer not null check (numbers between 1 and 4096),
    -- Quality of the picture that it was made from, 0..1; null: not known.
    quality  real check (quality between 0 and 1),
    -- `enrolled`: made on this box from photos; `imported`: came ready made.
    origin   text not null check (origin in ('enrolled', 'imported')),
    -- `state.revision` at which it was written; sealed with it.
    revision integer not null,
    -- RFC 3339 in UTC.
    made_at  text not null,
    -- Nonce, sealed 32-bit floats, tag.
    sealed   blob not null check (length(sealed) = 40 + 4 * numbers)
) strict;

create index template_by_member on template (member, space);
create index template_by_space on template (space);

-- No program can forget the consent: without it no template comes in, and when it is withdrawn all of them go.
create trigger template_needs_consent before insert on template
when not exists (select 1 from member where id = new.member and consent_face = 1)
begin
    select raise(abort, 'a template needs the consent `face`');
end;

create trigger consent_withdrawn after update of consent_face on member
when old.consent_face = 1 and new.consent_face = 0
begin
    delete from template where member = new.id;
    delete from member_key where member = new.id;
end;

create trigger template_never_changes before update on template
begin
    select raise(abort, 'a template is never changed');
end;

-- What this box measured about an embedding space, and the threshold that follows from it.
create table calibration (
    space      text primary key,
    mean       real not null,
    deviation  real not null check (deviation > 0),
    tail_from  real,
    tail_share real,
    tail_scale real,
    -- Pairs and templates that it was measured on.
    pairs      integer not null,
    templates  integer not null,
    made_at    text not null
) strict;

-- Who confirmed, when, that the signs about face recognition hang; without it face mode stays off.
create table signage (
    id           integer primary key check (id = 1),
    photo_id     text not null,
    confirmed_by text not null,
    confirmed_at text not null
) strict;

-- What was done with personal data, each record bound to the one before by its hash.
create table audit (
    seq     integer primary key check (seq > 0),
    -- RFC 3339 in UTC.
    at      text not null,
    -- Who: `user:NAME`, `service`, `platform`.
    actor   text not null,
    action  text not null,
    -- What stands for the member it was done to, never the name; empty: nobody in particular.
    subject text not null,
    -- A JSON object.
    detail  text not null,
    -- SHA-256 over the hash of the record before and all fields of this one.
    hash    blob not null check (length(hash) = 32)
) strict;

-- One row: where the log begins since old records left, and where it ends.
create table audit_ends (
    id          integer primary key check (id = 1),
    -- The last record that left, 0: none did; and its hash.
    before_seq  integer not null,
    before_hash blob not null check (length(before_hash) = 32),
    -- The newest record and its hash.
    last_seq    integer not null,
    last_hash   blob not null check (length(last_hash) = 32)
) strict;

insert into audit_ends (id, before_seq, before_hash, last_seq, last_hash) values (1, 0, zeroblob(32), 0, zeroblob(32));

create trigger audit_never_changes before update on audit
begin
    select raise(abort, 'an audit record is never changed');
end;

-- Only what has left the log by `before_seq` may be deleted.
create trigger audit_never_goes before delete on audit
when old.seq > (select before_seq from audit_ends)
begin
    select raise(abort, 'an audit record is never removed');
end;
