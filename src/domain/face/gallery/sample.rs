//! The gallery looks at itself: how alike its members look to the embedding, and who looks like one person listed twice.

use super::{Gallery, MemberId, impostors};

/// Most pairs that are told as one person.
const MOST_TOLD: usize = 100;

/// Scores between templates of different members.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// In any order.
    pub scores: Vec<f32>,
    /// Every pair of the gallery, or only some of them?
    pub complete: bool,
    /// Pairs that look like one person, the most alike first; at most a hundred.
    pub alike: Vec<Alike>,
}

/// Two members who look like one person.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Alike {
    /// The one and the other.
    pub ids: [MemberId; 2],
    /// Their score.
    pub score: f32,
}

impl Gallery {
    /// Scores between different members: all of them when there are at most `most` pairs, else rows spread evenly
    /// over the gallery, each compared with all others.
    pub fn sample(&self, most: usize) -> Sample {
        let count = self.templates();
        if count < 2 {
            return Sample { complete: true, ..Sample::default() };
        }
        let probes = (most / (count - 1)).clamp(1, count);
        let complete = probes == count;
        let mut sample = Sample { scores: Vec::with_capacity(probes * count), complete, alike: Vec::new() };
        let mut pairs = Vec::new();
        let mut scores = vec![0.0; count];
        for probe in 0..probes {
            let row = probe * count / probes;
            self.kernel.products(self.matrix.row(row), self.matrix.lanes(), &mut scores);
            for (other, &score) in scores.iter().enumerate() {
                // Of two rows that are both asked, only one counts the pair.
                let twice = complete && other <= row;
                if self.owners[other] != self.owners[row] && !twice {
                    sample.scores.push(score);
                    pairs.push((row as u32, other as u32));
                }
            }
        }
        sample.alike = self.alike(&sample.scores, &pairs);
        sample
    }

    fn alike(&self, scores: &[f32], pairs: &[(u32, u32)]) -> Vec<Alike> {
        if scores.len() < impostors::FEWEST_PAIRS {
            return Vec::new();
        }
        let mut sorted = scores.to_vec();
        sorted.sort_unstable_by(f32::total_cmp);
        let limit = impostors::same_person(&sorted);
        let mut found: Vec<Alike> = scores
            .iter()
            .zip(pairs)
            .filter(|(score, _)| f64::from(**score) >= limit)
            .map(|(&score, &(a, b))| {
                let (a, b) = (self.owners[a as usize], self.owners[b as usize]);
                Alike { ids: [a.min(b), a.max(b)], score }
            })
            .collect();
        found.sort_by(|a, b| a.ids.cmp(&b.ids).then(b.score.total_cmp(&a.score)));
        found.dedup_by_key(|pair| pair.ids);
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(MOST_TOLD);
        found
    }
}
