//! How the box is: signs of life of its threads, facts of the machine, times of recognition, and the governor that gives up frames under heat.
//!
//! Reads `/proc` and `/sys` and nothing else; what a machine does not tell is `None`, never a guess. What follows from it,
//! the score and its reasons, is decided in [`score`], without I/O.

mod facts;
mod governor;
pub mod pulse;
mod score;
mod times;

pub use facts::device;
pub use governor::Governor;
pub use score::score;
pub use times::{Share, Times};
