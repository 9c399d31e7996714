//! Milliseconds of the stages over many frames, as percentiles.

use serde_json::{Map, Value, json};

use crate::domain::observation::StageTimes;

/// The stages of a frame in order, with their words.
pub fn named(times: &StageTimes) -> [(&'static str, f32); 8] {
    [
        ("detect_pre", times.detect_pre_ms),
        ("detect", times.detect_ms),
        ("detect_post", times.detect_post_ms),
        ("read_pre", times.read_pre_ms),
        ("read", times.read_ms),
        ("read_post", times.read_post_ms),
        ("face_work", times.face_work_ms),
        ("face", times.face_ms),
    ]
}

/// Collects the times of frames.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    frames: Vec<StageTimes>,
}

impl Stages {
    /// Adds a frame.
    pub fn add(&mut self, times: StageTimes) {
        self.frames.push(times);
    }

    /// `p50` and `p95` of each stage that took any time, and of the total.
    pub fn json(&self) -> Value {
        let mut stages = Map::new();
        for (place, (word, _)) in named(&StageTimes::default()).into_iter().enumerate() {
            let values: Vec<f32> = self.frames.iter().map(|times| named(times)[place].1).collect();
            if values.iter().any(|&ms| ms > 0.0) {
                stages.insert(word.to_owned(), percentiles(values));
            }
        }
        let totals = self.frames.iter().map(|times| named(times).iter().map(|(_, ms)| ms).sum()).collect();
        stages.insert("total".to_owned(), percentiles(totals));
        Value::Object(stages)
    }
}

fn percentiles(values: Vec<f32>) -> Value {
    let sorted = sorted(values);
    json!({ "p50": rounded(percentile(&sorted, 0.5)), "p95": rounded(percentile(&sorted, 0.95)) })
}

/// In rising order.
pub fn sorted(mut values: Vec<f32>) -> Vec<f32> {
    values.sort_by(f32::total_cmp);
    values
}

/// The value below which a share of the sorted values lies; 0 when there is none.
pub fn percentile(sorted: &[f32], share: f32) -> f32 {
    let place = (share * sorted.len().saturating_sub(1) as f32).round() as usize;
    sorted.get(place).copied().unwrap_or(0.0)
}

/// To a thousandth, for people who read JSON.
pub fn rounded(value: f32) -> f64 {
    (f64::from(value) * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values = sorted((1..=101).rev().map(|value| value as f32).collect());
        assert_eq!((percentile(&values, 0.5), percentile(&values, 0.95)), (51.0, 96.0));
        assert_eq!(percentile(&[], 0.5), 0.0);
    }

    #[test]
    fn a_stage_that_never_ran_is_not_told() {
        let mut stages = Stages::default();
        stages.add(StageTimes { read_ms: 2.0, ..StageTimes::default() });
        let told = stages.json();
        assert_eq!(told["read"]["p50"], 2.0);
        assert!(told.get("detect").is_none() && told["total"]["p95"] == 2.0);
    }
}
