//! From what was typed to what it means: resolved settings for each subcommand.

mod engines;
mod identity;
mod job_file;
mod layers;
mod mangled_argv;
mod progress;
mod resources;
mod resumed;
mod run;
mod test_times;
mod usage_errors;
mod wrong_name;

pub use identity::{ReplicaIdentity, SharedIdentity, SharedValue, identify, replica_count};
pub use layers::{Layered, layered};
pub use mangled_argv::check;
pub use progress::ProgressMode;
pub(crate) use resumed::is_fixed;
pub use resumed::{Resumed, refuse_fixed};
pub use run::{GivenOptions, RunConfig, Verbosity, source_of};
pub use test_times::heartbeat_times;
pub use usage_errors::explained;
