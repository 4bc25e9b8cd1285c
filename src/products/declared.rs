//! The products that each task must make, as the run declares them (`--product`), and their final paths.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::model::entries::Entry;
use crate::model::row::Column;
use crate::record::inputs::{DeclaredProduct, InputSpec};
use crate::record::rel::RelPaths;
use crate::template::{EntryKind, PathTemplate, TaskPlace, TemplateError, Token};
use crate::units;

/// The variable with the path for a task's first product; those of other products end with `_` and a name.
pub const TASK_OUT: &str = "CANFAR_TASK_OUT";

/// The products of a run's tasks.
#[derive(Debug, Clone)]
pub struct DeclaredProducts {
    products: Vec<(Option<String>, PathTemplate)>,
    /// `None` if no path needs it.
    rel: Option<RelPaths>,
    entries: EntryKind,
    /// The columns of rows, as they are named.
    columns: Vec<String>,
    /// What relative paths are relative to.
    folder: PathBuf,
}

impl DeclaredProducts {
    /// Of a run with entries from `source` that was begun in `folder`.
    ///
    /// # Errors
    /// When a path can't be used.
    pub fn new(
        declared: &[DeclaredProduct],
        source: &InputSpec,
        folder: &Path,
    ) -> Result<Self, TemplateError> {
        let names = source.vocabulary();
        let parse = |product: &DeclaredProduct| {
            Ok((product.name.clone(), PathTemplate::parse(&product.path.0, &names)?))
        };
        let products: Vec<_> = declared.iter().map(parse).collect::<Result<_, TemplateError>>()?;
        let asks = products.iter().any(|(_, template)| template.uses(Token::Rel));
        let rel = asks.then(|| RelPaths::of(source));
        let named = |column: &Column| format!("{{{}}}", column.name);
        let columns = source.columns().unwrap_or_default().iter().map(named).collect();
        Ok(Self { products, rel, entries: source.entry_kind(), columns, folder: folder.to_owned() })
    }

    /// Whether none was declared.
    pub fn is_empty(&self) -> bool {
        self.products.is_empty()
    }

    /// Their names, `None` for one without, in the order of their declaration.
    pub fn names(&self) -> impl ExactSizeIterator<Item = Option<&str>> {
        self.products.iter().map(|(name, _)| name.as_deref())
    }

    /// The variables with the paths to write them to, each with the position of its product in the declaration.
    pub fn variables(&self) -> Vec<(String, usize)> {
        let first = (!self.is_empty()).then(|| (TASK_OUT.to_owned(), 0));
        let named = self.names().enumerate().filter_map(|(place, name)| Some((name?, place)));
        first.into_iter().chain(named.map(|(name, place)| (format!("{TASK_OUT}_{name}"), place))).collect()
    }

    /// Whether there is only one, and without a name.
    pub fn is_one_without_name(&self) -> bool {
        matches!(self.products.as_slice(), [(None, _)])
    }

    /// The first that is the same for all tasks, as it was declared.
    pub fn constant(&self) -> Option<&OsStr> {
        self.products.iter().find_map(|(_, template)| template.constant())
    }

    /// Whether the tasks' entries are files, or may be.
    pub fn has_inputs(&self) -> bool {
        self.entries == EntryKind::Files
    }

    /// A path that is another one for each task.
    pub fn example(&self) -> String {
        match (self.entries, self.columns.as_slice()) {
            (EntryKind::Files, _) => "cat/{/:}.cat".to_owned(),
            (EntryKind::Labels, []) => "out/{index}.fits".to_owned(),
            (EntryKind::Labels, columns) => {
                let (some, more) = columns.split_at(columns.len().min(12));
                let more = if more.is_empty() { "" } else { " ..." };
                units::printable(&format!("out/{{index}}.fits; columns are {}{more}", some.join(" ")))
            }
        }
    }

    /// The file that a task reads, as far as its entry tells.
    pub fn input_of<'e>(&self, entry: Entry<'e>) -> Option<&'e OsStr> {
        self.has_inputs().then_some(entry.path)
    }

    /// Where those of the task of this entry go: absolute, in the order of their declaration.
    pub fn paths(&self, entry: Entry<'_>, index: u64) -> Vec<PathBuf> {
        let Entry { path, row, .. } = entry;
        let rel = entry.rel.unwrap_or_else(|| self.rel.as_ref().map_or(path, |rel| rel.of_entry(path)));
        let place = TaskPlace { path, rel, index, row, ..TaskPlace::of_slot(0, 0) };
        let absolute = |(_, template): &(Option<String>, PathTemplate)| {
            let path = self.folder.join(template.render(&place));
            // Without double slashes and dots, so that one place has one name; `..` may lead through a link. One that ends
            // with no name is no product, and shown as it is.
            if ends_with_name(&path) { path.components().collect() } else { path }
        };
        self.products.iter().map(absolute).collect()
    }
}

/// Whether the last component of a path is a name.
pub fn ends_with_name(path: &Path) -> bool {
    !matches!(path.as_os_str().as_bytes().rsplit(|byte| *byte == b'/').next(), Some(b"" | b"." | b".."))
}
