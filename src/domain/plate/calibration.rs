//! Thresholds of the known-plate test: what must be asked of the ratio so that no more strangers than stated are taken
//! for members, and how that is found from trials.
//!
//! Promises: a table that was measured here errs on the side of strangers. Each point is the upper end of what the
//! trials leave open, not their own share, and the stricter of two halves that share no plate; rates that are too small
//! for the number of trials are reached along a slope, never read off an empty tail.

use crate::domain::rate::rate_at;

/// List size at which thresholds are calibrated.
pub const CALIBRATED_AT: usize = 10_000;
/// No table may ask less, in nats, at any rate. A reader's mass is smoothed, so that a single wrong character costs no
/// listed plate much more than this: of the readers measured, one takes 0.3 % of the strangers for members at -7.4 and
/// 10 % at -7.7, and what holds for its strangers need not hold for others.
pub const FLOOR: f32 = -6.5;
/// Rates of a table that is measured.
pub const RATES: [f64; 3] = [1e-4, 1e-3, 1e-2];

/// False-accept rates and the ratios, in nats, that keep to them on a list of 10,000; rising in rate.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration(Vec<(f64, f32)>);

impl Calibration {
    /// From measured points `(false-accept rate, threshold)`; `None` when there is none, a rate is not between 0 and 1
    /// or stands twice, a threshold is below [`FLOOR`] or no number, or a higher rate asks for more.
    pub fn new(mut points: Vec<(f64, f32)>) -> Option<Self> {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let sound = |&(rate, threshold): &(f64, f32)| rate > 0.0 && rate < 1.0 && (FLOOR..1e3).contains(&threshold);
        let falls = points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 >= pair[1].1);
        (falls && !points.is_empty() && points.iter().all(sound)).then_some(Self(points))
    }

    /// The points, rising in rate.
    pub fn points(&self) -> &[(f64, f32)] {
        &self.0
    }

    /// The threshold for a false-accept rate over a list of this size; between points by the logarithm of the rate,
    /// outside them along a slope of one nat an e-fold, which is on the safe side.
    pub fn threshold(&self, rate: f64, listed: usize) -> f32 {
        let rate = (rate * CALIBRATED_AT as f64 / listed.max(100) as f64).min(0.5);
        let (first, last) = (self.0[0], self.0[self.0.len() - 1]);
        if rate <= first.0 {
            return first.1 + (first.0 / rate).ln() as f32;
        }
        if rate >= last.0 {
            return last.1;
        }
        let above = self.0.partition_point(|point| point.0 < rate);
        let (low, high) = (self.0[above - 1], self.0[above]);
        let share = ((rate / low.0).ln() / (high.0 / low.0).ln()) as f32;
        low.1 + share * (high.1 - low.1)
    }

    /// Share of the strangers that reach this ratio over a list of this size: what [`Calibration::threshold`] inverts.
    pub fn rate_of(&self, ratio: f32, listed: usize) -> f64 {
        rate_at(f64::from(ratio), -60.0, -0.7, |rate| f64::from(self.threshold(rate, listed)))
    }
}

impl Default for Calibration {
    /// The strictest of the three readers that were measured, for one that was not; see `docs/benchmarks.md`. Below
    /// zero at the usual rates, because few plates are listed and many are not: a listed one may explain the evidence
    /// worse than the best string that is not.
    fn default() -> Self {
        Self(vec![(1e-4, 0.6), (1e-3, -1.7), (1e-2, -5.3)])
    }
}

/// A stranger that was taken for a member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FalseAccept {
    /// Which half of the plates it belongs to.
    pub second_half: bool,
    /// The ratio at which it was.
    pub ratio: f32,
}

/// The table that keeps to [`RATES`] on plates like those of the trials; `None` when a half has no trial.
///
/// `trials` counts the strangers of each half. A threshold rests on the half that asks for more.
pub fn measure(accepts: &[FalseAccept], trials: [usize; 2]) -> Option<Calibration> {
    if trials.contains(&0) {
        return None;
    }
    let of_half = |second_half: bool| {
        let mut ratios: Vec<f32> =
            accepts.iter().filter(|each| each.second_half == second_half).map(|each| each.ratio).collect();
        ratios.sort_unstable_by(|a, b| b.total_cmp(a));
        ratios
    };
    let halves = [of_half(false), of_half(true)];
    let point = |rate: f64| {
        let asked = halves.iter().zip(trials).map(|(ratios, trials)| cautious(ratios, trials, rate));
        // Upwards to a tenth: a table is read by people.
        (rate, (asked.fold(FLOOR, f32::max) * 10.0).ceil() / 10.0)
    };
    Calibration::new(RATES.map(point).to_vec())
}

