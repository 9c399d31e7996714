//! What the networks run on: execution providers of ONNX Runtime, asked for in the settings, tried one by one.
//!
//! A provider that the library lacks or that does not start is left out with one warning that names it, and the CPU does
//! its work: a box reads more slowly then, and does not stand still. What became of each is kept for `status`; there is
//! one ONNX Runtime in a process, so there is one answer.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::config::Provider;

/// What became of the providers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Execution {
    /// In use, in order of preference; the CPU is always among them once a network was loaded.
    pub providers: Vec<&'static str>,
    /// Asked for and not in use, at least for some network.
    pub left_out: Vec<LeftOut>,
}

/// A provider that is not in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its word in the settings.
    pub provider: &'static str,
    /// Why, in words.
    pub why: String,
}

static EXECUTION: Mutex<Execution> = Mutex::new(Execution { providers: Vec::new(), left_out: Vec::new() });

/// What the networks of this process run on; empty while none was loaded.
pub fn execution() -> Execution {
    EXECUTION.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A network was loaded on these.
#[cfg_attr(not(feature = "onnx"), expect(dead_code, reason = "without ONNX Runtime nothing is loaded"))]
pub(super) fn took(providers: &[Provider]) {
    let mut known = EXECUTION.lock().unwrap_or_else(PoisonError::into_inner);
    known.took(providers);
}

/// A network does without this one.
#[cfg_attr(not(feature = "onnx"), expect(dead_code, reason = "without ONNX Runtime nothing is loaded"))]
pub(super) fn does_without(provider: Provider, why: &str) {
    let mut known = EXECUTION.lock().unwrap_or_else(PoisonError::into_inner);
    if known.does_without(provider, why) {
        let provider = provider.word();
        tracing::warn!(provider, why, "An execution provider is left out; the CPU does its work.");
    }
}

impl Execution {
    fn took(&mut self, providers: &[Provider]) {
        for word in providers.iter().chain(&[Provider::Cpu]).map(|provider| provider.word()) {
            if !self.providers.contains(&word) {
                self.providers.push(word);
            }
        }
        // The CPU comes last, also when another network found a further provider.
        self.providers.sort_by_key(|word| *word == Provider::Cpu.word());
    }

    /// Is it new?
    fn does_without(&mut self, provider: Provider, why: &str) -> bool {
        let left_out = LeftOut { provider: provider.word(), why: why.to_owned() };
        let new = !self.left_out.contains(&left_out);
        if new {
            self.left_out.push(left_out);
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_is_told_once_and_the_cpu_comes_last() {
        let mut execution = Execution::default();
        execution.took(&[Provider::Cpu]);
        execution.took(&[Provider::Xnnpack, Provider::Cpu]);
        assert_eq!(execution.providers, ["xnnpack", "cpu"]);
        assert!(execution.does_without(Provider::Cuda, "no device"));
        assert!(!execution.does_without(Provider::Cuda, "no device"));
        assert!(execution.does_without(Provider::Cuda, "refuses the model"));
        assert_eq!(execution.left_out.len(), 2);
    }
}
