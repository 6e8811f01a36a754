//! Breaking text into lines: a group is laid out on one line if it fits, and its soft breaks become line ends if not.

/// Text with places where it may be broken.
#[derive(Clone, Debug)]
pub(super) enum Doc {
    Text(String),
    /// The first text when the group stays on one line; a line end and the second text when it does not.
    Soft(&'static str, &'static str),
    /// Always a line end.
    Hard,
    Concat(Vec<Doc>),
    /// A group whose lines start where the group starts.
    Nest(Box<Doc>),
}

impl Doc {
    pub fn text(text: impl Into<String>) -> Doc {
        Doc::Text(text.into())
    }

    pub fn nest(doc: Doc) -> Doc {
        Doc::Nest(Box::new(doc))
    }

    /// Columns when nothing is broken.
    fn width(&self) -> usize {
        match self {
            Doc::Text(text) => text.chars().count(),
            Doc::Soft(flat, _) => flat.len(),
            Doc::Hard => 0,
            Doc::Concat(parts) => parts.iter().map(Doc::width).sum(),
            Doc::Nest(inner) => inner.width(),
        }
    }
}

/// Lays a document out in lines of at most `width` columns where it can. What goes beyond `bytes_max` is cut.
pub(super) fn print(doc: &Doc, width: usize, bytes_max: usize) -> String {
    let mut page = Page { text: String::new(), column: 0, width, bytes_max, full: false };
    let fits = doc.width() <= width;
    page.put(doc, 0, fits);
    page.text
}

/// Stands for what was cut.
const CUT: &str = "...";

struct Page {
    text: String,
    column: usize,
    width: usize,
    bytes_max: usize,
    /// Something was cut; nothing may follow.
    full: bool,
}

impl Page {
    fn put(&mut self, doc: &Doc, indent: usize, fits: bool) {
        match doc {
            _ if self.full => {}
            Doc::Text(text) => self.write(text),
            Doc::Soft(flat, _) if fits => self.write(flat),
            Doc::Soft(_, broken) => {
                self.end_line(indent);
                self.write(broken);
            }
            Doc::Hard => self.end_line(indent),
            Doc::Concat(parts) => parts.iter().for_each(|part| self.put(part, indent, fits)),
            Doc::Nest(inner) => {
                let fits = self.column + inner.width() <= self.width;
                self.put(inner, self.column, fits);
            }
        }
    }

    fn write(&mut self, text: &str) {
        if self.has_room(text.len()) {
            self.text.push_str(text);
            self.column += text.chars().count();
        }
    }

    /// Whether `bytes` more may be written; if not, the text ends here.
    fn has_room(&mut self, bytes: usize) -> bool {
        if self.text.len().saturating_add(bytes) > self.bytes_max {
            self.full = true;
            self.text.push_str(CUT);
        }
        !self.full
    }

    fn end_line(&mut self, indent: usize) {
        if !self.has_room(1 + indent) {
            return;
        }
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.column = indent;
    }
}
