// The database of the consumer: every message becomes one transaction.
//
// Promise: `take` returns after the commit, so that the caller may acknowledge; it throws when nothing was written.

import { readFileSync } from "node:fs";
import Database from "better-sqlite3";

const SCHEMA = new URL("../schema.sql", import.meta.url);
const TYPE = "com.forecourt.v1.";

/** The message is no event of this contract. */
class NotUnderstood extends Error {}

export class Store {
  /** `path`: an SQLite file; `root`: `mqtt.topic_root` of the boxes. */
  constructor(path, root) {
    this.root = root;
    this.database = new Database(path, { timeout: 20_000 });
    this.database.pragma("journal_mode = wal");
    this.database.pragma("synchronous = full");
    this.database.exec(readFileSync(SCHEMA, "utf8"));
    this.prepared = new Map();
  }

  statement(sql) {
    if (!this.prepared.has(sql)) this.prepared.set(sql, this.database.prepare(sql));
    return this.prepared.get(sql);
  }

  run(sql, ...values) {
    this.statement(sql).run(...checked(values));
  }

  row(sql, ...values) {
    return this.statement(sql).get(...checked(values));
  }

  rows(sql, ...values) {
    return this.statement(sql).all(...checked(values));
  }

  /** Stores a message and all that follows from it, and commits; sets it aside when it makes no sense. */
  take(topic, payload) {
    const transaction = (work) => this.database.transaction(work).immediate();
    try {
      transaction(() => {
        const { source, below, text, message } = understood(this.root, topic, payload);
        if (below === "state/online") this.presence(source, message);
        else this.event(source, message, text);
      });
    } catch (fault) {
      if (!atFault(fault)) throw fault;
      const words = payload.toString("utf8").replaceAll("\0", "\u{fffd}");
      transaction(() => this.run("insert into dead_letter values (?, ?, ?)", topic, String(fault), words));
    }
  }

  /** A will may come long after its connection was replaced: the higher session counts. */
  presence(source, { online, session }) {
    this.run(
      `insert into box values (?, ?, ?) on conflict (source) do update
       set online = excluded.online, session = excluded.session where excluded.session >= box.session`,
      source, Number(online), whole(session),
    );
  }

  event(source, event, text) {
    const epoch = event.id.slice(0, event.id.lastIndexOf("-"));
    const sequence = whole(event.sequence);
    if (event.id !== `${epoch}-${sequence}`) throw new NotUnderstood("id and sequence disagree");
    const { copies } = this.row(
      `insert into event values (?, ?, ?, ?, ?, ?, ?, 1, ?)
       on conflict (source, id) do update set copies = event.copies + 1 returning copies`,
      source, event.id, epoch, sequence, event.type, event.time, Number(event.late ?? false), text,
    );
    if (copies > 1) return; // A repetition: all of this was done when it came first.
    const order = [this.noteSequence(source, epoch, sequence), sequence];
    const kind = event.type.startsWith(TYPE) ? event.type.slice(TYPE.length) : event.type;
    if (kind === "outbox-dropped") this.dropped(source, epoch, sequence, event.data);
    else if ("visit_id" in event.data) this.visit(source, event, kind, order);
    // Other types are kept in `event` and otherwise ignored: new ones may come at any time.
  }

  /** Keeps `gap` right; returns the number of the epoch. */
  noteSequence(source, epoch, sequence) {
    const { number, lowest, highest } = this.row(
      `insert into epoch select ?, ?, (select count(*) + 1 from epoch where source = ?), ?, ? where true
       on conflict (source, epoch) do update set highest = epoch.highest returning number, lowest, highest`,
      source, epoch, source, sequence, sequence,
    );
    if (sequence > highest) {
      this.missing(source, epoch, highest + 1, sequence - 1);
    } else if (sequence < lowest) {
      this.missing(source, epoch, sequence + 1, lowest - 1);
    } else if (lowest < sequence && sequence < highest) {
      const gap = this.row(
        `delete from gap where source = ? and epoch = ? and first_missing <= ? and last_missing >= ?
         returning first_missing, last_missing`,
        source, epoch, sequence, sequence,
      );
      this.missing(source, epoch, gap.first_missing, sequence - 1);
      this.missing(source, epoch, sequence + 1, gap.last_missing);
    }
    this.run(
      "update epoch set lowest = ?, highest = ? where source = ? and epoch = ?",
      Math.min(lowest, sequence), Math.max(highest, sequence), source, epoch,
    );
    return number;
  }

