//! The lines of `status` for a run with shared work: what is left of each share, which replica has it, and what to type.

use crate::report::status::{about, named, resuming};
use crate::status::{HeldPart, ReplicaState, ReplicaStatus, RunStatus, ShareHoldings, SharingStatus};
use crate::units;

/// What is left of the share that a replica begins with: `3 of 10`; `None` for one that was added to the run.
pub(super) fn share_left(sharing: &SharingStatus, row: &ReplicaStatus) -> Option<String> {
    let share = share_of(sharing, row.replica_id)?;
    Some(format!("{} of {}", share.left, share.files))
}

fn share_of(sharing: &SharingStatus, replica: u32) -> Option<&ShareHoldings> {
    sharing.shares.iter().find(|share| share.share == replica)
}

/// What happened to the shares of replicas that never started.
pub(super) fn not_started(figures: &RunStatus, sharing: &SharingStatus) -> Option<String> {
    let rows = figures.replicas.iter().filter(|row| row.launch.is_none());
    let shares: Vec<&ShareHoldings> =
        rows.filter_map(|row| share_of(sharing, row.replica_id)).filter(|share| share.files > 0).collect();
    let ids: Vec<u32> = shares.iter().map(|share| share.share).collect();
    let sum = |of: fn(&ShareHoldings) -> u64| shares.iter().map(|share| of(share)).sum::<u64>();
    let (left, taken) = (sum(|share| share.left), sum(|share| share.files - share.unclaimed));
    let whose = if ids.len() == 1 { "its share" } else { "their shares" };
    let left = match left {
        0 => format!("other replicas have run {whose} ({})", units::count(taken, "file")),
        left => {
            let taken = units::plural(taken, "was taken by another replica", "were taken by other replicas");
            format!(
                "{} of {whose} {} left, {taken}",
                units::count(left, "file"),
                if left == 1 { "is" } else { "are" }
            )
        }
    };
    (!ids.is_empty()).then(|| format!("{} not started: {left}", named(&ids)))
}

/// What is left and which replica has it, in at most about `most` lines.
pub(super) fn holdings(figures: &RunStatus, sharing: &SharingStatus, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let is_at_work = figures.is_at_work();
    if let Some(seconds) = figures.totals.eta_s.filter(|_| figures.totals.left > 0) {
        lines.push(format!("about {} left", about(seconds)));
    }
    if sharing.unclaimed > 0 {
        let files = units::plural(sharing.unclaimed, "file is", "files are");
        let who = if is_at_work { "; the running replicas take them as they go" } else { "" };
        lines.push(format!("{files} not claimed by any replica yet{who}"));
    }
    lines.extend(abandoned(figures, sharing).filter(|_| is_at_work));
    lines.extend(moved(sharing));
    let told = sharing.shares.iter().filter(|share| is_worth_telling(figures, share)).map(of_share);
    let told: Vec<String> = told.collect();
    let more = told.len().saturating_sub(most);
    lines.extend(told.into_iter().take(most));
    if more > 0 {
        lines.push(format!("and {} more", units::count(more as u64, "such share")));
    }
    lines
}

/// Files of replicas that no longer run, which running ones take over.
fn abandoned(figures: &RunStatus, sharing: &SharingStatus) -> Option<String> {
    let parts = || sharing.shares.iter().flat_map(|share| &share.held_by);
    let is_abandoned = |part: &&HeldPart| part.left > 0 && !is_running(figures, part.replica_id);
    let files: u64 = parts().filter(is_abandoned).map(|part| part.left).sum();
    let mut ids: Vec<u32> = parts().filter(is_abandoned).filter_map(|part| part.replica_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let whose = if ids.is_empty() { String::new() } else { format!(" of {}", named(&ids)) };
    let what = units::plural(files, "unfinished file", "unfinished files");
    (files > 0).then(|| format!("{what}{whose}, no longer running: the running replicas take them over"))
}

fn moved(sharing: &SharingStatus) -> Option<String> {
    let moved = (sharing.moved > 0).then(|| {
        format!("{} went to a different replica than planned", units::plural(sharing.moved, "file", "files"))
    });
    let taken_over = (sharing.taken_over > 0).then(|| {
        let files = units::plural(sharing.taken_over, "file", "files");
        format!("{files} taken over from a launch that had ended or died")
    });
    let parts: Vec<String> = moved.into_iter().chain(taken_over).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn is_running(figures: &RunStatus, replica: Option<u32>) -> bool {
    let row = figures.replicas.iter().find(|row| Some(row.replica_id) == replica);
    row.is_some_and(|row| row.state == ReplicaState::Running)
}

/// Whether something is left of a share that its own replica is not running.
fn is_worth_telling(figures: &RunStatus, share: &ShareHoldings) -> bool {
    let of_others = || share.held_by.iter().any(|part| part.left > 0 && part.replica_id != Some(share.share));
    share.left > 0 && (of_others() || !is_running(figures, Some(share.share)))
}

fn of_share(share: &ShareHoldings) -> String {
    let holder = |part: &HeldPart| match part.replica_id {
        Some(id) => format!("{} with replica {id}", part.left),
        None => format!("{} under a claim that can't be read", part.left),
    };
    let unclaimed = (share.unclaimed > 0).then(|| format!("{} not claimed", share.unclaimed));
    let held = share.held_by.iter().filter(|part| part.left > 0).map(holder);
    let parts: Vec<String> = unclaimed.into_iter().chain(held).collect();
    let files = units::count(share.files, "file");
    format!("share {}: {} of {files} left: {}", share.share, share.left, parts.join(", "))
}

/// What to type if no replica is running that would finish it, and for results files that no replica is left to write.
pub(super) fn advice(figures: &RunStatus, sharing: &SharingStatus, dir: &str) -> Vec<String> {
    let mut lines = Vec::new();
    if !figures.without_owner.is_empty() {
        let files = units::plural(figures.totals.left, "file is", "files are");
        let them = if figures.totals.left == 1 { "it" } else { "them" };
        lines.push(format!(
            "{files} left and no replica is running. To finish {them}, in new containers or here:"
        ));
        lines.extend(resuming(figures.without_owner.len(), "", dir));
    }
    let files = &sharing.results_to_write;
    if !files.is_empty() {
        let (whose, them) = match files.len() {
            1 => ("the results file", "it"),
            _ => ("the results files", "them"),
        };
        let are = if files.len() == 1 { "is" } else { "are" };
        lines.push(format!(
            "{whose} of {} {are} missing or out of date (merge does not need {them}); to write {them}: canfar-run resume {dir}",
            named(files)
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{moved, of_share};
    use crate::status::{HeldPart, ShareHoldings, SharingStatus};

    #[test]
    fn a_share_is_told_with_who_has_what_is_left() {
        let part = |replica_id, left| HeldPart { replica_id, files: left + 1, left };
        let held_by = vec![part(Some(3), 0), part(Some(7), 2), part(None, 1)];
        let share =
            ShareHoldings { share: 3, files: 10, left: 6, unclaimed: 3, held_by, ..Default::default() };
        assert_eq!(
            of_share(&share),
            "share 3: 6 of 10 files left: 3 not claimed, 2 with replica 7, 1 under a claim that can't be read"
        );
        assert_eq!(moved(&SharingStatus::default()), None);
        let sharing = SharingStatus { moved: 12, taken_over: 1, ..SharingStatus::default() };
        assert_eq!(
            moved(&sharing).unwrap(),
            "12 files went to a different replica than planned; 1 file taken over from a launch that had ended or died"
        );
    }
}
