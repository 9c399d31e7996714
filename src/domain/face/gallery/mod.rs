//! The templates of the members who may be matched by face, and the search among them.
//!
//! One gallery holds one embedding space. Its templates stand in one contiguous matrix; a search compares with every one
//! of them (no index, so nothing is missed), finds the best member and the second, and decides: a member only above a
//! threshold that a stated share of strangers exceeds at this gallery's size, and only clear of every other member.
//! A member who is taken out is not found by the very next search. All memory that held a template is wiped before it
//! goes back. Who may be in here is decided by the store, which alone can read templates.

mod coarse;
mod impostors;
mod matrix;
mod sample;
mod simd;
mod verdict;

use std::collections::HashMap;

use self::coarse::{Coarse, Screen};
pub use self::impostors::{FEWEST_PAIRS, Impostors, NoFit, Tail};
use self::matrix::{LANE, Lane, Matrix};
pub use self::sample::{Alike, Sample};
pub use self::simd::Kernel;
pub use self::verdict::{Abstain, Verdict};
use super::Embedding;

/// The number of a member, as the store gives it.
pub type MemberId = i64;

/// Templates from which the coarse copy is looked at first: fewer are in the caches anyway.
const SCREENED_FROM: usize = 8_192;
/// Rows that are compared before their scores are looked at; the scores stay in the first cache.
const BLOCK: usize = 256;

/// When a face is taken for a member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Scores between different people.
    pub impostors: Impostors,
    /// Share of strangers that may be taken for a member of the whole gallery; above 0, below 1.
    pub fpir: f64,
    /// How far the second member must be behind the best.
    pub margin: f32,
}

impl Policy {
    /// With a margin of half a deviation of the scores between different people.
    pub fn new(impostors: Impostors, fpir: f64) -> Self {
        Self { impostors, fpir, margin: (impostors.deviation / 2.0) as f32 }
    }
}

/// Why a template does not fit into a gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a template of {found} numbers does not fit into a gallery of {wanted}")]
pub struct WrongSize {
    /// Numbers of the gallery's templates.
    pub wanted: usize,
    /// Numbers of this one.
    pub found: usize,
}

/// Templates of one embedding space.
pub struct Gallery {
    space: String,
    policy: Policy,
    kernel: Kernel,
    /// Numbers of a template; 0 until the first.
    numbers: usize,
    matrix: Matrix<Lane>,
    /// A coarse copy of the same rows.
    screen: Screen,
    screened: bool,
    /// The member of each row.
    owners: Vec<MemberId>,
    /// Rows of each member, so that removal does not look at every row.
    rows: HashMap<MemberId, Vec<u32>>,
    threshold: f32,
    /// A stranger's best score stays below this in half of the searches.
    ordinary: f32,
}

/// Best member and best of the others.
#[derive(Clone, Copy)]
struct Best {
    id: MemberId,
    score: f32,
    second: Option<(MemberId, f32)>,
}

impl Gallery {
    /// Takes up templates of one space; a member may have several.
    ///
    /// # Errors
    /// When they differ in size.
    pub fn build<'a>(
        space: impl Into<String>,
        policy: Policy,
        templates: impl IntoIterator<Item = (MemberId, &'a Embedding)>,
    ) -> Result<Self, WrongSize> {
        let mut gallery = Self::empty(space, policy);
        for (id, template) in templates {
            gallery.push(id, template)?;
        }
        gallery.set_thresholds();
        Ok(gallery)
    }

    /// Without anybody.
    pub fn empty(space: impl Into<String>, policy: Policy) -> Self {
        let mut gallery = Self {
            space: space.into(),
            policy,
            kernel: Kernel::best(),
            numbers: 0,
            matrix: Matrix::new(0),
            screen: Screen::new(0),
            screened: true,
            owners: Vec::new(),
            rows: HashMap::new(),
            threshold: 1.0,
            ordinary: 1.0,
        };
        gallery.set_thresholds();
        gallery
    }

