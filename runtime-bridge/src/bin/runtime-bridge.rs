//! The program `runtime-bridge`.

fn main() -> std::process::ExitCode {
    runtime_bridge::cli::main()
}
