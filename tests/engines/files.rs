//! The ready files: Kubernetes' and Amazon's own types know every field of them, and their commands share out all files.

use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::support::{Component, Dir, InTime, python, require};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// A manifest as Kubernetes reads it. A field that it does not know would be gone when it is written again.
#[track_caller]
fn manifest<T: DeserializeOwned + Serialize>(name: &str) -> T {
    let text = std::fs::read_to_string(example(name)).unwrap();
    let written: Value = serde_saphyr::from_str(&text).unwrap();
    let typed: T = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&typed).unwrap(), written, "{name}");
    typed
}

/// What the dry runs of all members print together, for a command about `/survey`, `variables` telling each who it is.
fn shown_to_all(
    command: &[String],
    members: usize,
    variables: impl Fn(usize) -> Vec<(&'static str, String)>,
) -> String {
    let dir = Dir::new();
    (0..=members * 3).for_each(|file| _ = dir.write(format!("survey/data/{file:03}.fits"), ""));
    let place = dir.path("survey").display().to_string();
    let (program, words) = command.split_first().unwrap();
    assert_eq!(program, "canfar-run");
    let shown = (0..members).map(|index| {
        let launch =
            dir.canfar_run().arg("--dry-run").args(words.iter().map(|word| word.replace("/survey", &place)));
        let launch =
            variables(index).into_iter().fold(launch, |launch, (name, value)| launch.env(name, value));
        launch.run().exits(0).printed()
    });
    shown.collect::<String>().replace(&place, "/survey")
}

/// Each file of the list once.
fn every_file_once(members: usize) -> String {
    let line = |file| format!("python3 /opt/analysis/analyze_fits.py /survey/data/{file:03}.fits\n");
    (0..=members * 3).map(line).collect::<Vec<_>>().concat()
}

#[test]
fn kubernetes_knows_every_field_of_the_manifests() {
    manifest::<Job>("kubernetes/job.yaml");
    manifest::<PersistentVolumeClaim>("kubernetes/volume.yaml");
    let merge = manifest::<Job>("kubernetes/merge.yaml").spec.unwrap();
    let command = merge.template.spec.unwrap().containers.remove(0).command.unwrap();
    assert_eq!(command, ["canfar-run", "merge", "/survey/results"]);
}

#[test]
fn the_indexed_job_is_started_as_many_times_as_it_says_and_has_time_to_stop() {
    let job = manifest::<Job>("kubernetes/job.yaml").spec.unwrap();
    let pod = job.template.spec.unwrap();
    assert_eq!(job.completion_mode.as_deref(), Some("Indexed"));
    assert!(job.parallelism <= job.completions);
    // What an index may have left is for its next pod: that needs the Job to start one, and the old one to be gone.
    assert!(job.backoff_limit_per_index.is_some_and(|limit| limit > 0));
    assert_eq!(pod.restart_policy.as_deref(), Some("Never"));
    assert_eq!(job.pod_replacement_policy.as_deref(), Some("Failed"));
    assert!(pod.termination_grace_period_seconds.is_some_and(|seconds| seconds >= 30));
    let [container] = &pod.containers[..] else { panic!("one container: {:?}", pod.containers) };
    for rule in &job.pod_failure_policy.unwrap().rules {
        if let Some(on_exit_codes) = &rule.on_exit_codes {
            assert_eq!(on_exit_codes.container_name.as_ref(), Some(&container.name));
        }
    }
    let volumes: Vec<_> = pod.volumes.iter().flatten().map(|volume| &volume.name).collect();
    let mounts: Vec<_> = container.volume_mounts.iter().flatten().map(|mount| &mount.name).collect();
    assert_eq!(volumes, mounts);

    let completions = usize::try_from(job.completions.unwrap()).unwrap();
    let index = |index: usize| vec![("JOB_COMPLETION_INDEX", index.to_string())];
    let shown = shown_to_all(container.command.as_ref().unwrap(), completions, index);
    assert_eq!(shown, every_file_once(completions));
}

/// What `launch.sh` would send to AWS.
fn request(action: &str) -> Value {
    let dir = Dir::new();
    let stand_in = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/aws_stand_in.py");
    dir.write("aws", format!("#!/bin/sh\nexec '{}' '{stand_in}' \"$@\"\n", python().display()));
    std::fs::set_permissions(dir.path("aws"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", dir.root().display(), std::env::var("PATH").unwrap());
    let output =
        Command::new(example("aws_batch/launch.sh")).arg(action).env("PATH", path).output_in_time().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn amazon_knows_every_field_of_the_requests_and_the_array_shares_out_all_files() {
    if !require(Component::Python("botocore")) {
        return;
    }
    let [define, submit, merge] = ["define", "submit", "merge"].map(request);
    assert_eq!(define["operation"], "RegisterJobDefinition");
    assert_eq!((&submit["operation"], &merge["operation"]), (&json!("SubmitJob"), &json!("SubmitJob")));
    let [define, submit, merge] = [define, submit, merge].map(|mut said| said["request"].take());
    for job in [&submit, &merge] {
        assert_eq!(job["jobDefinition"], define["jobDefinitionName"]);
    }
    assert_eq!(merge["containerOverrides"]["command"], json!(["canfar-run", "merge", "/survey/results"]));

    let words = |command: &Value| -> Vec<String> { serde_json::from_value(command.clone()).unwrap() };
    let size =
        submit["arrayProperties"]["size"].as_u64().and_then(|size| usize::try_from(size).ok()).unwrap();
    let child = |index: usize| {
        vec![("AWS_BATCH_JOB_ARRAY_INDEX", index.to_string()), ("AWS_BATCH_JOB_ARRAY_SIZE", size.to_string())]
    };
    let shown = shown_to_all(&words(&define["containerProperties"]["command"]), size, child);
    assert_eq!(shown, every_file_once(size));
}
