//! `models eval --task plate-match`: true-accept against false-accept rates of three ways to match a list.

use serde_json::{Map, Value, json};

use crate::domain::plate::calibration::{CALIBRATED_AT, Calibration};
use crate::domain::plate::evaluation::{Method, Protocol, Sample, Trials, compare};

/// Random other plates on the list.
const OTHERS: usize = CALIBRATED_AT;
/// Rounds, each with other plates and another half of the samples listed.
const ROUNDS: u32 = 20;
/// The rate that the issue of matching is judged at.
pub const TARGET: f64 = 0.001;
/// False-accept rates of the curve's points.
const RATES: [f64; 7] = [0.0, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1];

/// Runs the trials and tells the three curves, how the thresholds in use do, and the table that a pack may carry.
/// `pack` is the table of the reader's pack, `pictures` says what was looked at.
pub fn curves(samples: &[Sample], seed: u64, pack: Option<&Calibration>, pictures: &str) -> Map<String, Value> {
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
    let known = &trials[&Method::KnownPlate];
    told.insert("in_use".to_owned(), in_use(known, pack));
    let table = known.calibration().map(|table| calibration(&table, samples, pictures));
    told.insert("calibration".to_owned(), table.unwrap_or_default());
    told
}

/// What the thresholds that the program would take give on these samples.
fn in_use(trials: &Trials, pack: Option<&Calibration>) -> Value {
    let threshold = pack.cloned().unwrap_or_default().threshold(TARGET, OTHERS);
    let point = trials.point(threshold);
    let (listed, strangers) = measured(trials);
    json!({
        "from": if pack.is_some() { "pack" } else { "default" },
        "threshold": rounded(threshold),
        "true_accept": listed.then_some(point.true_accept),
        "false_accept": strangers.then_some(point.false_accept),
    })
}

/// Were there trials of listed plates, of strangers? A share of none is null.
fn measured(trials: &Trials) -> (bool, bool) {
    let (listed, strangers) = trials.counts();
    (listed > 0, strangers > 0)
}

fn calibration(table: &Calibration, samples: &[Sample], pictures: &str) -> Value {
    let plates: std::collections::BTreeSet<&str> = samples.iter().map(|sample| sample.truth.as_str()).collect();
    let on = format!(
        "{pictures}: {} plates in {} pictures of one frame, {OTHERS} others of the same offices listed, {ROUNDS} rounds; \
         95 % limit of the stricter of two halves of the plates",
        plates.len(),
        samples.len()
    );
    let points: Vec<(f64, f64)> = table.points().iter().map(|&(rate, nats)| (rate, rounded(nats))).collect();
    json!({ "on": on, "points": points })
}

/// The measured table as it stands in a `pack.toml`; `None` when there were too few plates.
pub fn as_toml(told: &Map<String, Value>) -> Option<String> {
    let table = told.get("calibration")?;
    let points: Vec<String> =
        table["points"].as_array()?.iter().map(|point| format!("[{}, {}]", point[0], point[1])).collect();
    Some(format!("[model.calibration]\non = {}\npoints = [{}]", table["on"], points.join(", ")))
}

fn rounded(nats: f32) -> f64 {
    (f64::from(nats) * 100.0).round() / 100.0
}

fn point(trials: &Trials, rate: f64) -> Value {
    let point = trials.at(rate);
    let threshold = point.threshold.is_finite().then_some(rounded(point.threshold));
    let (listed, strangers) = measured(trials);
    json!({
        "allowed": rate, "true_accept": listed.then_some(point.true_accept),
        "false_accept": strangers.then_some(point.false_accept), "threshold": threshold,
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
        let shares = points.map(|point| percent(&point["true_accept"]));
        table.add_row(std::iter::once(method.word().to_owned()).chain(shares));
    }
    println!("{table}");
    let used = &told["in_use"];
    println!(
        "In use at {} %: the {}'s threshold of {} accepts {} of the listed and {} of the strangers.",
        TARGET * 100.0,
        used["from"].as_str().unwrap_or_default(),
        used["threshold"],
        percent(&used["true_accept"]),
        percent(&used["false_accept"])
    );
}

fn percent(share: &Value) -> String {
    share.as_f64().map_or("–".to_owned(), |share| format!("{:.2} %", share * 100.0))
}
