//! What the frames of one face say together: the vector that stands for the track, and the look on leaving.
//!
//! Pure: quality and time come in with each frame. A vector is the mean of the best frames, weighed by their quality; a
//! look is the mean distribution over the last part of the track. Both forget everything when they are dropped, and
//! vectors are wiped. Whose face it is, the gallery decides; whether there were enough frames, the caller.

use std::collections::VecDeque;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{Embedding, Expression, FaceQuality};
use crate::domain::Uptime;
use crate::domain::event::ExpressionWord;

/// Frames whose quality is lower than this share of the best one's add noise and are left out of the mean.
const LEAST_SHARE: f32 = 0.25;

/// The best frames of one face.
#[derive(Debug)]
pub struct FacePool {
    /// In falling order of quality; older first where it is the same.
    best: Vec<Shot>,
    most: usize,
    frames: u32,
}

#[derive(Debug)]
struct Shot {
    embedding: Embedding,
    quality: f32,
    at: Uptime,
}

/// The frames of a track as one.
#[derive(Clone, Debug, PartialEq)]
pub struct PooledFace {
    /// Mean vector, of unit length.
    pub embedding: Embedding,
    /// Frames in the mean.
    pub frames: u32,
    /// Their mean quality, 0..1.
    pub quality: f32,
    /// Least cosine of a frame in the mean with it; low when two people were taken for one track.
    pub agreement: f32,
    /// When the newest of them was taken.
    pub at: Uptime,
}

impl FacePool {
    /// Keeps at most so many frames, at least one.
    pub fn new(most: u32) -> Self {
        Self { best: Vec::new(), most: most.max(1) as usize, frames: 0 }
    }

    /// Adds a frame. One of another embedding space, which has another length, begins anew.
    pub fn add(&mut self, embedding: Embedding, quality: &FaceQuality, at: Uptime) {
        if self.best.first().is_some_and(|shot| shot.embedding.values().len() != embedding.values().len()) {
            self.clear();
        }
        self.frames = self.frames.saturating_add(1);
        let quality = if quality.score.is_nan() { 0.0 } else { quality.score.clamp(0.0, 1.0) };
        let place = self.best.partition_point(|shot| shot.quality >= quality);
        self.best.insert(place, Shot { embedding, quality, at });
        self.best.truncate(self.most);
    }

    /// Frames that were added, also those no longer kept.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// The mean of the best frames; `None` before the first, or when they cancel out.
    pub fn pooled(&self) -> Option<PooledFace> {
        let least = self.best.first()?.quality * LEAST_SHARE;
        let used = || self.best.iter().filter(|shot| shot.quality >= least);
        let mut sum = Zeroizing::new(vec![0.0_f32; self.best[0].embedding.values().len()]);
        for shot in used() {
            // Frames of no quality at all count alike.
            let weight = shot.quality.max(1e-3);
            sum.iter_mut().zip(shot.embedding.values()).for_each(|(sum, value)| *sum += weight * value);
        }
        let embedding = Embedding::new(&sum).ok()?;
        let frames = used().count() as u32;
        Some(PooledFace {
            frames,
            quality: used().map(|shot| shot.quality).sum::<f32>() / frames as f32,
            agreement: used().map(|shot| shot.embedding.cosine(&embedding)).fold(1.0, f32::min),
            at: used().map(|shot| shot.at).max().unwrap_or_default(),
            embedding,
        })
    }

    /// Forgets all frames; their vectors are wiped.
    pub fn clear(&mut self) {
        self.best.clear();
        self.frames = 0;
    }
}

/// When a look is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LookRules {
    /// Last part of the track that counts.
    pub window: Duration,
    /// Fewest frames.
    pub min_frames: u32,
    /// Least mean quality of the frames, 0..1.
    pub min_quality: f32,
    /// Least share of the look that is told, 0..1.
    pub min_share: f32,
    /// Least lead over the next one.
    pub min_lead: f32,
}

impl Default for LookRules {
    fn default() -> Self {
        Self { window: Duration::from_secs(3), min_frames: 3, min_quality: 0.2, min_share: 0.45, min_lead: 0.15 }
    }
}

