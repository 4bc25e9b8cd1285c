//! From what was typed to what it means: resolved settings for each subcommand.

mod arrived;
mod engines;
mod identity;
mod job_file;
mod layers;
mod mistyped;
mod progress;
mod resources;
mod resumed;
mod run;
mod test_times;
mod wrong_name;

pub use arrived::check;
pub use identity::{Identity, SharedIdentity, SharedValue, identify, replica_count};
pub use layers::{Layered, layered};
pub use mistyped::explained;
pub use progress::Progress;
pub(crate) use resumed::is_fixed;
pub use resumed::{Resumed, refuse_fixed};
pub use run::{Given, RunConfig, Verbosity, source_of};
pub use test_times::heartbeat_times;