  missing(source, epoch, first, last) {
    if (first <= last) this.run("insert into gap values (?, ?, ?, ?)", source, epoch, first, last);
  }

  /** Of two records with the same class, reason and first number the later one counts. */
  dropped(source, epoch, sequence, data) {
    this.run(
      `insert into dropped values (?, ?, ?, ?, ?, ?, ?, ?)
       on conflict (source, epoch, class, reason, first_sequence) do update
       set last_sequence = excluded.last_sequence, count = excluded.count, told_by = excluded.told_by
       where excluded.told_by > dropped.told_by`,
      source, epoch, data.class, data.reason, whole(data.first_sequence), whole(data.last_sequence), data.count, sequence,
    );
  }

  visit(source, event, kind, order) {
    const data = event.data;
    const oneId = this.oneId(source, data);
    const left = kind === "departure";
    this.run(
      `insert into visit (source, visit_id, one_id, member_ref, state, camera, arrived_at, left_at, closed_by,
         epoch_number, sequence) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       on conflict (source, visit_id) do update set state = excluded.state, camera = excluded.camera,
         arrived_at = coalesce(excluded.arrived_at, visit.arrived_at), left_at = excluded.left_at,
         closed_by = excluded.closed_by, epoch_number = excluded.epoch_number, sequence = excluded.sequence
       where (excluded.epoch_number, excluded.sequence) > (visit.epoch_number, visit.sequence)`,
      source, data.visit_id, oneId, data.member_ref, left ? "left" : "here", data.camera, data.arrived_at ?? null,
      left ? (data.last_seen_at ?? event.time) : null, data.closed_by ?? null, ...order,
    );
    if (kind === "arrival") this.arrival(source, event, oneId);
    if (kind === "dwell") this.stay(source, data, order);
    if (kind === "exit-expression") {
      this.run(
        "update visit set expression = ? where source = ? and visit_id = ?", data.expression, source, data.visit_id,
      );
    }
  }

  /** Counts the visit; greets only who has just come. */
  arrival(source, event, oneId) {
    this.run("update person set visits = visits + 1 where one_id = ?", oneId);
    if (!event.late) {
      this.run("insert into greeting values (?, ?, ?) on conflict do nothing", source, event.data.visit_id, oneId);
    }
  }

  stay(source, data, order) {
    this.run(
      `insert into stay values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       on conflict (source, visit_id, camera, zone, stay) do update set
         seconds_min = excluded.seconds_min, seconds_max = excluded.seconds_max, ended = excluded.ended,
         epoch_number = excluded.epoch_number, sequence = excluded.sequence
       where (excluded.epoch_number, excluded.sequence) > (stay.epoch_number, stay.sequence)`,
      source, data.visit_id, data.camera, data.zone.id, data.stay, data.zone.product ?? null,
      data.seconds_min, data.seconds_max, Number(data.ended), ...order,
    );
  }

  /**
   * The person behind a member: whoever shares a key with somebody is the same person.
   *
   * Whether two persons may be joined without asking is the platform's policy; here they are.
   */
  oneId(source, data) {
    const fresh = `${source.split("/")[2]}/${data.member_ref}`;
    const keys = [["member_ref", fresh], ...Object.entries(data.external_ids ?? {})];
    for (const [namespace, value] of keys) {
      this.run("insert into identity values (?, ?, ?) on conflict do nothing", namespace, value, fresh);
    }
    const find = "select one_id from identity where namespace = ? and value = ?";
    const found = new Set(keys.map((key) => this.row(find, ...key).one_id));
    const [kept, ...merged] = [...found].sort();
    this.run("insert into person values (?, 0) on conflict do nothing", kept);
    for (const gone of merged) this.merge(kept, gone);
    return kept;
  }

