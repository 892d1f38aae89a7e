//! What the benches share: a mount namespace of their own, and a clock that other work on the machine does not move.

pub mod cpu_time;
pub mod place;
