//! What a search says, and why.

use serde::Serialize;

use super::MemberId;

/// Who a face vector belongs to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// A member, beyond the threshold and clear of every other member.
    Member {
        /// Who.
        id: MemberId,
        /// Cosine with the best of the member's templates.
        score: f32,
        /// How far the second member is behind; without a second member, the distance to -1.
        margin: f32,
        /// What the score had to reach.
        threshold: f32,
    },
    /// Two members fit too alike to choose: relatives, or one person listed twice.
    Ambiguous {
        /// The best and the second.
        ids: [MemberId; 2],
        /// Their scores.
        scores: [f32; 2],
        /// How far apart they would have to be.
        needed: f32,
    },
    /// Too alike for a stranger, not enough for a member; another frame may decide.
    Unsure {
        /// The nearest member, of whom nothing may be told.
        nearest: MemberId,
        /// Its score.
        score: f32,
        /// What the score would have to reach.
        threshold: f32,
    },
    /// A stranger to this gallery.
    Nobody {
        /// Best score of all.
        score: f32,
        /// What it would have to reach.
        threshold: f32,
    },
    /// Nothing was compared.
    Abstain {
        /// Why.
        why: Abstain,
    },
}

/// Why nothing was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Abstain {
    /// The gallery holds nobody.
    Empty,
    /// The vector is of another embedding space.
    OtherSpace,
    /// The vector has another number of numbers than the templates.
    OtherSize,
}

impl Verdict {
    /// The member, when it is one.
    pub fn member(&self) -> Option<MemberId> {
        match self {
            Self::Member { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// The verdict as a word, for counters and documents.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Member { .. } => "member",
            Self::Ambiguous { .. } => "ambiguous",
            Self::Unsure { .. } => "unsure",
            Self::Nobody { .. } => "nobody",
            Self::Abstain { .. } => "abstain",
        }
    }

    /// The reason as a sentence; names no member.
    pub fn why(&self) -> String {
        match self {
            Self::Member { score, margin, threshold, .. } => {
                format!("{score:.3} reaches the threshold {threshold:.3}, {margin:.3} ahead of the next member")
            }
            Self::Ambiguous { scores: [best, second], needed, .. } => {
                format!("two members fit, {best:.3} and {second:.3}; they would have to be {needed:.3} apart")
            }
            Self::Unsure { score, threshold, .. } => format!(
                "{score:.3} is below the threshold {threshold:.3}, but high for a stranger; another frame may decide"
            ),
            Self::Nobody { score, threshold } => {
                format!("no template is near: the best score is {score:.3}, the threshold {threshold:.3}")
            }
            Self::Abstain { why: Abstain::Empty } => "the gallery is empty".to_owned(),
            Self::Abstain { why: Abstain::OtherSpace } => "the templates are of another embedding space".to_owned(),
            Self::Abstain { why: Abstain::OtherSize } => "the templates have another size".to_owned(),
        }
    }
}
