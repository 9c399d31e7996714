//! What a reader saw in one frame: log-probabilities, not a string.
//!
//! Kept whole, because a listed plate is searched in it later: a [`Scorer`](super::scorer::Scorer) asks how well
//! *any* string explains the frame, also one that is not the best.

use std::sync::Arc;

use ndarray::{Array2, ArrayView1};

/// The symbols of a reader in the order of its classes, without the blank or pad class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charset {
    symbols: Vec<char>,
    sorted: Vec<(char, usize)>,
}

impl Charset {
    /// `None` when empty or a symbol stands twice.
    pub fn new(symbols: Vec<char>) -> Option<Self> {
        let mut sorted: Vec<_> = symbols.iter().copied().enumerate().map(|(place, symbol)| (symbol, place)).collect();
        sorted.sort_unstable();
        let unique = sorted.windows(2).all(|pair| pair[0].0 != pair[1].0);
        (!symbols.is_empty() && unique).then_some(Self { symbols, sorted })
    }

    /// The symbols in order.
    pub fn symbols(&self) -> &[char] {
        &self.symbols
    }

    /// Place of a symbol.
    pub fn index(&self, symbol: char) -> Option<usize> {
        let at = self.sorted.binary_search_by_key(&symbol, |entry| entry.0).ok()?;
        Some(self.sorted[at].1)
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

/// The most probable symbol of each step, collapsed: a string without regard to any grammar.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Greedy {
    /// The string.
    pub text: String,
    /// Probability of each character, 0..1.
    pub confidence: Vec<f32>,
}

impl Greedy {
    /// Mean of the characters' probabilities; 0 for the empty string.
    pub fn mean_confidence(&self) -> f32 {
        let count = self.confidence.len().max(1);
        self.confidence.iter().sum::<f32>() / count as f32
    }
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

    /// Best path decoding: the most probable class of each step, repeats merged and blanks left out.
    pub fn greedy(&self) -> Greedy {
        let mut decoded = Greedy::default();
        for line in &self.lines {
            self.greedy_line(line, &mut decoded);
        }
        decoded
    }

    fn greedy_line(&self, line: &Line, decoded: &mut Greedy) {
        let blank = self.charset.symbols.len();
        let mut before = blank;
        for row in line.log_probs.rows() {
            let (best, log_prob) = strongest(row);
            let repeats = line.alignment == Alignment::Ctc && best == before;
            if best != blank && repeats {
                if let Some(last) = decoded.confidence.last_mut() {
                    *last = last.max(log_prob.exp());
                }
            } else if best != blank {
                decoded.text.push(self.charset.symbols[best]);
                decoded.confidence.push(log_prob.exp());
            }
            before = best;
        }
    }
}

fn strongest(row: ArrayView1<'_, f32>) -> (usize, f32) {
    row.iter().copied().enumerate().fold(
        (0, f32::NEG_INFINITY),
        |best, (place, value)| {
            if value > best.1 { (place, value) } else { best }
        },
    )
}

#[cfg(test)]
pub(crate) mod fixtures {
    //! Evidence as a reader would give it, for tests of the modules beside this one.

    use super::*;

    /// The symbols of mainland plates.
    pub fn charset() -> Arc<Charset> {
        let symbols =
            "京沪津渝冀晋蒙辽吉黑苏浙皖闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新0123456789ABCDEFGHJKLMNPQRSTUVWXYZIO";
        Arc::new(Charset::new(symbols.chars().collect()).unwrap())
    }

    /// CTC evidence for a string; a place may hold rivals, such as `"8:0.6,B:0.4"`.
    pub fn ctc(places: &[&str]) -> Evidence {
        let charset = charset();
        let blank = charset.symbols().len();
        let mut log_probs = Array2::from_elem((places.len() * 2 + 1, blank + 1), 1e-6_f32);
        for step in 0..log_probs.nrows() {
            if step % 2 == 0 {
                log_probs[[step, blank]] = 1.0;
                continue;
            }
            log_probs[[step, blank]] = 1e-4;
            for rival in places[step / 2].split(',') {
                let (symbol, share) = rival.split_once(':').unwrap_or((rival, "0.99"));
                let column = charset.index(symbol.chars().next().unwrap()).unwrap();
                log_probs[[step, column]] = share.parse().unwrap();
            }
        }
        for mut row in log_probs.rows_mut() {
            let sum = row.sum();
            row.mapv_inplace(|p| (p / sum).ln());
        }
        Evidence::new(charset, vec![Line { alignment: Alignment::Ctc, log_probs }]).unwrap()
    }

    /// The same for a plain string.
    pub fn clear(text: &str) -> Evidence {
        let places: Vec<String> = text.chars().map(String::from).collect();
        ctc(&places.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_merged_only_when_no_blank_parts_them() {
        assert_eq!(fixtures::clear("皖A88888").greedy().text, "皖A88888");
        let charset = Arc::new(Charset::new(vec!['A', 'B']).unwrap());
        let rows = [[0.9, 0.05, 0.05], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.7, 0.2, 0.1]];
        let log_probs = Array2::from_shape_fn((4, 3), |(r, c)| (rows[r][c] as f32).ln());
        let evidence = Evidence::new(charset, vec![Line { alignment: Alignment::Ctc, log_probs }]).unwrap();
        let greedy = evidence.greedy();
        assert_eq!(greedy.text, "AA");
        assert!((greedy.confidence[0] - 0.9).abs() < 1e-6);
    }

    #[test]
    fn a_matrix_of_another_charset_is_refused() {
        let charset = Arc::new(Charset::new(vec!['A', 'B']).unwrap());
        let line = |columns| Line { alignment: Alignment::Slots, log_probs: Array2::zeros((2, columns)) };
        assert!(Evidence::new(charset.clone(), vec![line(3)]).is_some());
        assert!(Evidence::new(charset.clone(), vec![line(2)]).is_none());
        assert!(Evidence::new(charset, vec![]).is_none());
        assert!(Charset::new(vec!['A', 'A']).is_none());
    }
}
