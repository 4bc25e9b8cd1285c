//! What people and scripts are shown: text and JSON, to a given place. Where the data comes from is not known here.

pub mod console;
pub mod html;
pub mod imbalance;
pub mod launch;
pub mod logs;
pub mod merge;
pub mod plan;
mod printer;
pub mod resume;
