//! What an image brings along, in /etc/canfar-run.toml and its ENV, and how a launch overrides pieces of it.

use serde_json::{Value, json};

use super::world::{World, example};
use crate::support::{Component, Run, require};

/// canfar-run where /etc holds nothing but the example's job file for images.
fn in_image(world: &World) -> Run<'_> {
    let toml = world.dir.write("image/canfar-run.toml", world.here(&example("canfar/canfar-run.toml")));
    let script = "mount -t tmpfs none /etc && cp \"$1\" /etc/canfar-run.toml && shift && exec \"$@\"";
    let path = format!("{}:/usr/bin:/bin", world.dir.path("bin").display());
    Run::of(&world.dir, "unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(toml)
        .arg("canfar-run")
        .cwd(world.home())
        .replica(1, 1)
        .env("PATH", path)
        .env("CANFAR_RUN_INPUT", world.dir.path("arc/projects/survey/data"))
        .env("CANFAR_RUN_RESULTS_DIR", world.dir.path("out"))
}

/// What the journal says was asked for.
fn options(world: &World) -> Value {
    world.dir.events_of(1, 1, "run")[0]["options"].clone()
}

#[test]
fn a_bare_canfar_run_does_what_the_image_says() {
    if !require(Component::PrivateMounts) {
        return;
    }
    let world = World::new();
    in_image(&world).run().exits(0);
    assert_eq!(world.dir.results(1).len(), 5);
    let options = options(&world);
    assert_eq!((&options["timeout"], &options["retries"]), (&json!("10m"), &json!("1")), "{options}");
}

#[test]
fn a_launch_overrides_pieces_flags_before_variables_before_the_image_s_file() {
    if !require(Component::PrivateMounts) {
        return;
    }
    let world = World::new();
    let run = in_image(&world).env("CANFAR_RUN_TIMEOUT", "5m").env("CANFAR_RUN_RETRIES", "3");
    run.args(["--retries", "2", "--result", "text", "--", "echo"]).run().exits(0);
    let options = options(&world);
    for (name, value) in [("timeout", "5m"), ("retries", "2"), ("result", "text")] {
        assert_eq!(options[name], value, "{options}");
    }
    let path = world.dir.results(1)[0]["canfar_run"]["path"].clone();
    assert_eq!(world.dir.results(1)[0]["result"].as_str().unwrap().trim_end(), path.as_str().unwrap());
}

#[test]
fn a_job_file_of_the_launch_takes_the_place_of_the_image_s_one() {
    if !require(Component::PrivateMounts) {
        return;
    }
    let world = World::new();
    let job = world.dir.write("job.toml", "command = ['true']\nretries = 4\n");
    in_image(&world).arg("--job-file").arg(&job).run().exits(0);
    let options = options(&world);
    assert_eq!((&options["timeout"], &options["retries"]), (&Value::Null, &json!("4")), "{options}");

    let world = World::new();
    let job = world.dir.write("job.toml", "retries = 4\n");
    in_image(&world).env("CANFAR_RUN_JOB_FILE", &job).run().exits(2).says("no command");
}
