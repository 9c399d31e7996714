//! One distribution over a few classes.

use crate::inference::pack::Activation;

/// Probabilities that sum to 1, from any of the forms in which networks give them.
pub(crate) fn distribution(values: &[f32], activation: Activation) -> Vec<f32> {
    let mut shares: Vec<f32> = match activation {
        Activation::Softmax => values.iter().map(|value| value.max(0.0)).collect(),
        Activation::Logits | Activation::LogSoftmax => {
            let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            values.iter().map(|value| (value - most).exp()).collect()
        }
    };
    let sum: f32 = shares.iter().sum();
    if sum.is_normal() {
        shares.iter_mut().for_each(|share| *share /= sum);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_gives_the_same_shares() {
        let shares = [0.2_f32, 0.3, 0.5];
        let logs = shares.map(f32::ln);
        let logits = logs.map(|log| log + 7.0);
        let forms = [(shares, Activation::Softmax), (logs, Activation::LogSoftmax), (logits, Activation::Logits)];
        for (values, activation) in forms {
            let found = distribution(&values, activation);
            assert!(found.iter().zip(shares).all(|(a, b)| (a - b).abs() < 1e-6), "{activation:?}");
        }
    }
}
