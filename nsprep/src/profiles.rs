//! `profiles`: what is built in.

use std::fmt::Write;

use clap::Args;
use procemu::Profile;

use crate::exit::{Exit, Failure};
use crate::output::print;

/// Options of `profiles`.
#[derive(Args, Debug)]
pub struct Profiles {
    /// Print this profile's table
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

impl Profiles {
    /// `nsprep profiles`.
    pub fn run(&self) -> Result<Exit, Failure> {
        let text = match &self.name {
            Some(name) => Profile::find(name).map_err(Failure::usage)?.toml().to_owned(),
            None => Profile::names().fold(String::new(), |mut text, name| {
                let doc = Profile::get(name)
                    .map(|table| table.doc().to_owned())
                    .unwrap_or_default();
                let _ = writeln!(text, "{name:<12} {doc}");
                text
            }),
        };
        print(&text)?;
        Ok(Exit::Done)
    }
}
