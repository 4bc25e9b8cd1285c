//! What the tests of the program share.

mod dir;
mod ended;
mod need;
mod run;
mod slurm;
mod tree;
mod wait;

pub(crate) use dir::Dir;
pub(crate) use ended::Ended;
pub(crate) use need::{Component, python, require};
pub(crate) use run::{Run, Running, at_once};
pub(crate) use slurm::{Job, Slurm};
pub(crate) use tree::Tree;
pub(crate) use wait::{DEADLINE, wait_until};