    /// Makes room for so many templates of so many numbers, so that none is moved while they are taken up.
    pub fn reserve(&mut self, templates: usize, numbers: usize) {
        if self.numbers == 0 {
            self.begin(numbers);
        }
        self.matrix.reserve(templates);
        self.screen.reserve(templates);
        self.owners.reserve(templates);
    }

    /// Empty, for vectors of so many numbers.
    fn begin(&mut self, numbers: usize) {
        self.numbers = numbers;
        (self.matrix, self.screen) = (Matrix::new(numbers.div_ceil(LANE)), Screen::new(numbers));
    }

    /// Adds a template of a member, who may have others.
    ///
    /// # Errors
    /// When it has another size than those that are here.
    pub fn insert(&mut self, id: MemberId, template: &Embedding) -> Result<(), WrongSize> {
        self.push(id, template)?;
        self.set_thresholds();
        Ok(())
    }

    fn push(&mut self, id: MemberId, template: &Embedding) -> Result<(), WrongSize> {
        let found = template.values().len();
        if self.owners.is_empty() && self.numbers != found {
            self.begin(found);
        }
        if found != self.numbers {
            return Err(WrongSize { wanted: self.numbers, found });
        }
        let row = u32::try_from(self.owners.len()).expect("four thousand million templates do not fit into memory");
        self.matrix.push(matrix::lanes(template.values()));
        self.screen.push(template.values());
        self.owners.push(id);
        self.rows.entry(id).or_default().push(row);
        Ok(())
    }

    /// Takes a member out; how many templates it had. The next search does not find it.
    pub fn remove(&mut self, id: MemberId) -> usize {
        let mut rows = self.rows.remove(&id).unwrap_or_default();
        // From the end, so that a row that moves into a gap is never one that must go too.
        rows.sort_unstable_by_key(|row| std::cmp::Reverse(*row));
        for &row in &rows {
            self.matrix.swap_remove(row as usize);
            self.screen.swap_remove(row as usize);
            self.owners.swap_remove(row as usize);
            let moved = self.owners.len() as u32;
            if let Some(owner) = self.owners.get(row as usize) {
                let of_owner = self.rows.get_mut(owner).expect("every owner has its rows");
                of_owner.iter_mut().filter(|at| **at == moved).for_each(|at| *at = row);
            }
        }
        self.set_thresholds();
        rows.len()
    }

