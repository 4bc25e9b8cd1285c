//! `resume --only`: the tasks that are named, the replicas that have them, and what there is where none is so.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::Write;

use anyhow::{Context, bail};

use super::{Resume, ResumeProgress};
use crate::commands::dry_run;
use crate::commands::task_names::{NamedTask, find_tasks, similar_entries};
use crate::environment::Environment;
use crate::exit_code::ExitCode;
use crate::journal::event::{LaunchBegun, StopReason};
use crate::journal::tail;
use crate::launch::{Reach, SelectedTasks};
use crate::model::launch_id::LaunchId;
use crate::model::replica::Replica;
use crate::model::selection::{KindCounts, OnlyList, TaskKind, TaskSelection};
use crate::record::inputs::InputList;
use crate::report::logs as names;
use crate::report::resume::ids_in_words;
use crate::units;

/// What `--only` names.
#[derive(Debug)]
pub(super) struct AnotherTry {
    /// As it was typed.
    typed: String,
    /// With the word that named it, each task that is named one by one.
    named: BTreeMap<u64, OsString>,
    pub(super) selection: TaskSelection,
}

impl AnotherTry {
    /// Finds in the list what is named one by one.
    ///
    /// # Errors
    /// When a word names no task, or several.
    pub(super) fn find(
        only: &OnlyList,
        typed: &OsStr,
        list: &InputList,
        environment: &Environment,
    ) -> anyhow::Result<Self> {
        let mut named = BTreeMap::new();
        for (word, found) in only.names.iter().zip(find_tasks(&only.names, list, environment)?) {
            match found {
                NamedTask::One(index, _) => _ = named.insert(index, word.clone()),
                NamedTask::Several(namesakes, others) => {
                    bail!("--only {}: {}", units::path(word), names::several(word, &namesakes, others))
                }
                NamedTask::None => bail!("--only {}", nobody(word, list)?),
            }
        }
        let selection = TaskSelection {
            kinds: only.kinds.clone(),
            named: named.keys().copied().collect(),
            this_try: BTreeSet::new(),
        };
        Ok(Self { typed: typed.to_string_lossy().into_owned(), named, selection })
    }
}

/// Says that a word names no task, with what is nearest to it.
fn nobody(word: &OsStr, list: &InputList) -> anyhow::Result<String> {
    let shown = units::path(word);
    let kinds: Vec<String> = TaskKind::NAMED.iter().map(TaskKind::to_string).collect();
    let distance = |kind: &&String| strsim::damerau_levenshtein(&shown, kind);
    let nearest = kinds.iter().min_by_key(distance).filter(|kind| distance(kind) <= 2);
    let all = list.header().indices();
    let mut text = format!(
        "{shown}: neither a file of the list (by index, path or base name) nor one of the words {}",
        kinds.join(", ")
    );
    let similar = similar_entries(word, list)?;
    if let Some(kind) = nearest {
        text.push_str(&format!("; the nearest word is `{kind}`"));
    } else if similar.is_empty() {
        text.push_str(&format!("; the list has {}", units::count(all.end - all.start, "file")));
        if !all.is_empty() {
            text.push_str(&format!(", with the indices {} to {}", all.start, all.end - 1));
        }
    } else {
        text.push_str("; these are similar:");
        names::push_entries(&mut text, &similar);
    }
    Ok(text)
}

/// The replicas that this container acts as, with what each has of the tasks that are named.
struct NamedTasks {
    own: Vec<(Replica, SelectedTasks)>,
    /// Those that other containers look after.
    others: Vec<Replica>,
}

impl NamedTasks {
    fn due(&self) -> u64 {
        self.own.iter().map(|(_, selected)| selected.due.len() as u64).sum()
    }
}

