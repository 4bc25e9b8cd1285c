//! One file a subcommand: each wires the steps together, the work is elsewhere.

mod auto_merge;
mod dry_run;
pub mod logs;
pub mod merge;
pub mod plan;
pub mod report;
pub mod reset;
pub mod resume;
pub mod run;
pub mod status;
mod waiting;
