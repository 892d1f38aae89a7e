//! `profiles`: what is built in.

use std::fmt::Write;

use clap::Args;
use procemu::{Preset, Profile};

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
            None => {
                let mut text = Profile::ALL.iter().fold(String::new(), |mut text, profile| {
                    let _ = writeln!(text, "{:<12} {}", profile.name(), profile.table().doc());
                    text
                });
                let presets: Vec<_> = Preset::names().collect();
                let _ = writeln!(text, "as --preset: {}", presets.join(", "));
                text
            }
        };
        print(&text)?;
        Ok(Exit::Done)
    }
}
