//! One HTML page about a run, with all it needs within it: no script, style or font is asked of anybody.

mod charts;
mod data;
mod failures;
mod figures;
mod links;
pub mod model;
mod numbers;
mod page;
mod provenance;
mod replicas;

pub use page::write;
