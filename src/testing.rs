//! What tests and benches use beyond the crate's one public function. Nothing else is public, so that the compiler
//! reports unused code.

pub use crate::cli::{Cli, Request};
pub use crate::clock::format;
pub use crate::config::{RunConfig, SharedIdentity, identify, layered, read, replica_count};
pub use crate::discover::{DiscoverError, EntryType, Found, NamePattern, Note, Search, find, fixed_part};
pub use crate::host::cgroup::Cgroup;
pub use crate::journal::event::{
    AttemptBegun, AttemptEnded, Event, LaunchBegun, LaunchProgress, Limits, ResultsWritten, StopReason,
    Stopped, TaskEnded,
};
pub use crate::journal::record_reader::Records;
pub use crate::journal::state::{JournalState, RunRef};
pub use crate::journal::tail::{begun, last_words};
pub use crate::journal::writer::JournalWriter;
pub use crate::json::{
    Elements, ElementsError, JsonError, JsonFault, JsonKind, Member, members, normalise, scan_value,
    string_eq, string_text, write_string,
};
pub use crate::liveness::heartbeat::HeartbeatTimes;
pub use crate::merge::{Format, MergeDirectory, MissingReplica, Proof, Targets, survey, write};
pub use crate::model::blocks::{BlockId, Blocks};
pub use crate::model::counts::{TaskCounts, TaskState};
pub use crate::model::entries::{Entries, Entry};
pub use crate::model::outcome::{Cause, ProcessEnd, Status, Usage};
pub use crate::model::provenance::Process;
pub use crate::model::replica::Replica;
pub use crate::model::shares::{Share, Strategy, loads, share, shares};
pub use crate::record::destination::Destination;
pub use crate::record::inputs::{
    Header, InputList, InputSpec, Origin, Settings, TaskCommand, prepare as prepare_list,
};
pub use crate::record::results::prepare as prepare_results;
pub use crate::record::task_record::{RecordMeta, TaskResult, build as build_item};
pub use crate::status::{MonitoredRun, ReplicaState};
pub use crate::store::layout::Layout;
pub use crate::template::{TaskPlace, Template, Vocabulary, shell_quote};
pub use crate::text::{OsText, PathText};
pub use crate::units::{duration, parse_duration, parse_size};
