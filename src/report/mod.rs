//! What people and scripts are shown: text and JSON, to a given place. Where the data comes from is not known here.

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