    /// Takes up another policy, such as after a calibration.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
        self.set_thresholds();
    }

    fn set_thresholds(&mut self) {
        let Policy { impostors, fpir, .. } = self.policy;
        self.threshold = impostors.threshold(fpir, self.owners.len());
        self.ordinary = impostors.threshold(0.5, self.owners.len()).min(self.threshold);
    }

    /// Who the vector belongs to. `space` is the embedding space of the vector.
    pub fn search(&self, space: &str, probe: &Embedding) -> Verdict {
        if let Some(why) = self.not_comparable(space, probe) {
            return Verdict::Abstain { why };
        }
        let best = self.best(probe);
        let Best { id, score, second } = best;
        let (threshold, needed) = (self.threshold, self.policy.margin);
        match second {
            _ if score < self.ordinary => Verdict::Nobody { score, threshold },
            _ if score < threshold => Verdict::Unsure { nearest: id, score, threshold },
            Some((other, behind)) if score - behind < needed => {
                Verdict::Ambiguous { ids: [id, other], scores: [score, behind], needed }
            }
            second => {
                let margin = score - second.map_or(-1.0, |(_, behind)| behind);
                Verdict::Member { id, score, margin, threshold }
            }
        }
    }

    fn not_comparable(&self, space: &str, probe: &Embedding) -> Option<Abstain> {
        if space != self.space {
            Some(Abstain::OtherSpace)
        } else if self.owners.is_empty() {
            Some(Abstain::Empty)
        } else if probe.values().len() != self.numbers {
            Some(Abstain::OtherSize)
        } else {
            None
        }
    }

    /// The best template of all, and the best of another member.
    fn best(&self, probe: &Embedding) -> Best {
        let query = zeroize::Zeroizing::new(matrix::lanes(probe.values()).collect::<Vec<Lane>>());
        if self.screened && self.owners.len() >= SCREENED_FROM {
            return self.best_of(&query, self.candidates(probe));
        }
        let mut best = Best::none();
        let mut scores = [0.0_f32; BLOCK];
        for (rows, owners) in self.matrix.lanes().chunks(BLOCK * query.len()).zip(self.owners.chunks(BLOCK)) {
            let scores = &mut scores[..owners.len()];
            self.kernel.products(&query, rows, scores);
            // Rarely is a block better than what was found; one comparison a block is then enough.
            let floor = best.second.map_or(f32::NEG_INFINITY, |(_, score)| score);
            if scores.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b)) > floor {
                scores.iter().zip(owners).for_each(|(&score, &id)| best.take(id, score));
            }
        }
        best
    }

    /// How sure a score is no stranger's, 0..1: one less the share of strangers that reach it in this gallery.
    pub fn confidence(&self, score: f32) -> f32 {
        (1.0 - self.policy.impostors.fpir_of(score, self.owners.len())).clamp(0.0, 1.0) as f32
    }

    /// Rows that can be the best or the best of another member, by their bounds.
    fn candidates(&self, probe: &Embedding) -> Vec<usize> {
        // By the least that each score can be: whoever cannot exceed the second of these is neither.
        let mut least_best = Best::none();
        let mut floor = f32::NEG_INFINITY;
        let mut near = Vec::new();
        self.screen.bounds(self.kernel, &Coarse::of(probe.values()), |row, least, most| {
            if most >= floor {
                near.push((row, most));
                if least > floor {
                    least_best.take(self.owners[row], least);
                    floor = least_best.second.map_or(f32::NEG_INFINITY, |(_, least)| least);
                }
            }
        });
        near.into_iter().filter(|(_, most)| *most >= floor).map(|(row, _)| row).collect()
    }

    /// The best of some rows, by their exact scores.
    fn best_of(&self, query: &[Lane], rows: Vec<usize>) -> Best {
        let mut best = Best::none();
        for row in rows {
            let mut score = [0.0];
            self.kernel.products(query, self.matrix.row(row), &mut score);
            best.take(self.owners[row], score[0]);
        }
        best
    }

    /// The embedding space.
    pub fn space(&self) -> &str {
        &self.space
    }

    /// What a score must reach at this size.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// The rule it decides by.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Templates.
    pub fn templates(&self) -> usize {
        self.owners.len()
    }

    /// Members.
    pub fn members(&self) -> usize {
        self.rows.len()
    }

    /// Is the member in here?
    pub fn holds(&self, id: MemberId) -> bool {
        self.rows.contains_key(&id)
    }

    /// Bytes of the templates.
    pub fn bytes(&self) -> usize {
        self.matrix.bytes()
    }

    /// Bytes of their coarse copy.
    pub fn coarse_bytes(&self) -> usize {
        self.screen.bytes()
    }

    /// Looks at the coarse copy first, or at every template as it is; the results are the same.
    pub fn set_screened(&mut self, screened: bool) {
        self.screened = screened;
    }

    /// The instruction set that it uses.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Uses another one; results agree within rounding.
    pub fn set_kernel(&mut self, kernel: Kernel) {
        self.kernel = kernel;
    }
}

impl Best {
    fn none() -> Self {
        Self { id: 0, score: f32::NEG_INFINITY, second: None }
    }

    fn take(&mut self, id: MemberId, score: f32) {
        if score > self.score {
            if id != self.id && self.score > f32::NEG_INFINITY {
                self.second = Some((self.id, self.score));
            }
            (self.id, self.score) = (id, score);
        } else if id != self.id && self.second.is_none_or(|(_, behind)| score > behind) {
            self.second = Some((id, score));
        }
    }
}

/// Says how much it holds and never what.
impl std::fmt::Debug for Gallery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gallery({}: {} templates of {} members)", self.space, self.templates(), self.members())
    }
}

#[cfg(test)]
mod tests;
