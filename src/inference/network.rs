//! A model of a pack, verified, loaded, and compared with its manifest; with its input tensor.

use std::time::Instant;

use anyhow::{Context, bail, ensure};

use super::pack::{Dtype, Model, Pack};
use super::picture::Tensor;
use super::runtime::{Outputs, Port, Runtime, Session};

/// A model that can be run.
#[derive(Debug)]
pub(crate) struct Network {
    session: Session,
    /// What the next run sees.
    pub tensor: Tensor,
}

impl Network {
    /// Verifies the file, loads it, and checks inputs and outputs against the manifest; `wanted` are the outputs' names.
    pub fn load(pack: &Pack, model: &Model, runtime: &Runtime, wanted: &[&str]) -> anyhow::Result<Self> {
        let bytes = pack.file(&model.file, &model.sha256).read()?;
        let named = || format!("model `{}`", pack.folder.join(&model.file).display());
        let session = Session::new(runtime, &bytes).with_context(named)?;
        let tensor = Tensor::new(&model.input);
        check_input(&session.inputs(), model, tensor.shape()).with_context(named)?;
        check_outputs(&session.outputs(), wanted).with_context(named)?;
        Ok(Self { session, tensor })
    }

    /// Runs what stands in the tensor; also gives the network's own milliseconds.
    pub fn run(&mut self) -> anyhow::Result<(Outputs<'_>, f32)> {
        let begun = Instant::now();
        let outputs = self.session.run(self.tensor.shape(), self.tensor.data())?;
        Ok((outputs, since(begun)))
    }
}

/// Milliseconds since then.
pub(crate) fn since(begun: Instant) -> f32 {
    begun.elapsed().as_secs_f32() * 1e3
}

fn check_input(inputs: &[Port], model: &Model, shape: [i64; 4]) -> anyhow::Result<()> {
    let [port] = inputs else {
        bail!("the network has {} inputs, a pack's model has one", inputs.len());
    };
    let wanted = &model.input;
    ensure!(port.name == wanted.name, "its input is called `{}`, the manifest says `{}`", port.name, wanted.name);
    let dtype = match wanted.dtype {
        Dtype::F32 => "f32",
        Dtype::U8 => "u8",
    };
    ensure!(port.dtype == dtype, "its input holds {}, the manifest says {dtype}", port.dtype);
    let fits = port.shape.len() == 4 && port.shape.iter().zip(shape).all(|(&has, wants)| has == -1 || has == wants);
    ensure!(fits, "its input has the shape {:?}, the manifest says {shape:?}", port.shape);
    Ok(())
}

fn check_outputs(outputs: &[Port], wanted: &[&str]) -> anyhow::Result<()> {
    for name in wanted {
        let names = || outputs.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join("`, `");
        let port = outputs.iter().find(|port| port.name == *name);
        let port = port.with_context(|| format!("it has no output `{name}`, only `{}`", names()))?;
        ensure!(port.dtype == "f32", "its output `{name}` holds {}, f32 is needed", port.dtype);
    }
    Ok(())
}
