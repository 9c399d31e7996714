//! How well a face embedding tells people apart, and a model of expression the pleased from the others.
//!
//! Pure and repeatable. Verification follows LFW's protocol (Huang et al., 2007): ten folds, the threshold of each is
//! chosen on the other nine. Identification is open-set (ISO/IEC 19795-1): a stranger's best score over the whole gallery is a false positive when
//! it passes the threshold, and a member counts only when he is the best *and* passes.

/// Folds of the verification protocol.
const FOLDS: usize = 10;

/// Two faces, whether they are one person's, and how alike they look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Cosine.
    pub score: f32,
    /// One person.
    pub same: bool,
}

/// One search of the gallery.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Best score.
    pub score: f32,
    /// `None`: a stranger; else whether the best was the right member.
    pub right: Option<bool>,
}

/// Mean accuracy over ten folds and its standard deviation; `None` with fewer than ten pairs of either kind.
///
/// Folds are runs of the table's order, pairs of one person and of two counted apart, as in LFW's own list.
pub fn accuracy(pairs: &[Pair]) -> Option<(f64, f64)> {
    let counts = [true, false].map(|same| pairs.iter().filter(|pair| pair.same == same).count());
    if counts.iter().any(|&count| count < FOLDS) {
        return None;
    }
    let mut seen = [0, 0];
    let fold = |pair: &Pair| {
        let kind = usize::from(!pair.same);
        let fold = seen[kind] * FOLDS / counts[kind];
        seen[kind] += 1;
        fold
    };
    let folds: Vec<usize> = pairs.iter().map(fold).collect();
    let part = |wanted: usize, inside: bool| -> Vec<Pair> {
        let chosen = pairs.iter().zip(&folds).filter(|(_, fold)| (**fold == wanted) == inside);
        chosen.map(|(pair, _)| *pair).collect()
    };
    let rates: Vec<f64> = (0..FOLDS)
        .map(|fold| {
            let threshold = best_threshold(part(fold, false));
            let judged = part(fold, true);
            judged.iter().filter(|pair| (pair.score >= threshold) == pair.same).count() as f64 / judged.len() as f64
        })
        .collect();
    let mean = rates.iter().sum::<f64>() / FOLDS as f64;
    let spread = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / FOLDS as f64;
    Some((mean, spread.sqrt()))
}

/// The threshold with the most pairs right; in the middle between two scores.
fn best_threshold(mut pairs: Vec<Pair>) -> f32 {
    pairs.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut right = pairs.iter().filter(|pair| !pair.same).count() as i64;
    let (mut best, mut threshold) = (right, f32::INFINITY);
    for (place, pair) in pairs.iter().enumerate() {
        right += if pair.same { 1 } else { -1 };
        let next = pairs.get(place + 1).map_or(pair.score - 1.0, |next| next.score);
        if right > best && next < pair.score {
            (best, threshold) = (right, (pair.score + next) / 2.0);
        }
    }
    threshold
}

/// Area under the ROC curve: how often something that is scores above something that is not; ties count half. `None`
/// when there is nothing of either.
pub fn auc(scores: &[(f32, bool)]) -> Option<f64> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = sorted.iter().filter(|(_, is)| *is).count() as f64;
    let negatives = sorted.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let (mut won, mut below) = (0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        let up = tied.iter().filter(|(_, is)| *is).count() as f64;
        let down = tied.len() as f64 - up;
        won += up * (below + down / 2.0);
        below += down;
    }
    Some(won / (positives * negatives))
}

/// Share of the pairs of one person above the threshold that at most a share `rate` of the pairs of two people passes.
/// `None` when there is nothing of either.
pub fn true_accept(pairs: &[Pair], rate: f64) -> Option<f64> {
    let of = |same: bool| pairs.iter().filter(move |pair| pair.same == same).map(|pair| pair.score);
    let threshold = passed_by(of(false).collect(), rate)?;
    let genuine: Vec<f32> = of(true).collect();
    let accepted = genuine.iter().filter(|&&score| score > threshold).count();
    (!genuine.is_empty()).then(|| accepted as f64 / genuine.len() as f64)
}

