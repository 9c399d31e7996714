//! What a reader saw in one frame: log-probabilities, not a string.
//!
//! Kept whole, because a listed plate is searched in it later: `log_likelihood` asks how well *any* string
//! explains the frame, also one that is not the best.

use std::sync::Arc;

use ndarray::Array2;

/// The symbols of a reader in the order of its classes, without the blank or pad class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charset {
    symbols: Vec<char>,
}

impl Charset {
    /// `None` when empty or a symbol stands twice.
    pub fn new(symbols: Vec<char>) -> Option<Self> {
        let mut sorted = symbols.clone();
        sorted.sort_unstable();
        sorted.dedup();
        (!symbols.is_empty() && sorted.len() == symbols.len()).then_some(Self { symbols })
    }

    /// The symbols in order.
    pub fn symbols(&self) -> &[char] {
        &self.symbols
    }

    /// Place of a symbol.
    pub fn index(&self, symbol: char) -> Option<usize> {
        self.symbols.iter().position(|&each| each == symbol)
    }
}

/// How a matrix is to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alignment {
    /// Connectionist temporal classification (Graves 2006): rows are time steps, the last column is the blank.
    Ctc,
    /// Rows are places in the string, the last column means "no character here".
    Slots,
}

/// One line of characters.
#[derive(Clone, Debug)]
pub struct Line {
    /// How the matrix is to be understood.
    pub alignment: Alignment,
    /// `[steps, symbols + 1]` natural logarithms; each row sums to 1 in the linear domain; the last column is blank or pad.
    pub log_probs: Array2<f32>,
}

/// What a reader saw in one plate of one frame.
#[derive(Clone, Debug)]
pub struct Evidence {
    charset: Arc<Charset>,
    lines: Vec<Line>,
}

impl Evidence {
    /// From one line, or several that are read one after the other (upper row, lower row).
    ///
    /// `None` when there is no line, a matrix has no row, or its width is not that of the charset plus one.
    pub fn new(charset: Arc<Charset>, lines: Vec<Line>) -> Option<Self> {
        let width = charset.symbols.len() + 1;
        let sound = lines.iter().all(|line| line.log_probs.nrows() > 0 && line.log_probs.ncols() == width);
        (sound && !lines.is_empty()).then_some(Self { charset, lines })
    }

    /// The symbols of the columns.
    pub fn charset(&self) -> &Arc<Charset> {
        &self.charset
    }

    /// The lines in reading order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}
