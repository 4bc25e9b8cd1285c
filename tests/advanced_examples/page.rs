//! The page in sections, each with its blocks of code: those of the original and ours.

use crate::pages::{Block, Page};

/// What stands below a heading.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) title: String,
    pub(super) original: Vec<String>,
    pub(super) ours: Vec<Block>,
}

/// Whose blocks follow.
#[derive(Debug, Clone, Copy)]
enum Side {
    Original,
    Ours,
}

pub(super) fn sections() -> Vec<Section> {
    let page = Page::read("docs/advanced-examples.md");
    let mut blocks = page.blocks().into_iter();
    let mut sections: Vec<Section> = Vec::new();
    let mut side = None;
    let mut lines = page.text.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            sections.push(Section { title: title.to_owned(), ..Section::default() });
            side = None;
        } else if line == "**Original**" {
            side = Some(Side::Original);
        } else if line == "**With canfar-run**" {
            side = Some(Side::Ours);
        } else if line.starts_with("```") {
            lines.by_ref().find(|line| *line == "```");
            let block = blocks.next().expect("a block for each fence");
            let section = sections.last_mut().expect("blocks are below headings");
            match side.unwrap_or_else(|| panic!("{}: whose block is it?", section.title)) {
                Side::Original => section.original.push(block.content),
                Side::Ours => section.ours.push(block),
            }
        }
    }
    sections
}

pub(super) fn section(title: &str) -> Section {
    let found = sections().into_iter().find(|section| section.title == title);
    found.unwrap_or_else(|| panic!("the page has no section {title:?}"))
}

/// The one snippet of the original in a section.
pub(super) fn original(title: &str) -> String {
    let [snippet] = <[String; 1]>::try_from(section(title).original).expect("one snippet");
    snippet
}

/// Our commands in a section, a line each, without comments.
pub(super) fn commands(title: &str) -> Vec<String> {
    let shell = section(title).ours.into_iter().filter(|block| block.language == "sh");
    let text = shell.map(|block| block.content).collect::<String>().replace("\\\n ", "");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// Our one command in a section.
pub(super) fn command(title: &str) -> String {
    let [command] = <[String; 1]>::try_from(commands(title)).expect("one command");
    command
}

/// A snippet as the body of a function.
pub(super) fn indented(snippet: &str) -> String {
    let lines: Vec<String> = snippet.lines().map(|line| format!("    {line}")).collect();
    lines.join("\n") + "\n"
}
