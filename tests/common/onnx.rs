//! Small real ONNX models, written byte by byte: one input, outputs that are always the same numbers.
//!
//! `output = numbers + 0 * mean(input)`, so that ONNX Runtime really runs a graph of the shape that a test wants.

use std::path::Path;

use sha2::{Digest, Sha256};

/// One output of a model.
pub struct Output<'a> {
    pub name: &'a str,
    pub shape: &'a [i64],
    pub numbers: Vec<f32>,
}

fn varint(mut value: u64, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push((value as u8 & 0x7F) | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

pub fn number(field: u64, value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(field << 3, &mut bytes);
    varint(value, &mut bytes);
    bytes
}

pub fn bytes(field: u64, inner: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(field << 3 | 2, &mut bytes);
    varint(inner.len() as u64, &mut bytes);
    bytes.extend(inner);
    bytes
}

fn text(field: u64, value: &str) -> Vec<u8> {
    bytes(field, value.as_bytes())
}

fn node(op: &str, inputs: &[&str], output: &str, attributes: &[(&str, u64)]) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> = inputs.iter().map(|name| text(1, name)).collect();
    parts.extend([text(2, output), text(4, op)]);
    let attribute = |&(name, value): &(&str, u64)| bytes(5, &[text(1, name), number(3, value), number(20, 2)].concat());
    parts.extend(attributes.iter().map(attribute));
    bytes(1, &parts.concat())
}

fn tensor(name: &str, shape: &[i64], numbers: &[f32]) -> Vec<u8> {
    let dims: Vec<u8> = shape.iter().flat_map(|&length| number(1, length as u64)).collect();
    let raw: Vec<u8> = numbers.iter().flat_map(|value| value.to_le_bytes()).collect();
    [dims, number(2, 1), text(8, name), bytes(9, &raw)].concat()
}

fn port(field: u64, name: &str, shape: &[i64]) -> Vec<u8> {
    let dims: Vec<u8> = shape.iter().flat_map(|&length| bytes(1, &number(1, length as u64))).collect();
    let kind = bytes(1, &[number(1, 1), bytes(2, &dims)].concat());
    bytes(field, &[text(1, name), bytes(2, &kind)].concat())
}

/// A whole model; `extra` goes into the graph as it is.
pub fn model(input: (&str, &[i64]), outputs: &[Output<'_>], extra: &[u8]) -> Vec<u8> {
    let mut graph = vec![text(2, "g"), port(11, input.0, input.1)];
    graph.push(bytes(5, &tensor("nought", &[], &[0.0])));
    graph.push(node("ReduceMean", &[input.0], "mean", &[("keepdims", 0)]));
    graph.push(node("Mul", &["mean", "nought"], "still", &[]));
    for output in outputs {
        let held = format!("{}-numbers", output.name);
        graph.push(bytes(5, &tensor(&held, output.shape, &output.numbers)));
        graph.push(node("Add", &[&held, "still"], output.name, &[]));
        graph.push(port(12, output.name, output.shape));
    }
    graph.push(extra.to_vec());
    let opset = bytes(8, &number(2, 13));
    [number(1, 8), opset, bytes(7, &graph.concat())].concat()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Logits `[1, steps, classes]` that spell a text with the blank last.
pub fn spelling(text: &str, charset: &str) -> (Vec<i64>, Vec<f32>) {
    let (symbols, classes) = (charset.chars().collect::<Vec<_>>(), charset.chars().count() + 1);
    let mut numbers = Vec::new();
    for symbol in text.chars() {
        for class in [symbols.iter().position(|&each| each == symbol).unwrap(), classes - 1] {
            let mut row = vec![0.0; classes];
            row[class] = 12.0;
            numbers.extend(row);
        }
    }
    (vec![1, text.chars().count() as i64 * 2, classes as i64], numbers)
}

/// The words of a `plate-ocr` model of 94 x 24 pixels with the file's true hash.
pub fn reader_words(file: &str, sha256: &str, charset: &str) -> String {
    format!(
        r#"
[[model]]
task = "plate-ocr"
file = "{file}"
sha256 = "{sha256}"
[model.input]
name = "input"
width = 94
height = 24
colour = "bgr"
[model.output]
adaptor = "ctc"
name = "logits"
charset = "{charset}"
blank = "last"
layout = "tc"
activation = "logits"
"#
    )
}

/// The words of a `plate-detect` model of 64 x 64 pixels.
pub fn detector_words(file: &str, sha256: &str) -> String {
    format!(
        r#"
[[model]]
task = "plate-detect"
file = "{file}"
sha256 = "{sha256}"
[model.input]
name = "input"
width = 64
height = 64
colour = "rgb"
std = 255.0
fit = "letterbox"
[model.output]
adaptor = "yolov5-corners"
name = "output"
classes = ["single", "double"]
"#
    )
}

pub const HEADER: &str = "format = 1\nname = \"test\"\nversion = \"1\"\nlicence = \"Apache-2.0\"\n";

pub const CHARSET: &str = "京沪皖0123456789ABCDEFGH";

/// A reader that says `text` whatever it sees.
pub fn reader_model(text: &str) -> Vec<u8> {
    let (shape, numbers) = spelling(text, CHARSET);
    model(("input", &[1, 3, 24, 94]), &[Output { name: "logits", shape: &shape, numbers }], &[])
}

/// A detector that finds one single-row plate at 16..48 x 24..40 of its 64 x 64 pixels.
pub fn detector_model() -> Vec<u8> {
    let row = [32.0, 32.0, 32.0, 16.0, 0.9, 16.0, 24.0, 48.0, 24.0, 48.0, 40.0, 16.0, 40.0, 0.95, 0.05];
    let output = Output { name: "output", shape: &[1, 1, 15], numbers: row.to_vec() };
    model(("input", &[1, 3, 64, 64]), &[output], &[])
}

/// Writes a pack that finds one plate and reads `text`.
pub fn write_pack(folder: &Path, text: &str) {
    let (detector, reader) = (detector_model(), reader_model(text));
    std::fs::write(folder.join("detector.onnx"), &detector).unwrap();
    std::fs::write(folder.join("reader.onnx"), &reader).unwrap();
    let found = detector_words("detector.onnx", &sha256(&detector));
    let read = reader_words("reader.onnx", &sha256(&reader), CHARSET);
    std::fs::write(folder.join("pack.toml"), format!("{HEADER}{found}{read}")).unwrap();
}
