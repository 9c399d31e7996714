//! Readers' outputs: one matrix of log-probabilities, the blank or pad column moved last.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, Axis};

use super::{Numbers, trimmed};
use crate::domain::plate::evidence::{Alignment, Charset, Line};
use crate::inference::pack::{Activation, Blank, Output, TextLayout};

/// Probabilities below this are taken for it, so that no logarithm is infinite.
const LEAST: f32 = 1e-12;

/// Reads one kind of output.
#[derive(Clone, Debug)]
pub(crate) struct TextDecoder {
    charset: Arc<Charset>,
    alignment: Alignment,
    blank: Blank,
    layout: TextLayout,
    activation: Activation,
    temperature: f32,
}

impl TextDecoder {
    /// For an output of a `plate-ocr` model; `None` for others, or a charset that cannot be.
    pub fn new(output: &Output) -> Option<Self> {
        let (Output::Ctc { charset, blank, layout, activation, temperature, .. }
        | Output::Slots { charset, blank, layout, activation, temperature, .. }) = output
        else {
            return None;
        };
        let alignment = if matches!(output, Output::Ctc { .. }) { Alignment::Ctc } else { Alignment::Slots };
        Some(Self {
            charset: Arc::new(Charset::new(charset.chars().collect())?),
            alignment,
            blank: *blank,
            layout: *layout,
            activation: *activation,
            temperature: *temperature,
        })
    }

    /// The symbols of the columns.
    pub fn charset(&self) -> &Arc<Charset> {
        &self.charset
    }

    /// Classes that the network must have: the symbols and the blank.
    pub fn classes(&self) -> usize {
        self.charset.symbols().len() + 1
    }

    /// One line; `Err` says how the shape differs from what the manifest says.
    pub fn decode(&self, numbers: Numbers<'_>) -> Result<Line, String> {
        let &[rows, columns] = trimmed(numbers.shape, 2) else {
            return Err(format!("a line needs two axes, the output has {:?}", numbers.shape));
        };
        let matrix = ArrayView2::from_shape((rows as usize, columns as usize), numbers.data)
            .map_err(|_| "the output holds fewer numbers than its shape says".to_owned())?;
        let steps = if self.layout == TextLayout::Tc { matrix } else { matrix.reversed_axes() };
        let classes = self.classes();
        let blank = self.blank.index(classes);
        if steps.ncols() != classes || steps.nrows() == 0 || blank >= classes {
            let (found, symbols) = (steps.ncols(), classes - 1);
            return Err(format!(
                "the network tells {found} classes apart, the charset has {symbols} symbols and a blank"
            ));
        }
        let mut log_probs = Array2::zeros(steps.raw_dim());
        for (from, mut to) in steps.outer_iter().zip(log_probs.axis_iter_mut(Axis(0))) {
            let symbols = from.iter().enumerate().filter(|&(class, _)| class != blank).map(|(_, value)| *value);
            for (to, value) in to.iter_mut().zip(symbols.chain([from[blank]])) {
                *to = self.logarithm(value) / self.temperature;
            }
            log_softmax(to.as_slice_mut().expect("rows of a fresh array are contiguous"));
        }
        Ok(Line { alignment: self.alignment, log_probs })
    }

    fn logarithm(&self, value: f32) -> f32 {
        match self.activation {
            Activation::Softmax => value.max(LEAST).ln(),
            // A number that is none counts as no evidence at all.
            Activation::Logits | Activation::LogSoftmax if value.is_nan() => LEAST.ln(),
            Activation::Logits | Activation::LogSoftmax => value.clamp(-1e4, 1e4),
        }
    }
}

fn log_softmax(row: &mut [f32]) {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = row.iter().map(|value| (value - most).exp()).sum();
    let shift = most + sum.ln();
    row.iter_mut().for_each(|value| *value -= shift);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(adaptor: &str, blank: &str, layout: &str, activation: &str) -> TextDecoder {
        let text = format!(
            "adaptor = '{adaptor}'\nname = 'o'\ncharset = 'AB'\nblank = {blank}\nlayout = '{layout}'\nactivation = '{activation}'"
        );
        TextDecoder::new(&toml::from_str(&text).unwrap()).unwrap()
    }

    /// Two steps over A, B, blank.
    const SHARES: [[f32; 3]; 2] = [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]];

    fn close(line: &Line) {
        for (row, wanted) in line.log_probs.rows().into_iter().zip(SHARES) {
            assert!(row.iter().zip(wanted).all(|(found, wanted)| (found.exp() - wanted).abs() < 1e-5), "{row}");
        }
    }

    #[test]
    fn every_place_of_the_blank_and_every_layout_gives_the_same_line() {
        let with_blank_at = |at: usize| {
            SHARES.map(|[a, b, blank]| {
                let mut row = vec![a, b];
                row.insert(at, blank);
                row
            })
        };
        for (word, at) in [("'first'", 0), ("1", 1), ("'last'", 2)] {
            let rows = with_blank_at(at);
            let by_step: Vec<f32> = rows.concat();
            let by_class: Vec<f32> = (0..3).flat_map(|class| [rows[0][class], rows[1][class]]).collect();
            close(
                &decoder("ctc", word, "tc", "softmax").decode(Numbers { shape: &[1, 2, 3], data: &by_step }).unwrap(),
            );
            close(
                &decoder("ctc", word, "ct", "softmax").decode(Numbers { shape: &[1, 3, 2], data: &by_class }).unwrap(),
            );
        }
    }

    #[test]
    fn logits_logarithms_and_probabilities_are_told_apart() {
        let logs: Vec<f32> = SHARES.concat().iter().map(|share| share.ln()).collect();
        let logits: Vec<f32> = logs.iter().map(|log| log + 3.0).collect();
        for (activation, data) in [("log-softmax", &logs), ("logits", &logits)] {
            close(&decoder("slots", "'last'", "tc", activation).decode(Numbers { shape: &[2, 3], data }).unwrap());
        }
    }

    #[test]
    fn a_temperature_makes_modest_and_keeps_the_order() {
        let mut modest = decoder("ctc", "'last'", "tc", "softmax");
        modest.temperature = 2.0;
        let line = modest.decode(Numbers { shape: &[1, 2, 3], data: &SHARES.concat() }).unwrap();
        let row: Vec<f32> = line.log_probs.row(0).iter().map(|log| log.exp()).collect();
        assert!(row[0] < 0.7 && row[0] > row[1] && (row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_charset_of_another_length_is_refused_in_numbers() {
        let data = [0.0; 8];
        let words =
            decoder("ctc", "'last'", "tc", "logits").decode(Numbers { shape: &[1, 2, 4], data: &data }).unwrap_err();
        assert!(words.contains("4 classes") && words.contains("2 symbols"), "{words}");
    }
}
