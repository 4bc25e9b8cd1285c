//! Many replicas' results into one, with proof of completeness. Memory does not grow with the results: what is there is
//! learned in one reading (`survey`), several files side by side; what wins is written in a second one (`write`). Files
//! of unknown origin that name tasks are read once more, before, to know that they are whole.

mod bits;
mod columns;
mod csv_table;
mod earlier;
mod effort;
mod output;
mod parts;
mod proof;
mod reading;
mod same_tasks;
mod steps;
mod survey;
mod write;

pub use earlier::{JoinedResults, MergedDirectory, joined_before, left_out};
pub use effort::Effort;
pub use output::{Format, UnknownFormat, partial_name};
pub use parts::Directory;
pub use proof::{Broken, FailureGroup, MissingReplica, Proof, ReplicaState, Summary};
pub use survey::{Survey, survey};
pub use write::{Targets, write, write_missing};
