//! The root package holds the tests against real kernels and runtimes, and the benches; it has no code of its own.
