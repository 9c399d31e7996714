//! How alike the faces of different people look to an embedding, and the threshold that follows from it.
//!
//! A search of N templates compares a stranger N times. If a single comparison passes a threshold with probability p,
//! one of N does with `1 - (1 - p)^N`, so a stated false-positive identification rate (FPIR) gives p and p gives the
//! threshold (ISO/IEC 19795-1, open-set identification). Comparisons of one stranger are not independent; treating them
//! so errs to the safe side.
//!
//! The scores of different people are normal only near their mean: far out there are more of them (relatives, the
//! same pose and light). So a gallery that is large enough measures its own tail, and the threshold is read from that.

use serde::{Deserialize, Serialize};

use crate::domain::rate::rate_at;

/// Fewest pairs of templates of different members that a fit is made from.
pub const FEWEST_PAIRS: usize = 1_000;
/// Share of the pairs that the tail is fitted to.
const TAIL: f64 = 0.01;
/// A pair so many deviations above the mean is one person listed twice, not two who look alike.
const SAME_PERSON: f64 = 8.0;

/// Scores between templates of different people in one embedding space.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Impostors {
    /// Mean cosine.
    pub mean: f64,
    /// Standard deviation of the cosine.
    pub deviation: f64,
    /// Measured upper end, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<Tail>,
}

/// The upper end of the scores: above `from` they fall off exponentially.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Tail {
    /// Score at which the tail begins.
    pub from: f64,
    /// Share of the pairs above it.
    pub share: f64,
    /// Mean distance of those pairs from it.
    pub scale: f64,
}

/// Why scores cannot be fitted.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NoFit {
    /// There are not enough of them.
    #[error("{found} pairs of different members are too few to measure how alike they look; {FEWEST_PAIRS} are needed")]
    TooFew {
        /// Pairs.
        found: usize,
    },
    /// They are all the same.
    #[error("all pairs have the same score; the templates are no face vectors")]
    NoSpread,
}

impl Impostors {
    /// Of a pack that states the mean and the deviation only.
    pub fn normal(mean: f64, deviation: f64) -> Self {
        Self { mean, deviation, tail: None }
    }

    /// From scores between different members, in any order; sorts them. Pairs that can only be one person listed
    /// twice are left out.
    ///
    /// # Errors
    /// When there are too few, or all are equal.
    pub fn fit(scores: &mut [f32]) -> Result<Self, NoFit> {
        scores.sort_unstable_by(f32::total_cmp);
        if scores.len() < FEWEST_PAIRS {
            return Err(NoFit::TooFew { found: scores.len() });
        }
        let kept = &scores[..scores.partition_point(|&score| f64::from(score) < same_person(scores))];
        let count = kept.len() as f64;
        let mean = kept.iter().copied().map(f64::from).sum::<f64>() / count;
        let square = |score: &f32| (f64::from(*score) - mean).powi(2);
        let deviation = (kept.iter().map(square).sum::<f64>() / count).sqrt();
        if deviation < 1e-6 {
            return Err(NoFit::NoSpread);
        }
        let first = (count * (1.0 - TAIL)) as usize;
        let from = f64::from(kept[first]);
        let above = &kept[first + 1..];
        let scale = above.iter().map(|&score| f64::from(score) - from).sum::<f64>() / above.len() as f64;
        let share = above.len() as f64 / count;
        Ok(Self { mean, deviation, tail: (scale > 0.0).then_some(Tail { from, share, scale }) })
    }

    /// Score that a share `p` of the comparisons with other people exceeds.
    pub fn exceeded_by(&self, p: f64) -> f64 {
        match self.tail {
            Some(tail) if p <= tail.share => tail.from + tail.scale * (tail.share / p).ln(),
            _ => self.mean + self.deviation * normal_upper(p),
        }
    }

    /// Share of the strangers that score so high somewhere in a gallery of `templates`: what [`Impostors::threshold`]
    /// inverts.
    pub fn fpir_of(&self, score: f32, templates: usize) -> f64 {
        let p = rate_at(f64::from(score), -36.0, -1e-9, |p| self.exceeded_by(p));
        -((-p).ln_1p() * templates.max(1) as f64).exp_m1()
    }

    /// Score that a share `fpir` of the strangers exceeds somewhere in a gallery of `templates`; at most 1.
    pub fn threshold(&self, fpir: f64, templates: usize) -> f32 {
        // `1 - (1 - fpir)^(1/n)` without losing its digits.
        let p = -((-fpir).ln_1p() / templates.max(1) as f64).exp_m1();
        self.exceeded_by(p).min(1.0) as f32
    }
}

/// Score above which a pair is one person; from the median and the upper quartile, which a few such pairs do not move.
/// `scores` are sorted.
pub fn same_person(scores: &[f32]) -> f64 {
    let at = |share: f64| f64::from(scores[((scores.len() - 1) as f64 * share) as usize]);
    // The upper quartile of a normal distribution lies 0.6745 deviations above its middle.
    let deviation = (at(0.75) - at(0.5)) / 0.6745;
    at(0.5) + SAME_PERSON * deviation.max(1e-6)
}

