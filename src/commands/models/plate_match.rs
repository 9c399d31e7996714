//! `models eval --task plate-match`: true-accept against false-accept rates of three ways to match a list.

use serde_json::{Map, Value, json};

use crate::domain::plate::evaluation::{Method, Protocol, Sample, Trials, compare};

/// Random other plates on the list.
const OTHERS: usize = 10_000;
/// Rounds, each with other plates and another half of the samples listed.
const ROUNDS: u32 = 20;
/// The rate that the issue of matching is judged at.
pub const TARGET: f64 = 0.001;
/// False-accept rates of the curve's points.
const RATES: [f64; 7] = [0.0, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1];

/// Runs the trials and tells the three curves.
pub fn curves(samples: &[Sample], seed: u64) -> Map<String, Value> {
    let trials = compare(samples, Protocol { others: OTHERS, rounds: ROUNDS, seed });
    let counts = trials[&Method::KnownPlate].counts();
    let mut told = Map::new();
    told.insert("n".to_owned(), json!(samples.len()));
    told.insert("others".to_owned(), json!(OTHERS));
    told.insert("rounds".to_owned(), json!(ROUNDS));
    told.insert("seed".to_owned(), json!(seed));
    told.insert("listed_trials".to_owned(), json!(counts.0));
    told.insert("stranger_trials".to_owned(), json!(counts.1));
    told.insert("false_accept_rate".to_owned(), json!(TARGET));
    let at: Map<String, Value> =
        trials.iter().map(|(method, each)| (method.word().to_owned(), point(each, TARGET))).collect();
    told.insert("true_accept".to_owned(), Value::Object(at));
    let curves = trials.iter().map(|(method, each)| {
        (method.word().to_owned(), RATES.iter().map(|&rate| point(each, rate)).collect::<Value>())
    });
    told.insert("curves".to_owned(), Value::Object(curves.collect()));
    told
}

fn point(trials: &Trials, rate: f64) -> Value {
    let point = trials.at(rate);
    let threshold = point.threshold.is_finite().then_some(f64::from((point.threshold * 100.0).round()) / 100.0);
    json!({
        "allowed": rate, "true_accept": point.true_accept, "false_accept": point.false_accept, "threshold": threshold,
    })
}

/// The curves as a person reads them.
pub fn tell(told: &Map<String, Value>) {
    use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
    println!(
        "{} plates; {} other plates listed in each of {} rounds; {} listed and {} unlisted trials.",
        told["n"], told["others"], told["rounds"], told["listed_trials"], told["stranger_trials"]
    );
    println!("Share of listed plates accepted as themselves, while no more strangers are accepted than:");
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let mut header = vec!["method".to_owned()];
    header.extend(RATES.iter().map(|rate| format!("{:.2} %", rate * 100.0)));
    table.set_header(header);
    for method in Method::ALL {
        let points = told["curves"][method.word()].as_array().into_iter().flatten();
        let shares = points.map(|point| format!("{:.1} %", point["true_accept"].as_f64().unwrap_or(0.0) * 100.0));
        table.add_row(std::iter::once(method.word().to_owned()).chain(shares));
    }
    println!("{table}");
}
