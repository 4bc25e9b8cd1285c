//! From what was typed to what it means: resolved settings for each subcommand.

mod arrived;
mod engines;
mod identity;
mod job_file;
mod layers;
mod mistyped;
mod resources;
mod run;

pub use arrived::check;
pub use identity::{Identity, identify, replica_count};
pub use layers::{Layered, layered};
pub use mistyped::explained;
pub use run::{Given, RunConfig, Verbosity, source_of};