/// How many deviations above the mean a share `p` of a normal distribution lies; P. J. Acklam's approximation, relative
/// error below 1.2e-9.
fn normal_upper(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.383_577_518_672_69e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 6] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 5] = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0];
    let horner = |factors: &[f64], x: f64| factors.iter().fold(0.0, |sum, factor| sum * x + factor);
    let tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        horner(&C, q) / horner(&D, q)
    };
    let p = p.clamp(1e-300, 1.0 - 1e-16);
    if p < 0.02425 {
        -tail(p)
    } else if p > 1.0 - 0.02425 {
        tail(1.0 - p)
    } else {
        let q = 0.5 - p;
        q * horner(&A, q * q) / horner(&B, q * q)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Box and Muller's.
    fn normal(random: &mut fastrand::Rng) -> f64 {
        (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (std::f64::consts::TAU * random.f64()).cos()
    }

    #[test]
    fn the_normal_quantiles_are_those_of_the_tables() {
        for (p, z) in
            [(0.5, 0.0), (0.05, 1.644_853_627), (0.001, 3.090_232_306), (1e-6, 4.753_424_309), (0.99, -2.326_347_874)]
        {
            assert!((normal_upper(p) - z).abs() < 1e-7, "{p}: {}", normal_upper(p));
        }
    }

    #[test]
    fn a_larger_gallery_and_a_smaller_rate_ask_for_more() {
        let impostors = Impostors::normal(0.02, 0.08);
        let one = impostors.threshold(0.01, 1);
        assert!((f64::from(one) - (0.02 + 0.08 * 2.326_347_874)).abs() < 1e-6);
        assert!(impostors.threshold(0.01, 100_000) > impostors.threshold(0.01, 500));
        assert!(impostors.threshold(0.001, 500) > impostors.threshold(0.01, 500));
        assert!(Impostors::normal(0.5, 0.2).threshold(1e-9, 100_000) <= 1.0);
    }

    #[test]
    fn strangers_exceed_the_threshold_at_the_stated_rate() {
        let mut random = fastrand::Rng::with_seed(11);
        let impostors = Impostors::normal(0.02, 0.08);
        let (fpir, templates, strangers) = (0.05, 200, 4_000);
        let threshold = f64::from(impostors.threshold(fpir, templates));
        let passes = |random: &mut fastrand::Rng| {
            (0..templates).any(|_| impostors.mean + impostors.deviation * normal(random) > threshold)
        };
        let passed = (0..strangers).filter(|_| passes(&mut random)).count();
        let rate = passed as f64 / f64::from(strangers);
        // Three standard errors of 4,000 trials.
        assert!((rate - fpir).abs() < 0.0104, "{rate}");
    }

    #[test]
    fn a_fit_finds_what_the_scores_were_drawn_from_and_leaves_doubles_out() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut scores: Vec<f32> = (0..100_000).map(|_| (0.05 + 0.07 * normal(&mut random)) as f32).collect();
        let clean = Impostors::fit(&mut scores).unwrap();
        assert!((clean.mean - 0.05).abs() < 0.001 && (clean.deviation - 0.07).abs() < 0.001, "{clean:?}");
        // The quantile 1e-4 of a normal distribution lies 3.719 deviations out; an exponential tail lies a little further.
        let far = clean.exceeded_by(1e-4);
        assert!((0.05 + 0.07 * 3.719 - 0.005..0.05 + 0.07 * 3.719 + 0.03).contains(&far), "{far}");
        scores.extend([0.95; 60]);
        let doubled = Impostors::fit(&mut scores).unwrap();
        assert!((doubled.deviation - clean.deviation).abs() < 1e-4, "{doubled:?}");
    }

    #[test]
    fn a_heavy_tail_raises_the_threshold_above_the_normal_one() {
        let mut random = fastrand::Rng::with_seed(4);
        // One pair in fifty looks far more alike than the rest.
        let mut scores: Vec<f32> = (0..50_000)
            .map(|n| if n % 50 == 0 { 0.2 + 0.05 * normal(&mut random) } else { 0.05 * normal(&mut random) } as f32)
            .collect();
        let fitted = Impostors::fit(&mut scores).unwrap();
        let normal_only = Impostors { tail: None, ..fitted };
        assert!(fitted.threshold(0.01, 500) > normal_only.threshold(0.01, 500) + 0.05);
    }

    #[test]
    fn too_few_pairs_and_pairs_without_spread_are_refused() {
        assert_eq!(Impostors::fit(&mut [0.1; 45]), Err(NoFit::TooFew { found: 45 }));
        assert_eq!(Impostors::fit(&mut [0.1; 2_000]), Err(NoFit::NoSpread));
    }
}
