//! What a run takes over from the one that it continues (`--new-since`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::cli::InputArgs;
use crate::config::input_spec::input_spec_of;
use crate::config::option_item::{COMMAND, OptionItem, token};
use crate::config::origins::setting;
use crate::config::resumed::Resumed;
use crate::config::run::place;
use crate::environment::Environment;
use crate::model::shares::Strategy;
use crate::record::family::ParentRun;
use crate::record::inputs::{
    CallCommand, DeclaredProduct, Header, InputList, InputSpec, SourceRun, TaskCommand,
};
use crate::store::layout::Layout;
use crate::template::{EntryKind, quoted};
use crate::text::OsText;
use crate::units;

/// What is relative in these means the folder of this launch; without any of them, that where the continued run was begun.
const BOUND_TO_FOLDER: [&str; 5] = ["files-from", "product", COMMAND, "shell", "call"];

/// A run whose files are left out, and whose command and options go on.
#[derive(Debug)]
pub struct ContinuedRun {
    header: Header,
    /// Its results directory, absolute.
    dir: PathBuf,
    /// The folder where it was begun, unless what is given now means the folder of this launch.
    folder: Option<PathBuf>,
}

impl ContinuedRun {
    /// Opens it. `is_given` tells which options stronger layers have.
    ///
    /// # Errors
    /// When there is none, or one whose tasks are no files.
    pub(super) fn open(
        dir: &Path,
        environment: &Environment,
        is_given: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Self> {
        if dir.as_os_str().is_empty() {
            bail!("--new-since has an empty value: take it out, or set the variable it came from");
        }
        let dir = place("--new-since", dir, environment)?;
        let shown = units::path(&dir);
        let list = InputList::open(&Layout::new(&dir)).with_context(|| format!("--new-since {shown}"))?;
        let Some(list) = list else {
            bail!(
                "--new-since {shown}: it holds no run (no inputs.jsonl): give the results directory of the run that has the files so far"
            );
        };
        let header = list.header().clone();
        if header.source.entry_kind() == EntryKind::Labels {
            bail!(
                "--new-since {shown}: the tasks of that run are no files, so none can have come. Begin another run with further tasks; `canfar-run merge` joins both"
            );
        }
        let is_bound = BOUND_TO_FOLDER.into_iter().any(is_given);
        let folder = header.begun_in().filter(|_| !is_bound).map(Path::to_owned);
        Ok(Self { header, dir, folder })
    }

    /// Which run it is.
    pub fn parent(&self) -> ParentRun {
        ParentRun::of(&self.header, &self.dir)
    }

    /// Variables that its tasks got.
    pub(super) fn env(&self) -> &std::collections::BTreeMap<String, String> {
        &self.header.settings.env
    }

    /// The folder where it was begun, if that is where this one begins.
    pub(super) fn folder(&self) -> Option<OsText> {
        self.folder.as_ref().map(|folder| folder.as_os_str().into())
    }

    /// Its options and command, as a layer. `is_given` tells which options stronger layers have.
    pub(super) fn items(&self, is_given: impl Fn(&str) -> bool) -> Vec<OptionItem> {
        let is_other = [COMMAND, "shell", "call"].into_iter().any(is_given);
        let mut items = Resumed { header: &self.header, dir: &self.dir, commands: Vec::new() }.items();
        // They say what the command is.
        items.retain(|item| !(is_other && ["worker", "worker-tasks"].contains(&item.name.as_str())));
        items.extend(self.sharing());
        items.extend(self.command());
        let products = self.header.products.iter().map(|product| self.seen_from_here(product));
        let products: Vec<OsString> = products.map(|product| token("product", &product)).collect();
        items.extend((!products.is_empty()).then(|| self.item("product", products)));
        items
    }

    fn item(&self, name: &str, tokens: Vec<OsString>) -> OptionItem {
        let shown: Vec<_> = tokens.iter().map(|token| token.to_string_lossy().into_owned()).collect();
        OptionItem {
            name: name.to_owned(),
            origin: setting(name, &shown, &self.dir.join("inputs.jsonl")),
            tokens,
        }
    }

    /// How its files are shared out.
    fn sharing(&self) -> Vec<OptionItem> {
        let Header { strategy, balance, replica_count, .. } = self.header;
        let keeps_to_shares = matches!(strategy, Strategy::Chunk | Strategy::Stripe);
        let is_said = replica_count > 1 && balance == keeps_to_shares;
        let mut items = vec![("strategy", strategy.to_string())];
        items.extend(is_said.then(|| ("balance", balance.to_string())));
        let item = |(name, value): (&str, String)| self.item(name, vec![token(name, value.as_ref())]);
        items.into_iter().map(item).collect()
    }

    fn command(&self) -> Vec<OptionItem> {
        match &self.header.command {
            TaskCommand::Shell(script) => vec![self.item("shell", vec![token("shell", &script.0)])],
            TaskCommand::Call(CallCommand { target, python }) => {
                let target = OsText::from(target.clone());
                [("call", &target.0), ("python", &python.0)]
                    .map(|(name, value)| self.item(name, vec![token(name, value)]))
                    .into()
            }
            TaskCommand::Argv(words) => {
                let words = words.iter().map(|word| word.0.clone());
                vec![self.item(COMMAND, std::iter::once("--".into()).chain(words).collect())]
            }
        }
    }

    /// A product of it, wherever this run is begun.
    fn seen_from_here(&self, product: &DeclaredProduct) -> OsString {
        let mut product = product.clone();
        if let (None, Some(begun_in)) = (&self.folder, self.header.begun_in()) {
            product.path = begun_in.join(&product.path.0).into_os_string().into();
        }
        product.as_text()
    }

    /// Its input.
    fn source(&self) -> anyhow::Result<InputSpec> {
        let shown = units::path(&self.dir);
        match &self.header.source {
            InputSpec::List { file, .. } if file.0 == "-" => bail!(
                "--new-since {shown}: the files of that run were given as a list on standard input, so say which list has the new ones: --files-from FILE"
            ),
            InputSpec::List { file, null } => {
                let null = if *null { " --null" } else { "" };
                let file = quoted(std::slice::from_ref(&file.0));
                bail!(
                    "--new-since {shown}: the files of that run were given as a list, so say which list has the new ones: --files-from FILE{null}. If they were added to the same one: --files-from {file}{null}"
                )
            }
            InputSpec::Products { runs, name, .. } => {
                let run = |run: &SourceRun| SourceRun { results_dir: run.results_dir.clone(), found: None };
                let (runs, name) = (runs.iter().map(run).collect(), name.clone());
                Ok(InputSpec::Products { runs, name, columns: Vec::new() })
            }
            source => Ok(source.clone()),
        }
    }

    /// Refuses the directory of that run for the new one.
    ///
    /// # Errors
    /// When it is the same.
    pub(super) fn refuse_same_place(&self, results_dir: &Path) -> anyhow::Result<()> {
        let real = |dir: &Path| dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        if real(results_dir) != real(&self.dir) {
            return Ok(());
        }
        let [dir, other] = [self.dir.clone(), Layout::new(&self.dir).free_beside()]
            .map(|dir| quoted(&[dir.into_os_string()]));
        bail!(
            "--new-since {dir} begins a run of its own, which needs another results directory: add --results-dir, as in --new-since {dir} -o {other}. To finish the run in {dir}: canfar-run resume {dir}"
        )
    }
}

/// Where files come from, by the options or else as in the run that is continued.
///
/// # Errors
/// As [`input_spec_of`]; when that run does not tell either.
pub fn source_of(
    inputs: &InputArgs,
    continued: Option<&ContinuedRun>,
    environment: &Environment,
) -> anyhow::Result<Option<InputSpec>> {
    let source = input_spec_of(inputs, environment)?;
    let Some(continued) = continued else { return Ok(source) };
    if source.as_ref().is_some_and(|source| source.entry_kind() == EntryKind::Labels) {
        bail!(
            "--new-since is about files, and tasks of --table and --tasks have none: leave one of them out"
        );
    }
    source.map_or_else(|| continued.source(), Ok).map(Some)
}
