//! Many replicas' results into one, with proof of completeness. Memory does not grow with the results: they are read
//! twice, once to learn what there is (`survey`), once to write what wins (`write`).

mod bits;
mod csv_table;
mod output;
mod parts;
mod proof;
mod survey;
mod write;

pub use output::{Format, partial_name};
pub use parts::Directory;
pub use proof::{Broken, FailureGroup, MissingReplica, Proof, ReplicaState, Summary};
pub use survey::{Survey, survey};
pub use write::{Targets, write, write_missing};
