//! A page of Markdown, and the code blocks in it.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// A page of this repository.
#[derive(Debug)]
pub(crate) struct Page {
    /// As seen from the repository's root.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A fenced block of a page.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) content: String,
    /// The line its content begins in, from 1.
    pub(crate) line: usize,
    /// The last line before it that is not blank, where that is an HTML comment.
    remark: Option<String>,
}

impl Page {
    pub(crate) fn read(path: &str) -> Self {
        let text =
            std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.to_owned(), text }
    }

    /// Every page of the repository.
    pub(super) fn paths() -> Vec<String> {
        let is_source =
            |name: &str| !name.starts_with('.') && !["target", "demo", "node_modules"].contains(&name);
        let entries = WalkDir::new(root()).min_depth(1).sort_by_file_name().into_iter();
        let entries = entries.filter_entry(|entry| entry.file_name().to_str().is_some_and(is_source));
        let paths = entries.map(|entry| entry.unwrap().into_path());
        let pages = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
        pages.map(|path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut open = false;
        let mut before = "";
        for (number, line) in (1..).zip(self.text.lines()) {
            match line.strip_prefix("```") {
                Some(_) if open => open = false,
                Some(language) => {
                    open = true;
                    let remark = before.strip_prefix("<!--").and_then(|remark| remark.strip_suffix("-->"));
                    blocks.push(Block {
                        language: language.to_owned(),
                        content: String::new(),
                        line: number + 1,
                        remark: remark.map(|remark| remark.trim().to_owned()),
                    });
                }
                None if open => {
                    let content = &mut blocks.last_mut().unwrap().content;
                    content.push_str(line);
                    content.push('\n');
                }
                None => {}
            }
            if !line.trim().is_empty() {
                before = line.trim();
            }
        }
        assert!(!open, "{}: a block without an end", self.path);
        blocks
    }
}

impl Block {
    /// Whether it is something to type that can be typed here.
    pub(super) fn is_tried(&self) -> bool {
        let is_left_out = self.remark.as_deref().is_some_and(|remark| remark.starts_with("not run: "));
        !is_left_out && !self.is_output()
    }

    pub(super) fn exit_code(&self) -> i32 {
        let said = self.remark.as_deref().and_then(|remark| remark.strip_prefix("exit code "));
        said.map_or(0, |code| code.parse().unwrap())
    }

    /// The file that it is, by its first line.
    pub(crate) fn file_name(&self) -> Option<&str> {
        let name = self.content.lines().next()?.strip_prefix("# ")?;
        (name.contains('.') && !name.contains(' ')).then_some(name)
    }

    pub(super) fn is_output(&self) -> bool {
        ["text", "json", "csv"].contains(&self.language.as_str())
    }
}

/// The root of the repository.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
