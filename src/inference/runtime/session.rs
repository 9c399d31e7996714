//! A session of ONNX Runtime; the only file that speaks to it.

use std::sync::{Arc, OnceLock};

use anyhow::{Context, anyhow};
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session as OrtSession, SessionOutputs};
use ort::value::{Outlet, TensorRef, ValueType};
use zeroize::Zeroize;

use super::{Port, Runtime};
use crate::inference::decode::Numbers;
use crate::inference::picture::TensorData;

/// One network, ready to run. Its owner is one thread.
#[derive(Debug)]
pub(crate) struct Session(OrtSession);

/// ONNX Runtime allows one environment in a process; the first library that is asked for is the one.
static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();

fn environment(runtime: &Runtime) -> anyhow::Result<&'static Environment> {
    let made = ENVIRONMENT.get_or_init(|| {
        let builder = ort::init_from(&runtime.library).map_err(|error| error.to_string())?;
        let quiet = builder.with_name("forecourt").with_telemetry(false).with_logger(Arc::new(log));
        quiet.build().map_err(|error| error.to_string())
    });
    made.as_ref().map_err(|words| anyhow!("ONNX Runtime at `{}`: {words}", runtime.library.display()))
}

/// What goes wrong also comes back as an error, with words of ours around it; so its own words are for developers.
fn log(level: LogLevel, _category: &str, _id: &str, _place: &str, message: &str) {
    match level {
        LogLevel::Verbose | LogLevel::Info => tracing::trace!("ONNX Runtime: {message}"),
        LogLevel::Warning | LogLevel::Error | LogLevel::Fatal => tracing::debug!("ONNX Runtime: {message}"),
    }
}

impl Session {
    /// From a model's bytes, which are not needed afterwards.
    pub fn new(runtime: &Runtime, model: &[u8]) -> anyhow::Result<Self> {
        // An error of the builder carries the builder, which is not `Send`; only its words are kept.
        let words = |error: ort::Error<ort::session::builder::SessionBuilder>| anyhow!("{error}");
        let mut builder = OrtSession::builder(environment(runtime)?)?
            .with_optimization_level(GraphOptimizationLevel::Level3)
            .map_err(words)?
            .with_intra_threads(runtime.threads)
            .map_err(words)?
            .with_inter_threads(1)
            .map_err(words)?
            .with_intra_op_spinning(false)
            .map_err(words)?
            .with_inter_op_spinning(false)
            .map_err(words)?
            .with_log_level(LogLevel::Error)
            .map_err(words)?;
        Ok(Self(builder.commit_from_memory(model).context("ONNX Runtime refuses the model")?))
    }

    /// Its inputs.
    pub fn inputs(&self) -> Vec<Port> {
        self.0.inputs().iter().map(port).collect()
    }

    /// Its outputs.
    pub fn outputs(&self) -> Vec<Port> {
        self.0.outputs().iter().map(port).collect()
    }

    /// Runs the only input.
    pub fn run(&mut self, shape: [i64; 4], data: &TensorData) -> anyhow::Result<Outputs<'_>> {
        let outputs = match data {
            TensorData::F32(data) => self.0.run(ort::inputs![TensorRef::from_array_view((shape, data.as_slice()))?]),
            TensorData::U8(data) => self.0.run(ort::inputs![TensorRef::from_array_view((shape, data.as_slice()))?]),
        };
        Ok(Outputs(outputs.context("ONNX Runtime stopped in the middle of the network")?))
    }
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Outputs<'a>(SessionOutputs<'a>);

impl Outputs<'_> {
    /// An output by name.
    pub fn get(&self, name: &str) -> anyhow::Result<Numbers<'_>> {
        let value = self.0.get(name).with_context(|| format!("the network gave no output `{name}`"))?;
        let (shape, data) = value.try_extract_tensor::<f32>()?;
        Ok(Numbers { shape, data })
    }

    /// Overwrites an output where it lies in ONNX Runtime's memory, which is given back without being cleared.
    pub fn wipe(&mut self, name: &str) -> anyhow::Result<()> {
        let value = self.0.get_mut(name).with_context(|| format!("the network gave no output `{name}`"))?;
        value.try_extract_tensor_mut::<f32>()?.1.zeroize();
        Ok(())
    }
}

fn port(outlet: &Outlet) -> Port {
    let (dtype, shape) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => (ty.to_string(), shape.to_vec()),
        other => (other.to_string(), Vec::new()),
    };
    Port { name: outlet.name().to_owned(), dtype, shape }
}
