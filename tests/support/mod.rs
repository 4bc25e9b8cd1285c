//! What the tests of the program share.

mod cephfs;
mod container;
mod container_root;
mod debian;
mod dir;
mod ended;
mod memory_watch;
mod need;
mod process;
mod run;
mod slurm;
mod terminal;
mod test_process;
mod tree;
mod wait;

pub(crate) use cephfs::Nodes;
pub(crate) use container::{Contained, Container, PROJECT_GROUP};
pub(crate) use debian::{Image, debian_with_pip};
pub(crate) use dir::Dir;
pub(crate) use ended::Ended;
pub(crate) use need::{Component, example, interpreter, python, require, wheels};
pub(crate) use process::{Process, exists, stop_process};
pub(crate) use run::{Run, Running, at_once};
pub(crate) use slurm::{Job, Slurm};
pub(crate) use terminal::Terminal;
pub(crate) use tree::Tree;
pub(crate) use wait::{DEADLINE, InTime, wait_until};