  merge(kept, gone) {
    for (const table of ["identity", "visit", "greeting"]) {
      this.run(`update ${table} set one_id = ? where one_id = ?`, kept, gone);
    }
    const person = this.row("delete from person where one_id = ? returning visits", gone);
    if (person) this.run("update person set visits = visits + ? where one_id = ?", person.visits, kept);
  }

  /**
   * Missing numbers that no `outbox-dropped` explains, as [source, epoch, first, last].
   *
   * While a box sends what it has kept, numbers are missing for a while: raise a ticket for what is old.
   */
  unexplained() {
    const holes = [];
    for (const gap of this.rows("select * from gap order by 1, 2, 3")) {
      const records = this.rows(
        `select first_sequence, last_sequence from dropped
         where source = ? and epoch = ? and last_sequence >= ? and first_sequence <= ? order by 1`,
        gap.source, gap.epoch, gap.first_missing, gap.last_missing,
      );
      let at = gap.first_missing;
      for (const { first_sequence: first, last_sequence: last } of records) {
        if (first > at) holes.push([gap.source, gap.epoch, at, first - 1]);
        at = Math.max(at, last + 1);
      }
      if (at <= gap.last_missing) holes.push([gap.source, gap.epoch, at, gap.last_missing]);
    }
    return holes;
  }

  /** All of it, for people and for tests. */
  report() {
    const tables = {
      events: "select source, id, copies from event order by source, epoch, sequence",
      gaps: "select * from gap order by 1, 2, 3",
      dropped: "select * from dropped order by 1, 2, 3, 4, 5",
      people: "select one_id, visits from person order by 1",
      identities: "select * from identity order by 1, 2",
      visits: "select source, visit_id, one_id, state, closed_by, expression from visit order by 1, 2",
      stays: "select visit_id, camera, zone, stay, seconds_min, ended from stay order by 1, 2, 3, 4",
      greetings: "select source, visit_id from greeting order by 1, 2",
      boxes: "select * from box order by 1",
      dead_letters: "select topic, reason from dead_letter order by 1, 2",
    };
    const all = (sql) => this.database.prepare(sql).raw().all();
    const found = Object.fromEntries(Object.entries(tables).map(([name, sql]) => [name, all(sql)]));
    return { ...found, unexplained: this.unexplained() };
  }
}

/** The topic says who speaks: the broker guards it, nobody guards the payload. */
function understood(root, topic, payload) {
  const [tenant, site, device, ...rest] = topic.slice(root.length + 1).split("/");
  const [source, below] = [`/forecourt/${tenant}/${site}/${device}`, rest.join("/")];
  let text, message;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(payload);
    message = JSON.parse(text);
  } catch (error) {
    throw new NotUnderstood(error.message);
  }
  if (rest[0] !== "state" && message.source !== source) {
    throw new NotUnderstood(`it says that it comes from ${message.source}`);
  }
  return { source, below, text, message };
}

/** Is the message at fault, not the database? Then trying again would change nothing. */
function atFault(fault) {
  const kinds = [NotUnderstood, TypeError, RangeError];
  return kinds.some((kind) => fault instanceof kind) || fault.code?.startsWith("SQLITE_CONSTRAINT");
}

/** A whole number that JavaScript and SQLite hold exactly. */
function whole(value) {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new NotUnderstood(`${value} is no number of this contract`);
  return number;
}

/** What a column takes; JavaScript's `undefined` is a field that is missing. */
function checked(values) {
  const fits = (value) => value === null || typeof value === "string" || Number.isFinite(value);
  if (values.every(fits)) return values;
  throw new NotUnderstood("a field is missing or has another type than the schema says");
}