impl Resume<'_> {
    /// Runs again what is named and this container looks after.
    ///
    /// # Errors
    /// When nothing is as it is named, or something can't be read.
    pub(super) fn try_again(
        &mut self,
        mut another: AnotherTry,
        chosen: Option<&[Replica]>,
        tally: &mut ResumeProgress,
        out: &mut dyn Write,
    ) -> anyhow::Result<Option<ExitCode>> {
        let owners = self.owners_of(&another)?;
        refuse_others(&another, &owners, chosen)?;
        another.selection.this_try = self.launches_of_try(&another, &owners)?;
        self.selection = Some(another.selection.clone());
        let tasks = self.named_tasks(chosen)?;
        if tasks.due() == 0 {
            return self.nothing_named(&another, &tasks).map(Some);
        }
        let due = tasks.own.iter().filter(|(_, selected)| !selected.due.is_empty());
        if self.config.is_dry {
            for (replica, selected) in due {
                dry_run::tasks_of(
                    *replica,
                    &selected.due,
                    self.list,
                    self.config,
                    self.console,
                    self.stop,
                    out,
                )?;
            }
            return Ok(Some(ExitCode::Ok));
        }
        let replicas: Vec<Replica> = due.map(|(replica, _)| *replica).collect();
        self.say_try(&another, tasks.due(), &replicas);
        self.watched = self.watch(replicas.iter());
        replicas.iter().for_each(|replica| _ = self.take(*replica, Reach::Own, tally));
        Ok(None)
    }

    fn say_try(&self, another: &AnotherTry, due: u64, replicas: &[Replica]) {
        let header = self.list.header();
        let ids: Vec<u32> = replicas.iter().map(|replica| replica.id()).collect();
        let who = if ids.len() == 1 { "replica" } else { "replicas" };
        let mut text = format!(
            "canfar-run {}: another try in run {} in {}: --only {} names {} ({who} {})",
            env!("CARGO_PKG_VERSION"),
            header.run,
            self.layout.root().display(),
            units::printable(&another.typed),
            units::count(due, "file"),
            ids_in_words(&ids),
        );
        if self.config.command != header.command {
            text.push_str(&format!("\ncommand of this try: {}", self.config.command));
        }
        self.say(&text);
    }

    /// The ids of the replicas that may have tasks: all of the run and, where it shares its work, those added to it.
    fn replicas(&self, chosen: Option<&[Replica]>) -> Vec<Replica> {
        if let Some(chosen) = chosen {
            return chosen.to_vec();
        }
        let count = self.list.header().replica_count;
        let claimants =
            self.ledger.iter().flat_map(|ledger| ledger.borrow().by_launch().into_keys().collect::<Vec<_>>());
        let ids: BTreeSet<u32> = (1..=count).chain(claimants.map(|by| by.replica)).collect();
        ids.into_iter().map(|id| Replica::of_run(id, count)).collect()
    }

    fn named_tasks(&self, chosen: Option<&[Replica]>) -> anyhow::Result<NamedTasks> {
        let container = self.config.identity.replica;
        let is_own = |replica: &Replica| (replica.id() - 1) % container.count() == container.id() - 1;
        let (own, others): (Vec<Replica>, Vec<Replica>) = self.replicas(chosen).into_iter().partition(is_own);
        let own = own.into_iter().map(|replica| Ok((replica, self.selected_of(replica)?)));
        Ok(NamedTasks { own: own.collect::<anyhow::Result<_>>()?, others })
    }

    fn selected_of(&self, replica: Replica) -> anyhow::Result<SelectedTasks> {
        let config = self.config.on_behalf_of(replica, std::time::Duration::ZERO);
        let share = self.share_of(replica).unwrap_or(crate::model::shares::Share::Range(0..0));
        let ledger = self.ledger.as_ref().map(std::cell::RefCell::borrow);
        self.launcher(&config, Reach::Own).look_for_selected(&share, ledger.as_deref())
    }

    /// The replica that has each task that is named one by one.
    fn owners_of(&self, another: &AnotherTry) -> anyhow::Result<BTreeMap<u64, u32>> {
        let mut claimed = BTreeMap::new();
        if let Some(ledger) = &self.ledger {
            let mut ledger = ledger.borrow_mut();
            let root = self.layout.root();
            ledger
                .refresh_claims()
                .with_context(|| format!("can't read the claims in {}", root.display()))?;
            for (by, claims) in ledger.by_launch() {
                claimed.extend(claims.into_iter().map(|claim| (claim.block, by.replica)));
            }
        }
        let of_share = |index: u64| {
            (1..).zip(&self.shares).find(|(_, share)| share.position_of(index).is_some()).map(|(id, _)| id)
        };
        let owner = |index: u64| {
            let block = self.blocks.and_then(|blocks| blocks.block_of(index));
            block.and_then(|block| claimed.get(&block).copied()).or_else(|| of_share(index))
        };
        Ok(another.named.keys().filter_map(|index| Some((*index, owner(*index)?))).collect())
    }

    /// The newest launches of the replicas that have what is named one by one, if they are of this very try and some of it was
    /// not brought to an end.
    fn launches_of_try(
        &self,
        another: &AnotherTry,
        owners: &BTreeMap<u64, u32>,
    ) -> anyhow::Result<BTreeSet<LaunchId>> {
        let (mut launches, mut is_ended) = (BTreeSet::new(), true);
        for replica in owners.values().copied().collect::<BTreeSet<u32>>() {
            let mut newest = true;
            let mut has_ended = false;
            for launch in self.listed.of(self.layout, replica)?.into_iter().rev() {
                let journal = self.layout.journal(replica, launch);
                let words = tail::last_words(&journal)?;
                let is_done = words.is_some_and(|words| words.stop.reason == StopReason::Done);
                let begun = tail::begun(&journal)?;
                if !begun.is_some_and(|begun| self.is_of_try(&begun, another)) || (is_done && !newest) {
                    break;
                }
                launches.insert(LaunchId { replica, launch });
                has_ended |= is_done;
                newest = false;
            }
            is_ended &= has_ended;
        }
        Ok(if is_ended { BTreeSet::new() } else { launches })
    }

    fn is_of_try(&self, begun: &LaunchBegun, another: &AnotherTry) -> bool {
        let command = &self.config.command;
        let other = (*command != self.list.header().command).then(|| command.to_string());
        begun.only() == Some(&another.typed)
            && begun.command == other
            && begun.command_files == self.command_files
    }

    /// Says why there is nothing to run.
    ///
    /// # Errors
    /// Where no task of the run is as it is named and none was tried by these words: they are wrong.
    fn nothing_named(&self, another: &AnotherTry, tasks: &NamedTasks) -> anyhow::Result<ExitCode> {
        let mut kinds = KindCounts::default();
        tasks.own.iter().for_each(|(_, selected)| kinds.join(&selected.kinds));
        let mut elsewhere = 0;
        for replica in &tasks.others {
            let selected = self.selected_of(*replica)?;
            kinds.join(&selected.kinds);
            elsewhere += selected.due.len() as u64;
        }
        let typed = units::printable(&another.typed);
        if elsewhere > 0 {
            let files = units::count(elsewhere, "file");
            self.say(&format!(
                "nothing to do here: --only {typed} names {files}, which other containers look after"
            ));
        } else if self.was_tried(another, tasks)? {
            self.say(&format!(
                "nothing to do: of what --only {typed} names nothing is left to try; the run has {kinds}"
            ));
        } else {
            bail!(
                "--only {typed} names no file, so nothing was run. The run in {} has {kinds}",
                self.layout.root().display()
            );
        }
        Ok(ExitCode::Ok)
    }

    /// Whether a launch was told the same before.
    fn was_tried(&self, another: &AnotherTry, tasks: &NamedTasks) -> anyhow::Result<bool> {
        for replica in tasks.own.iter().map(|(replica, _)| replica).chain(&tasks.others) {
            for launch in self.listed.of(self.layout, replica.id())? {
                let begun = tail::begun(&self.layout.journal(replica.id(), launch))?;
                if begun.is_some_and(|begun| begun.only() == Some(&another.typed)) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// Refuses shares that do not have what is named.
fn refuse_others(
    another: &AnotherTry,
    owners: &BTreeMap<u64, u32>,
    chosen: Option<&[Replica]>,
) -> anyhow::Result<()> {
    let Some(chosen) = chosen else { return Ok(()) };
    let is_chosen = |id: u32| chosen.iter().any(|replica| replica.id() == id);
    let others: Vec<(&u64, &u32)> = owners.iter().filter(|(_, owner)| !is_chosen(**owner)).collect();
    let Some((index, owner)) = others.first() else { return Ok(()) };
    let word = another.named.get(index).map(units::path).unwrap_or_default();
    let ids: BTreeSet<u32> = others.iter().map(|(_, owner)| **owner).collect();
    bail!(
        "--only {word}: replica {owner} has it, and --shares leaves that out. Leave --shares out, or add {}",
        ids_in_words(&ids.into_iter().collect::<Vec<_>>())
    )
}
