//! CPUs that several launches have at the same time: counted once, not once for each launch.

use std::collections::BTreeMap;

/// A launch that waits for the end of the one before, or lasts a little longer than those beside it, is not with others in this
/// part of its time, at either end.
const EDGE: f64 = 0.1;

/// Which CPUs a launch has. Launches for which this is the same share them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostCpus {
    /// Host name.
    pub host: String,
    /// Tells one boot of a host from the next, and two hosts of one name apart.
    pub boot_id: String,
    /// Stands for the CPUs that the process may run on and for the control group that sets their quota.
    pub set: u32,
}

/// The time in which a launch had CPUs.
#[derive(Debug, Clone, PartialEq)]
pub struct CpuUse {
    /// Which; `None` where that is not known: then they are taken for its own.
    pub cpus: Option<HostCpus>,
    /// How many.
    pub count: f64,
    /// When it began, in seconds since any time that is the same for all.
    pub begun_s: f64,
    /// When it ended.
    pub ended_s: f64,
}

/// What CPUs came to that several launches may have shared.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CpuSharing {
    /// CPU time that there was, seconds.
    pub available_s: f64,
    /// Of the time of all launches together, that in which their CPUs were counted for another one already, seconds.
    pub shared_s: f64,
    /// How many launches had the same CPUs at a time, at most.
    pub launches: usize,
}

impl CpuSharing {
    /// Of these launches.
    pub fn of(uses: impl IntoIterator<Item = CpuUse>) -> Self {
        let mut sharing = Self::default();
        let mut by_cpus: BTreeMap<Option<HostCpus>, Vec<CpuUse>> = BTreeMap::new();
        for one in uses {
            by_cpus.entry(one.cpus.clone()).or_default().push(one);
        }
        for one in by_cpus.remove(&None).unwrap_or_default() {
            sharing.add(&mut [one]);
        }
        by_cpus.values_mut().for_each(|uses| sharing.add(uses));
        sharing
    }

    /// Adds the launches that had the same CPUs.
    fn add(&mut self, uses: &mut [CpuUse]) {
        uses.sort_by(|one, other| one.begun_s.total_cmp(&other.begun_s));
        let mut counted_until = f64::NEG_INFINITY;
        for CpuUse { count, begun_s, ended_s, .. } in &*uses {
            let new = (*ended_s - begun_s.max(counted_until)).max(0.0);
            self.available_s += new * *count;
            self.shared_s += (*ended_s - *begun_s).max(0.0) - new;
            counted_until = counted_until.max(*ended_s);
        }
        self.launches = self.launches.max(most_at_once(uses));
    }
}

/// How many there were at the same time, at most.
fn most_at_once(uses: &[CpuUse]) -> usize {
    let mut changes: Vec<(f64, bool)> = Vec::new();
    for CpuUse { begun_s, ended_s, .. } in uses {
        let edge = (ended_s - begun_s) * EDGE;
        changes.extend([(begun_s + edge, true), (ended_s - edge, false)]);
    }
    // Who ends makes room for who begins in the same moment.
    changes.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let (mut most, mut now) = (0, 0_usize);
    for (_, begins) in changes {
        now = if begins { now + 1 } else { now.saturating_sub(1) };
        most = most.max(now);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::{CpuSharing, CpuUse, HostCpus};

    fn on(host: &str, set: u32, begun_s: f64, ended_s: f64) -> CpuUse {
        let cpus = HostCpus { host: host.to_owned(), boot_id: "boot".to_owned(), set };
        CpuUse { cpus: Some(cpus), count: 2.0, begun_s, ended_s }
    }

    fn unknown(begun_s: f64, ended_s: f64) -> CpuUse {
        CpuUse { cpus: None, ..on("", 0, begun_s, ended_s) }
    }

    #[test]
    fn cpus_of_one_host_and_quota_are_counted_once() {
        let six: Vec<CpuUse> = (0..6).map(|number| on("a", 1, f64::from(number), 100.0)).collect();
        for (uses, available_s, shared_s, launches) in [
            (vec![], 0.0, 0.0, 0),
            (vec![on("a", 1, 0.0, 100.0)], 200.0, 0.0, 1),
            (six.clone(), 200.0, 485.0, 6),
            // One after the other, with a moment in which the next one waits for the end of the first.
            (vec![on("a", 1, 0.0, 100.0), on("a", 1, 99.0, 200.0)], 400.0, 1.0, 1),
            // Other hosts, and quotas of their own.
            (vec![on("a", 1, 0.0, 100.0), on("b", 1, 0.0, 100.0), on("a", 2, 0.0, 50.0)], 500.0, 0.0, 1),
            (vec![unknown(0.0, 100.0), unknown(0.0, 100.0)], 400.0, 0.0, 1),
            (six.into_iter().chain([on("b", 1, 0.0, 100.0), unknown(0.0, 100.0)]).collect(), 600.0, 485.0, 6),
        ] {
            let expected = CpuSharing { available_s, shared_s, launches };
            assert_eq!(CpuSharing::of(uses.clone()), expected, "{uses:?}");
        }
    }
}