/// Share of the searches for members that find the right one above the threshold that at most a share `rate` of the
/// strangers passes, and that threshold. `None` when there are no strangers or no members.
pub fn true_identification(searches: &[Search], rate: f64) -> Option<(f64, f32)> {
    let strangers = searches.iter().filter(|search| search.right.is_none()).map(|search| search.score);
    let threshold = passed_by(strangers.collect(), rate)?;
    let members: Vec<&Search> = searches.iter().filter(|search| search.right.is_some()).collect();
    let found = members.iter().filter(|search| search.right == Some(true) && search.score > threshold).count();
    (!members.is_empty()).then(|| (found as f64 / members.len() as f64, threshold))
}

/// The score that no more than a share `rate` of these exceed.
fn passed_by(mut scores: Vec<f32>, rate: f64) -> Option<f32> {
    scores.sort_by(|a, b| b.total_cmp(a));
    let allowed = (rate * scores.len() as f64 + 1e-9).floor() as usize;
    scores.get(allowed.min(scores.len().checked_sub(1)?)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(same: impl Iterator<Item = f32>, other: impl Iterator<Item = f32>) -> Vec<Pair> {
        let one = same.map(|score| Pair { score, same: true });
        one.chain(other.map(|score| Pair { score, same: false })).collect()
    }

    #[test]
    fn the_threshold_of_a_fold_is_chosen_on_the_others() {
        let clear = pairs((0..100).map(|n| 0.6 + n as f32 / 1e3), (0..100).map(|n| n as f32 / 1e3));
        assert_eq!(accuracy(&clear), Some((1.0, 0.0)));
        // In one fold all are turned round: it is judged by the others' threshold and wholly wrong.
        let turned = |n: i32, high: bool| if (n / 10 == 3) == high { 0.1 } else { 0.8 };
        let (mean, _) =
            accuracy(&pairs((0..100).map(|n| turned(n, true)), (0..100).map(|n| turned(n, false)))).unwrap();
        assert!((mean - 0.9).abs() < 1e-9);
        assert_eq!(accuracy(&clear[..105]), None);
    }

    #[test]
    fn the_area_counts_ties_half() {
        assert_eq!(auc(&[(0.9, true), (0.8, true), (0.1, false)]), Some(1.0));
        assert_eq!(auc(&[(0.5, true), (0.5, false)]), Some(0.5));
        assert_eq!(auc(&[(0.1, true), (0.9, false), (0.0, false)]), Some(0.5));
        assert_eq!(auc(&[(0.1, true)]), None);
    }

    #[test]
    fn one_in_a_thousand_may_pass_and_no_more() {
        let told = |others: usize| {
            let other = (0..others).map(|n| if n == 0 { 0.9 } else { 0.2 + 0.1 * n as f32 / others as f32 });
            true_accept(&pairs([0.25, 0.5, 0.95].into_iter(), other), 1e-3).unwrap()
        };
        assert!((told(999) - 1.0 / 3.0).abs() < 1e-9);
        assert!((told(1000) - 2.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_member_counts_only_when_he_is_the_best_and_clear_of_the_strangers() {
        let mut searches: Vec<Search> = (0..100).map(|n| Search { score: n as f32 / 250.0, right: None }).collect();
        for (score, right) in [(0.9, true), (0.9, false), (0.3, true), (0.395, true)] {
            searches.push(Search { score, right: Some(right) });
        }
        let (found, threshold) = true_identification(&searches, 0.01).unwrap();
        assert_eq!((found, threshold), (0.5, 98.0 / 250.0));
        assert_eq!(true_identification(&searches, 0.001).unwrap().0, 0.25);
        assert_eq!(true_identification(&searches[..100], 0.01), None);
    }
}
