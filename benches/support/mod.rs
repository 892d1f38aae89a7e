//! What the benches share: a mount namespace of their own, and clocks that other work on the machine does not move.
#![allow(dead_code, reason = "each bench uses a part of it")]

pub mod cost;
pub mod cpu_time;
pub mod place;
