//! How the box itself is: signs of life of its threads, and what of the machine matters to it.

pub mod pulse;
