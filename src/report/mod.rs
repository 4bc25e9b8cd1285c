//! Output for people and scripts: text and JSON, written to a given destination. It does not know where the data comes from.

pub mod advice;
pub mod doubts;
mod figures;
pub(crate) mod groups;
pub mod html;
pub mod imbalance;
pub mod launch;
pub mod logs;
pub mod merge;
pub mod plan;
pub mod resume;
mod shared_status;
pub mod status;
mod stop_reason;
