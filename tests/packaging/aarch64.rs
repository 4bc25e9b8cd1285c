//! The wheel for the other architecture of clusters and laptops, whose program runs here in an emulator.

use super::{unpack, wheel};
use crate::support::{Component, Dir, Run, require};

#[test]
fn the_program_for_aarch64_runs_and_merges() {
    let Some(wheel) = wheel("aarch64") else { return };
    if !require(Component::Program("qemu-aarch64-static")) {
        return;
    }
    let dir = Dir::with_inputs(10);
    let bin = tempfile::tempdir().unwrap();
    let program = unpack(&wheel, bin.path());
    // The machine of an ELF file: AArch64.
    assert_eq!(std::fs::read(&program).unwrap()[18..20], [0xb7, 0]);
    let emulated = || Run::of(&dir, "qemu-aarch64-static").arg(&program);
    emulated().arg("--version").run().exits(0).prints(concat!(
        "canfar-run ",
        env!("CARGO_PKG_VERSION"),
        "\n"
    ));
    let task = "echo \"{\\\"is\\\": \\\"$(cat \"$1\")\\\"}\"";
    emulated().args(["-i", "data/*", "-o", "out", "-j", "2"]).sh(task).run().exits(0);
    emulated().args(["merge", "out"]).run().exits(0).says("10 files: 10 ok");
    assert_eq!(dir.json("out/final_results.json").as_array().unwrap().len(), 10);
}
