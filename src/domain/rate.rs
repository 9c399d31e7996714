//! From a score back to the rate that its threshold is made for.

/// The rate whose threshold is `score`, searched between `e^rarest` and `e^commonest`; `threshold` falls as the rate grows.
pub(super) fn rate_at(score: f64, rarest: f64, commonest: f64, threshold: impl Fn(f64) -> f64) -> f64 {
    let (mut rare, mut common) = (rarest, commonest);
    // Sixty halvings of the exponent are more than an f64 can tell apart.
    for _ in 0..60 {
        let middle = f64::midpoint(rare, common);
        if threshold(middle.exp()) > score {
            rare = middle;
        } else {
            common = middle;
        }
    }
    common.exp()
}
