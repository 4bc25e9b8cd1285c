//! Replicas that share their work while they run: some never start, some die, freeze or come late, and as long as not all
//! of them die the run is whole in the end.
#![cfg(target_os = "linux")]

mod chaos;
mod claims;
mod cluster;
mod everywhere;
mod frozen;
mod lost_answers;
mod moved;
mod neighbour;
mod no_links;
mod poison;
mod storms;
mod truth;

pub(crate) use cluster::{Cluster, Host};
pub(crate) use truth::Truth;

/// A task of one run: notes its execution under a name of its own, takes a while that depends on its file, stays as long as
/// there is `hold/REPLICA`, and gives twice the number in its file. What it notes is no load on the storage of the run.
pub(crate) const TASK: &str = ": > \"$NOTES/ran/$CANFAR_TASK_ID\"
read -r number < \"$1\" || :
sleep $NAP$((number % 8))
while [ -e \"$NOTES/hold/$REPLICA_ID\" ]; do sleep 0.02; done
echo \"{\\\"twice\\\": $((2 * number))}\"";
