//! What stands in for ONNX Runtime in a build without the feature `onnx`: a refusal with words.

use anyhow::bail;

use super::{Port, Runtime};
use crate::inference::decode::Numbers;
use crate::inference::picture::TensorData;

/// Never exists.
#[derive(Debug)]
pub(crate) enum Session {}

impl Session {
    /// Always refuses; `Runtime::find` has done so before.
    pub fn new(_runtime: &Runtime, _model: &[u8]) -> anyhow::Result<Self> {
        bail!("this program was built without ONNX Runtime (feature `onnx`)")
    }

    /// Of no session.
    pub fn inputs(&self) -> Vec<Port> {
        match *self {}
    }

    /// Of no session.
    pub fn outputs(&self) -> Vec<Port> {
        match *self {}
    }

    /// Of no session.
    pub fn run(&mut self, _shape: [i64; 4], _data: &TensorData) -> anyhow::Result<Outputs<'_>> {
        match *self {}
    }
}

/// Of no session.
#[derive(Debug)]
pub(crate) struct Outputs<'a> {
    never: &'a Session,
}

impl Outputs<'_> {
    /// Of no session.
    pub fn get(&self, _name: &str) -> anyhow::Result<Numbers<'_>> {
        match *self.never {}
    }

    /// Of no session.
    pub fn wipe(&mut self, _name: &str) -> anyhow::Result<()> {
        match *self.never {}
    }
}