/// Looks of one face over the last part of its track.
#[derive(Debug)]
pub struct ExpressionPool {
    rules: LookRules,
    seen: VecDeque<(Uptime, f32, Expression)>,
}

/// The looks of the last part of a track as one.
#[derive(Clone, Debug, PartialEq)]
pub struct PooledExpression {
    /// What is told.
    pub look: ExpressionWord,
    /// Mean shares, weighed by quality.
    pub shares: Expression,
    /// Frames in the mean.
    pub frames: u32,
    /// Their mean quality, 0..1.
    pub quality: f32,
}

impl ExpressionPool {
    /// Of nothing yet.
    pub fn new(rules: LookRules) -> Self {
        Self { rules, seen: VecDeque::new() }
    }

    /// Adds a frame, later than those before, and forgets what lies before the window.
    pub fn add(&mut self, expression: Expression, quality: &FaceQuality, at: Uptime) {
        let quality = if quality.score.is_nan() { 0.0 } else { quality.score.clamp(0.0, 1.0) };
        self.seen.push_back((at, quality, expression));
        let from = at.saturating_sub(self.rules.window);
        while self.seen.front().is_some_and(|(taken, ..)| *taken < from) {
            self.seen.pop_front();
        }
    }

    /// Frames within the window.
    pub fn frames(&self) -> u32 {
        self.seen.len() as u32
    }

    /// The look over the window that ends with the last frame; `None` before the first.
    pub fn pooled(&self) -> Option<PooledExpression> {
        let (_, _, first) = self.seen.front()?;
        let mut shares = Expression {
            positive: 0.0,
            neutral: 0.0,
            negative: 0.0,
            classes: first.classes.iter().map(|(word, _)| (word.clone(), 0.0)).collect(),
        };
        let weight = |quality: f32| quality.max(1e-3);
        let sum: f32 = self.seen.iter().map(|(_, quality, _)| weight(*quality)).sum();
        for (_, quality, expression) in &self.seen {
            add_share(&mut shares, expression, weight(*quality) / sum);
        }
        let frames = self.frames();
        let quality = self.seen.iter().map(|(_, quality, _)| quality).sum::<f32>() / frames as f32;
        let enough = frames >= self.rules.min_frames && quality >= self.rules.min_quality;
        let look = if enough { standing_out(&shares, &self.rules) } else { ExpressionWord::Abstain };
        Some(PooledExpression { look, shares, frames, quality })
    }

    /// Forgets all frames.
    pub fn clear(&mut self) {
        self.seen.clear();
    }
}

fn add_share(to: &mut Expression, from: &Expression, weight: f32) {
    to.positive += weight * from.positive;
    to.neutral += weight * from.neutral;
    to.negative += weight * from.negative;
    for ((_, to), (_, from)) in to.classes.iter_mut().zip(&from.classes) {
        *to += weight * from;
    }
}

