//! The program `nsprep`.

fn main() -> std::process::ExitCode {
    nsprep::main()
}
