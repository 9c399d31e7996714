//! Which symbols a reader takes for which: measured errors of a model, used to smooth its evidence.

use super::evidence::Charset;

/// Shares of mass that are moved from the symbol seen to the symbol that may be true.
#[derive(Clone, Debug, PartialEq)]
pub struct Confusions {
    /// `(seen, true, share 0..1)`: of all steps that show `seen`, the share in which `true` was there.
    pub pairs: Vec<(char, char, f32)>,
    /// Share of the symbols' mass that is spread over all symbols.
    pub uniform: f32,
}

impl Confusions {
    /// No smoothing at all.
    pub fn none() -> Self {
        Self { pairs: Vec::new(), uniform: 0.0 }
    }

    /// The pairs whose symbols the reader knows, as columns.
    pub(super) fn columns(&self, charset: &Charset) -> Vec<(usize, usize, f32)> {
        let column = |symbol| charset.index(symbol);
        self.pairs.iter().filter_map(|&(seen, truth, share)| Some((column(seen)?, column(truth)?, share))).collect()
    }
}

impl Default for Confusions {
    /// For a reader whose own errors were not measured: a little of everything. Guessed pairs that merely look alike
    /// cost more than they bring (`docs/decisions/0008-known-plate-test.md`).
    fn default() -> Self {
        Self { pairs: Vec::new(), uniform: 0.03 }
    }
}
