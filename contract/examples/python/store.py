"""The database of the consumer: every message becomes one transaction.

Promise: `take` returns after the commit, so that the caller may acknowledge; it raises when nothing was written.
The statements run on SQLite and on PostgreSQL; `?` becomes `%s` for the latter.
"""

import contextlib
import json
import pathlib
import sqlite3

SCHEMA = pathlib.Path(__file__).parent.parent / "schema.sql"
TYPE = "com.forecourt.v1."
VISIT_COLUMNS = "source, visit_id, one_id, member_ref, state, camera, arrived_at, left_at, closed_by, epoch_number, sequence"


class NotUnderstood(Exception):
    """The message is no event of this contract."""


class Store:
    def __init__(self, database, root):
        """`database`: the path of an SQLite file, or `postgresql://…`; `root`: `mqtt.topic_root` of the boxes."""
        self.root = root
        self.postgres = database.startswith(("postgresql://", "postgres://"))
        if self.postgres:
            import psycopg as driver

            self.connection = driver.connect(database, autocommit=True)
        else:
            driver = sqlite3
            self.connection = driver.connect(database, isolation_level=None, timeout=20)
            self.run("pragma journal_mode = wal")
            self.run("pragma synchronous = full")
        # The message is at fault, not the database: trying again would change nothing.
        words = (NotUnderstood, LookupError, TypeError, ValueError, OverflowError)
        self.faults = (*words, driver.DataError, driver.IntegrityError)
        for statement in SCHEMA.read_text(encoding="utf-8").split(";"):
            if statement.strip():
                self.run(statement)

    def run(self, sql, *values):
        if not all(value is None or isinstance(value, (str, int, float)) for value in values):
            raise NotUnderstood("a field has another type than the schema says")
        return self.connection.execute(sql.replace("?", "%s") if self.postgres else sql, values)

    @contextlib.contextmanager
    def transaction(self):
        self.run("begin" if self.postgres else "begin immediate")
        try:
            yield
        except BaseException:
            self.run("rollback")
            raise
        self.run("commit")

    def take(self, topic, payload):
        """Stores a message and all that follows from it, and commits; sets it aside when it makes no sense."""
        try:
            with self.transaction():
                source, below, text = understood(self.root, topic, payload)
                if below == "state/online":
                    self.presence(source, json.loads(text))
                else:
                    self.event(source, json.loads(text), text)
        except self.faults as fault:
            words = payload.decode("utf-8", errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
            with self.transaction():
                self.run("insert into dead_letter values (?, ?, ?)", topic, f"{type(fault).__name__}: {fault}", words)

    def presence(self, source, message):
        """A will may come long after its connection was replaced: the higher session counts."""
        self.run(
            """insert into box values (?, ?, ?) on conflict (source) do update
               set online = excluded.online, session = excluded.session where excluded.session >= box.session""",
            source, int(message["online"]), message["session"],
        )

    def event(self, source, event, payload):
        epoch, sequence = event["id"].rpartition("-")[0], int(event["sequence"])
        if event["id"] != f"{epoch}-{sequence}":
            raise NotUnderstood("id and sequence disagree")
        copies = self.run(
            """insert into event values (?, ?, ?, ?, ?, ?, ?, 1, ?)
               on conflict (source, id) do update set copies = event.copies + 1 returning copies""",
            source, event["id"], epoch, sequence, event["type"], event["time"], int(event.get("late", False)), payload,
        ).fetchone()[0]
        if copies > 1:
            return  # A repetition: all of this was done when it came first.
        number = self.note_sequence(source, epoch, sequence)
        kind, data = event["type"].removeprefix(TYPE), event["data"]
        if kind == "outbox-dropped":
            self.dropped(source, epoch, sequence, data)
        elif "visit_id" in data:
            self.visit(source, event, kind, data, (number, sequence))
        # Other types are kept in `event` and otherwise ignored: new ones may come at any time.

    def note_sequence(self, source, epoch, sequence):
        """Keeps `gap` right; returns the number of the epoch. The upsert locks its row until the commit."""
        number, lowest, highest = self.run(
            """insert into epoch select ?, ?, (select count(*) + 1 from epoch where source = ?), ?, ? where true
               on conflict (source, epoch) do update set highest = epoch.highest returning number, lowest, highest""",
            source, epoch, source, sequence, sequence,
        ).fetchone()
        if sequence > highest:
            self.missing(source, epoch, highest + 1, sequence - 1)
        elif sequence < lowest:
            self.missing(source, epoch, sequence + 1, lowest - 1)
        elif lowest < sequence < highest:
            first, last = self.run(
                """delete from gap where source = ? and epoch = ? and first_missing <= ? and last_missing >= ?
                   returning first_missing, last_missing""",
                source, epoch, sequence, sequence,
            ).fetchone()
            self.missing(source, epoch, first, sequence - 1)
            self.missing(source, epoch, sequence + 1, last)
        self.run(
            "update epoch set lowest = ?, highest = ? where source = ? and epoch = ?",
            min(lowest, sequence), max(highest, sequence), source, epoch,
        )
        return number

    def missing(self, source, epoch, first, last):
        if first <= last:
            self.run("insert into gap values (?, ?, ?, ?)", source, epoch, first, last)

    def dropped(self, source, epoch, sequence, data):
        """Of two records with the same class, reason and first number the later one counts."""
        self.run(
            """insert into dropped values (?, ?, ?, ?, ?, ?, ?, ?)
               on conflict (source, epoch, class, reason, first_sequence) do update
               set last_sequence = excluded.last_sequence, count = excluded.count, told_by = excluded.told_by
               where excluded.told_by > dropped.told_by""",
            source, epoch, data["class"], data["reason"], int(data["first_sequence"]), int(data["last_sequence"]),
            data["count"], sequence,
        )

    def visit(self, source, event, kind, data, order):
        one_id = self.one_id(source, data)
        visit_id = data["visit_id"]
        state = "left" if kind == "departure" else "here"
        left_at = data.get("last_seen_at", event["time"]) if kind == "departure" else None
        self.run(
            f"""insert into visit ({VISIT_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
               on conflict (source, visit_id) do update set state = excluded.state, camera = excluded.camera,
                 arrived_at = coalesce(excluded.arrived_at, visit.arrived_at), left_at = excluded.left_at,
                 closed_by = excluded.closed_by, epoch_number = excluded.epoch_number, sequence = excluded.sequence
               where (excluded.epoch_number, excluded.sequence) > (visit.epoch_number, visit.sequence)""",
            source, visit_id, one_id, data["member_ref"], state, data["camera"], data.get("arrived_at"), left_at,
            data.get("closed_by"), *order,
        )
        if kind == "arrival":
            self.run("update person set visits = visits + 1 where one_id = ?", one_id)
            if not event.get("late"):
                self.run("insert into greeting values (?, ?, ?) on conflict do nothing", source, visit_id, one_id)
        elif kind == "dwell":
            self.stay(source, data, order)
        elif kind == "exit-expression":
            self.run(
                "update visit set expression = ? where source = ? and visit_id = ?",
                data["expression"], source, visit_id,
            )

    def stay(self, source, data, order):
        zone = data["zone"]
        self.run(
            """insert into stay values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
               on conflict (source, visit_id, camera, zone, stay) do update set
                 seconds_min = excluded.seconds_min, seconds_max = excluded.seconds_max, ended = excluded.ended,
                 epoch_number = excluded.epoch_number, sequence = excluded.sequence
               where (excluded.epoch_number, excluded.sequence) > (stay.epoch_number, stay.sequence)""",
            source, data["visit_id"], data["camera"], zone["id"], data["stay"], zone.get("product"),
            data["seconds_min"], data["seconds_max"], int(data["ended"]), *order,
        )

    def one_id(self, source, data):
        """The person behind a member: whoever shares a key with somebody is the same person.

        Whether two persons may be joined without asking is the platform's policy; here they are.
        """
        tenant = source.split("/")[2]
        fresh = f"{tenant}/{data['member_ref']}"
        keys = [("member_ref", fresh), *(data.get("external_ids") or {}).items()]
        for namespace, value in sorted(keys):
            self.run("insert into identity values (?, ?, ?) on conflict do nothing", namespace, value, fresh)
        found = set()
        for namespace, value in keys:
            where = "where namespace = ? and value = ?"
            found.add(self.run(f"select one_id from identity {where}", namespace, value).fetchone()[0])
        kept, *merged = sorted(found)
        self.run("insert into person values (?, 0) on conflict do nothing", kept)
        for gone in merged:
            self.merge(kept, gone)
        return kept

    def merge(self, kept, gone):
        for table in ("identity", "visit", "greeting"):
            self.run(f"update {table} set one_id = ? where one_id = ?", kept, gone)
        row = self.run("delete from person where one_id = ? returning visits", gone).fetchone()
        if row:
            self.run("update person set visits = visits + ? where one_id = ?", row[0], kept)

    def unexplained(self):
        """Missing numbers that no `outbox-dropped` explains, as [source, epoch, first, last].

        While a box sends what it has kept, numbers are missing for a while: raise a ticket for what is old.
        """
        for source, epoch, at, last in self.run("select * from gap order by 1, 2, 3").fetchall():
            records = self.run(
                """select first_sequence, last_sequence from dropped
                   where source = ? and epoch = ? and last_sequence >= ? and first_sequence <= ? order by 1""",
                source, epoch, at, last,
            ).fetchall()
            for record_first, record_last in records:
                if record_first > at:
                    yield [source, epoch, at, record_first - 1]
                at = max(at, record_last + 1)
            if at <= last:
                yield [source, epoch, at, last]

    def report(self):
        """All of it, for people and for tests."""
        tables = {
            "events": "select source, id, copies from event order by source, epoch, sequence",
            "gaps": "select * from gap order by 1, 2, 3",
            "dropped": "select * from dropped order by 1, 2, 3, 4, 5",
            "people": "select one_id, visits from person order by 1",
            "identities": "select * from identity order by 1, 2",
            "visits": "select source, visit_id, one_id, state, closed_by, expression from visit order by 1, 2",
            "stays": "select visit_id, camera, zone, stay, seconds_min, ended from stay order by 1, 2, 3, 4",
            "greetings": "select source, visit_id from greeting order by 1, 2",
            "boxes": "select * from box order by 1",
            "dead_letters": "select topic, reason from dead_letter order by 1, 2",
        }
        found = {name: [list(row) for row in self.run(sql).fetchall()] for name, sql in tables.items()}
        return {**found, "unexplained": list(self.unexplained())}


def understood(root, topic, payload):
    """Who speaks, the topic below the box's name, and the text.

    The topic says who speaks: the broker guards it, nobody guards the payload.
    """
    tenant, site, device, *below = topic.removeprefix(f"{root}/").split("/")
    source, text = f"/forecourt/{tenant}/{site}/{device}", payload.decode("utf-8")
    if "\\u0000" in text:
        raise NotUnderstood("a text holds NUL, which no database takes")
    message = json.loads(text)
    if below[0] != "state" and message["source"] != source:
        raise NotUnderstood(f"it says that it comes from {message['source']}")
    return source, "/".join(below), text
