//! In containers: with nothing but the program of the wheel, and with pip in Debian's Python, which belongs to Debian.

use std::env::consts::ARCH;

use super::{unpack, wheel};
use crate::support::{Component, Dir, Image, debian_with_pip, require};

#[test]
fn the_program_of_the_wheel_needs_nothing_of_an_image() {
    let Some(wheel) = wheel(ARCH) else { return };
    if !require(Component::Containers) {
        return;
    }
    let dir = Dir::with_inputs(3);
    unpack(&wheel, dir.root());
    dir.container().program("/arc/canfar-run").launch().sh("exit 0").run().exits(0).says("3 of 3 files ok");
}

#[test]
fn debian_s_pip_installs_nothing_into_its_python_unless_told_to() {
    let Some(wheel) = wheel(ARCH) else { return };
    if !require(Component::DebianWithPip) {
        return;
    }
    let dir = Dir::with_inputs(3);
    let wheels = wheel.parent().unwrap();
    debian_with_pip(&dir, wheels, "pip install canfar-run")
        .run()
        .exits(1)
        .says("externally-managed-environment");
    let told = "pip install --quiet --break-system-packages canfar-run
        canfar-run -i 'data/*' -o out -- true
        python3 -m canfar_run merge out
        ls /usr/local/share/*/*/canfar-run* /usr/local/share/zsh/site-functions";
    let ended = debian_with_pip(&dir, wheels, told).run().exits(0).says("3 of 3 files ok");
    for name in ["man/man1/canfar-run.1", "completions/canfar-run", "canfar-run.fish", "_canfar-run"] {
        assert!(ended.printed().contains(name), "{name}: {ended}");
    }
}

#[test]
fn an_image_gets_it_by_one_line() {
    let Some(wheel) = wheel(ARCH) else { return };
    if !require(Component::DebianWithPip) {
        return;
    }
    let dockerfile = "ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN pip install --break-system-packages canfar-run
";
    let image = Image::build(dockerfile, wheel.parent().unwrap());
    let dir = Dir::with_inputs(3);
    image.sh(&dir, "canfar-run -i 'data/*' -o out -- true && python3 -m canfar_run merge out").run().exits(0);
    assert_eq!(dir.json("out/final_results.json").as_array().unwrap().len(), 3);
}
