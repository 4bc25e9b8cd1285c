//! A launch of a hundred containers of which some are never started, and nobody is told.

use super::client::typed;
use super::platform::Container;
use super::world::World;
use crate::sharing::Truth;
use crate::support::{Component, require};

const REPLICAS: usize = 100;
const ABSENT: usize = 20;
const FILES: usize = 1000;

/// Notes its execution, and gives twice the number in its file.
const TASK: &str = ": > \"$NOTES/ran/$CANFAR_TASK_ID\"
read -r number < \"$1\" || :
echo \"{\\\"twice\\\": $((2 * number))}\"";

/// What the platform starts for the line of a user.
fn containers(world: &World) -> Vec<Container> {
    let replicas = REPLICAS.to_string();
    let line = ["create", "--name", "x", "--replicas", &replicas, "headless"];
    let command = ["images.canfar.net/myproject/stars:1.0", "--", "canfar-run", "-i"];
    let input = world.dir.path("data/*.fits").display().to_string();
    let results = world.dir.path("out").display().to_string();
    let task = world.dir.path("task").display().to_string();
    let words = [&input, "--balance", "-j", "1", "-o", &results, "--chdir"].into_iter();
    let here = world.dir.root().to_str().unwrap();
    let words = line.into_iter().chain(command).chain(words).chain([here, "--", "sh", &task, "{}"]);
    let launch = typed(&[words.map(str::to_owned).collect()]).remove(0);
    let containers = launch.containers(world.home().to_str().unwrap());
    containers.into_iter().collect::<Result<_, _>>().unwrap()
}

#[test]
fn of_a_hundred_containers_those_that_start_complete_the_run() {
    if !require(Component::Python("canfar")) {
        return;
    }
    let world = World::new();
    world.dir.add_inputs(FILES);
    world.dir.write("task", TASK.replace("$NOTES", world.dir.scratch().to_str().unwrap()));
    std::fs::create_dir_all(world.dir.scratch().join("ran")).unwrap();
    let mut containers = containers(&world);
    assert_eq!(containers.len(), REPLICAS);
    fastrand::shuffle(&mut containers);
    let running: Vec<_> =
        containers[ABSENT..].iter().map(|container| world.start(container).start()).collect();
    running.into_iter().for_each(|one| _ = one.wait().exits(0));
    let truth = Truth::of(&world.dir);
    truth.is_whole(FILES);
    assert_eq!((truth.executions().len(), truth.takeovers()), (FILES, 0));
}
