//! Tells the colour of a plate with a model of its own, for readers that do not tell it themselves.

use std::time::Instant;

use super::decode::distribution;
use super::network::{Network, since};
use super::pack::{Activation, CropSpec, Model, Output, Pack, Resize};
use super::picture::{CropBuffer, Pixels};
use super::reader::{PlateArea, whole};
use super::runtime::Runtime;
use crate::domain::observation::StageTimes;
use crate::domain::plate::PlateColour;

/// A colour model of a pack.
#[derive(Debug)]
pub(crate) struct ColourModel {
    network: Network,
    crop: CropBuffer,
    margins: CropSpec,
    resize: Resize,
    output: String,
    classes: ColourClasses,
}

/// What the classes of a head are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ColourClasses {
    words: Vec<Option<PlateColour>>,
    activation: Activation,
}

impl ColourClasses {
    /// `Err` names the class that is neither a colour nor `other`.
    pub fn new(classes: &[String], activation: Activation) -> Result<Self, String> {
        let known = |word: &String| match PlateColour::from_word(word) {
            None if word != "other" => Err(format!("`{word}` is no colour of a plate, and not `other`")),
            colour => Ok(colour),
        };
        Ok(Self { words: classes.iter().map(known).collect::<Result<_, _>>()?, activation })
    }

    /// Shares of the colours in falling order; what falls on `other` is left out. Sums to 1, or is empty.
    pub fn shares(&self, values: &[f32]) -> Vec<(PlateColour, f32)> {
        let shares = distribution(values, self.activation);
        let named = self.words.iter().zip(shares).filter_map(|(word, share)| word.map(|colour| (colour, share)));
        let mut named: Vec<(PlateColour, f32)> = named.collect();
        let sum: f32 = named.iter().map(|(_, share)| share).sum();
        if !sum.is_normal() {
            return Vec::new();
        }
        named.iter_mut().for_each(|(_, share)| *share /= sum);
        named.sort_by(|a, b| b.1.total_cmp(&a.1));
        named
    }
}

impl ColourModel {
    /// Loads it, and runs it once so that a wrong shape is known now.
    pub fn load(pack: &Pack, model: &Model, runtime: &Runtime) -> anyhow::Result<Self> {
        let Output::Classes { name, classes, activation } = &model.output else {
            anyhow::bail!("adaptor `{}` tells no colour", model.output.adaptor());
        };
        let file = pack.folder.join(&model.file);
        let colours = ColourClasses::new(classes, *activation)
            .map_err(|words| anyhow::anyhow!("model `{}`: {words}", file.display()))?;
        let mut network = Network::load(pack, model, runtime, &[name])?;
        let found = network.run()?.0.get(name)?.data.len();
        anyhow::ensure!(
            found == classes.len(),
            "model `{}` tells {found} classes apart, the manifest names {}",
            file.display(),
            classes.len()
        );
        let (margins, resize, output) = (model.crop, model.input.resize, name.clone());
        Ok(Self { network, crop: CropBuffer::default(), margins, resize, output, classes: colours })
    }

    /// Shares of the colours in falling order.
    pub fn tell(
        &mut self,
        frame: Pixels<'_>,
        area: &PlateArea,
        times: &mut StageTimes,
    ) -> anyhow::Result<Vec<(PlateColour, f32)>> {
        let begun = Instant::now();
        let tensor = &mut self.network.tensor;
        self.crop.reset(tensor.width(), tensor.height());
        self.crop.fill(frame, &area.quad, whole(area.margin(self.margins)), self.resize);
        self.crop.put(tensor);
        times.read_pre_ms += since(begun);
        let (outputs, ms) = self.network.run()?;
        times.read_ms += ms;
        Ok(self.classes.shares(outputs.get(&self.output)?.data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_colour_is_left_out_of_the_shares() {
        let words = ["blue", "other", "green"].map(str::to_owned);
        let classes = ColourClasses::new(&words, Activation::Softmax).unwrap();
        let shares = classes.shares(&[0.2, 0.5, 0.3]);
        assert_eq!(shares[0].0, PlateColour::Green);
        assert!((shares[0].1 - 0.6).abs() < 1e-6 && (shares[1].1 - 0.4).abs() < 1e-6);
        assert!(ColourClasses::new(&["mauve".to_owned()], Activation::Softmax).unwrap_err().contains("mauve"));
    }
}
