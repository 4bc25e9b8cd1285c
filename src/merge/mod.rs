//! Merges the results of many replicas into one file, with proof of completeness. Memory does not grow with the results: the first
//! pass (`index`) finds out what exists, reading several files at a time; the second one (`write`) writes the records that win. Files
//! of unknown origin that name tasks are read once more beforehand, to make sure that they are complete.

mod columns;
mod csv_table;
mod earlier;
mod index;
mod input;
mod missing;
mod output;
mod product_check;
mod products;
mod proof;
mod reading;
mod resource_usage;
mod same_tasks;
mod sparse_bit_set;
mod steps;
mod summary;
mod targets;
mod write;

pub use earlier::{MergedDirectory, joined_before, left_out};
pub use index::{MergeIndex, survey};
pub use input::MergeDirectory;
pub use output::{Format, partial_name};
pub use product_check::{FaultyProduct, ProductCheck, ProductFault, ProductsWanted, check_products};
pub use proof::{MissingPart, MissingReplica, Proof};
pub use resource_usage::ResourceUsage;
pub use summary::MergeSummary;
pub use targets::Targets;
pub use write::{write, write_missing};
