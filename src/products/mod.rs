//! Declared files and directories that tasks make: their paths, how they are published whole, and
//! whether they are still as recorded.

pub mod conflicts;
pub mod declared;
pub mod digest;
mod exchange;
pub mod look;
mod made;
pub mod places;
pub mod publish;
mod real_places;
pub mod same_names;
mod staging;
