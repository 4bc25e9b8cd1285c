//! What people and scripts are shown: text and JSON, to a given place. Where the data comes from is not known here.

mod advice;
mod board;
pub mod console;
pub mod doubts;
mod figures;
pub(crate) mod groups;
pub mod html;
pub mod imbalance;
pub mod launch;
pub mod logs;
pub mod merge;
mod pace;
pub mod plan;
mod printer;
pub mod redraw;
pub mod resume;
mod screen;
pub mod status;
