//! A session of ONNX Runtime; the only file that speaks to it.

use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, anyhow};
use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider};
use ort::logging::LogLevel;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session as OrtSession, SessionOutputs};
use ort::value::{Outlet, TensorRef, ValueType};
use zeroize::Zeroize;

use super::execution::{does_without, took};
use super::{Port, Runtime};
use crate::config::Provider;
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
        let mut builder = builder(runtime)?;
        let taken = register(runtime, &mut builder);
        let committed = match builder.commit_from_memory(model) {
            // One of the providers may be there and still not bear this network; the CPU bears all.
            Err(error) if taken.iter().any(|provider| *provider != Provider::Cpu) => {
                let why = format!("it refuses a network: {error}");
                taken.iter().filter(|provider| **provider != Provider::Cpu).for_each(|one| does_without(*one, &why));
                took(&[Provider::Cpu]);
                self::builder(runtime)?.commit_from_memory(model)
            }
            committed => {
                took(&taken);
                committed
            }
        };
        Ok(Self(committed.context("ONNX Runtime refuses the model")?))
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

/// Settings of a session, without providers.
fn builder(runtime: &Runtime) -> anyhow::Result<SessionBuilder> {
    // An error of the builder carries the builder, which is not `Send`; only its words are kept.
    let words = |error: ort::Error<SessionBuilder>| anyhow!("{error}");
    let builder = OrtSession::builder(environment(runtime)?)?
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
    Ok(builder)
}

/// Adds the providers that were asked for and that this library has; gives those that it took.
fn register(runtime: &Runtime, builder: &mut SessionBuilder) -> Vec<Provider> {
    let mut taken = Vec::new();
    for &provider in &runtime.providers {
        match add(provider, runtime.threads, builder) {
            Ok(()) => taken.push(provider),
            Err(why) => does_without(provider, &why),
        }
    }
    taken
}

fn add(provider: Provider, threads: usize, builder: &mut SessionBuilder) -> Result<(), String> {
    match provider {
        Provider::Cpu => Ok(()),
        Provider::Xnnpack => {
            let threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
            add_when_there(&ep::XNNPACK::default().with_intra_op_num_threads(threads), builder)
        }
        Provider::Acl => add_when_there(&ep::ACL::default(), builder),
        Provider::Cuda => add_when_there(&ep::CUDA::default(), builder),
        Provider::Tensorrt => add_when_there(&ep::TensorRT::default(), builder),
        Provider::Rknpu => add_when_there(&ep::RKNPU::default(), builder),
    }
}

fn add_when_there<P: ExecutionProvider>(provider: &P, builder: &mut SessionBuilder) -> Result<(), String> {
    match P::is_available() {
        Ok(true) => provider.register(builder).map_err(|error| error.to_string()),
        Ok(false) => Err("this build of ONNX Runtime does not have it".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn port(outlet: &Outlet) -> Port {
    let (dtype, shape) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => (ty.to_string(), shape.to_vec()),
        other => (other.to_string(), Vec::new()),
    };
    Port { name: outlet.name().to_owned(), dtype, shape }
}
