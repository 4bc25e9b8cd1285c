//! One other replica that a launch watches while it still has work: if that replica dies, its blocks should not
//! wait until everything else is done, since one block may be a large part of a share.

use crate::journal::launches::last_launches;
use crate::launch::balance::feeder::Feeder;
use crate::launch::balance::idle::claims_of;
use crate::model::launch_id::LaunchId;
use crate::sharing::peers::PeerState;

/// The replicas as a ring: each has the next one as its neighbour, so that all are looked at, and few by two.
#[derive(Debug, Default)]
pub(super) struct Neighbour {
    /// The launch that is being watched.
    peer: Option<LaunchId>,
    /// The last replica that was checked and has nothing left.
    done: Option<u32>,
}

impl Neighbour {
    /// The replica that the neighbour comes after.
    fn after(&self, me: LaunchId) -> u32 {
        self.done.unwrap_or(me.replica)
    }
}

impl Feeder<'_> {
    /// Takes over a block of the neighbour if that has ended. Gives whether it did.
    pub(super) fn take_from_neighbour(&mut self) -> anyhow::Result<bool> {
        if self.waits_for_storage() || !self.may_take_of_others(false) {
            return Ok(false);
        }
        // At the end what would only wait here for a slot is left to those that have one.
        if self.queue.is_busy() && self.own_free().is_empty() {
            return Ok(false);
        }
        let Some(peer) = self.find_neighbour() else { return Ok(false) };
        let look = self.ledger.peers().look(peer);
        match look.state {
            PeerState::Alive | PeerState::Unknown => return Ok(false),
            PeerState::Stopped | PeerState::Dead if self.take_over(peer, &claims_of(&look))? => {
                return Ok(true);
            }
            PeerState::Stopped | PeerState::Dead | PeerState::Missing => {}
        }
        self.neighbour = Neighbour { peer: None, done: Some(peer.replica) };
        Ok(false)
    }

    /// Checks the neighbour, to know how long it has sent no heartbeat.
    pub(super) fn look_at_neighbour(&mut self) {
        if !self.reach.has_others() {
            return;
        }
        // If all start at once, the next one may not have existed when it was looked up.
        let count = self.launcher.config.identity.replica.count();
        let next = self.neighbour.after(self.me) % count + 1;
        self.neighbour.peer.take_if(|peer| peer.replica != next);
        if let Some(peer) = self.find_neighbour() {
            self.ledger.peers().look(peer);
        }
    }

    fn find_neighbour(&mut self) -> Option<LaunchId> {
        if self.neighbour.peer.is_none() {
            let after = self.neighbour.after(self.me);
            let mut newest = last_launches(self.launcher.layout).ok()?;
            newest.remove(&self.me.replica);
            let next = newest.range(after + 1..).next().or_else(|| newest.iter().next());
            self.neighbour.peer =
                next.map(|(replica, launch)| LaunchId { replica: *replica, launch: *launch });
        }
        self.neighbour.peer
    }
}
