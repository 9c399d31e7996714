//! `--task face-expression`: is the expression told that the label names?
//!
//! Labels are the pack's own words or usual ones for the same (`happy`, `smile`, `joy` for `happiness`). The most
//! probable of the classes that occur among the labels counts: a pack may know more than a data set.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use serde_json::{Map, Value, json};

use super::super::super::vision::Setup;
use super::{look, share, tables};
use crate::domain::face::Expression;
use crate::domain::face::evaluation;
use crate::inference::pack::Task;
use crate::inference::{FaceReader, How, still};

/// Words for the same, the first of which stands for all.
const SYNONYMS: [&[&str]; 8] = [
    &["neutral", "calm", "none"],
    &["happiness", "happy", "smile", "smiling", "joy", "joyful", "pleased", "positive"],
    &["surprise", "surprised", "suprise"],
    &["sadness", "sad", "unhappy"],
    &["anger", "angry", "mad"],
    &["disgust", "disgusted"],
    &["fear", "fearful", "afraid", "scared"],
    &["contempt", "contemptuous"],
];

/// The figures, and how many pictures could not be read.
pub fn run(path: &Path, setup: &Setup) -> anyhow::Result<(Map<String, Value>, usize)> {
    let table = tables::labelled(path)?;
    let needed = [Task::FaceDetect, Task::FaceExpression];
    let open = || FaceReader::load_for(&setup.config.faces, &setup.config.inference, &setup.base, &needed);
    let looked = look(table.iter().map(|each| each.file.clone()).collect(), &open, &|reader, file, times| {
        let told = reader.expression_of(&still::picture(file)?, times)?;
        told.context("no pack has a model for `face-expression`")
    })?;
    let seen = table.iter().filter_map(|each| Some((canonical(&each.word), &looked.seen.get(&each.file)?.0)));
    let seen: Vec<(String, &Expression)> = seen.collect();
    let mut told = scores(&seen);
    let assumed = looked.seen.values().filter(|(_, how)| *how == How::Assumed).count();
    told.insert("taken_as_crops".to_owned(), json!(assumed));
    told.insert("ms".to_owned(), looked.stages.json());
    Ok((told, looked.refused))
}

fn canonical(word: &str) -> String {
    let word = word.trim().to_lowercase();
    let same = SYNONYMS.iter().find(|words| words.contains(&word.as_str()));
    same.map_or(word, |words| words[0].to_owned())
}

fn scores(seen: &[(String, &Expression)]) -> Map<String, Value> {
    let known = |expression: &Expression| -> BTreeSet<String> {
        expression.classes.iter().map(|(class, _)| canonical(class)).collect()
    };
    let classes = seen.first().map(|(_, expression)| known(expression)).unwrap_or_default();
    let named: BTreeSet<&str> =
        seen.iter().map(|(label, _)| label.as_str()).filter(|label| classes.contains(*label)).collect();
    let mut by_class: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (label, expression) in seen.iter().filter(|(label, _)| named.contains(label.as_str())) {
        let counts = by_class.entry(label).or_default();
        counts.0 += usize::from(best(expression, &named).as_deref() == Some(label));
        counts.1 += 1;
    }
    let sum = by_class.values().fold((0, 0), |sum, counts| (sum.0 + counts.0, sum.1 + counts.1));
    let rate = |(right, of): (usize, usize)| (of > 0).then(|| right as f64 / of as f64);
    let pleased: Vec<(f32, bool)> =
        seen.iter().map(|(label, expression)| (expression.positive, label == SYNONYMS[1][0])).collect();
    let mut told = Map::new();
    told.insert("n".to_owned(), json!(sum.1));
    told.insert("without_a_class_of_the_pack".to_owned(), json!(seen.len() - sum.1));
    told.insert("accuracy".to_owned(), share(rate(sum)));
    told.insert("auc_positive".to_owned(), share(evaluation::auc(&pleased)));
    let rows = by_class
        .into_iter()
        .map(|(class, counts)| (class.to_owned(), json!({ "n": counts.1, "accuracy": share(rate(counts)) })));
    told.insert("by_class".to_owned(), Value::Object(rows.collect()));
    told
}

/// The most probable of the classes that are named.
fn best(expression: &Expression, named: &BTreeSet<&str>) -> Option<String> {
    let classes = expression.classes.iter().map(|(class, share)| (canonical(class), share));
    let possible = classes.filter(|(class, _)| named.contains(class.as_str()));
    possible.max_by(|a, b| a.1.total_cmp(b.1)).map(|(class, _)| class)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(happiness: f32, neutral: f32, unknown: f32) -> Expression {
        let classes =
            vec![("neutral".to_owned(), neutral), ("happiness".to_owned(), happiness), ("unknown".to_owned(), unknown)];
        Expression { positive: happiness, neutral, negative: 0.0, classes }
    }

    #[test]
    fn a_class_that_no_label_names_is_no_answer_and_a_label_that_the_pack_lacks_is_counted_apart() {
        let told = [shares(0.3, 0.1, 0.6), shares(0.2, 0.7, 0.1), shares(0.6, 0.4, 0.0), shares(0.1, 0.1, 0.8)];
        let labels = ["Happy", "neutral", "calm", "bored"].map(canonical);
        let seen: Vec<(String, &Expression)> = labels.into_iter().zip(&told).collect();
        let scores = scores(&seen);
        assert_eq!((&scores["n"], &scores["without_a_class_of_the_pack"]), (&json!(3), &json!(1)));
        assert_eq!(scores["accuracy"], json!(0.6667));
        assert_eq!(scores["by_class"]["happiness"], json!({ "n": 1, "accuracy": 1.0 }));
        assert_eq!(scores["auc_positive"], json!(0.6667));
    }
}
