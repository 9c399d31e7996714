//! What the consumer has stored against what an observer beside it has heard and what the script meant.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::broker::Subscriber;
use crate::sender::{BOX, HAND, Sender};

/// Has everything come that will come?
pub fn complete(report: &Value, observer: &Subscriber) -> bool {
    let offline = rows(report, "boxes").iter().any(|row| row[0] == BOX && row[1] == 0);
    let dead = rows(report, "dead_letters").len() == 2;
    stored(report) == heard(observer) && offline && dead
}

/// What is wrong, in words; nothing when all is well.
pub fn faults(report: &Value, observer: &Subscriber, sender: &Sender) -> Vec<String> {
    let mut faults = Vec::new();
    let mut same = |what: &str, found: Value, wanted: Value| {
        if found != wanted {
            faults.push(format!("{what}: {found} instead of {wanted}"));
        }
    };
    let (stored, heard) = (stored(report), heard(observer));
    same("lost", json!(heard.difference(&stored).collect::<Vec<_>>()), json!([]));
    same("never sent", json!(stored.difference(&heard).collect::<Vec<_>>()), json!([]));
    let twice = rows(report, "events").iter().filter(|row| row[2].as_u64() > Some(1)).count();
    same("the script sent something twice", json!(twice > 0), json!(true));

    let expected = &sender.expected;
    let visits: BTreeMap<String, String> =
        rows(report, "visits").iter().map(|row| (word(&row[1]), word(&row[3]))).collect();
    same("visits", json!(visits), json!(expected.visits));
    let greetings: BTreeSet<String> = rows(report, "greetings").iter().map(|row| word(&row[1])).collect();
    same("greetings", json!(greetings), json!(expected.greetings));
    let people: BTreeMap<String, u64> =
        rows(report, "people").iter().map(|row| (word(&row[0]), row[1].as_u64().unwrap())).collect();
    same("visits of a person", json!(people), json!(expected.people));
    let stays: BTreeMap<String, f64> =
        rows(report, "stays").iter().map(|row| (word(&row[0]), row[4].as_f64().unwrap())).collect();
    same("longest stay", json!(stays.get("late")), json!(1800.0));
    same("stays", json!(stays.len()), json!(expected.visits.len()));

    same("gaps", report["gaps"].clone(), gaps(&heard));
    let told: u64 = rows(report, "dropped").iter().map(|row| row[6].as_u64().unwrap()).sum();
    same("numbers that the box gave up", json!(told), json!(missing(&heard, BOX).len()));
    same("the script has such a gap", json!(told > 0), json!(true));
    same("unexplained", report["unexplained"].clone(), json!([[HAND, "hand", 3, 4]]));
    same("dead letters", json!(rows(report, "dead_letters").len()), json!(2));
    same(
        "boxes",
        json!(rows(report, "boxes").iter().map(|row| (&row[0], &row[1])).collect::<Vec<_>>()),
        json!([(BOX, 0)]),
    );
    faults
}

fn rows<'a>(report: &'a Value, table: &str) -> &'a Vec<Value> {
    report[table].as_array().unwrap()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

type Ids = BTreeSet<(String, String)>;

/// Source and id of what the consumer has stored.
fn stored(report: &Value) -> Ids {
    rows(report, "events").iter().map(|row| (word(&row[0]), word(&row[1]))).collect()
}

/// Source and id of every event that went through the broker and came from whom its topic says.
fn heard(observer: &Subscriber) -> Ids {
    let events = observer.seen.iter().filter_map(|arrival| {
        let event: Value = serde_json::from_slice(&arrival.payload).ok()?;
        let from = format!("/forecourt/{}", arrival.topic.strip_prefix("forecourt/v1/")?.rsplit_once("/evt/")?.0);
        (event["source"] == from).then(|| (from, word(&event["id"])))
    });
    events.collect()
}

/// Numbers between the first and the last that were not heard.
fn missing(heard: &Ids, source: &str) -> Vec<u64> {
    let number = |id: &str| id.rsplit_once('-').unwrap().1.parse::<u64>().unwrap();
    let numbers: BTreeSet<u64> = heard.iter().filter(|(from, _)| from == source).map(|(_, id)| number(id)).collect();
    let all = *numbers.first().unwrap()..=*numbers.last().unwrap();
    all.filter(|number| !numbers.contains(number)).collect()
}

/// The rows that `gap` should hold.
fn gaps(heard: &Ids) -> Value {
    let mut rows = Vec::new();
    for source in [BOX, HAND] {
        let epoch = heard.iter().find(|(from, _)| from == source).unwrap().1.rsplit_once('-').unwrap().0.to_owned();
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for number in missing(heard, source) {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == number => *last = number,
                _ => ranges.push((number, number)),
            }
        }
        rows.extend(ranges.into_iter().map(|(first, last)| json!([source, epoch, first, last])));
    }
    json!(rows)
}
