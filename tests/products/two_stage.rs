//! Two stages as the examples have them, with real FITS images: 50 replicas calibrate, 10 count the stars, and nothing is
//! between them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fastrand::Rng;
use serde_json::Value;

use crate::examples::support::fits_write::{Storage, file_bytes};
use crate::examples::support::sky::draw;
use crate::support::{Component, Dir, Ended, Run, Running, at_once, python, require};

/// A file of the repository.
fn repository(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Draws images in two folders, of which every third one is cut short; how many stars each of those has that are whole, by its
/// path below the folder.
fn draw_images(dir: &Dir, count: usize) -> BTreeMap<String, u64> {
    let mut random = Rng::with_seed(5);
    let mut stars = BTreeMap::new();
    for number in 0..count {
        let sky = draw(&mut random, 96, 96);
        let mut bytes = file_bytes(&sky.image, Storage::Float32, &[]);
        let name = format!("n{}/obs_{number:02}.fits", number % 2);
        if number % 3 == 0 {
            bytes.truncate(5000);
        } else {
            stars.insert(name.clone(), sky.stars as u64);
        }
        dir.write(Path::new("raw").join(name), bytes);
    }
    stars
}

/// A launch of a stage by its job file, with the places of this test.
fn stage<'d>(run: Run<'d>, stage: usize, dir: &Dir) -> Run<'d> {
    let job_file = repository(&format!("examples/two_stage/stage{stage}.toml"));
    let python = python();
    let (options, script, last) = match stage {
        1 => {
            let input = dir.path("raw/**/*.fits").into_os_string().into_string().unwrap();
            let product = dir.path("calibrated/{rel}").into_os_string().into_string().unwrap();
            (
                vec!["--input".to_owned(), input, "--product".to_owned(), product],
                "two_stage/calibrate.py",
                Some("{out}"),
            )
        }
        _ => (vec!["--input-from".to_owned(), "stage1".to_owned()], "analyze_fits.py", None),
    };
    let run =
        run.args(["--job-file", &job_file, "-j", "1", "--retries", "0", "-o", &format!("stage{stage}")]);
    run.args(options)
        .arg("--")
        .arg(python)
        .arg(repository(&format!("examples/{script}")))
        .arg("{}")
        .args(last)
}

/// All replicas of a stage, started at one time.
fn replicas(dir: &Dir, number: usize, count: usize) -> Vec<Ended> {
    let completed = (1..=count).map(|id| move |run| stage(Run::sharing_replica(run, id, count), number, dir));
    at_once(dir, completed).into_iter().map(Running::wait).collect()
}

fn merged(dir: &Dir, results: &str, code: i32) -> Vec<Value> {
    dir.canfar_run().args(["merge", results]).run().exits(code);
    let Value::Array(records) = dir.json(format!("{results}/final_results.json")) else { panic!() };
    records
}

/// Paths of the records below a folder.
fn paths(records: &[Value], below: &Path) -> BTreeSet<String> {
    let path = |record: &Value| record["canfar_run"]["path"].as_str().unwrap().to_owned();
    let relative = |path: String| Path::new(&path).strip_prefix(below).unwrap().to_str().unwrap().to_owned();
    records.iter().map(path).map(relative).collect()
}

/// How many tasks a launch of stage 1 ran, and which, by the records of the last launch.
fn ran_in(dir: &Dir, launch: u64) -> BTreeSet<String> {
    let records = merged(dir, "stage1", 1);
    let of_launch: Vec<Value> =
        records.into_iter().filter(|record| record["canfar_run"]["launch"] == launch).collect();
    paths(&of_launch, &dir.path("raw"))
}

#[test]
fn the_second_stage_has_exactly_what_the_first_one_made() {
    if !require(Component::Python("astropy, sep")) {
        return;
    }
    let dir = Dir::new();
    let stars = draw_images(&dir, 30);
    let whole: BTreeSet<String> = stars.keys().cloned().collect();
    let ended = replicas(&dir, 1, 50);
    assert!(ended.iter().all(|ended| matches!(ended.code, Some(0 | 1))), "{ended:?}");
    assert_eq!(paths(&merged(&dir, "stage1", 1), &dir.path("raw")), whole);
    let made: BTreeSet<String> = ["n0", "n1"]
        .iter()
        .flat_map(|folder| {
            dir.names(format!("calibrated/{folder}")).into_iter().map(move |name| format!("{folder}/{name}"))
        })
        .collect();
    assert_eq!(made, whole, "nothing else is there, hidden or not");

    replicas(&dir, 2, 10).into_iter().for_each(|ended| drop(ended.exits(0)));
    let records = merged(&dir, "stage2", 0);
    assert_eq!(paths(&records, &dir.path("calibrated")), whole);
    for record in &records {
        let path = Path::new(record["canfar_run"]["path"].as_str().unwrap());
        let name = path.strip_prefix(dir.path("calibrated")).unwrap().to_str().unwrap();
        assert_eq!(record["stars_detected"], stars[name], "{name}");
    }
}

#[test]
fn a_product_that_is_gone_is_made_again_and_one_that_was_edited_only_if_that_is_said() {
    if !require(Component::Python("astropy, sep")) {
        return;
    }
    let dir = Dir::new();
    let stars = draw_images(&dir, 9);
    let whole: Vec<&String> = stars.keys().collect();
    let first = |options: &[&str]| stage(dir.canfar_run().args(["run"]).args(options), 1, &dir).run();
    first(&["--rerun", "never"]).exits(1);
    let [gone, edited] = [whole[2], whole[4]];
    let place = |name: &str| dir.path("calibrated").join(name);
    let before = std::fs::read(place(gone)).unwrap();
    std::fs::remove_file(place(gone)).unwrap();
    let mut bytes = std::fs::read(place(edited)).unwrap();
    bytes.extend_from_slice(&[0; 2880]);
    std::fs::write(place(edited), &bytes).unwrap();

    // Stage 2 would go without it.
    stage(dir.canfar_run(), 2, &dir).run().exits(3).says(gone).says("canfar-run resume");
    dir.canfar_run().args(["merge", "stage1", "--verify-products"]).run().exits(3).says(gone).says(edited);

    first(&[]).exits(1).says(edited);
    assert_eq!(ran_in(&dir, 2), [gone.clone()].into());
    assert_eq!(std::fs::read(place(gone)).unwrap(), before);
    assert_eq!(std::fs::read(place(edited)).unwrap(), bytes, "it is left alone");

    first(&["--rerun", "changed"]).exits(1);
    assert_eq!(ran_in(&dir, 3), [edited.clone()].into());
    assert_eq!(std::fs::read(place(edited)).unwrap().len() + 2880, bytes.len());
    dir.canfar_run().args(["merge", "stage1", "--verify-products"]).run().exits(1);
    stage(dir.canfar_run(), 2, &dir).run().exits(0);
    assert_eq!(
        paths(&merged(&dir, "stage2", 0), &dir.path("calibrated")),
        whole.into_iter().cloned().collect()
    );
}
