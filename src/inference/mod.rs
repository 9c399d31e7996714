//! Recognition: packs, ONNX Runtime sessions, and what turns pixels into tensors and tensors into observations.
//!
//! Everything a network gives leaves this module as types of `domain::observation`. A pack is verified before
//! ONNX Runtime sees a byte of it; a bad pack is an error with words, never a crash. `ort` is used only in
//! `runtime` and `network`; without the feature `onnx` these say that there is no ONNX Runtime, and the rest still
//! builds and tests.

mod bench;
mod colour;
mod crops;
mod decode;
mod detector;
mod face;
mod golden_faces;
mod network;
pub mod pack;
mod picture;
mod plates;
mod reader;
mod runtime;
pub mod still;

pub use bench::Solo;
pub use crops::{CropReader, CropReading, Place};
pub use face::{FaceReader, How, Portrait, Space, Wanted};
pub use plates::PlateReader;
pub use runtime::{Execution, execution};
