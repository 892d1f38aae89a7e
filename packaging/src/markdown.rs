//! A page of Markdown as a manual page. A table becomes a list of its rows, which fits every terminal.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// Where in the page it is.
#[derive(Default)]
struct Renderer {
    /// The paragraph, heading or cell so far.
    line: Vec<Inline>,
    strong: bool,
    emphasis: bool,
    /// The text of a code block.
    code: Option<String>,
    /// Whether the next paragraph is an item's first, which its bullet stands before.
    in_item: bool,
    /// What stands above the columns of a table.
    titles: Vec<Vec<Inline>>,
    /// The cells of a row so far.
    row: Vec<Vec<Inline>>,
}

/// Appends `text` to `page`. Its title and the places that links lead to are left out.
pub fn render(text: &str, page: &mut Roff) {
    let mut renderer = Renderer::default();
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        renderer.event(event, page);
    }
}

/// Appends `text` as it is.
pub fn verbatim(text: &str, page: &mut Roff) {
    page.control("PP", []);
    page.control("RS", ["4"]);
    page.control("EX", []);
    for line in text.lines() {
        page.text([roman(line)]);
    }
    page.control("EE", []);
    page.control("RE", []);
}

impl Renderer {
    fn event(&mut self, event: Event<'_>, page: &mut Roff) {
        match event {
            Event::Start(tag) => self.start(&tag, page),
            Event::End(tag) => self.end(tag, page),
            Event::Text(text) => self.text(&text),
            Event::Code(code) => self.line.push(bold(code.to_string())),
            Event::SoftBreak | Event::HardBreak => self.text(" "),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(code) = &mut self.code {
            code.push_str(text);
            return;
        }
        self.line.push(match (self.strong, self.emphasis) {
            (true, _) => bold(text),
            (_, true) => italic(text),
            _ => roman(text),
        });
    }

    fn start(&mut self, tag: &Tag<'_>, page: &mut Roff) {
        match tag {
            Tag::Strong => self.strong = true,
            Tag::Emphasis => self.emphasis = true,
            Tag::CodeBlock(_) => {
                self.flush(page);
                self.code = Some(String::new());
            }
            Tag::Item => self.in_item = true,
            // An item that holds another list.
            Tag::List(_) => self.flush(page),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd, page: &mut Roff) {
        match tag {
            TagEnd::Strong => self.strong = false,
            TagEnd::Emphasis => self.emphasis = false,
            TagEnd::Heading(HeadingLevel::H1) => self.line.clear(),
            TagEnd::Heading(level) => self.heading(level, page),
            TagEnd::Paragraph | TagEnd::Item => self.flush(page),
            TagEnd::CodeBlock => verbatim(&self.code.take().unwrap_or_default(), page),
            TagEnd::TableCell => self.row.push(std::mem::take(&mut self.line)),
            TagEnd::TableHead => self.titles = std::mem::take(&mut self.row),
            TagEnd::TableRow => self.row(page),
            _ => {}
        }
    }

    fn heading(&mut self, level: HeadingLevel, page: &mut Roff) {
        let text: String = std::mem::take(&mut self.line)
            .into_iter()
            .map(|part| match part {
                Inline::Roman(text) | Inline::Bold(text) | Inline::Italic(text) => text,
                Inline::LineBreak => String::new(),
            })
            .collect();
        match level {
            HeadingLevel::H2 => page.control("SH", [text.to_uppercase().as_str()]),
            _ => page.control("SS", [text.as_str()]),
        };
    }

    fn flush(&mut self, page: &mut Roff) {
        if self.line.is_empty() {
            return;
        }
        match std::mem::take(&mut self.in_item) {
            true => page.control("IP", ["\\(bu", "2"]),
            false => page.control("PP", []),
        };
        page.text(std::mem::take(&mut self.line));
    }

    /// The first cell names the row; those between it and the last one are told by their titles.
    fn row(&mut self, page: &mut Roff) {
        let mut cells = std::mem::take(&mut self.row).into_iter();
        let last = self.titles.len().saturating_sub(1);
        page.control("TP", []);
        page.text(cells.next().unwrap_or_default());
        for (column, cell) in (1..).zip(cells) {
            if cell.is_empty() {
                continue;
            }
            let title = match column == last {
                true => Vec::new(),
                false => {
                    let mut title = self.titles[column].clone();
                    title.push(roman(": "));
                    title
                }
            };
            page.text(title.into_iter().chain(cell).collect::<Vec<_>>());
            if column != last {
                page.control("br", []);
            }
        }
    }
}
