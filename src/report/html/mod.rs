//! One self-contained HTML page about a run: no script, style or font is loaded from elsewhere.

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
