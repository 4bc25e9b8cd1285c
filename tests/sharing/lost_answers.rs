//! Storage that does what it is asked to and answers with an error: the answer was lost, and what was asked again was done
//! already.

use super::everywhere::after_a_death;
use super::{Host, Truth};
use crate::support::{Component, require};

#[test]
fn a_claim_that_was_made_although_storage_said_otherwise_is_had() {
    if !require(Component::OtherHosts) || !require(Component::PrivateMounts) || !require(Component::Strace) {
        return;
    }
    for error in ["EIO", "EEXIST", "ESTALE"] {
        after_a_death(|dir, cluster, claims| {
            // While the call is held up, all claims that are announced are made here.
            let inject = format!("inject=link,linkat:error={error}:delay_enter=200000");
            let mut options = vec!["-o", "faults", "-e", "trace=link,linkat", "-e", &inject];
            claims.iter().for_each(|path| options.extend(["-P", path]));
            cluster.start_traced(2, Host::Shared, &options);
            let folder = format!("out/claims/{}", cluster.run_id());
            let source = dir.path(format!("{folder}/2.1.json"));
            while cluster.living().contains(&2) {
                for claim in Truth::of(dir).announced_by(2) {
                    let name = dir.path(format!("{folder}/{claim}"));
                    let _ = std::fs::create_dir_all(name.parent().unwrap());
                    let _ = std::fs::hard_link(&source, name);
                }
                std::thread::sleep(std::time::Duration::from_millis(3));
            }
            let ended = cluster.wait_for(2).exits(0);
            assert!(dir.text("faults").contains("(INJECTED)"), "{error}: {ended}");
            let truth = Truth::of(dir);
            // What died had some, and nobody had to claim again what it had claimed before.
            for (block, by) in truth.claims() {
                let by: Vec<_> = by.into_values().collect();
                assert!(by == [Some(2)] || by == [Some(1), Some(2)], "{error}: {block:?} {by:?}: {ended}");
            }
            truth.is_whole(super::everywhere::TASKS);
        });
    }
}
