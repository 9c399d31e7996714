//! The input of a network: layout, channel order, normalisation.

use zeroize::Zeroize;

use crate::inference::pack::{ColourOrder, Dtype, Input, Layout};

/// A network's input, kept from run to run.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    width: usize,
    height: usize,
    layout: Layout,
    colour: ColourOrder,
    /// Factor and summand of each channel, in the input's order.
    scale: [(f32, f32); 3],
    data: TensorData,
    /// Its size changed since it was filled.
    fresh: bool,
}

/// The numbers.
#[derive(Clone, Debug)]
pub(crate) enum TensorData {
    /// Floating point.
    F32(Vec<f32>),
    /// Bytes.
    U8(Vec<u8>),
}

impl Tensor {
    /// Filled with the letterbox's border.
    pub fn new(input: &Input) -> Self {
        let scale = std::array::from_fn(|channel| {
            let (mean, std) = (input.mean.of(channel), input.std.of(channel));
            (1.0 / std, -mean / std)
        });
        let size = input.width * input.height * input.colour.channels();
        let data = match input.dtype {
            Dtype::F32 => TensorData::F32(vec![0.0; size]),
            Dtype::U8 => TensorData::U8(vec![0; size]),
        };
        let Input { width, height, layout, colour, .. } = *input;
        let mut tensor = Self { width, height, layout, colour, scale, data, fresh: false };
        tensor.fill(input.pad);
        tensor
    }

    /// Pixels across.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Pixels down.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Gives it another size, for networks that take any; what it holds is then undefined until `fill`.
    pub fn reshape(&mut self, width: usize, height: usize) {
        if (self.width, self.height) == (width, height) {
            return;
        }
        (self.width, self.height, self.fresh) = (width, height, true);
        let size = width * height * self.colour.channels();
        match &mut self.data {
            TensorData::F32(data) => data.resize(size, 0.0),
            TensorData::U8(data) => data.resize(size, 0),
        }
    }

    /// Was it given another size, and not filled since?
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// The numbers in the network's order.
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// Lengths of the axes.
    pub fn shape(&self) -> [i64; 4] {
        let (width, height, channels) = (self.width as i64, self.height as i64, self.colour.channels() as i64);
        match self.layout {
            Layout::Nchw => [1, channels, height, width],
            Layout::Nhwc => [1, height, width, channels],
        }
    }

    /// Overwrites what it holds.
    pub fn wipe(&mut self) {
        match &mut self.data {
            TensorData::F32(data) => data.as_mut_slice().zeroize(),
            TensorData::U8(data) => data.as_mut_slice().zeroize(),
        }
    }

    /// Every pixel to one grey value.
    pub fn fill(&mut self, grey: f32) {
        self.fresh = false;
        let row = vec![grey; self.width];
        for y in 0..self.height {
            self.put_row(y, 0, [&row, &row, &row]);
        }
    }

    /// Writes a part of a row from its blue, green and red values 0..255; it must lie inside.
    pub fn put_row(&mut self, y: usize, x: usize, [blue, green, red]: [&[f32]; 3]) {
        match self.colour {
            ColourOrder::Bgr => self.put_channels(y, x, &[blue, green, red]),
            ColourOrder::Rgb => self.put_channels(y, x, &[red, green, blue]),
            ColourOrder::Gray | ColourOrder::Gray3 => {
                let pixels = blue.iter().zip(green).zip(red);
                let grey: Vec<f32> = pixels.map(|((b, g), r)| 0.114 * b + 0.587 * g + 0.299 * r).collect();
                self.put_channels(y, x, &[&grey[..]; 3][..self.colour.channels()]);
            }
        }
    }

    fn put_channels(&mut self, y: usize, x: usize, rows: &[&[f32]]) {
        let channels = rows.len();
        for (channel, row) in rows.iter().enumerate() {
            let (factor, summand) = self.scale[channel];
            let (start, step) = match self.layout {
                Layout::Nchw => ((channel * self.height + y) * self.width + x, 1),
                Layout::Nhwc => ((y * self.width + x) * channels + channel, channels),
            };
            match &mut self.data {
                TensorData::F32(data) if step == 1 => {
                    for (to, value) in data[start..start + row.len()].iter_mut().zip(*row) {
                        *to = value * factor + summand;
                    }
                }
                TensorData::F32(data) => {
                    for (to, value) in data[start..].iter_mut().step_by(step).zip(*row) {
                        *to = value * factor + summand;
                    }
                }
                TensorData::U8(data) => {
                    for (to, value) in data[start..].iter_mut().step_by(step).zip(*row) {
                        // A cast from a float saturates at 0 and 255.
                        *to = (value * factor + summand + 0.5) as u8;
                    }
                }
            }
        }
    }
}
