//! From typed arguments to resolved settings for each subcommand.

mod balance;
mod continued;
mod engines;
mod foreign_placeholder;
mod identity;
mod input_spec;
mod job_file;
mod layers;
mod mangled_argv;
mod option_item;
mod origins;
mod products;
mod progress;
mod resources;
mod resumed;
mod run;
mod script;
mod shell_words;
mod test_times;
mod usage_errors;
mod wrong_name;

use std::ffi::OsString;

use crate::cli::Request;

pub use balance::is_balanced;
pub use continued::{ContinuedRun, source_of};
pub use identity::{SharedIdentity, identify, replica_count};
pub use layers::{Layers, layered};
pub use products::{declared_products, vocabulary};
pub use resumed::{Resumed, refuse_fixed};
pub use run::{RunConfig, verbosity_of};
pub use test_times::heartbeat_times;

/// What a command line (the program's name first) asks for.
///
/// # Errors
/// When it is wrong, or came apart on its way here; also where help or the version was asked for.
pub fn read(argv: &[OsString]) -> anyhow::Result<Request> {
    mangled_argv::check(argv)?;
    Request::parse(argv).map_err(|error| usage_errors::explained(error, argv))
}