fn standing_out(shares: &Expression, rules: &LookRules) -> ExpressionWord {
    let mut looks = [
        (shares.positive, ExpressionWord::Positive),
        (shares.neutral, ExpressionWord::Neutral),
        (shares.negative, ExpressionWord::Negative),
    ];
    looks.sort_by(|a, b| b.0.total_cmp(&a.0));
    let stands_out = looks[0].0 >= rules.min_share && looks[0].0 - looks[1].0 >= rules.min_lead;
    if stands_out { looks[0].1 } else { ExpressionWord::Abstain }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quality(score: f32) -> FaceQuality {
        FaceQuality { score, ..FaceQuality::default() }
    }

    fn vector(values: &[f32]) -> Embedding {
        Embedding::new(values).unwrap()
    }

    fn at(ms: u64) -> Uptime {
        Uptime::from_millis(ms)
    }

    #[test]
    fn the_best_frames_are_kept_and_weigh_by_their_quality() {
        let mut pool = FacePool::new(2);
        assert!(pool.pooled().is_none());
        pool.add(vector(&[0.0, 0.0, 1.0]), &quality(0.5), at(1));
        pool.add(vector(&[1.0, 0.0, 0.0]), &quality(0.9), at(2));
        pool.add(vector(&[0.0, 1.0, 0.0]), &quality(0.6), at(3));
        let pooled = pool.pooled().unwrap();
        assert_eq!((pool.frames(), pooled.frames, pooled.at), (3, 2, at(3)));
        let [x, y, z] = pooled.embedding.values() else { panic!("three numbers") };
        assert!((x / y - 1.5).abs() < 1e-5 && *z == 0.0);
        assert!((pooled.quality - 0.75).abs() < 1e-6);
    }

    #[test]
    fn a_frame_far_poorer_than_the_best_does_not_blur_the_mean() {
        let mut pool = FacePool::new(8);
        pool.add(vector(&[1.0, 0.0]), &quality(0.8), at(1));
        pool.add(vector(&[0.0, 1.0]), &quality(0.1), at(2));
        assert_eq!(pool.pooled().unwrap().embedding, vector(&[1.0, 0.0]));
    }

    #[test]
    fn a_track_of_two_people_shows_in_the_agreement() {
        let (mut one, mut two) = (FacePool::new(8), FacePool::new(8));
        for time in 0..4 {
            one.add(vector(&[1.0, 0.1 * time as f32]), &quality(0.8), at(time));
            two.add(vector(&[(time % 2) as f32, ((time + 1) % 2) as f32]), &quality(0.8), at(time));
        }
        assert!(one.pooled().unwrap().agreement > 0.95);
        assert!(two.pooled().unwrap().agreement < 0.75);
    }

    #[test]
    fn frames_that_cancel_out_and_another_space_give_no_wrong_vector() {
        let mut pool = FacePool::new(8);
        pool.add(vector(&[1.0, 0.0]), &quality(0.5), at(1));
        pool.add(vector(&[-1.0, 0.0]), &quality(0.5), at(2));
        assert!(pool.pooled().is_none());
        pool.add(vector(&[0.0, 0.0, 1.0]), &quality(f32::NAN), at(3));
        assert_eq!(pool.pooled().unwrap().frames, 1);
    }

    fn look(positive: f32, neutral: f32, negative: f32) -> Expression {
        Expression { positive, neutral, negative, classes: vec![("happiness".to_owned(), positive)] }
    }

    #[test]
    fn only_the_last_part_of_the_track_counts() {
        let mut pool = ExpressionPool::new(LookRules::default());
        (0..10).for_each(|n| pool.add(look(0.0, 0.1, 0.9), &quality(0.9), at(n * 100)));
        assert_eq!(pool.pooled().unwrap().look, ExpressionWord::Negative);
        (0..10).for_each(|n| pool.add(look(0.8, 0.2, 0.0), &quality(0.5), at(4_000 + n * 100)));
        let pooled = pool.pooled().unwrap();
        assert_eq!((pooled.look, pooled.frames), (ExpressionWord::Positive, 10));
        assert!((pooled.shares.positive - 0.8).abs() < 1e-5 && (pooled.shares.classes[0].1 - 0.8).abs() < 1e-5);
    }

    #[test]
    fn few_frames_poor_frames_and_a_look_that_does_not_stand_out_are_not_told() {
        let told = |frames: u64, score: f32, look: Expression| {
            let mut pool = ExpressionPool::new(LookRules::default());
            (0..frames).for_each(|n| pool.add(look.clone(), &quality(score), at(n * 100)));
            pool.pooled().map(|pooled| pooled.look)
        };
        assert_eq!(told(0, 0.8, look(0.9, 0.1, 0.0)), None);
        assert_eq!(told(2, 0.8, look(0.9, 0.1, 0.0)), Some(ExpressionWord::Abstain));
        assert_eq!(told(5, 0.1, look(0.9, 0.1, 0.0)), Some(ExpressionWord::Abstain));
        assert_eq!(told(5, 0.8, look(0.4, 0.3, 0.3)), Some(ExpressionWord::Abstain));
        assert_eq!(told(5, 0.8, look(0.5, 0.4, 0.1)), Some(ExpressionWord::Abstain));
        assert_eq!(told(5, 0.8, look(0.1, 0.8, 0.1)), Some(ExpressionWord::Neutral));
    }
}