/// The least threshold at which, with 95 % confidence, no more than `rate` of the strangers are accepted; `ratios` fall.
fn cautious(ratios: &[f32], trials: usize, rate: f64) -> f32 {
    let bound = |accepted: usize| most_expected(accepted) / trials as f64;
    let Some(highest) = ratios.first() else {
        // Nobody was accepted at any ratio that the test looks at.
        return FLOOR + (bound(0) / rate).ln().max(0.0) as f32;
    };
    let allowed = (0..=ratios.len()).take_while(|&accepted| bound(accepted) <= rate).last();
    match allowed {
        None => highest.next_up() + (bound(0) / rate).ln() as f32,
        Some(accepted) => ratios.get(accepted).map_or(FLOOR, |ratio| ratio.next_up()),
    }
}

/// Upper 95 % limit of the expected number where `count` were seen (Poisson; Wilson and Hilferty, 1931, of chi-square).
fn most_expected(count: usize) -> f64 {
    const Z_95: f64 = 1.6449;
    let k = count as f64 + 1.0;
    k * (1.0 - 1.0 / (9.0 * k) + Z_95 / (3.0 * k.sqrt())).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_strangers_at_a_ratio_is_what_the_threshold_was_made_from() {
        let table = Calibration::default();
        for (rate, listed) in [(1e-6, 10_000), (1e-4, 500), (0.001, 10_000), (0.004, 20_000)] {
            let found = table.rate_of(table.threshold(rate, listed), listed);
            assert!((found / rate - 1.0).abs() < 0.01, "{found} for {rate}");
        }
        assert!(table.rate_of(20.0, 10_000) < 1e-8 && table.rate_of(-50.0, 10_000) > 0.1);
    }

    #[test]
    fn a_longer_list_asks_for_more() {
        let calibration = Calibration::new(vec![(0.0001, 4.0), (0.001, 2.0), (0.01, 0.0)]).unwrap();
        assert_eq!(calibration.threshold(0.001, 10_000), 2.0);
        assert!((calibration.threshold(0.001, 100_000) - 4.0).abs() < 1e-4);
        assert!(calibration.threshold(0.001, 1_000_000) > 6.0);
        assert!((calibration.threshold(0.001, 1_000) - 0.0).abs() < 1e-4);
    }

    #[test]
    fn a_table_must_be_numbers_above_the_floor_that_fall_as_the_rate_rises() {
        assert!(Calibration::new(vec![]).is_none());
        assert!(Calibration::new(vec![(0.0, 1.0)]).is_none());
        assert!(Calibration::new(vec![(0.001, f32::NAN)]).is_none());
        assert!(Calibration::new(vec![(0.001, FLOOR - 0.1)]).is_none());
        assert!(Calibration::new(vec![(0.001, -5.0), (0.01, -4.0)]).is_none());
        assert!(Calibration::new(vec![(0.01, -6.0), (0.001, -5.0)]).is_some());
    }

    #[test]
    fn the_limit_of_what_may_be_expected_is_that_of_the_tables() {
        // Exact values: half of the 95 % quantile of chi-square with 2 (k + 1) degrees of freedom.
        for (count, exact) in [(0, 2.996), (1, 4.744), (4, 9.154), (10, 16.962)] {
            assert!((most_expected(count) - exact).abs() < 0.04, "{count}: {}", most_expected(count));
        }
    }

    #[test]
    fn a_measured_table_is_stricter_than_the_share_that_was_seen() {
        let ratios =
            |second_half, from: f32| (0..40).map(move |n| FalseAccept { second_half, ratio: from - n as f32 * 0.05 });
        let accepts: Vec<FalseAccept> = ratios(false, -3.0).chain(ratios(true, -4.0)).collect();
        let table = measure(&accepts, [5000, 5000]).unwrap();
        // Five of 5000 would be a share of 0.1 %; their 95 % limit is twice that, so only one is let through.
        assert_eq!(table.threshold(1e-3, CALIBRATED_AT), -3.0);
        assert!((-5.0..-3.5).contains(&table.threshold(1e-2, CALIBRATED_AT)));
        // Too rare for 5000 trials: above the highest, by the missing factor.
        let rare = table.threshold(1e-4, CALIBRATED_AT);
        assert!((rare - (-3.0 + (2.97_f32 / 0.5).ln())).abs() < 0.15, "{rare}");
        assert_eq!(measure(&[], [100, 0]), None);
        let nobody = measure(&[], [100_000, 100_000]).unwrap();
        assert_eq!(nobody.threshold(1e-3, CALIBRATED_AT), FLOOR);
    }
}
