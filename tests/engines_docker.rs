//! The real dockerd on this Linux.
mod support;
fn main() {}
